"""Files of contentful-export, and plain model files, in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline import demo
from sync_pipeline.errors import UsageError
from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import ImportSummary, import_file
from sync_pipeline_tests.local_space.conftest import THING_FIELDS, Api

MODEL = Path(demo.__file__).parent / "airport_space.json"


@pytest.fixture
def filled(things: Api) -> Api:
    """Entries in every state, an asset, a tag, an editor interface."""
    things.put_entry("draft", {"name": {"en-US": "ä", "de-DE": None}, "data": {"a": [1, 2.5]}})
    things.put_entry("live", {"name": "b"}, publish=True)
    things.put_entry("changed", {"name": "c"}, publish=True)
    changed = {"fields": {"name": {"en-US": "d"}}}
    things.call("PUT", "/entries/changed", changed, version=2)
    things.put_entry("archived", {"name": "e"})
    things.call("PUT", "/entries/archived/archived")
    tag = {"sys": {"type": "Link", "linkType": "Tag", "id": "t"}}
    things.call("PUT", "/tags/t", {"name": "Tag", "sys": {"visibility": "public"}})
    tagged = {"fields": {}, "metadata": {"tags": [tag]}}
    things.call("PUT", "/entries/tagged", tagged, content_type="thing")
    file = {"fileName": "f", "contentType": "text/plain", "upload": "https://x.example/f"}
    things.call("PUT", "/assets/a", {"fields": {"file": {"en-US": file}}})
    things.call("PUT", "/assets/a/files/en-US/process", version=1)
    assert things.call("PUT", "/assets/a/published", version=2).status == 200
    things.call("PUT", "/content_types/draft-type", {"name": "d", "fields": []})
    controls = {"controls": [{"fieldId": "name", "widgetId": "slugEditor"}]}
    things.call("PUT", "/content_types/thing/editor_interface", controls, version=1)
    return things


def contents(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_what_is_exported_and_imported_is_the_same_space(
    filled: Api, open_space: Callable[..., Api], tmp_path: Path
) -> None:
    summary = export_file(filled.app.store, tmp_path / "out.json")
    assert (summary.entries, summary.assets, summary.content_types, summary.locales) == (5, 1, 2, 2)
    other = open_space(path=tmp_path / "other.sqlite")
    imported = import_file(other.app.store, tmp_path / "out.json")
    assert imported == ImportSummary(
        content_types=2, locales=1, tags=1, editor_interfaces=1, entries=5, assets=1
    )
    export_file(other.app.store, tmp_path / "again.json")
    first, second = contents(tmp_path / "out.json"), contents(tmp_path / "again.json")
    for part in ("entries", "assets"):
        assert first[part] == second[part]
    for part in ("contentTypes", "tags", "editorInterfaces", "locales"):
        assert [{k: v for k, v in item.items() if k != "sys"} for item in first[part]] == [
            {k: v for k, v in item.items() if k != "sys"} for item in second[part]
        ]
    published = [item["sys"].get("publishedVersion") is not None for item in second["contentTypes"]]
    assert published == [True, False]


def test_a_second_import_changes_no_type_and_no_locale(filled: Api, tmp_path: Path) -> None:
    export_file(filled.app.store, tmp_path / "out.json")
    again = import_file(filled.app.store, tmp_path / "out.json")
    assert again == ImportSummary(entries=5, assets=1)


def test_an_import_replaces_what_has_its_id(filled: Api, tmp_path: Path) -> None:
    export_file(filled.app.store, tmp_path / "out.json")
    filled.call("PUT", "/entries/draft", {"fields": {"name": {"en-US": "other"}}}, version=1)
    filled.put_entry("new", {})
    import_file(filled.app.store, tmp_path / "out.json")
    draft = filled.get("/entries/draft").body
    assert (draft["sys"]["version"], draft["fields"]["name"]["en-US"]) == (1, "ä")
    assert filled.get("/entries/new").status == 200


def test_the_demo_model_gives_a_working_type(open_space: Callable[..., Api]) -> None:
    api = open_space()
    assert import_file(api.app.store, MODEL) == ImportSummary(content_types=1, locales=1)
    assert import_file(api.app.store, MODEL) == ImportSummary()
    fields = {
        "icao": {"en-US": "EDDF"},
        "name": {"en-US": "Frankfurt am Main", "de-DE": "Frankfurt"},
        "elevationFt": {"en-US": 364},
        "location": {"en-US": {"lat": 50.03, "lon": 8.57}},
    }
    for entry_id, status in (("a", 200), ("b", 422)):
        api.call("PUT", f"/entries/{entry_id}", {"fields": fields}, content_type="airport")
        assert api.call("PUT", f"/entries/{entry_id}/published", version=1).status == status
    locales = api.get("/locales").body["items"]
    assert [(row["code"], row["fallbackCode"]) for row in locales] == [
        ("en-US", None),
        ("de-DE", "en-US"),
    ]


def write(tmp_path: Path, **parts: Any) -> Path:
    path = tmp_path / "space.json"
    path.write_text(json.dumps(parts), encoding="utf-8")
    return path


def test_an_empty_space_takes_the_default_locale_of_the_file(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    locales = [{"code": "de", "fallbackCode": "fr"}, {"code": "fr", "default": True}]
    api = open_space()
    import_file(api.app.store, write(tmp_path, locales=locales))
    items = api.get("/locales").body["items"]
    assert [(row["code"], row["default"]) for row in items] == [("fr", True), ("de", False)]


def test_a_changed_model_is_updated_and_activated(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    api = open_space()
    fields = [{"id": "a", "type": "Symbol"}]
    import_file(api.app.store, write(tmp_path, contentTypes=[{"id": "t", "fields": fields}]))
    fields.append({"id": "b", "type": "Text"})
    summary = import_file(
        api.app.store, write(tmp_path, contentTypes=[{"id": "t", "fields": fields}])
    )
    assert summary.content_types == 1
    active = api.get("/public/content_types").body["items"]
    assert [field["id"] for field in active[0]["fields"]] == ["a", "b"]


def test_any_space_and_environment_can_be_imported_into(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    api = open_space()
    path = write(tmp_path, contentTypes=[{"id": "t", "fields": []}])
    import_file(api.app.store, path, space_id="abc123", environment_id="staging")
    staging = Api(api.app, prefix="/spaces/abc123/environments/staging")
    assert staging.get("/content_types/t").status == 200
    assert api.get("/content_types/t").status == 404


def entry(entry_id: str, content_type: str) -> dict[str, Any]:
    link = {"sys": {"type": "Link", "linkType": "ContentType", "id": content_type}}
    return {"sys": {"id": entry_id, "contentType": link}, "fields": {}}


BAD: list[tuple[str, str]] = [
    ('{"entries": [', "not a JSON export"),
    ("", "not a JSON export"),
    ('{"entries": [1]}', "must hold objects"),
    ('{"entries": [{"fields": {}}]}', "has no `sys`"),
    (json.dumps({"entries": [entry("e", "nope")]}), "'nope'"),
    ('{"contentTypes": [{"name": "x"}]}', "neither `sys.id` nor `id`"),
    ('{"contentTypes": [{"id": "t", "fields": [{"id": "f", "type": "Strng"}]}]}', "Strng"),
    ('{"locales": [{"name": "x"}]}', "no `code`"),
    ('{"locales": [{"code": "de", "default": true}, {"code": "fr", "fallbackCode": "it"}]}', "fr"),
    ('{"tags": [{"sys": {"id": "t"}}]}', "tag 't'"),
    ('{"editorInterfaces": [{"sys": {"contentType": {"sys": {"id": "t"}}}}]}', "'t'"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=range(len(BAD)))
def test_a_file_that_does_not_fit_names_itself_and_what_is_wrong(
    open_space: Callable[..., Api], tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        import_file(open_space().app.store, path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_another_default_locale_than_that_of_a_filled_space_is_refused(
    things: Api, tmp_path: Path
) -> None:
    path = write(tmp_path, locales=[{"code": "fr", "default": True}])
    with pytest.raises(UsageError, match="Import into an empty space"):
        import_file(things.app.store, path)


def test_a_missing_file_or_space_is_named(things: Api, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope\.json cannot be read"):
        import_file(things.app.store, tmp_path / "nope.json")
    with pytest.raises(UsageError, match="no space 'nope'"):
        export_file(things.app.store, tmp_path / "out.json", space_id="nope")
    with pytest.raises(UsageError, match="cannot be written"):
        export_file(things.app.store, tmp_path / "no" / "out.json")


def test_what_is_left_out_is_said(open_space: Callable[..., Api], tmp_path: Path) -> None:
    path = write(tmp_path, webhooks=[{"name": "w"}], roles=[])
    assert import_file(open_space().app.store, path).left_out == ("webhooks",)


def test_a_running_server_notices_an_import_by_another_process(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    serving = open_space()
    assert serving.get("/content_types").body["total"] == 0
    importing = open_space()
    fields = [{**field, "name": field["id"]} for field in THING_FIELDS]
    path = write(tmp_path, contentTypes=[{"id": "thing", "name": "Thing", "fields": fields}])
    import_file(importing.app.store, path)
    assert serving.put_entry("e", {"name": "a"})["sys"]["version"] == 1


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")],
    ids=["folder", "pipe", "link-to-a-device"],
)
def test_an_export_writes_only_regular_files(filled: Api, tmp_path: Path, make) -> None:
    make(tmp_path / "target")
    with pytest.raises(UsageError, match="not a regular file"):
        export_file(filled.app.store, tmp_path / "target")
    assert list(tmp_path.glob("target*")) == [tmp_path / "target"]


def test_an_export_replaces_a_link_and_leaves_what_it_led_to(filled: Api, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "target").symlink_to(tmp_path / "theirs")
    export_file(filled.app.store, tmp_path / "target")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o600
