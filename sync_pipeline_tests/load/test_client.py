from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import responses
from pydantic import SecretStr
from requests.exceptions import SSLError
from urllib3.exceptions import MaxRetryError

from sync_pipeline.errors import EnvironmentVariableError, LeaseLostError, SpaceError
from sync_pipeline.load import connections
from sync_pipeline.load.client import (
    MAX_ATTEMPTS,
    SpaceClient,
    SpaceSettings,
)
from sync_pipeline.load.rate_limit import MAX_WAIT_S
from sync_pipeline_tests.load.conftest import FakeTime, settings_for
from sync_pipeline_tests.load.small_space import Fault, SpaceState, error

BASE = "https://cma.test"
ENTRY = f"{BASE}/spaces/s1/environments/master/entries/e1"


class RecordingLimit:
    def __init__(self) -> None:
        self.acquired = 0
        self.pushed: list[float] = []

    def acquire(self) -> None:
        self.acquired += 1

    def push_back(self, seconds: float) -> None:
        self.pushed.append(seconds)


@pytest.fixture
def limiter() -> RecordingLimit:
    return RecordingLimit()


@pytest.fixture
def remote(fake_time: FakeTime, limiter: RecordingLimit):
    with (
        responses.RequestsMock(assert_all_requests_are_fired=True) as answers,
        SpaceClient(
            settings_for(BASE), limiter=limiter, sleep=fake_time.sleep, jitter=lambda: 0.5
        ) as client,
    ):
        yield client, answers


def read(client: SpaceClient):
    return client.request("GET", "/entries/e1")


def patch(client: SpaceClient):
    return client.request(
        "PATCH", "/entries/e1", json=[{"op": "add"}], headers={"X-Contentful-Version": "3"}
    )


def test_a_request_carries_token_and_media_type(remote) -> None:
    client, answers = remote
    answers.put(ENTRY, json={"sys": {"id": "e1"}}, status=201)
    answers.patch(ENTRY, json={"sys": {"id": "e1"}})
    client.request(
        "PUT", "/entries/e1", json={"fields": {}}, headers={"X-Contentful-Content-Type": "t"}
    )
    patch(client)
    put, patched = (call.request for call in answers.calls)
    assert put.headers["Authorization"] == "Bearer token-secret"
    assert put.headers["Content-Type"] == "application/vnd.contentful.management.v1+json"
    assert put.headers["X-Contentful-Content-Type"] == "t"
    assert patched.headers["Content-Type"] == "application/json-patch+json"
    assert patched.headers["X-Contentful-Version"] == "3"


def test_values_are_sent_as_utf8(remote) -> None:
    client, answers = remote
    answers.put(ENTRY, json={"sys": {}})
    client.request("PUT", "/entries/e1", json={"fields": {"t": {"en": "äö 漢"}}})
    assert "äö 漢".encode() in answers.calls[0].request.body


@pytest.mark.parametrize("value", [float("nan"), "\ud800"], ids=["NaN", "half a character"])
def test_what_json_cannot_hold_is_not_sent(remote, value: Any) -> None:
    client, _ = remote
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        client.request("PUT", "/entries/e1", json={"v": value})
    assert client.requests == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", ["", "<html>bad gateway</html>", '{"sys":{"id":"ServerError"}}'])
def test_a_read_is_repeated_after_a_server_error(remote, fake_time, status: int, body: str) -> None:
    client, answers = remote
    answers.get(ENTRY, body=body, status=status)
    answers.get(ENTRY, body=body, status=status)
    answers.get(ENTRY, json={"sys": {"id": "e1"}})
    assert read(client).is_ok
    assert client.requests == 3
    assert fake_time.slept == pytest.approx([0.6, 0.5 * 2**0.5 + 0.1])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_met_a_server_error_comes_back_as_ambiguous(remote, status: int) -> None:
    client, answers = remote
    answers.patch(ENTRY, body="", status=status)
    answer = patch(client)
    assert (answer.status, answer.is_ambiguous, answer.is_ok) == (status, True, False)
    assert answer.error_id == f"HTTP {status}"


