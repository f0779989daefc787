"""One bound on the whole of an HTTP request: connecting, sending, headers and body.

The timeout of requests is one for each read of the socket, so a server that sends a byte now and
then holds a request, and whoever waits for it, for ever. Here the time that a request waits for the
network is added up, and each wait gets no more than what is left::

    session.mount("https://", BoundedAdapter())
    budget = TimeBudget(total_s=120)
    with budget:                          # requests begun in here are bound, in this thread
        response = session.get(url, stream=True, timeout=60)
    response.raw.read()                   # still bound by the same budget

Works below urllib3, where http.client reads status line, headers and body from the socket's file.
"""

from __future__ import annotations

import functools
import http.client
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

from requests.adapters import HTTPAdapter
from typing_extensions import Self

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A body that comes slower than this uses up the budget; 7 MB may take two hours more.
LEAST_BYTES_PER_S = 1024
#: Bytes handed to the socket at a time: TLS counts its timeout anew for each record of 16 KB.
_SENT_BYTES = 64 * 1024


class TookTooLongError(TimeoutError):
    """The budget of a request is used up. requests and urllib3 wrap it like any timeout."""


class TimeBudget:
    """How long one request may wait for the network, redirects included.

    What the caller does between two reads does not count: only waiting does.

    Args:
        total_s: Seconds for everything but the body, and for a body to begin with.
        least_bytes_per_s: Each byte of the body buys time at this rate, so a body that comes
            steadily faster is never cut off, however large it is.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        total_s: float,
        *,
        least_bytes_per_s: float = LEAST_BYTES_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_s = total_s
        self._least_bytes_per_s = least_bytes_per_s
        self._clock = clock
        self._spent_s = 0.0
        self._body_bytes = 0
        self._waiting_since: float | None = None
        self._token: Token[TimeBudget | None] | None = None
        #: The request was given up because of this budget, and not for another reason.
        self.is_used_up = False

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
            self._token = None

    @property
    def left_s(self) -> float:
        """Seconds that the request may still wait, 0 or less when they are used up."""
        waiting_s = 0.0 if self._waiting_since is None else self._clock() - self._waiting_since
        bought_s = self._body_bytes / self._least_bytes_per_s
        return self.total_s + bought_s - self._spent_s - waiting_s

    def note_body(self, size: int) -> None:
        """So many bytes of the body have come."""
        self._body_bytes += size

    @contextmanager
    def waiting(
        self, longest_s: float | None, set_timeout: Callable[[float | None], None]
    ) -> Iterator[None]:
        """Around one wait for the network.

        Args:
            longest_s: The timeout it would have of its own; None: none.
            set_timeout: Gets the timeout it is to have, more than 0; after a shorter one, its own.

        Raises:
            TookTooLongError: Nothing is left, or the wait used it up.
        """
        left_s = self.left_s
        if left_s <= 0:
            raise self._used_up()
        is_cut = longest_s is None or left_s < longest_s
        set_timeout(left_s if longest_s is None else min(left_s, longest_s))
        started = self._clock()
        is_outermost = self._waiting_since is None
        if is_outermost:  # connecting to a proxy sends and reads
            self._waiting_since = started
        try:
            yield
            if is_cut:
                set_timeout(longest_s)
        except TimeoutError as err:
            if is_cut and not isinstance(err, TookTooLongError):
                raise self._used_up() from err
            raise
        finally:
            if is_outermost:
                self._spent_s += self._clock() - started
                self._waiting_since = None

    def _used_up(self) -> TookTooLongError:
        self.is_used_up = True
        return TookTooLongError(f"the whole request took longer than {self.total_s:g} s")


_CURRENT: ContextVar[TimeBudget | None] = ContextVar("time_budget", default=None)


class BoundedAdapter(HTTPAdapter):
    """Connections whose requests keep to the `TimeBudget` they were begun in; others are as ever.

    Proxies included. To be mounted on a session: `session.mount("https://", BoundedAdapter())`.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _bind_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        _bind_pools(manager)
        return manager


def _bind_pools(manager: Any) -> None:
    """Let a pool manager of urllib3 open bounded connections, whatever kind it opens."""
    manager.pool_classes_by_scheme = {
        scheme: _bounded_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@functools.cache
def _bounded_pool(pool: type[Any]) -> type[Any]:
    connection = pool.ConnectionCls
    if issubclass(connection, _BoundedConnection):
        return pool
    bounded = type(f"Bounded{connection.__name__}", (_BoundedConnection, connection), {})
    return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": bounded})


class _Socket(Protocol):
    """What is used of a socket, in TLS or not."""

    def gettimeout(self) -> float | None: ...

    def settimeout(self, value: float | None, /) -> None: ...

    def makefile(self, mode: str) -> io.BufferedReader: ...


class _BoundedFile(io.RawIOBase):
    """The file of a socket; each read gets what is left of the budget."""

    def __init__(self, raw: io.RawIOBase, sock: _Socket, budget: TimeBudget) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._longest_s = sock.gettimeout()
        self._budget = budget
        #: False while the headers are read: they must come within the total.
        self.is_body = False

    def readable(self) -> bool:
        """Always true."""
        return True

    def fileno(self) -> int:
        """Of the socket."""
        return self._raw.fileno()

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """What one `recv` gives; 0 at the end."""
        with self._budget.waiting(self._longest_s, self._sock.settimeout):
            size = self._raw.readinto(buffer)
        if self.is_body and size:
            self._budget.note_body(size)
        return size

    def close(self) -> None:
        """Give the socket back; it is closed when its connection is, too."""
        try:
            self._raw.close()
        finally:
            super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """Reads status line, headers and body through a `_BoundedFile`."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bounded: _BoundedFile | None = None
        budget = _CURRENT.get()
        if budget is not None:
            self._bounded = _BoundedFile(self.fp.detach(), sock, budget)
            self.fp = io.BufferedReader(self._bounded)

    def begin(self) -> None:
        """Read status line and headers, of interim answers too.

        http.client takes 102 and 103 for the answer, and the next request would get the real one.
        """
        super().begin()
        while 101 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first
            super().begin()
        if self._bounded is not None:
            self._bounded.is_body = True


class _BoundedConnection:
    """Mixed into a connection of urllib3."""

    response_class = _BoundedResponse
    sock: _Socket | None
    timeout: float | None
    auto_open: bool

    def connect(self) -> None:
        """Connect, by way of a proxy too, and shake hands."""
        budget = _CURRENT.get()
        if budget is None:
            super().connect()  # type: ignore[misc]  # the connection's
            return
        with budget.waiting(self.timeout, functools.partial(setattr, self, "timeout")):
            super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        """Send a part of the request."""
        budget = _CURRENT.get()
        if budget is None:
            super().send(data)  # type: ignore[misc]
            return
        if self.sock is None and self.auto_open:
            self.connect()
        sock = self.sock
        if sock is None:
            super().send(data)  # type: ignore[misc]  # which says that there is no connection
            return
        longest_s = sock.gettimeout()
        for piece in _pieces(data):
            with budget.waiting(longest_s, sock.settimeout):
                super().send(piece)  # type: ignore[misc]


def _pieces(data: Any) -> Iterator[Any]:
    if not isinstance(data, bytes | bytearray) or len(data) <= _SENT_BYTES:
        yield data
        return
    view = memoryview(data)
    for start in range(0, len(view), _SENT_BYTES):
        yield view[start : start + _SENT_BYTES]
