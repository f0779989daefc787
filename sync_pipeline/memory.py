"""Memory of this process, as the operating system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

MB = 1024**2


def rss_mb() -> float:
    """Resident memory now, in MiB."""
    return float(psutil.Process().memory_info().rss) / MB


def peak_rss_mb() -> float:
    """Highest resident memory of this process so far, in MiB.

    Linux: VmHWM, because `ru_maxrss` starts at the parent's size after fork and exec
    (https://man7.org/linux/man-pages/man2/getrusage.2.html).
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415 - not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024


def memory_bound_mb(configured_mb: float | None) -> float:
    """What this process may grow to: SYNC_MAX_MEMORY_MB, else what it has plus what is free."""
    if configured_mb is not None:
        return configured_mb
    return rss_mb() + float(psutil.virtual_memory().available) / MB
