"""Collections: paging, order, selection, filters, links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from sync_pipeline.local_space.queries import collections as queries
from sync_pipeline_tests.local_space.conftest import Api, Reply

QUERY_MESSAGE = (
    "The query you sent was invalid. Probably a filter or ordering specification is not "
    "applicable to the type of a field."
)


def link(target: str, kind: str = "Entry") -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": kind, "id": target}}


@pytest.fixture
def library(things: Api) -> Api:
    things.put_entry("a", {"name": "Alpha one", "sku": "1", "count": 1, "flag": True,
                           "day": "2024-01-01", "tags": ["x", "y"], "text": "Brown fox",
                           "place": {"lat": 50.0, "lon": 8.0}}, publish=True)  # fmt: skip
    things.put_entry("b", {"name": {"en-US": "Beta", "de-DE": "Zwei"}, "sku": "2", "count": 2,
                           "flag": False, "day": "2024-01-01T12:00+02:00", "tags": ["y"],
                           "other": link("a"), "place": {"lat": 51.0, "lon": 8.0}})  # fmt: skip
    things.put_entry("c", {"name": "Gamma", "sku": "3", "price": 1.5, "others": [link("a"), link("b")],
                           "image": link("pic", "Asset"), "day": "2024-06-01"})  # fmt: skip
    things.call("PUT", "/entries/c/archived")
    things.put_type("plain", [{"id": "name", "type": "Symbol"}])
    things.put_entry("p", {"name": "Alpha"}, type_id="plain")
    return things


FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["a", "b", "c", "p"]),
    ({"content_type": "thing"}, ["a", "b", "c"]),
    ({"sys.id": "a"}, ["a"]),
    ({"sys.id[in]": "a,p,zz"}, ["a", "p"]),
    ({"sys.id[nin]": "a,p"}, ["b", "c"]),
    ({"sys.id[ne]": "a"}, ["b", "c", "p"]),
    ({"sys.id[IN]": "a"}, ["a", "b", "c", "p"]),
    ({"sys.contentType.sys.id": "plain"}, ["p"]),
    ({"sys.contentType.sys.id[in]": "plain,thing"}, ["a", "b", "c", "p"]),
    ({"sys.publishedVersion[exists]": "false"}, ["b", "c", "p"]),
    ({"sys.publishedAt[exists]": "true"}, ["a"]),
    ({"sys.archivedAt[exists]": "true"}, ["c"]),
    ({"sys.version": "2"}, ["a", "c"]),
    ({"sys.version[gt]": "1"}, ["a", "c"]),
    ({"sys.createdAt[gte]": "2026-01-01"}, ["a", "b", "c", "p"]),
    ({"sys.createdAt[lt]": "2026-01-01T00:00:00Z"}, []),
    ({"fields.sku": "1", "content_type": "thing"}, ["a"]),
    ({"fields.sku.en-US": "1", "content_type": "thing"}, ["a"]),
    ({"fields.name.de-DE": "Zwei", "content_type": "thing"}, ["b"]),
    ({"fields.name": "Zwei", "content_type": "thing"}, []),
    ({"fields.sku[in]": "1,3", "content_type": "thing"}, ["a", "c"]),
    ({"fields.sku[in]": "1,3", "fields.count": "1", "content_type": "thing"}, ["a"]),
    ({"fields.count[in]": "1,2", "content_type": "thing"}, ["a", "b"]),
    ({"fields.count[ne]": "1", "content_type": "thing"}, ["b", "c"]),
    ({"fields.count[exists]": "false", "content_type": "thing"}, ["c"]),
    ({"fields.count[lte]": "1", "content_type": "thing"}, ["a"]),
    ({"fields.price[gt]": "1.25", "content_type": "thing"}, ["c"]),
    ({"fields.flag": "false", "content_type": "thing"}, ["b"]),
    ({"fields.day": "2024-01-01T10:00:00Z", "content_type": "thing"}, ["b"]),
    ({"fields.day[gt]": "2024-01-01", "content_type": "thing"}, ["b", "c"]),
    ({"fields.tags": "y", "content_type": "thing"}, ["a", "b"]),
    ({"fields.tags[in]": "x,zz", "content_type": "thing"}, ["a"]),
    ({"fields.tags[all]": "x,y", "content_type": "thing"}, ["a"]),
    ({"fields.tags[nin]": "x", "content_type": "thing"}, ["b", "c"]),
    ({"fields.tags[ne]": "y", "content_type": "thing"}, ["c"]),
    ({"fields.tags[exists]": "true", "content_type": "thing"}, ["a", "b"]),
    ({"fields.other.sys.id": "a", "content_type": "thing"}, ["b"]),
    ({"fields.others.sys.id": "b", "content_type": "thing"}, ["c"]),
    ({"fields.others.sys.id[in]": "a,x", "content_type": "thing"}, ["c"]),
    ({"fields.text[match]": "fo", "content_type": "thing"}, ["a"]),
    ({"fields.text[match]": "fox brown", "content_type": "thing"}, ["a"]),
    ({"fields.text[match]": "ox", "content_type": "thing"}, []),
    ({"fields.place[within]": "49,7,50.5,9", "content_type": "thing"}, ["a"]),
    ({"fields.place[within]": "50,8,120", "content_type": "thing"}, ["a", "b"]),
    ({"fields.place[within]": "50,8,100", "content_type": "thing"}, ["a"]),
    ({"query": "alpha"}, ["a", "p"]),
    ({"query": "one ALPHA"}, ["a"]),
    ({"query": "zwei"}, ["b"]),
    ({"query": "name"}, []),
    ({"links_to_entry": "a"}, ["b", "c"]),
    ({"links_to_entry": "pic"}, []),
    ({"links_to_asset": "pic"}, ["c"]),
    ({"include": "10", "locale": "de-DE"}, ["a", "b", "c", "p"]),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=str)
def test_a_filter_picks_entries(library: Api, query: dict[str, str], expected: list[str]) -> None:
    reply = library.get("/entries", order="sys.id", **query)
    assert reply.status == 200, reply.body
    assert [item["sys"]["id"] for item in reply.body["items"]] == expected
    assert reply.body["total"] == len(expected)


def test_an_index_changes_no_answer(library: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_INDEX_FROM", 1)
    for query, expected in FILTERS:
        assert library.ids(order="sys.id", **query) == expected
    assert library.app.store.known_indexes


REFUSED: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"sys.foo": "1"}, {"name": "unknown", "path": ["sys", "foo"],
                        "details": 'The path "sys.foo" is not recognized'}),
    ({"foo": "1"}, {"name": "unknown", "path": ["foo"], "details": 'The path "foo" is not recognized'}),
    ({"fields.nope": "1", "content_type": "thing"},
     {"name": "unknown", "path": ["fields", "nope"],
      "details": 'The path "fields.nope" is not recognized'}),
    ({"order": "sys.foo"}, {"name": "unknown", "path": ["sys", "foo"],
                            "details": 'The path "sys.foo" is not recognized'}),
    ({"select": "sys.foo"}, {"name": "unknown", "path": ["sys", "foo"],
                             "details": 'The path "sys.foo" is not recognized'}),
    ({"fields.sku.pl": "1", "content_type": "thing"}, {"name": "unknown"}),
    ({"fields.other.fields.name": "1", "content_type": "thing"}, {"name": "unknown"}),
    ({"content_type": "nope"}, {"name": "unknownContentType", "value": "nope"}),
    ({"sys.archivedAt": "false"},
     {"name": "value", "path": ["sys", "archivedAt"], "type": "Date", "filter": "equals",
      "details": "false used on sys.archivedAt is not a valid value for type Date."}),
    ({"fields.count": "x", "content_type": "thing"},
     {"name": "value", "type": "Integer", "filter": "equals"}),
    ({"fields.count[gt]": "nan", "content_type": "thing"}, {"name": "value", "filter": "gt"}),
    ({"fields.flag": "1", "content_type": "thing"}, {"name": "value", "type": "Boolean"}),
    ({"sys.publishedAt[exists]": "yes"}, {"name": "value", "filter": "exists"}),
    ({"fields.text": "x", "content_type": "thing"}, {"name": "filter", "type": "Text"}),
    ({"fields.data": "x", "content_type": "thing"}, {"name": "filter", "type": "Object"}),
    ({"fields.sku[near]": "1,2", "content_type": "thing"}, {"name": "filter", "filter": "near"}),
    ({"fields.place[near]": "1", "content_type": "thing"}, {"name": "filter", "filter": "near"}),
    ({"fields.tags[gt]": "1", "content_type": "thing"}, {"name": "filter", "filter": "gt"}),
    ({"fields.sku[all]": "1", "content_type": "thing"}, {"name": "filter", "filter": "all"}),
    ({"order": "fields.text", "content_type": "thing"}, {"name": "filter", "filter": "order"}),
    ({"order": "fields.tags", "content_type": "thing"}, {"name": "filter", "filter": "order"}),
    ({"limit": "1001"}, {"name": "range", "path": ["limit"]}),
    ({"select": "fields.name.en-US", "content_type": "thing"}, {"name": "depth"}),
    ({"select": ",".join(["sys.id"] * 101)}, {"name": "size"}),
    ({"pageNext": "!"}, {"name": "value", "path": ["pageNext"]}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "fault"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_query_that_makes_no_sense_is_refused(
    library: Api, query: dict[str, str], fault: dict[str, Any]
) -> None:
    reply = library.get("/entries", **query)
    assert reply.error == (400, "InvalidQuery", QUERY_MESSAGE)
    assert fault.items() <= reply.faults[0].items()


@pytest.mark.parametrize("name", ["skip", "limit"])
@pytest.mark.parametrize("value", ["x", "-1", "1.5", ""])
def test_skip_and_limit_must_be_numbers(library: Api, name: str, value: str) -> None:
    reply = library.get("/entries", **{name: value})
    assert reply.error == (
        400,
        "InvalidQuery",
        f'The value provided for "{name}" is invalid. Please provide a valid number value',
    )


@pytest.mark.parametrize(
    "query", [{"fields.name": "x"}, {"order": "fields.name"}, {"select": "fields.name"}], ids=str
)
def test_fields_need_a_content_type(library: Api, query: dict[str, str]) -> None:
    reply = library.get("/entries", **query)
    assert reply.error[:2] == (400, "InvalidQuery")
    assert "content_type" in str(reply.error[2])


ORDERS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["p", "c", "b", "a"]),
    ({"order": "sys.id"}, ["a", "b", "c", "p"]),
    ({"order": "-sys.id"}, ["p", "c", "b", "a"]),
    ({"order": "sys.createdAt,sys.id"}, ["a", "b", "c", "p"]),
    ({"order": "sys.contentType.sys.id,-sys.id"}, ["p", "c", "b", "a"]),
    ({"order": "fields.count", "content_type": "thing"}, ["a", "b", "c"]),
    ({"order": "-fields.count", "content_type": "thing"}, ["b", "a", "c"]),
    ({"order": "-fields.day", "content_type": "thing"}, ["c", "b", "a"]),
    ({"order": "-fields.name.de-DE,sys.id", "content_type": "thing"}, ["b", "a", "c"]),
    ({"order[0]": "sys.version", "order[1]": "-sys.id"}, ["p", "b", "c", "a"]),
    ({"fields.place[near]": "51,8", "content_type": "thing"}, ["b", "a"]),
]


@pytest.mark.parametrize(("query", "expected"), ORDERS, ids=str)
def test_entries_come_in_the_order_asked_for(
    library: Api, query: dict[str, str], expected: list[str]
) -> None:
    """The default is the latest change first; what has no value comes last."""
    assert library.ids(**query) == expected


def test_a_page_says_where_it_is(library: Api) -> None:
    body = library.get("/entries", skip=1, limit=2, order="sys.id").body
    assert list(body) == ["sys", "total", "skip", "limit", "items"]
    assert (body["sys"], body["total"], body["skip"], body["limit"]) == ({"type": "Array"}, 4, 1, 2)
    assert [item["sys"]["id"] for item in body["items"]] == ["b", "c"]
    assert library.get("/entries").body["limit"] == 100
    assert library.get("/entries", limit=0).body["items"] == []
    assert library.get("/entries", skip=99).body["items"] == []


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("sys.id", {"sys": {"id": "a"}}),
        ("sys.id,fields.sku", {"sys": {"id": "a"}, "fields": {"sku": {"en-US": "1"}}}),
        ("fields.nothing", None),
        ("fields.price", {"fields": {}}),
        ("metadata", {"metadata": {"tags": [], "concepts": []}}),
        ("metadata.tags", {"metadata": {"tags": [], "concepts": []}}),
    ],
)
def test_select_shows_what_it_names(library: Api, select: str, expected: Any) -> None:
    reply = library.get("/entries", **{"sys.id": "a", "content_type": "thing", "select": select})
    if expected is None:
        assert reply.status == 400
    else:
        assert reply.body["items"] == [expected]


def test_select_of_whole_parts(library: Api) -> None:
    whole = library.get("/entries/a").body
    query = {"sys.id": "a", "select": "sys,fields"}
    assert library.get("/entries", **query).body["items"] == [
        {"sys": whole["sys"], "fields": whole["fields"]}
    ]
    query = {"sys.id": "a", "select": "sys,sys.id,metadata,fields"}
    assert library.get("/entries", **query).body["items"] == [whole]


def test_tags_can_be_asked_for(things: Api) -> None:
    things.call("PUT", "/tags/t", {"name": "t"})
    tag = {"sys": {"type": "Link", "linkType": "Tag", "id": "t"}}
    body = {"fields": {}, "metadata": {"tags": [tag]}}
    things.call("PUT", "/entries/a", body, content_type="thing")
    things.put_entry("b", {})
    assert things.ids(**{"metadata.tags.sys.id[in]": "t,u"}) == ["a"]
    assert things.ids(**{"metadata.tags.sys.id[all]": "t,u"}) == []
    assert things.ids(**{"metadata.tags.sys.id[nin]": "t"}) == ["b"]
    assert things.ids(**{"metadata.tags[exists]": "false"}) == ["b"]
    assert things.ids(**{"metadata.tags.sys.id[exists]": "true"}) == ["a"]


# ---------------------------------------------------------------- cursor


def follow(api: Api, reply: Reply, direction: str) -> Reply:
    parts = urlsplit(reply.body["pages"][direction])
    return api.call("GET", f"!{parts.path}", query=dict(parse_qsl(parts.query)))


@pytest.mark.parametrize("order", [None, "-sys.id"])
def test_a_cursor_leads_through_everything_and_back(library: Api, order: str | None) -> None:
    query = {"cursor": "true", "limit": "3"} | ({"order": order} if order else {})
    first = library.get("/entries", **query)
    assert list(first.body) == ["sys", "limit", "pages", "items"]
    assert list(first.body["pages"]) == ["next"]
    second = follow(library, first, "next")
    assert list(second.body["pages"]) == ["prev"]
    ids = [item["sys"]["id"] for reply in (first, second) for item in reply.body["items"]]
    assert ids == (["p", "c", "b", "a"] if order else ["a", "b", "c", "p"])
    back = follow(library, second, "prev")
    assert back.body["items"] == first.body["items"]
    assert "next" in back.body["pages"]


def test_a_cursor_is_not_disturbed_by_writes(library: Api) -> None:
    first = library.get("/entries", cursor="true", limit="2")
    library.call("PUT", "/entries/c/archived")
    library.call("DELETE", "/entries/c/archived")
    library.put_entry("0", {})
    ids = [item["sys"]["id"] for item in follow(library, first, "next").body["items"]]
    assert ids == ["c", "p"]


# ---------------------------------------------------------------- bounds


def test_an_answer_beyond_seven_megabytes_is_refused_and_half_of_it_is_not(
    things: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert queries.MAX_RESPONSE_BYTES == 7_340_032
    monkeypatch.setattr(queries, "MAX_RESPONSE_BYTES", 200_000)
    for number in range(6):
        things.put_entry(f"e{number}", {"text": "x" * 49_000})
    reply = things.get("/entries", limit=6)
    assert reply.error == (
        400,
        "BadRequest",
        "Response size too big. Maximum allowed response size: 200000B.",
    )
    assert things.get("/entries", limit=3).status == 200
    assert things.get("/entries", limit=6, select="sys.id").status == 200


def test_values_cannot_change_the_query(things: Api) -> None:
    things.put_entry("e", {"sku": "o'x\" OR 1=1 --"})
    things.put_entry("f", {"sku": "other"})
    query = {"content_type": "thing", "fields.sku": "o'x\" OR 1=1 --"}
    assert things.ids(**query) == ["e"]
    assert things.get("/entries", **{"fields.x'y": "1", "content_type": "thing"}).status == 400
    assert things.get("/entries", content_type="thing' OR '1'='1").status == 400
    assert (
        things.get("/entries", **{"fields.sku.en-US') --": "1", "content_type": "thing"}).status
        == 400
    )


def test_a_word_search_knows_case_and_accents(open_space: Callable[..., Api]) -> None:
    api = open_space()
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    api.put_entry("e", {"name": "Zürich Öst 100%"})
    assert api.ids(query="zürich") == ["e"]
    assert api.ids(query="ÖST") == ["e"]
    assert api.ids(query="100 %") == ["e"]
    assert api.ids(query="urich") == []
