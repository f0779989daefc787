"""What one response says: its records, and the facts by which paging goes on.

A JSON response of ordinary size is read whole, which is fastest. A larger one, and every other
format, goes through a temporary file, and its records come in chunks: memory is bounded either way.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, cast

import requests

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination, places_in_body
from sync_pipeline.errors import SourceDataError, SpoolError
from sync_pipeline.extract.formats import (
    Found,
    checked_rows,
    describe_answer,
    load_document,
    look_up,
    open_unpacked,
    read_records,
    read_utf8,
    read_values,
)
from sync_pipeline.extract.formats.fast_json import UNSURE, load_fast
from sync_pipeline.extract.formats.json_path import NothingAtPathError
from sync_pipeline.extract.formats.json_values import is_plain
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.declared import Declared, read_declared
from sync_pipeline.extract.rest.paging.ending import TAIL
from sync_pipeline.extract.rest.paging.state import PageFacts, PagingState
from sync_pipeline.extract.rest.paging.styles import style_of
from sync_pipeline.extract.trail import digest_records
from sync_pipeline.model import Row

#: JSON bodies up to this size are parsed whole: about ten times as much memory for a moment.
MEMORY_BYTES = 8 * 1024 * 1024
#: Records in a page that is cut from a larger response.
CHUNK_RECORDS = 1000
_COPY_BYTES = 256 * 1024
_NOTHING = Found(is_there=False, miss="the answer is empty")
#: `items 0-24/66`; PostgREST leaves the unit out.
_CONTENT_RANGE = re.compile(
    r"(?:\S+ )?(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<total>[0-9]{1,18})"
)


@dataclass(frozen=True, slots=True)
class SmallBody:
    """A response that was read whole."""

    records: list[Row]
    declared: Declared
    #: Of its records.
    digest: str = ""


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A response on disk; `close` it."""

    file: BinaryIO
    answer: Answer
    declared: Declared
    #: Of its bytes.
    digest: str

    def close(self) -> None:
        """Remove the file."""
        self.file.close()


def read_body(
    answer: Answer,
    config: SyncConfig,
    plan: Pagination,
    *,
    is_later: bool = False,
    expects_more: bool = False,
) -> SmallBody | LargeBody:
    """Read a response of a paged source.

    Args:
        answer: The response.
        config: How to read it.
        plan: The source's style of paging.
        is_later: Records came before it, so that their path is right.
        expects_more: It was declared that records follow: to say nothing is not to deny that.

    Raises:
        SourceDataError: It is not what the config declares, or says that the source failed.
    """
    if answer.is_empty:
        return SmallBody([], read_declared(answer, plan, lambda _path: _NOTHING))
    # Unpacked from here on: sizes and digests are those of the text.
    stream = open_unpacked(
        cast("BinaryIO", answer.stream),
        config,
        content_type_header=answer.content_type,
        url=answer.redacted_url,
    )
    head = b""
    if config.results_format == "json":
        head = stream.read(MEMORY_BYTES)
        rest = stream.read(_COPY_BYTES)
        if not head.strip() and not rest and not expects_more and answer.is_length_known:
            declared = read_declared(answer, plan, lambda _path: _NOTHING)
            if is_later or 0 in (declared.total, declared.total_pages):
                return SmallBody([], declared)
        if not rest:
            return _read_small(head, answer, config, plan, is_later=is_later)
        head += rest
    return _read_large(head, stream, answer, config, plan)


def _read_small(
    body: bytes, answer: Answer, config: SyncConfig, plan: Pagination, *, is_later: bool
) -> SmallBody:
    shape = describe_answer(config, answer.content_type, answer.redacted_url, answer.texts)

    def rows_of(document: Any) -> list[Row]:
        try:
            return checked_rows(document, config.results_json_path, shape, where=f"{answer.name}: ")
        except NothingAtPathError:
            declared = read_declared(answer, plan, lambda path: look_up(document, path))
            if not _says_empty(document, declared, is_later=is_later):
                raise
            return []

    document = load_fast(
        read_utf8(
            body,
            config,
            content_type_header=answer.content_type,
            url=answer.redacted_url,
            memory=answer.texts,
        )
    )
    if document is UNSURE:
        document = load_document(
            io.BytesIO(body),
            config,
            content_type_header=answer.content_type,
            url=answer.redacted_url,
            memory=answer.texts,
        )
    records = rows_of(document)
    declared = read_declared(answer, plan, lambda path: look_up(document, path))
    return SmallBody(records, declared, digest_records(records))


