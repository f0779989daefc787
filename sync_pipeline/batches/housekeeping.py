"""Remove what finished runs left on disk; failed batches stay until they are backfilled."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sync_pipeline.batches.facts import is_applied
from sync_pipeline.batches.layout import Spool, list_folders
from sync_pipeline.batches.results import failed_batches_of

RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Removed:
    """A spool that was (or would be) removed."""

    spool: Spool
    bytes: int


def clean_spools(
    storage_dir: Path,
    *,
    now: datetime,
    is_going: Callable[[str], bool],
    retention: timedelta = RETENTION,
    sync_key: str | None = None,
    dry_run: bool = False,
) -> Iterator[Removed]:
    """Remove the spools of finished runs that are older than `retention`.

    Args:
        storage_dir: SYNC_STORAGE_DIR.
        now: The current time, aware.
        is_going: Whether a run, by its id, is still going.
        retention: Age below which everything stays.
        sync_key: Only this sync.
        dry_run: Yield what would go, remove nothing.

    A spool with a failed batch stays whatever its age; so does that of a run that is going.
    """
    for spool in list_folders(storage_dir, sync_key):
        if is_going(spool.spool_id):  # and makes and removes files meanwhile
            continue
        newest = max((p.stat().st_mtime for p in spool.root.iterdir()), default=0.0)
        if now - datetime.fromtimestamp(newest, tz=now.tzinfo) < retention:
            continue
        if keeps_failed_batches(spool):
            continue
        size = sum(path.stat().st_size for path in spool.root.rglob("*") if path.is_file())
        if not dry_run:
            # First: without it this is no spool. A kill in the middle must not leave one whose
            # results are gone, so that its batches count as failed.
            spool.facts.unlink(missing_ok=True)
            shutil.rmtree(spool.root)
        yield Removed(spool, size)


def keeps_failed_batches(spool: Spool) -> bool:
    """Whether a backfill still needs this spool. Dry runs leave nothing to backfill."""
    return is_applied(spool) and any(True for _ in failed_batches_of(spool))
