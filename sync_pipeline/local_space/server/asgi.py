"""The ASGI application: authorization, limits, faults, headers and error bodies around `routes`.

Requests are answered one after the other on the event loop: SQLite has one writer, and an answer
takes a fraction of a millisecond.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from sync_pipeline.local_space.api_error import ApiError, version_mismatch
from sync_pipeline.local_space.entities.bulk_actions import (
    make_waiting_actions_due,
    run_due_actions,
)
from sync_pipeline.local_space.request import Answer, Request
from sync_pipeline.local_space.server import routes
from sync_pipeline.local_space.server.hosts import is_own_host, is_own_origin
from sync_pipeline.local_space.server.rate_limit import RateLimit
from sync_pipeline.local_space.store.store import Store

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
MAX_URI_CHARACTERS = 7600
#: Answers who serves here; not part of Contentful's API, needs no token.
HEALTH_PATH = "/_local/health"
_MEDIA_TYPE = b"application/vnd.contentful.management.v1+json"

Fault = Literal[
    "429",
    "500",
    "502",
    "503",
    "409",
    "reset_before",
    "reset_after",
    "408_after",
    "524_after",
    "html_after",
    "empty_after",
    "cut_after",
]
#: What a proxy makes of the answer to a request that was carried out.
_HIDDEN: dict[Fault, Callable[[Answer], Answer]] = {
    "408_after": lambda _: Answer(408),
    "524_after": lambda _: Answer(524, b"<html><title>A timeout occurred</title></html>"),
    "html_after": lambda answer: Answer(answer.status, b"<html>Just a moment...</html>"),
    "empty_after": lambda answer: Answer(answer.status),
    "cut_after": lambda answer: Answer(answer.status, answer.body[: len(answer.body) // 2]),
}
FaultHook = Callable[[Request], Fault | None]


@dataclass(slots=True)
class LocalSpaceApp:
    """The application over an open store; the caller closes the store afterwards."""

    store: Store
    rate_limit: RateLimit
    token: str | None = None
    faults: FaultHook | None = None
    #: Host names beside addresses and `localhost`, in lower case.
    allowed_hosts: frozenset[str] = frozenset()
    #: `time.monotonic` of the last request, for whoever wants to stop an idle server.
    last_request: float = field(default_factory=time.monotonic)
    _prefix: str = field(default_factory=lambda: secrets.token_hex(8))
    _count: int = 0

    def __post_init__(self) -> None:
        make_waiting_actions_due(self.store)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the local space speaks HTTP only, not {scope['type']}")
        self.last_request = time.monotonic()
        self._count += 1
        request_id = f"{self._prefix}{self._count:016x}"
        request = _request(scope)
        fault: Fault | None = None
        limited = False
        try:
            self._check_host(request)
            await _read_body(receive, request)
            if request.path == HEALTH_PATH:
                answer = self._health()
            else:
                self._authorize(request)
                limited = not self.rate_limit.admit()
                if limited:
                    raise _rate_limited()
                fault = self.faults(request) if self.faults is not None else None
                if fault == "reset_before":
                    await _reset(receive, send)
                    return
                if fault is not None and not fault.endswith("_after"):
                    limited = fault == "429"
                    raise _fault_error(fault)
                answer = self._answer(request)
        except ApiError as error:
            answer = Answer(error.status, orjson.dumps(error.body(request_id)))
        if fault == "reset_after":
            await _reset(receive, send)
            return
        if fault in _HIDDEN:
            answer = _HIDDEN[fault](answer)
        await self._send(send, answer, request_id, limited=limited)

    def _answer(self, request: Request) -> Answer:
        store = self.store
        try:
            store.begin_request()
            run_due_actions(store)
            return routes.answer(store, request)
        except ApiError:
            raise
        except Exception as error:
            # The boundary of one request: the next one must still be served.
            _log.exception("Answering %s %s failed", request.method, request.path)
            raise ApiError(500, "ServerError", "Internal server error") from error

    def run_timers(self) -> None:
        """Execute bulk actions that are due, where no request comes to do it."""
        self.store.begin_request()
        run_due_actions(self.store)

    def _check_host(self, request: Request) -> None:
        host, origin = request.headers.get("host"), request.headers.get("origin")
        if not is_own_host(host, self.allowed_hosts):
            raise ApiError(
                403,
                "AccessDenied",
                f"{host!r} is not a name of this local space: use 127.0.0.1, or serve it with "
                "--allow-host.",
            )
        if not is_own_origin(origin, self.allowed_hosts):
            raise ApiError(
                403,
                "AccessDenied",
                f"Pages of {origin!r} may not ask this local space; --allow-host lets them.",
            )

    def _authorize(self, request: Request) -> None:
        header = request.headers.get("authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            token = dict(request.parameters).get("access_token", "") if not header else ""
        token = token.strip(" \t")
        # Headers were read as latin-1; a token in UTF-8 has its bytes again.
        sent = token.encode("latin-1" if header else "utf-8", errors="replace")
        if not token or not self._is_token(sent):
            raise ApiError(
                401,
                "AccessTokenInvalid",
                "The access token you sent could not be found or is invalid.",
            )

    def _is_token(self, sent: bytes) -> bool:
        if self.token is None:
            return True
        return secrets.compare_digest(sent, self.token.encode("utf-8", "surrogateescape"))

    def _health(self) -> Answer:
        body = {"storageId": self.store.storage_id, "pid": os.getpid()}
        return Answer(200, orjson.dumps(body))

    async def _send(self, send: Send, answer: Answer, request_id: str, *, limited: bool) -> None:
        headers = [
            (b"content-type", _MEDIA_TYPE),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
            (b"x-contentful-request-id", request_id.encode()),
            *self.rate_limit.headers(limited=limited),
        ]
        if answer.status == 204:
            del headers[:2]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _request(scope: MutableMapping[str, Any]) -> Request:
    return Request(
        method=scope["method"],
        path=scope["path"],
        query_string=scope["query_string"].decode("latin-1"),
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
    )


async def _read_body(receive: Receive, request: Request) -> None:
    """Read the body; what is too long is read to its end, so that the refusal arrives."""
    is_upload = request.path.endswith("/uploads")
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        more = message.get("more_body", False)
    if size > MAX_BODY_BYTES and not is_upload:
        raise ApiError(
            413, "PayloadTooLarge", f"The request body exceeds the limit of {MAX_BODY_BYTES}B."
        )
    if len(request.path) + len(request.query_string) > MAX_URI_CHARACTERS:
        raise ApiError(
            414, "URITooLong", f"The URI exceeds the limit of {MAX_URI_CHARACTERS} characters."
        )
    request.body = b"".join(chunks)
    request.body_size = size


def _rate_limited() -> ApiError:
    return ApiError(
        429,
        "RateLimitExceeded",
        "You have exceeded the rate limit of this Space by making too many API requests within a "
        "short timespan. Please wait a moment before trying the request again.",
    )


def _fault_error(fault: Fault) -> ApiError:
    match fault:
        case "429":
            return _rate_limited()
        case "409":
            return version_mismatch()
        case "502":
            return ApiError(502, "Hibernated", "The space is hibernated.")
        case _:
            return ApiError(int(fault), "ServerError", "Internal server error")


async def _reset(receive: Receive, send: Send) -> None:
    """Break the connection without an answer.

    Raises:
        ConnectionResetError: Under a test client, which has no connection to break.
    """
    # uvicorn hands the bound method of the object that holds the transport; there is no ASGI
    # message for this.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the fault hook asked to reset this connection")
    transport.abort()
    await receive()  # until the server has noticed, or it would answer 500


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
