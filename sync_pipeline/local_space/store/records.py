"""Entries and assets as rows, and as the JSON that the API answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from sync_pipeline.local_space.api_error import not_found
from sync_pipeline.local_space.store.database import RECORD_COLUMNS
from sync_pipeline.local_space.store.index_lag import enqueue_write
from sync_pipeline.local_space.store.store import USER_ID, Scope, link

Kind = Literal["Entry", "Asset"]

_NO_METADATA = orjson.Fragment(b'{"tags":[],"concepts":[]}')
_USER = orjson.Fragment(orjson.dumps(link("User", USER_ID)))
_NO_LINKS = orjson.Fragment(b"[]")
_INSERT = (
    f"INSERT INTO entries ({RECORD_COLUMNS}) VALUES ({', '.join('?' * 18)}) "
    "ON CONFLICT (env, kind, id) DO UPDATE SET "
    + ", ".join(
        f"{column} = excluded.{column}"
        for column in RECORD_COLUMNS.split(", ")
        if column not in ("row", "env", "kind", "id")
    )
    + " RETURNING row"
)
_UPDATE = (
    "UPDATE entries SET version = ?, published_version = ?, archived_version = ?, updated_at = ?, "
    "published_at = ?, first_published_at = ?, archived_at = ?, published_counter = ?, fields = ?, "
    "metadata = ?, published_fields = ?, published_locales = ? WHERE row = ?"
)


@dataclass(frozen=True, slots=True)
class Record:
    """An entry or asset; the columns of the table, in its order."""

    row: int | None
    env: int
    kind: Kind
    id: str
    content_type: str
    version: int
    published_version: int | None
    archived_version: int | None
    created_at: str
    updated_at: str
    published_at: str | None
    first_published_at: str | None
    archived_at: str | None
    published_counter: int
    #: JSON text of `{field: {locale: value}}`.
    fields: str
    #: JSON text, None for no tags and no concepts.
    metadata: str | None
    #: JSON text of the published content where it differs from `fields`.
    published_fields: str | None
    #: JSON text of the published locales where they are not all.
    published_locales: str | None


def find_record(scope: Scope, kind: Kind, resource_id: str) -> Record | None:
    """The entry or asset with that id, as it is now, or None."""
    row = scope.store.execute(
        f"SELECT {RECORD_COLUMNS} FROM entries WHERE env = ? AND kind = ? AND id = ?",
        (scope.env, kind, resource_id),
    ).fetchone()
    return None if row is None else Record(*row)


def read_record(scope: Scope, kind: Kind, resource_id: str) -> Record:
    """The entry or asset with that id, as it is now.

    Raises:
        ApiError: 404 `NotFound` with details.
    """
    record = find_record(scope, kind, resource_id)
    if record is None:
        raise not_found(scope.not_found_details(kind, resource_id))
    return record


def read_published_record(scope: Scope, kind: Kind, resource_id: str) -> Record:
    """The entry or asset with that id, with what is published as its content.

    Raises:
        ApiError: 404 `NotFound` with details, for a draft too.
    """
    record = read_record(scope, kind, resource_id)
    if record.published_version is None:
        raise not_found(scope.not_found_details(kind, resource_id))
    return replace(record, fields=record.published_fields or record.fields, published_fields=None)


def insert_record(scope: Scope, record: Record) -> None:
    """Write a new record, or replace the one with its id (import)."""
    values = [getattr(record, column) for column in RECORD_COLUMNS.split(", ")]
    (row,) = scope.store.execute(_INSERT, values).fetchone()
    _follow(scope, row)


def update_record(scope: Scope, record: Record) -> None:
    """Write the changed state of a record that was read in this transaction."""
    if record.row is None:
        raise AssertionError("a record that was never written cannot be updated")
    scope.store.execute(
        _UPDATE,
        (
            record.version,
            record.published_version,
            record.archived_version,
            record.updated_at,
            record.published_at,
            record.first_published_at,
            record.archived_at,
            record.published_counter,
            record.fields,
            record.metadata,
            record.published_fields,
            record.published_locales,
            record.row,
        ),
    )
    _follow(scope, record.row)


def delete_record(scope: Scope, record: Record) -> None:
    """Remove a record that was read in this transaction."""
    if record.row is None:
        raise AssertionError("a record that was never written cannot be deleted")
    _follow(scope, record.row, removed=True)
    scope.store.execute("DELETE FROM entries WHERE row = ?", (record.row,))


def _follow(scope: Scope, row: int, *, removed: bool = False) -> None:
    delay = scope.store.index_delay
    if delay is not None:
        due = scope.store.monotonic() + delay.seconds
        enqueue_write(scope.store.connection, row, due, removed=removed)


def render(record: Record, scope: Scope) -> dict[str, Any]:
    """The record as the API answers with it, keys in the service's order; holds fragments of
    stored JSON, for `orjson.dumps`.
    """
    return {
        "metadata": _NO_METADATA
        if record.metadata is None
        else orjson.Fragment(record.metadata.encode()),
        "sys": render_sys(record, scope),
        "fields": orjson.Fragment(record.fields.encode()),
    }


def render_sys(record: Record, scope: Scope) -> dict[str, Any]:
    """The `sys` of a record."""
    answer: dict[str, Any] = {
        "space": link("Space", scope.space_id),
        "id": record.id,
        "type": record.kind,
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
        "environment": link("Environment", scope.environment_id),
    }
    if record.published_version is not None:
        answer["publishedVersion"] = record.published_version
        answer["publishedAt"] = record.published_at
    if record.first_published_at is not None:
        answer["firstPublishedAt"] = record.first_published_at
    answer["createdBy"] = _USER
    answer["updatedBy"] = _USER
    answer["publishedCounter"] = record.published_counter
    answer["version"] = record.version
    if record.published_version is not None:
        answer["publishedBy"] = _USER
    if record.archived_version is not None:
        answer["archivedAt"] = record.archived_at
        answer["archivedBy"] = _USER
        answer["archivedVersion"] = record.archived_version
    answer["fieldStatus"] = field_status(record, scope)
    if record.kind == "Entry":
        answer["automationTags"] = _NO_LINKS
        answer["contentType"] = link("ContentType", record.content_type)
    path = "entries" if record.kind == "Entry" else "assets"
    answer["urn"] = (
        f"crn:contentful:::content:spaces/{scope.space_id}"
        f"/environments/{scope.environment_id}/{path}/{record.id}"
    )
    return answer


def field_status(record: Record, scope: Scope) -> Any:
    """`{"*": {locale: draft | changed | published}}`; content decides, not the version."""
    model = scope.model
    if record.published_version is None:
        return model.uniform_status["draft"]
    if record.published_fields is None and record.published_locales is None:
        return model.uniform_status["published"]
    locales = published_locales(record, scope)
    if record.published_fields is None:
        return {
            "*": {code: "published" if code in locales else "draft" for code in model.locale_codes}
        }
    current, published = orjson.loads(record.fields), published_content(record)
    return {
        "*": {
            code: "draft"
            if code not in locales
            else "published"
            if _of_locale(current, code) == _of_locale(published, code)
            else "changed"
            for code in model.locale_codes
        }
    }


def published_content(record: Record) -> dict[str, dict[str, Any]]:
    """The fields as they are published; empty for a draft."""
    if record.published_version is None:
        return {}
    content: dict[str, dict[str, Any]] = orjson.loads(
        record.fields if record.published_fields is None else record.published_fields
    )
    return content


def published_locales(record: Record, scope: Scope) -> tuple[str, ...]:
    """Codes of the locales in which a record is published."""
    if record.published_version is None:
        return ()
    if record.published_locales is None:
        return scope.model.locale_codes
    return tuple(orjson.loads(record.published_locales))


def _of_locale(fields: Mapping[str, Mapping[str, Any]], code: str) -> dict[str, Any]:
    return {
        field_id: values[code]
        for field_id, values in fields.items()
        if values.get(code) not in (None, [])
    }
