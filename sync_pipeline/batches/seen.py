"""Which batch saw a key first: on disk, for keys of an extraction may be more than fit in memory.

Hashes come in random order, so every page of records touches nearly every page of the table. It is
therefore committed every `COMMIT_RECORDS` records and not with every page (measured: 4 of 12 µs a
record); what a kill takes away is read back from the batches, where each line holds its key.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sync_pipeline.batches.layout import Spool
from sync_pipeline.private_files import create_private

COMMIT_RECORDS = 50_000
#: Page cache of the table, in KiB; bounds the memory of one long transaction.
_CACHE_KIB = 16_384
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (key INTEGER PRIMARY KEY, batch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS upto (id INTEGER PRIMARY KEY CHECK (id = 1), records INTEGER NOT NULL);
"""


class SeenKeys:
    """The keys of an extraction that is being written. To be closed."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(create_private(path), isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.executescript(_SCHEMA)
        row = self._database.execute("SELECT records FROM upto").fetchone()
        #: Records of the extraction whose keys are committed here.
        self.records = int(row[0]) if row else 0

    def batches_of(self, hashes: Iterable[int | None]) -> dict[int, int]:
        """Number of the batch that saw a key first, for those that were seen."""
        wanted = json.dumps([value for value in hashes if value is not None])
        query = "SELECT key, batch FROM seen WHERE key IN (SELECT value FROM json_each(?))"
        return dict(self._database.execute(query, (wanted,)).fetchall())

    def add(self, fresh: Sequence[tuple[int, int]]) -> None:
        """Note (hash, batch) pairs; kept in the open transaction until `commit`."""
        if not self._database.in_transaction:
            self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", fresh)

    def commit(self, records: int, *, always: bool = False) -> None:
        """Commit that the keys of the first `records` records are here, if it is time to."""
        if not always and records - self.records < COMMIT_RECORDS:
            return
        self._database.execute("INSERT OR REPLACE INTO upto VALUES (1, ?)", (records,))
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        self.records = records

    def close(self) -> None:
        """Close the file; what was not committed is read back on the next opening."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        self._database.close()


def hash_key(key: str) -> int:
    """64 bits of a key. Two keys with one hash share a batch, no harm: the key tells them apart."""
    data = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def count_keys(path: Path) -> int:
    """Number of different keys in a whole extraction."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM seen").fetchone()
    return int(count)


def are_fetched(spool: Spool, ids: Collection[str]) -> bool:
    """Whether a record of a whole extraction asks for one of these entry ids.

    As its `sys.Id`, or as its key: where that is the id, it is the same text.
    """
    with closing(sqlite3.connect(f"file:{spool.database}?mode=ro", uri=True)) as database:
        query = "SELECT 1 FROM ids WHERE id IN (SELECT value FROM json_each(?)) LIMIT 1"
        if database.execute(query, (json.dumps(list(ids)),)).fetchone():
            return True
    return sum(1 for _ in keys_not_in(spool.seen, ids)) < len(ids)


def keys_not_in(path: Path, keys: Iterable[str]) -> Iterator[str]:
    """Those of the keys that a whole extraction did not see."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for key in keys:
            query = "SELECT 1 FROM seen WHERE key = ?"
            if database.execute(query, (hash_key(key),)).fetchone() is None:
                yield key
