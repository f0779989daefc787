"""Building the target index: the whole content type, or just the keys that a run is about.

Whichever takes fewer requests. The first page of the whole read tells how many entries there are;
if asking for the keys by `[in]` takes fewer requests than the pages that are left, the pages are
left alone.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sync_pipeline.errors import SpoolError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.entry_body import entry_params, read_existing
from sync_pipeline.load.paging import (
    MAX_VALUES,
    PAGE_LIMIT,
    pack_queries,
    read_entry_pages,
    read_query,
)
from sync_pipeline.load.target_index import (
    ENTRY_ID,
    INSERT,
    TargetIndex,
    connect,
    create_schema,
    key_of_entry,
    key_path,
    open_index,
    write_row,
    write_strategy,
)
from sync_pipeline.model import TargetModel
from sync_pipeline.private_files import create_private, make_private_folder, unfinished_name

__all__ = ["DuplicateKey", "IndexSummary", "TargetIndex", "build_index", "open_index"]

#: Duplicates that are reported by name; the number of all of them is always told.
MAX_DUPLICATES_REPORTED = 1000


@dataclass(frozen=True, slots=True)
class DuplicateKey:
    """Several entries of the space have one key: which one the sync writes to, and the others."""

    key: str
    kept_id: str
    other_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """How the index was built."""

    #: Entries in the index.
    entries: int
    #: Requests that it cost, retries included.
    requests: int
    #: `whole` content type, or `lookups` by key and id.
    strategy: Literal["whole", "lookups"]
    #: At most 1000, ordered by key.
    duplicates: tuple[DuplicateKey, ...] = ()
    #: Keys with several entries, also those beyond the 1000.
    duplicate_count: int = 0


def build_index(
    client: SpaceClient,
    target: TargetModel,
    mapped_fields: Collection[tuple[str, str]],
    key_field: str,
    path: Path,
    *,
    keys: Iterable[str] | None = None,
    key_count: int | None = None,
    ids: Iterable[str] | None = None,
) -> IndexSummary:
    """Read what the space holds into a file at `path`, whole or not at all.

    Args:
        client: The space.
        target: Content type and locales.
        mapped_fields: (field, locale) pairs that the mapping may write; all locales of the fields
            are kept.
        key_field: Id of the field that entries are matched by, or `sys.id`.
        path: Replaced when the index is complete.
        keys: The keys of the run's records, where they are known; iterated once at most.
        key_count: About how many they are.
        ids: Ids that records ask for (`sys.Id` is mapped), to be looked up beside the keys.

    Raises:
        SpaceError: The space refuses us or cannot be reached.
        SpoolError: The file cannot be written.
    """
    field_ids = {key_field, *(field_id for field_id, _ in mapped_fields)} - {ENTRY_ID}
    before = client.requests
    make_private_folder(path.parent)
    temporary = unfinished_name(path)
    try:
        with contextlib.closing(_open_new(temporary)) as connection:
            create_schema(connection, target, key_field, field_ids)
            writer = _Writer(connection, target, key_field, field_ids)
            strategy = _fill(client, writer, keys, key_count, ids)
            write_strategy(connection, strategy)
            duplicates, duplicate_count = _find_duplicates(connection)
            entries = int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
        _remove_companions(path)
        temporary.replace(path)
    except sqlite3.Error as err:
        raise SpoolError(f"The target index {path} cannot be written: {err}.") from err
    finally:
        temporary.unlink(missing_ok=True)
    return IndexSummary(entries, client.requests - before, strategy, duplicates, duplicate_count)


class _Writer:
    """Puts entries into the new file, one transaction a page."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        target: TargetModel,
        key_field: str,
        field_ids: Collection[str],
    ) -> None:
        self.connection = connection
        self.target = target
        self.key_field = key_field
        self.field_ids = field_ids
        self.params = entry_params(target, field_ids)

    def add(self, items: Iterable[Mapping[str, Any]]) -> None:
        rows = []
        for body in items:
            entry = read_existing(body, self.field_ids)
            key = key_of_entry(self.target, self.key_field, entry)
            rows.append(write_row(entry, key))
        self.connection.execute("BEGIN")
        self.connection.executemany(INSERT, rows)
        self.connection.execute("COMMIT")

    def has(self, entry_id: str) -> bool:
        found = self.connection.execute("SELECT 1 FROM entries WHERE id = ?", (entry_id,))
        return found.fetchone() is not None


def _fill(
    client: SpaceClient,
    writer: _Writer,
    keys: Iterable[str] | None,
    key_count: int | None,
    ids: Iterable[str] | None,
) -> Literal["whole", "lookups"]:
    pages = read_entry_pages(client, {**writer.params, "order": "sys.id"}, is_seen=writer.has)
    with contextlib.closing(pages):
        first = next(pages)
        pages_left = math.ceil((first.total - first.position) / PAGE_LIMIT)
        queries = _choose_lookups(writer, keys, key_count, ids, pages_left)
        if queries is None:
            writer.add(first.items)
            for page in pages:
                writer.add(page.items)
            return "whole"
    for query in queries:
        writer.add(read_query(client, {**writer.params, **query}))
    return "lookups"


def _choose_lookups(
    writer: _Writer,
    keys: Iterable[str] | None,
    key_count: int | None,
    ids: Iterable[str] | None,
    budget: int,
) -> list[dict[str, str]] | None:
    """The look-ups that replace the pages left, None if the pages are fewer."""
    path = key_path(writer.target, writer.key_field)
    if keys is None or path is None or math.ceil((key_count or 0) / MAX_VALUES) >= budget:
        return None
    queries: list[dict[str, str]] = []
    for query in _all_lookups(path, keys, ids):
        queries.append(query)
        if len(queries) >= budget:
            return None
    return queries


def _all_lookups(
    path: str, keys: Iterable[str], ids: Iterable[str] | None
) -> Iterator[dict[str, str]]:
    yield from pack_queries(path, keys)
    if ids is not None:
        yield from pack_queries("sys.id", ids)


def _find_duplicates(connection: sqlite3.Connection) -> tuple[tuple[DuplicateKey, ...], int]:
    several = "SELECT key FROM entries WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"
    count = int(connection.execute(f"SELECT count(*) FROM ({several})").fetchone()[0])
    rows = connection.execute(
        f"SELECT key, id FROM entries WHERE key IN ({several} ORDER BY key LIMIT ?) "
        "ORDER BY key, archived, created_at, id",
        (MAX_DUPLICATES_REPORTED,),
    )
    by_key: dict[str, list[str]] = {}
    for key, entry_id in rows:
        by_key.setdefault(key, []).append(entry_id)
    return tuple(DuplicateKey(key, ids[0], tuple(ids[1:])) for key, ids in by_key.items()), count


def _open_new(path: Path) -> sqlite3.Connection:
    path.unlink(missing_ok=True)
    connection = connect(create_private(path))
    # Until the file is renamed nobody needs it, so a cut-off one may be damaged.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _remove_companions(path: Path) -> None:
    """A write-ahead log of the file that is replaced must not be replayed into the new one."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
