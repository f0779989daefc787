"""`/public/...`: what is published, as it was published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline_tests.local_space.conftest import Api


@pytest.fixture
def library(things: Api) -> Api:
    things.put_entry("draft", {"name": "d"})
    things.put_entry("live", {"name": "a", "sku": "1"}, publish=True)
    things.put_entry("changed", {"name": "b", "sku": "2"}, publish=True)
    body = {"fields": {"name": {"en-US": "new"}, "count": {"en-US": 3}}}
    things.call("PUT", "/entries/changed", body, version=2)
    things.put_entry("gone", {"name": "c"}, publish=True)
    things.call("DELETE", "/entries/gone/published")
    return things


def found(api: Api, **query: Any) -> list[str]:
    reply = api.get("/public/entries", **query)
    assert reply.status == 200, reply.body
    return sorted(item["sys"]["id"] for item in reply.body["items"])


def test_only_published_entries_show_with_what_was_published(library: Api) -> None:
    assert found(library) == ["changed", "live"]
    (changed,) = library.get("/public/entries", **{"sys.id": "changed"}).body["items"]
    assert changed["fields"] == {"name": {"en-US": "b"}, "sku": {"en-US": "2"}}
    assert changed["sys"]["publishedVersion"] == 1
    assert changed["sys"]["firstPublishedAt"] == changed["sys"]["publishedAt"]
    assert library.get("/public/entries/changed").body == changed
    assert library.get("/entries/changed").body["fields"]["name"] == {"en-US": "new"}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"content_type": "thing", "fields.name": "b"}, ["changed"]),
        ({"content_type": "thing", "fields.name": "new"}, []),
        ({"content_type": "thing", "fields.count[exists]": "true"}, []),
        ({"content_type": "thing", "fields.sku[in]": "1,2"}, ["changed", "live"]),
        ({"query": "new"}, []),
        ({"order": "-sys.id", "limit": "1"}, ["live"]),
        ({"skip": "1", "order": "sys.id"}, ["live"]),
        ({"sys.id[ne]": "live"}, ["changed"]),
        ({"select": "sys.id", "limit": "5"}, ["changed", "live"]),
    ],
)
def test_filters_judge_what_is_published(
    library: Api, query: dict[str, str], ids: list[str]
) -> None:
    assert found(library, **query) == ids


@pytest.mark.parametrize("order", [{}, {"order": "sys.id"}])
def test_published_entries_are_paged_by_cursor(library: Api, order: dict[str, str]) -> None:
    library.put_entry("third", {"name": "t"}, publish=True)
    seen, query = [], {"cursor": "true", "limit": "1", **order}
    page = library.get("/public/entries", **query).body
    while True:
        assert "total" not in page
        seen += [item["sys"]["id"] for item in page["items"]]
        if "next" not in page["pages"]:
            break
        path, _, text = page["pages"]["next"].partition("?")
        assert path.endswith("/public/entries")
        page = library.call("GET", f"!{path}", query=text).body
    assert sorted(seen) == ["changed", "live", "third"]


def test_drafts_have_no_published_form(library: Api) -> None:
    for path in ("/public/entries/draft", "/public/entries/gone", "/public/entries/no"):
        assert library.get(path).body["details"]["type"] == "Entry"
    assert library.get("/public/assets").body["total"] == 0
    assert library.call("POST", "/public/entries", {}).error[1] == "UnknownRoute"


def test_published_assets_show(api: Api) -> None:
    file = {"fileName": "f", "contentType": "image/png", "upload": "https://x.example/f"}
    for asset_id in "ab":
        api.call("PUT", f"/assets/{asset_id}", {"fields": {"file": {"en-US": file}}})
        api.call("PUT", f"/assets/{asset_id}/files/en-US/process", version=1)
    api.call("PUT", "/assets/a/published", version=2)
    assert [item["sys"]["id"] for item in api.get("/public/assets").body["items"]] == ["a"]
    assert api.get("/public/assets", mimetype_group="image").body["total"] == 1
    assert api.get("/public/assets/a").status == 200
    assert api.get("/public/assets/b").status == 404


def test_a_content_type_shows_as_it_is_active(api: Api) -> None:
    api.put_type("thing", [{"id": "f", "type": "Symbol"}])
    api.call("PUT", "/content_types/draft", {"name": "d", "fields": []})
    api.call("PUT", "/content_types/thing", {"name": "New", "fields": []}, version=2)
    assert api.get("/public/content_types/thing").body["name"] == "thing"
    assert api.get("/public/content_types/draft").body["details"]["type"] == "ContentType"
    assert api.get("/public/content_types/no").status == 404


def test_the_lagging_index_shows_later(open_space: Callable[..., Api], clock: Any) -> None:
    api = open_space(index_delay=IndexDelay(seconds=5.0))
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    api.put_entry("e", {"name": "a"}, publish=True)
    assert found(api) == []
    clock.seconds += 6
    assert found(api) == ["e"]
