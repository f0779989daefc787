"""Filters of a collection query as SQL conditions with bound values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import ApiError, invalid_query
from sync_pipeline.local_space.checks.definitions import is_date, microseconds_of
from sync_pipeline.local_space.queries.paths import QueryPath
from sync_pipeline.local_space.store.sql_functions import instant_of, words_of

OPERATORS = (
    "ne",
    "in",
    "nin",
    "all",
    "exists",
    "lt",
    "lte",
    "gt",
    "gte",
    "match",
    "near",
    "within",
)
_COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_FILTER_NAMES = {"": "equals"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Before and after every time that can be written.
_FIRST_TIME, _LAST_TIME = "0000", "A"


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL of a condition, with its bound values in order."""

    sql: str
    values: tuple[Any, ...] = ()
    #: Set where the condition is a plain look-up of values that an index can serve.
    index: tuple[str, str, str] | None = None


def build_condition(path: QueryPath, operator: str, text: str) -> Condition:
    """One filter as SQL.

    Raises:
        ApiError: 400 `InvalidQuery` for a value that does not fit the type of the path.
    """
    if operator == "exists":
        return _exists(path, text)
    if operator == "near":
        return _near(path, text)
    if operator == "within":
        return _within(path, text)
    if operator == "match":
        if path.type not in ("Symbol", "Text"):
            raise _not_applicable(path, operator)
        return _words_condition(path.sql, text)
    if path.type in ("Text", "Object", "Location", "Link") or (
        operator in _COMPARISONS and path.type not in ("Integer", "Number", "Date")
    ):
        raise _not_applicable(path, operator)
    texts = text.split(",") if operator in ("in", "nin", "all") else [text]
    values = tuple(_value(path, operator, item) for item in texts)
    if path.is_list:
        return _list_condition(path, operator, values)
    sql = _comparable(path)
    if operator == "all":
        raise _not_applicable(path, operator)
    if operator in _COMPARISONS:
        return Condition(f"{sql} {_COMPARISONS[operator]} ?", values)
    marks = ", ".join("?" * len(values))
    if operator in ("ne", "nin"):
        return Condition(f"({sql} IS NULL OR {sql} NOT IN ({marks}))", values)
    return Condition(f"{sql} IN ({marks})", values, index=path.index)


def order_expression(path: QueryPath) -> str:
    """What to order by.

    Raises:
        ApiError: 400 `InvalidQuery` for a type that has no order.
    """
    if path.is_list or path.type in ("Text", "Object", "Location", "Link"):
        raise _not_applicable(path, "order")
    return _comparable(path)


def link_condition(link_type: str, resource_id: str) -> Condition:
    """Records with a link to that entry or asset, in any field and locale."""
    # Stored JSON is compact, so the cheap test sees every link that the exact one must judge.
    return Condition(
        "instr(fields, ?) > 0 AND has_link(fields, ?, ?)",
        ('"id":' + orjson.dumps(resource_id).decode(), link_type, resource_id),
    )


def full_text_condition(text: str) -> Condition:
    """Records whose values hold all the words, each as the beginning of a word."""
    matching = _words_condition("fields", text)
    return Condition(f"({matching.sql} OR id = ?)", (*matching.values, text))


def _words_condition(sql: str, text: str) -> Condition:
    """Each word of `text` begins a word of the value (of any text in it, for JSON)."""
    words = words_of(text)
    # LIKE knows the case of ASCII letters only; it spares most rows the exact test.
    likes = [word for word in words if word.isascii()]
    return Condition(
        "".join(f"{sql} LIKE ? AND " for _ in likes) + f"text_matches({sql}, ?)",
        (*(f"%{word}%" for word in likes), " ".join(words)),
    )


def _comparable(path: QueryPath) -> str:
    if path.type == "Date" and not path.column:
        return f"instant_of({path.sql})"
    return path.sql


def _value(path: QueryPath, operator: str, text: str) -> Any:
    if path.type == "Boolean":
        if text in ("true", "false"):
            return int(text == "true")
    elif path.type in ("Integer", "Number"):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return int(number) if number.is_integer() else number
    elif path.type == "Date":
        if is_date(text):
            return _column_time(text, operator) if path.column else instant_of(text)
    else:
        return text
    raise invalid_query(
        [
            {
                "name": "value",
                "path": path.text.split("."),
                "type": path.type,
                "filter": _FILTER_NAMES.get(operator, operator),
                "details": f"{text} used on {path.text} is not a valid value for type {path.type}.",
            }
        ]
    )


