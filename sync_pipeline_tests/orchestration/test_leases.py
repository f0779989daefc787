"""Leases as files: how old they are by whose clock, and who wins when two act at the same time."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.errors import BusyError, LeaseLostError, SpoolError
from sync_pipeline.orchestration.leases import Claim, Held
from sync_pipeline.orchestration.leases import files as lease_files
from sync_pipeline.orchestration.leases.files import FileLeases
from sync_pipeline.orchestration.leases.keeping import Keeper, keep

CLAIM = Claim("run-1", "spool-1", False, "host", 7, 1.5, "", "boot pid:[1]", 30.0)
KEY = "products"


class Clock:
    """A monotonic clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(tmp_path: Path, clock: Clock) -> FileLeases:
    return FileLeases(tmp_path, clock=clock, boot="this machine")


def only(leases: FileLeases) -> Held:
    (held,) = leases.held(KEY)
    return held


def set_back(folder: Path, seconds: float, key: str = KEY) -> None:
    """As if all files of a sync had been written that long ago, or after now where negative."""
    for path in (folder / "claims" / key).iterdir():
        found = path.stat().st_mtime - seconds
        os.utime(path, (found, found))


def test_a_lease_says_whose_it_is_and_how_old(leases: FileLeases, clock: Clock) -> None:
    leases.enter(KEY, CLAIM)
    clock.now += 12
    held = only(leases)
    assert (held.claim, held.age_s, held.is_done, held.is_taken) == (CLAIM, 12, False, False)
    assert leases.renew(KEY, "run-1")
    renewed = only(leases)
    assert renewed.age_s == 0
    assert renewed.beat != held.beat
    assert leases.renew(KEY, "run-1", is_done=True)
    assert only(leases).is_done
    assert leases.sync_keys() == [KEY]
    leases.forget(KEY, "run-1")
    assert leases.held(KEY) == []
    assert leases.sync_keys() == []


@pytest.mark.parametrize("shift_s", [-7200.0, 7200.0], ids=["set forward", "set back"])
def test_on_one_machine_an_age_is_not_told_by_a_clock_that_can_be_set(
    leases: FileLeases, clock: Clock, tmp_path: Path, shift_s: float
) -> None:
    leases.enter(KEY, CLAIM)
    set_back(tmp_path, shift_s)
    clock.now += 4
    assert only(leases).age_s == 4


@pytest.mark.parametrize("boot", ["another machine", "this machine, restarted", ""])
def test_from_elsewhere_an_age_is_told_by_the_file_system_alone(
    leases: FileLeases, tmp_path: Path, boot: str
) -> None:
    leases.enter(KEY, CLAIM)
    elsewhere = FileLeases(tmp_path, clock=lambda: 5.0, boot=boot)
    assert only(elsewhere).age_s == pytest.approx(0, abs=2)
    set_back(tmp_path, 40)
    assert only(elsewhere).age_s == pytest.approx(40, abs=2)
    elsewhere.renew(KEY, "run-1")
    assert only(elsewhere).age_s == pytest.approx(0, abs=2)


def test_a_clock_of_the_files_that_was_set_back_shows_in_the_age(
    leases: FileLeases, tmp_path: Path
) -> None:
    leases.enter(KEY, CLAIM)
    set_back(tmp_path, -3600)
    assert only(FileLeases(tmp_path, boot="another")).age_s < -3500


def test_a_claim_of_the_version_before_is_read(leases: FileLeases, tmp_path: Path) -> None:
    folder = tmp_path / "claims" / KEY
    folder.mkdir(parents=True)
    value: dict[str, Any] = {
        "run_id": "old", "spool_id": "s", "is_backfill": False, "host": "h", "pid": 1,
        "process_started": 0.0, "batch": "",
    }  # fmt: skip
    (folder / "old.json").write_text(json.dumps(value), encoding="ascii")
    (folder / "later.json").write_text(json.dumps({**value, "unheard_of": 1}), encoding="ascii")
    (folder / "torn.json").write_text('{"run_id": "to', encoding="ascii")
    set_back(tmp_path, 100)
    held = only(leases)
    assert (held.claim.run_id, held.claim.lease_s, held.claim.place) == ("old", 30, "")
    assert held.age_s == pytest.approx(100, abs=2)


def test_a_lease_that_was_taken_is_lost_and_stays_lost(leases: FileLeases) -> None:
    leases.enter(KEY, CLAIM)
    assert leases.take(KEY, only(leases))
    assert not leases.renew(KEY, "run-1")
    assert only(leases).is_taken, "until somebody has ended its run"
    assert leases.take(KEY, only(leases)), "whoever took it may be killed before that"
    leases.forget(KEY, "run-1")
    assert not leases.renew(KEY, "run-1")
    assert leases.held(KEY) == []


def test_a_lease_that_was_renewed_since_it_was_found_is_not_taken(
    leases: FileLeases, clock: Clock
) -> None:
    leases.enter(KEY, CLAIM)
    found = only(leases)
    clock.now += 40
    assert leases.renew(KEY, "run-1")
    assert not leases.take(KEY, found)
    assert leases.renew(KEY, "run-1")
    assert not only(leases).is_taken


def test_two_who_find_a_dead_lease_do_not_both_take_it_anew(leases: FileLeases) -> None:
    leases.enter(KEY, CLAIM)
    found = only(leases)
    assert leases.take(KEY, found)
    assert not leases.take(KEY, found)


