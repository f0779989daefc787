"""Scriban's functions `array.*` and `object.*`, as filters of the same names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sync_pipeline.templating.arguments import read_count, read_list
from sync_pipeline.templating.bounds import checked_count, template_error
from sync_pipeline.templating.sandbox import bounded_join
from sync_pipeline.templating.text import EmptyValue, is_nothing, to_json, to_text

_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"), ((int, float), "number"), (str, "string"),
    ((list, tuple), "array"), (Mapping, "object"),
)  # fmt: skip


def build_data_functions() -> dict[str, Callable[..., Any]]:
    """The functions by their dotted names."""
    return {
        "array.add": lambda items, item: _bounded([*read_list(items, "array.add"), item]),
        "array.add_range": _concat,
        "array.compact": lambda items: [
            item for item in read_list(items, "array.compact") if not is_nothing(item)
        ],
        "array.concat": _concat,
        "array.contains": lambda items, item: item in read_list(items, "array.contains"),
        "array.first": lambda items: next(iter(read_list(items, "array.first")), None),
        "array.insert_at": _insert_at,
        "array.join": lambda items, separator="": bounded_join(
            to_text(separator), read_list(items, "array.join")
        ),
        "array.last": lambda items: next(reversed(read_list(items, "array.last")), None),
        "array.limit": lambda items, count: read_list(items, "array.limit")[
            : max(0, read_count(count, "array.limit"))
        ],
        "array.map": lambda items, name: [
            _member(item, name) for item in read_list(items, "array.map")
        ],
        "array.offset": lambda items, count: read_list(items, "array.offset")[
            max(0, read_count(count, "array.offset")) :
        ],
        "array.remove_at": _remove_at,
        "array.reverse": lambda items: read_list(items, "array.reverse")[::-1],
        "array.size": lambda items: len(read_list(items, "array.size")),
        "array.sort": _sort,
        "array.uniq": _unique,
        "object.default": default,
        "object.from_json": _from_json,
        "object.has_key": lambda value, key: isinstance(value, Mapping) and key in value,
        "object.has_value": lambda value, key: (
            isinstance(value, Mapping) and not is_nothing(value.get(key))
        ),
        "object.keys": lambda value: list(value) if isinstance(value, Mapping) else [],
        "object.size": _size,
        "object.to_json": lambda value: "null" if is_nothing(value) else to_json(value),
        "object.typeof": _typeof,
        "object.values": lambda value: list(value.values()) if isinstance(value, Mapping) else [],
    }


def default(value: Any, alternative: Any) -> Any:
    """The value, or the alternative where it is null, missing or the empty text."""
    return alternative if is_nothing(value) or value == "" else value


def _bounded(items: list[Any]) -> list[Any]:
    checked_count(len(items))
    return items


def _concat(items: Any, more: Any) -> list[Any]:
    return _bounded([*read_list(items, "array.concat"), *read_list(more, "array.concat")])


def _insert_at(items: Any, index: Any, item: Any) -> list[Any]:
    found = read_list(items, "array.insert_at")
    at = max(0, read_count(index, "array.insert_at"))
    missing = [None] * (at - len(found))
    return _bounded([*found[:at], *missing, item, *found[at:]])


def _remove_at(items: Any, index: Any) -> list[Any]:
    found = read_list(items, "array.remove_at")
    at = read_count(index, "array.remove_at")
    if -len(found) <= at < len(found):
        del found[at]
    return found


def _member(item: Any, name: Any) -> Any:
    return item.get(to_text(name)) if isinstance(item, Mapping) else None


def _sort(items: Any, name: Any = None) -> list[Any]:
    def rank(item: Any) -> tuple[int, Any]:
        value = item if name is None else _member(item, name)
        if is_nothing(value):
            return 0, 0
        if isinstance(value, int | float):
            return 1, value
        return 2, to_text(value)

    return sorted(read_list(items, "array.sort"), key=rank)


def _unique(items: Any) -> list[Any]:
    found: list[Any] = []
    seen: set[str] = set()
    for item in read_list(items, "array.uniq"):
        mark = to_json([item])
        if mark not in seen:
            seen.add(mark)
            found.append(item)
    return found


def _from_json(text: Any) -> Any:
    written = to_text(text)
    if not written.strip():
        return None
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        raise template_error("object.from_json: the text is not JSON") from None


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping) else 0


def _typeof(value: Any) -> str | None:
    if is_nothing(value) or isinstance(value, EmptyValue):
        return None
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "object")
