"""Who is at work on a sync: told from files, because a killed process tells Dagster nothing.

A run that was killed stays "started" in Dagster for ever. Each step therefore notes the process
that drives its run; a claim counts while that process lives *and* Dagster has not ended the run.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import psutil
from filelock import FileLock

from sync_pipeline.batches.layout import write_json
from sync_pipeline.batches.results import FETCH
from sync_pipeline.errors import BusyError, SyncPipelineError
from sync_pipeline.private_files import FILE_MODE, make_private_folder

#: Linux counts in hundredths.
_SAME_START_S = 0.1


@dataclass(frozen=True, slots=True)
class Claim:
    """A run at work on a sync."""

    run_id: str
    spool_id: str
    is_backfill: bool
    host: str
    pid: int
    #: Of the process (`_start_of`): a pid alone may be somebody else's by now.
    process_started: float
    #: That a backfill replays, or `fetch`.
    batch: str = ""

    def gets_on_with(self, other: Claim) -> bool:
        """Whether two runs may work at the same time: only on batches that share no key.

        Batches of one extraction do not. Those of two may, and then one of the two would take what
        the other has just written for an editor's draft, and older data might be written last.
        """
        return (
            self.is_backfill
            and other.is_backfill
            and self.spool_id == other.spool_id
            and self.batch != other.batch
            and FETCH not in (self.batch, other.batch)
        )


def build_claim(
    run_id: str, spool_id: str, *, is_backfill: bool, batch: str = "", is_child: bool = False
) -> Claim:
    """A claim of the process that drives this run.

    Args:
        run_id: Dagster's id of the run.
        spool_id: The spool that it works on.
        is_backfill: A sync runs alone, some backfills beside each other.
        batch: That a backfill replays, or `fetch`.
        is_child: The step has a process of its own, so that the parent drives the run. It cannot be
            told from the process: the parent of a run that the UI launched is the code server,
            which outlives the run and may be ended before it.

    Raises:
        SyncPipelineError: That process is gone: the run was killed while this step was starting.
    """
    parent = multiprocessing.parent_process() if is_child else None
    pid = parent.pid if parent is not None and parent.pid is not None else os.getpid()
    try:
        started = _start_of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        raise SyncPipelineError(
            f"The process of this run ({pid}) is gone: it was killed, and this step did not begin. "
            f"Nothing is lost: re-execute from failure, or `sync-pipeline resume {run_id}`."
        ) from None
    return Claim(run_id, spool_id, is_backfill, socket.gethostname(), pid, started, batch)


def claim_sync(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, claim: Claim
) -> None:
    """Enter a run as at work. Idempotent.

    Raises:
        BusyError: Another run of the sync is going that this one must not run beside.
    """
    folder = storage_dir / "claims" / sync_key
    make_private_folder(folder)
    with FileLock(folder / ".lock", mode=FILE_MODE):
        for other in live_claims(instance, storage_dir, sync_key):
            if other.run_id == claim.run_id or claim.gets_on_with(other):
                continue
            what = "A backfill" if other.is_backfill else "Another run"
            raise BusyError(
                f"{what} of {sync_key} is going (run {other.run_id}, process {other.pid} on "
                f"{other.host}). Wait for it or end it, then launch this one again."
            )
        write_json(folder / f"{claim.run_id}.json", asdict(claim))


def release_sync(storage_dir: Path, sync_key: str, run_id: str) -> None:
    """Take a run's claim back. Idempotent."""
    (storage_dir / "claims" / sync_key / f"{run_id}.json").unlink(missing_ok=True)


def live_claims(instance: dg.DagsterInstance, storage_dir: Path, sync_key: str) -> list[Claim]:
    """Claims of runs that are really going; those of ended runs are removed."""
    going: list[Claim] = []
    for path in sorted((storage_dir / "claims" / sync_key).glob("*.json")):
        claim = _read_claim(path)
        if claim is None:
            continue
        if is_going(instance, claim):
            going.append(claim)
            continue
        run = instance.get_run_by_id(claim.run_id)
        if run is None or run.is_finished:  # a killed one stays until it is reported
            path.unlink(missing_ok=True)
    return going


def is_going(instance: dg.DagsterInstance, claim: Claim) -> bool:
    """Whether the run is unfinished and its process lives; a run of another host is believed."""
    run = instance.get_run_by_id(claim.run_id)
    if run is None or run.is_finished:
        return False
    if claim.host != socket.gethostname():
        return True
    return process_lives(claim.pid, claim.process_started)


def process_lives(pid: int, started: float) -> bool:
    """Whether that very process is there and is more than a zombie."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        same = abs(_start_of(process) - started) < _SAME_START_S
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _start_of(process: psutil.Process) -> float:
    """When a process began, in seconds: the same whenever and by whomever it is asked.

    Linux counts from the start of the machine. What psutil adds to that moves with the clock, and a
    run must not count as killed because the clock was set.
    """
    started = float(process.create_time())
    return started - psutil.boot_time() if psutil.LINUX else started


def dead_claims(instance: dg.DagsterInstance, storage_dir: Path, sync_key: str) -> Iterator[Claim]:
    """Claims whose process is gone while Dagster still shows the run as going: it was killed."""
    for path in sorted((storage_dir / "claims" / sync_key).glob("*.json")):
        claim = _read_claim(path)
        if claim is None:
            continue
        run = instance.get_run_by_id(claim.run_id)
        if run is not None and not run.is_finished and not is_going(instance, claim):
            yield claim


def report_killed_runs(instance: dg.DagsterInstance, storage_dir: Path, sync_key: str) -> list[str]:
    """End killed runs in Dagster's eyes too: the screen tells the truth. Returns their ids."""
    killed: list[str] = []
    for claim in list(dead_claims(instance, storage_dir, sync_key)):
        run = instance.get_run_by_id(claim.run_id)
        if run is None:
            continue
        instance.report_run_failed(
            run,
            f"The process of this run ({claim.pid} on {claim.host}) is gone: it was killed or the "
            "machine was restarted. Nothing is lost: re-execute from failure, or "
            f"`sync-pipeline resume {claim.run_id}`.",
        )
        release_sync(storage_dir, sync_key, claim.run_id)
        killed.append(claim.run_id)
    return killed


def _read_claim(path: Path) -> Claim | None:
    try:
        return Claim(**json.loads(path.read_text(encoding="ascii")))
    except (FileNotFoundError, ValueError):
        return None
