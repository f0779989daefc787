"""Answers whose bodies are streams: decoded, bounded, with errors of ours."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests
import urllib3

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats import TextMemory
from sync_pipeline.extract.http.cache import forget_answer
from sync_pipeline.extract.http.content_encoding import NotUndoneError, Unpacked, is_length_known
from sync_pipeline.extract.http.failures import describe_failure
from sync_pipeline.extract.http.retrying import TransientFailure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response (2xx) whose body is still to be read."""

    status: int
    #: After redirects; not redacted.
    url: str
    #: Names in any case.
    headers: Mapping[str, str]
    stream: BodyStream
    #: `file: GET https://...` redacted, for messages.
    name: str
    #: `https://...` redacted, for messages that name the file themselves.
    redacted_url: str
    #: What the answers before it have shown about the encoding of their texts.
    texts: TextMemory
    #: Takes secrets out of a text.
    redact: Callable[[str], str] = field(repr=False)
    _response: requests.Response = field(repr=False)

    def reject(self, err: SourceDataError) -> SourceDataError:
        """The body is not what was declared: drop it from the cache, complete the error."""
        forget_answer(self._response)
        if err.status is not None:
            return err
        media = self.content_type or "none"
        # It may quote keys and words of the source.
        text = self.redact(f"{err} (status {self.status}, Content-Type {media[:100]})")
        return SourceDataError(text, status=self.status)

    @property
    def content_type(self) -> str | None:
        """The Content-Type header."""
        return self.headers.get("Content-Type")

    @property
    def is_length_known(self) -> bool:
        """Whether a body that is cut off is told from a whole one: by its length or its chunks."""
        return is_length_known(self.headers)

    @property
    def is_empty(self) -> bool:
        """Whether the status says that there is no body (204, 205)."""
        return self.status in (204, 205)


class BodyStream(io.RawIOBase):
    """The body of a response, with Content-Encoding undone, bounded, and with errors of ours.

    Args:
        response: Its body was not read yet.
        name: The request, for messages.
        max_bytes: The bound, of unpacked bytes.
        timeout_s: For messages.
        warn: Told of a Content-Encoding that the body has not.

    Raises, while read:
        TransientFailure: The connection broke.
        SourceDataError: The body is longer than `max_bytes`, or packed as nobody asked for.
    """

    def __init__(
        self,
        response: requests.Response,
        *,
        name: str,
        max_bytes: int,
        timeout_s: float,
        warn: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._unpacked = Unpacked(response)
        self._warn = warn
        self._name = name
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        #: Unpacked bytes that were read so far.
        self.bytes_read = 0
        #: What ended the body too early; readers may have wrapped it in an error of theirs.
        self.failure: TransientFailure | SourceDataError | None = None

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a part of the buffer; 0 at the end."""
        view = memoryview(buffer).cast("B")
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end; all of them for -1."""
        if self.failure is not None:
            raise self.failure
        if size < 0:
            return self.readall()
        if size == 0:
            return b""
        try:
            chunk = self._unpacked.read(size)
        except NotUndoneError as err:
            self.failure = not_undone(self._name, err)
            raise self.failure from err
        except (urllib3.exceptions.HTTPError, OSError, ValueError, EOFError, zlib.error) as err:
            reason = describe_failure(err, self._timeout_s)
            self.failure = TransientFailure(
                f"{self._name}: the connection broke after {self.bytes_read:,} bytes of the "
                f"answer: {reason}"
            )
            raise self.failure from err
        if not self.bytes_read and self._unpacked.lie:
            self._warn(lie_told(self._unpacked.lie))
        self.bytes_read += len(chunk)
        if self.bytes_read > self._max_bytes:
            self.failure = too_long(self._name, self._max_bytes)
            raise self.failure
        return chunk

    def readall(self) -> bytes:
        """The rest of the body."""
        return b"".join(iter(lambda: self.read(256 * 1024), b""))


def lie_told(encoding: str) -> str:
    """The warning of an answer that is not packed as it says."""
    return (
        f"the header Content-Encoding says {encoding[:40]}, and the body is not packed so: read as "
        f"it is"
    )


def not_undone(name: str, err: NotUndoneError) -> SourceDataError:
    """The error of an answer that is packed in a way that nobody here undoes."""
    return SourceDataError(
        f"{name}: the header Content-Encoding says {err}, which was not asked for and is not "
        f"understood. Set headers: {{Accept-Encoding: gzip}}, or mend the source"
    )


def too_long(name: str, max_bytes: int) -> SourceDataError:
    """The error of an answer that passes the bound."""
    return SourceDataError(
        f"{name}: the answer is longer than maxResponseBytes ({max_bytes:,} bytes). Raise it if "
        f"the source is to be trusted with that much"
    )
