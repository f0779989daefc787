"""What must be remembered over runs and kills, per sync and target.

Two memories in one SQLite file:

`pending`
    Writes of ours that are not published yet, noted *before* the write is sent. An entry whose
    version is one of the two noted here is our own draft; any other draft is an editor's. So a run
    that was killed between write and publish is made good by any later one.
`applied`
    Which extraction a key was written from last, so that a replayed batch of older data never
    overwrites what a later run has written from newer data.

Safe for threads and processes (WAL, busy timeout, small transactions).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Self

from sync_pipeline.errors import SpoolError
from sync_pipeline.private_files import create_private, make_private_folder

_BUSY_TIMEOUT_S = 60.0
#: SQLite's smallest limit on bound values over its versions is 999.
_IN_CHUNK = 500
_COLUMNS = "entry_id, base_version, version, wanted, confirmed, locales, intended"
#: Columns that files of earlier versions lack.
_LATER_COLUMNS = ("locales", "intended")
#: In place of a digest: see `PendingPublish.unverified`.
_UNVERIFIED = "?"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS extractions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS pending (
  entry_id TEXT PRIMARY KEY,
  base_version INTEGER NOT NULL,
  version INTEGER NOT NULL,
  wanted INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  locales TEXT, -- JSON: {locale: digest of what we left in it, "" or "?"}; NULL: whole entry
  intended TEXT -- digest of the mapped fields as the write was to leave them; NULL: not known
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (
  key_hash INTEGER PRIMARY KEY,
  extraction INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class PendingPublish:
    """A write of ours that is not published, or not known to be."""

    entry_id: str
    #: Version before the write, 0 for a new entry. What stood there was ours to publish.
    base_version: int
    #: Version after the write.
    version: int
    #: False: the run asked for no publishing, so only a later write of ours brings it along.
    is_wanted: bool = True
    #: The space has said that the write was done. Without that, `version` may be somebody else's.
    is_confirmed: bool = False
    #: The locales that may go out after the write; None: all that the entry holds, or noted by a
    #: version of this package that knew whole entries only.
    locales: frozenset[str] | None = None
    #: Those of them that were empty before, as far as the mapped fields tell; fields outside the
    #: mapping may hold somebody's draft in them.
    unverified: frozenset[str] = frozenset()
    #: Of a confirmed write: what it left in them, `{locale: digest}`. A locale that still holds
    #: that was touched by nobody, whatever version the entry has by now.
    digests: Mapping[str, str] = field(default_factory=dict)
    #: Of a write that is not confirmed: digest of the mapped fields as it was to leave them. An
    #: entry at `version` that holds just that is ours, whatever is desired by now. "": not known.
    intended: str = ""

    def covers(self, version: int, *, is_unchanged: bool) -> bool:
        """Whether an entry at that version holds nothing but our own writes since its publish.

        Args:
            version: Its present version.
            is_unchanged: It holds what we want to write, or wanted then, which tells whose an
                unconfirmed one is.
        """
        if version == self.base_version:
            return True
        return version == self.version and (self.is_confirmed or is_unchanged)


class Ledger:
    """The memory of one sync and target. To be closed.

    Args:
        path: SQLite file, made with its directories where absent.

    Raises:
        SpoolError: The file is damaged or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            make_private_folder(path.parent)
            self._connection = sqlite3.connect(
                create_private(path),
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as err:
            raise SpoolError(f"The ledger {path} cannot be opened: {err}.") from err
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Survives a killed process; after a power cut the last commits may be missing, which
            # costs a look at the entry, not a wrong write.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            _add_missing_columns(self._connection)
        except sqlite3.Error as err:
            self._connection.close()
            raise SpoolError(
                f"The ledger {path} cannot be used: {err}. If it is damaged, move it away: drafts "
                "of an interrupted run then stay drafts until their records change."
            ) from err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def next_extraction(self, run_id: str, *, above: int = 0) -> int:
        """The number of a run's extraction, larger than all before; the same when asked again.

        Args:
            run_id: Of the run that fetches.
            above: Largest number that is known elsewhere: this file may have been lost.
        """
        with self._transaction() as connection:
            known = connection.execute(
                "SELECT number FROM extractions WHERE run_id = ?", (run_id,)
            ).fetchone()
            if known is not None:
                return int(known[0])
            (last,) = connection.execute("SELECT max(number) FROM extractions").fetchone()
            number = max(last or 0, above) + 1
            connection.execute("INSERT INTO extractions VALUES (?, ?)", (number, run_id))
            return number

    def mark_applied(self, keys: Iterable[str], extraction: int) -> None:
        """Note that the entries of these keys are as that extraction says, or newer."""
        rows = [(_hash_key(key), extraction) for key in keys]
        if not rows:
            return
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO applied VALUES (?, ?) ON CONFLICT (key_hash) DO UPDATE "
                "SET extraction = max(extraction, excluded.extraction)",
                rows,
            )

    def newer_than(self, keys: Collection[str], extraction: int) -> set[str]:
        """Those keys that a later extraction than this one has written."""
        by_hash = {_hash_key(key): key for key in keys}
        rows = self._select(
            "SELECT key_hash FROM applied WHERE extraction > ? AND key_hash IN ({marks})",
            list(by_hash),
            extraction,
        )
        return {by_hash[row[0]] for row in rows}

    def record_pending(self, items: Iterable[PendingPublish]) -> None:
        """Note writes that are about to be sent, or were confirmed, in one transaction."""
        rows = [_pending_row(item) for item in items]
        if not rows:
            return
        with self._transaction() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO pending ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )

    def pending(self, entry_ids: Collection[str]) -> dict[str, PendingPublish]:
        """`{entry id: what is noted}` for those that have a note."""
        rows = self._select(
            f"SELECT {_COLUMNS} FROM pending WHERE entry_id IN ({{marks}})",
            list(entry_ids),
        )
        return {row[0]: _read_pending(row) for row in rows}

    def all_pending(self) -> tuple[PendingPublish, ...]:
        """Every note, ordered by entry id."""
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM pending ORDER BY entry_id"
            ).fetchall()
        return tuple(_read_pending(row) for row in rows)

    def forget_pending(self, entry_ids: Iterable[str]) -> None:
        """Drop notes: published, or not ours any more."""
        rows = [(entry_id,) for entry_id in entry_ids]
        if not rows:
            return
        with self._transaction() as connection:
            connection.executemany("DELETE FROM pending WHERE entry_id = ?", rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as err:
                raise SpoolError(f"The ledger {self._path} cannot be written: {err}.") from err

    def _select(self, sql: str, values: list[Any], *first: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(values), _IN_CHUNK):
            chunk = values[start : start + _IN_CHUNK]
            marks = ",".join("?" * len(chunk))
            with self._lock:
                rows += self._connection.execute(
                    sql.format(marks=marks), (*first, *chunk)
                ).fetchall()
        return rows


def open_ledger(path: Path) -> Ledger:
    """Open the ledger at `path`, made where absent; a context manager."""
    return Ledger(path)


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to date; its notes say less."""
    if not _missing_columns(connection):
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may be about to do the same
    for name in _missing_columns(connection):
        connection.execute(f"ALTER TABLE pending ADD COLUMN {name} TEXT")
    connection.execute("COMMIT")


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    known = {row[1] for row in connection.execute("PRAGMA table_info(pending)")}
    return [name for name in _LATER_COLUMNS if name not in known]


def _pending_row(item: PendingPublish) -> tuple[Any, ...]:
    texts = {
        code: _UNVERIFIED if code in item.unverified else item.digests.get(code, "")
        for code in sorted(item.locales or ())
    }
    return (
        item.entry_id,
        item.base_version,
        item.version,
        int(item.is_wanted),
        int(item.is_confirmed),
        None if item.locales is None else json.dumps(texts),
        item.intended or None,
    )


def _read_pending(row: tuple[Any, ...]) -> PendingPublish:
    entry_id, base_version, version, wanted, confirmed, text, intended = row
    texts: dict[str, str] | None = None if text is None else json.loads(text)
    return PendingPublish(
        entry_id,
        base_version,
        version,
        bool(wanted),
        bool(confirmed),
        None if texts is None else frozenset(texts),
        frozenset(code for code, known in (texts or {}).items() if known == _UNVERIFIED),
        {code: known for code, known in (texts or {}).items() if known not in ("", _UNVERIFIED)},
        intended or "",
    )


def _hash_key(key: str) -> int:
    """64 bits, signed as SQLite has them: a million keys meet with a chance of 1 in 37 million."""
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
