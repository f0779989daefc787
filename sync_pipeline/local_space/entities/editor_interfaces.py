"""How the web app edits the entries of a content type: its controls, sidebar and layout."""

from __future__ import annotations

from typing import Any

import orjson

from sync_pipeline.local_space.api_error import version_mismatch
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.entities.content_types import read_content_type
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.store import USER_ID, Scope, link


def read_editor_interface(scope: Scope, type_id: str) -> dict[str, Any]:
    """How the web app edits the content type; a default one until it was changed."""
    row = read_content_type(scope, type_id)
    stored = scope.store.execute(
        "SELECT body, version, created_at, updated_at FROM editor_interfaces "
        "WHERE env = ? AND content_type = ?",
        (scope.env, type_id),
    ).fetchone()
    if stored is None:
        fields = orjson.loads(row.definition)["fields"]
        body: dict[str, Any] = {"controls": [{"fieldId": field["id"]} for field in fields]}
        version, created, updated = 1, row.created_at, row.created_at
    else:
        text, version, created, updated = stored
        body = orjson.loads(text)
    user = link("User", USER_ID)
    return {
        "sys": {
            "id": "default",
            "type": "EditorInterface",
            **scope.links(),
            "contentType": link("ContentType", type_id),
            "version": version,
            "createdAt": created,
            "createdBy": user,
            "updatedAt": updated,
            "updatedBy": user,
        },
        **body,
    }


def put_editor_interface(
    scope: Scope, type_id: str, body: Any, version: int | None
) -> dict[str, Any]:
    """Replace the editor interface; needs its version."""
    content = {key: value for key, value in body_object(body).items() if key != "sys"}
    with transaction(scope.store.connection):
        current = read_editor_interface(scope, type_id)["sys"]
        if version != current["version"]:
            raise version_mismatch()
        scope.store.execute(
            "INSERT OR REPLACE INTO editor_interfaces VALUES (?, ?, ?, ?, ?, ?)",
            (
                scope.env,
                type_id,
                orjson.dumps(content).decode(),
                current["version"] + 1,
                current["createdAt"],
                scope.store.now(),
            ),
        )
        return read_editor_interface(scope, type_id)


def list_editor_interfaces(scope: Scope, parameters: Parameters) -> dict[str, Any]:
    """A page of editor interfaces."""
    ids = [
        row[0]
        for row in scope.store.execute(
            "SELECT id FROM content_types WHERE env = ? ORDER BY id", (scope.env,)
        )
    ]
    return page([read_editor_interface(scope, type_id) for type_id in ids], parameters)
