"""Tags of an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import (
    ApiError,
    Detail,
    not_found,
    validation_error,
    version_mismatch,
)
from sync_pipeline.local_space.checks.saving import body_object, is_link
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.store import USER_ID, Scope, link

_COLUMNS = "id, name, visibility, version, created_at, updated_at"


def list_tags(scope: Scope, parameters: Parameters) -> dict[str, Any]:
    """A page of tags."""
    rows = scope.store.execute(
        f"SELECT {_COLUMNS} FROM tags WHERE env = ? ORDER BY created_at, id", (scope.env,)
    )
    return page([_render(scope, row) for row in rows], parameters)


def read_tag(scope: Scope, tag_id: str) -> dict[str, Any]:
    """The tag.

    Raises:
        ApiError: 404 with details.
    """
    row = scope.store.execute(
        f"SELECT {_COLUMNS} FROM tags WHERE env = ? AND id = ?", (scope.env, tag_id)
    ).fetchone()
    if row is None:
        raise not_found(scope.not_found_details("Tag", tag_id))
    return _render(scope, row)


def put_tag(
    scope: Scope, tag_id: str, body: Any, version: int | None
) -> tuple[dict[str, Any], bool]:
    """Create or update; the visibility stays as it was created."""
    content = body_object(body)
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise validation_error(
            [
                {
                    "name": "required",
                    "path": ["name"],
                    "details": 'The property "name" is required here',
                }
            ]
        )
    sys = content.get("sys")
    visibility = sys.get("visibility", "private") if isinstance(sys, dict) else "private"
    if visibility not in ("private", "public"):
        raise validation_error(
            [
                {
                    "name": "in",
                    "path": ["sys", "visibility"],
                    "value": visibility,
                    "expected": ["private", "public"],
                }
            ]
        )
    with transaction(scope.store.connection):
        taken = scope.store.execute(
            "SELECT 1 FROM tags WHERE env = ? AND name = ? AND id <> ?", (scope.env, name, tag_id)
        ).fetchone()
        if taken:
            raise validation_error([{"name": "taken", "path": ["name"], "value": name}])
        now = scope.store.now()
        row = scope.store.execute(
            "SELECT version FROM tags WHERE env = ? AND id = ?", (scope.env, tag_id)
        ).fetchone()
        if row is None:
            scope.store.execute(
                f"INSERT INTO tags (env, {_COLUMNS}) VALUES (?, ?, ?, ?, 1, ?, ?)",
                (scope.env, tag_id, name, visibility, now, now),
            )
        elif version != row[0]:
            raise version_mismatch()
        else:
            scope.store.execute(
                "UPDATE tags SET name = ?, version = version + 1, updated_at = ? "
                "WHERE env = ? AND id = ?",
                (name, now, scope.env, tag_id),
            )
        return read_tag(scope, tag_id), row is None


def check_tags(scope: Scope, metadata: Mapping[str, Any], stored: str | None) -> None:
    """Refuse tags that do not exist.

    Those that the record has already are let through: an export may have been made without tags.

    Args:
        scope: The environment.
        metadata: Checked metadata that is about to be saved.
        stored: The metadata that the record has now, as JSON.

    Raises:
        ApiError: 422 with every tag that is missing.
    """
    kept = set() if stored is None else _tag_ids(orjson.loads(stored))
    known = {
        row[0] for row in scope.store.execute("SELECT id FROM tags WHERE env = ?", (scope.env,))
    }
    missing: list[Detail] = [
        {"name": "notResolvable", "link": link["sys"], "path": ["tags", index]}
        for index, link in enumerate(metadata["tags"])
        if link["sys"]["id"] not in known | kept
    ]
    if missing:
        raise validation_error(missing, "InvalidEntry")


def _tag_ids(metadata: Mapping[str, Any]) -> set[str]:
    return {link["sys"]["id"] for link in metadata.get("tags", ()) if is_link(link, ("Tag",))}


def delete_tag(scope: Scope, tag_id: str, version: int | None) -> None:
    """Delete a tag that nothing refers to; needs its version."""
    with transaction(scope.store.connection):
        if version != read_tag(scope, tag_id)["sys"]["version"]:
            raise version_mismatch()
        used = scope.store.execute(
            "SELECT 1 FROM entries, json_each(json_extract(metadata, '$.tags')) "
            "WHERE env = ? AND metadata IS NOT NULL AND json_extract(value, '$.sys.id') = ? "
            "LIMIT 1",
            (scope.env, tag_id),
        ).fetchone()
        if used:
            raise ApiError(
                422, "ActionPreconditionsFailed", "The tag is still referenced by entries or assets"
            )
        scope.store.execute("DELETE FROM tags WHERE env = ? AND id = ?", (scope.env, tag_id))


def _render(scope: Scope, row: Sequence[Any]) -> dict[str, Any]:
    tag_id, name, visibility, version, created_at, updated_at = row
    user = link("User", USER_ID)
    return {
        "sys": {
            **scope.links(),
            "type": "Tag",
            "id": tag_id,
            "visibility": visibility,
            "version": version,
            "createdBy": user,
            "createdAt": created_at,
            "updatedBy": user,
            "updatedAt": updated_at,
        },
        "name": name,
    }
