"""Where a process id means something, and whether that process is still there.

It only helps to end a lease early. Containers have process ids of their own, and a container that
comes back may have another host name, or the name of another machine.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

#: Linux counts in hundredths.
_SAME_START_S = 0.1


@lru_cache(maxsize=1)
def own_boot() -> str:
    """Names the time since this machine was started, in which its monotonic clock holds."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


@lru_cache(maxsize=1)
def own_place() -> str:
    """Names the processes that one can see from here; "" where the system does not tell."""
    with suppress(OSError):
        return f"{own_boot()} {Path('/proc/self/ns/pid').readlink()}" if own_boot() else ""
    return ""


def started_at(pid: int) -> float:
    """When a process began, in seconds: the same whenever and by whomever it is asked.

    Linux counts from the start of the machine. What psutil adds to that moves with the clock, and a
    run must not count as killed because the clock was set.

    Raises:
        psutil.NoSuchProcess: It is gone.
    """
    started = float(psutil.Process(pid).create_time())
    return started - psutil.boot_time() if psutil.LINUX else started


def process_lives(pid: int, started: float) -> bool:
    """Whether that very process is there and is more than a zombie."""
    with suppress(psutil.NoSuchProcess):
        same = abs(started_at(pid) - started) < _SAME_START_S
        return bool(same and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
