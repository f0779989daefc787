"""Connections of the server: how long a request may take to arrive, and how many may be on their
way.

uvicorn bounds neither: whoever opens connections and sends half a request holds them for good.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: From the opening of a connection, or the first byte of a further request, to the end of its head.
_HEAD_TIMEOUT_S = 10.0
#: From then on to the end of its body: an upload of 50 MB over a slow line.
_BODY_TIMEOUT_S = 120.0
#: Between two parts of a body.
_BODY_PAUSE_S = 10.0
#: Bytes of a request line and its headers; a URI may have 7,600 characters.
_MAX_HEAD_BYTES = 64 * 1024
#: Requests on their way at once. The oldest makes room for a new one: it is the one that stalls.
_MAX_HALF_OPEN = 256


class ServerConfig(uvicorn.Config):
    """The configuration of one server, and what its connections share."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Connections that wait for (the rest of) a request, the oldest first.
        self.half_open: dict[BoundedProtocol, None] = {}


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when its request does not arrive."""

    config: ServerConfig
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _has_head = False
    _body_ends_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait(_HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the first of a further one starts its time."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._wait(_HEAD_TIMEOUT_S)
        if self._has_head:
            self._wait(min(_BODY_PAUSE_S, self._body_ends_at - self.loop.time()))
        else:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._has_head and self._head_bytes > _MAX_HEAD_BYTES:
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Give the body its own time."""
        self._has_head = True
        self._body_ends_at = self.loop.time() + _BODY_TIMEOUT_S
        self._wait(_BODY_PAUSE_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock: from here on it is for us to answer."""
        self._arrived()
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end)
        half_open = self.config.half_open
        half_open[self] = None
        while len(half_open) > _MAX_HALF_OPEN:
            next(iter(half_open))._end()  # noqa: SLF001 - one of our own

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.config.half_open.pop(self, None)
        self._has_head, self._head_bytes = False, 0

    def _end(self) -> None:
        self._arrived()
        self.transport.abort()
