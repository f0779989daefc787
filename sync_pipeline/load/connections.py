"""The HTTP level: connections to the space, and what their failures and headers mean."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr

from sync_pipeline.deadline import BoundedAdapter, TimeBudget
from sync_pipeline.errors import EnvironmentVariableError
from sync_pipeline.load.rate_limit import MAX_WAIT_S

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CONNECT_TIMEOUT_S = 10.0
#: The API answers with 7 MB at most; what goes on beyond this is no answer of its.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it goes out."""

    method: str
    url: str
    params: Mapping[str, str | int] | None
    headers: Mapping[str, str]
    body: bytes | None
    #: Of waiting for the next bytes of the answer.
    timeout_s: float
    #: Of the whole, the time that a large body takes at a least rate not counted.
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Received:
    """What came back."""

    #: HTTP status, 0 where the answer did not come, or not to its end.
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    #: The kind of trouble with the connection, else "".
    trouble: str = ""
    #: False: no connection was made, so nothing can have been carried out.
    was_sent: bool = True
    #: The whole took longer than it may.
    is_too_slow: bool = False
    duration_s: float = 0.0


class BearerToken(requests.auth.AuthBase):
    """Being an `auth` and not a header, it keeps requests from looking into `.netrc`."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on one request."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


class SessionPool:
    """As many sessions as threads send at the same time; each thread has its own while it sends.

    Args:
        base_url: Of the API; on this machine itself no proxy of the environment is used.
        token: Goes to no other host: redirects are the caller's to refuse.
    """

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._auth = BearerToken(token)
        self._is_loopback = urlsplit(base_url).hostname in _LOOPBACK
        self._lock = threading.Lock()
        self._idle: list[requests.Session] = []
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[requests.Session]:
        """A session that no other thread has; the one used last, whose connection is warm."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = self._open()
        try:
            yield session
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(session)
            if not keep:
                session.close()

    def exchange(self, request: Outgoing) -> Received:
        """Send a request and read the whole answer; never raises for what the network does."""
        budget = TimeBudget(request.max_seconds)
        started = time.perf_counter()
        try:
            with self.borrow() as session, budget, _open(session, request) as response:
                content = _read(response)
                received = Received(response.status_code, response.headers, content)
        except requests.exceptions.RequestException as err:
            received = Received(0, trouble=trouble_text(err), was_sent=may_have_arrived(err))
            if budget.is_used_up:
                text = f"not answered in full within {request.max_seconds:g} s"
                received = Received(0, trouble=text, is_too_slow=True)
        return replace(received, duration_s=time.perf_counter() - started)

    def close(self) -> None:
        """Close the idle sessions, and the borrowed ones once they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _open(self) -> requests.Session:
        session = requests.Session()
        session.auth = self._auth
        session.headers["User-Agent"] = "sync_pipeline"
        # Proxies and certificates of the environment hold for the service, not for this machine.
        session.trust_env = not self._is_loopback
        for scheme in ("http://", "https://"):
            session.mount(scheme, BoundedAdapter())
        return session


def _open(session: requests.Session, request: Outgoing) -> requests.Response:
    return session.request(
        request.method,
        request.url,
        params=request.params,
        data=request.body,
        headers=dict(request.headers),
        timeout=(min(_CONNECT_TIMEOUT_S, request.timeout_s), request.timeout_s),
        allow_redirects=False,
        stream=True,
    )


def _read(response: requests.Response) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_content(_READ_BYTES):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise _EndlessAnswerError
    return b"".join(chunks)


class _EndlessAnswerError(requests.exceptions.RequestException):
    """The answer goes on beyond what the API ever sends."""


def check_base_url(url: str) -> None:
    """Refuse what cannot be the base URL of an API.

    Raises:
        EnvironmentVariableError: Names the variable; the text may hold a password and is not shown.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise EnvironmentVariableError(
            "CONTENTFUL_CMA_URL is not the base URL of an API. It looks like "
            "https://api.contentful.com or http://127.0.0.1:8080."
        )


def host_of(url: str) -> str:
    """Scheme, host and port: a base URL may carry user and password before them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def may_have_arrived(error: requests.exceptions.RequestException) -> bool:
    """False only where the connection certainly was never made."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return False
    # TLS fails in the handshake, but also in an answer: a damaged record, an alert.
    return "NewConnectionError" not in repr(error) and "NameResolutionError" not in repr(error)


def trouble_text(error: requests.exceptions.RequestException) -> str:
    """The kind of trouble; the library's own text holds addresses and the whole query."""
    if isinstance(error, _EndlessAnswerError):
        return f"an answer of more than {MAX_ANSWER_BYTES:,} bytes"
    if isinstance(error, requests.exceptions.Timeout) or "Read timed out" in repr(error):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS error"
    return "connection broken" if may_have_arrived(error) else "connection refused"


def wait_asked_for(headers: Mapping[str, str]) -> float:
    """Seconds from the rate-limit headers; what cannot be read counts as not said."""
    longest = 0.0
    for name in ("X-Contentful-RateLimit-Reset", "Retry-After"):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(seconds):
            longest = max(longest, seconds)
    return min(longest, MAX_WAIT_S)
