"""How batches ended: the one source of truth for "what is still failed"."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sync_pipeline.batches.layout import Spool, disk_errors
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.model import BatchRef, Counts
from sync_pipeline.private_files import create_private

#: Stands in a partition key for an extraction that was interrupted: its replay goes on fetching.
FETCH = "fetch"
#: Reason of a batch that has no result.
NOT_COME_TO = "its process ended before the batch was done (killed?)"
#: Batches may end at the same time in several processes.
BUSY_TIMEOUT_S = 60.0
#: Batches over which the pace is taken: a space may become slower, or faster, on the way.
PACE_OVER = 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results
(batch TEXT PRIMARY KEY, status TEXT, failed INTEGER, seconds REAL, value TEXT)
"""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How the last attempt at a batch ended."""

    #: `waiting`: written, but entries that link to those of other batches are not published yet.
    status: Literal["done", "waiting", "failed", "superseded"]
    counts: Counts
    #: Dagster run of the last attempt.
    run_id: str
    #: UTC, ISO 8601.
    finished_at: str
    #: Why the batch counts as failed, for lists; the entries' reasons are in its dead letters.
    reason: str = ""
    attempts: int = 1
    #: Of the last attempt.
    duration_s: float = 0.0
    #: Peak memory of the process of the last attempt, in MiB.
    peak_rss_mb: float = 0.0
    #: What its run alone did; `counts` are over all runs that have tried the batch.
    own: Counts = field(default_factory=Counts)
    #: Entries to publish once all batches are written; a batch may have some and be failed.
    put_off: int = 0
    #: Keys of a failed batch that later runs have done; a replay has nothing to write for them.
    done_since: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the batch is still to be done well."""
        return self.status in ("failed", "waiting")


def write_result(spool: Spool, batch: str, result: BatchResult) -> None:
    """Record how a batch ended. A later attempt overwrites an earlier one."""
    row = (
        batch,
        result.status,
        result.counts.failed,
        result.duration_s,
        json.dumps(asdict(result)),
    )
    with disk_errors(spool.results), _open(spool.results) as database:
        database.execute(_SCHEMA)
        database.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", row)


def note_failure(spool: Spool, batch: str, run_id: str, reason: str, finished_at: str) -> None:
    """Record why a batch failed that came to no end of its own; what is done stays done.

    Without it the batch would be listed as one whose process was killed.
    """
    previous = read_result(spool, batch)
    if previous is not None and (previous.status != "failed" or previous.run_id == run_id):
        return
    records = records_of(spool, batch)
    failed = Counts(records=records, failed=records)
    result = BatchResult("failed", failed, run_id, finished_at, reason, own=failed)
    if previous is not None:  # of another run, which may have written some of it
        attempts = previous.attempts + 1
        result = replace(result, counts=previous.counts, attempts=attempts)
    write_result(spool, batch, result)


def records_of(spool: Spool, batch: str) -> int:
    """Records of a batch, with those that later ones have routed to it; 0 while it is not whole."""
    manifest = read_manifest(spool)
    if manifest is None:
        return 0
    own = sum(ref.records for ref in manifest.batches if ref.key == batch)
    return own + manifest.routed.get(batch, 0)


def read_result(spool: Spool, batch: str) -> BatchResult | None:
    """How a batch ended; None: it is *spooled and not done*."""
    return read_results(spool, batch).get(batch)


def read_results(spool: Spool, batch: str | None = None) -> dict[str, BatchResult]:
    """How the batches ended that did, by batch key."""
    where, values = ("WHERE batch = ?", (batch,)) if batch else ("", ())
    return {
        key: _decode(json.loads(text))
        for key, text in _query(spool, f"SELECT batch, value FROM results {where}", values)
    }


def _decode(value: dict[str, Any]) -> BatchResult:
    own = Counts(**value.get("own", {}))
    return BatchResult(**{**value, "counts": Counts(**value["counts"]), "own": own})


