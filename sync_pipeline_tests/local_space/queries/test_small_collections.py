"""Filters, order and cursors of content types and the other small collections."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api


@pytest.fixture
def typed(api: Api) -> Api:
    for number in range(5):
        body = {"name": f"Type {number}", "displayField": "f" if number else None,
                "fields": [{"id": "f", "name": "F", "type": "Symbol"}]}  # fmt: skip
        api.call("PUT", f"/content_types/t{number}", body)
    api.call("PUT", "/content_types/t1/published", version=1)
    return api


def ids(api: Api, **query: Any) -> list[str]:
    reply = api.get("/content_types", **query)
    assert reply.status == 200, reply.body
    return [item["sys"]["id"] for item in reply.body["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"sys.id": "t2"}, ["t2"]),
        ({"sys.id[in]": "t2,t4,x"}, ["t2", "t4"]),
        ({"sys.id[nin]": "t2,t4"}, ["t0", "t1", "t3"]),
        ({"name": "Type 3"}, ["t3"]),
        ({"name[match]": "typ 3"}, ["t3"]),
        ({"displayField[exists]": "false"}, ["t0"]),
        ({"displayField[ne]": "f"}, ["t0"]),
        ({"sys.publishedVersion[exists]": "true"}, ["t1"]),
        ({"sys.version[gt]": "1"}, ["t1"]),
        ({"sys.version[lte]": "1"}, ["t0", "t2", "t3", "t4"]),
        ({"sys.publishedAt[gte]": "2026-01-01"}, ["t1"]),
        ({"sys.createdAt[lt]": "2026-01-01T00:00:00Z"}, []),
        ({"sys.id[ODD]": "t2"}, ["t0", "t1", "t2", "t3", "t4"]),
        ({"sys.createdBy.sys.id": "local-user", "sys.id": "t1"}, ["t1"]),
        ({"access_token": "x", "include": "2", "sys.id": "t1"}, ["t1"]),
    ],
)
def test_content_types_are_filtered(typed: Api, query: dict[str, str], found: list[str]) -> None:
    assert ids(typed, order="sys.id", **query) == found


@pytest.mark.parametrize(
    "query",
    [{"foo": "1"}, {"sys.foo": "1"}, {"fields.f": "1"}, {"order": "sys.foo"}, {"order": "sys"},
     {"sys.space": "x"}, {"query": "x"}, {"content_type": "t1"}, {"sys.id.x": "1"}, {"": "1"},
     {"[in]": "1"}],
)  # fmt: skip
def test_an_unknown_filter_of_content_types_is_refused(typed: Api, query: dict[str, str]) -> None:
    (name, value), *_ = query.items()
    path = value if name == "order" else name.partition("[")[0]
    for collection in ("/content_types", "/public/content_types"):
        reply = typed.get(collection, **query)
        assert reply.error[:2] == (400, "InvalidQuery")
        assert reply.faults == [
            {
                "name": "unknown",
                "path": path.split("."),
                "details": f'The path "{path}" is not recognized',
            }
        ]


@pytest.mark.parametrize(
    "query",
    [{"sys.createdAt[gt]": "soon"}, {"sys.version[lt]": "x"}, {"name[gt]": "a"}, {"limit": "x"},
     {"skip": "-1"}, {"cursor": "true", "pageNext": "nonsense"}, {"pagePrev": "LTE="}],
)  # fmt: skip
def test_a_value_that_cannot_be_compared_is_refused(typed: Api, query: dict[str, str]) -> None:
    assert typed.get("/content_types", **query).error[:2] == (400, "InvalidQuery")


@pytest.mark.parametrize("collection", ["/content_types", "/public/content_types"])
def test_content_types_are_paged_by_cursor_forth_and_back(typed: Api, collection: str) -> None:
    for number in (0, 2, 3, 4):
        typed.call("PUT", f"/content_types/t{number}/published", version=1)
    page = typed.get(collection, cursor="true", limit=2, order="sys.id").body
    pages = [page]
    while "next" in page["pages"]:
        path, _, text = page["pages"]["next"].partition("?")
        assert path.endswith(collection)
        page = typed.call("GET", f"!{path}", query=text).body
        pages.append(page)
    shown = [[item["sys"]["id"] for item in page["items"]] for page in pages]
    assert shown == [["t0", "t1"], ["t2", "t3"], ["t4"]]
    assert all("total" not in page and "skip" not in page for page in pages)
    assert "prev" not in pages[0]["pages"]
    path, _, text = pages[2]["pages"]["prev"].partition("?")
    assert typed.call("GET", f"!{path}", query=text).body["items"] == pages[1]["items"]


def test_a_small_collection_is_ordered_by_what_can_be_ordered(typed: Api) -> None:
    assert typed.get("/tags", order="sys.space").body["items"] == []
    typed.call("PUT", "/tags/a", {"name": "a"})
    assert typed.get("/tags", order="sys.space").error[:2] == (400, "InvalidQuery")
    assert typed.get("/tags", order="sys.nothing").status == 200
