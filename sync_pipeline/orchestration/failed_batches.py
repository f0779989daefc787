"""The dynamic partitions `<key>_failed_batches`: what is still failed, as Dagster shows it.

The spool is the truth; the partitions follow it. So the UI and `sync-pipeline failed` agree, and a
batch whose process was killed (no step ever reported) appears by itself at the next look.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from sync_pipeline.batches.facts import is_applied
from sync_pipeline.batches.layout import Spool, list_spools
from sync_pipeline.batches.results import FailedBatch, failed_batches_of
from sync_pipeline.errors import UsageError
from sync_pipeline.orchestration.claims import live_claims, report_killed_runs


def partitions_name(sync_key: str) -> str:
    """Name of the sync's dynamic partitions."""
    return f"{sync_key}_failed_batches"


def failed_batches(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, *, ending_run: str = ""
) -> list[FailedBatch]:
    """The batches of a sync that wait for a backfill; those of a run that is going are left out."""
    at_work = _spools_at_work(instance, storage_dir, sync_key, ending_run)
    return list(_waiting(storage_dir, sync_key, at_work))


def _waiting(storage_dir: Path, sync_key: str, at_work: set[str]) -> Iterator[FailedBatch]:
    for spool in list_spools(storage_dir, sync_key):
        if spool.spool_id not in at_work and is_applied(spool):
            yield from failed_batches_of(spool)


def reconcile_failed_batches(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, *, ending_run: str = ""
) -> list[FailedBatch]:
    """Make the partitions say what the spool says, and end killed runs in Dagster's eyes.

    Keys of runs that are going are left as they are: their batches are about to change.

    Args:
        instance: Whose partitions and runs.
        storage_dir: SYNC_STORAGE_DIR.
        sync_key: The sync.
        ending_run: A run that has done its work, though Dagster has not ended it yet.
    """
    report_killed_runs(instance, storage_dir, sync_key)
    # Once: a run that ends in between would be neither waiting nor at work, and lose its keys.
    at_work = _spools_at_work(instance, storage_dir, sync_key, ending_run)
    waiting = list(_waiting(storage_dir, sync_key, at_work))
    name = partitions_name(sync_key)
    going = {spool_id[:8] for spool_id in at_work}
    shown = set(instance.get_dynamic_partitions(name))
    wanted = {batch.partition_key for batch in waiting}
    if missing := sorted(wanted - shown):
        instance.add_dynamic_partitions(name, missing)
    for key in sorted(shown - wanted):
        if key.split("__", 1)[0] not in going:
            instance.delete_dynamic_partition(name, key)
    return waiting


def _spools_at_work(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, ending_run: str
) -> set[str]:
    return {
        claim.spool_id
        for claim in live_claims(instance, storage_dir, sync_key)
        if claim.run_id != ending_run
    }


def find_failed_batch(storage_dir: Path, sync_key: str, partition_key: str) -> tuple[Spool, str]:
    """The spool and batch of a partition key.

    Raises:
        UsageError: There is no such spool: it was cleaned, or the key is of another sync.
    """
    run_prefix, _, batch = partition_key.partition("__")
    for spool in list_spools(storage_dir, sync_key):
        if spool.spool_id[:8] == run_prefix and batch:
            return spool, batch
    raise UsageError(
        f"{partition_key} is not a failed batch of {sync_key}: its spool is not in {storage_dir}. "
        f"`sync-pipeline failed {sync_key}` lists the keys that are. Was the spool removed? Then "
        f"launch sync_{sync_key} again; it fetches the records anew."
    )