@pytest.mark.parametrize("moment", ["before", "after the renaming", "after the second look"])
def test_a_holder_that_wakes_up_while_its_lease_is_taken_does_not_go_on_beside_the_taker(
    leases: FileLeases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    leases.enter(KEY, CLAIM)
    found = only(leases)
    goes_on: list[bool] = []

    def look_again(store: FileLeases, path: Path, _find: Any = FileLeases._find) -> Held | None:
        if moment == "after the renaming":
            goes_on.append(leases.renew(KEY, "run-1"))
        held: Held | None = _find(store, path)
        if moment == "after the second look":
            goes_on.append(leases.renew(KEY, "run-1"))
        return held

    if moment == "before":
        goes_on.append(leases.renew(KEY, "run-1"))
    monkeypatch.setattr(FileLeases, "_find", look_again)
    is_taken = FileLeases(tmp_path, boot="another").take(KEY, found)
    assert len(goes_on) == 1
    assert not (is_taken and goes_on[0])


@pytest.mark.parametrize("moment", ["before its beat", "after its beat"])
def test_a_lease_that_is_taken_while_its_holder_wakes_up_has_one_owner(
    leases: FileLeases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    leases.enter(KEY, CLAIM)
    found = only(leases)
    taken: list[bool] = []
    taker = FileLeases(tmp_path, boot="another")

    def beat(*values: Any, _beat: Any = FileLeases._beat, **named: Any) -> None:
        if moment == "before its beat":
            taken.append(taker.take(KEY, found))
        _beat(*values, **named)
        if moment == "after its beat":
            taken.append(taker.take(KEY, found))

    monkeypatch.setattr(FileLeases, "_beat", beat)
    goes_on = leases.renew(KEY, "run-1")
    assert len(taken) == 1
    assert goes_on is not taken[0]


def test_a_process_that_is_paused_in_claiming_stops_others_for_a_while_and_not_for_ever(
    leases: FileLeases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_files, "LOCK_TIMEOUT_S", 0.01)
    with leases.lock(KEY), pytest.raises(BusyError, match="paused"), FileLeases(tmp_path).lock(KEY):
        pass
    with FileLeases(tmp_path).lock(KEY):
        pass


# ---------------------------------------------------------------- keeping one


class Store(FileLeases):
    """Counts renewals, and may fail."""

    renewals = 0
    error: SpoolError | None = None

    def renew(self, sync_key: str, run_id: str, *, is_done: bool = False) -> bool:
        self.renewals += 1
        if self.error is not None:
            raise self.error
        return super().renew(sync_key, run_id, is_done=is_done)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    store = Store(tmp_path, clock=clock, boot="this machine")
    store.enter(KEY, CLAIM)
    return store


@pytest.fixture
def keeper(store: Store, clock: Clock) -> Keeper:
    return Keeper(store, KEY, CLAIM, clock=clock)


def test_a_look_before_a_write_asks_the_store_only_after_a_pause(
    store: Store, keeper: Keeper, clock: Clock
) -> None:
    for _ in range(14):
        keeper.check()
        clock.now += 1
    assert store.renewals == 0
    clock.now += 5
    keeper.check()
    keeper.check()
    assert store.renewals == 1


def test_a_process_that_was_paused_goes_on_if_nobody_took_its_lease(
    keeper: Keeper, clock: Clock, store: Store
) -> None:
    clock.now += 3600
    keeper.check()
    assert only(store).age_s == 0


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["taken", "taken and ended"])
def test_a_process_that_was_paused_notices_before_its_next_write_that_it_was_taken_for_dead(
    store: Store, keeper: Keeper, clock: Clock, is_forgotten: bool
) -> None:
    clock.now += 31
    assert store.take(KEY, only(store))
    if is_forgotten:
        store.forget(KEY, "run-1")
    for _ in range(2):
        with pytest.raises(LeaseLostError, match="sync-pipeline resume run-1"):
            keeper.check()
    assert not (store._root / KEY / "run-1.json").exists()


def test_a_run_that_is_ended_while_it_goes_notices_with_its_next_renewal(
    store: Store, keeper: Keeper
) -> None:
    store.forget(KEY, "run-1")
    keeper.renew()
    with pytest.raises(LeaseLostError):
        keeper.check()


def test_a_lease_that_cannot_be_renewed_stops_the_run_when_its_time_is_over(
    store: Store, keeper: Keeper, clock: Clock
) -> None:
    store.error = SpoolError("The disk is full")
    clock.now += 20
    keeper.check()
    clock.now += 10
    with pytest.raises(SpoolError, match="disk is full"):
        keeper.check()
    store.error = None
    keeper.check()


def test_a_run_that_has_done_its_work_says_so_with_every_renewal(
    store: Store, keeper: Keeper
) -> None:
    keeper.finish()
    keeper.renew()
    assert only(store).is_done


def test_a_lease_is_renewed_from_a_thread_as_long_as_the_block_goes(tmp_path: Path) -> None:
    claim = replace(CLAIM, lease_s=0.06)
    beats: list[str] = []
    enough = threading.Event()

    class Counting(FileLeases):
        def renew(self, sync_key: str, run_id: str, *, is_done: bool = False) -> bool:
            beats.append(run_id)
            if len(beats) == 3:
                enough.set()
            return super().renew(sync_key, run_id, is_done=is_done)

    store = Counting(tmp_path)
    store.enter(KEY, claim)
    with keep(store, KEY, claim, logging.getLogger("lease")):
        assert enough.wait(60)
    count = len(beats)
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
    assert len(beats) == count
