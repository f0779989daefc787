"""Whose run is alive, who may begin, and who waits: by leases, whatever host they are from."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus

from sync_pipeline.errors import BusyError, LeaseLostError
from sync_pipeline.model import utc_now
from sync_pipeline.orchestration import claims
from sync_pipeline.orchestration.claims import (
    START_PATIENCE,
    build_claim,
    claim_sync,
    claims_at_work,
    live_claims,
    report_killed_runs,
    wait_for_verdicts,
)
from sync_pipeline.orchestration.leases import Claim
from sync_pipeline.orchestration.leases.files import FileLeases
from sync_pipeline_tests.orchestration.test_leases import Clock, set_back

KEY = "products"
ELSEWHERE = {"host": "container-1", "place": "other boot pid:[1]"}
GONE = 2**22 + 1


class Instance:
    """As much of Dagster's instance as claims ask for."""

    def __init__(self) -> None:
        self.runs: dict[str, DagsterRun] = {}
        self.reasons: dict[str, str] = {}

    def add(self, run_id: str, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> None:
        self.runs[run_id] = DagsterRun(job_name="sync_products", run_id=run_id, status=status)

    def get_run_by_id(self, run_id: str) -> DagsterRun | None:
        return self.runs.get(run_id)

    def get_run_records(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def report_run_failed(self, run: DagsterRun, reason: str) -> None:
        self.add(run.run_id, DagsterRunStatus.FAILURE)
        self.reasons[run.run_id] = reason


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance() -> Any:
    return Instance()


@pytest.fixture
def leases(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FileLeases:
    """The store of all calls, with a clock that the test moves on."""
    store = FileLeases(tmp_path, clock=clock, boot="one boot")
    monkeypatch.setattr(claims, "lease_store", lambda _: store)
    return store


def claim_of(run_id: str, **changes: Any) -> Claim:
    own = asdict(build_claim(run_id, run_id, is_backfill=False))
    return Claim(**{**own, **changes})


def state_of(instance: Any, tmp_path: Path, leases: FileLeases) -> str:
    (one,) = claims._look(instance, leases, KEY)
    return one.state


# ---------------------------------------------------------------- alive or dead


@pytest.mark.parametrize(
    ("changes", "age_s", "state"),
    [
        pytest.param({}, 0, "going", id="here, heard of"),
        pytest.param({}, 16, "silent", id="here, late"),
        pytest.param({}, 30, "dead", id="here and there, but paused"),
        pytest.param({"pid": GONE}, 0, "dead", id="here, process gone"),
        pytest.param({"process_started": 1.0}, 0, "dead", id="here, pid of another process now"),
        pytest.param({"host": "renamed"}, 0, "going", id="here, under another host name"),
        pytest.param({"host": "renamed", "pid": GONE}, 0, "dead", id="gone, under another name"),
        pytest.param(ELSEWHERE, 14, "going", id="elsewhere, heard of"),
        pytest.param(ELSEWHERE, 29, "silent", id="elsewhere, late"),
        pytest.param(ELSEWHERE, 31, "dead", id="elsewhere, not heard of for its time"),
        pytest.param({**ELSEWHERE, "pid": GONE}, 1, "going", id="elsewhere, its pid means nothing"),
        pytest.param(
            {**ELSEWHERE, "host": socket.gethostname()}, 31, "dead", id="elsewhere, same host name"
        ),
        pytest.param({**ELSEWHERE, "lease_s": 90.0}, 31, "going", id="elsewhere, a longer lease"),
        pytest.param(
            {"place": "", "host": "x", "pid": GONE}, 1, "going", id="no place, other host"
        ),
        pytest.param({"place": "", "pid": GONE}, 1, "dead", id="no place, this host"),
    ],
)
def test_a_run_is_alive_while_its_lease_is_renewed(
    leases: FileLeases,
    instance: Any,
    clock: Clock,
    tmp_path: Path,
    changes: dict[str, Any],
    age_s: float,
    state: str,
) -> None:
    instance.add("r1")
    leases.enter(KEY, claim_of("r1", **changes))
    clock.now += age_s
    assert state_of(instance, tmp_path, leases) == state
    at_work = [one.state for one in claims_at_work(instance, tmp_path, KEY)]
    assert at_work == ([state] if state != "dead" else [])


@pytest.mark.parametrize("shift_s", [31.0, 3600.0, 86400.0])
def test_a_claim_of_the_version_before_under_another_host_name_is_dead_after_its_time(
    leases: FileLeases, instance: Any, tmp_path: Path, shift_s: float
) -> None:
    instance.add("old")
    value = {**asdict(claim_of("old")), "host": "container-1", "pid": 1}
    for name in ("place", "lease_s"):
        del value[name]
    folder = tmp_path / "claims" / KEY
    folder.mkdir(parents=True)
    (folder / "old.json").write_text(json.dumps(value), encoding="ascii")
    assert state_of(instance, tmp_path, leases) == "going"
    set_back(tmp_path, shift_s)
    assert report_killed_runs(instance, tmp_path, KEY) == ["old"]
    assert "process 1 on container-1" in instance.reasons["old"]
    assert "sync-pipeline resume old" in instance.reasons["old"]
    assert not list(folder.glob("old.*"))


@pytest.mark.parametrize(
    ("is_known", "is_done", "changes", "state"),
    [
        pytest.param(True, False, {}, "over", id="Dagster has ended it"),
        pytest.param(False, False, ELSEWHERE, "going", id="a run of another Dagster"),
        pytest.param(False, True, ELSEWHERE, "over", id="of another, which has done its work"),
        pytest.param(False, False, {}, "over", id="of this process, at no step"),
        pytest.param(False, False, {"pid": GONE}, "dead", id="of another process, gone"),
    ],
)
def test_a_lease_of_a_run_that_dagster_has_ended_or_does_not_know(
    leases: FileLeases,
    instance: Any,
    tmp_path: Path,
    is_known: bool,
    is_done: bool,
    changes: dict[str, Any],
    state: str,
) -> None:
    if is_known:
        instance.add("r1", DagsterRunStatus.SUCCESS)
    leases.enter(KEY, claim_of("r1", **changes))
    leases.renew(KEY, "r1", is_done=is_done)
    assert state_of(instance, tmp_path, leases) == state
    live = live_claims(instance, tmp_path, KEY)
    assert [claim.run_id for claim in live] == (["r1"] if state == "going" else [])
    assert report_killed_runs(instance, tmp_path, KEY) == []
    assert bool(leases.held(KEY)) is (state == "going")


def test_whoever_is_killed_while_ending_a_dead_run_is_made_good_by_the_next(
    leases: FileLeases, instance: Any, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add("r1")
    leases.enter(KEY, claim_of("r1", **ELSEWHERE))
    clock.now += 31

    def be_killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(instance, "report_run_failed", be_killed)
        with pytest.raises(KeyboardInterrupt):
            report_killed_runs(instance, tmp_path, KEY)
    assert not leases.renew(KEY, "r1"), "it is taken already"
    assert report_killed_runs(instance, tmp_path, KEY) == ["r1"]
    assert leases.held(KEY) == []


# ---------------------------------------------------------------- claiming


def claiming(
    instance: Any, tmp_path: Path, clock: Clock, on_sleep: Callable[[], None] = lambda: None
) -> tuple[list[str], list[float]]:
    """Claim for r2, with a sleep that moves the clock on; what was told, and slept."""
    told: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        on_sleep()

    claim_sync(instance, tmp_path, KEY, claim_of("r2"), tell=told.append, sleep=sleep, clock=clock)
    return told, slept


@pytest.fixture
def two(instance: Any, leases: FileLeases) -> None:
    """r1 is at work elsewhere; r2 would begin."""
    instance.add("r1")
    instance.add("r2")
    leases.enter(KEY, claim_of("r1", **ELSEWHERE))


def test_a_run_that_was_heard_of_lately_is_not_taken_over_from(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    clock.now += 3
    with pytest.raises(BusyError, match=r"run r1, process \d+ on container-1, heard of 3 s ago"):
        claiming(instance, tmp_path, clock)
    assert instance.reasons == {}


def test_a_dead_run_is_ended_and_taken_over_from_at_once(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    clock.now += 30
    assert claiming(instance, tmp_path, clock) == ([], [])
    assert "not heard of for 30 s" in instance.reasons["r1"]
    assert [held.claim.run_id for held in leases.held(KEY)] == ["r2"]
    assert not leases.renew(KEY, "r1")


def test_a_silent_run_is_waited_for_until_it_is_dead(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    clock.now += 20
    told, slept = claiming(instance, tmp_path, clock)
    assert len(told) == 1
    assert "not heard of for 20 s; waiting up to 10 s" in told[0]
    assert sum(slept) == pytest.approx(10)
    assert instance.runs["r1"].status is DagsterRunStatus.FAILURE


def test_a_silent_run_that_gives_a_sign_of_life_goes_on(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    clock.now += 20
    with pytest.raises(BusyError, match="r1"):
        claiming(instance, tmp_path, clock, lambda: leases.renew(KEY, "r1") and None)
    assert instance.reasons == {}


def test_a_run_whose_files_are_of_a_time_to_come_is_watched_by_ones_own_clock(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The clock of the files was set back an hour: an age of minus an hour tells nothing."""
    set_back(tmp_path, -3600)
    other = FileLeases(tmp_path, clock=clock, boot="another boot")
    monkeypatch.setattr(claims, "lease_store", lambda _: other)
    _, slept = claiming(instance, tmp_path, clock)
    assert sum(slept) == pytest.approx(30, abs=1.5)
    assert instance.runs["r1"].status is DagsterRunStatus.FAILURE


def test_verdicts_are_waited_for_without_claiming(
    two: None, instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    clock.now += 25

    def sleep(seconds: float) -> None:
        clock.now += seconds

    assert wait_for_verdicts(instance, tmp_path, KEY, sleep=sleep, clock=clock) == ["r1"]
    assert wait_for_verdicts(instance, tmp_path, KEY, sleep=sleep, clock=clock) == []


def test_a_run_claims_again_with_every_step_however_long_that_takes(
    instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    instance.add("r2")
    claiming(instance, tmp_path, clock)
    clock.now += 100
    claiming(instance, tmp_path, clock)
    assert instance.reasons == {}
    assert state_of(instance, tmp_path, leases) == "going"


def test_a_run_that_was_taken_for_dead_between_two_steps_does_not_begin_the_next(
    instance: Any, leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    instance.add("r2")
    claiming(instance, tmp_path, clock)
    (held,) = leases.held(KEY)
    leases.take(KEY, held)
    with pytest.raises(LeaseLostError, match="sync-pipeline resume r2"):
        claiming(instance, tmp_path, clock)


# ---------------------------------------------------------------- runs that never began a step


class Records(Instance):
    """Runs that Dagster shows as started, and the first step of each."""

    age = 2 * START_PATIENCE
    has_step = False

    def get_run_records(self, *_: Any, **__: Any) -> list[Any]:
        at = utc_now() - self.age
        return [
            dg.RunRecord(storage_id=1, dagster_run=run, create_timestamp=at, update_timestamp=at)
            for run in self.runs.values()
            if not run.is_finished
        ]

    def get_records_for_run(self, *_: Any, **__: Any) -> Any:
        class Found:
            records = ["a step"] if self.has_step else []

        return Found()


@pytest.mark.parametrize(
    ("age", "has_step", "is_leased", "is_ended"),
    [
        pytest.param(2 * START_PATIENCE, False, False, True, id="killed while it was starting"),
        pytest.param(timedelta(), False, False, False, id="starting"),
        pytest.param(2 * START_PATIENCE, True, False, False, id="at work in another storage"),
        pytest.param(2 * START_PATIENCE, False, True, False, id="waiting in its first claim"),
    ],
)
def test_a_run_that_was_killed_before_its_first_step_blocks_nobody_for_ever(
    leases: FileLeases,
    tmp_path: Path,
    age: timedelta,
    has_step: bool,
    is_leased: bool,
    is_ended: bool,
) -> None:
    instance: Any = Records()
    instance.age, instance.has_step = age, has_step
    instance.add("r1")
    if is_leased:
        leases.enter(KEY, claim_of("r1"))
    assert report_killed_runs(instance, tmp_path, KEY) == (["r1"] if is_ended else [])
    assert instance.runs["r1"].is_finished is is_ended


def test_what_a_claim_says_is_of_this_process() -> None:
    claim = build_claim("r", "s", is_backfill=False, lease_s=7)
    assert (claim.pid, claim.host, claim.lease_s) == (os.getpid(), socket.gethostname(), 7)
    if psutil.LINUX:
        assert claim.place
