"""Write pages to the spool, page by page, so that a kill loses at most the page in hand.

A page is kept by one transaction: its lines are appended and synced first, then the checkpoint, the
keys and the length of the open file are committed together. What lies beyond the committed length
after a kill is cut off on the next opening.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sync_pipeline.batches.codec import decode_record, encode_record
from sync_pipeline.batches.facts import RunFacts
from sync_pipeline.batches.layout import (
    WHOLE,
    Spool,
    batch_name,
    disk_errors,
    ensure_disk_space,
)
from sync_pipeline.batches.manifest import Manifest, write_manifest
from sync_pipeline.batches.seen import COMMIT_RECORDS, SeenKeys, hash_key
from sync_pipeline.errors import SpoolError
from sync_pipeline.model import BatchRef, Page, Row
from sync_pipeline.private_files import create_private, make_private_folder, open_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS routed (batch INTEGER NOT NULL, line BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS routed_batch ON routed (batch);
CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);
"""

KeyOf = Callable[[Row, Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an extraction is; committed with every page."""

    pages: int = 0
    records: int = 0
    requests: int = 0
    #: Number of the batch being filled, 1-based.
    batch: int = 1
    #: Lines in the batch being filled.
    batch_records: int = 0
    #: Committed length of its file.
    batch_bytes: int = 0
    #: Of all records as JSON.
    bytes: int = 0
    #: Records declared by the source, where it does.
    total: int | None = None
    #: Given back to the source to go on; None before the first page.
    checkpoint: Mapping[str, Any] | None = None
    #: The source has no further page.
    exhausted: bool = False


class Extraction:
    """An extraction being written; open it with `open_extraction`."""

    def __init__(
        self,
        spool: Spool,
        database: sqlite3.Connection,
        key_of: KeyOf,
        entry_id_of: KeyOf | None,
    ) -> None:
        self._spool = spool
        self._database = database
        self._key_of = key_of
        self._entry_id_of = entry_id_of
        self._file: BinaryIO | None = None
        self.progress = _read_state(database)
        self._cut_to_checkpoint()
        self._seen = SeenKeys(spool.seen)
        self._restore_seen()

    def _restore_seen(self) -> None:
        """Read the keys back that were not committed when the last process was killed."""
        if self._seen.records >= self.progress.records:
            return
        fresh: list[tuple[int, int]] = []
        for number in range(1, self.progress.batch + 1):
            path = self._spool.records(batch_name(number))
            if not path.exists():
                continue
            with path.open("rb") as file:
                records = map(decode_record, file)
                fresh += [
                    (hash_key(record.key), number)
                    for record in records
                    if record.key and record.ordinal >= self._seen.records
                ]
            if len(fresh) >= COMMIT_RECORDS:
                self._seen.add(fresh)
                fresh = []
        self._seen.add(fresh)
        self._seen.commit(self.progress.records, always=True)

    def add_page(self, page: Page, batch_size: int | None) -> None:
        """Keep a page: after this returns it is never fetched again.

        Args:
            page: The next page of the source.
            batch_size: Records per batch from here on; None: one batch, whatever its size.

        Raises:
            SpoolError: The disk is full; the page is not kept, earlier ones are.
        """
        ensure_disk_space(self._spool.root)
        with disk_errors(self._spool.root):
            self._begin()
            try:
                progress = self._append(page, batch_size)
                self._sync_file()
                self._write_state(progress)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._close_file()
                self._cut_to_checkpoint()
                raise
            self.progress = progress
            self._seen.commit(progress.records)

    def _begin(self) -> None:
        """Begin a page, unless another process has gone on with this extraction meanwhile.

        What is known here is old then, and cutting off what is not known would destroy its pages.
        """
        self._database.execute("BEGIN IMMEDIATE")
        if _read_state(self._database) != _as_kept(self.progress):
            self._database.execute("ROLLBACK")
            raise SpoolError(
                f"{self._spool.root}: another process has gone on with this extraction. Was this "
                "one paused? It ends here, and what the other one has fetched stays."
            )

    def _write_state(self, progress: Progress) -> None:
        text = json.dumps(_as_dict(progress))
        self._database.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (text,))

    def _append(self, page: Page, batch_size: int | None) -> Progress:
        progress = self.progress
        batch, filled, ordinal = progress.batch, progress.batch_records, progress.records
        keys = [self._key_of(row, page.variables) for row in page.records]
        hashes = [hash_key(key) if key else None for key in keys]
        owners = self._owners_of_ids(page, keys)
        first_batch = self._seen.batches_of(hashes)
        fresh: list[tuple[int, int]] = []
        routed: list[tuple[int, bytes]] = []
        lines: list[bytes] = []
        written = 0
        for row, key, hashed, owner in zip(page.records, keys, hashes, owners, strict=True):
            line = encode_record(ordinal, key, row, page.variables, owner)
            ordinal += 1
            written += len(line)
            if hashed is not None:
                home = first_batch.get(hashed)
                if home is not None and home < batch:
                    routed.append((home, line))
                    continue
            if batch_size is not None and filled >= batch_size:
                self._write(batch, lines)
                self._sync_file()
                self._close_file()
                lines, filled, batch = [], 0, batch + 1
                # The key may have been seen in the batch that was just closed.
                home = first_batch.get(hashed) if hashed is not None else None
                if home is not None and home < batch:
                    routed.append((home, line))
                    continue
            if hashed is not None and hashed not in first_batch:
                first_batch[hashed] = batch
                fresh.append((hashed, batch))
            lines.append(line)
            filled += 1
        size = self._write(batch, lines)
        self._seen.add(fresh)
        self._database.executemany("INSERT INTO routed VALUES (?, ?)", routed)
        return Progress(
            pages=progress.pages + 1,
            records=ordinal,
            requests=progress.requests + page.requests,
            batch=batch,
            batch_records=filled,
            batch_bytes=size,
            bytes=progress.bytes + written,
            total=page.total if page.total is not None else progress.total,
            checkpoint=page.checkpoint if page.checkpoint is not None else progress.checkpoint,
            exhausted=page.checkpoint is None,
        )

    def _owners_of_ids(self, page: Page, keys: list[str]) -> list[str]:
        """For each record the other key to which an earlier one has given its `sys.Id`."""
        if self._entry_id_of is None:
            return [""] * len(keys)
        owners = []
        for row, key in zip(page.records, keys, strict=True):
            entry_id = self._entry_id_of(row, page.variables) if key else ""
            owner = self._owner_of_id(entry_id, key) if entry_id else key
            owners.append("" if owner == key else owner)
        return owners

    def _owner_of_id(self, entry_id: str, key: str) -> str:
        """The key of the first record with that id: `key` if nobody came before."""
        # A key may hold half a surrogate pair, which is no text to SQLite.
        data = key.encode("utf-8", "surrogatepass")
        self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (entry_id, data))
        query = "SELECT key FROM ids WHERE id = ?"
        (first,) = self._database.execute(query, (entry_id,)).fetchone()
        return bytes(first).decode("utf-8", "surrogatepass")

    def mark_exhausted(self) -> None:
        """Note that the source has no further page (it ended without saying so on the last one)."""
        progress = self.progress
        self.progress = Progress(**{**_as_dict(progress), "exhausted": True})
        with disk_errors(self._spool.root):
            self._write_state(self.progress)

    def finish(self, run: RunFacts, *, whole: bool) -> Manifest:
        """Close the extraction: write the routed records beside their batches, then the manifest.

        Args:
            run: What was asked for.
            whole: Make it one batch named `all` (regular mode).

        Idempotent: after a kill in the middle it is simply called again.
        """
        self._close_file()
        self._seen.commit(self.progress.records, always=True)
        progress = self.progress
        names: dict[int, str] = {}
        for number in range(1, progress.batch + (1 if progress.batch_records else 0)):
            names[number] = WHOLE if whole else batch_name(number)
        parts = [self._spool.records(batch_name(number)) for number in names]
        if whole and names:
            self._join(parts, self._spool.records(WHOLE))
            names = dict.fromkeys(names, WHOLE)
        routed: dict[str, int] = {}
        with disk_errors(self._spool.root):
            homes: dict[str, list[int]] = {}
            for (number,) in self._database.execute("SELECT DISTINCT batch FROM routed"):
                homes.setdefault(names[number], []).append(number)
            for name, numbers in homes.items():
                routed[name] = self._write_routed(name, numbers)
        batches = tuple(self._refer(name) for name in dict.fromkeys(names.values()))
        mode = "regular" if whole else "streaming"
        manifest = Manifest(
            progress.records, progress.pages, progress.requests, batches, routed, run, mode
        )
        write_manifest(self._spool, manifest)
        if whole:
            for part in parts:
                part.unlink(missing_ok=True)
        return manifest

    def _join(self, parts: list[Path], target: Path) -> None:
        """Make one batch of all; the parts stay until the manifest is written."""
        if not parts[0].exists():  # killed after the rename below
            return
        with disk_errors(target):
            if len(parts) == 1:
                parts[0].replace(target)
                return
            temporary = target.with_name("all.tmp")
            with open_private(temporary, "wb") as file:
                for part in parts:
                    with part.open("rb") as lines:
                        shutil.copyfileobj(lines, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)

    def average_record_bytes(self) -> float | None:
        """Size of a spooled record; None before the first page."""
        progress = self.progress
        return progress.bytes / progress.records if progress.records else None

    def _write_routed(self, name: str, numbers: Sequence[int]) -> int:
        path = self._spool.routed(name)
        count = 0
        with open_private(path, "wb") as file:
            query = (
                "SELECT line FROM routed WHERE batch IN (SELECT value FROM json_each(?)) "
                "ORDER BY rowid"
            )
            for (line,) in self._database.execute(query, (json.dumps(numbers),)):
                file.write(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        return count

    def _refer(self, name: str) -> BatchRef:
        digest, records = digest_file(self._spool.records(name))
        return BatchRef(name, records, digest)

    def _write(self, batch: int, lines: list[bytes]) -> int:
        if self._file is None:
            self._file = open_private(self._spool.records(batch_name(batch)), "ab")
        self._file.write(b"".join(lines))
        return self._file.tell()

    def _sync_file(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _cut_to_checkpoint(self) -> None:
        """Cut off what was written after the last committed page."""
        progress = self.progress
        numbers = [
            int(path.stem.removeprefix("batch_"))
            for path in self._spool.root.glob("batch_*.jsonl")
            if path.stem.removeprefix("batch_").isdigit()
        ]
        for number in numbers:
            path = self._spool.records(batch_name(number))
            if number > progress.batch:
                path.unlink()
            elif number == progress.batch:
                os.truncate(path, progress.batch_bytes)

    def close(self) -> None:
        """Release the files. Idempotent."""
        self._close_file()
        self._seen.close()
        self._database.close()


@contextmanager
def open_extraction(
    spool: Spool, key_of: KeyOf, entry_id_of: KeyOf | None = None
) -> Iterator[Extraction]:
    """Open a new extraction, or an interrupted one where it stopped.

    Args:
        spool: Its folder; created where missing.
        key_of: Canonical key of a row ("" where it has none).
        entry_id_of: The `sys.Id` that a row asks for ("" where it asks for none); None: none does.
    """
    with disk_errors(spool.root):
        make_private_folder(spool.root)
        database = sqlite3.connect(create_private(spool.database), isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
            extraction = Extraction(spool, database, key_of, entry_id_of)
        except BaseException:
            database.close()
            raise
    try:
        yield extraction
    finally:
        extraction.close()


def read_progress(spool: Spool) -> Progress:
    """How far an extraction is, without disturbing it."""
    if not spool.database.exists():
        return Progress()
    with closing(sqlite3.connect(f"file:{spool.database}?mode=ro", uri=True)) as database:
        try:
            return _read_state(database)
        except sqlite3.OperationalError:  # killed before the first table was made
            return Progress()


def digest_file(path: os.PathLike[str]) -> tuple[str, int]:
    """SHA-256 and number of lines of a file, read in pieces."""
    digest, lines = hashlib.sha256(), 0
    with open(path, "rb") as file:  # noqa: PTH123 - a path from a BatchRef may be a str
        while piece := file.read(1 << 20):
            digest.update(piece)
            lines += piece.count(b"\n")
    return digest.hexdigest(), lines


def _read_state(database: sqlite3.Connection) -> Progress:
    row = database.execute("SELECT value FROM state").fetchone()
    return Progress(**json.loads(row[0])) if row else Progress()


def _as_kept(progress: Progress) -> Progress:
    """As it is read back: a checkpoint may hold what JSON has another name for."""
    return Progress(**json.loads(json.dumps(_as_dict(progress))))


def _as_dict(progress: Progress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in Progress.__slots__}
