"""Leases as files: `claims/<sync>/<run>.json` says whose, `<run>.beat` when it was renewed last.

A holder writes the beat and then looks whether its lease is still there; who takes a lease renames
it and then looks whether the beat is still the one that was found. So either the taker sees that
the holder lives, or the holder that its lease is gone, in whatever order the two are carried out.

Ages are told by the monotonic clock between processes of one machine, which cannot be set, and else
by the times that the file system itself gives to files, never by comparing the clocks of two hosts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sync_pipeline.batches.layout import disk_errors, write_json
from sync_pipeline.errors import BusyError
from sync_pipeline.orchestration.leases import Claim, Held
from sync_pipeline.orchestration.leases.place import own_boot
from sync_pipeline.private_files import (
    FILE_MODE,
    create_private,
    make_private_folder,
    open_private,
    unfinished_name,
)

#: Claiming takes milliseconds; a process that was paused in it must not stop the others for ever.
LOCK_TIMEOUT_S = 60.0


class FileLeases:
    """Leases below a storage directory.

    Args:
        storage_dir: SYNC_STORAGE_DIR.
        clock: Monotonic, the same for all processes of this machine.
        boot: Tells this machine, since its start, from others.
    """

    def __init__(
        self,
        storage_dir: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
    ) -> None:
        self._root = storage_dir / "claims"
        self._clock = clock
        self._boot = own_boot() if boot is None else boot

    @contextmanager
    def lock(self, sync_key: str) -> Iterator[None]:
        """Nobody else claims the sync while this is held."""
        folder = self._root / sync_key
        with disk_errors(folder):
            make_private_folder(folder)
        lock = FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_S, mode=FILE_MODE)
        try:
            lock.acquire()
        except Timeout:
            raise BusyError(
                f"Somebody has been claiming {sync_key} for {LOCK_TIMEOUT_S:.0f} s, which takes "
                f"milliseconds: a process that is paused? Look who has {folder / '.lock'} open, "
                "let it go on or end it, then launch this run again."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def sync_keys(self) -> list[str]:
        """Syncs that have leases."""
        found = (*self._root.glob("*/*.json"), *self._root.glob("*/*.taken"))
        return sorted({path.parent.name for path in found})

    def enter(self, sync_key: str, claim: Claim) -> None:
        """Begin or go on with a lease, as renewed now."""
        path = self._path(sync_key, claim.run_id, "json")
        with disk_errors(path):
            make_private_folder(path.parent)
        if _read(path) != asdict(claim):
            write_json(path, asdict(claim))
        self._beat(sync_key, claim.run_id, is_done=False)

    def renew(self, sync_key: str, run_id: str, *, is_done: bool = False) -> bool:
        """Renew a lease; False where it is not held any more."""
        path = self._path(sync_key, run_id, "json")
        if not path.exists():
            return False
        self._beat(sync_key, run_id, is_done=is_done)
        if path.exists():  # looked at after the beat: see above
            return True
        self._path(sync_key, run_id, "beat").unlink(missing_ok=True)
        return False

    def held(self, sync_key: str) -> list[Held]:
        """All leases of a sync, by run id."""
        folder = self._root / sync_key
        found: list[Held] = []
        for path in sorted((*folder.glob("*.json"), *folder.glob("*.taken"))):
            held = self._find(path)
            if held is not None:
                found.append(held)
        return found

    def take(self, sync_key: str, held: Held) -> bool:
        """Take a lease from its holder, unless it was renewed since it was found."""
        if held.is_taken:
            return True
        path = self._path(sync_key, held.claim.run_id, "json")
        taken = path.with_suffix(".taken")
        try:
            path.rename(taken)
        except FileNotFoundError:  # by somebody else, or given back
            return False
        now = self._find(taken)
        if now is None or now.beat == held.beat:
            return True
        with suppress(FileNotFoundError):
            taken.rename(path)
        return False

    def forget(self, sync_key: str, run_id: str) -> None:
        """Remove a lease."""
        for suffix in ("json", "taken", "beat"):
            self._path(sync_key, run_id, suffix).unlink(missing_ok=True)

    def _path(self, sync_key: str, run_id: str, suffix: str) -> Path:
        return self._root / sync_key / f"{run_id}.{suffix}"

    def _beat(self, sync_key: str, run_id: str, *, is_done: bool) -> None:
        path = self._path(sync_key, run_id, "beat")
        temporary = unfinished_name(path)
        beat = os.urandom(8).hex()
        value = {"beat": beat, "boot": self._boot, "at": self._clock(), "is_done": is_done}
        with disk_errors(path):
            with open_private(temporary, "w", encoding="ascii") as file:
                json.dump(value, file)
            temporary.replace(path)

    def _find(self, path: Path) -> Held | None:
        """A lease whose age is told; None where it is gone, or no lease."""
        value = _read(path)
        if value is None:
            return None
        try:
            claim = Claim(**value)
        except TypeError:  # of another version
            return None
        beat_path = path.with_suffix(".beat")
        beat = _read(beat_path)
        is_taken = path.suffix == ".taken"
        if beat is None:  # of a version without beats, or killed while it was entered
            age = self._age_of_file(path)
            return None if age is None else Held(claim, "", age, is_taken=is_taken)
        if beat.get("boot") == self._boot and self._boot:
            age = self._clock() - float(beat["at"])
        else:
            age = self._age_of_file(beat_path) or 0.0
        return Held(claim, str(beat["beat"]), age, bool(beat.get("is_done")), is_taken)

    def _age_of_file(self, path: Path) -> float | None:
        """By the clock of whoever keeps the files: that of a file written now is looked at, too."""
        probe = unfinished_name(path)
        try:
            written = _modified(path)
            create_private(probe)
            now = _modified(probe)
        except FileNotFoundError:
            return None
        finally:
            probe.unlink(missing_ok=True)
        return now - written


def _modified(path: Path) -> float:
    with path.open("rb") as file:  # a network file system looks anew when a file is opened
        return os.fstat(file.fileno()).st_mtime


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None
