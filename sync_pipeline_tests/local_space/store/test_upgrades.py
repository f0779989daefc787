"""Files that an earlier version of the local space wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sync_pipeline.local_space.store.database import SCHEMA_VERSION, open_database
from sync_pipeline_tests.local_space.conftest import Api

#: `sqlite3.Connection.iterdump` of a space that the first version filled.
OLD = Path(__file__).with_name("space_of_schema_1.sql")


def tables(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    """Columns of each table, without the positions that `ALTER TABLE` cannot choose."""
    names = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    return {
        name: sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({name})"))
        for name in sorted(names)
    }


def write_old(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
    connection.close()


def test_an_old_file_becomes_one_of_this_version(tmp_path: Path) -> None:
    write_old(tmp_path / "old.sqlite")
    old, new = open_database(tmp_path / "old.sqlite"), open_database(tmp_path / "new.sqlite")
    assert old.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    assert tables(old) == tables(new)
    old.close()
    new.close()


def test_an_old_file_goes_on_with_all_that_it_holds(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    write_old(tmp_path / "space.sqlite")
    api = open_space(path=tmp_path / "space.sqlite")
    assert api.app.store.storage_id == "0123456789abcdef0123456789abcdef"
    assert [item["code"] for item in api.get("/locales").body["items"]] == ["en-US", "de-DE"]
    assert sorted(api.ids()) == ["draft", "live"]
    assert api.get("/entries/live").body["sys"]["publishedVersion"] == 1
    interface = api.get("/content_types/thing/editor_interface").body
    assert interface["controls"] == [{"fieldId": "name", "widgetId": "slugEditor"}]
    assert api.call("PUT", "/assets/pic/files/en-US/process", version=1).status == 204
    assert api.get("/assets/pic").body["fields"]["file"]["en-US"]["details"] == {"size": 10}
