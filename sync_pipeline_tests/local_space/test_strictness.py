"""What a local space refuses since the service does, or may: decision 21 of docs/decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.errors import UsageError
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline_tests.local_space.conftest import Api, Reply

# ---------------------------------------------------------------- publishing


@pytest.mark.parametrize("kind", ["Symbol", "Text"])
@pytest.mark.parametrize(
    ("value", "is_published"), [("", False), (None, False), (" ", True), ("x", True)]
)
def test_a_required_field_that_holds_an_empty_text_does_not_publish(
    api: Api, kind: str, value: str | None, is_published: bool
) -> None:
    api.put_type("page", [{"id": "f", "type": kind, "required": True}])
    api.put_entry("e", {"f": {"en-US": value}}, type_id="page")
    reply = api.call("PUT", "/entries/e/published", version=1)
    assert reply.status == (200 if is_published else 422)
    if not is_published:
        assert [(fault["name"], fault["path"]) for fault in reply.faults] == [
            ("required", ["fields", "f", "en-US"])
        ]


@pytest.mark.parametrize(
    ("rules", "status"), [([], 200), ([{"in": ["a"]}], 422), ([{"size": {"min": 1}}], 422)]
)
def test_an_optional_field_may_hold_an_empty_text_if_its_rules_allow_it(
    api: Api, rules: list[Any], status: int
) -> None:
    api.put_type("page", [{"id": "f", "type": "Symbol", "validations": rules}])
    api.put_entry("e", {"f": ""}, type_id="page")
    assert api.call("PUT", "/entries/e/published", version=1).status == status


def test_an_optional_locale_may_hold_an_empty_text(api: Api) -> None:
    api.put_type("page", [{"id": "f", "type": "Symbol", "required": True, "localized": True}])
    api.put_entry("e", {"f": {"en-US": "a", "de-DE": ""}}, type_id="page")
    assert api.call("PUT", "/entries/e/published", version=1).status == 200


# ---------------------------------------------------------------- saving


def tag(tag_id: str) -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": "Tag", "id": tag_id}}


def save(api: Api, path: str, version: int | None = None, **body: Any) -> Reply:
    return api.call("PUT", path, body, version=version, content_type="thing")


@pytest.mark.parametrize("path", ["/entries/e", "/assets/a"])
def test_a_tag_that_does_not_exist_is_refused(things: Api, path: str) -> None:
    things.call("PUT", "/tags/here", {"name": "here"})
    tags = {"tags": [tag("here"), tag("gone"), tag("away")]}
    reply = save(things, path, fields={}, metadata=tags)
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert [(fault["name"], fault["link"]["id"], fault["path"]) for fault in reply.faults] == [
        ("notResolvable", "gone", ["tags", 1]),
        ("notResolvable", "away", ["tags", 2]),
    ]
    assert save(things, path, fields={}, metadata={"tags": [tag("here")]}).status == 201


def test_a_patch_and_a_put_are_refused_for_a_new_tag_that_does_not_exist(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    patch = [{"op": "add", "path": "/metadata/tags/-", "value": tag("gone")}]
    assert things.call("PATCH", "/entries/e", patch, version=1).status == 422
    assert save(things, "/entries/e", 1, fields={}, metadata={"tags": [tag("no")]}).status == 422


def test_an_imported_entry_whose_tags_were_not_imported_can_be_saved(
    things: Api, tmp_path: Path
) -> None:
    link = {"sys": {"type": "Link", "linkType": "ContentType", "id": "thing"}}
    entry = {"sys": {"id": "e", "version": 1, "contentType": link}, "fields": {},
             "metadata": {"tags": [tag("gone")]}}  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"entries": [entry]}), encoding="utf-8")
    import_file(things.app.store, path)
    patch = [{"op": "add", "path": "/fields/name", "value": {"en-US": "a"}}]
    assert things.call("PATCH", "/entries/e", patch, version=1).status == 200
    tags = {"tags": [tag("gone"), tag("new")]}
    reply = save(things, "/entries/e", 2, fields={}, metadata=tags)
    assert [fault["link"]["id"] for fault in reply.faults] == ["new"]


@pytest.mark.parametrize("path", ["/entries/e", "/assets/a"])
@pytest.mark.parametrize("key", ["field", "Fields", "contentType", "id", "", "sys.id"])
def test_an_unknown_key_of_an_entry_is_refused(things: Api, path: str, key: str) -> None:
    reply = things.call("PUT", path, {"fields": {}, key: {}}, content_type="thing")
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults == [
        {"name": "unexpected", "path": [key], "details": f'The property "{key}" is not expected'}
    ]


def test_a_patch_cannot_add_a_key_to_an_entry(things: Api) -> None:
    things.put_entry("e", {"name": "a"})
    patch = [{"op": "add", "path": "/title", "value": "x"}]
    assert things.call("PATCH", "/entries/e", patch, version=1).faults[0]["path"] == ["title"]


@pytest.mark.parametrize("key", ["displayfield", "field", "type", "$schema", "validations"])
def test_an_unknown_key_of_a_content_type_is_refused(api: Api, key: str) -> None:
    reply = api.call("PUT", "/content_types/t", {"name": "T", "fields": [], key: None})
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert [fault["path"] for fault in reply.faults] == [[key]]


@pytest.mark.parametrize("name", ["sized", "regex", "Unique", "pattern", "max", "linkContentTypes"])
@pytest.mark.parametrize("in_items", [False, True])
def test_an_unknown_validation_is_refused(api: Api, name: str, in_items: bool) -> None:
    rules = [{"size": {"max": 9}, "message": "m"}, {name: {"max": 1}}]
    field: dict[str, Any] = {"id": "f", "name": "F", "type": "Symbol", "validations": rules}
    if in_items:
        items = {"type": "Symbol", "validations": rules}
        field = {"id": "f", "name": "F", "type": "Array", "items": items}
    reply = api.call("PUT", "/content_types/t", {"name": "T", "fields": [field]})
    (fault,) = reply.faults
    assert (fault["name"], fault["path"][-3:]) == ("unknownValidation", ["validations", 1, name])


@pytest.mark.parametrize(
    "rule",
    [{"unique": True}, {"unique": False, "message": None}, {"in": ["a"], "message": "one of"},
     {"size": {"min": 1}}, {"regexp": {"pattern": "a"}}, {"prohibitRegexp": {"pattern": "b"}},
     {"relationshipType": ["Composition"]}],
)  # fmt: skip
def test_a_known_validation_is_kept(api: Api, rule: dict[str, Any]) -> None:
    body = api.put_type("t", [{"id": "f", "type": "Symbol", "validations": [rule]}])
    assert body["fields"][0]["validations"] == [rule]


@pytest.mark.parametrize("rule", [{"unique": "yes"}, {"message": 1}, {"relationshipType": "x"}])
def test_a_validation_of_another_shape_is_refused(api: Api, rule: dict[str, Any]) -> None:
    field = {"id": "f", "name": "F", "type": "Symbol", "validations": [rule]}
    reply = api.call("PUT", "/content_types/t", {"name": "T", "fields": [field]})
    assert [fault["name"] for fault in reply.faults] == ["type"]


def test_an_export_keeps_validations_that_only_the_service_knows(api: Api, tmp_path: Path) -> None:
    field = {"id": "f", "name": "F", "type": "Symbol", "validations": [{"brandNew": {"a": 1}}]}
    exported = {"sys": {"id": "t", "publishedVersion": 1, "version": 2}, "name": "T",
                "fields": [field]}  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"contentTypes": [exported]}), encoding="utf-8")
    import_file(api.app.store, path)
    assert api.get("/content_types/t").body["fields"][0]["validations"] == field["validations"]
    path.write_text(json.dumps({"contentTypes": [{"id": "m", "fields": [field]}]}))
    with pytest.raises(UsageError, match="brandNew"):
        import_file(api.app.store, path)


# ---------------------------------------------------------------- queries


@pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte"])
@pytest.mark.parametrize(
    "path",
    ["fields.name", "fields.sku", "fields.text", "fields.body", "fields.flag", "fields.tags",
     "fields.other.sys.id", "fields.data", "fields.place", "sys.id", "sys.contentType.sys.id",
     "metadata.tags.sys.id"],
)  # fmt: skip
def test_a_range_of_anything_but_numbers_and_dates_is_refused(
    things: Api, path: str, operator: str
) -> None:
    refused(things, path, operator)


@pytest.mark.parametrize("operator", ["lt", "lte", "gt", "gte"])
@pytest.mark.parametrize(
    ("path", "value"),
    [("fields.count", "1"), ("fields.price", "1.5"), ("fields.day", "2024-01-01"),
     ("sys.version", "1"), ("sys.updatedAt", "2024-01-01"), ("fields.place.lat", "1")],
)  # fmt: skip
def test_a_range_of_numbers_and_dates_is_answered(
    things: Api, path: str, operator: str, value: str
) -> None:
    query = {f"{path}[{operator}]": value, "content_type": "thing"}
    assert things.get("/entries", **query).status == 200


@pytest.mark.parametrize(
    "path", ["fields.count", "fields.price", "fields.flag", "fields.day", "fields.data",
             "fields.place", "fields.other", "sys.version", "sys.createdAt", "metadata.tags"]
)  # fmt: skip
def test_full_text_in_anything_but_texts_is_refused(things: Api, path: str) -> None:
    refused(things, path, "match")


@pytest.mark.parametrize("path", ["fields.name", "fields.text", "fields.body", "fields.tags"])
def test_full_text_in_texts_is_answered(things: Api, path: str) -> None:
    assert things.ids(**{f"{path}[match]": "a", "content_type": "thing"}) == []


@pytest.mark.parametrize("path", ["fields.other", "fields.image", "fields.others",
                                  "fields.other.en-US"])  # fmt: skip
@pytest.mark.parametrize("operator", ["", "ne", "in", "nin", "all", "match", "gt"])
def test_a_link_is_compared_by_the_id_of_its_target_only(
    things: Api, path: str, operator: str
) -> None:
    refused(things, path, operator)


@pytest.mark.parametrize("path", ["fields.other", "fields.others"])
def test_whether_a_link_is_there_can_be_asked(things: Api, path: str) -> None:
    link = {"sys": {"type": "Link", "linkType": "Entry", "id": "b"}}
    things.put_entry("a", {"other": link, "others": [link]})
    things.put_entry("b", {})
    for text, found in (("true", ["a"]), ("false", ["b"])):
        assert things.ids(**{f"{path}[exists]": text, "content_type": "thing"}) == found
        assert things.ids(**{f"{path}.sys.id[exists]": text, "content_type": "thing"}) == found
    order = things.get("/entries", order=path, content_type="thing")
    assert order.error[:2] == (400, "InvalidQuery")


def refused(api: Api, path: str, operator: str) -> None:
    name = f"{path}[{operator}]" if operator else path
    reply = api.get("/entries", **{name: "1", "content_type": "thing"})
    assert reply.error[:2] == (400, "InvalidQuery"), reply.body
    (fault,) = reply.faults
    assert (fault["name"], fault["path"]) == ("filter", path.split("."))
    assert fault["details"].startswith(f"{operator or 'equals'} cannot be used on {path}")
