from __future__ import annotations

import pytest

from sync_pipeline.errors import UsageError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.lookup import SpaceLookup
from sync_pipeline.model import EntryLookup
from sync_pipeline_tests.load.small_space import SpaceState


@pytest.fixture
def lookup(client: SpaceClient) -> SpaceLookup:
    return SpaceLookup(client)


def test_entries_come_ordered_by_display_field(lookup: EntryLookup, space: SpaceState) -> None:
    space.add_entry("1", {"title": {"en-US": "b", "de-DE": "x"}})
    space.add_entry("2", {"title": {"en-US": "a"}, "price": {"en-US": 3}})
    space.add_entry("3", {"title": {"en-US": "c"}}, content_type="other")
    assert list(lookup.entries("product")) == [
        {"id": "2", "title": {"en-US": "a"}, "price": {"en-US": 3}},
        {"id": "1", "title": {"en-US": "b", "de-DE": "x"}},
    ]
    assert space.requests[-1].params["order"] == "fields.title,sys.id"


@pytest.mark.parametrize("display", ["body", None])
def test_a_display_field_that_cannot_be_ordered_by_gives_way_to_the_id(
    lookup: EntryLookup, space: SpaceState, display: str | None
) -> None:
    space.content_types["product"]["displayField"] = display
    space.add_entry("b", {})
    space.add_entry("a", {})
    assert [entry["id"] for entry in lookup.entries("product")] == ["a", "b"]


def test_a_query_is_appended(lookup: EntryLookup, space: SpaceState) -> None:
    space.add_entry("1", {"title": {"en-US": "a b"}})
    space.add_entry("2", {"title": {"en-US": "c"}})
    assert [e["id"] for e in lookup.entries("product", "&fields.title=a%20b")] == ["1"]


def test_entries_are_streamed_page_by_page(lookup: EntryLookup, space: SpaceState) -> None:
    for number in range(2500):
        space.add_entry(f"{number:04d}", {"title": {"en-US": f"{number:04d}"}})
    entries = lookup.entries("product")
    next(entries)
    assert space.count("GET", "^/entries$") == 1
    assert len(list(entries)) == 2499
    assert space.count("GET", "^/entries$") == 3


def test_fields_are_those_of_the_content_type(lookup: EntryLookup, space: SpaceState) -> None:
    known = [field["id"] for field in space.content_types["product"]["fields"]]
    assert list(lookup.field_ids("product")) == known


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda found: found.field_ids("prodct"), "Did you mean 'product'"),
        (lambda found: list(found.entries("prodct")), "Did you mean 'product'"),
        (lambda found: list(found.entries("product", "limit=5")), "'limit' is set by the sync"),
    ],
    ids=["fields", "content type", "query"],
)
def test_what_does_not_exist_is_named(lookup: EntryLookup, ask, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(lookup)


def test_a_refused_query_is_the_users_to_mend(lookup: EntryLookup, space: SpaceState) -> None:
    original = space.answer
    space.answer = lambda r: (  # type: ignore[method-assign]
        (400, {"sys": {"type": "Error", "id": "InvalidQuery"}})
        if r.path == "/entries"
        else original(r)
    )
    with pytest.raises(UsageError, match="queryParameters"):
        list(lookup.entries("product", "fields.nope=1"))