def _column_time(text: str, operator: str) -> str:
    """The time as the columns of `sys` hold it, to the millisecond.

    What lies between two milliseconds goes to the one that keeps the comparison true: the later
    one for `[lt]` and `[gte]`, the earlier one for `[gt]` and `[lte]`. It equals neither.
    """
    millis, rest = divmod(microseconds_of(text), 1000)
    if rest and operator in ("lt", "gte"):
        millis += 1
    elif rest and operator not in _COMPARISONS:
        return text
    seconds, millis = divmod(millis, 1000)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:  # an offset leads out of the years that can be written
        return _FIRST_TIME if seconds < 0 else _LAST_TIME
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z".rjust(24, "0")


def _exists(path: QueryPath, text: str) -> Condition:
    if text not in ("true", "false"):
        raise invalid_query(
            [
                {
                    "name": "value",
                    "path": path.text.split("."),
                    "type": "Boolean",
                    "filter": "exists",
                    "details": f"{text} used on {path.text} is not a valid value for type Boolean.",
                }
            ]
        )
    sql = f"nullif({path.sql}, '[]')" if path.is_list else path.sql
    return Condition(f"{sql} IS {'NOT ' if text == 'true' else ''}NULL")


def _list_condition(path: QueryPath, operator: str, values: Sequence[Any]) -> Condition:
    item = f"json_extract(value, '${path.item_tail}')" if path.item_tail else "value"
    each = f"json_each({path.sql})"
    marks = ", ".join("?" * len(values))
    if operator in ("ne", "nin"):
        return Condition(
            f"NOT EXISTS (SELECT 1 FROM {each} WHERE {item} IN ({marks}))", tuple(values)
        )
    if operator == "all":
        clause = " AND ".join(f"EXISTS (SELECT 1 FROM {each} WHERE {item} = ?)" for _ in values)
        return Condition(clause, tuple(values))
    if operator in _COMPARISONS:
        raise _not_applicable(path, operator)
    return Condition(f"EXISTS (SELECT 1 FROM {each} WHERE {item} IN ({marks}))", tuple(values))


def _numbers(path: QueryPath, operator: str, text: str, counts: Sequence[int]) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if path.type != "Location" or len(numbers) not in counts:
        raise _not_applicable(path, operator)
    return numbers


def _near(path: QueryPath, text: str) -> Condition:
    _numbers(path, "near", text, (2,))
    return Condition(f"{path.sql} IS NOT NULL")


def near_order(path: QueryPath, text: str) -> Condition:
    """`[near]` orders by distance."""
    lat, lon = _numbers(path, "near", text, (2,))
    return Condition(f"distance_km({_lat(path)}, {_lon(path)}, ?, ?)", (lat, lon))


def _within(path: QueryPath, text: str) -> Condition:
    numbers = _numbers(path, "within", text, (3, 4))
    if len(numbers) == 3:
        lat, lon, radius = numbers
        return Condition(f"distance_km({_lat(path)}, {_lon(path)}, ?, ?) <= ?", (lat, lon, radius))
    first_lat, first_lon, second_lat, second_lon = numbers
    return Condition(
        f"{_lat(path)} BETWEEN ? AND ? AND {_lon(path)} BETWEEN ? AND ?",
        (*sorted((first_lat, second_lat)), *sorted((first_lon, second_lon))),
    )


def _lat(path: QueryPath) -> str:
    return f"json_extract({path.sql}, '$.lat')"


def _lon(path: QueryPath) -> str:
    return f"json_extract({path.sql}, '$.lon')"


def _not_applicable(path: QueryPath, operator: str) -> ApiError:
    name = _FILTER_NAMES.get(operator, operator)
    return invalid_query(
        [
            {
                "name": "filter",
                "path": path.text.split("."),
                "type": path.type,
                "filter": name,
                "details": f"{name} cannot be used on {path.text} of type {path.type}.",
            }
        ]
    )
