from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.load.diff import Change, find_changes, is_equal
from sync_pipeline.model import ContentType, DesiredEntry, Field


def link(entry_id: str, link_type: str = "Entry") -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": link_type, "id": entry_id}}


def rich(text: str) -> dict[str, Any]:
    words = {"nodeType": "text", "value": text, "marks": [], "data": {}}
    paragraph = {"nodeType": "paragraph", "data": {}, "content": [words]}
    return {"nodeType": "document", "data": {}, "content": [paragraph]}


def field(kind: str, items: str | None = None) -> Field:
    return Field("f", kind, items_type=items)


EQUAL = [
    ("Symbol", None, "a", "a"),
    ("Integer", None, 7, 7.0),
    ("Number", None, 0.1, 0.1),
    ("Number", None, 10**20, 1e20),
    ("Boolean", None, True, True),
    ("Date", None, "2024-05-01", "2024-05-01T00:00:00Z"),
    ("Date", None, "2024-05-01T10:00+02:00", "2024-05-01T08:00:00.000Z"),
    ("Date", None, "2024-05-01T08:00:00.999Z", "2024-05-01T08:00:00+00:00"),
    ("Date", None, "2024-05-01T08:00:00", "2024-05-01T08:00:00Z"),
    ("Link", None, link("a"), {"sys": {"id": "a"}}),
    ("Array", "Symbol", ["a", "b"], ["a", "b"]),
    ("Array", "Link", [link("a")], [link("a")]),
    ("Location", None, {"lat": 1, "lon": 2}, {"lon": 2.0, "lat": 1.0}),
    ("Object", None, {"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}),
    ("Object", None, {"a": 12345678901234567890123}, {"a": 1.2345678901234568e22}),
    ("Object", None, {"a": 2**53 + 1}, {"a": 2**53}),
    ("RichText", None, rich("x"), rich("x")),
    ("Symbol", None, None, None),
    ("Array", "Symbol", None, []),
    ("Array", "Symbol", [], None),
]
DIFFERENT = [
    ("Symbol", None, "a", "A"),
    ("Symbol", None, "a", " a"),
    ("Symbol", None, "", None),
    ("Text", None, "a\n", "a"),
    ("Integer", None, 1, 2),
    ("Integer", None, 2**53 - 1, 2**53),
    ("Boolean", None, True, False),
    ("Boolean", None, True, 1),
    ("Date", None, "2024-05-01T08:00:00Z", "2024-05-01T08:00:01Z"),
    ("Date", None, "2024-05-01T08:00:00+01:00", "2024-05-01T08:00:00Z"),
    ("Date", None, "soon", "later"),
    ("Link", None, link("a"), link("b")),
    ("Array", "Symbol", ["a", "b"], ["b", "a"]),
    ("Array", "Symbol", ["a"], ["a", "a"]),
    ("Array", "Link", [link("a")], [link("b")]),
    ("Location", None, {"lat": 1, "lon": 2}, {"lat": 1, "lon": 3}),
    ("Object", None, {"a": None}, {}),
    ("Object", None, {"a": True}, {"a": 1}),
    ("Object", None, [1, 2], [2, 1]),
    ("Object", None, {"a": 10**400}, {"a": 10**400 + 1}),
    ("Object", None, {"a": 2**60}, {"a": str(2**60)}),
    ("RichText", None, rich("x"), rich("y")),
]


@pytest.mark.parametrize(("kind", "items", "left", "right"), EQUAL, ids=str)
def test_values_that_are_the_same_to_the_space(kind, items, left, right) -> None:
    assert is_equal(field(kind, items), left, right)
    assert is_equal(field(kind, items), right, left)


@pytest.mark.parametrize(("kind", "items", "left", "right"), DIFFERENT, ids=str)
def test_values_that_differ(kind, items, left, right) -> None:
    assert not is_equal(field(kind, items), left, right)
    assert not is_equal(field(kind, items), right, left)


TYPE = ContentType(
    "t", "T", (Field("name", "Symbol", localized=True), Field("tags", "Array", items_type="Symbol"))
)


def changes(fields: dict[str, Any], existing: dict[str, Any], cleared=()) -> tuple[Change, ...]:
    return find_changes(DesiredEntry("k", 0, fields, cleared=tuple(cleared)), existing, TYPE)


def test_fields_and_locales_that_are_not_mapped_are_not_looked_at() -> None:
    existing = {"name": {"en": "a", "de": "b"}, "other": {"en": 1}}
    assert changes({"name": {"en": "a"}}, existing) == ()


def test_a_blank_desired_value_never_overwrites() -> None:
    assert changes({"name": {"en": None}, "tags": {"en": []}}, {"name": {"en": "a"}}) == ()


def test_a_cleared_pair_changes_only_if_it_has_a_value() -> None:
    cleared = [("name", "en"), ("name", "de"), ("tags", "en")]
    existing = {"name": {"en": "a", "de": None}}
    assert changes({}, existing, cleared) == (Change("name", "en", "a", None),)


def test_a_pair_that_is_both_set_and_cleared_is_set() -> None:
    found = changes({"name": {"en": "b"}}, {"name": {"en": "a"}}, [("name", "en")])
    assert found == (Change("name", "en", "a", "b"),)


def test_null_before_is_shown_as_no_value() -> None:
    assert changes({"tags": {"en": ["x"]}}, {"tags": {"en": []}}) == (
        Change("tags", "en", None, ["x"]),
    )