def _says_empty(document: Any, declared: Declared, *, is_later: bool) -> bool:
    """Whether an answer without the place of the records says by that that it has none.

    Many leave an empty list out. On a first page a declared total of 0 has to say so; later, when
    the path is known to be right, an empty object does, or one that has its other declared places.
    """
    if 0 in (declared.total, declared.total_pages):
        return True
    return is_later and isinstance(document, Mapping) and (not document or declared.is_in_body)


def _read_large(
    head: bytes, stream: BinaryIO, answer: Answer, config: SyncConfig, plan: Pagination
) -> LargeBody:
    digest = blake2b(head, digest_size=8)
    file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES))  # noqa: SIM115
    try:
        file.write(head)
        while chunk := stream.read(_COPY_BYTES):
            digest.update(chunk)
            file.write(chunk)
        found = _find_values(
            file, tuple(dict.fromkeys(places_in_body(plan).values())), answer, config
        )
        declared = read_declared(answer, plan, found.__getitem__)
        return LargeBody(file, answer, declared, digest.hexdigest())
    except BaseException as err:
        file.close()
        if isinstance(err, OSError):
            raise SpoolError(
                f"{answer.name}: the answer cannot be kept in a temporary file "
                f"({err.strerror or type(err).__name__}). Free space, or point TMPDIR elsewhere"
            ) from err
        raise


def read_chunks(
    rows: Iterator[Row], first: int, size: int = CHUNK_RECORDS
) -> Iterator[tuple[list[Row], int, bool]]:
    """Cut rows into chunks.

    Args:
        rows: Read one ahead, so that the last chunk is known to be the last.
        first: Number of the first row in its response, counted from 0.
        size: Records a chunk.

    Yields:
        Records, number of the row after them, whether these are the last. A response without rows
        gives one empty chunk.
    """
    chunk: list[Row] = []
    for row in rows:
        if len(chunk) == size:
            first += size
            yield chunk, first, False
            chunk = []
        chunk.append(row)
    yield chunk, first + len(chunk), True


@contextmanager
def open_rows(
    body: LargeBody, config: SyncConfig, *, skip: int, secret: str | None
) -> Iterator[Iterator[Row]]:
    """The rows of a response on disk; an error in them names the response."""
    body.file.seek(0)
    try:
        yield read_records(
            body.file,
            config,
            content_type_header=body.answer.content_type,
            url=body.answer.redacted_url,
            skip=skip,
            secret=secret,
            memory=body.answer.texts,
        )
    except SourceDataError as err:
        raise body.answer.reject(err) from err


def refuse_part(answer: Answer) -> None:
    """Raise where an answer says that it is a part of the whole (206), and no page follows.

    Raises:
        SourceDataError: It is not known to be the whole.
    """
    if answer.status != requests.codes.partial:
        return
    said = answer.headers.get("Content-Range", "").strip()
    found = _CONTENT_RANGE.fullmatch(said)
    if said.endswith("*/0") or (
        found and int(found["first"]) == 0 and int(found["last"]) + 1 == int(found["total"])
    ):
        return
    shown = f", {said[:60]!r}" if said else ""
    raise SourceDataError(
        f"{answer.name} answered status 206: a part of the records{shown}. Declare `pagination`, "
        f"or ask for all of them"
    )


def facts_of(
    declared: Declared, received: int, *, digest: str = "", record_digests: tuple[str, ...] = ()
) -> PageFacts:
    """The facts by which `pagination.advance` decides."""
    return PageFacts(
        received=received,
        digest=digest,
        record_digests=record_digests,
        total=declared.total,
        total_pages=declared.total_pages,
        has_more=declared.has_more,
        token=declared.token,
        notice=declared.notice,
    )


def facts_of_small(
    body: SmallBody, plan: Pagination, state: PagingState, asked: int | None
) -> PageFacts:
    """The facts of a response that was read whole, with digests of what is compared later."""
    received = len(body.records)
    compared: list[Row] = []
    if state.short or (asked is not None and received < asked):
        compared = body.records
    elif style_of(plan).pointer:
        compared = body.records[-TAIL:]
    digests = tuple(digest_records([record]) for record in compared)
    digest = body.digest if received else ""
    return facts_of(body.declared, received, digest=digest, record_digests=digests)


def _find_values(
    file: BinaryIO, paths: Sequence[str], answer: Answer, config: SyncConfig
) -> dict[str, Found]:
    """What is at each path, found without holding the document."""
    if config.results_format != "json" or not paths:
        return {}
    for path in paths:
        if not is_plain(path):
            raise SourceDataError(
                f"{answer.name}: the answer is larger than {MEMORY_BYTES:,} bytes, of which "
                f"only plain paths (a.b.c) can be read, not {path!r}. Ask for smaller pages"
            )
    file.seek(0)
    return read_values(
        file,
        config,
        paths,
        content_type_header=answer.content_type,
        url=answer.redacted_url,
        memory=answer.texts,
    )
