"""From the bytes of a response to UTF-8, while they are read; see `encoding` for what they are."""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING, BinaryIO, cast

from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, Body
from sync_pipeline.extract.formats.encoding import UTF8, Choice, choose_encoding, weigh

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def open_text(body: Body, answer: Answer) -> Body:
    """A text as strictly valid UTF-8, without a byte order mark."""
    return _transcoded(body, answer, choose_encoding(body, answer))


def open_json_text(body: Body, answer: Answer) -> Body:
    """As `open_text`, but for the parser of JSON, which is strict about UTF-8 itself."""
    choice = choose_encoding(body, answer)
    return body if choice == Choice() else _transcoded(body, answer, choice)


def _transcoded(body: Body, answer: Answer, choice: Choice) -> Body:
    decoded = io.BufferedReader(_Transcoder(body, answer, choice), CHUNK)
    # Bounded before; transcoding at most triples it.
    return Body(cast("BinaryIO", decoded), max_bytes=2**63, answer=answer, unpacked=True)


class _Transcoder(io.RawIOBase):
    """Reads text in one encoding, gives it in UTF-8, strictly.

    With two encodings to choose from, nothing is decided before the first byte at which they
    differ, however late it comes, and then by all of the next 64 KB.
    """

    def __init__(self, body: Body, answer: Answer, choice: Choice) -> None:
        super().__init__()
        self._body = body
        self._answer = answer
        self._choice = choice
        self._telling = re.compile(b"[\x80-\xff" + re.escape(choice.shifts) + b"]")
        self._is_decided = choice.otherwise is None
        self._decode_with(choice.encoding)
        #: Read, and not decoded yet.
        self._held = b""
        self._ready = b""
        self._read = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ready and not self._ended:
            self._ready = self._next()
        part, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(part)] = part
        return len(part)

    def _next(self) -> bytes:
        chunk = self._held or self._body.read(CHUNK) or b""
        self._held = b""
        if not self._is_decided and (found := self._telling.search(chunk)):
            if found.start():
                self._held = chunk[found.start() :]
                chunk = chunk[: found.start()]
            else:
                self._decide(chunk)
        self._ended = not chunk
        decoded = self._decode(chunk)
        self._read += len(chunk)
        return decoded

    def _decide(self, chunk: bytes) -> None:
        ahead = self._body.peek_bytes(CHUNK)
        encoding = weigh(chunk + ahead, self._answer, self._choice, is_end=len(ahead) < CHUNK)
        self._decode_with(encoding)
        self._is_decided = True

    def _decode_with(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="strict")

    def _decode(self, chunk: bytes) -> bytes:
        pending = self._decoder.getstate()[0]
        try:
            return self._decoder.decode(chunk, final=self._ended).encode()
        except UnicodeError as err:
            raise self._error(err, pending) from err

    def _error(self, err: UnicodeError, pending: bytes) -> Exception:
        start = err.start if isinstance(err, UnicodeDecodeError) else 0
        at = max(0, self._read - len(pending) + start)
        answer, before = self._answer, ""
        if self._encoding == UTF8 and self._choice.otherwise:
            before = ", though the text before it is"
        says = f" (its Content-Type says charset={answer.charset[:40]})" if answer.charset else ""
        return answer.error(
            f"the byte at position {at:,} of the text is no {self._encoding}{before}{says}",
            f"Set {answer.key} to the encoding of the source (such as cp1252 or utf-16), or mend "
            f"its text.",
        )
