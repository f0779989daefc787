"""The bytes of a response: bounded, peekable, unpacked from gzip, and recognised.

::

    stream ─► Body (bounded, peekable) ─► gunzip ─► Body ─► recognise ─► reader of the format
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.own_words import explain_nothing, quote_words

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes read at a time.
CHUNK: Final = 64 * 1024
#: Bytes by which a format is recognised.
HEAD: Final = 4096
#: Bytes of a text that is looked at as a whole.
_DOCUMENT: Final = 64 * 1024

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML: Final = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML: Final = re.compile(rb"\s*<(?:\?xml|!doctype|!--|[a-z_][\w.:-]*[\s/>])", re.IGNORECASE)
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xff\xfe", b"\xfe\xff")


class Body(io.RawIOBase):
    """A readable, bounded stream whose first bytes can be looked at. Does not close its source."""

    def __init__(self, stream: BinaryIO, *, max_bytes: int, answer: Answer, unpacked: bool) -> None:
        super().__init__()
        self._stream = stream
        self._head = b""
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._answer = answer
        self._unpacked = unpacked

    def readable(self) -> bool:
        """Always true."""
        return True

    def peek_bytes(self, size: int) -> bytes:
        """The next bytes without taking them; fewer than `size` only at the end."""
        parts = [self._head]
        have = len(self._head)
        while have < size:
            chunk = self._fetch(size - have)
            if not chunk:
                break
            parts.append(chunk)
            have += len(chunk)
        self._head = b"".join(parts)
        return self._head[:size]

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a part of the buffer; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._head:
            chunk, self._head = self._head[: len(view)], self._head[len(view) :]
        else:
            chunk = self._fetch(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def _fetch(self, size: int) -> bytes:
        chunk = self._stream.read(max(1, min(size, self._left + 1)))
        self._left -= len(chunk)
        if self._left < 0:
            came = "unpacks to" if self._unpacked else "is"
            raise self._answer.error(
                f"the answer {came} more than maxResponseBytes ({self._max_bytes:,} bytes)",
                "Raise maxResponseBytes if the source is to be trusted with that much.",
            )
        return chunk


def open_body(stream: BinaryIO, *, max_bytes: int, answer: Answer) -> Body:
    """The bytes of a response, unpacked where they are gzip (told by their magic number)."""
    body = Body(stream, max_bytes=max_bytes, answer=answer, unpacked=False)
    if not body.peek_bytes(2).startswith(_GZIP):
        return body
    unzipped = _Gunzip(gzip.GzipFile(fileobj=io.BufferedReader(body, CHUNK)), answer)
    return Body(
        io.BufferedReader(unzipped, CHUNK), max_bytes=max_bytes, answer=answer, unpacked=True
    )


def is_packed(head: bytes) -> bool:
    """Whether the first bytes are those of gzip, zip or Excel, and so no text."""
    return head.startswith((_GZIP, _ZIP, _EMPTY_ZIP, _OLD_OFFICE))


def read_chunks(body: io.RawIOBase, size: int = CHUNK) -> Iterator[bytes]:
    """The rest of a stream in pieces."""
    while chunk := body.read(size):
        yield chunk


def refuse_other_formats(body: Body, answer: Answer) -> None:
    """Raise `SourceDataError` where the first bytes are plainly another format than declared."""
    head = body.peek_bytes(HEAD)
    for mark in _BOMS:
        head = head.removeprefix(mark)
    if b"\0" in head:
        # UTF-16 and UTF-32 without or after their mark: look at the ASCII that is in them.
        text = head.replace(b"\0", b"") if not head.startswith((_ZIP, _OLD_OFFICE)) else head
    else:
        text = head
    is_zip = head.startswith((_ZIP, _EMPTY_ZIP))
    if head.startswith(_OLD_OFFICE) or (is_zip and _is_excel(head, answer)):
        raise answer.error(
            "the source answered an Excel workbook, which is not supported",
            "Ask the source for CSV or JSON, or save the sheet as CSV.",
        )
    if answer.declared == "zippedCsv":
        _refuse_unzipped(is_zip, text, answer)
    elif is_zip:
        raise answer.error(
            "the source answered a zip archive",
            "If it holds a CSV file, set resultsFormat: zippedCsv.",
        )
    refuse_markup(text, answer)
    if answer.declared == "csv" and text.lstrip()[:1] in (b"{", b"["):
        _refuse_json(body, answer)


def _refuse_json(body: Body, answer: Answer) -> None:
    """Raise where the Content-Type or the whole text is JSON: many answer their errors so."""
    text = body.peek_bytes(_DOCUMENT)
    document = _load_json(text) if len(text) < _DOCUMENT else None
    is_json = isinstance(document, dict | list)
    if is_json or "json" in answer.media_type:
        words = quote_words(explain_nothing(document, ()))
        raise answer.error(
            f"the source answered JSON (Content-Type {answer.media_type or 'none'}){words}",
            "Mend what it says, set resultsFormat: json, or ask the source for CSV "
            "(headers: {Accept: text/csv}).",
        )


def _load_json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def refuse_markup(text: bytes, answer: Answer) -> None:
    """Raise `SourceDataError` where the text begins as HTML or XML does."""
    if _HTML.match(text):
        raise answer.error(
            "the source answered HTML",
            "Often that is a login or error page: open the URL with the same headers, "
            "and check endPoint, headers and auth.",
        )
    is_xml = _XML.match(text) and (
        answer.declared != "csv" or "xml" in answer.media_type or text.lstrip()[:5] == b"<?xml"
    )
    if is_xml:
        raise answer.error(
            "the source answered XML, which is not supported",
            "Ask the source for JSON (headers: {Accept: application/json}) or CSV.",
        )


def _refuse_unzipped(is_zip: bool, text: bytes, answer: Answer) -> None:
    if is_zip:
        return
    refuse_markup(text, answer)
    if not text:
        raise answer.error("the answer is empty", "Check endPoint and queryParameters.")
    words = quote_words(explain_nothing(_load_json(text), ()))
    raise answer.error(
        f"the answer is no zip archive{words}",
        "Set resultsFormat: csv or json if the source does not zip it, or check endPoint.",
    )


def _is_excel(head: bytes, answer: Answer) -> bool:
    return (
        "spreadsheetml" in answer.media_type
        or b"[Content_Types].xml" in head[:200]
        or b"xl/workbook" in head
    )


class _Gunzip(io.RawIOBase):
    """gzip's own reader, with its errors as ours."""

    def __init__(self, packed: gzip.GzipFile, answer: Answer) -> None:
        super().__init__()
        self._packed = packed
        self._answer = answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with _gzip_errors(self._answer):
            return self._packed.readinto(buffer)


@contextmanager
def _gzip_errors(answer: Answer) -> Iterator[None]:
    try:
        yield
    except EOFError as err:
        raise answer.error(
            "the gzip stream of the answer ends too early",
            "The transfer was cut off: run again; if it stays, mend the source.",
        ) from err
    except (gzip.BadGzipFile, zlib.error) as err:
        raise answer.error(
            "the gzip stream of the answer is damaged", "Mend the source, or ask it for no gzip."
        ) from err
