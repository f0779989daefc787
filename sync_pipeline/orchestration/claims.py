"""Who is at work on a sync, told from leases: a killed process tells Dagster nothing.

A run that was killed stays "started" in Dagster for ever. So each step holds the lease of its run;
a claim counts while its lease is renewed *and* Dagster has not ended the run. Host name and process
only help to end a lease early, where the process can be seen and is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import dagster as dg
import psutil

from sync_pipeline.config.environment import DEFAULT_LEASE_S
from sync_pipeline.errors import BusyError, LeaseLostError, SyncPipelineError
from sync_pipeline.model import utc_now
from sync_pipeline.orchestration.leases import Claim, Held, LeaseStore
from sync_pipeline.orchestration.leases.files import FileLeases
from sync_pipeline.orchestration.leases.keeping import is_at_work_here
from sync_pipeline.orchestration.leases.place import own_place, process_lives, started_at

#: Part of its time after which a lease that was not renewed is silent: three beats are missing.
SILENT_AFTER = 0.5
#: What a clock may be set back by before an age is not believed; file times are a little coarse.
_SKEW_S = 1.0
#: A launched run claims its sync within seconds; images that are pulled first take minutes.
START_PATIENCE = timedelta(minutes=15)
#: Unfinished runs without a lease that are looked at.
LOOKED_AT = 20

#: going: renewed lately; silent: late, and soon dead; dead: killed; over: ended in Dagster, too.
State = Literal["going", "silent", "dead", "over"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim, and whether its run is alive."""

    held: Held
    state: State

    @property
    def claim(self) -> Claim:
        """Whose."""
        return self.held.claim

    @property
    def text(self) -> str:
        """`run <id> (process 12 on host)`."""
        claim = self.claim
        return f"run {claim.run_id} (process {claim.pid} on {claim.host})"

    @property
    def verdict_in_s(self) -> float:
        """Seconds until a silent one is dead, unless it is renewed before."""
        return min(max(self.claim.lease_s - self.held.age_s, 0.0), self.claim.lease_s)


def lease_store(storage_dir: Path) -> LeaseStore:
    """Where the leases of all syncs are: this alone says which kind of store it is."""
    return FileLeases(storage_dir)


