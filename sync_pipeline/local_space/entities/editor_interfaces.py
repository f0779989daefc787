"""How the web app edits the entries of a content type: its controls, sidebar and layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import not_found, version_mismatch
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.request import json_text
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.store import USER_ID, Scope, link


@dataclass(frozen=True, slots=True)
class _Stored:
    """An editor interface; without `sys`."""

    body: dict[str, Any]
    version: int
    created_at: str
    updated_at: str


def read_editor_interface(scope: Scope, type_id: str) -> dict[str, Any]:
    """How the web app edits the content type.

    It comes with the first activation, and every further one raises its version:
    https://github.com/contentful/contentful-migration/pull/89

    Raises:
        ApiError: 404 for an unknown content type, and for one that was never activated.
    """
    current = _current(scope, type_id)
    if current is None:
        raise not_found(scope.not_found_details("EditorInterface", type_id))
    user = link("User", USER_ID)
    return {
        "sys": {
            "id": "default",
            "type": "EditorInterface",
            **scope.links(),
            "contentType": link("ContentType", type_id),
            "version": current.version,
            "createdAt": current.created_at,
            "createdBy": user,
            "updatedAt": current.updated_at,
            "updatedBy": user,
        },
        **current.body,
    }


def _current(scope: Scope, type_id: str) -> _Stored | None:
    """What is stored, else the default one of a type that was activated, else None."""
    stored = _find(scope, type_id)
    if stored is not None:
        return stored
    row = scope.store.execute(
        "SELECT coalesce(published_definition, definition), published_counter, "
        "first_published_at, coalesce(published_at, updated_at) FROM content_types "
        "WHERE env = ? AND id = ?",
        (scope.env, type_id),
    ).fetchone()
    if row is None:
        raise not_found(scope.not_found_details("ContentType", type_id))
    definition, activations, created_at, updated_at = row
    if created_at is None:
        return None
    body = {"controls": [{"fieldId": field_id} for field_id in _field_ids(definition)]}
    return _Stored(body, activations, created_at, updated_at)


def _find(scope: Scope, type_id: str) -> _Stored | None:
    row = scope.store.execute(
        "SELECT body, version, created_at, updated_at FROM editor_interfaces "
        "WHERE env = ? AND content_type = ?",
        (scope.env, type_id),
    ).fetchone()
    return None if row is None else _Stored(orjson.loads(row[0]), *row[1:])


def _write(scope: Scope, type_id: str, content: _Stored) -> None:
    scope.store.execute(
        "INSERT OR REPLACE INTO editor_interfaces VALUES (?, ?, ?, ?, ?, ?)",
        (
            scope.env,
            type_id,
            json_text(content.body),
            content.version,
            content.created_at,
            content.updated_at,
        ),
    )


def _field_ids(definition: str) -> list[str]:
    return [field["id"] for field in orjson.loads(definition)["fields"]]


def follow_activation(
    scope: Scope,
    type_id: str,
    before: str | None,
    after: str,
    changes: Mapping[str, str | None],
) -> None:
    """Bring the editor interface along when its content type is activated; in its transaction.

    New fields get a control, those of fields that are gone go, in the layout too, and the version
    rises. One that nobody has written to is not stored: it follows from the content type.

    Args:
        scope: The environment.
        type_id: Of the content type.
        before: The definition that was active until now, as JSON; None for none.
        after: The one that is activated.
        changes: Fields that got another id, old -> new; None for those that are gone.
    """
    stored = _find(scope, type_id)
    if stored is None:
        return
    fields = _field_ids(after)
    known = set() if before is None else set(_field_ids(before))
    body = _followed(stored.body, changes) if changes else stored.body
    controls = body.get("controls")
    if isinstance(controls, list):
        named: set[str | None] = {_field_of(control) for control in controls}
        named |= {changes.get(field_id, field_id) for field_id in known}
        added = [{"fieldId": field_id} for field_id in fields if field_id not in named]
        body = {**body, "controls": [*controls, *added]}
    _write(
        scope,
        type_id,
        replace(stored, body=body, version=stored.version + 1, updated_at=scope.store.now()),
    )


def _field_of(item: Any) -> str:
    """The field that a control, or an item of the layout, is about; "" for anything else."""
    field_id = item.get("fieldId") if isinstance(item, dict) else None
    return field_id if isinstance(field_id, str) else ""


def _followed(value: Any, changes: Mapping[str, str | None]) -> Any:
    """The value with every `fieldId` in it (controls, layout) renamed, or its holder gone."""
    if isinstance(value, list):
        return [
            _followed(item, changes)
            for item in value
            if changes.get(_field_of(item), "") is not None
        ]
    if not isinstance(value, dict):
        return value
    return {
        key: changes.get(item, item)
        if key == "fieldId" and isinstance(item, str)
        else _followed(item, changes)
        for key, item in value.items()
    }


def put_editor_interface(
    scope: Scope, type_id: str, body: Any, version: int | None
) -> dict[str, Any]:
    """Replace the editor interface; needs its version."""
    content = {key: value for key, value in body_object(body).items() if key != "sys"}
    with transaction(scope.store.connection):
        current = _current(scope, type_id)
        if current is None:
            raise not_found(scope.not_found_details("EditorInterface", type_id))
        if version != current.version:
            raise version_mismatch()
        _write(
            scope,
            type_id,
            replace(current, body=content, version=version + 1, updated_at=scope.store.now()),
        )
        return read_editor_interface(scope, type_id)


def restore_editor_interface(scope: Scope, type_id: str, body: dict[str, Any]) -> bool:
    """Let it hold `body`, of an export, whether the type is active or not; False: it did already.

    Raises:
        ApiError: 404 for an unknown content type.
    """
    with transaction(scope.store.connection):
        current = _current(scope, type_id)
        if current is not None and current.body == body:
            return False
        now = scope.store.now()
        version = 1 if current is None else current.version + 1
        created_at = now if current is None else current.created_at
        _write(scope, type_id, _Stored(body, version, created_at, now))
        return True


def list_editor_interfaces(scope: Scope, parameters: Parameters) -> dict[str, Any]:
    """A page of editor interfaces."""
    ids = editor_interface_ids(scope)
    return page([read_editor_interface(scope, type_id) for type_id in ids], parameters)


def editor_interface_ids(scope: Scope) -> list[str]:
    """Ids of the content types that have one."""
    return [
        row[0]
        for row in scope.store.execute(
            "SELECT id FROM content_types WHERE env = ? AND (first_published_at IS NOT NULL "
            "OR id IN (SELECT content_type FROM editor_interfaces WHERE env = ?)) ORDER BY id",
            (scope.env, scope.env),
        )
    ]
