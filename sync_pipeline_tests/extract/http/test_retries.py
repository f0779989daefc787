"""What is tried again, when, and what is final."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import random
import socket
import ssl
import threading
from email.utils import formatdate

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.errors import SourceError
from sync_pipeline.extract.http.failures import describe_failure, is_final_tls_failure
from sync_pipeline.extract.http.retrying import (
    Attempts,
    RateLimit,
    RetryPolicy,
    TransientFailure,
    is_transient,
    read_retry_after,
)
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, pagination_of

NOW = 1_700_000_000.0


def failing_first(times, reply, then):
    """A route that answers with `reply` the first `times` requests."""
    left = {"n": times}

    def route(request):
        if left["n"]:
            left["n"] -= 1
            return reply
        return then(request)

    return route


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 529])
def test_a_status_that_may_pass_is_tried_again(status):
    slept = []
    with serve(failing_first(2, Reply(status=status), Catalogue(numbered(3)))) as api:
        assert fetch_all(config_of(api.url), sleep=slept.append) == numbered(3)
    assert slept == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 422, 451, 501, 505])
def test_a_status_that_stays_is_final(status):
    with serve(lambda _r: Reply({"message": "no such thing"}, status=status)) as api:
        with pytest.raises(SourceError) as caught:
            fetch_all(config_of(api.url))
    assert len(api.requests) == 1
    assert caught.value.status == status
    assert not caught.value.retryable
    assert str(status) in str(caught.value)
    assert "configs/things.yaml: GET http://127.0.0.1" in str(caught.value)
    assert 'it says: "no such thing"' in str(caught.value)


@pytest.mark.parametrize("status", [202, 206, 304, 300])
def test_an_answer_without_the_whole_data_is_an_error(status):
    with serve(lambda _r: Reply({"items": numbered(1)}, status=status)) as api:
        with pytest.raises(SourceError, match=f"status {status}"):
            fetch_all(config_of(api.url))


@pytest.mark.parametrize("style", ["offset", "page", "cursor", "next_url", "link_header"])
def test_a_page_may_say_that_it_is_a_part(style):
    """PostgREST (`Prefer: count=exact`) and others answer every page but the last with 206."""
    catalogue = Catalogue(numbered(25), style)

    def route(request):
        reply = catalogue(request)
        return Reply(
            reply.body, status=206 if len(api.requests) < 3 else 200, headers=reply.headers
        )

    with serve(route) as api:
        found = fetch_all(config_of(api.url, pagination=pagination_of(style)))
    assert found == numbered(25)


@pytest.mark.parametrize(
    ("said", "is_whole"),
    [("0-2/3", True), ("items 0-2/3", True), ("*/0", True), (None, False), ("0-2/*", False),
     ("items 0-2/66", False), ("3-5/6", False), ("nonsense", False), ("0-2/" + "9" * 50, False)],
)  # fmt: skip
def test_a_part_is_not_taken_for_the_whole(said, is_whole):
    headers = {"Content-Range": said} if said else {}
    with serve(lambda _r: Reply({"items": numbered(3)}, status=206, headers=headers)) as api:
        if is_whole:
            assert fetch_all(config_of(api.url)) == numbered(3)
            return
        with pytest.raises(SourceError, match=r"status 206: a part.*Declare `pagination`"):
            fetch_all(config_of(api.url))


@pytest.mark.parametrize("style", [None, "offset"])
def test_who_asks_for_a_range_gets_no_more_than_that(style):
    block = pagination_of(style) if style else None
    with serve(lambda _r: Reply({"items": numbered(3)}, status=206)) as api:
        with pytest.raises(SourceError, match="status 206"):
            fetch_all(config_of(api.url, headers={"Range": "bytes=0-99"}, pagination=block))


@pytest.mark.parametrize("status", [204, 205])
def test_no_content_is_no_records(status):
    with serve(lambda _r: Reply(status=status)) as api:
        assert fetch_all(config_of(api.url)) == []
        assert fetch_all(config_of(api.url, pagination=pagination_of("offset"))) == []


def test_attempts_end_with_an_error_that_says_that_nothing_is_lost():
    slept = []
    with serve(lambda _r: Reply(status=503)) as api:
        with pytest.raises(SourceError, match=r"status 503.*4 attempts.*Nothing.*lost") as caught:
            fetch_all(config_of(api.url, retries=3), sleep=slept.append)
    assert caught.value.retryable
    assert len(api.requests) == 4
    assert len(slept) == 3


def test_each_page_has_attempts_of_its_own_and_its_requests_are_counted():
    seen = set()
    catalogue = Catalogue(numbered(45))

    def route(request):
        if request.url in seen:
            return catalogue(request)
        seen.add(request.url)
        return Reply(status=500)

    with serve(route) as api:
        config = config_of(api.url, retries=1, pagination=pagination_of("offset"))
        with opened(config) as source:
            pages = list(source.fetch_pages())
    assert [page.requests for page in pages] == [2] * 6
    assert sum(len(page.records) for page in pages) == 45


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7.0), ("0", 0.0), (formatdate(NOW + 30, usegmt=True), 30.0),
     (formatdate(NOW - 30, usegmt=True), 0.0), ("soon", 0.5), ("-5", 0.0)],
    ids=["seconds", "zero", "date", "past date", "nonsense", "negative"],
)  # fmt: skip
def test_retry_after_is_obeyed(status, header, pause):
    slept = []
    reply = Reply(status=status, headers={"Retry-After": header})
    with serve(failing_first(1, reply, Catalogue(numbered(3)))) as api:
        fetch_all(config_of(api.url), sleep=slept.append, clock=lambda: NOW)
    assert slept == [pause]


WAITS = {
    "Retry-After": ({"Retry-After": "7"}, 7),
    "date": ({"Retry-After": formatdate(NOW + 9, usegmt=True)}, 9),
    "Unix time": ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 12:.0f}"}, 12),
    "Unix time in ms": ({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": f"{NOW + 5:.0f}000"}, 5),
    "seconds": ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30),
    "one header": ({"RateLimit": '"default";r=0;t=8'}, 8),
    "older spelling": ({"RateLimit": "limit=100, remaining=0, reset=11"}, 11),
    "both": ({"Retry-After": "2", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "50"}, 2),
}  # fmt: skip


@pytest.mark.parametrize("status", [403, 413, 429, 503])
@pytest.mark.parametrize(("headers", "pause"), WAITS.values(), ids=list(WAITS))
def test_who_says_when_to_come_back_is_asked_again_then(status, headers, pause):
    slept = []
    reply = Reply({"message": "slow down"}, status=status, headers=headers)
    with serve(failing_first(1, reply, Catalogue(numbered(3)))) as api:
        config = config_of(api.url, pagination=pagination_of("offset"))
        assert fetch_all(config, sleep=slept.append, clock=lambda: NOW) == numbered(3)
    assert slept == [pause]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Retry-After": "soon"}, {"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30"},
     {"X-RateLimit-Remaining": "0"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "x"},
     {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW - 9:.0f}"},
     {"RateLimit": '"default";r=5;t=8'}, {"RateLimit": "r=0"}],
    ids=str,
)  # fmt: skip
def test_a_refusal_that_names_no_time_is_final(headers):
    with serve(lambda _r: Reply({"message": "no"}, status=403, headers=headers)) as api:
        with pytest.raises(SourceError, match="status 403"):
            fetch_all(config_of(api.url), clock=lambda: NOW)
    assert len(api.requests) == 1


def test_a_refusal_that_stays_tells_its_own_words_and_can_be_tried_later():
    reply = Reply({"message": "secondary rate limit"}, status=403, headers={"Retry-After": "1"})
    with serve(lambda _r: reply) as api:
        with pytest.raises(SourceError, match=r"403.*secondary rate limit.*3 attempts") as caught:
            fetch_all(config_of(api.url, retries=2))
    assert caught.value.retryable


def test_a_source_that_asks_to_wait_very_long_is_given_up():
    reply = Reply(status=429, headers={"Retry-After": "7200"})
    slept = []
    with serve(lambda _r: reply) as api:
        with pytest.raises(SourceError, match="asks to wait 7200 s"):
            fetch_all(config_of(api.url), sleep=slept.append)
    assert slept == []


@pytest.mark.parametrize(
    "value",
    ["", "nan", "inf", "1e999", "Mon, 99 Foo", f"Mon, 01 Jan 2026 00:00:00 +{10**15}", None],
)
def test_a_senseless_retry_after_is_none(value):
    assert read_retry_after(value, NOW) is None


@given(st.text())
def test_law_no_retry_after_raises_or_goes_back(text):
    seconds = read_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 20), st.integers(0, 2**32))
def test_law_pauses_are_spread_over_the_whole_of_a_growing_and_bounded_range(failures, seed):
    slept = []
    chance = random.Random(seed)
    attempts = Attempts(
        RetryPolicy(retries=20), log=_Silent(), sleep=slept.append, jitter=chance.random
    )
    for _ in range(failures):
        attempts.wait(TransientFailure("x"))
    assert all(0 <= pause <= min(60, 2.0**n) for n, pause in enumerate(slept))


class _Silent:
    def warning(self, *_args):
        pass


def test_progress_begins_the_count_again():
    attempts = Attempts(RetryPolicy(retries=1), log=_Silent(), sleep=lambda _s: None)
    for _ in range(5):
        attempts.wait(TransientFailure("x"))
        attempts.note_progress()
    attempts.wait(TransientFailure("x"))
    with pytest.raises(SourceError):
        attempts.wait(TransientFailure("x"))


def test_every_status_is_either_transient_or_final():
    transient = {status for status in range(600) if is_transient(status)}
    assert {408, 425, 429, 500, 503, 599} <= transient
    assert {status for status in range(600) if is_transient(status, 1.0)} - transient == {403, 413}
    assert not transient & {*range(400), 400, 401, 404, 501, 505}


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize("style", [None, "offset"])
@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_connection_that_dies_in_the_body_is_tried_again(style, cut):
    block = pagination_of(style) if style else None
    broken = Reply({"items": numbered(9)}, cut_after=cut)
    whole = Catalogue(numbered(9))
    with serve(failing_first(2, broken, whole)) as api:
        assert fetch_all(config_of(api.url, pagination=block)) == numbered(9)


def test_a_server_that_is_not_there_is_a_clear_error():
    with serve(lambda _r: Reply()) as api:
        pass
    slept = []
    with pytest.raises(
        SourceError, match=r"things\.yaml.*connection refused.*6 attempts"
    ) as caught:
        fetch_all(config_of(api.url + "/?key=s3cret"), sleep=slept.append)
    assert len(slept) == 5
    assert caught.value.retryable
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (socket.gaierror(-2, "Name or service not known"), "host name cannot be resolved"),
        (ConnectionRefusedError(111, "refused"), "connection refused"),
        (ConnectionResetError(104, "reset"), "the source closed the connection"),
        (TimeoutError("timed out"), "no answer within 5 s"),
        (urllib3.exceptions.ConnectTimeoutError(), "no connection within 5 s"),
        (urllib3.exceptions.IncompleteRead(1, 2), "ended too early"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "certificate is not valid"),
        (RuntimeError("http://host/?key=s3cret"), "ConnectionError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_is_told_by_its_innermost_cause_without_its_text(cause, text):
    retries = urllib3.exceptions.MaxRetryError(None, "/?key=s3cret", cause)
    reason = describe_failure(requests.ConnectionError(retries), 5)
    assert text in reason
    assert "s3cret" not in reason


@pytest.mark.parametrize(
    ("cause", "is_final"),
    [
        (ssl.SSLCertVerificationError(1, "self-signed"), True),
        (ssl.SSLError(1, "wrong version number"), True),
        (ssl.SSLEOFError(8, "EOF occurred"), False),
        (ConnectionResetError(104, "reset"), False),
    ],
    ids=["certificate", "protocol", "cut off", "reset"],
)
def test_a_tls_connection_is_tried_again_only_if_it_was_cut_off(cause, is_final):
    retries = urllib3.exceptions.MaxRetryError(None, "/", cause)
    assert is_final_tls_failure(requests.exceptions.SSLError(retries)) is is_final


def test_tls_that_fails_is_final():
    with serve(lambda _r: Reply()) as api:
        config = config_of(api.url.replace("http:", "https:"))
        slept = []
        with pytest.raises(SourceError, match=r"no secure connection.*TLS failed"):
            fetch_all(config, sleep=slept.append)
    assert slept == []


def test_redirects_without_end_are_final():
    with serve(lambda _r: Reply(status=302, headers={"Location": "/again"})) as api:
        with pytest.raises(SourceError, match="too many redirects"):
            fetch_all(config_of(api.url))


# ---------------------------------------------------------------- rate


def test_requests_are_spaced_evenly():
    time = {"now": 100.0}
    slept = []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        time["now"] += seconds

    rate = RateLimit(4, sleep=sleep, monotonic=lambda: time["now"])
    for busy in (0, 0, 0.1, 5, 0):
        time["now"] += busy
        rate.wait()
    assert slept == [0.25, 0.15, 0.25]


def test_the_configured_rate_is_kept_over_pages_and_retries():
    time = {"now": 100.0}

    def sleep(seconds):
        time["now"] += seconds

    with serve(failing_first(1, Reply(status=500), Catalogue(numbered(25)))) as api:
        config = config_of(api.url, requestsPerSecond=2, pagination=pagination_of("offset"))
        fetch_all(config, sleep=sleep, monotonic=lambda: time["now"], jitter=lambda: 0.0)
    assert time["now"] == pytest.approx(100 + (len(api.requests) - 1) * 0.5)


@pytest.mark.parametrize("style", [None, "offset"])
def test_a_source_that_hangs_is_given_up_after_its_timeout(style):
    release = threading.Event()

    def route(_request):
        release.wait(20)
        return Reply({"items": []})

    block = pagination_of(style) if style else None
    with serve(route) as api:
        try:
            with pytest.raises(
                SourceError, match=r"no answer within 0\.05 s \(timeoutS\)"
            ) as caught:
                fetch_all(config_of(api.url, timeoutS=0.05, retries=1, pagination=block))
        finally:
            release.set()
    assert caught.value.retryable
    assert len(api.requests) == 2
