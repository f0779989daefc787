"""One rate limit over all threads, processes and runs of this machine towards one space.

The next free moment is kept in a small file under a lock. A request reserves the next slot, leaves
the lock, and sleeps until its slot has come, so waiting costs nobody else anything::

    now ──┬──────┬──────┬──────┬─►
        taken  taken   mine   next

Who wakes up late notes when it really sent, and the request that is N later keeps its distance from
that: a busy machine would else send N + 1 within a second.

The clock is the monotonic one, which all processes of a machine share and which no time server
moves. What a reboot or a damaged file leaves behind is recognized and dropped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from sync_pipeline.errors import BusyError, EnvironmentVariableError
from sync_pipeline.private_files import FILE_MODE, NO_LINKS, is_own_folder, make_private_folder

#: Share of the allowed rate that is used. The rest absorbs jitter on the way: N + 1 evenly paced
#: requests then span a little more than a second, whatever window the server counts in.
USED_SHARE = 0.975
#: What N + 1 requests span at the least, in seconds at N a second, however late one of them was.
_LEAST_SPAN = 1.02
#: Lateness that is noted; less is lost in the margin.
_LATE_S = 0.002
#: Above that many a second single requests are not noted: a late one is a small share of them.
_MOST_NOTED = 100
#: Requests that may be asleep at once and look back when they wake up.
_MOST_ASLEEP = 32
#: Longest wait the space may ask for: its hourly limit says up to 900 s, then some queueing.
MAX_WAIT_S = 900.0
_MAX_AHEAD_S = MAX_WAIT_S + 120.0
#: Difference between the clocks' offsets that can only come from a reboot or a reset clock.
_MAX_CLOCK_DRIFT_S = 30.0
_LOCK_POLL_S = 0.002
#: The lock is held for microseconds; who holds it for that long is paused or hangs.
_LOCK_TIMEOUT_S = 60.0
#: Length of the file, padded: three numbers and their names, and a time for each request noted.
_STATE_BYTES = 192
_BYTES_A_TIME = 24


class RateLimit(Protocol):
    """Paces requests."""

    def acquire(self) -> None:
        """Return when the next request may be sent."""
        ...

    def push_back(self, seconds: float) -> None:
        """Let nobody send for that long: the space answered 429."""
        ...


class NoRateLimit:
    """`CONTENTFUL_RATE_LIMIT=0`: only the space's own 429 slows us down."""

    def acquire(self) -> None:
        """Return at once."""

    def push_back(self, seconds: float) -> None:
        """Nothing is shared; the request that was refused waits by itself."""


@dataclass(frozen=True, slots=True)
class _Slots:
    #: Monotonic time of the next free slot.
    next: float
    #: Monotonic time before which nobody may send.
    blocked_until: float
    #: Wall clock minus monotonic clock when this was written.
    offset: float
    #: Monotonic times at which the last requests were sent or will be, in the order of their slots.
    sent: tuple[float, ...] = ()

    def before(self, slot: float) -> tuple[float, ...]:
        """Times of those that come before a slot, as far as they are still noted."""
        return self.sent[: self.sent.index(slot)] if slot in self.sent else ()


