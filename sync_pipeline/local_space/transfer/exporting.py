"""Write an environment as a file in the shape of `contentful-export`, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import orjson

from sync_pipeline.errors import UsageError
from sync_pipeline.local_space.api_error import ApiError
from sync_pipeline.local_space.entities.content_types import (
    ContentTypeRow,
    find_content_type,
    render_content_type,
)
from sync_pipeline.local_space.entities.editor_interfaces import (
    editor_interface_ids,
    read_editor_interface,
)
from sync_pipeline.local_space.entities.locales import render_locale
from sync_pipeline.local_space.entities.tags import read_tag
from sync_pipeline.local_space.store.database import RECORD_COLUMNS
from sync_pipeline.local_space.store.records import Kind, Record, render
from sync_pipeline.local_space.store.store import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_SPACE,
    Scope,
    Store,
    read_locales,
)


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote."""

    content_types: int
    locales: int
    tags: int
    entries: int
    assets: int


def export_file(
    store: Store,
    path: Path,
    *,
    space_id: str = DEFAULT_SPACE,
    environment_id: str = DEFAULT_ENVIRONMENT,
) -> ExportSummary:
    """Write the environment as of one moment, drafts and archived entries included.

    The file appears under its name when it is complete, readable by this user alone.

    Raises:
        UsageError: The space or environment does not exist, or the file cannot be written or is
            something else than a regular file (a device, a pipe, a folder).
    """
    try:
        scope = store.scope(space_id, environment_id)
    except ApiError as error:
        raise UsageError(
            f"{store.path} has no space {space_id!r} with an environment {environment_id!r}."
        ) from error
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file: name one that may be written anew.")
    partial: Path | None = None
    try:
        # A new name: nobody can have put a link under it.
        with NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f"{path.name}.", suffix=".partial", delete=False
        ) as file:
            partial = Path(file.name)
            store.execute("BEGIN")  # one snapshot, whatever a server writes meanwhile
            try:
                summary = _write(scope, file)
            finally:
                store.execute("COMMIT")
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return summary


def _write(scope: Scope, file: IO[bytes]) -> ExportSummary:
    types = [
        row[0]
        for row in scope.store.execute(
            "SELECT id FROM content_types WHERE env = ? ORDER BY created_at, id", (scope.env,)
        )
    ]
    tags = [
        row[0]
        for row in scope.store.execute(
            "SELECT id FROM tags WHERE env = ? ORDER BY created_at, id", (scope.env,)
        )
    ]
    locales = read_locales(scope.store, scope.env)
    file.write(b"{\n")
    _part(file, "contentTypes", (_content_type(scope, type_id) for type_id in types))
    _part(file, "tags", (read_tag(scope, tag_id) for tag_id in tags))
    edited = set(editor_interface_ids(scope))
    _part(
        file,
        "editorInterfaces",
        (read_editor_interface(scope, type_id) for type_id in types if type_id in edited),
    )
    entries = _part(file, "entries", _records(scope, "Entry"))
    assets = _part(file, "assets", _records(scope, "Asset"))
    _part(file, "locales", (render_locale(scope, locale) for locale in locales), last=True)
    file.write(b"}\n")
    return ExportSummary(
        content_types=len(types),
        locales=len(locales),
        tags=len(tags),
        entries=entries,
        assets=assets,
    )


def _part(file: IO[bytes], name: str, items: Iterable[Any], *, last: bool = False) -> int:
    count = 0
    file.write(f'  "{name}": ['.encode())
    for item in items:
        file.write(b",\n    " if count else b"\n    ")
        file.write(orjson.dumps(item))
        count += 1
    file.write(b"\n  ]\n" if last else b"\n  ],\n")
    return count


def _content_type(scope: Scope, type_id: str) -> dict[str, Any]:
    row: ContentTypeRow | None = find_content_type(scope, type_id)
    if row is None:
        raise AssertionError(f"content type {type_id} vanished within a snapshot")
    return render_content_type(scope, row)


def _records(scope: Scope, kind: Kind) -> Iterator[dict[str, Any]]:
    rows = scope.store.execute(
        f"SELECT {RECORD_COLUMNS} FROM entries WHERE env = ? AND kind = ? ORDER BY created_at, id",
        (scope.env, kind),
    )
    for row in rows:
        yield render(Record(*row), scope)
