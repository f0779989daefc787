"""Dates are compared as moments, to the microsecond, in filters, ranges and order."""

from __future__ import annotations

import pytest

from sync_pipeline.local_space.checks.definitions import is_date, microseconds_of
from sync_pipeline_tests.local_space.conftest import Api

MOMENTS = {
    "a": "2024-01-01T10:00:00.001Z",
    "b": "2024-01-01T10:00:00.002Z",
    "c": "2024-01-01T12:00:00.002500+02:00",
    "d": "2024-01-01T10:00:00.9Z",
    "e": "2024-01-01T10:00:01Z",
}


@pytest.fixture
def dated(things: Api) -> Api:
    for entry_id in "ecabd":
        things.put_entry(entry_id, {"day": MOMENTS[entry_id]})
    return things


@pytest.mark.parametrize(
    ("operator", "text", "found"),
    [
        ("[gt]", "2024-01-01T10:00:00.001Z", "bcde"),
        ("[gt]", "2024-01-01T10:00:00Z", "abcde"),
        ("[gt]", "2024-01-01T11:00:00.002+01:00", "cde"),
        ("[gte]", "2024-01-01T10:00:00.002Z", "bcde"),
        ("[lt]", "2024-01-01T10:00:00.002Z", "a"),
        ("[lte]", "2024-01-01T10:00:00.0025Z", "abc"),
        ("[lte]", "2024-01-01T10:00:00Z", ""),
        ("", "2024-01-01T10:00:00.900Z", "d"),
        ("", "2024-01-01T10:00:00Z", ""),
        ("[ne]", "2024-01-01T10:00:01.000Z", "abcd"),
        ("[in]", "2024-01-01T10:00:00.001Z,2024-01-01T10:00:00.0025Z", "ac"),
    ],
)
def test_a_date_field_is_filtered_to_the_fraction(
    dated: Api, operator: str, text: str, found: str
) -> None:
    query = {f"fields.day{operator}": text, "content_type": "thing"}
    assert sorted(dated.ids(**query)) == list(found)


def test_dates_within_a_second_have_an_order(dated: Api) -> None:
    assert dated.ids(content_type="thing", order="fields.day") == list("abcde")
    assert dated.ids(content_type="thing", order="-fields.day") == list("edcba")


@pytest.mark.parametrize(
    ("operator", "text", "found"),
    [
        ("[gt]", "2026-01-01T00:00:00.{0:03d}Z", "bc"),
        ("[gte]", "2026-01-01T00:00:00.{0:03d}Z", "abc"),
        ("[gt]", "2026-01-01T00:00:00.{0:03d}400Z", "bc"),
        ("[gte]", "2026-01-01T00:00:00.{0:03d}400Z", "bc"),
        ("[lt]", "2026-01-01T00:00:00.{0:03d}400Z", "a"),
        ("[lte]", "2026-01-01T00:00:00.{0:03d}400Z", "a"),
        ("[lt]", "2026-01-01T00:00:00.{0:03d}Z", ""),
        ("", "2026-01-01T01:00:00.{0:03d}+01:00", "a"),
        ("", "2026-01-01T00:00:00.{0:03d}400Z", ""),
        ("[gt]", "9999-12-31T23:59:59-12:00", ""),
        ("[lt]", "9999-12-31T23:59:59-12:00", "abc"),
        ("[lt]", "0001-01-01T00:00:00+12:00", ""),
        ("[gt]", "0999-01-01", "abc"),
    ],
)
def test_a_time_in_sys_is_filtered_to_the_millisecond(
    things: Api, operator: str, text: str, found: str
) -> None:
    created = [things.put_entry(entry_id, {})["sys"]["createdAt"] for entry_id in "abc"]
    millis = int(created[0][-4:-1])
    assert sorted(things.ids(**{f"sys.createdAt{operator}": text.format(millis)})) == list(found)


@pytest.mark.parametrize(
    ("limit", "value", "accepted"),
    [
        ({"max": "2024-01-01T00:00:00.500Z"}, "2024-01-01T00:00:00.500Z", True),
        ({"max": "2024-01-01T00:00:00.500Z"}, "2024-01-01T00:00:00.501Z", False),
        ({"min": "2024-01-01T00:00:00.500Z"}, "2024-01-01T00:00:00.499Z", False),
        ({"min": "2024-01-01T00:00:00.500Z"}, "2024-01-01T01:00:00.500+01:00", True),
        ({"max": "9999-12-31T23:59:59Z"}, "9999-12-31T23:59:59-12:00", False),
    ],
)
def test_a_date_range_is_checked_to_the_fraction(
    api: Api, limit: dict[str, str], value: str, accepted: bool
) -> None:
    api.put_type("dated", [{"id": "day", "type": "Date", "validations": [{"dateRange": limit}]}])
    api.put_entry("x", {"day": value}, type_id="dated")
    reply = api.call("PUT", "/entries/x/published", version=1)
    assert reply.status == (200 if accepted else 422)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-01T00:00-00:30", 1_800_000_000),
        ("1970-01-01T00:30+0030", 0),
        ("1970-01-01T00:00:00.1234567899Z", 123_456),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999_000),
    ],
)
def test_a_date_of_any_accepted_form_means_a_moment(text: str, microseconds: int) -> None:
    assert is_date(text)
    assert microseconds_of(text) == microseconds


def test_digits_of_other_scripts_make_no_date() -> None:
    assert not is_date("2024-01-01T\u0661\u0662:00Z")