class SharedRateLimit:
    """Evenly paced slots in a file that every process of this machine uses.

    Args:
        path: The file; its directory must exist. A lock file of the same name lies beside it.
        per_second: Requests a second that the space allows, more than 0.
        clock: Monotonic seconds, the same for all processes.
        wall_clock: Seconds since the epoch; only to recognize a reboot.
        sleep: Waits that many seconds.
        lock_timeout_s: Seconds after which a lock that another process holds is an error.
    """

    def __init__(
        self,
        path: Path,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        lock_timeout_s: float = _LOCK_TIMEOUT_S,
    ) -> None:
        self._path = path
        self._interval = 1 / (per_second * USED_SHARE)
        self._noted = math.ceil(per_second) if per_second <= _MOST_NOTED else 0
        self._least_span = _LEAST_SPAN * self._noted / per_second
        self._kept = self._noted + _MOST_ASLEEP if self._noted else 0
        self._state_bytes = _STATE_BYTES + _BYTES_A_TIME * self._kept
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._processes = FileLock(f"{path}.lock", timeout=lock_timeout_s, mode=FILE_MODE)
        # Threads of one process queue here, so that only processes poll for the file.
        self._threads = threading.Lock()

    def acquire(self) -> None:
        """Reserve the next slot and sleep until it has come."""
        while True:
            slot, wait_s = self._reserve()
            if wait_s <= 0:
                return
            self._sleep(wait_s)
            now = self._clock()
            slots = self._read(now)
            # While we slept somebody may have met a 429: then the slot is void.
            if slots.blocked_until > now:
                continue
            # Or one of those before us woke up late.
            late_s = self._far_enough(slots.before(slot)) - now
            if late_s > 0:
                self._sleep(late_s)
                now = self._clock()
            if now - slot > _LATE_S:
                self._note_late(slot, now)
            return

    def _reserve(self) -> tuple[float, float]:
        """The next slot, and how long it is until then."""
        with self._locked():
            now = self._clock()
            slots = self._read(now)
            planned = max(slots.next, slots.blocked_until, now)
            after_last = slots.sent[-1] + _LATE_S / 10 if slots.sent else 0.0
            slot = max(planned, self._far_enough(slots.sent), after_last)
            # What a late one costs is made good by those that follow, as far as the span allows.
            self._write(replace(slots, next=planned + self._interval, sent=(*slots.sent, slot)))
        return slot, slot - now

    def push_back(self, seconds: float) -> None:
        """Let nobody on this machine send for that many seconds (900 at most)."""
        with self._locked():
            now = self._clock()
            slots = self._read(now)
            blocked = max(slots.blocked_until, now + min(max(seconds, 0.0), MAX_WAIT_S))
            # Slots before the end of the block are void and reserved again; later ones stand.
            self._write(replace(slots, next=max(slots.next, blocked), blocked_until=blocked))

    def _far_enough(self, earlier: tuple[float, ...]) -> float:
        """When a request is far enough from the one N before it; `earlier`: all before it."""
        is_known = self._noted and len(earlier) >= self._noted
        return earlier[-self._noted] + self._least_span if is_known else 0.0

    def _note_late(self, slot: float, sent: float) -> None:
        with self._locked():
            slots = self._read(sent)
            times = tuple(sent if moment == slot else moment for moment in slots.sent)
            self._write(replace(slots, sent=times))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            try:
                held = self._processes.acquire(poll_interval=_LOCK_POLL_S)
            except Timeout as err:
                raise BusyError(
                    f"Another process has held {self._path}.lock, by which all runs of this "
                    f"machine share the rate limit, for {self._processes.timeout:.0f} s: it is "
                    "paused or hangs. Continue or end it, then resume the run: nothing is lost."
                ) from err
            with held:
                yield

    def _offset(self) -> float:
        return self._wall_clock() - self._clock()

    def _read(self, now: float) -> _Slots:
        fresh = _Slots(now, 0.0, self._offset())
        try:
            found = json.loads(self._path.read_bytes())
            slots = _Slots(
                float(found["next"]),
                float(found["blocked_until"]),
                float(found["offset"]),
                tuple(float(moment) for moment in found["sent"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return fresh  # absent, or cut off by a kill in the middle of a write
        if abs(slots.offset - fresh.offset) > _MAX_CLOCK_DRIFT_S:
            return fresh
        # A comparison that is false for NaN as well.
        times = (slots.next, slots.blocked_until, *slots.sent)
        if not all(moment - now <= _MAX_AHEAD_S for moment in times):
            return fresh
        return slots

    def _write(self, slots: _Slots) -> None:
        text = json.dumps(
            {
                "next": slots.next,
                "blocked_until": slots.blocked_until,
                "offset": self._offset(),
                "sent": slots.sent[-self._kept :] if self._kept else (),
            }
        )
        # Overwritten in place at one length: to truncate costs milliseconds on some file systems.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | NO_LINKS, FILE_MODE)
        try:
            os.write(descriptor, text.ljust(self._state_bytes).encode("ascii"))
            if os.fstat(descriptor).st_size > self._state_bytes:
                os.ftruncate(descriptor, self._state_bytes)
        finally:
            os.close(descriptor)


def open_rate_limit(
    cma_url: str, space_id: str, per_second: float, *, directory: Path | None = None
) -> RateLimit:
    """The limit that all processes of this user on this machine share for that host and space.

    Args:
        cma_url: Base URL; only its host and port count.
        space_id: The limit is per space.
        per_second: 0 = no limit of our own.
        directory: Where the shared file lies; by default in the machine's directory for temporary
            files, so that runs with different storage directories share it too.

    Raises:
        EnvironmentVariableError: The directory cannot be written.
    """
    if per_second <= 0:
        return NoRateLimit()
    directory = _shared_folder() if directory is None else directory
    try:
        make_private_folder(directory)
    except OSError as err:
        raise EnvironmentVariableError(
            f"The rate limit shared by all runs of this machine needs a file in {directory}, which "
            f"cannot be made ({err.strerror}). Point TMPDIR to a directory that can be written, or "
            "set CONTENTFUL_RATE_LIMIT=0 to send without a limit of our own."
        ) from err
    name = hashlib.sha256(f"{urlsplit(cma_url).netloc}|{space_id}".encode()).hexdigest()[:16]
    return SharedRateLimit(directory / f"rate-{name}.json", per_second)


def _shared_folder() -> Path:
    """The folder that all runs of this user find, whatever their storage directories are.

    Its name in the directory for temporary files can be guessed. What somebody else has put there,
    a folder or a link, is not used: every run of this user then takes the one in their home.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    usual = Path(tempfile.gettempdir()) / f"sync_pipeline-{user}"
    try:
        is_usable = is_own_folder(make_private_folder(usual))
    except OSError:
        is_usable = False
    return usual if is_usable else Path("~/.cache/sync_pipeline").expanduser()
