"""Bulk actions: accepted at once, executed a moment later, all or nothing.

An accepted action is kept in the file and executed when it is due: on the next request, by the
server's timer, or after a restart. So a killed server forgets none.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import orjson

from sync_pipeline.local_space.api_error import ApiError, bad_request, not_found, version_mismatch
from sync_pipeline.local_space.entities import entries
from sync_pipeline.local_space.entities.bulk_payload import Action, BulkItem, read_items
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.records import find_record, read_record
from sync_pipeline.local_space.store.store import USER_ID, Scope, Store, link
from sync_pipeline.local_space.store.value_index import prepare_unique_checks

MAX_ACTIVE = 5
_KEPT_FOR = timedelta(days=7)
_COLUMNS = "id, action, style, status, payload, error, created_at, updated_at"


class _BulkFailure(Exception):  # noqa: N818 - rolls the action back, never seen outside
    def __init__(self, culprits: list[dict[str, Any]]) -> None:
        self.culprits = culprits
        super().__init__("a bulk action failed")


def submit(scope: Scope, action: Action, style: int, payload: Any) -> dict[str, Any]:
    """Accept an action.

    Raises:
        ApiError: 422 for a wrong payload, 400 for an entity that is missing or has another
            version, 429 with five active actions in the space.
    """
    items = read_items(action, style, payload)
    store = scope.store
    with transaction(store.connection):
        (active,) = store.execute(
            "SELECT count(*) FROM bulk_actions WHERE space = ? "
            "AND status IN ('created', 'inProgress')",
            (scope.space_id,),
        ).fetchone()
        if active >= MAX_ACTIVE:
            raise ApiError(
                429,
                "RateLimitExceeded",
                f"Too many active bulk actions: at most {MAX_ACTIVE} per space are allowed.",
            )
        _check_entities(scope, action, items)
        now = store.now()
        cutoff = store.clock() - _KEPT_FOR
        store.execute("DELETE FROM bulk_actions WHERE updated_at < ?", (f"{cutoff:%Y-%m-%dT%H}",))
        action_id = store.new_id()
        store.execute(
            "INSERT INTO bulk_actions (env, space, id, action, style, status, payload, due, "
            "created_at, updated_at) VALUES (?, ?, ?, ?, ?, 'created', ?, ?, ?, ?)",
            (
                scope.env,
                scope.space_id,
                action_id,
                action,
                style,
                orjson.dumps(payload).decode(),
                store.monotonic() + store.bulk_delay_s,
                now,
                now,
            ),
        )
        return read_action(scope, action_id)


def _check_entities(scope: Scope, action: Action, items: list[BulkItem]) -> None:
    errors: list[dict[str, Any]] = []
    for item in items:
        record = find_record(scope, item.kind, item.id)
        if record is None:
            details = scope.not_found_details(item.kind, item.id)
            errors.append({"entity": item.link, "error": not_found(details).body()})
        elif action == "publish" and record.version != item.version:
            errors.append({"entity": item.link, "error": version_mismatch().body()})
    if errors:
        raise bad_request("Some entities do not exist or have another version", {"errors": errors})


def read_action(scope: Scope, action_id: str) -> dict[str, Any]:
    """The action as the API answers with it.

    Raises:
        ApiError: 404 with details.
    """
    row = scope.store.execute(
        f"SELECT {_COLUMNS} FROM bulk_actions WHERE env = ? AND id = ?", (scope.env, action_id)
    ).fetchone()
    if row is None:
        raise not_found({"type": "BulkAction", "id": action_id})
    _, action, style, status, payload, error, created_at, updated_at = row
    answer: dict[str, Any] = {
        "sys": {
            "type": "BulkAction",
            "id": action_id,
            "status": status,
            "createdBy": link("User", USER_ID),
            "createdAt": created_at,
            "updatedAt": updated_at,
            **scope.links(),
        },
        "action": action,
    }
    body = orjson.loads(payload)
    if style == 1:
        answer["payload"] = body
    else:
        answer["payload"] = {"entities": body["entities"]}
    if error is not None:
        answer["error"] = orjson.loads(error)
    return answer


def make_waiting_actions_due(store: Store) -> None:
    """After a restart: what was accepted before is due at once (the clock began anew)."""
    store.execute(
        "UPDATE bulk_actions SET due = ? WHERE status IN ('created', 'inProgress')",
        (store.monotonic(),),
    )


def run_due_actions(store: Store) -> None:
    """Execute every action that is due, oldest first."""
    rows = store.execute(
        "SELECT position, space, action, style, payload, "
        "(SELECT id FROM environments WHERE environments.env = bulk_actions.env) "
        "FROM bulk_actions WHERE status IN ('created', 'inProgress') AND due <= ? "
        "ORDER BY position",
        (store.monotonic(),),
    ).fetchall()
    for position, space_id, action, style, payload, environment_id in rows:
        scope = store.scope(space_id, environment_id)
        items = read_items(cast("Action", action), style, orjson.loads(payload))
        _execute(scope, position, cast("Action", action), items)


def _execute(scope: Scope, position: int, action: Action, items: list[BulkItem]) -> None:
    prepare_unique_checks(scope)
    connection = scope.store.connection
    try:
        with transaction(connection):
            _apply(scope, action, items)
            _finish(scope.store, position, "succeeded", None)
    except _BulkFailure as failure:
        error = {
            "sys": {"type": "Error", "id": "BulkActionFailed"},
            "message": "Not all entities could be processed",
            "details": {"errors": failure.culprits},
        }
        with transaction(connection):
            _finish(scope.store, position, "failed", orjson.dumps(error).decode())


def _apply(scope: Scope, action: Action, items: list[BulkItem]) -> None:
    culprits: list[dict[str, Any]] = []
    for item in items:
        try:
            _apply_one(scope, action, item)
        except ApiError as error:
            culprits.append({"entity": item.link, "error": error.body()})
    if culprits:
        raise _BulkFailure(culprits)


def _apply_one(scope: Scope, action: Action, item: BulkItem) -> None:
    record = read_record(scope, item.kind, item.id)
    if item.version is not None and record.version != item.version:
        raise version_mismatch()
    if action == "publish":
        entries.publish_current(scope, record, item.change)
    elif action == "validate":
        entries.check_record(scope, record, item.change)
    elif record.published_version is not None:  # unpublishing a draft is no error
        entries.unpublish_current(scope, record)


def _finish(store: Store, position: int, status: str, error: str | None) -> None:
    store.execute(
        "UPDATE bulk_actions SET status = ?, error = ?, updated_at = ? WHERE position = ?",
        (status, error, store.now(), position),
    )
