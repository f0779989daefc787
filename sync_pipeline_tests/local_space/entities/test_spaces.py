"""Spaces, environments, organization and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline_tests.local_space.conftest import Api, Reply

ENVIRONMENTS = "!/spaces/local/environments"
USER = "local-user"


def environment_ids(api: Api) -> list[str]:
    return [item["sys"]["id"] for item in api.get(ENVIRONMENTS).body["items"]]


def test_an_environment_is_created_under_an_id_of_the_space_and_copies_master(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    reply = things.call("POST", ENVIRONMENTS, {"name": "Testing"})
    assert (reply.status, reply.body["name"]) == (201, "Testing")
    environment_id = reply.body["sys"]["id"]
    assert set(environment_ids(things)) == {environment_id, "master"}
    assert things.get(f"{ENVIRONMENTS}/{environment_id}/entries/e").status == 200


def test_an_environment_is_copied_from_the_named_one(things: Api) -> None:
    things.call("PUT", f"{ENVIRONMENTS}/old", {"name": "old"})
    things.put_entry("e", {"name": "a"})
    headers = {"x-contentful-source-environment": "old"}
    reply = things.call("POST", ENVIRONMENTS, {"name": "new"}, headers=headers)
    assert things.get(f"{ENVIRONMENTS}/{reply.body['sys']['id']}/entries").body["total"] == 0


@pytest.mark.parametrize("body", [None, {}, {"name": ""}, {"name": 1}, []])
def test_a_new_environment_needs_a_name(api: Api, body: Any) -> None:
    assert api.call("POST", ENVIRONMENTS, body).status in (400, 422)
    assert environment_ids(api) == ["master"]


def counts(api: Api) -> dict[str, int]:
    connection = api.app.store.connection
    names = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    return {
        name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in names
        if not name.startswith("sqlite_") and name not in ("meta", "sqlite_sequence")
    }


def filled(api: Api, prefix: str) -> Api:
    """Something of every kind below that path."""
    other = Api(api.app, prefix=prefix)
    unique = {"id": "sku", "type": "Symbol", "validations": [{"unique": True}]}
    other.put_type("thing2", [unique])
    other.put_entry("x", {"sku": "1"}, type_id="thing2", publish=True)
    other.call("PUT", "/content_types/thing2/editor_interface", {"controls": []}, version=1)
    other.call("PUT", "/tags/t", {"name": "t"})
    other.call("POST", "/locales", {"name": "French", "code": "fr"})
    other.call("POST", "/uploads", raw=b"x")
    link = {"sys": {"type": "Link", "linkType": "Entry", "id": "x"}}
    other.call("POST", "/bulk_actions/validate", {"entities": {"items": [link]}})
    file = {"fileName": "f", "contentType": "text/plain", "upload": "https://x.example/f"}
    other.call("PUT", "/assets/a", {"fields": {"file": {"en-US": file}}})
    assert other.call("PUT", "/assets/a/files/en-US/process", version=1).status == 204
    return other


@pytest.mark.parametrize("index_delay", [None, IndexDelay()])
def test_a_deleted_environment_leaves_nothing_behind(
    open_space: Callable[..., Api], index_delay: IndexDelay | None
) -> None:
    api = open_space(index_delay=index_delay)
    before = counts(api)
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name"
    names = api.app.store.execute(indexes).fetchall()
    path = f"{ENVIRONMENTS}/staging"
    for _ in range(2):
        api.call("PUT", path, {"name": "staging"})
        other = filled(api, path[1:])
        assert api.call("DELETE", path).status == 204
        assert counts(api) == before
        assert api.app.store.execute(indexes).fetchall() == names
        assert other.get("/entries").error[:2] == (404, "NotFound")
        assert api.call("DELETE", path).status == 404
    api.call("PUT", path, {"name": "staging"})
    assert other.get("/entries").body["total"] == 0, "a new one is not the old one"


def test_master_cannot_be_deleted_and_a_stale_version_deletes_nothing(api: Api) -> None:
    assert api.call("DELETE", f"{ENVIRONMENTS}/master").error[:2] == (403, "AccessDenied")
    api.call("PUT", f"{ENVIRONMENTS}/x", {"name": "x"})
    assert api.call("DELETE", f"{ENVIRONMENTS}/x", version=7).status == 409
    assert api.call("DELETE", f"{ENVIRONMENTS}/x", version=1).status == 204


def test_a_deleted_space_leaves_nothing_behind(api: Api) -> None:
    before = counts(api)
    space = api.call("POST", "!/spaces", {"name": "Other", "defaultLocale": "de-DE"}).body
    path = f"!/spaces/{space['sys']['id']}"
    Api(api.app, prefix=path[1:]).call("POST", "/uploads", raw=b"x")
    api.call("PUT", f"{path}/environments/second", {"name": "second"})
    assert api.call("DELETE", path, version=9).status == 409
    assert api.call("DELETE", path).status == 204
    assert counts(api) == before
    for gone in (path, f"{path}/environments", f"{path}/environments/master/entries"):
        assert api.get(gone).error[:2] == (404, "NotFound")
    assert api.call("DELETE", path).status == 404
    assert api.get("/entries").status == 200, "other spaces stay"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (None, "English (United States)"),
        ("en", "English"),
        ("de-AT", "German (Austria)"),
        ("zh-Hans-CN", "Chinese (Simplified, China)"),
        ("es-419", "Spanish (Latin America)"),
        ("xx-YY", "xx-YY"),
    ],
)
def test_the_default_locale_of_a_new_space_has_a_name(
    api: Api, code: str | None, name: str
) -> None:
    body = {"name": "x"} if code is None else {"name": "x", "defaultLocale": code}
    space_id = api.call("POST", "!/spaces", body).body["sys"]["id"]
    (locale,) = api.get(f"!/spaces/{space_id}/environments/master/locales").body["items"]
    assert (locale["code"], locale["name"]) == (code or "en-US", name)


def test_organizations_come_by_25(api: Api) -> None:
    assert api.get("!/organizations").body["limit"] == 25
    assert api.get("!/organizations", limit=100).body["limit"] == 100
    (organization,) = api.get("!/organizations").body["items"]
    path = f"!/organizations/{organization['sys']['id']}"
    assert api.get(path).body == organization
    assert api.get(f"{path}/spaces").body["items"][0]["sys"]["id"] == "local"


def test_there_is_one_user_everywhere(api: Api) -> None:
    for path in ("!/organizations/local-organization/users", "!/spaces/local/users"):
        (user,) = api.get(path).body["items"]
        assert api.get(f"{path}/{USER}").body == user == api.get("!/users/me").body
        assert api.get(f"{path}/nobody").body["details"] == {"type": "User", "id": "nobody"}


@pytest.mark.parametrize(
    ("path", "error_id"),
    [
        ("!/organizations/other", "NotFound"),
        ("!/organizations/other/users", "NotFound"),
        ("!/spaces/no/users", "NotFound"),
        ("!/organizations/local-organization/teams", "UnknownRoute"),
        ("!/spaces/local/teams/t", "UnknownRoute"),
        ("!/spaces/local/environment_aliases/master", "UnknownRoute"),
        ("!/spaces/no/roles", "NotFound"),
        ("!/spaces/no/space_members", "NotFound"),
        ("/releases", "UnknownRoute"),
        ("/entries/e/comments", "UnknownRoute"),
        ("/workflows", "UnknownRoute"),
        ("/app_installations", "UnknownRoute"),
        ("/asset_keys", "UnknownRoute"),
        ("/public/tags", "UnknownRoute"),
    ],
)
def test_what_a_local_space_lacks_answers_one_way(api: Api, path: str, error_id: str) -> None:
    reply: Reply = api.get(path)
    assert reply.error[:2] == (404, error_id)


@pytest.mark.parametrize(
    "collection",
    ["api_keys", "eligible_licenses", "environment_aliases", "preview_api_keys", "roles",
     "space_add_ons", "team_space_memberships", "teams", "webhook_definitions"],
)  # fmt: skip
def test_what_a_space_never_has_is_an_empty_collection(api: Api, collection: str) -> None:
    body = api.get(f"!/spaces/local/{collection}", limit=5).body
    assert (body["total"], body["limit"], body["items"]) == (0, 5, [])
    assert api.call("POST", f"!/spaces/local/{collection}", {}).error[:2] == (404, "UnknownRoute")


@pytest.mark.parametrize(
    ("collection", "kind"),
    [("space_members", "SpaceMember"), ("space_memberships", "SpaceMembership")],
)
def test_the_one_user_is_the_one_member(api: Api, collection: str, kind: str) -> None:
    path = f"!/spaces/local/{collection}"
    (member,) = api.get(path).body["items"]
    assert (member["sys"]["type"], member["sys"]["id"]) == (kind, f"local-{USER}")
    assert (member["admin"], member["sys"]["user"]["sys"]["id"]) == (True, USER)
    for member_id in (USER, f"local-{USER}"):
        assert api.get(f"{path}/{member_id}").body == member
    assert api.get(f"{path}/nobody").body["details"]["type"] == kind


def test_no_snapshots_are_kept(things: Api) -> None:
    things.put_entry("e", {"name": "a"}, publish=True)
    for path in ("/entries/e/snapshots", "/content_types/thing/snapshots"):
        assert things.get(path).body["items"] == []
    assert things.get("/entries/no/snapshots").status == 404
    assert things.get("/content_types/no/snapshots").status == 404
