"""Entries: versions, states and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api

NOT_FOUND = (404, "NotFound", "The resource could not be found.")
BODY = {"fields": {"name": {"en-US": "a"}}}


def state(api: Api, *steps: str) -> int:
    """Bring entry `e` into a state; returns its version."""
    version = 1
    api.put_entry("e", {"name": "a"})
    for step in steps:
        method, _, path = step.partition(" ")
        reply = api.call(method, f"/entries/e/{path}", version=version)
        assert reply.status == 200, reply.body
        version = reply.body["sys"]["version"]
    return version


def test_a_new_entry_has_the_keys_of_the_service_in_its_order(things: Api) -> None:
    reply = things.call("PUT", "/entries/e", BODY, content_type="thing")
    assert reply.status == 201
    assert list(reply.body) == ["metadata", "sys", "fields"]
    assert list(reply.body["sys"]) == [
        "space", "id", "type", "createdAt", "updatedAt", "environment", "createdBy", "updatedBy",
        "publishedCounter", "version", "fieldStatus", "automationTags", "contentType", "urn",
    ]  # fmt: skip
    assert reply.body["metadata"] == {"tags": [], "concepts": []}
    assert reply.body["sys"]["version"] == 1
    assert reply.body["sys"]["fieldStatus"] == {"*": {"en-US": "draft", "de-DE": "draft"}}
    assert reply.body["sys"]["createdAt"].endswith("Z")
    assert len(reply.body["sys"]["createdAt"]) == len("2025-11-05T13:33:59.615Z")


def test_a_published_entry_has_the_keys_of_the_service_in_its_order(things: Api) -> None:
    sys = things.put_entry("e", {"name": "a"}, publish=True)["sys"]
    assert list(sys) == [
        "space", "id", "type", "createdAt", "updatedAt", "environment", "publishedVersion",
        "publishedAt", "firstPublishedAt", "createdBy", "updatedBy", "publishedCounter", "version",
        "publishedBy", "fieldStatus", "automationTags", "contentType", "urn",
    ]  # fmt: skip
    assert (sys["publishedVersion"], sys["version"], sys["publishedCounter"]) == (1, 2, 1)
    assert sys["fieldStatus"] == {"*": {"en-US": "published", "de-DE": "published"}}


@pytest.mark.parametrize(
    ("exists", "content_type", "version", "status"),
    [
        pytest.param(False, "thing", None, 201, id="new with type creates"),
        pytest.param(False, "thing", 7, 201, id="a version sent for a new one is ignored"),
        pytest.param(False, None, None, 400, id="new without type"),
        pytest.param(False, None, 1, 400, id="new without type, with version"),
        pytest.param(True, "thing", 1, 200, id="existing with its version updates"),
        pytest.param(True, None, 1, 200, id="the type is not needed to update"),
        pytest.param(True, "nonsense", 1, 200, id="the type is not used to update"),
        pytest.param(True, "thing", None, 409, id="existing without version is no overwrite"),
        pytest.param(True, "thing", 2, 409, id="existing with a future version"),
        pytest.param(True, "thing", "1x", 409, id="existing with a version that is no number"),
    ],
)
def test_put_creates_or_updates_by_headers(
    things: Api, exists: bool, content_type: str | None, version: Any, status: int
) -> None:
    if exists:
        things.put_entry("e", {"name": "before"})
    reply = things.call("PUT", "/entries/e", BODY, content_type=content_type, version=version)
    assert reply.status == status
    if status == 400:
        assert reply.error == (
            400,
            "BadRequest",
            "You should provide a content type in X-Contentful-Content-Type request header.",
        )
        assert things.get("/entries/e").status == 404
    if status == 409:
        assert things.get("/entries/e").body["fields"]["name"] == {"en-US": "before"}


def test_a_version_conflict_has_neither_message_nor_details(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    reply = things.call("PUT", "/entries/e", BODY)
    assert reply.status == 409
    assert reply.body == {
        "sys": {"type": "Error", "id": "VersionMismatch"},
        "requestId": reply.headers["x-contentful-request-id"],
    }


def test_a_missing_entry_is_named_in_details(things: Api) -> None:
    reply = things.get("/entries/nope")
    assert reply.error == NOT_FOUND
    assert reply.body["details"] == {
        "type": "Entry",
        "id": "nope",
        "environment": "master",
        "space": "local",
    }


@pytest.mark.parametrize(
    ("steps", "call", "message"),
    [
        (["PUT published"], "DELETE ", "Cannot delete published"),
        (["PUT published"], "PUT archived", "Cannot archive published"),
        ([], "DELETE published", "Not published"),
        ([], "DELETE archived", "Not archived"),
        (["PUT archived"], "PUT ", "Cannot edit archived"),
        (["PUT archived"], "PATCH ", "Cannot edit archived"),
        (["PUT archived"], "PUT published", "Cannot publish archived"),
    ],
)
def test_a_state_that_forbids_something_is_a_bad_request(
    things: Api, steps: list[str], call: str, message: str
) -> None:
    version = state(things, *steps)
    method, _, path = call.partition(" ")
    body: Any = {"PUT ": BODY, "PATCH ": []}.get(call)
    reply = things.call(method, f"/entries/e/{path}".rstrip("/"), body, version=version)
    assert reply.error == (400, "BadRequest", message)
    assert things.get("/entries/e").body["sys"]["version"] == version


def test_each_accepted_write_raises_the_version_by_one(things: Api) -> None:
    version = state(
        things,
        "PUT published",
        "DELETE published",
        "PUT archived",
        "DELETE archived",
        "PUT published",
    )
    assert version == 6
    same = things.get("/entries/e").body
    reply = things.call("PUT", "/entries/e", {"fields": same["fields"]}, version=6)
    assert reply.body["sys"]["version"] == 7, "identical content still bumps the version"
    assert reply.body["sys"]["fieldStatus"]["*"]["en-US"] == "published", "content decides"


def test_archiving_notes_the_version_that_was_archived(things: Api) -> None:
    state(things, "PUT archived")
    sys = things.get("/entries/e").body["sys"]
    assert (sys["archivedVersion"], sys["version"]) == (1, 2)
    assert {"archivedAt", "archivedBy"} < set(sys)


def test_unpublishing_keeps_the_counter_and_the_first_time(things: Api) -> None:
    state(things, "PUT published", "DELETE published")
    sys = things.get("/entries/e").body["sys"]
    assert "publishedVersion" not in sys
    assert "publishedAt" not in sys
    assert sys["publishedCounter"] == 1
    assert "firstPublishedAt" in sys


@pytest.mark.parametrize("path", ["/published", "/archived", ""], ids=repr)
def test_taking_back_works_without_version_and_fails_with_a_wrong_one(
    things: Api, path: str
) -> None:
    state(things, *([f"PUT {path[1:]}"] if path else []))
    assert things.call("DELETE", f"/entries/e{path}", version=9).status == 409
    reply = things.call("DELETE", f"/entries/e{path}")
    assert reply.status == (200 if path else 204)
    if not path:
        assert reply.raw == b""
        assert things.get("/entries/e").status == 404


@pytest.mark.parametrize("version", [None, 3], ids=["missing", "stale"])
def test_publishing_needs_the_current_version(things: Api, version: int | None) -> None:
    things.put_entry("e", {"name": "a"})
    assert things.call("PUT", "/entries/e/published", version=version).status == 409


def test_an_update_replaces_all_fields(things: Api) -> None:
    things.put_entry("e", {"name": "a", "sku": "s"})
    reply = things.call("PUT", "/entries/e", {"fields": {"sku": {"en-US": "t"}}}, version=1)
    assert reply.body["fields"] == {"sku": {"en-US": "t"}}


def test_null_is_kept_and_an_empty_list_is_dropped(things: Api) -> None:
    body = {"fields": {"sku": {"en-US": None}, "tags": {"en-US": []}, "count": {}}}
    things.call("PUT", "/entries/e", body, content_type="thing")
    assert things.get("/entries/e").body["fields"] == {"sku": {"en-US": None}}


def test_sys_in_a_body_is_ignored(things: Api) -> None:
    body = {"sys": {"id": "other", "version": 99}, **BODY}
    reply = things.call("PUT", "/entries/e", body, content_type="thing")
    assert (reply.body["sys"]["id"], reply.body["sys"]["version"]) == ("e", 1)


def test_a_post_twice_makes_two_entries(things: Api) -> None:
    first, second = (
        things.call("POST", "/entries", BODY, content_type="thing").body["sys"]["id"]
        for _ in range(2)
    )
    assert first != second
    assert sorted(things.ids()) == sorted([first, second])


@pytest.mark.parametrize("entry_id", ["a" * 65, "ä", "a b"], ids=["long", "accent", "space"])
def test_an_id_outside_of_the_pattern_is_refused(things: Api, entry_id: str) -> None:
    reply = things.call("PUT", f"/entries/{entry_id}", BODY, content_type="thing")
    assert reply.status == 422


def test_field_status_compares_content_per_locale(things: Api) -> None:
    things.put_entry("e", {"name": {"en-US": "a", "de-DE": "b"}}, publish=True)
    changed = {"fields": {"name": {"en-US": "a", "de-DE": "c"}}}
    status = things.call("PUT", "/entries/e", changed, version=2).body["sys"]["fieldStatus"]
    assert status == {"*": {"en-US": "published", "de-DE": "changed"}}
    back = {"fields": {"name": {"en-US": "a", "de-DE": "b"}}}
    status = things.call("PUT", "/entries/e", back, version=3).body["sys"]["fieldStatus"]
    assert status == {"*": {"en-US": "published", "de-DE": "published"}}


def test_single_locales_can_be_published_and_taken_back(things: Api) -> None:
    things.put_entry("e", {"name": {"en-US": "a", "de-DE": "b"}})
    add = {"add": {"fields": {"*": ["de-DE"]}}}
    sys = things.call("PUT", "/entries/e/published", add, version=1).body["sys"]
    assert sys["fieldStatus"] == {"*": {"en-US": "draft", "de-DE": "published"}}
    both = {"add": {"fields": {"*": ["en-US"]}}}
    sys = things.call("PUT", "/entries/e/published", both, version=2).body["sys"]
    assert sys["fieldStatus"] == {"*": {"en-US": "published", "de-DE": "published"}}
    changed = {"fields": {"name": {"en-US": "x", "de-DE": "y"}}}
    things.call("PUT", "/entries/e", changed, version=3)
    sys = things.call("PUT", "/entries/e/published", add, version=4).body["sys"]
    assert sys["fieldStatus"] == {"*": {"en-US": "changed", "de-DE": "published"}}
    remove = {"remove": {"fields": {"*": ["en-US"]}}}
    sys = things.call("PUT", "/entries/e/published", remove, version=5).body["sys"]
    assert sys["fieldStatus"] == {"*": {"en-US": "draft", "de-DE": "published"}}
    last = {"remove": {"fields": {"*": ["de-DE"]}}}
    sys = things.call("PUT", "/entries/e/published", last, version=6).body["sys"]
    assert "publishedVersion" not in sys


def test_defaults_are_filled_in_on_creation_only(api: Api) -> None:
    field = {"id": "f", "type": "Symbol", "localized": True, "defaultValue": {"en-US": "x"}}
    api.put_type("thing", [field, {"id": "g", "type": "Symbol"}])
    assert api.put_entry("e", {"g": "1"})["fields"] == {"g": {"en-US": "1"}, "f": {"en-US": "x"}}
    reply = api.call("PUT", "/entries/e", {"fields": {"g": {"en-US": "1"}}}, version=1)
    assert reply.body["fields"] == {"g": {"en-US": "1"}}


# ---------------------------------------------------------------- PATCH


def test_a_patch_changes_what_it_names(things: Api) -> None:
    things.put_entry("e", {"name": "a", "sku": "s", "count": 1})
    operations = [
        {"op": "test", "path": "/fields/name/en-US", "value": "a"},
        {"op": "replace", "path": "/fields/name/en-US", "value": "b"},
        {"op": "add", "path": "/fields/text", "value": {"en-US": "t"}},
        {"op": "remove", "path": "/fields/sku"},
    ]
    reply = things.call("PATCH", "/entries/e", operations, version=1)
    assert reply.status == 200
    assert reply.body["fields"] == {
        "name": {"en-US": "b"},
        "count": {"en-US": 1},
        "text": {"en-US": "t"},
    }
    assert reply.body["sys"]["version"] == 2


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/fields/sku/en-US", "value": "x"},
        {"op": "replace", "path": "/fields/name/de-DE", "value": "x"},
        {"op": "remove", "path": "/fields/sku"},
        {"op": "test", "path": "/fields/name/en-US", "value": "other"},
        {"op": "fly", "path": "/fields/name"},
        {"path": "/fields/name"},
        "nonsense",
        {"op": "move", "from": "/fields/none", "path": "/fields/name"},
        {"op": "add", "path": "/fields/name/en-US/deeper", "value": 1},
    ],
    ids=[
        "into a field without value", "of a locale without value", "of nothing", "failed test",
        "unknown operation", "no operation", "no object", "move from nothing", "into a text",
    ],
)  # fmt: skip
def test_a_patch_that_does_not_apply_is_a_validation_error_and_changes_nothing(
    things: Api, operation: Any
) -> None:
    things.put_entry("e", {"name": "a"})
    ok = {"op": "add", "path": "/fields/count", "value": {"en-US": 1}}
    reply = things.call("PATCH", "/entries/e", [ok, operation], version=1)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert reply.faults[0]["path"] == [1]
    assert things.get("/entries/e").body["sys"]["version"] == 1


@pytest.mark.parametrize(("version", "status"), [(None, 409), (2, 409), (1, 200)])
def test_a_patch_needs_the_current_version(things: Api, version: int | None, status: int) -> None:
    things.put_entry("e", {"name": "a"})
    assert things.call("PATCH", "/entries/e", [], version=version).status == status


def test_a_patch_is_checked_like_a_save(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    operation = {"op": "add", "path": "/fields/count", "value": {"en-US": "one"}}
    reply = things.call("PATCH", "/entries/e", [operation], version=1)
    assert reply.error == (422, "InvalidEntry", "Validation error")


def test_a_patch_can_set_tags(things: Api) -> None:
    things.call("PUT", "/tags/t", {"name": "t"})
    things.put_entry("e", {"name": "a"})
    tag = {"sys": {"type": "Link", "linkType": "Tag", "id": "t"}}
    operation = {"op": "add", "path": "/metadata/tags/-", "value": tag}
    reply = things.call("PATCH", "/entries/e", [operation], version=1)
    assert reply.body["metadata"] == {"tags": [tag], "concepts": []}


# ---------------------------------------------------------------- references, environments


def test_references_follow_links_to_the_depth_asked_for(things: Api) -> None:
    def to(entry_id: str) -> dict[str, Any]:
        return {"sys": {"type": "Link", "linkType": "Entry", "id": entry_id}}

    things.put_entry("c", {"name": "c", "other": to("a")})
    things.put_entry("b", {"name": "b", "others": [to("c"), to("gone")]})
    things.put_entry("a", {"name": "a", "other": to("b")})

    def included(depth: int) -> list[str]:
        body = things.get("/entries/a/references", include=depth).body
        assert [item["sys"]["id"] for item in body["items"]] == ["a"]
        return [item["sys"]["id"] for item in body["includes"].get("Entry", [])]

    assert included(1) == ["b"]
    assert included(2) == ["b", "c"]
    assert included(10) == ["b", "c"]
    assert things.get("/entries/nope/references").body["items"] == []
    assert things.get("/entries/a/references", include=11).status == 400


@pytest.mark.parametrize(
    "prefix", ["/spaces/nope/environments/master", "/spaces/local/environments/nope"]
)
def test_an_unknown_space_or_environment_comes_without_details(api: Api, prefix: str) -> None:
    reply = api.call("GET", f"!{prefix}/entries")
    assert reply.error == NOT_FOUND
    assert "details" not in reply.body


def test_a_path_without_environment_means_master(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    assert things.call("GET", "!/spaces/local/entries/e").status == 200
    assert things.call("GET", "!/spaces/nope/entries/e").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "!/nonsense"),
        ("POST", "/entries/e"),
        ("GET", "/nonsense"),
        ("PUT", "/entries/e/nonsense"),
        ("PATCH", "/assets/a"),
        ("DELETE", "/entries"),
    ],
)
def test_a_path_or_method_that_does_not_exist_is_an_unknown_route(
    api: Api, method: str, path: str
) -> None:
    assert api.call(method, path, {}).error[:2] == (404, "UnknownRoute")


def test_spaces_keep_their_entries_apart(open_space: Callable[..., Api]) -> None:
    api = open_space()
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    api.put_entry("e", {"name": "a"})
    other = api.call("POST", "!/spaces", {"name": "Second", "defaultLocale": "de-DE"})
    assert other.status == 201
    space_id = other.body["sys"]["id"]
    second = Api(api.app, prefix=f"/spaces/{space_id}/environments/master")
    assert second.get("/entries/e").status == 404
    assert second.get("/locales").body["items"][0]["code"] == "de-DE"
