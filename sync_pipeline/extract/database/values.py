"""From the values of a database driver to values that JSON and templates can hold.

==================  =============================================================
NULL                None
boolean, integer    as they are (MySQL's BOOLEAN is the integer 0 or 1)
real, double        float; `NaN` and `Infinity` as text, since JSON has none
decimal, numeric    exact text with all its digits: `12.50`
text, enum          text
date, time          ISO 8601: `2024-05-31`, `23:59:59.5`
timestamp           ISO 8601, with its offset where the type has one
interval            ISO 8601 duration `P1DT2H3M4.5S`; MySQL's TIME as `26:03:04`
bytes               base64
UUID                text with hyphens
JSON                objects and arrays (PostgreSQL, MySQL); MariaDB's is text to its drivers
array               list of such values
all else            its text (ranges, network addresses)
==================  =============================================================
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sync_pipeline.extract.database.unreadable import Unreadable, UnreadableError
from sync_pipeline.model import UNREADABLE, Row

Convert = Callable[[Any], Any]

_PLAIN: Final = frozenset({str, int, bool, type(None)})
#: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_MYSQL_TIME: Final = 11
_MYSQL_BIT: Final = 16
_MYSQL_JSON: Final = 245


def convert_row(row: Sequence[Any], special: Mapping[int, Convert]) -> list[Any]:
    """The values of a row as JSON can hold them.

    Args:
        row: As the driver gives it.
        special: By column position: what knows more of a value than its Python type says.
    """
    values = [value if type(value) in _PLAIN else convert_value(value) for value in row]
    for position, convert in special.items():
        if row[position] is not None:
            values[position] = convert(row[position])
    return values


def to_record(columns: Sequence[str], row: Sequence[Any], special: Mapping[int, Convert]) -> Row:
    """A row as a record; its values that cannot be read stand under `UNREADABLE`, with why."""
    try:
        return dict(zip(columns, convert_row(row, special), strict=True))
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return _with_faults(columns, row, special)


def _with_faults(columns: Sequence[str], row: Sequence[Any], special: Mapping[int, Convert]) -> Row:
    record: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for at, (column, value) in enumerate(zip(columns, row, strict=True)):
        record[column] = None
        if isinstance(value, Unreadable):
            faults[column] = value.reason
            continue
        own = {0: special[at]} if at in special else {}
        try:
            record[column] = convert_row([value], own)[0]
        except UnreadableError as err:  # within an array or a range
            faults[column] = str(err)
        except (ValueError, TypeError, ArithmeticError, AttributeError) as err:
            faults[column] = f"its value cannot be converted ({type(err).__name__})"
    return {**record, UNREADABLE: faults} if faults else record


def convert_value(value: Any) -> Any:
    """One value, by its Python type."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _spell_float(value)
    converter = _CONVERTERS.get(kind)
    if converter is not None:
        return converter(value)
    if isinstance(value, Mapping):
        return {str(key): convert_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [convert_value(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(inner) for inner in value)
    if isinstance(value, int):
        return int(value)
    return str(value)


def mysql_columns(description: Sequence[Any]) -> dict[int, Convert]:
    """What MySQL's column types say that the Python types of PyMySQL do not."""
    known: dict[int, Convert] = {
        _MYSQL_TIME: _mysql_time,
        _MYSQL_BIT: _bits,
        _MYSQL_JSON: _parse_json,
    }
    return {
        position: known[column[1]]
        for position, column in enumerate(description)
        if column[1] in known
    }


def clock_text(value: timedelta) -> str:
    """`26:03:04`: MySQL's TIME, which may pass a day and be negative."""
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.days * 86_400 + value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}{_fraction(value.microseconds)}"


def duration_text(value: timedelta) -> str:
    """`P1DT2H3M4.5S`: an interval as an ISO 8601 duration; `PT0S` for none."""
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{value.days}D" if value.days else ""
    clock = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    if seconds or value.microseconds:
        clock += f"{seconds}{_fraction(value.microseconds)}S"
    if not (days or clock):
        clock = "0S"
    return f"{sign}P{days}" + (f"T{clock}" if clock else "")


def _fraction(microseconds: int) -> str:
    return f".{microseconds:06d}".rstrip("0") if microseconds else ""


def _decimal_text(value: Decimal) -> str:
    return format(value, "f") if value.is_finite() else _spell_float(float(value))


def _spell_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _base64_text(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _iso(value: date | time) -> str:
    return value.isoformat()


def _mysql_time(value: Any) -> Any:
    return clock_text(value) if isinstance(value, timedelta) else convert_value(value)


def _parse_json(value: Any) -> Any:
    return convert_value(json.loads(value))


def _bits(value: bytes) -> int:
    return int.from_bytes(value, "big")


_CONVERTERS: Final[Mapping[type, Convert]] = {
    Decimal: _decimal_text,
    datetime: _iso,
    date: _iso,
    time: _iso,
    timedelta: duration_text,
    bytes: _base64_text,
    bytearray: _base64_text,
    memoryview: _base64_text,
    UUID: str,
}
