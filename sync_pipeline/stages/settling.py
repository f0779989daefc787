"""Settle what failed in earlier runs, key by key: a key that fails again is one failure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sync_pipeline.batches.facts import RunFacts, read_run_facts
from sync_pipeline.batches.layout import Spool, list_spools
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.batches.reading import read_keys
from sync_pipeline.batches.results import (
    FETCH,
    BatchResult,
    read_result,
    unfinished_batches,
    write_result,
)
from sync_pipeline.batches.seen import keys_not_in
from sync_pipeline.errors import SpoolError
from sync_pipeline.load.ledger import Ledger
from sync_pipeline.model import BatchRef, Counts
from sync_pipeline.stages.setting import Setting, open_sync_ledger

#: Keys that are looked up at a time.
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class _Newer:
    """What is known of keys by now."""

    setting: Setting
    #: Of the run that has come to its end.
    manifest: Manifest
    ledger: Ledger

    @property
    def is_whole(self) -> bool:
        """Whether the run read all that the source has."""
        return not self.manifest.run.options.limit


def settle_older_batches(setting: Setting) -> list[str]:
    """Settle failed batches of earlier runs whose every key has been done since.

    A key is done if a later extraction has written it, or if this run has fetched it: then newer
    data is there, or waits in a failed batch of this run, which is listed. So it does not matter
    which batches of this run are red. What is done of a batch that stays open is noted.

    Returns:
        `<spool id>/<batch>` of what was settled.

    Raises:
        SpoolError: The ledger cannot be read.
    """
    manifest = read_manifest(setting.spool)
    if manifest is None or not manifest.run.options.apply:
        return []
    settled: list[str] = []
    setting.guard()
    with open_sync_ledger(setting) as ledger:
        newer = _Newer(setting, manifest, ledger)
        for older, facts in _older_spools(setting, manifest.run):
            older_manifest = read_manifest(older)
            if older_manifest is None:
                if newer.is_whole and _settle_fetch(setting, older):
                    settled.append(f"{older.spool_id}/{FETCH}")
                continue
            settled += [
                f"{older.spool_id}/{ref.key}"
                for ref in unfinished_batches(older, older_manifest)
                if _settle_batch(newer, older, ref, facts.extraction)
            ]
    return settled


def settle_older_fetches(setting: Setting) -> list[str]:
    """Settle interrupted extractions of earlier runs by one that was interrupted, too.

    Its replay fetches from the start all that theirs would, and it is listed itself. Returns the
    ids of their spools.
    """
    facts = read_run_facts(setting.spool)
    if facts is None or not facts.options.apply or facts.options.limit:
        return []
    if read_manifest(setting.spool) is not None:
        return []
    return [
        older.spool_id
        for older, _ in _older_spools(setting, facts)
        if read_manifest(older) is None and _settle_fetch(setting, older)
    ]


def _older_spools(setting: Setting, run: RunFacts) -> Iterator[tuple[Spool, RunFacts]]:
    """Spools of earlier applied runs of the sync, into the same space, with what they were asked.

    Those into another space are numbered by another ledger.
    """
    for older in list_spools(setting.storage_dir, setting.config.key):
        facts = read_run_facts(older)
        if facts is not None and facts.options.apply and facts.is_older_than(run):
            yield older, facts


def _settle_batch(newer: _Newer, older: Spool, ref: BatchRef, extraction: int) -> bool:
    """Whether the batch is settled now; one whose keys are not all done is told what is."""
    setting = newer.setting
    try:
        done, missing = _count_keys(newer, older, ref, extraction)
    except SpoolError as error:
        # Its records are gone or damaged: nobody can replay it, and what it tells its reader is to
        # run the sync anew, which this run has done.
        setting.log.warning("%s: %s", setting.config.key, error)
        done, missing = 0, 0 if newer.is_whole else 1
    if not missing:
        write_result(older, ref.key, _superseded(setting, ref.records))
        return True
    result = read_result(older, ref.key)
    if result is not None and result.done_since != done:
        write_result(older, ref.key, replace(result, done_since=done))
    return False


def _count_keys(newer: _Newer, older: Spool, ref: BatchRef, extraction: int) -> tuple[int, int]:
    """Keys of a batch that are done by now, and those that are not."""
    done = missing = 0
    keys = read_keys(older, ref)
    while chunk := list(itertools.islice(keys, _CHUNK)):
        wanted = set(filter(None, chunk))
        left = set(keys_not_in(newer.setting.spool.seen, wanted)) if newer.is_whole else wanted
        left -= newer.ledger.newer_than(left, extraction)
        done, missing = done + len(wanted) - len(left), missing + len(left)
        if not newer.is_whole:  # records without a key can be told from nobody's
            missing += chunk.count("")
    return done, missing


def _settle_fetch(setting: Setting, older: Spool) -> bool:
    fetched = read_result(older, FETCH)
    if fetched is not None and fetched.status == "superseded":
        return False
    write_result(older, FETCH, _superseded(setting, 0))
    return True


def _superseded(setting: Setting, records: int) -> BatchResult:
    return BatchResult(
        status="superseded",
        counts=Counts(records=records, superseded=records),
        run_id=setting.run_id,
        finished_at=setting.clock().isoformat(timespec="milliseconds"),
    )
