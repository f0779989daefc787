"""Locales of an entry that are published one by one, and what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline_tests.local_space.conftest import THING_FIELDS, Api

STATES = ("published", "changed", "draft")


def named(verb: str, *codes: str) -> dict[str, Any]:
    return {verb: {"fields": {"*": list(codes)}}}


def put(api: Api, entry_id: str, states: dict[str, str]) -> None:
    """An entry with values in these locales, each in its state."""
    out = [code for code, state in states.items() if state != "draft"]
    first = {"fields": {"name": {code: f"old {code}" for code in out}}}
    assert api.call("PUT", f"/entries/{entry_id}", first, content_type="thing").status == 201
    if out:
        body = named("add", *out)
        assert api.call("PUT", f"/entries/{entry_id}/published", body, version=1).status == 200
    held = {c: f"{'old' if s == 'published' else 'new'} {c}" for c, s in states.items()}
    body = {"fields": {"name": held}}
    version = 2 if out else 1
    assert api.call("PUT", f"/entries/{entry_id}", body, version=version).status == 200


def states_of(api: Api, entry_id: str) -> dict[str, str]:
    states: dict[str, str] = api.get(f"/entries/{entry_id}").body["sys"]["fieldStatus"]["*"]
    return states


def public(api: Api, entry_id: str) -> dict[str, Any] | None:
    """`name` as the public sees it."""
    found = api.get("/public/entries", **{"sys.id": entry_id}).body["items"]
    return found[0]["fields"].get("name", {}) if found else None


@pytest.mark.parametrize(("english", "german"), [*itertools.product(STATES, STATES)])
def test_states_are_told_by_every_answer_and_survive_an_export(
    things: Api, open_space: Callable[..., Api], tmp_path: Path, english: str, german: str
) -> None:
    states = {"en-US": english, "de-DE": german}
    put(things, "e", states)
    assert states_of(things, "e") == states
    for query in ({}, {"select": "sys.fieldStatus"}, {"select": "sys"}, {"cursor": "true"}):
        (item,) = things.get("/entries", content_type="thing", **query).body["items"]
        assert item["sys"]["fieldStatus"] == {"*": states}
    is_out = english != "draft" or german != "draft"
    assert things.ids(**{"sys.publishedVersion[exists]": "false"}) == ([] if is_out else ["e"])
    export_file(things.app.store, tmp_path / "out.json")
    other = open_space(path=tmp_path / "other.sqlite")
    import_file(other.app.store, tmp_path / "out.json")
    assert states_of(other, "e") == states
    # What was published of a locale that was changed since is in no export.
    before = {c: v for c, v in (public(things, "e") or {}).items() if states[c] == "published"}
    assert (public(other, "e") or {}) == before


@pytest.mark.parametrize("style", ["single", "bulk"])
@pytest.mark.parametrize(("english", "german"), [*itertools.product(STATES, STATES)])
def test_naming_a_locale_changes_what_is_public_of_no_other(
    things: Api, english: str, german: str, style: str
) -> None:
    put(things, "e", {"en-US": english, "de-DE": german})
    before = public(things, "e") or {}
    version = things.get("/entries/e").body["sys"]["version"]
    if style == "single":
        body = named("add", "en-US")
        assert things.call("PUT", "/entries/e/published", body, version=version).status == 200
    else:
        link = {"sys": {"type": "Link", "linkType": "Entry", "id": "e", "version": version}}
        entities = [{"entity": link, **named("add", "en-US")}]
        body = {"action": "publish", "entities": entities}
        action = things.call("POST", "/bulk_actions", body).body["sys"]["id"]
        assert things.get(f"/bulk_actions/{action}").body["sys"]["status"] == "succeeded"
    held = things.get("/entries/e").body["fields"]["name"]
    assert states_of(things, "e") == {"en-US": "published", "de-DE": german}
    assert public(things, "e") == {**before, "en-US": held["en-US"]}
    again = things.get("/entries/e").body["sys"]
    assert again["publishedVersion"] == version
    assert again["version"] == version + 1


def test_a_publish_without_locales_brings_all_of_them_out(things: Api) -> None:
    put(things, "e", {"en-US": "published", "de-DE": "draft"})
    assert things.call("PUT", "/entries/e/published", version=3).status == 200
    assert states_of(things, "e") == {"en-US": "published", "de-DE": "published"}


def test_a_draft_cannot_be_taken_back(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    reply = things.call("PUT", "/entries/e/published", named("remove", "de-DE"), version=1)
    assert reply.error == (400, "BadRequest", "Not published")


def test_what_is_taken_back_need_not_be_valid(api: Api) -> None:
    api.put_type("thing", THING_FIELDS)
    api.put_entry("e", {"name": {"en-US": "a", "de-DE": "b"}}, publish=True)
    body = api.get("/content_types/thing").body
    for field in body["fields"]:
        field["required"] = field["id"] == "sku"
    saved = api.call("PUT", "/content_types/thing", body, version=body["sys"]["version"])
    version = saved.body["sys"]["version"]
    assert api.call("PUT", "/content_types/thing/published", version=version).status == 200
    assert api.call("PUT", "/entries/e/published", version=2).status == 422
    reply = api.call("PUT", "/entries/e/published", named("remove", "de-DE"), version=2)
    assert reply.status == 200
    assert states_of(api, "e") == {"en-US": "published", "de-DE": "draft"}


@pytest.mark.parametrize("lags", [False, True], ids=["at once", "with a lagging index"])
def test_a_locale_that_is_added_is_out_nowhere_until_it_is_published(
    open_space: Callable[..., Api], tmp_path: Path, lags: bool
) -> None:
    delay = IndexDelay(writes=0) if lags else None
    api = open_space(path=tmp_path / "s.sqlite", index_delay=delay)
    api.put_type("thing", THING_FIELDS)
    api.put_entry("out", {"name": "a"}, publish=True)
    api.put_entry("draft", {"name": "a"})
    held = set(states_of(api, "out"))
    french = {"name": "French", "code": "fr-FR", "fallbackCode": "en-US"}
    assert api.call("POST", "/locales", french).status == 201
    assert states_of(api, "out") == {**dict.fromkeys(held, "published"), "fr-FR": "draft"}
    assert set(states_of(api, "draft").values()) == {"draft"}
    (item,) = api.get("/entries", **{"sys.id": "out"}).body["items"]
    assert item["sys"]["fieldStatus"]["*"]["fr-FR"] == "draft"
    assert api.call("PUT", "/entries/out/published", version=2).status == 200
    assert set(states_of(api, "out").values()) == {"published"}


def test_a_locale_that_is_renamed_or_removed_keeps_or_takes_its_state(things: Api) -> None:
    put(things, "half", {"en-US": "published", "de-DE": "draft"})
    put(things, "other", {"en-US": "draft", "de-DE": "changed"})
    german = next(row for row in things.get("/locales").body["items"] if row["code"] == "de-DE")
    path = f"/locales/{german['sys']['id']}"
    renamed = things.call("PUT", path, {"code": "de"}, version=german["sys"]["version"])
    assert renamed.status == 200
    assert states_of(things, "half") == {"en-US": "published", "de": "draft"}
    assert states_of(things, "other") == {"en-US": "draft", "de": "changed"}
    assert things.call("DELETE", path).status == 204
    assert states_of(things, "half") == {"en-US": "published"}
    assert "publishedVersion" not in things.get("/entries/other").body["sys"]
    assert states_of(things, "other") == {"en-US": "draft"}


@pytest.mark.parametrize("style", ["single", "bulk"])
@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize(
    "part",
    [{}, {"fields": {}}, {"fields": {"*": []}}, {"fields": {"*": "de-DE"}}, {"fields": {"*": [1]}},
     {"fields": {"name": ["de-DE"]}}, None],
    ids=["nothing", "no fields", "no locale", "a text", "a number", "by field", "null"],
)  # fmt: skip
def test_a_body_that_means_locales_and_names_none_publishes_nothing(
    things: Api, style: str, verb: str, part: Any
) -> None:
    put(things, "e", {"en-US": "published", "de-DE": "draft"})
    if style == "single":
        reply = things.call("PUT", "/entries/e/published", {verb: part}, version=3)
    else:
        link = {"sys": {"type": "Link", "linkType": "Entry", "id": "e", "version": 3}}
        body = {"action": "publish", "entities": [{"entity": link, verb: part}]}
        reply = things.call("POST", "/bulk_actions", body)
    assert reply.error[:2] == (422, "ValidationFailed")
    assert states_of(things, "e") == {"en-US": "published", "de-DE": "draft"}


def test_an_unknown_locale_is_refused(things: Api) -> None:
    put(things, "e", {"en-US": "published", "de-DE": "draft"})
    reply = things.call("PUT", "/entries/e/published", named("add", "xx"), version=3)
    assert reply.status == 422
    assert states_of(things, "e")["de-DE"] == "draft"
