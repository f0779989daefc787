"""What one response says: its records, and the facts by which paging goes on.

A JSON response of ordinary size is read whole, which is fastest. A larger one, and every other
format, goes through a temporary file, and its records come in chunks: memory is bounded either way.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, cast
from urllib.parse import urljoin

import orjson

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import ResolvedPagination
from sync_pipeline.errors import SourceDataError, SpoolError
from sync_pipeline.extract.bodies import Answer
from sync_pipeline.extract.fast_json import UNSURE, load_fast
from sync_pipeline.extract.formats import (
    load_document,
    open_unpacked,
    read_records,
    read_values,
    select_rows,
    value_at,
)
from sync_pipeline.extract.formats.json_path import compile_steps, describe_miss
from sync_pipeline.extract.link_header import NextLink, UnreadableLinkError, find_next
from sync_pipeline.extract.paging import PageFacts
from sync_pipeline.extract.sessions import is_http_url
from sync_pipeline.extract.trail import digest_bytes, digest_records
from sync_pipeline.model import Row

#: JSON bodies up to this size are parsed whole: about ten times as much memory for a moment.
MEMORY_BYTES = 8 * 1024 * 1024
#: Records in a page that is cut from a larger response.
CHUNK_RECORDS = 1000
_COPY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """The values that a response declares about paging, as far as the plan asks for them."""

    total: int | None = None
    total_pages: int | None = None
    has_more: bool | None = None
    token: str | None = None
    #: Worth a warning; "" mostly.
    notice: str = ""


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
    answer: Answer, config: SyncConfig, plan: ResolvedPagination
) -> SmallBody | LargeBody:
    """Read a response of a paged source.

    Raises:
        SourceDataError: It is not what the config declares.
    """
    if answer.is_empty:
        return SmallBody([], _read_declared(answer, plan, lambda _path: None, where=answer.name))
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
        if not rest:
            return _read_small(head, answer, config, plan)
        head += rest
    return _read_large(head, stream, answer, config, plan)


def _read_small(
    body: bytes, answer: Answer, config: SyncConfig, plan: ResolvedPagination
) -> SmallBody:
    where = f"{answer.name}: "
    document = load_fast(body, answer.content_type)
    digest = ""
    if document is not UNSURE:
        records = select_rows(document, config.results_json_path, where=where)
        try:
            digest = digest_bytes(orjson.dumps(records, option=orjson.OPT_SORT_KEYS))
        except TypeError:  # nested too deep
            document = UNSURE
    if document is UNSURE:
        document = load_document(
            io.BytesIO(body),
            config,
            content_type_header=answer.content_type,
            url=answer.redacted_url,
        )
        records = select_rows(document, config.results_json_path, where=where)
        digest = digest_records(records)

    def find(path: str) -> Any:
        value = value_at(document, path)
        if value is None and records and path in (plan.total_path, plan.total_pages_path):
            raise SourceDataError(
                f"{answer.name}: nothing at {path!r} ({_key_of(plan, path)}): "
                f"{describe_miss(document, path)}. Correct it, or take it out"
            )
        return value

    return SmallBody(records, _read_declared(answer, plan, find, where=answer.name), digest)


def _read_large(
    head: bytes, stream: BinaryIO, answer: Answer, config: SyncConfig, plan: ResolvedPagination
) -> LargeBody:
    digest = blake2b(head, digest_size=8)
    file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES))  # noqa: SIM115
    try:
        file.write(head)
        while chunk := stream.read(_COPY_BYTES):
            digest.update(chunk)
            file.write(chunk)
        values: Mapping[str, Any] = {}
        paths = [path for path in _paths(plan) if path]
        if config.results_format == "json" and paths:
            values = _find_values(file, paths, answer, config)
        declared = _read_declared(answer, plan, values.get, where=answer.name)
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
        )
    except SourceDataError as err:
        raise body.answer.reject(err) from err


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


def _paths(plan: ResolvedPagination) -> tuple[str | None, ...]:
    return (
        plan.total_path, plan.total_pages_path, plan.has_more_path,
        plan.cursor_path if plan.style == "cursor" else None,
        plan.next_url_path if plan.style == "next_url" else None,
    )  # fmt: skip


def _key_of(plan: ResolvedPagination, path: str) -> str:
    return "pagination.totalPath" if path == plan.total_path else "resultsTotalPagesPath"


def _read_declared(
    answer: Answer, plan: ResolvedPagination, find: Callable[[str], Any], *, where: str
) -> Declared:
    total, total_pages, has_more, cursor, next_url = (
        find(path) if path else None for path in _paths(plan)
    )
    link = _read_link(answer) if plan.style == "link_header" else NextLink(None)
    return Declared(
        total=_read_count(total, "pagination.totalPath", where),
        total_pages=_read_count(total_pages, "resultsTotalPagesPath", where),
        has_more=_read_flag(has_more, where),
        token=link.url or _read_token(answer, plan, cursor, next_url),
        notice=link.notice,
    )


def _read_token(answer: Answer, plan: ResolvedPagination, cursor: Any, next_url: Any) -> str | None:
    if plan.style == "cursor":
        return _read_text(cursor, "pagination.cursorPath", answer.name)
    if plan.style == "next_url":
        text = _read_text(next_url, "pagination.nextUrlPath", answer.name)
        return _join(answer, text.strip()) if text and text.strip() else None
    if plan.style == "continuation_header" and plan.header:
        return answer.headers.get(plan.header) or None
    return None


def _read_link(answer: Answer) -> NextLink:
    try:
        found = find_next(answer.headers.get("Link", ""), answer.url)
    except UnreadableLinkError as err:
        raise SourceDataError(
            f"{answer.name}: {err}. Whether more records follow cannot be told: mend the source, "
            f"or page by another style"
        ) from err
    return found if found.url is None else NextLink(_join(answer, found.url))


def _join(answer: Answer, target: str) -> str:
    """The URL of the next page, which may be relative."""
    try:
        url = urljoin(answer.url, target)
    except ValueError:
        url = ""
    if not is_http_url(url):
        raise SourceDataError(
            f"{answer.name}: what it names as the URL of the next page is none. Check `pagination`"
        )
    return url


def _read_text(value: Any, key: str, where: str) -> str | None:
    if value is None or value is False or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
    raise SourceDataError(
        f"{where}: the value at {key} is neither a text nor a number. Correct the path"
    )


def _read_count(value: Any, key: str, where: str) -> int | None:
    if value is None:
        return None
    number = value
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        number = int(value)
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    is_whole = is_number and (isinstance(number, int) or number.is_integer())
    if not is_whole or number < 0:
        raise SourceDataError(
            f"{where}: the value at {key} is no whole number, 0 or more. Correct the path, or take "
            f"it out"
        )
    return int(number)


def _read_flag(value: Any, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, str)) and str(value).strip().lower() in _FLAGS:
        return _FLAGS[str(value).strip().lower()]
    raise SourceDataError(
        f"{where}: the value at pagination.hasMorePath is no boolean. Correct the path"
    )


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _find_values(
    file: BinaryIO, paths: Sequence[str], answer: Answer, config: SyncConfig
) -> dict[str, Any]:
    """The first scalar at each path, found without holding the document."""
    places: dict[tuple[str, ...], str] = {}
    for path in paths:
        # A member of the root that is literally called like the path, as `value_at` has it.
        places[path,] = path
        steps = compile_steps(path)
        if steps is not None and all(isinstance(step, str) for step in steps):
            places[tuple(str(step) for step in steps)] = path
        elif not path.startswith("@"):  # which only a name can begin with: `@odata.nextLink`
            raise SourceDataError(
                f"{answer.name}: the answer is larger than {MEMORY_BYTES:,} bytes, of which "
                f"only plain paths (a.b.c) can be read, not {path!r}. Ask for smaller pages"
            )
    file.seek(0)
    return read_values(
        file,
        config,
        places,
        content_type_header=answer.content_type,
        url=answer.redacted_url,
    )
