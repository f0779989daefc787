"""Environments and spaces that go, with all that they hold."""

from __future__ import annotations

from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.store import Store

_TABLES = (
    "content_types",
    "editor_interfaces",
    "locales",
    "tags",
    "entries",
    "bulk_actions",
    "environments",
)
_LAGGING_TABLES = ("entries_shown", "entries_waiting")


def remove_environment(store: Store, env: int) -> None:
    """Remove an environment; the caller has looked that it is there."""
    with transaction(store.connection):
        store.execute(
            "DELETE FROM uploads WHERE (space, environment) IN "
            "(SELECT space, id FROM environments WHERE env = ?)",
            (env,),
        )
        existing = {
            row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        for table in (*_TABLES, *(name for name in _LAGGING_TABLES if name in existing)):
            store.execute(f"DELETE FROM {table} WHERE env = ?", (env,))
        # SQLite may give the number to the next environment: nothing must be left of this one.
        for (index,) in store.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND instr(sql, ?)",
            (f"WHERE env = {env} AND ",),
        ).fetchall():
            store.execute(f'DROP INDEX "{index}"')
        store.processed = {key: value for key, value in store.processed.items() if key[0] != env}
        store.forget()


def remove_space(store: Store, space_id: str) -> None:
    """Remove a space with its environments; the caller has looked that it is there."""
    with transaction(store.connection):
        environments = store.execute("SELECT env FROM environments WHERE space = ?", (space_id,))
        for (env,) in environments.fetchall():
            remove_environment(store, env)
        store.execute("DELETE FROM uploads WHERE space = ?", (space_id,))
        store.execute("DELETE FROM spaces WHERE id = ?", (space_id,))
