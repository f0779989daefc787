"""How often a batch is held in memory: what `COPIES_IN_MEMORY` of `batches/sizing.py` rests on.

    python benchmarks/memory.py [--records 40000] [--padding 0] [--apply]

Runs of the same data with small and with large batches, each a process of its own; what the peak
grows by, for each byte that a batch grows by as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path

from source import product, running_source
from sync import run, write_project

from sync_pipeline.local_space.server.launcher import stop_space

SIZES = (1_000, 4_000, 10_000)


def peak_mb(path: str, size: int, *options: str) -> float:
    """Peak of a streaming run with batches of this size."""
    with tempfile.TemporaryDirectory() as name, running_source(1) as url:
        folder = Path(name)
        write_project(folder, f'endPoint: "{{{{ config.SYNC_BENCHMARK_URL }}}}/{path}"')
        try:
            values = run(folder, url, "--mode", "streaming", "--batch-size", str(size), *options)
        finally:
            stop_space(folder / "storage")
        return float(str(values["peak_rss_mb"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--padding", type=int, default=0, help="characters to a record on top")
    parser.add_argument("--apply", action="store_true", help="write; else dry runs")
    given = parser.parse_args()
    options = ["--apply"] if given.apply else []
    path = f"huge?records={given.records}&padding={given.padding}"
    record_bytes = len(json.dumps(product(given.records // 2, "x" * given.padding)))
    peaks = {size: peak_mb(path, size, *options) for size in SIZES}
    for size, peak in peaks.items():
        print(f"batches of {size:>6,}: peak {peak:,.0f} MB")
    for low, high in pairwise(SIZES):
        grown = (peaks[high] - peaks[low]) * 1024**2
        copies = grown / ((high - low) * record_bytes)
        print(f"{low:,} to {high:,}: {copies:.1f} times the batch's JSON ({record_bytes} B each)")
