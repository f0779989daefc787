"""Editor interfaces follow the activations of their content type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline_tests.local_space.conftest import Api

PATH = "/content_types/thing/editor_interface"


def field(field_id: str, **more: Any) -> dict[str, Any]:
    return {"id": field_id, "name": field_id, "type": "Symbol", **more}


def save(api: Api, *fields: dict[str, Any], activate: bool = True) -> None:
    """Write the content type, and activate it."""
    found = api.get("/content_types/thing")
    version = found.body["sys"]["version"] if found.status == 200 else None
    body = {"name": "Thing", "fields": list(fields)}
    saved = api.call("PUT", "/content_types/thing", body, version=version)
    assert saved.status in (200, 201), saved.body
    if activate:
        path, version = "/content_types/thing/published", saved.body["sys"]["version"]
        assert api.call("PUT", path, version=version).status == 200


def edited(api: Api) -> tuple[int, list[Any]]:
    body = api.get(PATH).body
    return body["sys"]["version"], body["controls"]


SLUG = {"fieldId": "a", "widgetId": "slugEditor", "widgetNamespace": "builtin"}


def test_there_is_none_before_the_first_activation(api: Api) -> None:
    save(api, field("a"), activate=False)
    for reply in (api.get(PATH), api.call("PUT", PATH, {"controls": []}, version=0)):
        assert reply.status == 404
        assert reply.body["details"]["type"] == "EditorInterface"
    assert api.get("/editor_interfaces").body["total"] == 0
    save(api, field("a"))
    assert edited(api) == (1, [{"fieldId": "a"}])


def test_each_activation_raises_its_version(api: Api) -> None:
    save(api, field("a"))
    save(api, field("a"))
    assert edited(api) == (2, [{"fieldId": "a"}])
    assert api.call("PUT", PATH, {"controls": [SLUG]}, version=1).status == 409
    assert api.call("PUT", PATH, {"controls": [SLUG]}, version=2).body["sys"]["version"] == 3
    save(api, field("a"), activate=False)
    assert edited(api) == (3, [SLUG]), "saving the type alone changes nothing"
    save(api, field("a"))
    assert edited(api) == (4, [SLUG])


def test_a_new_field_gets_a_control_and_keeps_the_others(api: Api) -> None:
    save(api, field("a"))
    layout = {"controls": [SLUG], "sidebar": [{"widgetId": "x"}], "editorLayout": [{"items": []}]}
    api.call("PUT", PATH, layout, version=1)
    save(api, field("b"), field("a"), activate=False)
    assert edited(api)[1] == [SLUG]
    save(api, field("b"), field("a"), field("c"))
    assert edited(api) == (3, [SLUG, {"fieldId": "b"}, {"fieldId": "c"}])
    body = api.get(PATH).body
    assert (body["sidebar"], body["editorLayout"]) == (layout["sidebar"], layout["editorLayout"])


def test_a_control_that_somebody_took_away_does_not_come_back(api: Api) -> None:
    save(api, field("a"), field("b"))
    api.call("PUT", PATH, {"controls": [SLUG]}, version=1)
    save(api, field("a"), field("b"))
    assert edited(api) == (3, [SLUG])


def test_the_control_of_a_removed_field_goes_with_it(api: Api) -> None:
    save(api, field("a"), field("b"))
    layout = [{"groupId": "g", "items": [{"fieldId": "b"}, {"groupId": "h", "items": [
        {"fieldId": "a"}, {"fieldId": "b"}]}]}]  # fmt: skip
    body = {"controls": [SLUG, {"fieldId": "b"}, {"fieldId": 7}], "editorLayout": layout}
    api.call("PUT", PATH, body, version=1)
    save(api, field("a"), field("b", omitted=True))
    assert edited(api)[1] == body["controls"]
    save(api, field("a"))
    assert edited(api)[1] == [SLUG, {"fieldId": 7}]
    inner = {"groupId": "h", "items": [{"fieldId": "a"}]}
    assert api.get(PATH).body["editorLayout"] == [{"groupId": "g", "items": [inner]}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"controls": None},
        {"controls": [None, 1]},
        {"sidebar": []},
        {"controls": [{"fieldId": ["a"]}, {"fieldId": None}]},
    ],
)
def test_an_odd_editor_interface_survives_activations(api: Api, body: dict[str, Any]) -> None:
    save(api, field("a"))
    assert api.call("PUT", PATH, body, version=1).status == 200
    save(api, field("a"), field("b"))
    found = api.get(PATH).body
    assert found.pop("sys")["version"] == 3
    added = [{"fieldId": "b"}] if isinstance(body.get("controls"), list) else []
    assert found == ({**body, "controls": [*body["controls"], *added]} if added else body)


def test_it_goes_with_its_content_type(api: Api) -> None:
    save(api, field("a"))
    api.call("PUT", PATH, {"controls": [SLUG]}, version=1)
    api.call("DELETE", "/content_types/thing/published")
    assert edited(api)[0] == 2, "a deactivated type keeps it"
    api.call("DELETE", "/content_types/thing")
    assert api.get(PATH).body["details"]["type"] == "ContentType"
    save(api, field("a"))
    assert edited(api) == (1, [{"fieldId": "a"}])


def test_export_and_import_keep_those_of_deactivated_types_and_invent_none(
    api: Api, open_space: Callable[..., Api], tmp_path: Path
) -> None:
    api.call("PUT", "/content_types/never", {"name": "Never", "fields": []})
    save(api, field("a"))
    api.call("PUT", PATH, {"controls": [SLUG]}, version=1)
    api.call("DELETE", "/content_types/thing/published")
    export_file(api.app.store, tmp_path / "out.json")
    other = open_space(path=tmp_path / "other.sqlite")
    assert import_file(other.app.store, tmp_path / "out.json").editor_interfaces == 1
    assert other.get(PATH).body["controls"] == [SLUG]
    assert other.get("/content_types/never/editor_interface").status == 404
    assert import_file(other.app.store, tmp_path / "out.json").editor_interfaces == 0
