"""From the bytes of a response to UTF-8: declared, marked, or found out.

Order for CSV: byte order mark, `csv.encoding`, charset of the response, the zeros of UTF-16
without a mark, UTF-8, then cp1252 with a warning. JSON is UTF-8, UTF-16 or UTF-32 by its own rules
(https://www.rfc-editor.org/rfc/rfc8259#section-8.1), else the charset of the response.
"""

from __future__ import annotations

import codecs
import io
import logging
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, HEAD, Body

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_log = logging.getLogger(__name__)

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Asks for UTF-8 with a way back to cp1252.
DETECT: Final = "detect"


def json_encoding(body: Body, answer: Answer) -> str:
    """The encoding of a JSON body; takes a byte order mark off the stream."""
    marked = _take_mark(body)
    if marked:
        return marked
    zeros = _by_zeros(body.peek_bytes(HEAD))
    if zeros:
        return zeros
    return _codec_name(answer.charset, answer, "its Content-Type") if answer.charset else "utf-8"


def csv_encoding(body: Body, answer: Answer, declared: str | None) -> str:
    """The encoding of a CSV body, `DETECT` where nothing says it; takes a mark off the stream."""
    marked = _take_mark(body)
    named = _codec_name(declared, answer, "csv.encoding") if declared else None
    if marked:
        if named and not marked.startswith(named):
            _log.warning(
                "csv.encoding is %s, but the text begins with the mark of %s and is read so",
                declared, marked,
            )  # fmt: skip
        return marked
    if named:
        return named
    if answer.charset:
        return _codec_name(answer.charset, answer, "its Content-Type")
    return _by_zeros(body.peek_bytes(HEAD)) or DETECT


def open_utf8(body: Body, answer: Answer, encoding: str) -> Body:
    """The same text as strictly valid UTF-8."""
    decoded = io.BufferedReader(_Transcoder(body, answer, encoding), CHUNK)
    # Bounded before; transcoding at most triples it.
    return Body(cast("BinaryIO", decoded), max_bytes=2**63, answer=answer, unpacked=True)


def _take_mark(body: Body) -> str | None:
    head = body.peek_bytes(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            body.read(len(mark))
            return encoding
    return None


def _by_zeros(head: bytes) -> str | None:
    """UTF-16 and UTF-32 of mostly ASCII text, by where the zeros stand."""
    if b"\0" not in head[:64]:
        return None
    zeros = [head[offset:256:4].count(0) * 4 / max(1, len(head[:256])) for offset in range(4)]
    pattern = tuple(offset for offset, share in enumerate(zeros) if share > 0.6)
    return {
        (1, 3): "utf-16-le",
        (0, 2): "utf-16-be",
        (1, 2, 3): "utf-32-le",
        (0, 1, 2): "utf-32-be",
    }.get(pattern)


def _codec_name(name: str, answer: Answer, where: str) -> str:
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError) as err:
        raise answer.error(
            f"{where} names the charset {name[:40]!r}, which does not exist",
            "Set csv.encoding (CSV), or mend the source.",
        ) from err
    if not getattr(found, "_is_text_encoding", True):
        raise answer.error(
            f"{where} names {name[:40]!r}, which is no charset", "Set csv.encoding (CSV)."
        )
    return "utf-8" if found.name in ("utf-8", "ascii", "utf-8-sig") else found.name


class _Transcoder(io.RawIOBase):
    """Reads text in one encoding, gives it in UTF-8; strict but for the way back to cp1252."""

    def __init__(self, body: Body, answer: Answer, encoding: str) -> None:
        super().__init__()
        self._body = body
        self._answer = answer
        self._detect = encoding == DETECT
        self._encoding = "utf-8" if self._detect else encoding
        self._decoder = codecs.getincrementaldecoder(self._encoding)(errors="strict")
        self._ready = b""
        self._read = 0
        self._plain = True
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ready and not self._ended:
            chunk = self._body.read(CHUNK) or b""
            self._ended = not chunk
            self._ready = self._decode(chunk)
            self._read += len(chunk)
        part, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(part)] = part
        return len(part)

    def _decode(self, chunk: bytes) -> bytes:
        pending = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(chunk, final=self._ended)
            encoded = text.encode()
        except UnicodeError as err:
            if not (self._detect and self._plain and self._is_plain_before(err)):
                raise self._error(err, pending) from err
            self._detect = False
            self._encoding = "cp1252"
            self._decoder = codecs.getincrementaldecoder("cp1252")(errors="strict")
            _log.warning(
                "%sthe text is no UTF-8: read as cp1252 (Windows). Set csv.encoding to be sure.",
                f"{self._answer.url}: " if self._answer.url else "",
            )
            return self._decode(pending + chunk)
        self._plain = self._plain and text.isascii()
        return encoded

    @staticmethod
    def _is_plain_before(err: UnicodeError) -> bool:
        return isinstance(err, UnicodeDecodeError) and err.object[: err.start].isascii()

    def _error(self, err: UnicodeError, pending: bytes) -> Exception:
        start = err.start if isinstance(err, UnicodeDecodeError) else 0
        at = max(0, self._read - len(pending) + start)
        return self._answer.error(
            f"the byte at position {at:,} of the text is no {self._encoding}",
            "Set csv.encoding to the encoding of the file (such as cp1252 or utf-16)."
            if "sv" in self._answer.declared
            else "Mend the charset in the source's Content-Type, or its text.",
        )
