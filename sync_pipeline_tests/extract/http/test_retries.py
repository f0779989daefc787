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
