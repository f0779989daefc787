"""Names and atomic writes: where each thing of a spool lies on disk."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sync_pipeline.errors import SpoolError
from sync_pipeline.private_files import open_private, unfinished_name

#: The one batch of a regular run.
WHOLE = "all"
#: Free space that is left to the rest of the machine: a full disk takes other programs down too.
RESERVED_DISK_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder of one extraction."""

    root: Path

    @property
    def spool_id(self) -> str:
        """Id of the run that fetched the records."""
        return self.root.name

    @property
    def sync_key(self) -> str:
        """Key of the sync."""
        return self.root.parent.name

    @property
    def database(self) -> Path:
        """Checkpoint and routed records."""
        return self.root / "extraction.sqlite"

    @property
    def seen(self) -> Path:
        """Which batch saw a key first."""
        return self.root / "seen.sqlite"

    @property
    def facts(self) -> Path:
        """What the run that fetched was asked for; written first."""
        return self.root / "run.json"

    @property
    def manifest(self) -> Path:
        """Exists once the extraction is whole."""
        return self.root / "manifest.json"

    @property
    def target(self) -> Path:
        """The content type and locales of the space."""
        return self.root / "target.json"

    def records(self, batch: str) -> Path:
        """The batch's own records."""
        return self.root / f"{batch}.jsonl"

    def routed(self, batch: str) -> Path:
        """Records of later batches whose key this batch saw first."""
        return self.root / f"{batch}.routed.jsonl"

    def desired(self, batch: str) -> Path:
        """Desired entries, after transform."""
        return self.root / f"{batch}.desired.jsonl"

    def dead_letters(self, batch: str) -> Path:
        """What failed, after upsert."""
        return self.root / f"{batch}.dead.jsonl"

    def mapping_failures(self, batch: str) -> Path:
        """What failed in transform; upsert adds its own and writes `dead_letters`."""
        return self.root / f"{batch}.unmapped.jsonl"

    def outcomes(self, batch: str) -> Path:
        """What a batch was about to write and has written: later attempts count it as done here.

        The last line about a key holds.
        """
        return self.root / f"{batch}.outcomes.jsonl"

    def stopped(self, run_id: str) -> Path:
        """Says why a run's batches need not be attempted: the space or source is out of reach."""
        return self.root / f"{run_id}.stopped"

    @property
    def handles(self) -> Path:
        """What the steps of the runs over this spool pass on."""
        return self.root / "handles"

    @property
    def results(self) -> Path:
        """How the batches ended."""
        return self.root / "results.sqlite"


def batch_name(number: int) -> str:
    """`batch_000042`; fits Dagster's mapping keys and sorts by number."""
    return f"batch_{number:06d}"


def spool_of(storage_dir: Path, sync_key: str, spool_id: str) -> Spool:
    """The spool of one run; nothing is created."""
    return Spool(storage_dir / "spool" / sync_key / spool_id)


def list_spools(storage_dir: Path, sync_key: str | None = None) -> list[Spool]:
    """All spools, of one sync or of all, oldest first."""
    pattern = f"{sync_key or '*'}/*/run.json"
    found = [Spool(path.parent) for path in (storage_dir / "spool").glob(pattern)]
    return sorted(found, key=lambda spool: (spool.facts.stat().st_ctime, spool.spool_id))


def list_folders(storage_dir: Path, sync_key: str | None = None) -> list[Spool]:
    """All spools, and what is left of others."""
    found = (storage_dir / "spool").glob(f"{sync_key or '*'}/*")
    return [Spool(path) for path in sorted(found) if path.is_dir()]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a small JSON file so that it is there whole or not at all, also after a power cut."""
    with disk_errors(path):
        temporary = unfinished_name(path)
        with open_private(temporary, "w", encoding="ascii") as file:
            json.dump(value, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file of ours, or None where there is none."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    try:
        value: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise SpoolError(f"{path} is damaged: {error}. Run the sync anew.") from error
    return value


def ensure_disk_space(directory: Path, needed_bytes: int = 0) -> None:
    """Refuse to write when the disk would be left nearly full.

    Raises:
        SpoolError: Names the folder, what is free and what to do; nothing was written.
    """
    free = psutil.disk_usage(str(directory)).free
    if free - needed_bytes < RESERVED_DISK_BYTES:
        raise SpoolError(
            f"{directory} has {free // 1024**2} MB free, too little to go on spooling. Make room "
            "(`sync-pipeline clean` removes finished runs) or set SYNC_STORAGE_DIR elsewhere, "
            "then resume the run: finished pages are kept."
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk says into a `SpoolError` that says what to do."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if isinstance(error, OSError):
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = error.strerror or str(error)
        else:
            is_full = "full" in str(error)
            reason = str(error)
            if "locked" in reason:
                reason += "; another process holds it, and may be paused: let it go on or end it"
        if is_full:
            raise SpoolError(
                f"The disk is full at {path}. Make room (`sync-pipeline clean`), then resume the "
                "run: finished pages are kept."
            ) from error
        raise SpoolError(f"{path} cannot be written: {reason}") from error