def test_a_write_whose_answer_broke_in_tls_comes_back_as_ambiguous(remote) -> None:
    client, answers = remote
    damaged = SSLError(MaxRetryError(None, ENTRY, ssl.SSLError("bad record mac")))  # type: ignore[arg-type]
    answers.patch(ENTRY, body=damaged)
    answer = patch(client)
    assert (answer.is_ambiguous, answer.message) == (True, "TLS error")
    assert client.requests == 1


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        pytest.param({"X-Contentful-RateLimit-Reset": "1"}, 1.0, id="reset"),
        pytest.param({"X-Contentful-RateLimit-Reset": "437"}, 437.0, id="hourly"),
        pytest.param({"Retry-After": "2"}, 2.0, id="retry-after"),
        pytest.param(
            {"X-Contentful-RateLimit-Reset": "1", "Retry-After": "3"}, 3.0, id="the longer one"
        ),
        pytest.param({"X-Contentful-RateLimit-Reset": "99999"}, MAX_WAIT_S, id="bounded"),
        pytest.param({"X-Contentful-RateLimit-Reset": "0"}, 0.6, id="zero"),
        pytest.param({"X-Contentful-RateLimit-Reset": "soon"}, 0.6, id="not a number"),
        pytest.param({}, 0.6, id="nothing said"),
    ],
)
@pytest.mark.parametrize("send", [read, patch], ids=["read", "write"])
def test_a_429_is_waited_for_and_repeated(
    remote, fake_time, limiter, headers: dict[str, str], waits: float, send
) -> None:
    client, answers = remote
    method = "GET" if send is read else "PATCH"
    answers.add(method, ENTRY, json=error("RateLimitExceeded"), status=429, headers=headers)
    answers.add(method, ENTRY, json={"sys": {"id": "e1"}})
    assert send(client).is_ok
    assert limiter.pushed == pytest.approx([waits])
    assert fake_time.slept == pytest.approx([waits + 0.1])
    assert limiter.acquired == 2


def test_a_rate_limit_is_told_of_once_with_the_variable_that_sets_ours(
    remote, caplog: pytest.LogCaptureFixture
) -> None:
    client, answers = remote
    for _ in range(3):
        answers.get(ENTRY, json=error("RateLimitExceeded"), status=429)
    answers.get(ENTRY, json={"sys": {"id": "e1"}})
    with caplog.at_level(logging.INFO, logger="sync_pipeline.load"):
        assert read(client).is_ok
    told = [record.getMessage() for record in caplog.records if "429" in record.getMessage()]
    assert len(told) == 1
    assert "CONTENTFUL_RATE_LIMIT" in told[0]


def test_a_limit_that_never_ends_stops_the_run(remote) -> None:
    client, answers = remote
    answers.get(ENTRY, json=error("RateLimitExceeded"), status=429)
    with pytest.raises(SpaceError, match="CONTENTFUL_RATE_LIMIT"):
        read(client)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(401, error("AccessTokenInvalid"), "CONTENTFUL_MANAGEMENT_TOKEN", id="401"),
        pytest.param(
            403, error("AccessDenied", "Plan limit"), r"Plan limit.*CONTENTFUL_MANAGEMENT_TOKEN",
            id="403",
        ),
        pytest.param(403, None, "403 HTTP 403", id="403 of a proxy"),
        pytest.param(301, None, "CONTENTFUL_CMA_URL", id="redirect"),
    ],
)  # fmt: skip
def test_what_concerns_the_whole_run_stops_it_at_once(
    remote, status: int, body: Any, expected: str
) -> None:
    client, answers = remote
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    answers.get(ENTRY, body=text or "", status=status, headers={"Location": "https://evil.test"})
    with pytest.raises(SpaceError, match=expected) as caught:
        read(client)
    assert caught.value.exit_code == 3
    assert caught.value.status == status
    assert client.requests == 1
    with pytest.raises(SpaceError, match=expected):
        read(client)
    assert client.requests == 1


@pytest.mark.parametrize(
    ("space_status", "environment_status", "variable"),
    [(404, None, "CONTENTFUL_SPACE_ID"), (200, 404, "CONTENTFUL_ENVIRONMENT_ID")],
    ids=["space", "environment"],
)
def test_an_unknown_space_or_environment_names_the_variable(
    remote, space_status: int, environment_status: int | None, variable: str
) -> None:
    client, answers = remote
    answers.get(ENTRY, json=error("NotFound"), status=404)
    answers.get(f"{BASE}/spaces/s1", json=error("NotFound"), status=space_status)
    if environment_status:
        answers.get(f"{BASE}/spaces/s1/environments/master", json=error("NotFound"), status=404)
    with pytest.raises(SpaceError, match=variable):
        read(client)


def test_a_missing_entry_is_an_answer_and_asked_about_no_further(remote) -> None:
    client, answers = remote
    missing = error("NotFound", type="Entry", id="e1")
    answers.get(ENTRY, json=missing, status=404)
    assert read(client).status == 404
    assert client.requests == 1


