"""Source to spool over HTTP, pages of 1000 records: fetched, keyed, de-duplicated, on disk.

    python benchmarks/extract_to_spool.py [--records 200000] [--rounds 3]

The source serves from memory after the first round, which warms it up and does not count.
"a plain loop" is requests and json.loads alone, nothing kept: the upper bound in pure Python.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import requests
from source import running_source

from sync_pipeline.batches.extraction import open_extraction
from sync_pipeline.batches.layout import Spool
from sync_pipeline.config.model import MappingRule, SyncConfig
from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.memory import peak_rss_mb
from sync_pipeline.model import ContentType, Field, Locale, TargetModel
from sync_pipeline.transform import compile_mapping

TARGET = TargetModel(
    ContentType("product", "Product", (Field("sku", "Symbol"), Field("name", "Symbol"))),
    (Locale("en-US", default=True),),
)


def spool(url: str) -> int:
    config = SyncConfig(
        key="products",
        content_type="product",
        content_key_field="sku",
        end_point=f"{url}/products",
        results_json_path="items",
        pagination=Pagination(
            limit_key="limit", skip_key="offset", limit_max=1000, total_path="total"
        ),
        mapping=(
            MappingRule(field_name="sku", expression="{{ row.id }}"),
            MappingRule(field_name="name", expression="{{ row.name }}"),
        ),
    )
    mapper = compile_mapping(config, TARGET, variables={}, lookup=None)
    source = open_source(config, SourceSetting(variables={}))
    with tempfile.TemporaryDirectory() as folder:
        try:
            with open_extraction(Spool(Path(folder) / "spool"), mapper.key_of) as extraction:
                for page in source.fetch_pages():
                    extraction.add_page(page, 1000)
                return extraction.progress.records
        finally:
            source.close()


def plain_loop(url: str) -> int:
    count = 0
    with requests.Session() as session:
        while True:
            answer = session.get(f"{url}/products?limit=1000&offset={count}", timeout=60)
            rows = json.loads(answer.content)["items"]
            if not rows:
                return count
            count += len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with running_source(given.records) as url:
        plain_loop(url)
        for title, work in (("a plain loop", plain_loop), ("source to spool", spool)):
            best = 0.0
            for _ in range(given.rounds):
                started = time.perf_counter()
                records = work(url)
                best = max(best, records / (time.perf_counter() - started))
            print(f"{title:16} {best:>9,.0f} records/s   peak {peak_rss_mb():,.0f} MB")
