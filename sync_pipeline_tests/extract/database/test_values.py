"""Values of database drivers become values that JSON can hold, and lose nothing."""

from __future__ import annotations

import ipaddress
import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.extract.database.unreadable import Unreadable
from sync_pipeline.extract.database.values import (
    clock_text,
    convert_row,
    convert_value,
    duration_text,
    mysql_columns,
    to_record,
)
from sync_pipeline.model import UNREADABLE


class Whole(int):
    """An integer that a driver has made its own class for."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        (Whole(7), 7),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (Decimal("12.50"), "12.50"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), "NaN"),
        ("text", "text"),
        (date(2024, 5, 31), "2024-05-31"),
        (time(23, 59, 59, 500_000), "23:59:59.500000"),
        (datetime(2024, 5, 31, 1, 2, 3), "2024-05-31T01:02:03"),  # noqa: DTZ001 - as a driver gives it
        (datetime(2024, 5, 31, 1, tzinfo=timezone.utc), "2024-05-31T01:00:00+00:00"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"a"), "YQ=="),
        (memoryview(b"a"), "YQ=="),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ([Decimal(1), [None, b"a"]], ["1", [None, "YQ=="]]),
        ((1, 2), [1, 2]),
        ({"a": Decimal("1.0"), 2: date(2024, 1, 1)}, {"a": "1.0", "2": "2024-01-01"}),
        ({"b", "a"}, ["a", "b"]),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500), "P1DT2H3M4.5S"),
    ],
    ids=lambda value: type(value).__name__,  # a repr may hold an address, which differs by process
)
def test_each_type_has_its_documented_form(value: Any, expected: Any) -> None:
    assert convert_row([value], {}) == [expected]
    converted = convert_value(value)
    assert converted == expected
    assert type(converted) is type(expected)
    json.dumps(converted, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(days=2), "P2D"),
        (timedelta(minutes=5), "PT5M"),
        (-timedelta(hours=1), "-PT1H"),
        (timedelta(microseconds=1), "PT0.000001S"),
    ],
    ids=repr,
)
def test_an_interval_is_an_iso_8601_duration(value: timedelta, expected: str) -> None:
    assert duration_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(hours=9, minutes=5), "09:05:00"),
        (timedelta(days=1, hours=2, seconds=4), "26:00:04"),
        (-timedelta(hours=838, minutes=59, seconds=59), "-838:59:59"),
        (timedelta(seconds=1, milliseconds=250), "00:00:01.25"),
    ],
    ids=repr,
)
def test_a_time_of_mysql_is_a_clock(value: timedelta, expected: str) -> None:
    assert clock_text(value) == expected


def test_column_types_of_mysql_say_more_than_the_values() -> None:
    special = mysql_columns([("j", 245), ("b", 16), ("t", 11), ("x", 253)])
    row = ['{"a": [1.5, null]}', b"\x01\x00", timedelta(hours=1), "x"]
    assert convert_row(row, special) == [{"a": [1.5, None]}, 256, "01:00:00", "x"]
    assert convert_row([None] * 4, special) == [None] * 4
    assert convert_row(["null", b"", "00:00:00", "x"], special)[2] == "00:00:00"


@settings(deadline=None, max_examples=100)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_the_text_of_a_decimal_is_exact(value: Decimal) -> None:
    text = convert_value(value)
    assert Decimal(text) == value
    assert "E" not in text


@settings(deadline=None, max_examples=100)
@given(st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)))
def test_a_duration_can_be_read_back(value: timedelta) -> None:
    text = duration_text(value)
    sign = -1 if text.startswith("-") else 1
    days, _, clock = text.lstrip("-")[1:].partition("T")
    parts = {"H": 0.0, "M": 0.0, "S": Decimal(0)}
    number = ""
    for character in clock:
        if character in parts:
            parts[character], number = Decimal(number), ""
        else:
            number += character
    seconds = Decimal(days.rstrip("D") or 0) * 86_400
    seconds += Decimal(parts["H"]) * 3600 + Decimal(parts["M"]) * 60 + parts["S"]
    assert sign * seconds * 1_000_000 == value // timedelta(microseconds=1)


class _Range:
    """As psycopg's: its text is made of that of its bounds."""

    def __init__(self, *bounds: object) -> None:
        self.bounds = bounds

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.bounds))})"


@pytest.mark.parametrize(
    "value",
    [
        Unreadable("why"), [1, Unreadable("why")], [[Unreadable("why")]], {"a": Unreadable("why")},
        _Range(1, Unreadable("why")), (Unreadable("why"),),
    ],
    ids=["cell", "array", "array of arrays", "object", "range", "row"],
)  # fmt: skip
def test_what_cannot_be_read_is_named_by_its_column_wherever_it_is(value: object) -> None:
    record = to_record(["id", "at", "name"], [1, value, "x"], {})
    assert record == {"id": 1, "at": None, "name": "x", UNREADABLE: {"at": "why"}}


@pytest.mark.parametrize(
    "value",
    ["{", b"\xff", 7, Unreadable("why"), object()],
    ids=["no JSON", "bytes", "number", "no text", "object"],
)
def test_what_a_column_s_type_cannot_make_of_a_value_fails_the_record_only(value: object) -> None:
    (special,) = mysql_columns([("j", 245)]).values()
    record = to_record(["id", "j"], [1, value], {1: special})
    assert (record["id"], record["j"]) == (1, None)
    assert list(record[UNREADABLE]) == ["j"]
