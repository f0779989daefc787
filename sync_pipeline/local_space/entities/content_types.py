"""Content types: create, update, activate, deactivate, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import (
    bad_request,
    not_found,
    validation_error,
    version_mismatch,
)
from sync_pipeline.local_space.checks.definition_checks import (
    check_definition,
    check_removed_fields,
    normalize_definition,
)
from sync_pipeline.local_space.checks.field_renames import (
    RENAMES,
    field_changes,
    follow_renames,
)
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.entities.editor_interfaces import follow_activation
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.rewriting import Fields, rewrite_fields
from sync_pipeline.local_space.store.store import USER_ID, Scope, link
from sync_pipeline.model import RESOURCE_ID

_COLUMNS = (
    "id, definition, published_definition, version, published_version, published_counter, "
    "created_at, updated_at, published_at, first_published_at"
)
#: By which content types are filtered and ordered.
_PATHS = frozenset(
    ["name", "description", "displayField"]
    + [
        f"sys.{key}"
        for key in (
            "id", "type", "version", "createdAt", "updatedAt", "publishedVersion", "publishedAt",
            "firstPublishedAt", "publishedCounter", "urn", "createdBy.sys.id", "updatedBy.sys.id",
            "publishedBy.sys.id", "space.sys.id", "environment.sys.id",
        )
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContentTypeRow:
    """A content type as it is stored; the columns in their order."""

    id: str
    definition: str
    published_definition: str | None
    version: int
    published_version: int | None
    published_counter: int
    created_at: str
    updated_at: str
    published_at: str | None
    first_published_at: str | None

    @property
    def published(self) -> dict[str, Any] | None:
        """The activated definition."""
        if self.published_definition is None:
            return None
        definition: dict[str, Any] = orjson.loads(self.published_definition)
        return definition


def find_content_type(scope: Scope, type_id: str) -> ContentTypeRow | None:
    """The content type, activated or not, or None."""
    row = scope.store.execute(
        f"SELECT {_COLUMNS} FROM content_types WHERE env = ? AND id = ?", (scope.env, type_id)
    ).fetchone()
    return None if row is None else ContentTypeRow(*row)


def read_content_type(scope: Scope, type_id: str) -> ContentTypeRow:
    """The content type, activated or not.

    Raises:
        ApiError: 404 with details.
    """
    row = find_content_type(scope, type_id)
    if row is None:
        raise not_found(scope.not_found_details("ContentType", type_id))
    return row


def read_active_content_type(scope: Scope, type_id: str) -> ContentTypeRow:
    """The content type, if it is activated.

    Raises:
        ApiError: 404 with details.
    """
    row = read_content_type(scope, type_id)
    if row.published_definition is None:
        raise not_found(scope.not_found_details("ContentType", type_id))
    return row


def render_content_type(
    scope: Scope, row: ContentTypeRow, *, published: bool = False
) -> dict[str, Any]:
    """The content type as the API answers with it; `published`: as it was activated."""
    user = link("User", USER_ID)
    links = scope.links()
    sys: dict[str, Any] = {
        "space": links["space"],
        "id": row.id,
        "type": "ContentType",
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "environment": links["environment"],
    }
    if row.published_version is not None:
        sys["publishedVersion"] = row.published_version
        sys["publishedAt"] = row.published_at
    if row.first_published_at is not None:
        sys["firstPublishedAt"] = row.first_published_at
    sys |= {
        "createdBy": user,
        "updatedBy": user,
        "publishedCounter": row.published_counter,
        "version": row.version,
    }
    if row.published_version is not None:
        sys["publishedBy"] = user
    sys["urn"] = (
        f"crn:contentful:::content:spaces/{scope.space_id}"
        f"/environments/{scope.environment_id}/content_types/{row.id}"
    )
    text = row.published_definition if published else row.definition
    definition = orjson.loads(text or row.definition)
    definition.pop(RENAMES, None)
    return {"sys": sys, **definition}


def list_content_types(
    scope: Scope, parameters: Parameters, *, published: bool = False
) -> dict[str, Any]:
    """A page of content types; `published`: of the activated ones, as activated."""
    rows = [
        ContentTypeRow(*row)
        for row in scope.store.execute(
            f"SELECT {_COLUMNS} FROM content_types WHERE env = ? ORDER BY updated_at DESC, id",
            (scope.env,),
        )
    ]
    return page(
        [
            render_content_type(scope, row, published=published)
            for row in rows
            if not published or row.published_definition is not None
        ],
        parameters,
        paths=_PATHS,
        at=f"{scope.path}/{'public/' if published else ''}content_types",
    )


def put_content_type(
    scope: Scope, type_id: str, body: Any, version: int | None, *, is_exported: bool = False
) -> tuple[ContentTypeRow, bool]:
    """Create or update; the second value says whether it was created.

    `is_exported`: the body comes from an export of the service.
    """
    content = body_object(body)
    if not RESOURCE_ID.fullmatch(type_id):
        raise validation_error([{"name": "regexp", "path": ["sys", "id"], "value": type_id}])
    with transaction(scope.store.connection):
        row = find_content_type(scope, type_id)
        if row is not None and version != row.version:
            raise version_mismatch()
        check_definition(content, is_exported=is_exported)
        published = None if row is None else row.published
        draft = {} if row is None else orjson.loads(row.definition)
        content, renames = follow_renames(content, published, draft)
        check_removed_fields(content, published, renames)
        normal = normalize_definition(content)
        definition = orjson.dumps({**normal, RENAMES: renames} if renames else normal).decode()
        now = scope.store.now()
        if row is None:
            scope.store.execute(
                "INSERT INTO content_types (env, id, definition, version, published_counter, "
                "created_at, updated_at) VALUES (?, ?, ?, 1, 0, ?, ?)",
                (scope.env, type_id, definition, now, now),
            )
        else:
            scope.store.execute(
                "UPDATE content_types SET definition = ?, version = version + 1, updated_at = ? "
                "WHERE env = ? AND id = ?",
                (definition, now, scope.env, type_id),
            )
        return read_content_type(scope, type_id), row is None


def activate(scope: Scope, type_id: str, version: int | None) -> ContentTypeRow:
    """Make the current definition the one that entries follow."""
    with transaction(scope.store.connection):
        row = read_content_type(scope, type_id)
        if version != row.version:
            raise version_mismatch()
        now = scope.store.now()
        draft = orjson.loads(row.definition)
        changes = field_changes(row.published, draft)
        draft.pop(RENAMES, None)
        definition = orjson.dumps(draft).decode()
        scope.store.execute(
            "UPDATE content_types SET definition = ?, published_definition = ?, "
            "published_version = version, version = version + 1, "
            "published_counter = published_counter + 1, published_at = ?, updated_at = ?, "
            "first_published_at = coalesce(first_published_at, ?) WHERE env = ? AND id = ?",
            (definition, definition, now, now, now, scope.env, type_id),
        )
        if changes:
            rewrite_fields(scope, list(changes), partial(_moved_fields, changes), type_id)
        follow_activation(scope, type_id, row.published_definition, definition, changes)
        scope.store.forget()
        return read_content_type(scope, type_id)


def _moved_fields(changes: Mapping[str, str | None], fields: Fields) -> Fields:
    moved = {changes.get(field_id, field_id): values for field_id, values in fields.items()}
    return {field_id: values for field_id, values in moved.items() if field_id is not None}


def deactivate(scope: Scope, type_id: str, version: int | None) -> ContentTypeRow:
    """Take an activated content type without entries back."""
    with transaction(scope.store.connection):
        row = read_content_type(scope, type_id)
        if version is not None and version != row.version:
            raise version_mismatch()
        if row.published_version is None:
            raise bad_request("Not published")
        if _has_entries(scope, type_id):
            raise bad_request("Content Type has entries")
        scope.store.execute(
            "UPDATE content_types SET published_definition = NULL, published_version = NULL, "
            "published_at = NULL, version = version + 1, updated_at = ? WHERE env = ? AND id = ?",
            (scope.store.now(), scope.env, type_id),
        )
        scope.store.forget()
        return read_content_type(scope, type_id)


def delete_content_type(scope: Scope, type_id: str, version: int | None) -> None:
    """Delete a content type that is not activated."""
    with transaction(scope.store.connection):
        row = read_content_type(scope, type_id)
        if version is not None and version != row.version:
            raise version_mismatch()
        if row.published_version is not None:
            raise bad_request("Cannot delete published")
        for table, column in (("content_types", "id"), ("editor_interfaces", "content_type")):
            scope.store.execute(
                f"DELETE FROM {table} WHERE env = ? AND {column} = ?", (scope.env, type_id)
            )


def _has_entries(scope: Scope, type_id: str) -> bool:
    return (
        scope.store.execute(
            "SELECT 1 FROM entries WHERE env = ? AND kind = 'Entry' AND content_type = ? LIMIT 1",
            (scope.env, type_id),
        ).fetchone()
        is not None
    )
