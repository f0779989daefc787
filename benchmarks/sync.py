"""Whole runs: memory, requests and speed, first run and second run, by number of records and mode.

    python benchmarks/sync.py 10000 100000            # streaming, as in docs/performance.md
    python benchmarks/sync.py 28000 --mode streaming --mode regular
    python benchmarks/sync.py --huge 1000000          # one JSON array of about 1 GB, dry run
    python benchmarks/sync.py --table 1000000         # a table of PostgreSQL, dry run

Every run is a process of its own (`sync-pipeline run`), against a source and a local space on
loopback without a rate limit, in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from source import running_source

from sync_pipeline.local_space.server.launcher import stop_space

CONFIG = """\
contentType: product
contentKeyField: sku
{source}
mapping:
  sku: "{{{{ row.id }}}}"
  name.en-US: "{{{{ row.name }}}}"
  price: "{{{{ row.price }}}}"
{mapping}
target: {{space: local, model: space.json}}
"""
OF_API = """\
  description.en-US: "{{ row.description[:200] }}"
  stock: "{{ row.stock }}"
  active: "{{ row.active }}"
  category: "{{ row.category }}"
  colour: "{{ row.colour | upper }}"
  updated: "{{ row.updated }}"
  tags: "{{ row.tags | join('|') }}"
"""
OF_TABLE = """\
  description.en-US: "{{ row.b }}"
  stock: "{{ row.c }}"
  active: "{{ row.e }}"
  category: "{{ row.a }}"
  colour: "{{ row.f | upper }}"
  updated: "{{ row.t }}"
  tags: "{{ row.g }}"
"""
PAGED = """endPoint: "{{ config.SYNC_BENCHMARK_URL }}/products"
resultsJsonPath: items
pagination: {limitKey: limit, skipKey: offset, limitMax: 1000, totalPath: total}"""
FIELDS = [
    ("sku", "Symbol", False), ("name", "Symbol", True), ("description", "Text", True),
    ("price", "Number", False), ("stock", "Integer", False), ("active", "Boolean", False),
    ("category", "Symbol", False), ("colour", "Symbol", False), ("updated", "Date", False),
]  # fmt: skip
MODEL = {
    "locales": [{"name": "English", "code": "en-US", "default": True}],
    "contentTypes": [
        {
            "id": "product",
            "name": "Product",
            "displayField": "name",
            "fields": [
                {"id": name, "name": name, "type": kind, "localized": localized}
                for name, kind, localized in FIELDS
            ]
            + [{"id": "tags", "name": "tags", "type": "Array", "items": {"type": "Symbol"}}],
        }
    ],
}


def run(folder: Path, url: str, *options: str) -> dict[str, object]:
    """One `sync-pipeline run` of the benchmark's config; returns its JSON."""
    environment = os.environ | {
        "SYNC_BENCHMARK_URL": url,
        "SYNC_CONFIGS_DIR": str(folder / "configs"),
        "SYNC_STORAGE_DIR": str(folder / "storage"),
        "DAGSTER_HOME": str(folder / "dagster"),
    }
    command = [sys.executable, "-m", "sync_pipeline.cli", "run", "products", "--json", *options]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def write_project(folder: Path, source: str, mapping: str = OF_API) -> None:
    (folder / "configs").mkdir()
    (folder / "configs" / "space.json").write_text(json.dumps(MODEL))
    text = CONFIG.format(source=source, mapping=mapping)
    (folder / "configs" / "products.yaml").write_text(text)


def show(title: str, values: dict[str, object]) -> None:
    records = int(str(values["records"]))
    print(
        f"{title:34} {records:>9,} records  {values['created']:>8,} created  "
        f"{values['unchanged']:>8,} unchanged  {values['requests']:>8,} requests  "
        f"{values['duration_s']:>8,.1f} s  {values['records_per_s']:>7,.0f}/s  "
        f"peak {values['peak_rss_mb']:>5,.0f} MB",
        flush=True,
    )


