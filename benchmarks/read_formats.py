"""How fast the readers of `extract.formats` are, and how much memory they need.

    python benchmarks/read_formats.py csv           # the reader, the bare csv module, pandas
    python benchmarks/read_formats.py json          # an array of 200 MB, streamed from a file
    python benchmarks/read_formats.py jsonl
    python benchmarks/read_formats.py zip

Each measurement runs in a process of its own, so that peaks of memory do not mix.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract.formats import read_records

COLUMNS = [f"column{at}" for at in range(10)]


def config(**keys: Any) -> SyncConfig:
    base = {
        "key": "benchmark",
        "content_type": "item",
        "content_key_field": "id",
        "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
    }
    return SyncConfig.model_validate({**base, **keys})


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for at in range(count):
            writer.writerow(
                [
                    at,
                    f"name {at}",
                    "00123",
                    "1.25",
                    "",
                    "a, b",
                    "x",
                    "hello world",
                    "2024-01-01",
                    "T",
                ]
            )


def record(at: int) -> dict[str, Any]:
    return {
        "id": at, "name": f"name {at}", "price": at * 1.25, "active": True, "note": None,
        "tags": ["a", "b"], "place": {"lat": 51.5, "lon": -0.1}, "text": "hello world " * 4,
    }  # fmt: skip


def write_json(path: Path, size: int, *, lines: bool) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("" if lines else '{"total": 0, "data": [')
        at = 0
        while file.tell() < size if at % 1000 == 0 else True:
            file.write(("" if lines or not at else ",") + json.dumps(record(at)))
            file.write("\n" if lines else "")
            at += 1
        file.write("" if lines else "]}")


def our_reader(path: Path, **keys: Any) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from read_records(file, config(**keys), content_type_header=None)


def bare_csv(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def with_pandas(path: Path) -> Iterator[Any]:
    import pandas as pd  # noqa: PLC0415 - its cost is what is measured

    chunks = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, chunksize=10_000)
    for chunk in chunks:
        names = list(chunk.columns)
        for row in zip(*(chunk[name].tolist() for name in names), strict=True):
            yield dict(zip(names, row, strict=True))


def measure(label: str, read: Callable[..., Iterator[Any]], path: Path, **keys: Any) -> None:
    """Print rows per second and the peak of a fresh process."""
    process = multiprocessing.get_context("spawn").Process(
        target=_measure, args=(label, read, path, keys)
    )
    process.start()
    process.join()


def _measure(label: str, read: Callable[..., Iterator[Any]], path: Path, keys: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, busy = time.perf_counter(), time.process_time()
    count = sum(1 for _ in read(path, **keys))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{label:28} {count:>9,} rows  {count / seconds:>9,.0f}/s  "
        f"{count / busy:>9,.0f}/s of CPU time  peak {peak:.0f} MB (before {before:.0f} MB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["csv", "json", "jsonl", "zip"])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"data.{options.what}"
        if options.what == "csv":
            write_csv(path, options.rows)
            measure("extract.formats", our_reader, path, results_format="csv")
            measure("csv.DictReader, unchecked", bare_csv, path)
            measure("pandas in chunks", with_pandas, path)
        elif options.what == "zip":
            write_csv(path.with_suffix(".csv"), options.rows)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(path.with_suffix(".csv"), "data.csv")
            path.with_suffix(".csv").unlink()
            measure("zipped CSV", our_reader, path, results_format="zippedCsv")
        else:
            write_json(path, options.megabytes * 10**6, lines=options.what == "jsonl")
            keys = {} if options.what == "jsonl" else {"results_json_path": "data"}
            measure(options.what, our_reader, path, results_format=options.what, **keys)


if __name__ == "__main__":
    main()
