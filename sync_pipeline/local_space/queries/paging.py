"""Collections of the small resources: content types, locales, tags, environments, spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sync_pipeline.local_space.queries.collections import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Parameters,
    invalid_limit,
    read_number,
)

_ABSENT = object()


def page(items: Sequence[dict[str, Any]], parameters: Parameters) -> dict[str, Any]:
    """The part of `items` that was asked for: `skip`, `limit`, `order`, equality and `[in]`.

    Raises:
        ApiError: 400 `InvalidQuery` for a `skip` or `limit` that is no number.
    """
    skip, limit = 0, DEFAULT_LIMIT
    chosen = list(items)
    orders: list[str] = []
    for name, value in parameters:
        if name == "skip":
            skip = read_number(name, value)
        elif name == "limit":
            limit = read_number(name, value)
            if limit > MAX_LIMIT:
                raise invalid_limit(limit)
        elif name == "order" or name.startswith("order["):
            orders += [part for part in value.split(",") if part]
        elif name.startswith(("sys.", "name")):
            path, _, operator = name.partition("[")
            chosen = [item for item in chosen if _keeps(item, path, operator, value)]
    for part in reversed(orders):
        chosen.sort(key=_sort_key(part.lstrip("-")), reverse=part.startswith("-"))
    return {
        "sys": {"type": "Array"},
        "total": len(chosen),
        "skip": skip,
        "limit": limit,
        "items": chosen[skip : skip + limit],
    }


def _sort_key(path: str) -> Callable[[dict[str, Any]], tuple[bool, str | int]]:
    def key(item: dict[str, Any]) -> tuple[bool, str | int]:
        value = _at(item, path)
        return (True, "") if value is _ABSENT or value is None else (False, value)

    return key


def _keeps(item: dict[str, Any], path: str, operator: str, value: str) -> bool:
    actual = _at(item, path)
    match operator.rstrip("]"):
        case "":
            return str(actual) == value
        case "in":
            return str(actual) in value.split(",")
        case "ne":
            return str(actual) != value
        case "nin":
            return str(actual) not in value.split(",")
        case "exists":
            return (actual is not _ABSENT) == (value == "true")
        case _:
            return True


def _at(item: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return _ABSENT
        item = item[part]
    return item
