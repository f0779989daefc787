"""Undoes Content-Encoding, and does not believe it: some servers declare one and send plain text.

gzip is undone here, and strictly. urllib3 takes a gzip stream that was cut off, or whose second
part is damaged, for a whole one; a CSV would lose its last rows in silence.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import requests
import urllib3

from sync_pipeline.extract.formats.encoding import is_utf8

_CHUNK: Final = 64 * 1024
_GZIP: Final = ("gzip", "x-gzip")
_MAGIC: Final = b"\x1f\x8b"
#: Encodings of https://www.iana.org/assignments/http-parameters that change a body.
_KNOWN: Final = frozenset({*_GZIP, "deflate", "br", "zstd", "compress", "x-compress"})
#: Bytes by which text is told from what was packed.
_TEXT_BYTES: Final = 64
#: In answers of the response cache, whose bodies are unpacked: the encoding that they never had.
LIE_HEADER: Final = "X-Sync-Declared-Encoding"
#: With WBITS, asks zlib for the header of gzip.
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


class NotUndoneError(ValueError):
    """The body is packed in a way that nothing here undoes."""


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Unpacked:
    """A body with its Content-Encoding undone.

    Args:
        response: Its body was not read yet.
    """

    def __init__(self, response: requests.Response) -> None:
        self._raw = response.raw
        self._encodings = encodings_of(response.headers.get("Content-Encoding", ""))
        self._reader: _Reader | None = None
        #: The encoding that the server declares, and that the body has not; known once it is read.
        self.lie = response.headers.get(LIE_HEADER, "")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end.

        Raises:
            NotUndoneError: The encoding was not asked for, and is not known here.
            EOFError: A gzip stream is cut off.
            zlib.error: It is damaged.
            urllib3.exceptions.HTTPError: The transfer broke, or another encoding is damaged.
        """
        if self._reader is None:
            self._reader = self._choose()
        return self._reader.read(size)

    def chunks(self, size: int) -> Iterator[bytes]:
        """All of it in pieces; a transfer that breaks raises as `iter_content` of requests."""
        try:
            while chunk := self.read(size):
                yield chunk
        except (urllib3.exceptions.HTTPError, EOFError, zlib.error) as err:
            raise requests.exceptions.ChunkedEncodingError(err) from err

    def _choose(self) -> _Reader:
        raw = _Undecoded(self._raw)
        if not self._encodings:
            return raw
        raw.head = raw.read(_CHUNK)
        is_gzip = len(self._encodings) == 1 and self._encodings[0] in _GZIP
        while is_gzip and 0 < len(raw.head) < len(_MAGIC) and (more := self._raw.read(1)):
            raw.head += more
        if is_gzip and raw.head.startswith(_MAGIC):
            return _Gunzip(raw)
        if not raw.head:
            return raw
        if is_gzip or _is_text(raw.head) or not self._is_undone(raw.head):
            self.lie = ", ".join(self._encodings)
            return raw
        return self._decoder_of(raw)

    def _is_undone(self, head: bytes) -> bool:
        unknown = [name for name in self._encodings if not _is_supported(name)]
        if unknown:
            raise NotUndoneError(unknown[0])
        try:
            self._decoder_of(io.BytesIO(head)).read(1)
        except urllib3.exceptions.DecodeError:
            return False
        return True

    def _decoder_of(self, body: _Reader) -> _Reader:
        return urllib3.HTTPResponse(
            body=body,  # type: ignore[arg-type]  # a `read` is enough
            headers={"Content-Encoding": ", ".join(self._encodings)},
            preload_content=False,
            decode_content=True,
        )


def encodings_of(header: str) -> list[str]:
    """The encodings that a header declares, without those that change nothing or do not exist."""
    names = [name.strip().lower() for name in header.split(",")]
    return [name for name in names if name in _KNOWN]


def is_length_known(headers: Mapping[str, str]) -> bool:
    """Whether a body that is cut off is told from a whole one: by its length or its chunks."""
    return "Content-Length" in headers or "Transfer-Encoding" in headers


def _is_supported(name: str) -> bool:
    return name in urllib3.HTTPResponse.CONTENT_DECODERS


def _is_text(head: bytes) -> bool:
    """Whether a body begins as nothing packed does."""
    beginning = head[:_TEXT_BYTES]
    controls = {byte for byte in beginning if byte < 0x20} - set(b"\t\r\n")
    return len(beginning) > 7 and not controls and is_utf8(beginning)


class _Undecoded:
    """A body as it was sent; `head` is read first."""

    def __init__(self, raw: urllib3.HTTPResponse) -> None:
        self._raw = raw
        self.head = b""

    def read(self, size: int, /) -> bytes:
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
            return part
        return self._raw.read(size, decode_content=False) or b""

    def close(self) -> None:
        """Asked for by urllib3 at the end; the response is closed by who opened it."""


class _Gunzip:
    """gzip of any number of members; what follows them and is no further one is passed over."""

    def __init__(self, packed: _Reader) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(_GZIP_WBITS)
        self._input = b""
        self._is_done = False

    def read(self, size: int, /) -> bytes:
        while not self._is_done:
            data = self._input or self._packed.read(_CHUNK)
            # Without further data, it may still hold what did not fit into the size before.
            unpacked = self._inflate.decompress(data, size)
            self._input = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._begin_member(self._inflate.unused_data)
            elif not (data or unpacked):
                raise EOFError
            if unpacked:
                return unpacked
        return b""

    def _begin_member(self, rest: bytes) -> None:
        while len(rest) < len(_MAGIC) and (more := self._packed.read(_CHUNK)):
            rest += more
        self._is_done = not rest.startswith(_MAGIC)
        self._input = rest
        self._inflate = zlib.decompressobj(_GZIP_WBITS)
