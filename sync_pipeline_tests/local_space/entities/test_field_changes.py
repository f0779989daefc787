"""Fields of a content type that get another id, or go: entries follow with the activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline_tests.local_space.conftest import Api, Reply


def field(field_id: str, **more: Any) -> dict[str, Any]:
    return {"id": field_id, "name": field_id, "type": "Symbol", **more}


def save(api: Api, *fields: dict[str, Any], **more: Any) -> Reply:
    version = api.get("/content_types/thing").body["sys"]["version"]
    body = {"name": "Thing", "fields": list(fields), **more}
    return api.call("PUT", "/content_types/thing", body, version=version)


def activate(api: Api) -> None:
    version = api.get("/content_types/thing").body["sys"]["version"]
    assert api.call("PUT", "/content_types/thing/published", version=version).status == 200


def values(api: Api, entry_id: str = "e") -> dict[str, Any]:
    fields = api.get(f"/entries/{entry_id}").body["fields"]
    return {key: by_locale["en-US"] for key, by_locale in fields.items()}


@pytest.fixture
def typed(api: Api) -> Api:
    api.put_type("thing", [field("a"), field("b")], displayField="a")
    api.put_entry("e", {"a": "1", "b": "2"}, publish=True)
    return api


def test_a_field_takes_its_values_to_the_new_id(typed: Api) -> None:
    saved = save(typed, field("a", newId="x"), field("b"), displayField="a")
    assert [item["id"] for item in saved.body["fields"]] == ["x", "b"]
    assert "newId" not in saved.body["fields"][0]
    assert saved.body["displayField"] == "x"
    assert values(typed) == {"a": "1", "b": "2"}, "entries follow the active type"
    sys = typed.get("/entries/e").body["sys"]
    activate(typed)
    assert values(typed) == {"x": "1", "b": "2"}
    assert typed.get("/entries/e").body["sys"] == sys, "nobody wrote to the entry"
    assert typed.ids(content_type="thing", **{"fields.x": "1"}) == ["e"]
    assert typed.ids(content_type="thing", **{"fields.b": "2"}) == ["e"]
    assert [item["id"] for item in save(typed, field("x"), field("b")).body["fields"]] == ["x", "b"]


@pytest.mark.parametrize(
    ("saves", "expected"),
    [
        ([[field("a", newId="b"), field("b", newId="a")]], {"b": "1", "a": "2"}),
        ([[field("a", newId="x"), field("b")], [field("x"), field("b")]], {"x": "1", "b": "2"}),
        ([[field("a", newId="x"), field("b")], [field("x", newId="y"), field("b")]],
         {"y": "1", "b": "2"}),
        ([[field("a", newId="x"), field("b")], [field("x", newId="a"), field("b")]],
         {"a": "1", "b": "2"}),
        ([[field("a", newId="x"), field("b")], [field("a"), field("b")]], {"a": "1", "b": "2"}),
        ([[field("a", newId="x"), field("b")], [field("x"), field("a"), field("b")]],
         {"a": "1", "b": "2"}),
        ([[field("a", newId="x"), field("b")], [field("x"), field("b", newId="z"), field("c")]],
         {"x": "1", "z": "2"}),
    ],
)  # fmt: skip
def test_renames_wait_for_the_activation_through_any_number_of_saves(
    typed: Api, saves: list[list[dict[str, Any]]], expected: dict[str, str]
) -> None:
    for fields in saves:
        assert save(typed, *fields).status == 200
    activate(typed)
    assert values(typed) == expected
    activate(typed)
    assert values(typed) == expected


def test_what_is_published_follows_too(typed: Api) -> None:
    changed = {"fields": {"a": {"en-US": "new"}, "b": {"en-US": "2"}}}
    typed.call("PUT", "/entries/e", changed, version=2)
    save(typed, field("a", newId="x"), field("b"))
    activate(typed)
    assert values(typed)["x"] == "new"
    published = typed.app.store.execute("SELECT published_fields FROM entries").fetchone()[0]
    assert published == '{"x":{"en-US":"1"},"b":{"en-US":"2"}}'


def test_entries_of_other_types_and_nested_names_stay(typed: Api) -> None:
    typed.put_type("other", [field("a"), field("o", type="Object")])
    typed.put_entry("f", {"a": "3", "o": {"a": 1}}, type_id="other")
    save(typed, field("a", newId="x"), field("b"))
    activate(typed)
    assert values(typed, "f") == {"a": "3", "o": {"a": 1}}


def test_controls_layout_and_annotations_follow_a_rename(typed: Api) -> None:
    path = "/content_types/thing/editor_interface"
    layout = {
        "controls": [{"fieldId": "a", "widgetId": "slugEditor"}, {"fieldId": "b"}],
        "editorLayout": [{"groupId": "g", "items": [{"fieldId": "b"}, {"fieldId": "a"}]}],
    }
    assert typed.call("PUT", path, layout, version=1).status == 200
    note = {"sys": {"type": "Link", "linkType": "Annotation", "id": "n"}}
    metadata = {"annotations": {"ContentTypeField": {"a": [note], "b": []}}}
    saved = save(typed, field("a", newId="x"), field("b"), metadata=metadata)
    assert saved.body["metadata"]["annotations"]["ContentTypeField"] == {"x": [note], "b": []}
    activate(typed)
    body = typed.get(path).body
    assert body["controls"] == [{"fieldId": "x", "widgetId": "slugEditor"}, {"fieldId": "b"}]
    assert body["editorLayout"][0]["items"] == [{"fieldId": "b"}, {"fieldId": "x"}]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ([field("a", newId="b"), field("b")], "uniqueFieldIds"),
        ([field("a", newId="1x"), field("b")], "regexp"),
        ([field("a", newId=7), field("b")], "regexp"),
    ],
)
def test_a_new_id_must_be_free_and_an_id(
    typed: Api, fields: list[dict[str, Any]], name: str
) -> None:
    assert [fault["name"] for fault in save(typed, *fields).faults] == [name]


def test_a_renamed_field_cannot_change_its_type_or_go_at_once(typed: Api) -> None:
    assert save(typed, field("a", newId="x", type="Text"), field("b")).status == 400
    save(typed, field("a", newId="x"), field("b"))
    assert save(typed, field("b")).error[2] == "You need to omit a field before deleting it"


def test_a_field_that_is_gone_takes_its_values_along(typed: Api) -> None:
    save(typed, field("a"), field("b", omitted=True))
    activate(typed)
    assert values(typed) == {"a": "1", "b": "2"}
    save(typed, field("a"))
    activate(typed)
    assert values(typed) == {"a": "1"}
    entry = typed.get("/entries/e").body
    body = {"fields": entry["fields"]}
    assert typed.call("PUT", "/entries/e", body, version=entry["sys"]["version"]).status == 200


def test_a_lagging_index_shows_the_new_ids(open_space: Callable[..., Api]) -> None:
    api = open_space(index_delay=IndexDelay(seconds=9.0))
    api.put_type("thing", [field("a")])
    api.put_entry("e", {"a": "1"})
    save(api, field("a", newId="x"))
    activate(api)
    assert api.ids(content_type="thing", **{"fields.x": "1"}) == ["e"]
