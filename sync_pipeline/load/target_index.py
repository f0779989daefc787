"""What the space holds of a content type, on disk: found by key or id, bounded memory.

One SQLite file per run. It says by itself which content type, key field and mapped fields it is
for, so a step in another process needs the path only. Safe for many threads (one connection behind
a lock) and processes (WAL, busy timeout).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from typing_extensions import Self

from sync_pipeline.errors import SpoolError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.entry_body import entry_params, read_existing
from sync_pipeline.load.paging import read_by_values
from sync_pipeline.load.plan import ExistingEntry, derive_entry_id
from sync_pipeline.model import (
    TargetModel,
    canonical_date,
    canonical_key,
    field_value,
)

#: The key field of a sync whose entries are matched by their ids.
ENTRY_ID = "sys.id"
_BUSY_TIMEOUT_S = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
  id TEXT PRIMARY KEY,
  key TEXT,                   -- NULL: no value in the key field, never matched
  version INTEGER NOT NULL,
  published_version INTEGER,
  archived INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  fields TEXT NOT NULL,       -- compact JSON, mapped fields with all their locales
  locale_states TEXT          -- compact JSON; NULL: the space has none
);
CREATE INDEX IF NOT EXISTS entries_by_key ON entries (key);
"""
_FILTERABLE = frozenset({"Symbol", "Integer", "Number"})
_COLUMNS = "id, version, published_version, archived, created_at, fields, locale_states"
#: Of several entries with one key: those that can be edited first, then the oldest.
_BEST_FIRST = "archived, created_at, id"
#: SQLite's smallest limit on bound values over its versions is 999.
_IN_CHUNK = 500


