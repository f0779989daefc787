"""Bulk actions: all or nothing, in both styles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api, Clock, Reply


def item(entry_id: str, version: int | None = None) -> dict[str, Any]:
    sys: dict[str, Any] = {"type": "Link", "linkType": "Entry", "id": entry_id}
    return {"sys": sys if version is None else {**sys, "version": version}}


def submit(api: Api, action: str, *items: Any, style: int = 1) -> Reply:
    if style == 1:
        payload: dict[str, Any] = {"entities": {"sys": {"type": "Array"}, "items": list(items)}}
        return api.call("POST", f"/bulk_actions/{action}", payload)
    payload = {"action": action, "entities": [{"entity": one} for one in items]}
    return api.call("POST", "/bulk_actions", payload)


def outcome(api: Api, reply: Reply, style: int = 1) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    path = "/bulk_actions/actions/" if style == 1 else "/bulk_actions/"
    body: dict[str, Any] = api.get(path + reply.body["sys"]["id"]).body
    return body


@pytest.mark.parametrize("style", [1, 2])
def test_a_bulk_publish_publishes_all(things: Api, style: int) -> None:
    for number in range(200):
        things.put_entry(f"e{number}", {"name": "a"})
    items = [item(f"e{n}", 1) for n in range(200)]
    reply = submit(things, "publish", *items, style=style)
    sys = reply.body["sys"]
    assert list(sys) == [
        "type", "id", "status", "createdBy", "createdAt", "updatedAt", "space", "environment",
    ]  # fmt: skip
    assert (sys["type"], sys["status"]) == ("BulkAction", "created")
    assert reply.body["action"] == "publish"
    body = outcome(things, reply, style)
    assert body["sys"]["status"] == "succeeded"
    assert "error" not in body
    assert things.get("/entries", **{"sys.publishedVersion[exists]": "true"}).body["total"] == 200


def test_a_bulk_publish_is_all_or_nothing_and_names_the_culprits(api: Api) -> None:
    api.put_type("thing", [{"id": "f", "type": "Symbol", "required": True}])
    api.put_entry("good", {"f": "a"})
    api.put_entry("bad", {})
    body = outcome(api, submit(api, "publish", item("good", 1), item("bad", 1)))
    assert body["sys"]["status"] == "failed"
    assert body["error"]["sys"] == {"type": "Error", "id": "BulkActionFailed"}
    (culprit,) = body["error"]["details"]["errors"]
    assert culprit["entity"] == item("bad", 1)
    assert culprit["error"]["sys"] == {"type": "Error", "id": "InvalidEntry"}
    assert culprit["error"]["details"]["errors"][0]["name"] == "required"
    assert [api.get(f"/entries/{e}").body["sys"]["version"] for e in ("good", "bad")] == [1, 1]


def test_two_equal_unique_values_in_one_action_fail_it(api: Api) -> None:
    api.put_type("thing", [{"id": "f", "type": "Symbol", "validations": [{"unique": True}]}])
    api.put_entry("a", {"f": "x"})
    api.put_entry("b", {"f": "x"})
    body = outcome(api, submit(api, "publish", item("a", 1), item("b", 1)))
    assert [culprit["entity"]["sys"]["id"] for culprit in body["error"]["details"]["errors"]] == [
        "b"
    ]
    assert api.get("/entries/a").body["sys"]["version"] == 1


@pytest.mark.parametrize(
    ("items", "error_id"),
    [([item("gone", 1)], "NotFound"), ([item("e", 2)], "VersionMismatch")],
)
def test_an_entity_that_is_missing_or_stale_refuses_the_post(
    things: Api, items: list[Any], error_id: str
) -> None:
    things.put_entry("e", {"name": "a"})
    reply = submit(things, "publish", *items)
    assert reply.error[:2] == (400, "BadRequest")
    assert reply.faults[0]["entity"] == items[0]
    assert reply.faults[0]["error"]["sys"]["id"] == error_id


PAYLOADS: list[tuple[str, Any, str, list[Any], str]] = [
    ("publish", {"entities": {"items": [item("e")]}}, "any.required",
     ["entities", "items", 0, "sys", "version"], '"entities.items[0].sys.version" is required'),
    ("publish", {}, "any.required", ["entities", "items"], '"entities.items" is required'),
    ("publish", {"entities": {"items": "x"}}, "array.base", ["entities", "items"],
     '"entities.items" must be an array'),
    ("publish", {"entities": {"items": []}}, "array.min", ["entities", "items"],
     '"entities.items" must contain at least 1 items'),
    ("validate", {"entities": {"items": [item(f"e{n}") for n in range(201)]}}, "array.max",
     ["entities", "items"], '"entities.items" must contain less than or equal to 200 items'),
    ("validate", {"entities": {"items": [item("e"), item("e")]}}, "array.unique",
     ["entities", "items", 1], '"entities.items[1]" contains a duplicate value'),
    ("unpublish", {"entities": {"items": [{}]}}, "any.required", ["entities", "items", 0, "sys"],
     '"entities.items[0].sys" is required'),
    ("unpublish", {"entities": {"items": [{"sys": {"linkType": "Entry"}}]}}, "any.required",
     ["entities", "items", 0, "sys", "id"], '"entities.items[0].sys.id" is required'),
    ("unpublish", {"entities": {"items": [{"sys": {"id": "e", "linkType": "Tag"}}]}}, "any.only",
     ["entities", "items", 0, "sys", "linkType"],
     '"entities.items[0].sys.linkType" must be one of [Entry, Asset]'),
    ("publish", {"entities": {"items": [{"sys": {"id": "e", "linkType": "Entry", "version": "1"}}]}},
     "number.base", ["entities", "items", 0, "sys", "version"],
     '"entities.items[0].sys.version" must be a number'),
]  # fmt: skip


@pytest.mark.parametrize(("action", "payload", "name", "path", "details"), PAYLOADS)
def test_a_wrong_payload_is_refused(
    things: Api, action: str, payload: Any, name: str, path: list[Any], details: str
) -> None:
    reply = things.call("POST", f"/bulk_actions/{action}", payload)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert reply.faults == [{"name": name, "path": path, "details": details}]


def test_the_second_style_names_its_own_paths(things: Api) -> None:
    reply = submit(things, "publish", item("e"), style=2)
    assert reply.faults[0]["path"] == ["entities", 0, "entity", "sys", "version"]
    assert things.call("POST", "/bulk_actions", {"action": "fly", "entities": []}).status == 422


def test_the_second_style_publishes_single_locales(things: Api) -> None:
    things.put_entry("e", {"name": {"en-US": "a", "de-DE": "b"}})
    change = {"add": {"fields": {"*": ["de-DE"]}}}
    payload = {"action": "publish", "entities": [{"entity": item("e", 1), **change}]}
    outcome(things, things.call("POST", "/bulk_actions", payload), 2)
    status = things.get("/entries/e").body["sys"]["fieldStatus"]
    assert status == {"*": {"en-US": "draft", "de-DE": "published"}}


def test_unpublishing_a_draft_in_bulk_is_no_error(things: Api) -> None:
    things.put_entry("draft", {"name": "a"})
    things.put_entry("live", {"name": "a"}, publish=True)
    body = outcome(things, submit(things, "unpublish", item("draft"), item("live")))
    assert body["sys"]["status"] == "succeeded"
    versions = [things.get(f"/entries/{e}").body["sys"]["version"] for e in ("draft", "live")]
    assert versions == [1, 3]


def test_validating_changes_nothing(api: Api) -> None:
    api.put_type("thing", [{"id": "f", "type": "Symbol", "required": True}])
    api.put_entry("good", {"f": "a"})
    api.put_entry("bad", {})
    assert outcome(api, submit(api, "validate", item("good")))["sys"]["status"] == "succeeded"
    assert outcome(api, submit(api, "validate", item("bad")))["sys"]["status"] == "failed"
    assert api.ids(**{"sys.version": "1", "order": "sys.id"}) == ["bad", "good"]


def test_an_archived_entry_fails_the_action(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    things.call("PUT", "/entries/e/archived")
    body = outcome(things, submit(things, "publish", item("e", 2)))
    assert body["error"]["details"]["errors"][0]["error"]["message"] == "Cannot publish archived"


def test_an_unknown_action_is_not_found(api: Api) -> None:
    reply = api.get("/bulk_actions/actions/nope")
    assert reply.error[:2] == (404, "NotFound")
    assert reply.body["details"] == {"type": "BulkAction", "id": "nope"}


def test_a_sixth_active_action_is_refused_until_one_has_ended(
    open_space: Callable[..., Api], clock: Clock
) -> None:
    api = open_space(bulk_delay_s=2.0)
    api.put_type("thing", [])
    api.put_entry("e", {})
    replies = [submit(api, "validate", item("e")) for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert outcome(api, replies[0])["sys"]["status"] == "created"
    clock.seconds += 2.0
    assert outcome(api, replies[0])["sys"]["status"] == "succeeded"
    assert submit(api, "validate", item("e")).status == 200


def test_a_version_that_changes_before_execution_fails_the_action(
    open_space: Callable[..., Api], clock: Clock
) -> None:
    api = open_space(bulk_delay_s=2.0)
    api.put_type("thing", [])
    api.put_entry("e", {})
    reply = submit(api, "publish", item("e", 1))
    api.call("PUT", "/entries/e", {"fields": {}}, version=1)
    clock.seconds += 2.0
    body = outcome(api, reply)
    assert body["sys"]["status"] == "failed"
    assert body["error"]["details"]["errors"][0]["error"]["sys"]["id"] == "VersionMismatch"


def test_an_accepted_action_is_executed_after_a_restart(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    before = open_space(bulk_delay_s=3600.0)
    before.put_type("thing", [])
    before.put_entry("e", {})
    reply = submit(before, "publish", item("e", 1))
    after = open_space(path=tmp_path / "space.sqlite")
    after.app.run_timers()
    assert after.get("/entries/e").body["sys"]["publishedVersion"] == 1
    assert outcome(after, reply)["sys"]["status"] == "succeeded"


def test_actions_are_forgotten_after_seven_days(things: Api, clock: Clock) -> None:
    things.put_entry("e", {"name": "a"})
    old = submit(things, "validate", item("e"))
    assert outcome(things, old)["sys"]["status"] == "succeeded"
    clock.seconds += 8 * 86_400
    submit(things, "validate", item("e"))
    assert things.get("/bulk_actions/actions/" + old.body["sys"]["id"]).status == 404


def test_assets_can_be_published_in_bulk(things: Api) -> None:
    file = {"fileName": "f", "contentType": "text/plain", "upload": "https://x.example/f"}
    things.call("PUT", "/assets/a", {"fields": {"file": {"en-US": file}}})
    asset = {"sys": {"type": "Link", "linkType": "Asset", "id": "a", "version": 1}}
    refused = outcome(things, submit(things, "publish", asset))
    (error,) = refused["error"]["details"]["errors"]
    assert error["error"]["details"]["errors"][0]["path"] == ["fields", "file", "en-US", "url"]
    things.call("PUT", "/assets/a/files/en-US/process", version=1)
    asset["sys"]["version"] = 2
    assert outcome(things, submit(things, "publish", asset))["sys"]["status"] == "succeeded"
    assert things.get("/assets/a").body["sys"]["publishedVersion"] == 2


def test_bulk_entry_operations_are_not_enabled(api: Api) -> None:
    assert api.call("POST", "/bulk_operations/entries/create", {}).error[:2] == (
        403,
        "AccessDenied",
    )
