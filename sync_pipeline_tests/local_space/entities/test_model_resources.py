"""Content types, locales, tags, environments, users, assets."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api, Reply

FIELD = {"id": "f", "name": "F", "type": "Symbol"}


def put_type(api: Api, fields: list[Any], version: int | None = None, **more: Any) -> Reply:
    body = {"name": "Thing", "fields": fields, **more}
    return api.call("PUT", "/content_types/thing", body, version=version)


def test_a_content_type_comes_back_with_every_flag(api: Api) -> None:
    item = {"type": "Link", "linkType": "Entry", "validations": [{"linkContentType": ["x"]}]}
    reply = put_type(
        api,
        [
            FIELD,
            {"id": "l", "name": "L", "type": "Link", "linkType": "Asset"},
            {"id": "a", "name": "A", "type": "Array", "items": item},
            {"id": "d", "name": "D", "type": "Boolean", "defaultValue": {"en-US": True}},
        ],
        displayField="f",
    )
    assert reply.status == 201
    flags = {
        "localized": False,
        "required": False,
        "validations": [],
        "disabled": False,
        "omitted": False,
    }
    assert reply.body["fields"] == [
        {**FIELD, **flags},
        {"id": "l", "name": "L", "type": "Link", **flags, "linkType": "Asset"},
        {
            "id": "a",
            "name": "A",
            "type": "Array",
            **flags,
            "items": {
                "type": "Link",
                "linkType": "Entry",
                "validations": [{"linkContentType": ["x"]}],
            },
        },
        {"id": "d", "name": "D", "type": "Boolean", **flags, "defaultValue": {"en-US": True}},
    ]
    assert reply.body["displayField"] == "f"
    assert reply.body["sys"]["version"] == 1


def test_a_content_type_follows_versions_and_states(api: Api) -> None:
    assert put_type(api, [FIELD]).status == 201
    assert put_type(api, [FIELD]).status == 409
    assert put_type(api, [FIELD], version=1).body["sys"]["version"] == 2
    assert api.call("PUT", "/content_types/thing/published").status == 409
    active = api.call("PUT", "/content_types/thing/published", version=2).body["sys"]
    assert (active["publishedVersion"], active["version"], active["publishedCounter"]) == (2, 3, 1)
    assert api.call("DELETE", "/content_types/thing").error[2] == "Cannot delete published"
    api.put_entry("e", {})
    refused = api.call("DELETE", "/content_types/thing/published")
    assert refused.error == (400, "BadRequest", "Content Type has entries")
    api.call("DELETE", "/entries/e")
    assert api.call("DELETE", "/content_types/thing/published").body["sys"]["version"] == 4
    assert api.call("DELETE", "/content_types/thing/published").error[2] == "Not published"
    assert api.call("DELETE", "/content_types/thing", version=3).status == 409
    assert api.call("DELETE", "/content_types/thing").status == 204
    missing = api.get("/content_types/thing")
    assert missing.body["details"]["type"] == "ContentType"


def test_a_field_must_be_omitted_and_activated_before_it_may_go(api: Api) -> None:
    other = {"id": "g", "name": "G", "type": "Symbol"}
    api.put_type("thing", [FIELD, other])
    refused = put_type(api, [other], version=2)
    assert refused.error == (400, "BadRequest", "You need to omit a field before deleting it")
    assert put_type(api, [{**FIELD, "omitted": True}, other], version=2).status == 200
    assert put_type(api, [other], version=3).status == 400, "omitted, but not activated"
    assert api.call("PUT", "/content_types/thing/published", version=3).status == 200
    gone = put_type(api, [{**FIELD, "omitted": True, "deleted": True}, other], version=4)
    assert [field["id"] for field in gone.body["fields"]] == ["g"]


def test_a_field_of_a_type_that_was_never_activated_may_go(api: Api) -> None:
    put_type(api, [FIELD])
    assert put_type(api, [], version=1).status == 200


def test_the_type_of_a_field_cannot_change(api: Api) -> None:
    api.put_type("thing", [FIELD])
    assert put_type(api, [{**FIELD, "type": "Text"}], version=2).status == 400


FAULTY: list[tuple[dict[str, Any], str, list[Any]]] = [
    ({"name": ""}, "required", ["name"]),
    ({"fields": {}}, "type", ["fields"]),
    ({"fields": ["x"]}, "type", ["fields", 0]),
    ({"fields": [{"id": "f", "name": "F"}]}, "required", ["fields", 0, "type"]),
    ({"fields": [{**FIELD, "id": "1 x"}]}, "regexp", ["fields", 0, "id"]),
    ({"fields": [{**FIELD, "type": "String"}]}, "in", ["fields", 0, "type"]),
    ({"fields": [{**FIELD, "type": "Link"}]}, "in", ["fields", 0, "linkType"]),
    ({"fields": [{**FIELD, "type": "Array"}]}, "required", ["fields", 0, "items"]),
    ({"fields": [{**FIELD, "type": "Array", "items": {"type": "Link"}}]}, "in",
     ["fields", 0, "items", "linkType"]),
    ({"fields": [{**FIELD, "validations": "x"}]}, "type", ["fields", 0, "validations"]),
    ({"fields": [{**FIELD, "validations": [{"regexp": {"pattern": "("}}]}]}, "regexp",
     ["fields", 0, "validations", 0, "regexp", "pattern"]),
    ({"fields": [{**FIELD, "id": 5}]}, "type", ["fields", 0, "id"]),
    ({"fields": [{**FIELD, "defaultValue": "x"}]}, "type", ["fields", 0, "defaultValue"]),
    ({"fields": [{**FIELD, "validations": [{"size": 3}]}]}, "type",
     ["fields", 0, "validations", 0, "size"]),
    ({"fields": [{**FIELD, "validations": [{"range": {"min": "1"}}]}]}, "type",
     ["fields", 0, "validations", 0, "range", "min"]),
    ({"fields": [{**FIELD, "validations": [{"dateRange": {"max": "soon"}}]}]}, "type",
     ["fields", 0, "validations", 0, "dateRange", "max"]),
    ({"fields": [FIELD, FIELD]}, "uniqueFieldIds", ["fields", 1, "id"]),
    ({"fields": [{**FIELD, "id": f"f{n}"} for n in range(51)]}, "size", ["fields"]),
    ({"displayField": "nope"}, "unknown", ["displayField"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "name", "path"), FAULTY, ids=range(len(FAULTY)))
def test_a_faulty_content_type_is_refused(
    api: Api, change: dict[str, Any], name: str, path: list[Any]
) -> None:
    body = {"name": "Thing", "fields": [FIELD], **change}
    reply = api.call("PUT", "/content_types/thing", body)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert (reply.faults[0]["name"], reply.faults[0]["path"]) == (name, path)


def test_public_content_types_are_the_activated_ones_as_activated(api: Api) -> None:
    api.put_type("thing", [FIELD])
    api.call("PUT", "/content_types/draft", {"name": "d", "fields": []})
    put_type(api, [FIELD, {"id": "new", "name": "N", "type": "Text"}], version=2)
    body = api.get("/public/content_types").body
    assert [item["sys"]["id"] for item in body["items"]] == ["thing"]
    assert [field["id"] for field in body["items"][0]["fields"]] == ["f"]
    assert api.get("/content_types").body["total"] == 2
    assert api.get("/content_types", **{"sys.id[in]": "draft,x"}).body["total"] == 1


# ---------------------------------------------------------------- locales


def locale_id(api: Api, code: str) -> str:
    items = api.get("/locales").body["items"]
    return str(next(item["sys"]["id"] for item in items if item["code"] == code))


def test_the_default_locale_comes_first(api: Api) -> None:
    items = api.get("/locales").body["items"]
    assert [(item["code"], item["default"]) for item in items] == [
        ("en-US", True),
        ("de-DE", False),
    ]
    assert set(items[1]) == {
        "name", "code", "fallbackCode", "default", "optional", "contentManagementApi",
        "contentDeliveryApi", "internal_code", "sys",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error", "details"),
    [
        ({"name": "x", "code": "de-DE"}, (422, "ValidationFailed"),
         {"errors": [{"name": "taken", "path": "code", "value": "de-DE"}]}),
        ({"name": "x", "code": "fr", "colour": 1}, (400, "UnknownKey"), {"keys": ["colour"]}),
        ({}, (400, "MissingKey"), {"key": "name"}),
        (None, (400, "MissingKey"), {"key": "name"}),
        ({"name": "x"}, (400, "MissingKey"), {"key": "code"}),
        ({"name": "x", "code": "fr", "fallbackCode": "it"}, (422, "ValidationFailed"),
         {"errors": [{"name": "fallbackCode", "path": "fallbackCode", "value": "it"}]}),
    ],
)  # fmt: skip
def test_a_faulty_locale_is_refused(api: Api, body: Any, error: Any, details: Any) -> None:
    reply = api.call("POST", "/locales", body)
    assert reply.error[:2] == error
    assert reply.body["details"] == details


def test_the_default_and_fallback_locales_are_protected(api: Api) -> None:
    french = {"name": "French", "code": "fr", "fallbackCode": "de-DE"}
    assert api.call("POST", "/locales", french).status == 201
    english, german = locale_id(api, "en-US"), locale_id(api, "de-DE")
    assert api.call("DELETE", f"/locales/{english}").error[:2] == (403, "DefaultLocaleNotDeletable")
    assert api.call("DELETE", f"/locales/{german}").error[:2] == (
        403,
        "FallbackLocaleNotDeletable",
    )
    renamed = api.call("PUT", f"/locales/{german}", {"code": "de"}, version=1)
    assert renamed.error[:2] == (403, "FallbackLocaleNotRenameable")
    assert api.call("DELETE", f"/locales/{locale_id(api, 'fr')}").status == 204
    assert api.call("DELETE", "/locales/nope").body.get("details") is None


def test_a_renamed_or_removed_locale_takes_its_values_along(things: Api) -> None:
    things.put_entry("e", {"name": {"en-US": "a", "de-DE": "b"}})
    german = locale_id(things, "de-DE")
    assert things.call("PUT", f"/locales/{german}", {"code": "de"}, version=9).status == 409
    assert things.call("PUT", f"/locales/{german}", {"code": "de"}, version=1).status == 200
    assert things.get("/entries/e").body["fields"]["name"] == {"en-US": "a", "de": "b"}
    assert things.call("DELETE", f"/locales/{german}").status == 204
    assert things.get("/entries/e").body["fields"]["name"] == {"en-US": "a"}


# ---------------------------------------------------------------- tags


def test_tags_have_versions_and_cannot_go_while_in_use(things: Api) -> None:
    body = {"name": "Tag", "sys": {"visibility": "public", "id": "t"}}
    created = things.call("PUT", "/tags/t", body)
    assert (created.status, created.body["sys"]["visibility"]) == (201, "public")
    assert things.call("PUT", "/tags/t", body).status == 409
    assert things.call("PUT", "/tags/t", {"name": "New"}, version=1).body["sys"]["version"] == 2
    assert things.call("PUT", "/tags/u", {"name": "New"}).status == 422, "names are unique"
    tag = {"sys": {"type": "Link", "linkType": "Tag", "id": "t"}}
    entry = {"fields": {}, "metadata": {"tags": [tag]}}
    things.call("PUT", "/entries/e", entry, content_type="thing")
    assert things.call("DELETE", "/tags/t").status == 409
    assert things.call("DELETE", "/tags/t", version=2).error[:2] == (
        422,
        "ActionPreconditionsFailed",
    )
    things.call("DELETE", "/entries/e")
    assert things.call("DELETE", "/tags/t", version=2).status == 204
    assert things.get("/tags/t").body["details"]["type"] == "Tag"


# ---------------------------------------------------------------- spaces, environments, user


def test_the_user_the_space_and_the_environment_are_there(api: Api) -> None:
    assert api.call("GET", "!/users/me").body["sys"]["type"] == "User"
    assert api.call("GET", "!/spaces").body["total"] == 1
    assert api.call("GET", "!/spaces/local").body["sys"]["type"] == "Space"
    environment = api.call("GET", "!/spaces/local/environments/master").body
    assert environment["sys"]["status"]["sys"]["id"] == "ready"
    for part in ("webhook_definitions", "roles"):
        assert api.call("GET", f"!/spaces/local/{part}").body["total"] == 0


def test_a_new_environment_is_a_copy_that_goes_its_own_way(things: Api) -> None:
    things.put_entry("e", {"name": "a"}, publish=True)
    path = "!/spaces/local/environments/staging"
    assert things.call("PUT", path, {"name": "staging"}).status == 201
    assert things.call("PUT", path, {"name": "staging"}).status == 409
    staging = Api(things.app, prefix=path[1:])
    assert staging.get("/entries/e").body["sys"]["environment"]["sys"]["id"] == "staging"
    reply = staging.call("PUT", "/entries/e", {"fields": {}}, version=2)
    assert reply.body["sys"]["version"] == 3
    assert things.get("/entries/e").body["sys"]["version"] == 2
    assert staging.get("/locales").body["total"] == 2
    listed = things.call("GET", "!/spaces/local/environments").body["items"]
    assert [item["sys"]["id"] for item in listed] == ["master", "staging"]
