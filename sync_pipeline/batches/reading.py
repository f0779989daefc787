"""Read batches back: records, desired entries, dead letters; one line at a time."""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import Any

from sync_pipeline.batches.codec import decode_record
from sync_pipeline.batches.extraction import digest_file
from sync_pipeline.batches.layout import Spool, disk_errors
from sync_pipeline.errors import SpoolError
from sync_pipeline.model import BatchRef, Conflict, DeadLetter, DesiredEntry, SpooledRecord
from sync_pipeline.private_files import open_private, unfinished_name

_PIECE_BYTES = 1 << 16


def read_batch(spool: Spool, ref: BatchRef) -> Iterator[SpooledRecord]:
    """Yield the records of a batch and those routed to it from later batches, in source order.

    One at a time: a key that a source repeats a million times makes its batch long, and no more.

    Raises:
        SpoolError: The file is gone or is not what was written (checked before the first record).
    """
    path = spool.records(ref.key)
    try:
        digest, _ = digest_file(path)
    except FileNotFoundError:
        raise SpoolError(
            f"The spooled records of {ref.key} are gone ({path}). Run the sync anew."
        ) from None
    if digest != ref.digest:
        raise SpoolError(
            f"The spooled records of {ref.key} were changed on disk ({path}). Run the sync anew."
        )
    parts = [_read_records(part) for part in (path, spool.routed(ref.key)) if part.exists()]
    yield from heapq.merge(*parts, key=attrgetter("ordinal"))


def read_keys(spool: Spool, ref: BatchRef) -> Iterator[str]:
    """The canonical keys of a batch, repeated ones included."""
    return (record.key for record in read_batch(spool, ref))


def _read_records(path: Path) -> Iterator[SpooledRecord]:
    with path.open("rb") as file:
        for line in file:
            yield decode_record(line)


def write_lines(path: Path, values: Iterable[dict[str, Any]]) -> int:
    """Write JSON lines so that the file is there whole or not at all; returns their number."""
    count = 0
    with disk_errors(path):
        temporary = unfinished_name(path)
        with open_private(temporary, "w", encoding="ascii") as file:
            for value in values:
                file.write(json.dumps(value, separators=(",", ":")) + "\n")
                count += 1
        temporary.replace(path)
    return count


def cut_torn_line(path: Path) -> None:
    """Remove what a kill left of a last line, so that further lines may be appended. Idempotent."""
    if not path.exists():
        return
    with disk_errors(path), path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(end - _PIECE_BYTES, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file, none where it is missing; a line cut off by a kill is left out."""
    if not path.exists():
        return
    with path.open(encoding="ascii") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_desired(path: Path) -> Iterator[DesiredEntry]:
    """Desired entries in the order in which they were written."""
    for value in read_lines(path):
        yield DesiredEntry(
            value["key"],
            value["ordinal"],
            value["fields"],
            tuple((name, locale) for name, locale in value.get("cleared", ())),
            value.get("entry_id"),
            value.get("merged", 0),
            tuple(Conflict(**conflict) for conflict in value.get("conflicts", ())),
        )


def encode_desired(entry: DesiredEntry) -> dict[str, Any]:
    """The line of a desired entry; what is empty is left out."""
    line: dict[str, Any] = {"key": entry.key, "ordinal": entry.ordinal, "fields": entry.fields}
    if entry.cleared:
        line["cleared"] = [list(pair) for pair in entry.cleared]
    if entry.entry_id is not None:
        line["entry_id"] = entry.entry_id
    if entry.merged:
        line["merged"] = entry.merged
    if entry.conflicts:
        line["conflicts"] = [asdict(conflict) for conflict in entry.conflicts]
    return line


def read_dead_letters(path: Path) -> Iterator[DeadLetter]:
    """Dead letters of a batch."""
    return (DeadLetter(**value) for value in read_lines(path))
