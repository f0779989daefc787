"""What is refused on save, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api


def save(api: Api, fields: Any, **more: Any) -> Any:
    return api.call("PUT", "/entries/e", {"fields": fields, **more}, content_type="thing")


def link(kind: str, target: str = "x") -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": kind, "id": target}}


def document(*content: Any) -> dict[str, Any]:
    return {"nodeType": "document", "data": {}, "content": list(content)}


PARAGRAPH = {
    "nodeType": "paragraph",
    "data": {},
    "content": [{"nodeType": "text", "data": {}, "marks": [], "value": "a"}],
}


@pytest.mark.parametrize("content_type", ["nope", "draft"])
def test_an_unknown_or_inactive_type_is_refused(things: Api, content_type: str) -> None:
    things.call("PUT", "/content_types/draft", {"name": "draft", "fields": []})
    reply = things.call("PUT", "/entries/e", {"fields": {}}, content_type=content_type)
    assert reply.error == (
        400,
        "BadRequest",
        "The content type you sent could not be found or was not activated.",
    )


@pytest.mark.parametrize("text", [b'{"fields": {"a": ', b"{'a': 1}", b'{"a": NaN}', b"\xff"])
def test_a_body_that_is_not_json_is_a_bad_request(things: Api, text: bytes) -> None:
    reply = things.call("PUT", "/entries/e", raw=text, content_type="thing")
    assert reply.error == (
        400,
        "BadRequest",
        f"Invalid JSON in request body: {text.decode(errors='replace')}",
    )


def test_no_body_is_a_missing_object(things: Api) -> None:
    reply = things.call("POST", "/entries", content_type="thing")
    assert reply.error == (400, "BadRequest", "Missing object")


@pytest.mark.parametrize("body", [[], "text", 1, {"fields": []}, {"fields": 1}])
def test_a_body_of_another_shape_is_an_invalid_entry(things: Api, body: Any) -> None:
    reply = things.call("PUT", "/entries/e", body, content_type="thing")
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults[0]["type"] == "Object"


def test_an_unknown_field_is_named(things: Api) -> None:
    reply = save(things, {"x": {"en-US": 1}, "name": {"en-US": 1}})
    assert reply.error == (422, "UnknownField", 'No field with id "x" found.')
    assert reply.faults == [{"name": "unknown", "path": ["fields", "x"]}]


@pytest.mark.parametrize("value", [False, "a", ["a"], None], ids=repr)
def test_a_value_without_locale_is_of_the_wrong_type(things: Api, value: Any) -> None:
    reply = save(things, {"flag": value})
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults == [
        {
            "name": "type",
            "type": "Object",
            "value": value,
            "path": ["fields", "flag"],
            "details": 'The type of "value" is incorrect, expected type: Object',
        }
    ]


@pytest.mark.parametrize(("field", "locale"), [("name", "pl"), ("sku", "de-DE"), ("sku", "pl")])
def test_an_unknown_locale_is_named(things: Api, field: str, locale: str) -> None:
    """The second of them: a field that is not localized has its default locale only."""
    reply = save(things, {field: {locale: "v"}})
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults == [{"name": "unknown", "path": ["fields", field, locale], "value": "v"}]


GOOD: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 256),
    ("text", "x" * 50_000),
    ("body", document()),
    ("body", document(PARAGRAPH)),
    ("count", 0),
    ("count", -(2**53)),
    ("count", 7.0),
    ("price", 1),
    ("price", 1.5),
    ("flag", False),
    ("day", "2024-02-29"),
    ("day", "2024-02-29T23:59"),
    ("day", "2024-02-29T23:59:59Z"),
    ("day", "2024-02-29T23:59:59.123+02:00"),
    ("day", "2024-02-29T23:59-0530"),
    ("data", {}),
    ("data", {"a": [1, None]}),
    ("data", [1]),
    ("place", {"lat": 1, "lon": -180}),
    ("other", link("Entry")),
    ("image", link("Asset")),
    ("tags", ["a", "b"]),
    ("others", [link("Entry")] * 1000),
]


@pytest.mark.parametrize(("field", "value"), GOOD, ids=lambda value: repr(value)[:40])
def test_a_value_of_the_right_type_comes_back_as_it_was_sent(
    things: Api, field: str, value: Any
) -> None:
    reply = save(things, {field: {"en-US": value}})
    assert reply.status == 201, reply.body
    assert things.get("/entries/e").body["fields"][field]["en-US"] == value


BAD: list[tuple[str, Any, str, str, list[Any]]] = [
    ("name", 1, "type", "Symbol", []),
    ("name", ["a"], "type", "Symbol", []),
    ("name", "x" * 257, "size", "", []),
    ("text", 1, "type", "Text", []),
    ("text", "x" * 50_001, "size", "", []),
    ("body", "text", "type", "RichText", []),
    ("body", {"nodeType": "paragraph"}, "in", "", ["nodeType"]),
    ("count", 1.5, "type", "Integer", []),
    ("count", "1", "type", "Integer", []),
    ("count", True, "type", "Integer", []),
    ("count", 2**53 + 1, "range", "", []),
    ("price", "1", "type", "Number", []),
    ("price", False, "type", "Number", []),
    ("flag", 0, "type", "Boolean", []),
    ("flag", "true", "type", "Boolean", []),
    ("day", "yesterday", "type", "Date", []),
    ("day", "2023-02-29", "type", "Date", []),
    ("day", "2024-02-29T25:00", "type", "Date", []),
    ("day", "2024-02-29 10:00", "type", "Date", []),
    ("day", 20240229, "type", "Date", []),
    ("data", "text", "type", "Object", []),
    ("place", {"lat": 1}, "type", "Location", []),
    ("place", {"lat": 1, "lon": 2, "x": 3}, "type", "Location", []),
    ("place", [1, 2], "type", "Location", []),
    ("place", {"lat": "1", "lon": 2}, "type", "Number", ["lat"]),
    ("place", {"lat": 91, "lon": 2}, "range", "", ["lat"]),
    ("other", link("Asset"), "type", "Link", []),
    ("other", "x", "type", "Link", []),
    ("other", {"sys": {"type": "Entry", "id": "x"}}, "type", "Link", []),
    ("image", link("Entry"), "type", "Link", []),
    ("tags", "a", "type", "Array", []),
    ("tags", ["a", 1], "type", "Symbol", [1]),
    ("tags", ["a"] * 1001, "size", "", []),
    ("others", [link("Entry"), link("Asset")], "type", "Link", [1]),
]


@pytest.mark.parametrize(
    ("field", "value", "name", "kind", "deeper"), BAD, ids=lambda value: repr(value)[:40]
)
def test_a_value_of_the_wrong_type_is_refused(
    things: Api, field: str, value: Any, name: str, kind: str, deeper: list[Any]
) -> None:
    reply = save(things, {field: {"en-US": value}})
    assert reply.error == (422, "InvalidEntry", "Validation error")
    fault = reply.faults[0]
    assert (fault["name"], fault["path"]) == (name, ["fields", field, "en-US", *deeper])
    if kind:
        assert fault["type"] == kind
        assert fault["details"] == f'The type of "value" is incorrect, expected type: {kind}'
    if name == "size":
        assert fault["details"] == f"Size must be at most {fault['max']}"
    assert things.get("/entries/e").status == 404


def test_all_faults_come_at_once(things: Api) -> None:
    reply = save(things, {"count": {"en-US": "a"}, "flag": {"en-US": 1}, "sku": {"pl": 1}})
    assert [fault["path"][1] for fault in reply.faults] == ["count", "flag", "sku"]


def test_validations_do_not_hold_on_save(api: Api) -> None:
    rules = [{"unique": True}, {"regexp": {"pattern": "^a$"}}, {"in": ["a"]}, {"size": {"min": 9}}]
    api.put_type(
        "thing",
        [
            {"id": "f", "type": "Symbol", "required": True, "validations": rules},
            {"id": "g", "type": "Link", "linkType": "Entry"},
        ],
    )
    assert save(api, {"f": {"en-US": "b"}, "g": {"en-US": link("Entry", "gone")}}).status == 201


@pytest.mark.parametrize("metadata", [None, {"tags": []}, {"tags": [link("Tag")], "concepts": []}])
def test_metadata_may_be_null_or_hold_tags(things: Api, metadata: Any) -> None:
    things.call("PUT", "/tags/x", {"name": "x"})
    assert save(things, {}, metadata=metadata).status == 201


def test_metadata_without_tags_is_refused(things: Api) -> None:
    reply = save(things, {}, metadata={"concepts": []})
    assert reply.status == 422
    assert (reply.faults[0]["name"], reply.faults[0]["path"]) == ("required", ["tags"])


@pytest.mark.parametrize("metadata", ["x", {"tags": "x"}, {"tags": [link("Entry")]}])
def test_metadata_of_another_shape_is_refused(things: Api, metadata: Any) -> None:
    assert save(things, {}, metadata=metadata).status == 422


def test_a_too_long_body_is_refused_whole(things: Api) -> None:
    reply = save(things, {"text": {"en-US": "x" * (1024 * 1024)}})
    assert reply.status == 413


def test_json_too_deep_to_be_stored_is_a_bad_request(things: Api) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    assert save(things, {"data": {"en-US": deep}}).status == 201
    path = "/fields/data/en-US" + "/a" * 199
    operations = [{"op": "add", "path": path, "value": deep}]
    assert things.call("PATCH", "/entries/e", operations, version=1).status == 400
    text = b'{"fields": {"data": {"en-US": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}}}"
    assert things.call("POST", "/entries", raw=text, content_type="thing").status == 400
