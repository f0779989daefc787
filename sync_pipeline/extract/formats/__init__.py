"""From the body of a response to rows: JSON, JSON Lines, CSV, zipped CSV, each gzipped or not.

::

    bytes ─► body (bound, gzip, recognised) ─► text (encoding) ─► json_stream | json_lines |
    csv_rows | zip_member ─► rows

Nothing here holds more than a chunk or one record; nothing here knows of HTTP beyond the
`Content-Type` header. Errors of the stream itself (a connection that breaks) pass through as they
are, so that the caller can tell them from wrong data.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract.formats.answer import describe_answer
from sync_pipeline.extract.formats.body import (
    CHUNK,
    Body,
    open_body,
    read_chunks,
    refuse_other_formats,
)
from sync_pipeline.extract.formats.checked_rows import checked_rows
from sync_pipeline.extract.formats.csv_rows import read_csv
from sync_pipeline.extract.formats.encoding import is_said_to_be_utf8
from sync_pipeline.extract.formats.evidence import TextMemory
from sync_pipeline.extract.formats.json_lines import read_json_lines
from sync_pipeline.extract.formats.json_path import (
    Found,
    check_json_path,
    look_up,
    select_rows,
    value_at,
)
from sync_pipeline.extract.formats.json_stream import load_json, read_json
from sync_pipeline.extract.formats.json_values import find_values
from sync_pipeline.extract.formats.text import open_json_text
from sync_pipeline.extract.formats.zip_member import read_zipped_csv
from sync_pipeline.model import Row

__all__ = [
    "Found", "TextMemory", "check_json_path", "checked_rows", "describe_answer", "load_document",
    "look_up", "open_unpacked", "read_records", "read_utf8", "read_values", "select_rows",
    "value_at",
]  # fmt: skip


def read_records(
    stream: BinaryIO,
    config: SyncConfig,
    *,
    content_type_header: str | None,
    url: str = "",
    skip: int = 0,
    secret: str | None = None,
    spool_dir: Path | None = None,
    memory: TextMemory | None = None,
) -> Iterator[Row]:
    """Yield the records of one response while it is read; memory is bounded by the largest record.

    Records before a damaged place are yielded before the error is raised.

    Args:
        stream: The body after `Content-Encoding` was undone, or still gzipped (told by its magic
            number). The caller closes it.
        config: Its `results_format`, `results_json_path`, `csv` and `max_response_bytes` say how
            to read.
        content_type_header: For the charset and for telling HTML or Excel from data.
        url: Redacted; for the texts of errors only.
        skip: Leading records to pass over (they were kept by an earlier attempt).
        secret: Password of a zip: `results_secret`, rendered.
        spool_dir: Where a zip is put while it is read, as large as the zip; else the system's
            directory for temporary files.
        memory: Of the source, so that its answers are read in one encoding; else one of its own.

    Raises:
        SourceDataError: The body is not what the config declares, or is damaged, or larger than
            `max_response_bytes`; or it says that the source failed.
    """
    answer = describe_answer(config, content_type_header, url, memory)
    body = open_body(stream, max_bytes=config.max_response_bytes, answer=answer)
    refuse_other_formats(body, answer)
    if config.results_format == "json":
        yield from read_json(body, answer, config.results_json_path, skip)
    elif config.results_format == "jsonl":
        yield from read_json_lines(body, answer, config.results_json_path, skip)
    elif config.results_format == "csv":
        yield from read_csv(body, answer, config.csv, skip)
    else:
        yield from read_zipped_csv(
            body,
            answer,
            config.csv,
            skip,
            secret=secret,
            spool_dir=spool_dir,
            max_bytes=config.max_response_bytes,
        )
    if memory is None:
        answer.memory.tell_counts()


def load_document(
    stream: BinaryIO,
    config: SyncConfig,
    *,
    content_type_header: str | None,
    url: str = "",
    memory: TextMemory | None = None,
) -> Any:
    """One JSON page, whole: for `select_rows` and for what pagination reads in the body.

    Twice as fast as `read_records` on bodies over a megabyte, but held in memory; strict (no NaN).

    Raises:
        SourceDataError: The body is no JSON.
    """
    answer = describe_answer(config, content_type_header, url, memory)
    body = open_body(stream, max_bytes=config.max_response_bytes, answer=answer)
    refuse_other_formats(body, answer)
    return load_json(body, answer)


def read_utf8(
    body: bytes,
    config: SyncConfig,
    *,
    content_type_header: str | None,
    url: str = "",
    memory: TextMemory | None = None,
) -> bytes:
    """The text of one JSON page in UTF-8, in whatever encoding it came.

    Raises:
        SourceDataError: It is in none that was declared, or in two.
    """
    if is_said_to_be_utf8(content_type_header, config.results_encoding):
        return body
    answer = describe_answer(config, content_type_header, url, memory)
    stream = Body(io.BytesIO(body), max_bytes=len(body), answer=answer, unpacked=True)
    refuse_other_formats(stream, answer)
    return b"".join(read_chunks(open_json_text(stream, answer)))


def read_values(
    stream: BinaryIO,
    config: SyncConfig,
    paths: Sequence[str],
    *,
    content_type_header: str | None,
    url: str = "",
    memory: TextMemory | None = None,
) -> dict[str, Found]:
    """Single values of one JSON page, found without holding it; see `find_values`."""
    answer = describe_answer(config, content_type_header, url, memory)
    body = open_body(stream, max_bytes=config.max_response_bytes, answer=answer)
    return find_values(body, answer, paths)


def open_unpacked(
    stream: BinaryIO, config: SyncConfig, *, content_type_header: str | None, url: str = ""
) -> BinaryIO:
    """The bytes of a response, gzip undone (told by its magic number) and bounded.

    Raises, while read:
        SourceDataError: The gzip stream is damaged, or unpacks to more than `max_response_bytes`.
    """
    answer = describe_answer(config, content_type_header, url)
    body = open_body(stream, max_bytes=config.max_response_bytes, answer=answer)
    return cast("BinaryIO", io.BufferedReader(body, CHUNK))