class TargetIndex:
    """The entries of one content type as they were read, kept up to date with our own writes.

    Made by `build_index` and opened by `open_index`; to be closed.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        if "target" not in meta:
            connection.close()
            raise SpoolError("The target index is not complete. Run the sync anew.")
        self.target: TargetModel = TargetModel.from_json(json.loads(meta["target"]))
        #: Id of the field by whose value in the default locale entries are matched.
        self.key_field: str = meta["key_field"]
        #: Ids of the fields kept, the key field included.
        self.field_ids: tuple[str, ...] = tuple(json.loads(meta["field_ids"]))
        #: Whether it holds the whole content type, so that what it lacks did not exist.
        self.is_whole: bool = meta.get("strategy") == "whole"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def find(self, key: str) -> ExistingEntry | None:
        """The entry with that key; of several, one that is not archived, then the oldest."""
        return self.find_keys([key]).get(key)

    def find_id(self, entry_id: str) -> ExistingEntry | None:
        """The entry with that id, None where there was none of this content type."""
        return self.find_ids([entry_id]).get(entry_id)

    def find_keys(self, keys: Collection[str]) -> dict[str, ExistingEntry]:
        """`{key: entry}` for those keys that have one."""
        found: dict[str, ExistingEntry] = {}
        for row in self._select(f"key, {_COLUMNS}", "key", keys, f"ORDER BY {_BEST_FIRST}"):
            found.setdefault(row[0], read_row(row[1:]))
        return found

    def find_ids(self, ids: Collection[str]) -> dict[str, ExistingEntry]:
        """`{id: entry}` for those ids that have one."""
        return {row[0]: read_row(row) for row in self._select(_COLUMNS, "id", ids)}

    def ids_of_keys(self, keys: Collection[str]) -> list[str]:
        """Ids of all entries that have one of the keys, duplicates included."""
        return [row[0] for row in self._select("id", "key", keys)]

    def count(self) -> int:
        """Entries in the index."""
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def entries(self) -> Iterator[ExistingEntry]:
        """All entries, ordered by id, a few at a time."""
        last = ""
        while True:
            with self._lock:
                rows = self._connection.execute(
                    f"SELECT {_COLUMNS} FROM entries WHERE id > ? ORDER BY id LIMIT 200", (last,)
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from map(read_row, rows)

    def apply_write(self, entry: ExistingEntry) -> None:
        """Remember what an entry holds now."""
        self.apply_writes([entry])

    def apply_writes(
        self, entries: Iterable[ExistingEntry], *, gone_ids: Iterable[str] = ()
    ) -> None:
        """Remember what entries hold now, and which are gone, in one transaction."""
        rows = [write_row(entry, self.key_of(entry)) for entry in entries]
        gone = [(entry_id,) for entry_id in gone_ids]
        if not rows and not gone:
            return
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("DELETE FROM entries WHERE id = ?", gone)
                self._connection.executemany(INSERT, rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def refresh(
        self, client: SpaceClient, keys: Collection[str] = (), ids: Collection[str] = ()
    ) -> None:
        """Read some entries again, for a batch that is carried out once more.

        Asks by id for what is known and for what we would have created, and by key where the key
        field can be asked for; entries that are gone are forgotten.

        Raises:
            SpaceError: The space refuses us or cannot be reached.
        """
        known = {*ids, *self.ids_of_keys(keys)}
        derived = {derive_entry_id(self.target.content_type.id, key) for key in keys}
        params = entry_params(self.target, self.field_ids)
        found: dict[str, ExistingEntry] = {}
        queries = [("sys.id", [*known, *derived])]
        path = key_path(self.target, self.key_field)
        if path is not None:
            queries.append((path, list(keys)))
        for query_path, values in queries:
            for body in read_by_values(client, params, query_path, values):
                entry = read_existing(body, self.field_ids)
                found[entry.id] = entry
        self.apply_writes(found.values(), gone_ids=known - found.keys())

    def key_of(self, entry: ExistingEntry) -> str | None:
        """The canonical key of an entry, None where its key field is empty."""
        return key_of_entry(self.target, self.key_field, entry)

    def _select(
        self, columns: str, by: str, values: Collection[str], order: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), _IN_CHUNK):
            chunk = wanted[start : start + _IN_CHUNK]
            marks = ",".join("?" * len(chunk))
            with self._lock:
                rows = self._connection.execute(
                    f"SELECT {columns} FROM entries WHERE {by} IN ({marks}) {order}", chunk
                ).fetchall()
            yield from rows


INSERT = (
    "INSERT OR REPLACE INTO entries (id, key, version, published_version, archived, created_at, "
    "fields, locale_states) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def connect(path: Path | str) -> sqlite3.Connection:
    """A connection that many threads may use behind a lock, in autocommit mode."""
    return sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


def create_schema(
    connection: sqlite3.Connection, target: TargetModel, key_field: str, field_ids: Iterable[str]
) -> None:
    """Make an empty index that knows what it is for."""
    connection.executescript(_SCHEMA)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [
            ("target", json.dumps(asdict(target))),
            ("key_field", key_field),
            ("field_ids", json.dumps(sorted(field_ids))),
        ],
    )


def write_strategy(connection: sqlite3.Connection, strategy: str) -> None:
    """Note how the index was filled: `whole` or `lookups`."""
    connection.execute("INSERT INTO meta VALUES ('strategy', ?)", (strategy,))


def open_index(path: Path, *, in_memory: bool = False) -> TargetIndex:
    """Open an index that `build_index` made.

    Args:
        path: The file.
        in_memory: Copy it into memory (regular mode); writes then stay in memory.

    Raises:
        SpoolError: There is no such index, or it is damaged.
    """
    if not path.is_file():
        raise SpoolError(f"There is no target index at {path}. Run the sync anew.")
    connection = connect(path)
    try:
        if in_memory:
            memory = connect(":memory:")
            connection.backup(memory)
            connection.close()
            connection = memory
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        return TargetIndex(connection)
    except sqlite3.DatabaseError as err:
        connection.close()
        raise SpoolError(f"The target index {path} is damaged ({err}). Run the sync anew.") from err


def key_path(target: TargetModel, key_field: str) -> str | None:
    """The path by which entries can be asked for by key; None where equality is not to be trusted.

    Text and Object fields know no equality, and dates have many spellings.
    """
    if key_field == ENTRY_ID:
        return ENTRY_ID
    field = target.content_type.field(key_field)
    if field is None or field.type not in _FILTERABLE:
        return None
    return f"fields.{field.id}.{target.default_locale}"


def key_of_entry(target: TargetModel, key_field: str, entry: ExistingEntry) -> str | None:
    """The canonical key of an entry, None where it has none."""
    if key_field == ENTRY_ID:
        return entry.id
    value = field_value(entry.fields, key_field, target.default_locale)
    field = target.content_type.field(key_field)
    if field is not None and field.type == "Date" and isinstance(value, str):
        return canonical_date(value) or None
    return canonical_key(value) or None


def read_row(row: tuple[Any, ...]) -> ExistingEntry:
    """An entry from a row of the index."""
    entry_id, version, published_version, archived, created_at, fields, states = row
    return ExistingEntry(
        entry_id,
        version,
        published_version,
        bool(archived),
        created_at,
        json.loads(fields),
        None if states is None else json.loads(states),
    )


def write_row(entry: ExistingEntry, key: str | None) -> tuple[Any, ...]:
    """A row of the index from an entry."""
    return (
        entry.id,
        key if key is None or is_storable(key) else None,
        entry.version,
        entry.published_version,
        int(entry.is_archived),
        entry.created_at,
        json.dumps(entry.fields, ensure_ascii=True, separators=(",", ":")),
        None
        if entry.locale_states is None
        else json.dumps(entry.locale_states, separators=(",", ":")),
    )


def is_storable(text: str) -> bool:
    """Whether a text has an UTF-8 form; a lone surrogate from a JSON escape has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
