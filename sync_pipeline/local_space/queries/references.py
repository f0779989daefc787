"""`GET /entries/{id}/references`: an entry with what it links to, some levels deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import orjson

from sync_pipeline.local_space.api_error import invalid_query
from sync_pipeline.local_space.checks.saving import is_link
from sync_pipeline.local_space.queries.collections import (
    MAX_RESPONSE_BYTES,
    Parameters,
    read_number,
    response_too_big,
    within_bound,
)
from sync_pipeline.local_space.store.records import Kind, find_record, render
from sync_pipeline.local_space.store.store import Scope

MAX_DEPTH = 10


def read_references(scope: Scope, entry_id: str, parameters: Parameters) -> bytes:
    """`{items: [entry], includes: {Entry, Asset}}` as JSON; an unknown id gives no items.

    Raises:
        ApiError: 400 for an `include` outside of 1 to 10, or an answer of more than 7 MB.
    """
    depth = read_number("include", dict(parameters).get("include", "2"))
    if not 1 <= depth <= MAX_DEPTH:
        raise invalid_query(
            [{"name": "range", "path": ["include"], "min": 1, "max": MAX_DEPTH, "value": depth}]
        )
    record = find_record(scope, "Entry", entry_id)
    items: list[Any] = []
    includes: dict[str, list[Any]] = {}
    if record is not None:
        items.append(render(record, scope))
        seen = {("Entry", entry_id)}
        pending = [record.fields]
        size = len(record.fields)
        for _ in range(depth):
            found: list[str] = []
            for fields in pending:
                for kind, resource_id in _links(orjson.loads(fields)):
                    if (kind, resource_id) in seen:
                        continue
                    seen.add((kind, resource_id))
                    target = find_record(scope, cast("Kind", kind), resource_id)
                    if target is None:
                        continue
                    size += len(target.fields)
                    if size > MAX_RESPONSE_BYTES:
                        raise response_too_big()
                    includes.setdefault(kind, []).append(render(target, scope))
                    found.append(target.fields)
            pending = found
    return within_bound(
        orjson.dumps({"sys": {"type": "Array"}, "items": items, "includes": includes})
    )


def _links(value: Any) -> Iterator[tuple[str, str]]:
    if is_link(value):
        yield value["sys"]["linkType"], value["sys"]["id"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _links(item)
    elif isinstance(value, list):
        for item in value:
            yield from _links(item)
