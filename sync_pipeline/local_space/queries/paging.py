"""Collections of the small resources: content types, locales, tags, environments, spaces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_pipeline.local_space.api_error import invalid_query
from sync_pipeline.local_space.checks.definitions import is_date, microseconds_of
from sync_pipeline.local_space.queries.collections import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Parameters,
    invalid_limit,
    page_link,
    read_number,
    read_position,
)
from sync_pipeline.local_space.queries.paths import unknown_path
from sync_pipeline.local_space.store.sql_functions import words_of

_ABSENT = object()
_WITHOUT_EFFECT = frozenset({"access_token", "include", "locale", "select"})
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: bool(one < other),
    "lte": lambda one, other: bool(one <= other),
    "gt": lambda one, other: bool(one > other),
    "gte": lambda one, other: bool(one >= other),
}


@dataclass(slots=True)
class _Request:
    """What was asked for, but for the filters."""

    limit: int
    skip: int = 0
    orders: list[str] = field(default_factory=list)
    is_cursor: bool = False
    #: What `pageNext` or `pagePrev` said.
    position: tuple[str, int] | None = None


def page(
    items: Sequence[dict[str, Any]],
    parameters: Parameters,
    *,
    default_limit: int = DEFAULT_LIMIT,
    paths: Collection[str] | None = None,
    at: str = "",
    is_cursor: bool = False,
) -> dict[str, Any]:
    """The part of `items` that was asked for: `skip`, `limit`, `order`, filters, cursors.

    Args:
        items: All of them.
        parameters: The query string.
        default_limit: Items of a page where the client names no number.
        paths: By which clients may filter and order; None: what they ask beyond `sys` and `name`
            is ignored.
        at: The path of a collection that knows `cursor=true`.
        is_cursor: It knows nothing else.

    Raises:
        ApiError: 400 `InvalidQuery` for a number, a token or (with `paths`) a path that is none.
    """
    asked = _Request(default_limit, is_cursor=is_cursor)
    chosen = list(items)
    for name, value in parameters:
        if _read_parameter(asked, name, value) or name in _WITHOUT_EFFECT:
            continue
        path, _, operator = name.partition("[")
        if paths is not None and path not in paths:
            raise unknown_path(path)
        if paths is not None or path.startswith("sys.") or path == "name":
            chosen = [item for item in chosen if _keeps(item, path, operator.rstrip("]"), value)]
    for part in reversed(asked.orders):
        path = part.lstrip("-")
        if paths is not None and path not in paths:
            raise unknown_path(path)
        chosen.sort(key=_sort_key(path), reverse=part.startswith("-"))
    if asked.is_cursor and at:
        return _cursor_page(chosen, asked, parameters, at)
    return {
        "sys": {"type": "Array"},
        "total": len(chosen),
        "skip": asked.skip,
        "limit": asked.limit,
        "items": chosen[asked.skip : asked.skip + asked.limit],
    }


def _read_parameter(asked: _Request, name: str, value: str) -> bool:
    if name == "skip":
        asked.skip = read_number(name, value)
    elif name == "limit":
        asked.limit = read_number(name, value)
        if asked.limit > MAX_LIMIT:
            raise invalid_limit(asked.limit)
    elif name == "order" or name.startswith("order["):
        asked.orders += [part for part in value.split(",") if part]
    elif name == "cursor":
        asked.is_cursor |= value == "true"
    elif name in ("pageNext", "pagePrev"):
        asked.is_cursor = True
        asked.position = (name, read_position(name, value))
    else:
        return False
    return True


def _cursor_page(
    items: list[dict[str, Any]], asked: _Request, parameters: Parameters, path: str
) -> dict[str, Any]:
    direction, position = asked.position or ("pageNext", 0)
    if direction == "pagePrev":
        start, end = max(position - asked.limit, 0), position
    else:
        start, end = position, position + asked.limit
    pages: dict[str, str] = {}
    if asked.limit and end < len(items):
        pages["next"] = page_link(path, parameters, "pageNext", end)
    if asked.limit and start > 0:
        pages["prev"] = page_link(path, parameters, "pagePrev", start)
    return {
        "sys": {"type": "Array"},
        "limit": asked.limit,
        "pages": pages,
        "items": items[start:end],
    }


def _sort_key(path: str) -> Callable[[dict[str, Any]], tuple[bool, str, float | str]]:
    def key(item: dict[str, Any]) -> tuple[bool, str, float | str]:
        value = _at(item, path)
        if value is _ABSENT or value is None:
            return (True, "", "")
        if isinstance(value, (dict, list)):
            raise invalid_query([{"name": "order", "path": path.split(".")}])
        kind = "number" if isinstance(value, (int, float)) else "text"
        return (False, kind, value)

    return key


def _keeps(item: dict[str, Any], path: str, operator: str, value: str) -> bool:
    actual = _at(item, path)
    text = str(actual).lower() if isinstance(actual, bool) else str(actual)
    match operator:
        case "":
            return text == value
        case "in":
            return text in value.split(",")
        case "ne":
            return text != value
        case "nin":
            return text not in value.split(",")
        case "exists":
            return (actual is not _ABSENT and actual is not None) == (value == "true")
        case "match":
            found = words_of(text) if isinstance(actual, str) else []
            return all(any(word.startswith(part) for word in found) for part in words_of(value))
        case "lt" | "lte" | "gt" | "gte":
            return _compares(actual, operator, path, value)
        case _:
            return True  # the service ignores operators that it does not know


def _compares(actual: Any, operator: str, path: str, value: str) -> bool:
    if isinstance(actual, str) and is_date(actual) and is_date(value):
        return _COMPARISONS[operator](microseconds_of(actual), microseconds_of(value))
    if isinstance(actual, int) and value.isascii() and value.isdigit():
        return _COMPARISONS[operator](actual, int(value))
    if actual is _ABSENT or actual is None:
        return False
    raise invalid_query(
        [{"name": "value", "path": path.split("."), "value": value, "filter": operator}]
    )


def _at(item: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return _ABSENT
        item = item[part]
    return item