def _query(spool: Spool, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    if not spool.results.exists():
        return []
    with _open(spool.results) as database:
        database.execute(_SCHEMA)
        return database.execute(sql, values).fetchall()


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """One file for the results of all batches: adding them up must not mean reading them all."""
    create_private(path)
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as database:
        yield database


def unfinished_batches(spool: Spool, manifest: Manifest) -> Iterator[BatchRef]:
    """The batches that were not finished well: failed, killed, or never begun; or not yet whole."""
    results = read_results(spool)
    for ref in manifest.batches:
        result = results.get(ref.key)
        if result is None or result.is_open:
            yield ref


def waiting_batches(spool: Spool, manifest: Manifest) -> list[BatchRef]:
    """The batches that have entries to publish once all batches are written."""
    results = read_results(spool)
    waiting = {
        key
        for key, result in results.items()
        if result.status == "waiting" or (result.status == "failed" and result.put_off)
    }
    return [ref for ref in manifest.batches if ref.key in waiting]


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """A batch that waits for a backfill."""

    #: `<first 8 of run id>__batch_000042`, the key of its Dagster partition.
    partition_key: str
    spool: Spool
    #: Batch key, or `fetch` for an interrupted extraction.
    batch: str
    reason: str
    attempts: int
    #: UTC, ISO 8601; "" where no attempt ended.
    failed_at: str
    failed_entries: int


def partition_key(spool_id: str, batch: str) -> str:
    """Key of a failed batch's partition. No comma: it would break Dagster's UI (dagster#32183)."""
    return f"{spool_id[:8]}__{batch}"


def failed_batches_of(spool: Spool) -> Iterator[FailedBatch]:
    """The batches of one spool that wait for a backfill, whatever killed or failed them.

    The caller leaves out spools of runs that are still going and of dry runs.
    """
    manifest = read_manifest(spool)
    if manifest is None:
        fetched = read_result(spool, FETCH)
        if fetched is not None and fetched.status == "superseded":
            return  # a later run fetched everything anew
        why = fetched.reason if fetched else "the extraction was interrupted"
        yield FailedBatch(
            partition_key(spool.spool_id, FETCH),
            spool,
            FETCH,
            f"{why.removesuffix('.')}. A backfill goes on where the extraction stopped.",
            fetched.attempts if fetched else 1,
            fetched.finished_at if fetched else "",
            0,
        )
        return
    results = read_results(spool)
    for ref in unfinished_batches(spool, manifest):
        result = results.get(ref.key)
        yield FailedBatch(
            partition_key(spool.spool_id, ref.key),
            spool,
            ref.key,
            _describe(result) if result else NOT_COME_TO,
            result.attempts if result else 1,
            result.finished_at if result else "",
            result.counts.failed if result else 0,
        )


def _describe(result: BatchResult) -> str:
    """Why a batch is failed, and how much of it is of no account any more."""
    if not result.done_since:
        return result.reason
    keys = "key was" if result.done_since == 1 else "keys were"
    return f"{result.reason} ({result.done_since:,} {keys} done by later runs since)"


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far the batches of a run are."""

    batches: int
    #: Done, failed or superseded.
    ended: int
    failed_entries: int
    #: From the end of one batch to the end of the next, by the clock; None before there are two.
    seconds_per_batch: float | None


def read_batch_progress(
    spool: Spool, run_id: str | None = None, batch: str | None = None
) -> BatchProgress:
    """How far the batches are; from their results, so that it holds over processes and resumes.

    Args:
        spool: Of the run.
        run_id: Batches that failed in another run are still to be done. None: any run counts.
        batch: The one that a backfill is about. None: all of the extraction.
    """
    manifest = read_manifest(spool)
    if manifest is None:
        return BatchProgress(0, 0, 0, None)
    sql = """
        SELECT COUNT(*), TOTAL(failed) FROM results
        WHERE batch != ?1 AND (?2 IS NULL OR batch = ?2)
        AND (?3 IS NULL OR status != 'failed' OR json_extract(value, '$.run_id') = ?3)
    """
    ended, failed = (_query(spool, sql, (FETCH, batch, run_id)) or [(0, 0)])[0]
    batches = 1 if batch else len(manifest.batches)
    return BatchProgress(batches, ended, int(failed), _seconds_per_batch(spool))


def _seconds_per_batch(spool: Spool) -> float | None:
    """The pace of the last run, over its last batches.

    By the clock: what a batch takes by itself is the smaller part of it where each step starts a
    process of its own.
    """
    sql = "SELECT value FROM results WHERE batch != ? ORDER BY rowid DESC LIMIT ?"
    latest = [_decode(json.loads(text)) for (text,) in _query(spool, sql, (FETCH, PACE_OVER))]
    ends = [
        datetime.fromisoformat(result.finished_at)
        for result in latest
        if result.run_id == latest[0].run_id
    ]
    if len(ends) < 2:
        return None
    return (ends[0] - ends[-1]).total_seconds() / (len(ends) - 1)