def dry(total: int, mode: str) -> tuple[float, float]:
    """A dry run alone: memory and speed without the writes."""
    with tempfile.TemporaryDirectory() as name, running_source(total) as url:
        folder = Path(name)
        write_project(folder, PAGED)
        try:
            values = run(folder, url, "--mode", mode)
        finally:
            stop_space(folder / "storage")
        show(f"{mode}, dry run", values)
        return float(str(values["peak_rss_mb"])), float(str(values["duration_s"]))


def paged(total: int, mode: str) -> tuple[float, float]:
    """First and second run; returns peak memory and seconds of the first."""
    with tempfile.TemporaryDirectory() as name, running_source(total) as url:
        folder = Path(name)
        write_project(folder, PAGED)
        try:
            first = run(folder, url, "--apply", "--mode", mode)
            show(f"{mode}, first run", first)
            second = run(folder, url, "--apply", "--mode", mode)
            show(f"{mode}, second run", second)
        finally:
            stop_space(folder / "storage")
        bound = math.ceil(total / 1000) + 10
        print(
            f"    requests per new entry {int(str(first['requests'])) / total:.4f} (goal 1.03); "
            f"second run {second['requests']} requests (goal {bound}), "
            f"{int(str(second['created'])) + int(str(second['updated']))} writes (goal 0)"
        )
        return float(str(first["peak_rss_mb"])), float(str(first["duration_s"]))


def huge(records: int) -> None:
    with tempfile.TemporaryDirectory() as name, running_source(1) as url:
        folder = Path(name)
        path = f"huge?records={records}&padding=750"
        write_project(folder, f'endPoint: "{{{{ config.SYNC_BENCHMARK_URL }}}}/{path}"')
        try:
            show("one JSON array, dry run", run(folder, url, "--mode", "streaming"))
        finally:
            stop_space(folder / "storage")


def table(rows: int) -> None:
    """A dry run over a table of PostgreSQL, which the tests' harness starts."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from benchmarks.read_database import TABLES  # noqa: PLC0415 - needs the path above
    from sync_pipeline_tests.extract.database_servers import (  # noqa: PLC0415
        PASSWORD,
        running_postgresql,
    )

    with tempfile.TemporaryDirectory() as name, running_postgresql() as server:
        server.run(TABLES[server.provider].format(rows=rows))
        os.environ["SYNC_PASSWORD"] = PASSWORD
        folder = Path(name)
        source = f"""sourceType: database
provider: {server.provider}
connectionString: {json.dumps(server.connection_string)}
query: SELECT * FROM item ORDER BY id"""
        write_project(folder, source, OF_TABLE)
        try:
            show("PostgreSQL, dry run", run(folder, "", "--mode", "streaming"))
        finally:
            stop_space(folder / "storage")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("totals", nargs="*", type=int)
    parser.add_argument("--mode", action="append", choices=["streaming", "regular"])
    parser.add_argument("--dry", action="store_true", help="dry runs only")
    parser.add_argument("--huge", type=int, metavar="RECORDS")
    parser.add_argument("--table", type=int, metavar="ROWS")
    given = parser.parse_args()
    peaks, seconds = {}, {}
    for total in given.totals:
        for mode in given.mode or ["streaming"]:
            measure = dry if given.dry else paged
            peaks[total, mode], seconds[total, mode] = measure(total, mode)
    streamed = [peak for (_, mode), peak in peaks.items() if mode == "streaming"]
    if len(streamed) > 1:
        print(f"peak of the last to the first: {streamed[-1] / streamed[0]:.2f} (goal 1.1)")
    for total in given.totals:
        if {(total, "streaming"), (total, "regular")} <= set(seconds):
            ratio = seconds[total, "streaming"] / seconds[total, "regular"]
            print(f"streaming takes {ratio:.2f} times as long as regular (goal 1.10)")
    if given.huge:
        huge(given.huge)
    if given.table:
        table(given.table)
