"""The SQLite file of a local space: schema, pragmas, transactions.

Every acknowledged write is committed before its answer is sent, so that a killed server loses
none. `synchronous=NORMAL` with a write-ahead log does not wait for the disk on each commit: after
a power failure the file is intact but may lack the last moments. This is a rehearsal space.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync_pipeline.errors import AccessError

_TAXONOMY_TABLE = """
CREATE TABLE IF NOT EXISTS taxonomy (
  position INTEGER PRIMARY KEY, type TEXT NOT NULL,  -- TaxonomyConcept or TaxonomyConceptScheme
  id TEXT NOT NULL, body TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, UNIQUE (type, id)
)"""

#: Raised when the tables change, with the step that brings older files along; a newer file is
#: refused rather than misread.
SCHEMA_VERSION = 3
#: Version -> what makes it of the one before.
_UPGRADES = {
    2: "ALTER TABLE uploads ADD COLUMN environment TEXT; ALTER TABLE uploads ADD COLUMN image TEXT",
    3: _TAXONOMY_TABLE,
}

#: Columns of an entry or asset, in the order of `records.Record`.
RECORD_COLUMNS = (
    "row, env, kind, id, content_type, version, published_version, archived_version, created_at, "
    "updated_at, published_at, first_published_at, archived_at, published_counter, fields, "
    "metadata, published_fields, published_locales"
)

_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
  row INTEGER PRIMARY KEY,
  env INTEGER NOT NULL,
  kind TEXT NOT NULL,              -- Entry or Asset
  id TEXT NOT NULL,
  content_type TEXT NOT NULL,      -- '' for assets
  version INTEGER NOT NULL,
  published_version INTEGER,
  archived_version INTEGER,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  published_at TEXT,
  first_published_at TEXT,
  archived_at TEXT,
  published_counter INTEGER NOT NULL DEFAULT 0,
  fields TEXT NOT NULL,
  metadata TEXT,                   -- NULL: no tags, no concepts
  published_fields TEXT,           -- NULL: what is published equals `fields`
  published_locales TEXT           -- NULL: all locales
);
CREATE UNIQUE INDEX IF NOT EXISTS {table}_by_id ON {table} (env, kind, id);
CREATE INDEX IF NOT EXISTS {table}_by_type ON {table} (env, kind, content_type, id);
CREATE INDEX IF NOT EXISTS {table}_by_creation ON {table} (env, kind, created_at, id);
"""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spaces (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS environments (
  env INTEGER PRIMARY KEY, space TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (space, id)
);
CREATE TABLE IF NOT EXISTS content_types (
  env INTEGER NOT NULL, id TEXT NOT NULL, definition TEXT NOT NULL, published_definition TEXT,
  version INTEGER NOT NULL, published_version INTEGER, published_counter INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, published_at TEXT, first_published_at TEXT,
  PRIMARY KEY (env, id)
);
CREATE TABLE IF NOT EXISTS editor_interfaces (
  env INTEGER NOT NULL, content_type TEXT NOT NULL, body TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (env, content_type)
);
CREATE TABLE IF NOT EXISTS locales (
  position INTEGER PRIMARY KEY, env INTEGER NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL,
  internal_code TEXT NOT NULL, name TEXT NOT NULL, fallback_code TEXT,
  is_default INTEGER NOT NULL, is_optional INTEGER NOT NULL, in_management INTEGER NOT NULL,
  in_delivery INTEGER NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (env, id), UNIQUE (env, code)
);
CREATE TABLE IF NOT EXISTS tags (
  env INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, visibility TEXT NOT NULL,
  version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  PRIMARY KEY (env, id)
);
CREATE TABLE IF NOT EXISTS uploads (
  space TEXT NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, created_at TEXT NOT NULL,
  environment TEXT,                -- NULL: of the space
  image TEXT,                      -- JSON: width and height, where it is an image
  PRIMARY KEY (space, id)
);
CREATE TABLE IF NOT EXISTS bulk_actions (
  position INTEGER PRIMARY KEY, env INTEGER NOT NULL, space TEXT NOT NULL, id TEXT NOT NULL,
  action TEXT NOT NULL, style INTEGER NOT NULL, status TEXT NOT NULL, payload TEXT NOT NULL,
  error TEXT, due REAL NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (env, id)
);
CREATE INDEX IF NOT EXISTS bulk_actions_by_status ON bulk_actions (status, due);
{_TAXONOMY_TABLE};
{_RECORD_TABLE.format(table="entries")}
"""


def record_table(table: str) -> str:
    """DDL of a table that holds entries and assets (the lagging index is a second one)."""
    return _RECORD_TABLE.format(table=table)


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, creating it and its directory where absent; the caller closes it.

    Raises:
        AccessError: The file is not a local space of this version, or cannot be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # For this user alone, and so are its journals, which get the mode of the database.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # One thread uses the connection at a time; it need not be the one that opened it.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-16000")
        if _version(connection) != SCHEMA_VERSION:
            with transaction(connection):
                # Read again: another process may have done it meanwhile.
                _bring_to_version(connection, _version(connection), path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise AccessError(f"{path} cannot be opened as a local space: {error}") from error
    except AccessError:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _bring_to_version(connection: sqlite3.Connection, version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        raise AccessError(
            f"{path} was written by a newer version of the local space (schema {version}, this "
            f"one reads {SCHEMA_VERSION}): export it with that version, or remove it."
        )
    statements = _SCHEMA.split(";") if version == 0 else []
    for step in range(version + 1, SCHEMA_VERSION + 1) if version else ():
        statements += _UPGRADES[step].split(";")
    for statement in statements:
        connection.execute(statement)
    if version == 0:
        connection.execute(
            "INSERT OR IGNORE INTO meta VALUES ('storage_id', ?)", (uuid.uuid4().hex,)
        )
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: committed on leaving, rolled back on any exception.

    Entered within another one it takes part in that one.
    """
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
