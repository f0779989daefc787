"""Collections that lag behind writes, as the service's search index does.

Without an `IndexDelay` collections read the table `entries` itself. With one they read a second
table, `entries_shown`, into which each write is copied once it is due; a GET by id is always
current. The writes that wait are kept in the file, not in memory.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sync_pipeline.local_space.store.database import RECORD_COLUMNS, record_table

_WITHOUT_ROW = RECORD_COLUMNS.removeprefix("row, ")


@dataclass(frozen=True, slots=True)
class IndexDelay:
    """How far collections lag behind; both conditions must be met before a write shows."""

    seconds: float = 0.0
    #: Later writes (to any entry or asset) that must have followed.
    writes: int = 0


def prepare_lagging_index(connection: sqlite3.Connection) -> None:
    """Create the second table and let it show everything that is there now."""
    for statement in record_table("entries_shown").split(";"):
        connection.execute(statement)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS entries_waiting "
        "(position INTEGER PRIMARY KEY AUTOINCREMENT, due REAL, removed INTEGER, "
        + ", ".join(_WITHOUT_ROW.split(", "))
        + ")"
    )
    connection.execute("DELETE FROM entries_waiting")
    connection.execute("DELETE FROM entries_shown")
    connection.execute(
        f"INSERT INTO entries_shown ({RECORD_COLUMNS}) SELECT {RECORD_COLUMNS} FROM entries"
    )


def enqueue_write(
    connection: sqlite3.Connection, row: int, due: float, *, removed: bool = False
) -> None:
    """Note the present content of a row as a write that will show later; call it after the write,
    before a removal.
    """
    connection.execute(
        f"INSERT INTO entries_waiting (due, removed, {_WITHOUT_ROW}) "
        f"SELECT ?, ?, {_WITHOUT_ROW} FROM entries WHERE row = ?",
        (due, int(removed), row),
    )


def show_due_writes(connection: sqlite3.Connection, delay: IndexDelay, now: float) -> None:
    """Copy the writes that are due into the table that collections read."""
    last = connection.execute(
        "SELECT max(position) FROM entries_waiting WHERE due <= ? AND position <= "
        "(SELECT seq FROM sqlite_sequence WHERE name = 'entries_waiting') - ?",
        (now, delay.writes),
    ).fetchone()[0]
    if last is None:
        return
    waiting = connection.execute(
        "SELECT position, env, kind, id, removed FROM entries_waiting "
        "WHERE position <= ? ORDER BY position",
        (last,),
    )
    for position, env, kind, resource_id, removed in waiting.fetchall():
        connection.execute(
            "DELETE FROM entries_shown WHERE env = ? AND kind = ? AND id = ?",
            (env, kind, resource_id),
        )
        if not removed:
            connection.execute(
                f"INSERT INTO entries_shown ({_WITHOUT_ROW}) SELECT {_WITHOUT_ROW} "
                "FROM entries_waiting WHERE position = ?",
                (position,),
            )
    connection.execute("DELETE FROM entries_waiting WHERE position <= ?", (last,))
