"""Records mapped per second on one core, against one Jinja2 `Template.render` per field.

::

    python benchmarks/mapping.py [--records 20000] [--rounds 7]

Ten fields: short texts in two locales, long text, number, integer, boolean, date, list and link.
"rendered one by one" is the plain way: a sandboxed template per field, rendered per record, without
typing its text. "mapped" is all that a sync does with a record: one compiled program, typing and
checks by the content type, key, merging of duplicates. Both run in the same process, in turns, and
the best round counts, since other load on the machine can only slow a round down.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from jinja2.sandbox import SandboxedEnvironment

from sync_pipeline.config.model import MappingRule, SyncConfig
from sync_pipeline.model import ContentType, DesiredEntry, Field, Locale, SpooledRecord, TargetModel
from sync_pipeline.transform import compile_mapping

MAPPING = {
    "id": "{{ row.id }}",
    "name.en-US": "{{ row.name }}",
    "name.de-DE": "{{ row.name_de }}",
    "description": "{{ row.description }}",
    "price": "{{ row.price }}",
    "stock": "{{ row.stock }}",
    "active": "{{ row.active }}",
    "updated": "{{ row.updated }}",
    "tags[]": "{{ row.tags | join('|') }}",
    "brand": "{{ row.brand }}",
}
TARGET = TargetModel(
    ContentType(
        "product",
        "Product",
        (
            Field("id", "Symbol"),
            Field("name", "Symbol", localized=True),
            Field("description", "Text"),
            Field("price", "Number"),
            Field("stock", "Integer"),
            Field("active", "Boolean"),
            Field("updated", "Date"),
            Field("tags", "Array", items_type="Symbol"),
            Field("brand", "Link", link_type="Entry"),
        ),
    ),
    (Locale("en-US", default=True), Locale("de-DE")),
)


def make_row(number: int) -> dict[str, object]:
    return {
        "id": f"P-{number:07}",
        "name": f"Product {number}",
        "name_de": f"Erzeugnis Nr. {number} für Österreich",
        "description": "A text of a hundred characters or so, as descriptions go. " * 2,
        "price": number * 1.25,
        "stock": number % 997,
        "active": number % 2 == 0,
        "updated": "2026-05-01T08:30:00Z",
        "tags": ["new", "sale"],
        "brand": f"brand-{number % 50}",
    }


def best_seconds(work: Callable[[], object], best: float) -> float:
    started = time.process_time()
    work()
    return min(best, time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    config = SyncConfig(
        key="products",
        content_type="product",
        content_key_field="id",
        mapping=tuple(MappingRule(field_name=k, expression=v) for k, v in MAPPING.items()),
    )
    mapper = compile_mapping(config, TARGET, variables={}, lookup=None)
    environment = SandboxedEnvironment()
    templates = [environment.from_string(source) for source in MAPPING.values()]
    rows = [make_row(number) for number in range(options.records)]
    records = [SpooledRecord(n, mapper.key_of(row), row) for n, row in enumerate(rows)]
    batches = [records[start : start + 1000] for start in range(0, len(records), 1000)]

    def one_by_one() -> None:
        for row in rows[: max(1, len(rows) // 5)]:
            for template in templates:
                template.render(row=row)

    def mapped() -> None:
        found = 0
        for batch in batches:
            for result in mapper.map_records(batch):
                found += isinstance(result, DesiredEntry)
        assert found == len(records)

    def keys() -> None:
        for row in rows:
            mapper.key_of(row)

    plain = program = key = float("inf")
    for _ in range(options.rounds):
        plain = best_seconds(one_by_one, plain)
        program = best_seconds(mapped, program)
        key = best_seconds(keys, key)
    plain_speed = max(1, len(rows) // 5) / plain
    speed, key_speed = len(rows) / program, len(rows) / key
    print(f"rendered one by one, 10 fields: {plain_speed:>10,.0f} records/s (text only)")
    print(f"mapped, 10 fields:              {speed:>10,.0f} records/s (typed, keyed, merged)")
    print(f"ratio:                          {speed / plain_speed:>10.2f}")
    print(f"keys alone:                     {key_speed:>10,.0f} records/s")
    print(
        json.dumps(
            {
                "records_per_s_one_by_one": round(plain_speed),
                "records_per_s_mapped": round(speed),
                "ratio": round(speed / plain_speed, 2),
                "keys_per_s": round(key_speed),
            }
        )
    )


if __name__ == "__main__":
    main()
