from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.paging import (
    MAX_QUERY_CHARS,
    MAX_VALUES,
    pack_queries,
    read_entries,
    read_entry_pages,
)
from sync_pipeline_tests.load.small_space import Fault, Request, SpaceState

PARAMS = {"content_type": "product", "order": "sys.id"}


def fill(space: SpaceState, count: int) -> list[str]:
    ids = [f"e{number:05d}" for number in range(count)]
    for entry_id in ids:
        space.add_entry(entry_id, {"sku": {"en-US": entry_id}})
    return ids


def read_all(client: SpaceClient, limit: int = 10) -> list[str]:
    """As the index does it: the last one by id counts, membership is asked of what is kept."""
    kept: dict[str, None] = {}
    for page in read_entry_pages(client, PARAMS, is_seen=kept.__contains__, limit=limit):
        kept.update(dict.fromkeys(str(item["sys"]["id"]) for item in page.items))
    return list(kept)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 21, 100])
@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_every_entry_comes(client: SpaceClient, space: SpaceState, count: int, limit: int) -> None:
    ids = fill(space, count)
    assert read_all(client, limit) == ids


def test_a_page_costs_one_request(client: SpaceClient, space: SpaceState) -> None:
    fill(space, 2998)
    read_all(client, 1000)
    assert len(space.requests) == 3


def test_a_space_that_knows_no_states_of_locales_is_asked_for_all_of_sys(
    client: SpaceClient, space: SpaceState
) -> None:
    ids = fill(space, 25)
    refused = Fault(400, error_id="InvalidQuery")
    space.faults = lambda r: refused if "sys.fieldStatus" in r.params.get("select", "") else None
    params = {**PARAMS, "select": "sys.id,sys.version,sys.fieldStatus,fields.sku"}
    assert [body["sys"]["id"] for body in read_entries(client, params)] == ids
    assert [r.params["select"] for r in space.requests] == [params["select"], "sys,fields.sku"]


def on_page(number: int, act: Callable[[], object], space: SpaceState) -> None:
    def meanwhile(_: Request) -> None:
        if len(space.requests) == number:
            act()

    space.meanwhile = meanwhile


@pytest.mark.parametrize("deleted", [1, 5, 10, 25, 37])
def test_nothing_is_missed_when_entries_before_are_deleted(
    client: SpaceClient, space: SpaceState, deleted: int
) -> None:
    ids = fill(space, 60)

    def delete() -> None:
        for entry_id in ids[:deleted]:
            del space.entries[entry_id]

    on_page(4, delete, space)
    assert set(read_all(client)) >= set(ids[deleted:])


def test_nothing_is_missed_when_as_many_are_added_as_deleted(
    client: SpaceClient, space: SpaceState
) -> None:
    """The total stays, so only the overlap of the pages shows that everything has shifted."""
    ids = fill(space, 60)

    def swap() -> None:
        for number in range(7):
            del space.entries[ids[number]]
            space.add_entry(f"f{number}", {})

    on_page(4, swap, space)
    assert set(read_all(client)) >= {*ids[7:], *(f"f{number}" for number in range(7))}


def test_entries_added_before_do_not_harm(client: SpaceClient, space: SpaceState) -> None:
    ids = fill(space, 60)
    on_page(3, lambda: [space.add_entry(f"a{n}", {}) for n in range(15)], space)
    assert set(read_all(client)) >= set(ids)


def test_the_end_of_the_collection_may_vanish(client: SpaceClient, space: SpaceState) -> None:
    ids = fill(space, 60)
    on_page(3, lambda: [space.entries.pop(entry_id) for entry_id in ids[15:]], space)
    assert set(read_all(client)) >= set(ids[:15])


def test_a_collection_that_never_holds_still_is_given_up(
    client: SpaceClient, space: SpaceState
) -> None:
    fill(space, 60)

    def replace_all(_: Request) -> None:
        number = len(space.requests)
        space.entries.clear()
        for k in range(60):
            space.add_entry(f"r{number}-{k}", {})

    space.meanwhile = replace_all
    pages = read_entry_pages(client, PARAMS, is_seen=lambda _: False, limit=10)
    with pytest.raises(SpaceError, match="deleted"):
        for _ in pages:
            pass


def test_pages_halve_until_the_answer_fits(client: SpaceClient, space: SpaceState) -> None:
    ids = fill(space, 40)
    for entry_id in ids[:10]:
        space.entries[entry_id]["fields"]["body"] = {"en-US": "x" * 1000}
    space.max_response_bytes = 4000
    assert read_all(client, 32) == ids
    limits = [int(request.params["limit"]) for request in space.requests]
    assert limits[:5] == [32, 16, 8, 4, 2]
    assert set(limits[5:]) == {2}


def test_one_entry_that_is_too_big_is_an_error(client: SpaceClient, space: SpaceState) -> None:
    fill(space, 3)
    space.max_response_bytes = 10
    with pytest.raises(SpaceError, match="size too big"):
        read_all(client, 4)


def test_a_refused_query_is_an_error(client: SpaceClient) -> None:
    with pytest.raises(SpaceError, match="InvalidQuery"):
        list(read_entries(client, {"content_type": "nope", "order": "sys.id"}))


def test_reading_a_query_repeats_nothing(client: SpaceClient, space: SpaceState) -> None:
    ids = fill(space, 2500)
    assert [item["sys"]["id"] for item in read_entries(client, PARAMS)] == ids


@given(st.lists(st.text(max_size=30), max_size=300))
def test_queries_ask_for_every_value_within_the_limits(values: list[str]) -> None:
    asked: set[str] = set()
    for query in pack_queries("fields.sku.en-US", values):
        ((path, text),) = query.items()
        if path.endswith("[in]"):
            parts = text.split(",")
            assert len(parts) <= MAX_VALUES
            assert len(quote(text, safe="")) <= MAX_QUERY_CHARS
            asked.update(parts)
        else:
            asked.add(text)
    assert asked == set(values) - {""}


@pytest.mark.parametrize("value", ["a,b", " a", 'a"b', "a\n"])
def test_what_a_list_cannot_carry_is_asked_for_alone(value: str) -> None:
    assert list(pack_queries("p", ["x", value, "y"])) == [{"p": value}, {"p[in]": "x,y"}]


def test_long_values_make_short_lists() -> None:
    values = [f"{number:04d}" + "ü" * 50 for number in range(100)]
    queries = list(pack_queries("p", values))
    assert len(queries) > 10