def test_a_bare_404_in_a_known_space_is_an_answer(remote) -> None:
    client, answers = remote
    answers.get(ENTRY, json=error("NotFound"), status=404)
    answers.get(f"{BASE}/spaces/s1", json={"sys": {}})
    answers.get(f"{BASE}/spaces/s1/environments/master", json={"sys": {}})
    assert read(client).status == 404
    assert read(client).status == 404
    assert client.requests == 4


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_refusals_of_one_request_are_answers(remote, status: int) -> None:
    client, answers = remote
    answers.patch(ENTRY, json=error("Whatever"), status=status)
    answer = patch(client)
    assert (answer.status, answer.error_id, answer.is_ambiguous) == (status, "Whatever", False)
    assert client.requests == 1


def test_a_conflict_without_message_or_details_is_read(remote) -> None:
    client, answers = remote
    answers.patch(
        ENTRY, json={"sys": {"type": "Error", "id": "VersionMismatch"}, "requestId": "r"},
        status=409, headers={"X-Contentful-Request-Id": "abc"},
    )  # fmt: skip
    answer = patch(client)
    assert (answer.error_id, answer.message, answer.problems) == ("VersionMismatch", "", ())
    assert answer.request_id == "abc"


def test_the_query_is_encoded(remote) -> None:
    client, answers = remote
    answers.get(f"{BASE}/spaces/s1/environments/master/entries", json={"items": []})
    client.request("GET", "/entries", params={"fields.a.en[in]": "x&y,ü"})
    assert answers.calls[0].request.url.endswith("?fields.a.en%5Bin%5D=x%26y%2C%C3%BC")


def test_the_log_has_no_values_and_no_token(remote, caplog) -> None:
    client, answers = remote
    answers.patch(ENTRY, json={"sys": {}}, headers={"X-Contentful-Request-Id": "rid-1"})
    with caplog.at_level(logging.DEBUG, "sync_pipeline.load"):
        client.request("PATCH", "/entries/e1", params={"q": "private"}, json=[{"value": "private"}])
    (record,) = (r for r in caplog.records if r.name == "sync_pipeline.load")
    text = record.getMessage()
    assert "PATCH /entries/e1 query=q status=200" in text
    assert "rid-1" in text
    assert "private" not in text
    assert "token-secret" not in text


def test_settings_do_not_show_the_token() -> None:
    assert "token-secret" not in repr(settings_for(BASE))


def test_a_netrc_file_does_not_replace_the_token(monkeypatch, tmp_path, fake_time) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine cma.test login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with responses.RequestsMock() as answers, SpaceClient(settings_for(BASE)) as client:
        answers.get(ENTRY, json={"sys": {}})
        read(client)
        assert answers.calls[0].request.headers["Authorization"] == "Bearer token-secret"


@pytest.mark.parametrize(
    "url", ["", "cma.test", "ftp://cma.test", "https://", "http://[x", "http://u:secret@h:port"]
)
def test_a_base_url_that_is_none_is_refused_before_any_request(url: str) -> None:
    with pytest.raises(EnvironmentVariableError, match="CONTENTFUL_CMA_URL") as caught:
        SpaceClient(settings_for(url))
    assert "secret" not in str(caught.value)


def test_a_base_url_with_a_password_does_not_show_it() -> None:
    settings = settings_for("https://user:pass@cma.test/")
    with SpaceClient(settings) as client:
        assert "pass" not in client.space_text
        assert "https://cma.test" in client.space_text


def test_a_refused_connection_is_repeated_for_writes_too_and_then_given_up(
    fake_time: FakeTime,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            SpaceClient(settings_for(url), sleep=fake_time.sleep) as client,
            pytest.raises(SpaceError, match=r"cannot be reached.*connection refused"),
        ):
            patch(client)
        assert client.requests == MAX_ATTEMPTS
        assert sum(fake_time.slept) < 30


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_reset_makes_a_write_ambiguous_and_is_repeated_for_a_read(
    client: SpaceClient, space: SpaceState, after: bool
) -> None:
    space.add_entry("e1", {"price": {"en-US": 1}})
    space.faults = lambda r: Fault(after=after) if len(space.requests) < 3 else None
    body = [{"op": "replace", "path": "/fields/price/en-US", "value": 2}]
    answer = client.request(
        "PATCH", "/entries/e1", json=body, headers={"X-Contentful-Version": "2"}
    )
    assert answer.is_ambiguous
    assert answer.error_id == "ConnectionBroken"
    assert read(client).mapping["fields"]["price"]["en-US"] == (2 if after else 1)
    assert client.requests == 3


