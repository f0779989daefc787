"""What surrounds every request: token, headers, rate limit, sizes, faults, the lagging index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sync_pipeline.local_space.request import Request
from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline_tests.local_space.conftest import Api, Clock

BODY = {"fields": {"name": {"en-US": "a"}}}
RATE_LIMIT_MESSAGE = (
    "You have exceeded the rate limit of this Space by making too many API requests within a "
    "short timespan. Please wait a moment before trying the request again."
)
HEADERS = {
    "x-contentful-ratelimit-second-limit",
    "x-contentful-ratelimit-second-remaining",
    "x-contentful-ratelimit-hour-limit",
    "x-contentful-ratelimit-hour-remaining",
    "x-contentful-ratelimit-reset",
    "x-contentful-request-id",
}


@pytest.mark.parametrize(
    ("expected", "sent", "status"),
    [
        (None, "anything", 200),
        (None, "", 401),
        (None, None, 401),
        ("secret", "secret", 200),
        ("secret", "other", 401),
    ],
)
def test_a_token_is_needed(
    open_space: Callable[..., Api], expected: str | None, sent: str | None, status: int
) -> None:
    api = open_space(token=expected)
    api.token = sent
    reply = api.get("/entries")
    assert reply.status == status
    if status == 401:
        assert reply.body["sys"]["id"] == "AccessTokenInvalid"
        assert "secret" not in str(reply.body)


def test_the_token_may_come_as_a_parameter_but_not_as_another_scheme(api: Api) -> None:
    api.token = None
    assert api.get("/entries", access_token="x").status == 200
    assert api.call("GET", "/entries", headers={"authorization": "Basic eA=="}).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/entries", 200), ("GET", "/entries/x", 404), ("POST", "/entries", 400),
     ("DELETE", "/entries/e", 204), ("GET", "/nope", 404)],
)  # fmt: skip
def test_every_answer_carries_the_headers_of_the_service(
    things: Api, method: str, path: str, status: int
) -> None:
    things.put_entry("e", {"name": "a"})
    reply = things.call(method, path)
    assert reply.status == status
    assert set(reply.headers) >= HEADERS
    assert reply.headers["x-contentful-ratelimit-reset"] == "0"
    assert reply.headers["x-contentful-ratelimit-hour-limit"] == "36000"
    if status == 204:
        assert reply.raw == b""
        assert "content-type" not in reply.headers
    else:
        assert reply.headers["content-type"] == "application/vnd.contentful.management.v1+json"
    if status >= 400:
        assert reply.body["requestId"] == reply.headers["x-contentful-request-id"]


def test_request_ids_differ(api: Api) -> None:
    ids = {api.get("/entries").headers["x-contentful-request-id"] for _ in range(10)}
    assert len(ids) == 10


def test_no_second_holds_more_requests_than_the_limit(
    open_space: Callable[..., Api], clock: Clock
) -> None:
    api = open_space(rate_limit=3)
    first = [api.get("/entries") for _ in range(3)]
    assert [r.headers["x-contentful-ratelimit-second-remaining"] for r in first] == ["2", "1", "0"]
    refused = api.get("/entries")
    assert refused.error == (429, "RateLimitExceeded", RATE_LIMIT_MESSAGE)
    assert refused.headers["x-contentful-ratelimit-reset"] == "1"
    assert refused.headers["x-contentful-ratelimit-second-limit"] == "3"
    assert "retry-after" not in refused.headers
    clock.seconds += 0.999
    assert api.get("/entries").status == 429
    clock.seconds += 0.002
    assert api.get("/entries").status == 200


def test_a_limited_request_does_nothing(open_space: Callable[..., Api], clock: Clock) -> None:
    api = open_space(rate_limit=3)
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    assert api.call("PUT", "/entries/a", BODY, content_type="thing").status == 201
    assert api.call("PUT", "/entries/b", BODY, content_type="thing").status == 429
    clock.seconds += 2
    assert api.get("/entries").body["total"] == 1


def test_a_body_of_one_megabyte_passes_and_a_larger_one_does_not(things: Api) -> None:
    limit = 1024 * 1024
    reply = things.call("POST", "/entries", raw=b" " * (limit - 2) + b"{}", content_type="thing")
    assert reply.status == 201
    reply = things.call("POST", "/entries", raw=b" " * (limit - 1) + b"{}", content_type="thing")
    assert reply.status == 413


def test_a_uri_of_more_than_7600_characters_is_refused(api: Api) -> None:
    fixed = len("/spaces/local/environments/master/entries" + "sys.id[in]=")
    for length, status in ((7600, 200), (7601, 414)):
        query = "sys.id[in]=" + "x" * (length - fixed)
        assert api.call("GET", "/entries", query=query).status == status


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "status", "error_id"),
    [
        ("429", 429, "RateLimitExceeded"),
        ("409", 409, "VersionMismatch"),
        ("500", 500, "ServerError"),
        ("502", 502, "Hibernated"),
        ("503", 503, "ServerError"),
    ],
)
def test_an_injected_refusal_does_nothing(
    open_space: Callable[..., Api], fault: str, status: int, error_id: str
) -> None:
    def faults(request: Request) -> str | None:
        return fault if request.method == "PUT" and "/entries/" in request.path else None

    api = open_space(faults=faults)
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    reply = api.call("PUT", "/entries/a", BODY, content_type="thing")
    assert (reply.status, reply.body["sys"]["id"]) == (status, error_id)
    assert reply.headers["x-contentful-ratelimit-reset"] == ("1" if fault == "429" else "0")
    assert api.get("/entries").body["total"] == 0


@pytest.mark.parametrize(("fault", "written"), [("reset_before", 0), ("reset_after", 1)])
def test_an_injected_reset_comes_before_or_after_the_write(
    open_space: Callable[..., Api], fault: str, written: int
) -> None:
    def faults(request: Request) -> str | None:
        return fault if request.method == "PUT" and "/entries/" in request.path else None

    api = open_space(faults=faults)
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    with pytest.raises(ConnectionResetError):
        api.call("PUT", "/entries/a", BODY, content_type="thing")
    assert api.get("/entries").body["total"] == written


def test_a_fault_in_our_own_code_is_a_server_error_with_headers(
    things: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    things.app.store.connection.execute("DROP TABLE tags")
    reply = things.get("/tags")
    assert reply.error == (500, "ServerError", "Internal server error")
    assert set(reply.headers) >= HEADERS
    assert "/tags" in caplog.text
    assert things.get("/entries").status == 200


# ---------------------------------------------------------------- the lagging index


def test_collections_lag_by_seconds_while_a_get_is_current(
    open_space: Callable[..., Api], clock: Clock
) -> None:
    api = open_space(index_delay=IndexDelay(seconds=2.0))
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    api.put_entry("e", {"name": "a"})
    assert api.get("/entries/e").status == 200
    assert api.ids() == []
    clock.seconds += 1.0
    api.call("PUT", "/entries/e", {"fields": {"name": {"en-US": "b"}}}, version=1)
    clock.seconds += 1.0
    shown = api.get("/entries").body["items"]
    assert [(item["sys"]["version"], item["fields"]["name"]["en-US"]) for item in shown] == [
        (1, "a")
    ]
    assert api.ids(content_type="thing", **{"fields.name": "b"}) == []
    clock.seconds += 1.0
    assert api.ids(content_type="thing", **{"fields.name": "b"}) == ["e"]
    api.call("DELETE", "/entries/e")
    assert api.get("/entries/e").status == 404
    assert api.ids() == ["e"]
    clock.seconds += 2.0
    assert api.ids() == []


def test_collections_lag_by_writes(open_space: Callable[..., Api]) -> None:
    api = open_space(index_delay=IndexDelay(writes=2))
    api.put_type("thing", [{"id": "name", "type": "Symbol"}])
    seen = []
    for number in range(5):
        api.put_entry(f"e{number}", {"name": "a"})
        seen.append(api.get("/entries").body["total"])
    assert seen == [0, 0, 1, 2, 3]


def test_a_lagging_index_begins_with_what_is_there(
    open_space: Callable[..., Api], tmp_path: Path
) -> None:
    before = open_space()
    before.put_type("thing", [{"id": "name", "type": "Symbol"}])
    before.put_entry("e", {"name": "a"})
    after = open_space(path=tmp_path / "space.sqlite", index_delay=IndexDelay(seconds=9.0))
    assert after.ids() == ["e"]
