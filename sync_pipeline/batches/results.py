"""How batches ended: the one source of truth for "what is still failed"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sync_pipeline.batches.extraction import Manifest, read_manifest
from sync_pipeline.batches.layout import Spool, read_json, write_json
from sync_pipeline.model import BatchRef, Counts

#: Stands in a partition key for an extraction that was interrupted: its replay goes on fetching.
FETCH = "fetch"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How the last attempt at a batch ended."""

    status: Literal["done", "failed", "superseded"]
    counts: Counts
    #: Dagster run of the last attempt.
    run_id: str
    #: UTC, ISO 8601.
    finished_at: str
    #: Why the batch counts as failed, for lists; the entries' reasons are in its dead letters.
    reason: str = ""
    attempts: int = 1


def write_result(spool: Spool, batch: str, result: BatchResult) -> None:
    """Record how a batch ended. A later attempt overwrites an earlier one."""
    write_json(spool.result(batch), asdict(result))


def read_result(spool: Spool, batch: str) -> BatchResult | None:
    """How a batch ended; None: it is *spooled and not done*."""
    value = read_json(spool.result(batch))
    if value is None:
        return None
    return BatchResult(**{**value, "counts": Counts(**value["counts"])})


def unfinished_batches(spool: Spool, manifest: Manifest) -> Iterator[BatchRef]:
    """The batches that were not finished well: failed, killed, or never begun."""
    for ref in manifest.batches:
        result = read_result(spool, ref.key)
        if result is None or result.status == "failed":
            yield ref


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
        yield FailedBatch(
            partition_key(spool.spool_id, FETCH), spool, FETCH,
            "the extraction was interrupted; a backfill goes on where it stopped", 1, "", 0,
        )  # fmt: skip
        return
    for ref in unfinished_batches(spool, manifest):
        result = read_result(spool, ref.key)
        yield FailedBatch(
            partition_key(spool.spool_id, ref.key),
            spool,
            ref.key,
            result.reason if result else "its process ended before the batch was done (killed?)",
            result.attempts if result else 1,
            result.finished_at if result else "",
            result.counts.failed if result else 0,
        )


def write_run_facts(spool: Spool, facts: Mapping[str, Any]) -> None:
    """Keep what the run was asked for beside its spool, before the first page is fetched."""
    write_json(spool.root / "run.json", facts)


def read_run_facts(spool: Spool) -> dict[str, Any]:
    """What the run that opened the spool was asked for; {} if it was killed before it could say."""
    return read_json(spool.root / "run.json") or {}