def build_claim(
    run_id: str,
    spool_id: str,
    *,
    is_backfill: bool,
    batch: str = "",
    is_child: bool = False,
    lease_s: float = DEFAULT_LEASE_S,
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
        lease_s: Seconds without renewal after which it is dead.

    Raises:
        SyncPipelineError: That process is gone: the run was killed while this step was starting.
    """
    parent = multiprocessing.parent_process() if is_child else None
    pid = parent.pid if parent is not None and parent.pid is not None else os.getpid()
    try:
        started = started_at(pid)
    except psutil.NoSuchProcess:
        raise SyncPipelineError(
            f"The process of this run ({pid}) is gone: it was killed, and this step did not begin. "
            f"Nothing is lost: re-execute from failure, or `sync-pipeline resume {run_id}`."
        ) from None
    host = socket.gethostname()
    return Claim(run_id, spool_id, is_backfill, host, pid, started, batch, own_place(), lease_s)


def claim_sync(
    instance: dg.DagsterInstance,
    storage_dir: Path,
    sync_key: str,
    claim: Claim,
    *,
    tell: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Enter a run as at work. Idempotent.

    Runs that are dead are ended, and taken over from. One that is silent is waited for until it is
    dead or gives a sign of life.

    Raises:
        BusyError: Another run of the sync is going that this one must not run beside.
        LeaseLostError: This run itself was taken for dead.
    """
    store = lease_store(storage_dir)
    watch = _Watch(clock)
    while True:
        with store.lock(sync_key):
            silent: list[Standing] = []
            if any(held.claim.run_id != claim.run_id for held in store.held(sync_key)):
                _end_killed_runs(instance, store, sync_key, watch.unheard, own=claim.run_id)
                silent = _refuse_beside_others(instance, store, sync_key, claim)
            _refuse_if_taken(store, sync_key, claim)
            if not silent:
                store.enter(sync_key, claim)
                return
        watch.wait(silent, tell, sleep)


def _refuse_beside_others(
    instance: dg.DagsterInstance, store: LeaseStore, sync_key: str, claim: Claim
) -> list[Standing]:
    """Those that stand in the way, though they are silent."""
    silent: list[Standing] = []
    for other in _look(instance, store, sync_key):
        is_other = other.claim.run_id != claim.run_id
        if not is_other or other.state == "over" or claim.gets_on_with(other.claim):
            continue
        if other.state == "going":
            what = "A backfill" if other.claim.is_backfill else "Another run"
            raise BusyError(
                f"{what} of {sync_key} is going (run {other.claim.run_id}, process "
                f"{other.claim.pid} on {other.claim.host}, heard of {_ago(other)} ago). Wait for "
                "it or end it, then launch this one again. If it was killed together with its "
                f"machine, it counts as dead {other.claim.lease_s:.0f} s after that, and a run "
                "that is launched then takes over."
            )
        silent.append(other)
    return silent


def _refuse_if_taken(store: LeaseStore, sync_key: str, claim: Claim) -> None:
    """A run whose steps were paused between two of them must not begin the next."""
    for held in store.held(sync_key):
        if held.is_taken and held.claim.run_id == claim.run_id:
            raise LeaseLostError(
                f"This run was not heard of for {claim.lease_s:.0f} s and was taken for dead. "
                f"`sync-pipeline resume {claim.run_id}` goes on with what is not done."
            )


class _Watch:
    """Waits for a verdict on silent leases: also by a clock of its own, as others may be wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: Run: the beat that was seen, and when it was seen first.
        self._seen: dict[str, tuple[str, float]] = {}
        #: Runs that were not heard of for the time of their lease while this has watched them.
        self.unheard: set[str] = set()

    def wait(
        self,
        silent: Collection[Standing],
        tell: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        now = self._clock()
        for one in silent:
            run_id, beat = one.claim.run_id, one.held.beat
            if run_id not in self._seen:
                tell(
                    f"{one.text} was not heard of for {_ago(one)}; waiting up to "
                    f"{one.verdict_in_s:.0f} s to see whether it is dead"
                )
            before = self._seen.get(run_id)
            since = before[1] if before is not None and before[0] == beat else now
            self._seen[run_id] = (beat, since)
            if now - since >= one.claim.lease_s:
                self.unheard.add(run_id)
        sleep(min(1.0, *(one.claim.lease_s / 10 for one in silent)))


def wait_for_verdicts(
    instance: dg.DagsterInstance,
    storage_dir: Path,
    sync_key: str,
    *,
    tell: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """End the runs that are dead, after waiting for those that may be; returns their ids."""
    store = lease_store(storage_dir)
    watch, ended = _Watch(clock), list[str]()
    while True:
        with store.lock(sync_key):
            ended += _end_killed_runs(instance, store, sync_key, watch.unheard)
            found = _look(instance, store, sync_key)
        silent = [one for one in found if one.state == "silent"]
        if not silent:
            return ended
        watch.wait(silent, tell, sleep)


def release_sync(storage_dir: Path, sync_key: str, run_id: str) -> None:
    """Take a run's claim back. Idempotent."""
    lease_store(storage_dir).forget(sync_key, run_id)


def live_claims(instance: dg.DagsterInstance, storage_dir: Path, sync_key: str) -> list[Claim]:
    """Claims of runs that are going, or may be; those of ended runs are removed."""
    return [one.claim for one in claims_at_work(instance, storage_dir, sync_key)]


def claims_at_work(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str
) -> list[Standing]:
    """Claims that are going or silent; those of ended runs are removed."""
    store = lease_store(storage_dir)
    found = _look(instance, store, sync_key)
    for one in found:
        if one.state == "over":
            store.forget(sync_key, one.claim.run_id)
    return [one for one in found if one.state in ("going", "silent")]


def report_killed_runs(instance: dg.DagsterInstance, storage_dir: Path, sync_key: str) -> list[str]:
    """End killed runs in Dagster's eyes too: the screen tells the truth. Returns their ids."""
    store = lease_store(storage_dir)
    if not store.held(sync_key):
        return _end_runs_without_a_step(instance, store, sync_key)
    with store.lock(sync_key):
        ended = _end_killed_runs(instance, store, sync_key, ())
    return ended + _end_runs_without_a_step(instance, store, sync_key)


def _end_killed_runs(
    instance: dg.DagsterInstance,
    store: LeaseStore,
    sync_key: str,
    unheard: Collection[str],
    *,
    own: str = "",
) -> list[str]:
    ended: list[str] = []
    for one in _look(instance, store, sync_key):
        claim = one.claim
        if claim.run_id == own:
            continue
        is_dead = one.state == "dead" or (one.state == "silent" and claim.run_id in unheard)
        # From here on its process, should it wake up, finds that it has lost its lease.
        if not is_dead or not store.take(sync_key, one.held):
            continue
        run = instance.get_run_by_id(claim.run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(
                run,
                f"This run was not heard of for {_ago(one)}, the last time from process "
                f"{claim.pid} on {claim.host}: it was killed, paused or cut off from the storage, "
                "or the machine was restarted. Nothing is lost: re-execute from failure, or "
                f"`sync-pipeline resume {claim.run_id}`.",
            )
            ended.append(claim.run_id)
        store.forget(sync_key, claim.run_id)
    return ended


def _look(instance: dg.DagsterInstance, store: LeaseStore, sync_key: str) -> list[Standing]:
    return [Standing(held, _state(instance, held)) for held in store.held(sync_key)]


def _state(instance: dg.DagsterInstance, held: Held) -> State:
    claim = held.claim
    run = instance.get_run_by_id(claim.run_id)
    if run is not None and run.is_finished:
        return "over"
    is_here = claim.place == own_place() if claim.place else claim.host == socket.gethostname()
    if run is None and (held.is_done or (is_here and _has_left(claim))):
        return "over"  # of another Dagster, which may have ended it, or of one that is gone
    if held.is_taken or held.age_s >= claim.lease_s:
        return "dead"
    if is_here and not process_lives(claim.pid, claim.process_started):
        return "dead"
    is_late = held.age_s >= SILENT_AFTER * claim.lease_s or held.age_s < -_SKEW_S
    return "silent" if is_late else "going"


def _has_left(claim: Claim) -> bool:
    """Whether a run of this very process is at no step: in one process one follows the other."""
    return claim.pid == os.getpid() and not is_at_work_here(claim.run_id)


def _ago(one: Standing) -> str:
    return f"{max(one.held.age_s, 0.0):.0f} s"


def _end_runs_without_a_step(
    instance: dg.DagsterInstance,
    store: LeaseStore,
    sync_key: str,
    now: datetime | None = None,
) -> list[str]:
    """End runs that were killed before their first step, and so never held a lease.

    Dagster starts no further run of a sync while one counts as started.
    """
    begun = [
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    records = instance.get_run_records(
        dg.RunsFilter(tags={"sync/key": sync_key}, statuses=begun), limit=LOOKED_AT
    )
    if not records:
        return []
    leased = {held.claim.run_id for held in store.held(sync_key)}
    ended: list[str] = []
    for record in records:
        run = record.dagster_run
        if run.run_id in leased or is_young(record, now or utc_now()):
            continue
        steps = instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1
        )
        if steps.records:  # its storage is another: whoever has that one knows
            continue
        instance.report_run_failed(
            run,
            f"This run has begun no step for {START_PATIENCE.total_seconds() / 60:.0f} minutes: it "
            "was killed while it was starting. Nothing is lost: launch the sync again.",
        )
        ended.append(run.run_id)
    return ended


def is_young(record: dg.RunRecord, now: datetime) -> bool:
    """Whether a run may still be about to claim its sync."""
    updated = record.update_timestamp
    aware = updated if updated.tzinfo else updated.replace(tzinfo=timezone.utc)
    return now - aware < START_PATIENCE
