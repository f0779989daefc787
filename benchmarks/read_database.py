"""Rows per second and peak memory of a million rows from a real database server.

    python -m benchmarks.read_database postgresql [--rows 1000000]
    python -m benchmarks.read_database mariadb

The server is started from Debian's binaries for the measurement, as the tests do. The rows stand in
a table of ten columns; reading runs in a process of its own.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import time
from contextlib import closing
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline_tests.extract.database_servers import (
    PASSWORD,
    running_mariadb,
    running_postgresql,
)

COLUMNS = """{id} AS id, CONCAT('name ', {id}) AS name, {id} * 1.25 AS price, 'text' AS a,
'hello world, hello world' AS b, 7 AS c, NULL AS d, {id} % 2 = 0 AS e, 'x' AS f, 1.5 AS g"""
TABLES = {
    "postgresql": "CREATE TABLE item AS SELECT "
    + COLUMNS.format(id="n")
    + ", now() AS t FROM generate_series(1, {rows}) AS n",
    "mysql": "CREATE TABLE item AS SELECT "
    + COLUMNS.format(id="seq")
    + ", now() AS t FROM seq_1_to_{rows}",
}


def read(keys: dict[str, Any]) -> None:
    logging.disable(logging.WARNING)
    config = SyncConfig.model_validate(keys)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, busy = time.perf_counter(), time.process_time()
    with closing(
        open_source(config, SourceSetting(variables={"SYNC_PASSWORD": PASSWORD}))
    ) as source:
        count = sum(len(page.records) for page in source.fetch_pages())
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} rows  {count / seconds:,.0f}/s  {count / busy:,.0f}/s of CPU time  "
        f"peak {peak:.0f} MB (before {before:.0f} MB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", choices=["postgresql", "mariadb"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    running = running_postgresql if options.server == "postgresql" else running_mariadb
    with running() as server:
        server.run(TABLES[server.provider].format(rows=options.rows))
        keys = {
            "key": "benchmark",
            "source_type": "database",
            "content_type": "item",
            "content_key_field": "id",
            "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
            "provider": server.provider,
            "connection_string": server.connection_string,
            "query": "SELECT * FROM item ORDER BY id",
        }
        process = multiprocessing.get_context("spawn").Process(target=read, args=(keys,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
