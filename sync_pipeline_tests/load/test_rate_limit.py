from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from sync_pipeline.errors import BusyError, EnvironmentVariableError
from sync_pipeline.load.rate_limit import (
    USED_SHARE,
    NoRateLimit,
    SharedRateLimit,
    open_rate_limit,
)


class Clock:
    """A machine's clocks; sleeping moves them, and may let others act in the meantime."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1_700_000_000.0
        self.slept: list[float] = []
        self.while_asleep = lambda: None

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds
        act, self.while_asleep = self.while_asleep, lambda: None
        act()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limit(path: Path, clock: Clock, per_second: float = 10) -> SharedRateLimit:
    return SharedRateLimit(
        path, per_second, clock=clock.monotonic, wall_clock=clock.wall, sleep=clock.sleep
    )


def seconds_for(limiter: SharedRateLimit, clock: Clock, requests: int) -> float:
    start = clock.now
    for _ in range(requests):
        limiter.acquire()
    return clock.now - start


def test_slots_are_spread_evenly_and_use_at_least_95_percent(tmp_path: Path, clock: Clock) -> None:
    limiter = limit(tmp_path / "r", clock, 10)
    assert seconds_for(limiter, clock, 301) == pytest.approx(300 / (10 * USED_SHARE))
    assert 300 / (clock.now - 1000) >= 0.95 * 10
    assert max(clock.slept) - min(clock.slept) < 1e-6


def departures(limiter: SharedRateLimit, clock: Clock, requests: int, *, late: int) -> list[float]:
    """When each request is sent, if every `late`-th wakes up 0.09 seconds after its time."""
    times: list[float] = []

    def oversleep() -> None:
        clock.now += 0.09

    for number in range(requests):
        clock.while_asleep = oversleep if number % late == late - 1 else lambda: None
        limiter.acquire()
        times.append(clock.now)
    return times


def test_one_that_woke_up_late_does_not_let_too_many_into_a_second(
    tmp_path: Path, clock: Clock
) -> None:
    times = departures(limit(tmp_path / "r", clock, 10), clock, 40, late=15)
    assert min(times[n + 10] - times[n] for n in range(len(times) - 10)) >= 1.0


def test_lateness_is_made_good(tmp_path: Path, clock: Clock) -> None:
    times = departures(limit(tmp_path / "r", clock, 10), clock, 301, late=15)
    assert 300 / (times[-1] - times[0]) >= 0.95 * 10


def test_two_limiters_on_one_file_share_the_rate(tmp_path: Path, clock: Clock) -> None:
    first, second = limit(tmp_path / "r", clock), limit(tmp_path / "r", clock)
    start = clock.now
    for _ in range(50):
        first.acquire()
        second.acquire()
    assert clock.now - start == pytest.approx(99 / (10 * USED_SHARE))


def test_the_first_request_after_a_pause_does_not_wait(tmp_path: Path, clock: Clock) -> None:
    limiter = limit(tmp_path / "r", clock)
    limiter.acquire()
    clock.now += 60
    limiter.acquire()
    assert clock.slept == []


def test_a_refusal_pushes_everybody_back(tmp_path: Path, clock: Clock) -> None:
    first, second = limit(tmp_path / "r", clock), limit(tmp_path / "r", clock)
    first.acquire()
    first.push_back(5)
    start = clock.now
    second.acquire()
    assert clock.now - start == pytest.approx(5)


def test_who_was_asleep_when_the_refusal_came_waits_too(tmp_path: Path, clock: Clock) -> None:
    first, second = limit(tmp_path / "r", clock), limit(tmp_path / "r", clock)
    first.acquire()
    clock.while_asleep = lambda: second.push_back(5)
    start = clock.now
    first.acquire()
    assert clock.now - start >= 5


def test_a_refusal_does_not_shorten_the_queue(tmp_path: Path, clock: Clock) -> None:
    limiter = limit(tmp_path / "r", clock, 0.1)
    limiter.acquire()
    limiter.push_back(1)
    assert seconds_for(limiter, clock, 1) == pytest.approx(1 / (0.1 * USED_SHARE))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"next": 1234', id="cut off"),
        pytest.param(b"[]", id="another shape"),
        pytest.param(b'{"next": null, "blocked_until": 0, "offset": 0}', id="null"),
        pytest.param(b"\xff\xfe", id="binary"),
        pytest.param(b"x" * 5000, id="long"),
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    assert seconds_for(limit(tmp_path / "r", clock), clock, 1) == 0
    assert json.loads((tmp_path / "r").read_text())["next"] > clock.now


@pytest.mark.parametrize("far", [5000.0, float("nan"), float("inf")], ids=str)
def test_a_slot_too_far_in_the_future_is_dropped(tmp_path: Path, clock: Clock, far: float) -> None:
    state = {"next": clock.now + far, "blocked_until": 0.0, "offset": clock.offset}
    (tmp_path / "r").write_text(json.dumps(state))
    assert seconds_for(limit(tmp_path / "r", clock), clock, 1) == 0


def test_what_was_written_before_a_reboot_is_dropped(tmp_path: Path, clock: Clock) -> None:
    limiter = limit(tmp_path / "r", clock)
    limiter.acquire()
    limiter.push_back(600)
    clock.offset += clock.now - 5
    clock.now = 5.0
    assert seconds_for(limiter, clock, 1) == 0


def test_the_wall_clock_may_be_corrected_while_blocked(tmp_path: Path, clock: Clock) -> None:
    limiter = limit(tmp_path / "r", clock)
    limiter.push_back(10)
    clock.offset += 2
    assert seconds_for(limiter, clock, 1) == pytest.approx(10)


def test_zero_means_no_limit_of_our_own(tmp_path: Path) -> None:
    limiter = open_rate_limit("https://x", "s", 0, directory=tmp_path / "none")
    assert isinstance(limiter, NoRateLimit)
    limiter.acquire()
    limiter.push_back(1)
    assert not (tmp_path / "none").exists()


def test_each_host_and_space_has_a_limit_of_its_own(tmp_path: Path) -> None:
    for url, space in [
        ("https://a/", "1"),
        ("https://a", "1"),
        ("https://a", "2"),
        ("https://b", "1"),
    ]:
        open_rate_limit(url, space, 5, directory=tmp_path).acquire()
    assert len(list(tmp_path.glob("rate-*.json"))) == 3


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentVariableError, match="TMPDIR"):
        open_rate_limit("https://a", "s", 5, directory=tmp_path / "file" / "sub")


@pytest.mark.parametrize(
    "squat",
    [
        lambda usual, theirs: usual.symlink_to(theirs, target_is_directory=True),
        lambda usual, theirs: (usual.mkdir(), usual.chmod(0o777)),
        lambda usual, theirs: usual.write_text("a file"),
    ],
    ids=["link", "all-may-write", "file"],
)
def test_a_folder_that_another_user_could_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squat
) -> None:
    """Its name can be guessed; a link in it would lead our writes to a file of somebody else."""
    theirs, home = tmp_path / "theirs", tmp_path / "home"
    theirs.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(home))
    squat(tmp_path / f"sync_pipeline-{os.getuid()}", theirs)
    open_rate_limit("https://a", "s", 5).acquire()
    assert list(theirs.iterdir()) == []
    assert len(list((home / ".cache" / "sync_pipeline").glob("rate-*.json"))) == 1


def test_all_runs_of_a_user_share_the_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_rate_limit("https://a", "s", 5).acquire()
    folder = tmp_path / f"sync_pipeline-{os.getuid()}"
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}


def test_a_link_in_the_place_of_the_shared_file_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "r").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        SharedRateLimit(tmp_path / "r", 5).acquire()
    assert victim.read_text() == "theirs"


def test_a_lock_that_another_process_never_gives_back_is_an_error(tmp_path: Path) -> None:
    limiter = SharedRateLimit(tmp_path / "r", 5, lock_timeout_s=0.05)
    with FileLock(tmp_path / "r.lock"), pytest.raises(BusyError, match="paused or hangs"):
        limiter.acquire()
    limiter.acquire()


def test_threads_share_the_rate(tmp_path: Path) -> None:
    """With a real clock, but only a lower bound, which load cannot break."""
    limiter = SharedRateLimit(tmp_path / "r", 200)
    start = time.monotonic()
    threads = [
        threading.Thread(target=lambda: [limiter.acquire() for _ in range(10)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start >= 79 / (200 * USED_SHARE) - 0.01


_WORKER = """
import sys, time
from pathlib import Path
from sync_pipeline.load.rate_limit import SharedRateLimit
limiter = SharedRateLimit(Path(sys.argv[1]), float(sys.argv[2]))
end = float(sys.argv[3])
while True:
    limiter.acquire()
    now = time.monotonic()
    if now >= end:
        break
    print(now)
