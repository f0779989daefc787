"""A server that keeps a request going, byte by byte, is given up; one that is only slow is not.

The clock of these tests ticks when it is looked at, and each tick lets the server send the next
piece: time passes only while somebody waits, and no test does.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
import requests
import trustme

from sync_pipeline.deadline import BoundedAdapter, TimeBudget, TookTooLongError

OK = b"HTTP/1.1 200 OK\r\n"
PATIENCE_S = 20.0


class Ticks:
    """A clock that goes on by a second a look, and lets a server send a piece."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pieces = threading.Semaphore(0)

    def __call__(self) -> float:
        self.now += 1.0
        self.pieces.release()
        return self.now


Speaks = Callable[[socket.socket, Callable[[], None]], None]


@contextmanager
def server(speaks: Speaks, ticks: Ticks, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that lets a function speak on each connection; gives its address."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def tick() -> None:
        while not ticks.pieces.acquire(timeout=0.05):
            if ended.is_set():
                raise ConnectionAbortedError

    def serve(plain: socket.socket) -> None:
        with suppress(OSError):
            conn = tls.wrap_socket(plain, server_side=True) if tls else plain
            with conn:
                speaks(conn, tick)

    def accept() -> None:
        with suppress(OSError):
            while True:
                conn, _ = listener.accept()
                conn.settimeout(PATIENCE_S)
                threads.append(threading.Thread(target=serve, args=(conn,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def read_head(conn: socket.socket) -> bytes:
    """A request's head; b"" where the other side has hung up."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = conn.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def dripping(before: bytes, drop: bytes) -> Speaks:
    """Say something, then one drop a tick, for ever."""

    def speaks(conn: socket.socket, tick: Callable[[], None]) -> None:
        read_head(conn)
        conn.sendall(before)
        while True:
            tick()
            conn.sendall(drop)

    return speaks


def in_pieces(head: bytes, pieces: int, piece: bytes) -> Speaks:
    """So many pieces, one a tick; then the connection ends."""

    def speaks(conn: socket.socket, tick: Callable[[], None]) -> None:
        read_head(conn)
        conn.sendall(head)
        for _ in range(pieces):
            tick()
            conn.sendall(piece)

    return speaks


def session() -> requests.Session:
    opened = requests.Session()
    opened.trust_env = False
    opened.mount("http://", BoundedAdapter())
    opened.mount("https://", BoundedAdapter())
    return opened


def get(url: str, budget: TimeBudget, **options: object) -> requests.Response:
    with session() as opened, budget:
        return opened.get(url, timeout=PATIENCE_S, **options)  # type: ignore[arg-type]


ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "one header": (OK + b"X-Wait: ", b"a"),
    "headers": (OK, b"X-W:\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "body of a known length": (OK + b"Content-Length: 1000000\r\n\r\n", b" "),
    "body until the end": (OK + b"Connection: close\r\n\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "length of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "extension of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"y"),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: ", b"t"),
    "body of a refusal": (b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "faster, but too slow": (OK + b"Content-Length: 9000000\r\n\r\n", b" " * 300),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_drips_is_given_up(kind: str) -> None:
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    before, drop = ENDLESS[kind]
    with (
        server(dripping(before, drop), ticks) as host,
        pytest.raises(requests.RequestException) as caught,
    ):
        get(f"http://{host}/", budget)
    assert budget.is_used_up
    assert is_caused_by(caught.value, TookTooLongError)


def is_caused_by(err: BaseException | None, kind: type[BaseException]) -> bool:
    while err is not None and not isinstance(err, kind):
        err = err.__cause__ or err.__context__
    return err is not None


@pytest.mark.parametrize(
    "head",
    [OK + b"Content-Length: 409600\r\n\r\n", OK + b"Connection: close\r\n\r\n"],
    ids=["of a known length", "until the end"],
)
def test_a_large_body_may_take_as_long_as_it_comes_steadily(head: bytes) -> None:
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    with server(in_pieces(head, 200, b" " * 2048), ticks) as host:
        assert len(get(f"http://{host}/", budget).content) == 409_600
    assert ticks.now > 100, "it took longer than the total"
    assert not budget.is_used_up


def test_what_the_reader_does_between_two_reads_does_not_count() -> None:
    ticks = Ticks()
    budget = TimeBudget(100, clock=ticks)
    head = OK + b"Content-Length: 30\r\n\r\n"
    with server(in_pieces(head, 30, b" "), ticks) as host, session() as opened:
        with budget:
            response = opened.get(f"http://{host}/", timeout=PATIENCE_S, stream=True)
        body = b""
        while piece := response.raw.read(1):
            body += piece
            ticks.now += 1_000
        assert len(body) == 30
    assert not budget.is_used_up


def test_the_budget_holds_for_a_body_that_is_read_later_and_in_another_thread() -> None:
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    before, drop = ENDLESS["body of a known length"]
    with server(dripping(before, drop), ticks) as host, session() as opened:
        with budget:
            response = opened.get(f"http://{host}/", timeout=PATIENCE_S, stream=True)
        with ThreadPoolExecutor(1) as executor:
            reading = executor.submit(lambda: response.content)
            assert isinstance(reading.exception(), requests.ConnectionError)
    assert budget.is_used_up


def test_redirects_share_one_budget() -> None:
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    asked: list[bytes] = []

    def speaks(conn: socket.socket, _tick: Callable[[], None]) -> None:
        while head := read_head(conn):
            asked.append(head)
            conn.sendall(b"HTTP/1.1 302 Go\r\nLocation: /on\r\nContent-Length: 0\r\n\r\n")

    with server(speaks, ticks) as host, pytest.raises(requests.RequestException):
        get(f"http://{host}/", budget)
    assert budget.is_used_up
    assert 1 < len(asked) < 30


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority


def test_tls_works_as_ever(tls: tuple[ssl.SSLContext, trustme.CA]) -> None:
    context, authority = tls
    ticks = Ticks()
    budget = TimeBudget(100, clock=ticks)
    head = OK + b"Content-Length: 100000\r\n\r\n"
    with (
        server(in_pieces(head, 100, b"x" * 1000), ticks, tls=context) as host,
        authority.cert_pem.tempfile() as trusted,
    ):
        assert get(f"https://{host}/", budget, verify=trusted).content == b"x" * 100_000


def test_a_certificate_is_checked_as_ever(tls: tuple[ssl.SSLContext, trustme.CA]) -> None:
    ticks = Ticks()
    with (
        server(in_pieces(OK + b"Content-Length: 1\r\n\r\n", 1, b"x"), ticks, tls=tls[0]) as host,
        pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        get(f"https://{host}/", TimeBudget(100, clock=ticks))


@pytest.mark.parametrize("kind", ["one header", "body of a known length", "chunks"])
def test_an_answer_that_drips_through_tls_is_given_up(
    tls: tuple[ssl.SSLContext, trustme.CA], kind: str
) -> None:
    context, authority = tls
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    with (
        server(dripping(*ENDLESS[kind]), ticks, tls=context) as host,
        authority.cert_pem.tempfile() as trusted,
        pytest.raises(requests.RequestException),
    ):
        get(f"https://{host}/", budget, verify=trusted)
    assert budget.is_used_up


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_drips_is_given_up(scheme: str) -> None:
    ticks = Ticks()
    budget = TimeBudget(20, clock=ticks)
    with (
        server(dripping(OK + b"X-Wait: ", b"a"), ticks) as proxy,
        pytest.raises(requests.RequestException),
    ):
        get(f"{scheme}://example.invalid/", budget, proxies={scheme: f"http://{proxy}"})
    assert budget.is_used_up


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_server_that_does_not_read_the_request_is_given_up(
    tls: tuple[ssl.SSLContext, trustme.CA], is_tls: bool
) -> None:
    ended = threading.Event()

    def speaks(conn: socket.socket, _tick: Callable[[], None]) -> None:
        read_head(conn)
        ended.wait(PATIENCE_S)

    budget = TimeBudget(0.3)  # the socket's own timeout has to end this one
    context, authority = tls
    with (
        server(speaks, Ticks(), tls=context if is_tls else None) as host,
        authority.cert_pem.tempfile() as trusted,
        session() as opened,
        budget,
    ):
        url = f"{'https' if is_tls else 'http'}://{host}/"
        with pytest.raises(requests.RequestException):
            opened.post(url, data=bytes(32 * 1024**2), timeout=PATIENCE_S, verify=trusted)
        ended.set()
    assert budget.is_used_up


def test_a_silent_server_meets_the_timeout_of_a_read_and_not_the_budget() -> None:
    ended = threading.Event()

    def speaks(conn: socket.socket, _tick: Callable[[], None]) -> None:
        read_head(conn)
        ended.wait(PATIENCE_S)

    budget = TimeBudget(1_000)
    with server(speaks, Ticks()) as host, session() as opened, budget:
        with pytest.raises(requests.exceptions.ReadTimeout):
            opened.get(f"http://{host}/", timeout=0.05)
        ended.set()
    assert not budget.is_used_up


def test_a_connection_is_used_again_and_each_request_has_its_own_budget() -> None:
    connections: list[socket.socket] = []

    def speaks(conn: socket.socket, _tick: Callable[[], None]) -> None:
        connections.append(conn)
        while read_head(conn):
            conn.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    ticks = Ticks()
    with server(speaks, ticks) as host, session() as opened:
        for _ in range(30):
            with TimeBudget(8, clock=ticks):
                assert opened.get(f"http://{host}/", timeout=PATIENCE_S).text == "ok"
        assert opened.get(f"http://{host}/", timeout=PATIENCE_S).text == "ok"
    assert len(connections) == 1


def test_threads_have_budgets_of_their_own_and_none_is_started() -> None:
    ticks, drips = Ticks(), Ticks()
    head = OK + b"Content-Length: 20000\r\n\r\n"
    before = threading.active_count()
    with (
        server(in_pieces(head, 20, b" " * 1000), ticks) as good,
        server(dripping(*ENDLESS["one header"]), drips) as bad,
        ThreadPoolExecutor(4) as executor,
    ):
        budgets = [TimeBudget(40, clock=drips) for _ in range(3)]
        asking = [executor.submit(get, f"http://{bad}/", budget) for budget in budgets]
        fine = TimeBudget(100, clock=ticks)
        assert len(executor.submit(get, f"http://{good}/", fine).result().content) == 20_000
        assert all(isinstance(a.exception(), requests.RequestException) for a in asking)
    assert [budget.is_used_up for budget in (*budgets, fine)] == [True, True, True, False]
    assert threading.active_count() == before


def test_interim_answers_are_passed_over() -> None:
    def speaks(conn: socket.socket, _tick: Callable[[], None]) -> None:
        number = 0
        while read_head(conn):
            number += 1
            for interim in (b"100 Continue", b"102 Processing", b"103 Early Hints"):
                conn.sendall(b"HTTP/1.1 " + interim + b"\r\nLink: </a>\r\n\r\n")
            conn.sendall(OK + b"Content-Length: 1\r\n\r\n%d" % number)

    with server(speaks, Ticks()) as host, session() as opened:
        for expected in ("1", "2", "3"):
            with TimeBudget(60):
                answer = opened.get(f"http://{host}/", timeout=PATIENCE_S)
            assert (answer.status_code, answer.text) == (200, expected)


def test_a_nested_wait_is_counted_once() -> None:
    now = [0.0]
    budget = TimeBudget(100, clock=lambda: now[0])
    limits: list[float | None] = []
    with budget.waiting(None, limits.append):
        now[0] += 10
        with budget.waiting(30, limits.append):
            now[0] += 5
    assert budget.left_s == 85
    assert limits == [100, 30, None], "the outer wait gets its own timeout back"


def test_no_wait_is_begun_when_nothing_is_left() -> None:
    now = [0.0]
    budget = TimeBudget(5, clock=lambda: now[0])
    with budget.waiting(60, lambda _: None):
        now[0] += 6
    with pytest.raises(TookTooLongError, match="longer than 5 s"), budget.waiting(60, print):
        pass
    assert budget.is_used_up
