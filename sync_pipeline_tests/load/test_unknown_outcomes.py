"""Requests whose fate is not known, one at a time and many: each entry is written and published
once, in this run or in the next.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.plan import derive_entry_id
from sync_pipeline.load.write import MAX_UNKNOWN
from sync_pipeline.model import DesiredEntry
from sync_pipeline_tests.load.broken_answers import BROKEN, UNKNOWN_STATUSES
from sync_pipeline_tests.load.conftest import Sync, desired_product, products
from sync_pipeline_tests.load.small_space import Fault, Request, SpaceState

HTML = b"<html>Just a moment</html>"


def fault_of(kind: str, *, after: bool) -> Fault:
    """A broken 2xx, or a status with an error of the API, HTML or nothing in its body."""
    if kind in BROKEN:
        if after:
            return Fault(after=True, mangle=BROKEN[kind])
        return Fault(200, raw=BROKEN[kind](b'{"sys":{"id":"another","version":1}}'))
    status, _, body = kind.partition(" ")
    raw = {"error": None, "HTML": HTML, "empty": b""}[body]
    return Fault(int(status), after=after, raw=raw)


KINDS = [
    *BROKEN,
    *(f"{status} error" for status in UNKNOWN_STATUSES),
    *(f"{status} {body}" for status in (408, 502, 524) for body in ("HTML", "empty")),
    # Refusals that are no word of the API.
    *(f"{status} {body}" for status in (400, 404, 409, 422) for body in ("HTML", "empty")),
]


def is_create(request: Request) -> bool:
    return request.method == "PUT" and not request.path.endswith("/published")


def is_patch(request: Request) -> bool:
    return request.method == "PATCH"


def is_publish(request: Request) -> bool:
    return request.path.endswith("/published")


def is_bulk_start(request: Request) -> bool:
    return request.method == "POST"


def is_poll(request: Request) -> bool:
    return "/bulk_actions/actions/" in request.path


def once(fault: Fault, chosen: Callable[[Request], bool]) -> Callable[[Request], Fault | None]:
    done: list[Request] = []

    def fail(request: Request) -> Fault | None:
        if done or not chosen(request):
            return None
        done.append(request)
        return fault

    fail.done = done  # type: ignore[attr-defined]
    return fail


def assert_undisturbed(space: SpaceState, entries: list[DesiredEntry], version: int) -> None:
    """As if nothing had gone wrong: each entry as desired, published, and written once."""
    assert {
        entry_id: (entry["fields"], space.is_published(entry_id), entry["sys"]["version"])
        for entry_id, entry in space.entries.items()
    } == {derive_entry_id("product", e.key): (dict(e.fields), True, version) for e in entries}


def assert_settled(sync: Sync, space: SpaceState, entries: list[DesiredEntry]) -> None:
    """Nothing is left to be done, and nothing is remembered."""
    assert sync.ledger.all_pending() == ()
    space.faults = lambda _: None
    space.requests.clear()
    assert {outcome.action for outcome in sync.run(entries)} == {"unchanged"}
    assert space.writes == []


def actions(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.action for outcome in outcomes)


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [is_create, is_patch])
def test_a_write_of_unknown_outcome_is_found_out_and_published(
    sync: Sync, space: SpaceState, kind: str, chosen: Any, *, after: bool
) -> None:
    if chosen is is_patch:
        sync.run(products(3))
    entries = products(3, " changed")
    index = sync.index()
    space.faults = once(fault_of(kind, after=after), chosen)
    outcomes = sync.run(entries, index=index)
    assert len(space.faults.done) == 1  # type: ignore[attr-defined]
    assert actions(outcomes) == {"updated" if chosen is is_patch else "created": 3}
    assert all(outcome.published for outcome in outcomes)
    assert_undisturbed(space, entries, 4 if chosen is is_patch else 2)
    assert_settled(sync, space, entries)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [is_create, is_patch])
def test_a_run_that_dies_before_it_has_read_back_is_made_good_by_the_next(
    sync: Sync, space: SpaceState, kind: str, chosen: Any
) -> None:
    if chosen is is_patch:
        sync.run(products(3))
    entries = products(3, " changed")
    index = sync.index()
    first = once(fault_of(kind, after=True), chosen)

    def fail(request: Request) -> Fault | None:
        return first(request) or (Fault(401) if first.done else None)  # type: ignore[attr-defined]

    space.faults = fail
    with pytest.raises(SpaceError, match="CONTENTFUL_MANAGEMENT_TOKEN"):
        sync.run(entries, index=index)
    space.faults = lambda _: None
    with SpaceClient(sync.client.settings, sleep=sync.client.sleep) as fresh:
        sync.client = fresh
        outcomes = sync.run(entries)
        assert all(outcome.published for outcome in outcomes)
        assert_undisturbed(space, entries, 4 if chosen is is_patch else 2)
        assert_settled(sync, space, entries)


def die_after_first_write(sync: Sync, space: SpaceState, entries: list[DesiredEntry]) -> None:
    """A run that ends when a write of its is carried out, and was answered by a proxy."""
    index = sync.index()
    first = once(Fault(524, after=True, raw=HTML), lambda r: r.is_write)
    space.faults = lambda r: first(r) or (Fault(401) if first.done else None)  # type: ignore[attr-defined]
    with pytest.raises(SpaceError, match="CONTENTFUL_MANAGEMENT_TOKEN"):
        sync.run(entries, index=index)
    space.faults = lambda _: None


@pytest.mark.parametrize("mapped_id", [None, "chosen-by-the-mapping"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_record_that_changed_after_such_a_run_died_is_published_all_the_same(
    sync: Sync, space: SpaceState, *, is_new: bool, mapped_id: str | None
) -> None:
    """What the run meant to write tells that the draft is ours, though more is desired by now."""

    def desired(title: str) -> list[DesiredEntry]:
        return [desired_product(0, title, entry_id=mapped_id, fields={"price": {"en-US": 7.0}})]

    if not is_new:
        sync.run(desired("old"))
    die_after_first_write(sync, space, desired("first"))
    with SpaceClient(sync.client.settings, sleep=sync.client.sleep) as fresh:
        sync.client = fresh
        (outcome,) = sync.run(desired("second"))
        assert (outcome.action, outcome.published) == ("updated", True)
        assert space.fields_of(outcome.entry_id)["title"] == {"en-US": "second"}
        assert_settled(sync, space, desired("second"))


def test_an_editor_who_made_the_version_that_was_noted_keeps_the_draft(
    sync: Sync, space: SpaceState
) -> None:
    sync.run(products(1))
    index = sync.index()
    space.faults = lambda r: Fault(401) if r.is_write else None
    with pytest.raises(SpaceError):
        sync.run(products(1, " first"), index=index)
    space.faults = lambda _: None
    (entry_id,) = space.entries
    space.edit(entry_id, {"title": {"en-US": "by an editor"}})
    with SpaceClient(sync.client.settings, sleep=sync.client.sleep) as fresh:
        sync.client = fresh
        (outcome,) = sync.run(products(1, " second"))
    assert (outcome.action, outcome.published) == ("updated", False)
    assert not space.is_published(entry_id)


@pytest.mark.parametrize("fault", [409, 429])
@pytest.mark.parametrize("chosen", [is_create, is_patch])
def test_a_write_that_was_sent_twice_on_its_way_is_ours(
    sync: Sync, space: SpaceState, fault: int, chosen: Any
) -> None:
    """A proxy repeats a request by itself, and passes on what the second one is answered."""
    if chosen is is_patch:
        sync.run(products(1))
    index = sync.index()
    space.faults = once(Fault(fault, after=True, error_id="VersionMismatch"), chosen)
    (outcome,) = sync.run(products(1, " changed"), index=index)
    assert outcome.published
    assert_undisturbed(space, products(1, " changed"), 4 if chosen is is_patch else 2)
    assert_settled(sync, space, products(1, " changed"))


@pytest.mark.parametrize("chosen", [is_create, is_patch])
def test_a_write_that_is_carried_out_at_the_last_attempt_is_not_given_up(
    sync: Sync, space: SpaceState, chosen: Any
) -> None:
    if chosen is is_patch:
        sync.run(products(1))
    index = sync.index()
    asked: list[Request] = []

    def fail(request: Request) -> Fault | None:
        if not chosen(request):
            return None
        asked.append(request)
        return Fault(524, after=len(asked) == MAX_UNKNOWN, raw=HTML)

    space.faults = fail
    (outcome,) = sync.run(products(1, " changed"), index=index)
    assert len(asked) == MAX_UNKNOWN
    assert outcome.published
    assert_undisturbed(space, products(1, " changed"), 4 if chosen is is_patch else 2)


@pytest.mark.parametrize("kind", ["524 error", "408 error", "empty", "HTML", "404 HTML"])
@pytest.mark.parametrize("chosen", [is_create, is_patch])
def test_an_entry_that_is_given_up_while_its_fate_is_unknown_is_still_ours(
    sync: Sync, space: SpaceState, kind: str, chosen: Any
) -> None:
    """The write is carried out at last, and nothing about this entry can be read any more."""
    if chosen is is_patch:
        sync.run(products(3))
    entries = products(3, " changed")
    index = sync.index()
    victim = derive_entry_id("product", entries[1].key)
    done: list[Request] = []

    def fail(request: Request) -> Fault | None:
        if victim not in request.path:
            return None
        if chosen(request):
            done.append(request)
            return fault_of(kind, after=True)
        return Fault(400) if done else None

    space.faults = fail
    outcomes = sync.run(entries, index=index)
    assert actions(outcomes)["failed"] == 1
    assert len(sync.ledger.all_pending()) == 1, "a note until the entry was read back"
    space.faults = lambda _: None
    outcomes = sync.run(entries)
    assert [outcome.published for outcome in outcomes] == [False, True, False]
    assert_undisturbed(space, entries, 4 if chosen is is_patch else 2)
    assert_settled(sync, space, entries)


@pytest.mark.parametrize("status", [406, 415])
def test_a_proxy_that_refuses_an_entry_for_good_is_not_asked_ten_times(
    sync: Sync, space: SpaceState, status: int
) -> None:
    index = sync.index()
    victim = derive_entry_id("product", products(2)[1].key)
    space.faults = lambda r: (
        Fault(status, raw=b"<html>blocked</html>") if r.is_write and victim in r.path else None
    )
    space.requests.clear()
    outcomes = sync.run(products(2), index=index)
    assert actions(outcomes) == {"created": 1, "failed": 1}
    letter = outcomes[1].dead_letter
    assert letter is not None
    assert letter.error_id == f"HTTP {status}"
    assert sum(victim in request.path for request in space.requests) <= 6


@pytest.mark.parametrize("rate", [0.03, 0.08])
@pytest.mark.parametrize("seed", range(4))
def test_runs_end_and_leave_the_undisturbed_space_though_answers_are_broken(
    sync: Sync, space: SpaceState, rate: float, seed: int
) -> None:
    dice = random.Random(f"{rate} {seed}")
    broken: Counter[str] = Counter()

    def fail(_: Request) -> Fault | None:
        if dice.random() >= rate:
            return None
        kind = dice.choice(KINDS)
        after = dice.random() < 0.7
        broken["after" if after else "before"] += 1
        return fault_of(kind, after=after)

    space.faults = fail
    for version, suffix in ((2, ""), (4, " changed"), (6, " again")):
        entries = products(150, suffix)
        outcomes = sync.run(entries)
        assert [outcome.dead_letter for outcome in outcomes if outcome.dead_letter] == []
        assert all(outcome.published for outcome in outcomes)
        assert_undisturbed(space, entries, version)
    assert broken["after"] > 5
    assert_settled(sync, space, entries)


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("chosen", "count"), [(is_publish, 1), (is_bulk_start, 4), (is_poll, 4)],
    ids=["alone", "in bulk", "poll"],
)  # fmt: skip
def test_a_publish_of_unknown_outcome_is_found_out_and_not_done_twice(
    sync: Sync, space: SpaceState, kind: str, chosen: Any, count: int, *, after: bool
) -> None:
    entries = products(count)
    index = sync.index()
    space.faults = once(fault_of(kind, after=after), chosen)
    outcomes = sync.run(entries, index=index)
    assert len(space.faults.done) == 1  # type: ignore[attr-defined]
    assert actions(outcomes) == {"created": count}
    assert all(outcome.published for outcome in outcomes)
    assert_undisturbed(space, entries, 2)
    assert_settled(sync, space, entries)


def test_an_action_that_was_begun_while_its_answer_was_lost_costs_few_requests(
    sync: Sync, space: SpaceState
) -> None:
    index = sync.index()
    space.polls_needed = 0
    space.faults = once(Fault(524, after=True, raw=HTML), is_bulk_start)
    space.requests.clear()
    sync.run(products(200), index=index)
    assert_undisturbed(space, products(200), 2)
    assert len(space.requests) <= 200 + 20


@pytest.mark.parametrize("is_edited", [False, True])
def test_an_entry_edited_after_its_publish_of_unknown_outcome_counts_as_published(
    sync: Sync, space: SpaceState, *, is_edited: bool
) -> None:
    index = sync.index()
    space.faults = once(Fault(524, after=True, raw=HTML), is_publish)

    def edit(request: Request) -> None:
        if is_edited and request.method == "GET" and request.path.startswith("/entries/"):
            space.edit(request.path.rpartition("/")[2], {"body": {"en-US": "editor"}})

    space.meanwhile = edit
    (outcome,) = sync.run(products(1), index=index)
    assert (outcome.published, outcome.publish_skipped) == (True, "")
    assert sync.ledger.all_pending() == ()


def test_a_publish_that_cannot_be_looked_into_fails_and_is_remembered(
    sync: Sync, space: SpaceState
) -> None:
    index = sync.index()
    space.faults = lambda r: (
        Fault(524, raw=HTML) if is_publish(r)
        else Fault(400) if r.method == "GET" and r.path.startswith("/entries/") else None
    )  # fmt: skip
    (outcome,) = sync.run(products(1), index=index)
    assert (outcome.action, outcome.published) == ("failed", False)
    space.faults = lambda _: None
    (outcome,) = sync.run(products(1))
    assert (outcome.action, outcome.published) == ("unchanged", True)
    assert_settled(sync, space, products(1))
