"""Contentful's own clients against a running local space.

The JavaScript ones are looked for in `node_modules` of this checkout, or in the directory that
`CONTENTFUL_NODE_MODULES` names: `npm install contentful-management contentful-import
contentful-export contentful-migration`. The Python one is `pip install contentful-management`, here or for the
interpreter that `CONTENTFUL_CLIENT_PYTHON` names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.local_space.server.launcher import running_space, stop_space
from sync_pipeline.local_space.server.registration import store_path
from sync_pipeline.local_space.store.store import create_environment, open_store
from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
ANNOTATION = {"sys": {"type": "Link", "linkType": "Annotation", "id": "Contentful:AggregateRoot"}}
LINK = {"sys": {"type": "Link", "linkType": "ContentType", "id": "book"}}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "storage"
    stop_space(tmp_path / "storage")


def node_modules(*packages: str) -> Path:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    found = Path(os.environ.get("CONTENTFUL_NODE_MODULES", HERE.parents[1] / "node_modules"))
    for package in packages:
        if not (found / package).is_dir():
            pytest.skip(
                f"{package} is not in {found}: npm install it, or set CONTENTFUL_NODE_MODULES"
            )
    return found


def source_file(path: Path) -> Path:
    """An export with entries in several states, made by our own exporter from a space."""
    sys = {"id": "book", "publishedVersion": 1, "version": 2}
    fields = [
        {"id": "title", "name": "Title", "type": "Symbol", "localized": True, "required": True},
        {"id": "next", "name": "Next", "type": "Link", "linkType": "Entry"},
    ]
    link = {"sys": {"type": "Link", "linkType": "Entry", "id": "b1"}}
    content: dict[str, Any] = {
        "contentTypes": [
            {
                "sys": sys,
                "name": "Book",
                "displayField": "title",
                "fields": fields,
                "metadata": {"annotations": {"ContentType": [ANNOTATION]}},
            }
        ],
        "locales": [
            {"code": "en-US", "name": "English", "default": True},
            {"code": "de-DE", "name": "German", "fallbackCode": "en-US"},
        ],
        "tags": [{"sys": {"id": "tagged", "visibility": "public"}, "name": "Tagged"}],
        "entries": [
            {
                "sys": {"id": f"b{n}", "contentType": LINK, "version": 2, "publishedVersion": 1},
                "fields": {
                    "title": {"en-US": f"Book {n}", "de-DE": f"Buch {n}"},
                    **({"next": {"en-US": link}} if n else {}),
                },
                "metadata": {"tags": [], "concepts": []},
            }
            for n in range(30)
        ]
        + [{"sys": {"id": "draft", "contentType": LINK, "version": 1}, "fields": {}}],
        "assets": [
            {
                "sys": {"id": "cover", "version": 3, "publishedVersion": 2},
                "fields": {
                    "title": {"en-US": "Cover"},
                    "file": {
                        code: {
                            "fileName": "a.png",
                            "contentType": "image/png",
                            "url": f"//images.example/{code}.png",
                        }
                        for code in ("en-US", "de-DE")
                    },
                },
            }
        ],
        "editorInterfaces": [
            {
                "sys": {"id": "default", "contentType": LINK},
                "controls": [{"fieldId": "title", "widgetId": "slugEditor"}, {"fieldId": "next"}],
            }
        ],
    }
    plain = path.with_name("plain.json")
    plain.write_text(json.dumps(content), encoding="utf-8")
    with open_store(path.with_name("source.sqlite")) as store:
        import_file(store, plain)
        export_file(store, path)
    return path


def run_script(name: str, modules: Path, *arguments: str, errors: Path | None = None) -> Any:
    """What a script beside this file prints after `RESULT`."""
    done = subprocess.run(
        ["node", str(HERE / name), *arguments],
        env={**os.environ, "NODE_PATH": str(modules), "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    noted = errors.read_text() if errors is not None and errors.exists() else ""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:] + noted[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def test_the_javascript_clients_work(storage: Path, tmp_path: Path) -> None:
    modules = node_modules("contentful-management", "contentful-import", "contentful-export")
    source = source_file(tmp_path / "source.json")
    with open_store(store_path(storage)) as store:
        create_environment(store, "local", "target")
    with running_space(storage) as url:
        result = run_script(
            "official_clients.js", modules, url, str(source), str(tmp_path),
            errors=tmp_path / "errors.json",
        )  # fmt: skip
    management = result["management"]
    assert management["user"] == "User"
    assert management["entry"] == [4, {"en-US": "uno", "de-DE": "eins"}]
    assert management["archived"] == 3
    assert management["many"] == 2
    assert management["cursor"] == [1, 1, True]
    assert management["bulk"] == "succeeded"
    assert management["bulkV2"] == "succeeded"
    assert management["references"] == 1
    assert management["conflict"] == "VersionMismatch"
    assert management["unknownField"] == ["UnknownField", ["fields", "x"]]
    assert management["asset"] == 2
    assert management["environment"] == "ready"
    assert management["gone"] == "NotFound"
    assert (management["locale"], management["tag"]) == (True, "Tag two")
    exported = result["exported"]
    assert (exported["entries"], exported["assets"], exported["contentTypes"]) == (1, 1, 1)
    assert (exported["locales"], exported["tags"], exported["editorInterfaces"]) == (2, 1, 1)
    imported = result["imported"]
    assert (imported["entries"], imported["contentTypes"], imported["locales"]) == (31, 1, 2)
    with open_store(store_path(storage)) as store:
        export_file(store, tmp_path / "target.json", environment_id="target")
        # What contentful-export wrote can be read by us, too.
        import_file(store, tmp_path / "exported.json", space_id="second")
    target = json.loads((tmp_path / "target.json").read_text(encoding="utf-8"))
    wanted = json.loads(source.read_text(encoding="utf-8"))
    assert {item["sys"]["id"]: item["fields"] for item in target["entries"]} == {
        item["sys"]["id"]: item["fields"] for item in wanted["entries"]
    }
    (cover,) = target["assets"]
    assert "publishedVersion" in cover["sys"]
    assert [file["url"] for file in cover["fields"]["file"].values()] == [
        "//images.example/en-US.png",
        "//images.example/de-DE.png",
    ]
    assert target["contentTypes"][0]["metadata"] == wanted["contentTypes"][0]["metadata"]
    assert target["editorInterfaces"][0]["controls"] == wanted["editorInterfaces"][0]["controls"]
    assert [
        item["sys"]["id"] for item in target["entries"] if "publishedVersion" not in item["sys"]
    ] == ["draft"]


def test_migrations_run_with_contentful_migration(storage: Path) -> None:
    modules = node_modules("contentful-management", "contentful-migration")
    with running_space(storage) as url:
        result = run_script("official_migration.js", modules, url)
    annotation = {
        "sys": {"id": "Contentful:AggregateRoot", "type": "Link", "linkType": "Annotation"}
    }
    before, book = result["before"], result["type"]
    assert before["metadata"]["annotations"] == {"ContentType": [annotation]}
    assert [item["sys"]["id"] for item in before["metadata"]["taxonomy"]] == ["fiction"]
    assert [item["id"] for item in book["fields"]] == ["length", "title", "state", "author", "isbn"]
    assert book["metadata"] == {"taxonomy": []}
    editor = result["editor"]
    assert [item["fieldId"] for item in editor["controls"]] == ["title", "author", "isbn"]
    assert editor["controls"][2]["settings"] == {"helpText": "thirteen digits"}
    assert editor["sidebar"][-1]["widgetId"] == "widget"
    layout = [[item["fieldId"] for item in group["items"]] for group in editor["editorLayout"]]
    assert layout == [["length", "title", "state", "author", "isbn"], []]
    assert result["tags"] == ["Classics"]
    books = {entry["sys"]["id"]: entry for entry in result["books"]}
    assert set(books) == {"one", "two", "three"}
    for name, author in (("one", "ann"), ("two", "ben"), ("three", "ann")):
        fields = books[name]["fields"]
        link = {"sys": {"type": "Link", "linkType": "Entry", "id": author}}
        assert fields == {
            "title": {"en-US": name},
            "length": {"en-US": 7},
            "state": {"en-US": "new"},
            "isbn": {"en-US": f"isbn-{name}"},
            "author": {"en-US": link},
        }
        assert [tag["sys"]["id"] for tag in books[name]["metadata"]["tags"]] == ["classic"]
    assert [entry["fields"]["name"]["en-US"] for entry in result["authors"]] == ["Ann", "Ben"]
    assert all("publishedVersion" in entry["sys"] for entry in result["authors"])


PYTHON = """
import json, sys
from contentful_management import Client
client = Client("x", api_url=sys.argv[1], https=False, default_locale="en-US")
out = {}
types = client.content_types("local", "master")
fields = [{"id": "name", "name": "Name", "type": "Symbol", "localized": True}]
thing = types.create("thing", {"name": "Thing", "displayField": "name", "fields": fields})
thing.publish()
entries = client.entries("local", "master")
entry = entries.create("e1", {"content_type_id": "thing", "fields": {"name": {"en-US": "one"}}})
entry.name = "uno"
entry.save()
entry.publish()
out["entry"] = [entry.sys["version"], entry.is_published, entries.find("e1").fields("en-US")]
out["all"] = [item.id for item in entries.all({"content_type": "thing", "order": "sys.id"})]
out["locales"] = [item.code for item in client.locales("local", "master").all()]
entry.unpublish()
entry.archive()
entry.unarchive()
entry.delete()
try:
    entries.find("e1")
except Exception as error:
    out["gone"] = type(error).__name__
try:
    entries.create("e2", {"content_type_id": "thing", "fields": {"x": {"en-US": "one"}}})
except Exception as error:
    out["refused"] = type(error).__name__
print("RESULT " + json.dumps(out))
"""


def test_the_python_client_works(storage: Path) -> None:
    python = os.environ.get("CONTENTFUL_CLIENT_PYTHON", sys.executable)
    probe = subprocess.run(
        [python, "-c", "import contentful_management"], check=False, capture_output=True
    )
    if probe.returncode:
        pytest.skip(f"contentful-management is not installed for {python}")
    with running_space(storage) as url:
        done = subprocess.run(
            [python, "-c", PYTHON, url.removeprefix("http://")],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.partition("RESULT ")[2])
    assert result == {
        "entry": [3, True, {"name": "uno"}],
        "all": ["e1"],
        "locales": ["en-US"],
        "gone": "NotFoundError",
        "refused": "UnprocessableEntityError",
    }
