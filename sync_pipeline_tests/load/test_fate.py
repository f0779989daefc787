"""The table of outcomes, and what a client makes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import MAX_REFUSED, SpaceClient
from sync_pipeline.load.fate import fate_of
from sync_pipeline.load.health import MAX_ATTEMPTS, MAX_BROKEN_AT_FIRST
from sync_pipeline.load.lookup import SpaceLookup
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.paging import read_entries
from sync_pipeline.load.shapes import action_of, entry_of, published_entry_of
from sync_pipeline_tests.load.broken_answers import BROKEN, UNKNOWN_STATUSES
from sync_pipeline_tests.load.conftest import FakeTime
from sync_pipeline_tests.load.small_space import Fault, Request, SpaceState

WRITES = ("PUT", "PATCH", "POST", "DELETE")
REFUSALS = (400, 404, 405, 406, 409, 410, 411, 412, 415, 416, 417, 422)


@pytest.mark.parametrize("status", UNKNOWN_STATUSES)
@pytest.mark.parametrize("is_sound", [True, False])
def test_an_unknown_outcome_is_repeatable_for_reads_and_ambiguous_for_writes(
    status: int, is_sound: bool
) -> None:
    assert fate_of("GET", status, is_sound=is_sound) == "retryable"
    assert {fate_of(method, status, is_sound=is_sound) for method in WRITES} == {"ambiguous"}


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 226, *REFUSALS])
def test_a_word_of_the_api_is_certain_and_nobody_else_s_is(status: int) -> None:
    for method in ("GET", *WRITES):
        assert fate_of(method, status, is_sound=True) == "certain"
        assert fate_of(method, status, is_sound=False) != "certain"


@pytest.mark.parametrize("status", [413, 414, 431])
def test_what_is_too_long_was_not_passed_on_whoever_says_so(status: int) -> None:
    for method in ("GET", *WRITES):
        assert fate_of(method, status, is_sound=False) == "certain"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403, 407])
def test_what_concerns_every_request_is_fatal(status: int) -> None:
    for method in ("GET", *WRITES):
        assert fate_of(method, status, is_sound=False) == "fatal"


def test_what_was_not_carried_out_for_certain_is_sent_again() -> None:
    for method in ("GET", *WRITES):
        assert fate_of(method, 429, is_sound=True) == "retryable"
        assert fate_of(method, 0, is_sound=False, was_sent=False) == "retryable"


def only_first(fault: Fault, chosen: Callable[[Request], bool]) -> Callable[[Request], Any]:
    """A fault for the first of the requests that are chosen."""
    done: list[Request] = []

    def fail(request: Request) -> Fault | None:
        if done or not chosen(request):
            return None
        done.append(request)
        return fault

    return fail


def read_entry(client: SpaceClient) -> None:
    answer = client.request("GET", "/entries/e1", expects=entry_of("e1"))
    assert answer.mapping["fields"] == {"price": {"en-US": 1}}


def read_model(client: SpaceClient) -> None:
    assert len(fetch_target_model(client, "product").content_type.fields) == 7


def read_page(client: SpaceClient) -> None:
    assert [body["sys"]["id"] for body in read_entries(client, {"order": "sys.id"})] == ["e1", "e2"]


def look_up(client: SpaceClient) -> None:
    assert [found["id"] for found in SpaceLookup(client).entries("product")] == ["e1", "e2"]


@pytest.fixture
def two_entries(space: SpaceState) -> SpaceState:
    space.add_entry("e1", {"price": {"en-US": 1}})
    space.add_entry("e2", {"price": {"en-US": 2}})
    return space


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("read", [read_entry, read_model, read_page, look_up])
def test_a_read_is_repeated_whichever_of_its_answers_is_broken(
    client: SpaceClient, two_entries: SpaceState, kind: str, read: Any
) -> None:
    read(client)
    undisturbed = client.requests
    for at in range(undisturbed):
        before = client.requests
        two_entries.faults = lambda _, n=before + at + 1: (
            Fault(after=True, mangle=BROKEN[kind]) if client.requests == n else None
        )
        read(client)
        assert client.requests == before + undisturbed + 1


@pytest.mark.parametrize("status", UNKNOWN_STATUSES)
@pytest.mark.parametrize("body", [None, b"", b"<html></html>"], ids=["error", "empty", "HTML"])
def test_a_read_of_unknown_outcome_is_repeated(
    client: SpaceClient, two_entries: SpaceState, status: int, body: bytes | None
) -> None:
    two_entries.faults = only_first(Fault(status, raw=body), lambda _: True)
    read_entry(client)
    assert client.requests == 2


@pytest.mark.parametrize("kind", BROKEN)
def test_a_write_whose_answer_is_broken_is_ambiguous(
    client: SpaceClient, two_entries: SpaceState, kind: str
) -> None:
    two_entries.faults = lambda _: Fault(after=True, mangle=BROKEN[kind])
    answer = client.request(
        "PATCH",
        "/entries/e1",
        json=[{"op": "replace", "path": "/fields/price/en-US", "value": 9}],
        headers={"X-Contentful-Version": "2"},
        expects=entry_of("e1", above=2),
    )
    assert (answer.is_ambiguous, answer.is_ok, answer.error_id) == (True, False, "BrokenAnswer")
    assert answer.message
    assert "9" not in answer.message.replace(",", "").split()
    assert two_entries.fields_of("e1") == {"price": {"en-US": 9}}
    assert client.requests == 1


@pytest.mark.parametrize(
    ("shape", "body", "is_sound"),
    [
        (entry_of("e1"), {"sys": {"id": "e1", "version": 1}}, True),
        (entry_of("e1"), {"sys": {"id": "e2", "version": 1}}, False),
        (entry_of("e1", above=3), {"sys": {"id": "e1", "version": 3}}, False),
        (entry_of("e1", above=3), {"sys": {"id": "e1", "version": 4}}, True),
        (entry_of("e1"), {"sys": {"id": "e1", "version": True}}, False),
        (entry_of("e1"), {"sys": {"id": "e1", "version": "4"}}, False),
        (entry_of("e1"), {"sys": {"id": "e1", "version": 4}, "fields": ["a"]}, False),
        (published_entry_of("e1", 3), {"sys": {"id": "e1", "version": 4}}, False),
        (
            published_entry_of("e1", 3),
            {"sys": {"id": "e1", "version": 4, "publishedVersion": 3}},
            True,
        ),
        (action_of("a1"), {"sys": {"id": "a1", "status": "succeeded"}}, True),
        (action_of("a1"), {"sys": {"id": "a2", "status": "succeeded"}}, False),
        (action_of("a1"), {"sys": {"id": "a1"}}, False),
        (
            published_entry_of("e1", 3),
            {"sys": {"id": "e1", "version": 3, "publishedVersion": 1}},
            False,
        ),
    ],
)
def test_an_answer_about_another_entry_or_an_earlier_version_is_not_believed(
    shape: Any, body: Any, is_sound: bool
) -> None:
    assert shape(body) is is_sound


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"total": 2, "items": []}, id="an empty page of a full collection"),
        pytest.param({"total": 2}, id="no items"),
        pytest.param({"items": [{"sys": {"id": "e1", "version": 1}}]}, id="no total"),
        pytest.param({"total": 1, "items": [{"sys": {"id": "e1"}}]}, id="an item without version"),
        pytest.param({"total": 1, "items": [None]}, id="no item"),
        pytest.param({"total": 9, "skip": 7, "items": [{"sys": {"id": "x", "version": 1}}]},
                     id="another page"),
    ],
)  # fmt: skip
def test_a_page_that_is_not_the_one_asked_for_does_not_make_the_space_look_empty(
    client: SpaceClient, two_entries: SpaceState, page: dict[str, Any]
) -> None:
    raw = json.dumps(page).encode()
    two_entries.faults = only_first(Fault(200, raw=raw), lambda r: r.path == "/entries")
    read_page(client)


def test_a_connection_that_ends_in_the_middle_of_a_body_is_not_the_end_of_it(
    client: SpaceClient, two_entries: SpaceState
) -> None:
    fault = Fault(after=True, mangle=lambda answer: answer, is_cut=True)
    two_entries.faults = only_first(fault, lambda r: r.path == "/entries")
    read_page(client)


@pytest.mark.parametrize("kind", BROKEN)
def test_the_address_is_wrong_only_if_the_first_answers_are_all_broken(
    client: SpaceClient, space: SpaceState, kind: str
) -> None:
    space.faults = lambda _: Fault(after=True, mangle=BROKEN[kind])
    if kind == "an error":  # a word of the API, though not the one asked for
        with pytest.raises(SpaceError, match="cannot be reached"):
            read_model(client)
        return
    with pytest.raises(SpaceError, match="Check CONTENTFUL_CMA_URL") as caught:
        read_model(client)
    assert caught.value.status == 200
    assert client.requests == MAX_BROKEN_AT_FIRST
    with pytest.raises(SpaceError, match="Check CONTENTFUL_CMA_URL"):
        read_model(client)
    assert client.requests == MAX_BROKEN_AT_FIRST


def test_a_space_that_was_one_is_down_and_not_at_a_wrong_address(
    client: SpaceClient, two_entries: SpaceState
) -> None:
    read_entry(client)
    two_entries.faults = lambda _: Fault(200, raw=b"<html>maintenance</html>")
    with pytest.raises(SpaceError, match=r"cannot be reached.*HTML instead of JSON"):
        read_entry(client)
    assert client.requests == 1 + MAX_ATTEMPTS


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_of_a_proxy_is_asked_again_and_then_taken_for_the_answer(
    client: SpaceClient, two_entries: SpaceState, status: int
) -> None:
    two_entries.faults = only_first(Fault(status, raw=b"<html></html>"), lambda _: True)
    read_entry(client)
    assert client.requests == 2
    two_entries.faults = lambda r: (
        Fault(status, raw=b"<html></html>") if r.path.endswith("/e1") else None
    )
    answer = client.request("GET", "/entries/e1", tolerate=(404,))
    assert (answer.status, answer.is_ok, answer.is_from_api) == (status, False, False)
    assert client.requests == 2 + MAX_REFUSED


def test_a_server_that_knows_nothing_and_speaks_html_is_named_as_a_wrong_address(
    client: SpaceClient, space: SpaceState
) -> None:
    space.faults = lambda _: Fault(404, raw=b"<html>not found</html>")
    with pytest.raises(SpaceError, match="Check CONTENTFUL_CMA_URL"):
        read_model(client)


def test_broken_answers_do_not_wait_longer_than_other_faults(
    client: SpaceClient, two_entries: SpaceState, fake_time: FakeTime
) -> None:
    two_entries.faults = only_first(Fault(200, raw=b""), lambda _: True)
    read_entry(client)
    assert sum(fake_time.slept) <= 1


def test_broken_answers_are_told_of_once_without_what_they_hold(
    client: SpaceClient, two_entries: SpaceState, caplog: pytest.LogCaptureFixture
) -> None:
    broken: list[Request] = []

    def every_second(request: Request) -> Fault | None:
        broken.append(request)
        return Fault(200, raw=b"<html>private</html>") if len(broken) % 2 else None

    two_entries.faults = every_second
    with caplog.at_level(logging.INFO, logger="sync_pipeline.load"):
        for _ in range(3):
            read_entry(client)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "GET /entries/e1 with status 200 and HTML instead of JSON" in told
    assert "private" not in told


def test_refusals_of_a_proxy_that_were_believed_do_not_make_a_space_count_as_down(
    client: SpaceClient, two_entries: SpaceState
) -> None:
    two_entries.faults = lambda r: (
        Fault(404, raw=b"<html></html>") if r.path.endswith("/none") else None
    )
    for _ in range(60):
        assert client.request("GET", "/entries/none", tolerate=(404,)).status == 404


def test_a_refusal_after_other_faults_is_not_believed_at_once(
    client: SpaceClient, two_entries: SpaceState
) -> None:
    faults = [Fault(500), Fault(503), Fault(404, raw=b"<html></html>")]
    two_entries.faults = lambda _: faults.pop(0) if faults else None
    read_entry(client)
