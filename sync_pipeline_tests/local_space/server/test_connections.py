"""Connections whose requests do not arrive, and requests under names that are not ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from uvicorn.server import ServerState

from sync_pipeline.local_space.server import connections
from sync_pipeline.local_space.server.connections import BoundedProtocol, ServerConfig
from sync_pipeline.local_space.server.launcher import running_space, stop_space
from sync_pipeline_tests.local_space.conftest import Api

WHOLE = b"GET /spaces HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
HEAD = b"PUT /spaces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\n"


class Task:
    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...


class Loop:
    """Timers that run when a test says so; requests that are never answered."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], list[bool]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        cancelled: list[bool] = []
        self.timers.append((self.now + delay, callback, cancelled))

        class Handle:
            def cancel(self) -> None:
                cancelled.append(True)

        return Handle()

    def create_task(self, work: Coroutine[Any, Any, None], **_: Any) -> Any:
        work.close()
        return Task()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback, cancelled in due:
            if not cancelled:
                callback()


class Transport(asyncio.Transport):
    """Remembers what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_open = True

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def unused(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request is answered here")


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def connect(loop: Loop) -> Callable[[], tuple[BoundedProtocol, Transport]]:
    config = ServerConfig(unused, http=BoundedProtocol, lifespan="off", log_level="critical")
    state = ServerState()

    def build() -> tuple[BoundedProtocol, Transport]:
        protocol = BoundedProtocol(config, state, {}, loop)  # type: ignore[arg-type]
        transport = Transport()
        protocol.connection_made(transport)
        return protocol, transport

    return build


Connect = Callable[[], tuple[BoundedProtocol, Transport]]


@pytest.mark.parametrize(
    "parts",
    [[], [b"G"], [b"GET / HTTP/1.1\r\n"], [b"GET / HTTP/1.1\r\nhost: 1", b"27.0.0.1\r\n", b"a: b\r\n"],
     [b"\r\n", b"\r\n"]],
)  # fmt: skip
def test_a_head_that_does_not_arrive_ends_the_connection(
    connect: Connect, loop: Loop, parts: list[bytes]
) -> None:
    protocol, transport = connect()
    for part in parts:
        loop.wait(1.0)
        protocol.data_received(part)
    loop.wait(9.9 - len(parts))
    assert transport.is_open
    loop.wait(0.2)
    assert not transport.is_open, "each part does not begin the time anew"


def test_a_body_has_a_longer_time_as_long_as_it_goes_on(connect: Connect, loop: Loop) -> None:
    protocol, transport = connect()
    protocol.data_received(HEAD.replace(b"10", b"99"))
    for _ in range(13):
        loop.wait(9.0)
        protocol.data_received(b"x")
    assert transport.is_open
    loop.wait(4.0)
    assert not transport.is_open, "120 seconds in all"


def test_a_body_that_stops_ends_the_connection(connect: Connect, loop: Loop) -> None:
    protocol, transport = connect()
    protocol.data_received(HEAD + b"x")
    loop.wait(9.9)
    assert transport.is_open
    loop.wait(0.2)
    assert not transport.is_open


@pytest.mark.parametrize("parts", [[WHOLE], [WHOLE[:9], WHOLE[9:]], [HEAD, b"0123456789"]])
def test_a_request_that_has_arrived_has_all_time(
    connect: Connect, loop: Loop, parts: list[bytes]
) -> None:
    protocol, transport = connect()
    for part in parts:
        protocol.data_received(part)
    loop.wait(100_000.0)
    assert transport.is_open
    assert protocol.config.half_open == {}


def test_a_further_request_on_the_connection_has_its_time_too(connect: Connect, loop: Loop) -> None:
    protocol, transport = connect()
    protocol.data_received(WHOLE)
    protocol.cycle.response_complete = True
    loop.wait(1000.0)
    protocol.data_received(b"GET")
    loop.wait(9.0)
    assert transport.is_open
    loop.wait(2.0)
    assert not transport.is_open


@pytest.mark.parametrize(
    "line", [b"GET /" + b"x" * 1000, b"a: " + b"y" * 1000, b"a: b\r\n" * 200, b"z" * 1000]
)
def test_a_head_without_end_is_refused(connect: Connect, line: bytes) -> None:
    protocol, transport = connect()
    protocol.data_received(b"GET / HTTP/1.1\r\n" if not line.startswith(b"GET") else b"")
    sent = 0
    while transport.is_open and sent < 1_000_000:
        protocol.data_received(line)
        sent += len(line)
    assert sent < 100_000
    assert transport.sent.startswith(b"HTTP/1.1 400 ")


def test_a_long_body_is_no_long_head(connect: Connect) -> None:
    protocol, transport = connect()
    protocol.data_received(HEAD.replace(b"10", b"9000000") + b"x" * 500_000)
    protocol.data_received(b"x" * 500_000)
    assert transport.is_open


def test_the_oldest_of_many_half_open_requests_makes_room(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MAX_HALF_OPEN", 3)
    opened = [connect() for _ in range(3)]
    opened[0][0].data_received(WHOLE)
    opened[1][0].data_received(HEAD)
    opened += [connect() for _ in range(3)]
    assert [transport.is_open for _, transport in opened] == [True, False, False, True, True, True]
    assert len(opened[0][0].config.half_open) == 3


def test_a_connection_that_is_gone_is_forgotten(connect: Connect, loop: Loop) -> None:
    protocol, _ = connect()
    protocol.data_received(HEAD)
    protocol.connection_lost(None)
    assert protocol.config.half_open == {}
    loop.wait(1000.0)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "storage"
    stop_space(tmp_path / "storage")


@pytest.mark.slow
def test_a_server_answers_beside_hundreds_of_half_open_requests(storage: Path) -> None:
    with running_space(storage) as url:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        stalled = []
        for _ in range(600):
            connection = socket.create_connection(address)
            connection.sendall(HEAD)
            stalled.append(connection)
        with socket.create_connection(address) as asking:
            asking.sendall(
                b"GET /spaces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n"
            )
            assert asking.recv(1000).startswith(b"HTTP/1.1 200 ")
        for connection in stalled[:300]:
            connection.settimeout(20)
            with suppress(ConnectionResetError):
                assert connection.recv(10) == b""
        assert stop_space(storage), "which does not wait for them, either"
        for connection in stalled:
            connection.close()


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("host", "127.0.0.1:8766", True),
        ("host", "localhost", True),
        ("host", "LOCALHOST:80", True),
        ("host", "space.localhost:8766", True),
        ("host", "[::1]:8766", True),
        ("host", "192.168.0.7:8766", True),
        ("host", "api.contentful.com", True),
        ("host", "upload.eu.contentful.com:443", True),
        ("host", "Named.example:8766", True),
        ("host", "localhost.", True),
        ("host", "evil.example:8766", False),
        ("host", "localhost.evil.example", False),
        ("host", "127.0.0.1.evil.example", False),
        ("host", "evilcontentful.com", False),
        ("host", "api.contentful.com.evil.example", False),
        ("host", "evil.example@127.0.0.1", True),
        ("host", "127.0.0.1@evil.example", False),
        ("host", "[::1", False),
        ("host", "", False),
        ("origin", "http://localhost:3000", True),
        ("origin", "http://127.0.0.1:8766", True),
        ("origin", "https://named.example", True),
        ("origin", "https://evil.example", False),
        ("origin", "null", False),
    ],
)
def test_only_names_of_this_machine_are_answered(
    open_space: Callable[..., Api], name: str, value: str, accepted: bool
) -> None:
    api = open_space(allowed_hosts=["named.example"])
    for path in ("/entries", "!/_local/health"):
        reply = api.call("GET", path, headers={name: value})
        assert reply.status == (200 if accepted else 403)
        if not accepted:
            assert reply.error[1] == "AccessDenied"
            assert "--allow-host" in str(reply.error[2])


def test_a_refused_name_writes_nothing(things: Api) -> None:
    body = {"fields": {"name": {"en-US": "a"}}}
    headers = {"host": "evil.example"}
    reply = things.call("PUT", "/entries/e", body, content_type="thing", headers=headers)
    assert reply.status == 403
    assert things.get("/entries").body["total"] == 0


@pytest.mark.parametrize("token", ["geheimnis-ä", "voilà", "秘密", "plain"])
def test_a_token_beyond_ascii_is_compared(open_space: Callable[..., Api], token: str) -> None:
    api = open_space(token=token)
    api.token = None
    for header, status in (
        (f"Bearer {token}", 200),
        ("Bearer \u00e9\u00ff", 401),
        ("Bearer other", 401),
    ):
        assert api.call("GET", "/entries", headers={"authorization": header}).status == status
    assert api.get("/entries", access_token=token).status == 200
    assert api.get("/entries", access_token="ä").status == 401


def test_a_token_that_no_text_can_be_matches_nothing(open_space: Callable[..., Api]) -> None:
    api = open_space(token="\udcff")
    assert api.get("/entries").status == 401


def test_any_text_is_a_token_where_none_was_chosen(api: Api) -> None:
    api.token = "\u00e9"
    assert api.get("/entries").status == 200