"""


def test_threads_that_wake_up_late_never_send_too_many_within_a_second(tmp_path: Path) -> None:
    own = threading.local()
    dice = random.Random(7)
    times: list[float] = []

    def clock() -> float:
        own.now = time.monotonic()
        return float(own.now)

    limiter = SharedRateLimit(
        tmp_path / "r",
        40,
        clock=clock,
        sleep=lambda seconds: time.sleep(seconds + dice.choice([0, 0, 0.06])),
    )

    def send() -> None:
        for _ in range(8):
            limiter.acquire()
            times.append(own.now)

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert min(times[n + 40] - times[n] for n in range(len(times) - 40)) >= 1.0


@pytest.mark.slow
def test_three_processes_together_use_the_rate_and_no_more(tmp_path: Path) -> None:
    rate, seconds = 50.0, 4.0
    end = time.monotonic() + 3 + seconds
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path / "r"), str(rate), str(end)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    by_worker = [[float(line) for line in output.splitlines()] for output in outputs]
    begin = max(times[0] for times in by_worker)
    sent = sorted(t for times in by_worker for t in times if t >= begin)
    allowed = rate * (end - begin)
    assert 0.95 * allowed <= len(sent) <= allowed + 1
    assert all(len(times) > 10 for times in by_worker)