def test_a_timeout_makes_a_write_ambiguous(fake_time: FakeTime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with SpaceClient(settings_for(url, timeout_s=0.05), sleep=fake_time.sleep) as client:
            answer = patch(client)
    assert (answer.is_ambiguous, answer.message) == (True, "timeout")


DRIPS = {
    "status line": (b"HTTP/1.1 200", b" "),
    "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
    "body of a refusal": (b"HTTP/1.1 422 No\r\nContent-Length: 9999\r\n\r\n", b" "),
}


@contextmanager
def dripping_server(before: bytes, drop: bytes) -> Iterator[str]:
    """Answers each request with drops, until the client hangs up."""
    ended = threading.Event()

    def drip(conn: socket.socket) -> None:
        with conn, suppress(OSError):
            conn.recv(65536)
            conn.sendall(before)
            while not ended.wait(0.01):
                conn.sendall(drop)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()


@pytest.mark.parametrize("kind", DRIPS)
def test_a_space_that_drips_holds_nobody_for_ever(fake_time: FakeTime, kind: str) -> None:
    with dripping_server(*DRIPS[kind]) as url:
        settings = settings_for(url, max_seconds=0.1)
        with SpaceClient(settings, sleep=fake_time.sleep) as client:
            answer = patch(client)
            assert answer.is_ambiguous
            assert answer.message == "not answered in full within 0.1 s"
            with pytest.raises(SpaceError, match=r"3 times \(not answered in full within 0\.1 s"):
                read(client)
            assert client.requests == 1 + 3, "each of them may cost minutes"


def test_an_answer_without_end_is_left(
    client: SpaceClient, space: SpaceState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_ANSWER_BYTES", 10_000)
    monkeypatch.setattr(connections, "_READ_BYTES", 1_000)
    space.add_entry("e1", {})
    space.faults = lambda _: Fault(200, raw=b" " * 20_000) if len(space.requests) == 1 else None
    assert read(client).is_ok
    space.faults = lambda _: Fault(200, raw=b" " * 20_000)
    assert patch(client).message == "an answer of more than 10,000 bytes"


def test_a_space_that_takes_no_writes_counts_as_down_though_it_answers_reads(
    space: SpaceState, fake_time: FakeTime
) -> None:
    space.faults = lambda request: None if request.method == "GET" else Fault(503)
    space.add_entry("e1", {})
    with SpaceClient(settings_for(space.url, concurrency=1), sleep=fake_time.sleep) as client:
        for _ in range(59):
            assert patch(client).is_ambiguous
            assert read(client).is_ok
        with pytest.raises(SpaceError, match="60 times in a row to write"):
            patch(client)


@pytest.mark.parametrize(("in_flight", "failures"), [(1, 60), (8, 144), (32, 576)])
def test_a_space_counts_as_down_when_it_outlasts_the_attempts_of_all_requests_in_flight(
    space: SpaceState, fake_time: FakeTime, in_flight: int, failures: int
) -> None:
    space.faults = lambda _: Fault(500)
    settings = settings_for(space.url, concurrency=in_flight)
    with SpaceClient(settings, sleep=fake_time.sleep) as client:
        for _ in range(failures - 1):
            assert patch(client).is_ambiguous
        with pytest.raises(SpaceError, match=f"{failures} times in a row"):
            patch(client)


def test_each_thread_has_a_connection_of_its_own_and_keeps_it(
    client: SpaceClient, space: SpaceState
) -> None:
    space.add_entry("e1", {})
    together = threading.Barrier(4, timeout=5)

    def work() -> None:
        together.wait()
        for _ in range(5):
            assert read(client).is_ok

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.requests == 20
    assert 1 <= len(client._sessions._idle) <= 4


def test_settings_are_frozen() -> None:
    settings = SpaceSettings(space_id="s", token=SecretStr("t"))
    with pytest.raises(AttributeError):
        settings.space_id = "x"  # type: ignore[misc]


@pytest.mark.parametrize(("method", "is_asked"), [("GET", False), ("PUT", True), ("DELETE", True)])
def test_whoever_may_not_write_any_more_sends_no_request_that_changes_the_space(
    space, fake_time, method: str, is_asked: bool
) -> None:
    asked: list[str] = []

    def may_write() -> None:
        asked.append(method)
        raise LeaseLostError("another is at work")

    with SpaceClient(settings_for(space.url), sleep=fake_time.sleep, may_write=may_write) as client:
        if is_asked:
            with pytest.raises(LeaseLostError):
                client.request(method, "/entries/x", json={"fields": {}})
        else:
            client.request(method, "/entries/x")
    assert bool(asked) is is_asked
