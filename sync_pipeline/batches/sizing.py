"""How many records go into the next batch: `batch_size: auto`, shrinking near the memory bound."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipeline.config.run_options import LARGEST_BATCH

#: A batch is held a few times over: rows, desired entries, plans. benchmarks/memory.py: 3 times its
#: JSON with records of 1 KB, 8 to 11 times with ten short fields in 276 bytes.
COPIES_IN_MEMORY = 6
#: Share of the free memory that one batch may take.
MEMORY_SHARE = 0.25
#: Seconds of writing after which an operator wants to see a batch finished.
WANTED_BATCH_S = 60.0
#: From this share of the bound on, batches shrink.
TIGHT = 0.8
SMALLEST, LARGEST, FIRST_GUESS = 50, LARGEST_BATCH, 1000


@dataclass(frozen=True, slots=True)
class Load:
    """What the choice depends on."""

    #: Average size of a record as JSON; None before the first page.
    record_bytes: float | None
    #: Entries the space takes a second, from its rate limit; None: no limit.
    entries_per_s: float | None
    rss_mb: float
    #: What the process may grow to: SYNC_MAX_MEMORY_MB, else what the machine has free.
    bound_mb: float


def choose_batch_size(load: Load) -> int:
    """A batch size by record size, speed and free memory, 50 to 10,000 records."""
    size = float(LARGEST) if load.record_bytes else float(FIRST_GUESS)
    if load.record_bytes:
        free = max(load.bound_mb - load.rss_mb, 0.0) * 1024**2
        size = free * MEMORY_SHARE / (load.record_bytes * COPIES_IN_MEMORY)
    if load.entries_per_s:
        size = min(size, load.entries_per_s * WANTED_BATCH_S)
    return int(min(max(size, SMALLEST), LARGEST))


def shrink_batch_size(size: int, load: Load) -> int:
    """The stated size; near the bound less: half of it at 80%, down to a tenth."""
    used = load.rss_mb / load.bound_mb
    if used < TIGHT:
        return size
    left = max((1.0 - used) / (1.0 - TIGHT), 0.2)
    return max(int(size * left / 2), min(size, SMALLEST))
