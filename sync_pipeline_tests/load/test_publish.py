from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import MAX_BUSY, SpaceClient
from sync_pipeline.load.drafts import publish_drafts
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.publish import Publisher
from sync_pipeline.load.publish_item import GONE, MOVED, PublishItem
from sync_pipeline_tests.load.conftest import FakeTime
from sync_pipeline_tests.load.small_space import Fault, Request, SpaceState, error, invalid


def drafts(space: SpaceState, count: int) -> list[PublishItem]:
    for number in range(count):
        space.add_entry(
            f"e{number:04d}", {"sku": {"en-US": f"{number}"}}, version=1, published=None
        )
    return [PublishItem(f"e{number:04d}", 1) for number in range(count)]


def statuses(results: dict[str, Any]) -> dict[str, list[str]]:
    by_status: dict[str, list[str]] = {}
    for entry_id, result in results.items():
        by_status.setdefault(result.status, []).append(entry_id)
    return by_status


def refuse(*ids: str, body: dict[str, Any] | None = None):
    return lambda entry: (body or invalid("title")) if entry["sys"]["id"] in ids else None


def test_two_hundred_entries_take_two_requests(client: SpaceClient, space: SpaceState) -> None:
    results = Publisher(client).publish(drafts(space, 200))
    assert all(result.status == "published" for result in results.values())
    assert all(result.published_version == 1 for result in results.values())
    assert all(space.is_published(entry_id) for entry_id in space.entries)
    assert [(r.method, r.path) for r in space.requests] == [
        ("POST", "/bulk_actions/publish"), ("GET", "/bulk_actions/actions/a0"),
    ]  # fmt: skip


def test_more_than_two_hundred_are_split(client: SpaceClient, space: SpaceState) -> None:
    results = Publisher(client).publish(drafts(space, 450))
    assert len(results) == 450
    assert space.count("POST") == 3


def test_a_single_entry_is_published_by_itself(client: SpaceClient, space: SpaceState) -> None:
    Publisher(client).publish(drafts(space, 1))
    assert [(r.method, r.path) for r in space.requests] == [("PUT", "/entries/e0000/published")]
    assert space.is_published("e0000")


def test_an_entry_named_twice_is_sent_once(client: SpaceClient, space: SpaceState) -> None:
    items = drafts(space, 2)
    assert len(Publisher(client).publish([*items, *items])) == 2


def test_nothing_to_publish_asks_nothing(client: SpaceClient, space: SpaceState) -> None:
    assert Publisher(client).publish([]) == {}
    assert space.requests == []


def test_slow_actions_are_asked_about_seldom_and_learned_from(
    client: SpaceClient, space: SpaceState, fake_time: FakeTime
) -> None:
    space.polls_needed = 6
    publisher = Publisher(client)
    publisher.publish(drafts(space, 100))
    took = sum(fake_time.slept)
    assert 8 < took < 20
    assert space.count("GET") == 6
    fake_time.slept.clear()
    space.polls_needed = 1
    for entry_id in space.entries:
        space.edit(entry_id, {})
    publisher.publish([PublishItem(e, space.entries[e]["sys"]["version"]) for e in space.entries])
    assert fake_time.slept == pytest.approx([0.9 * took])


def test_named_culprits_are_dropped_and_the_rest_is_published(
    client: SpaceClient, space: SpaceState
) -> None:
    space.publish_error = refuse("e0003", "e0077")
    results = Publisher(client).publish(drafts(space, 100))
    by_status = statuses(results)
    assert by_status["failed"] == ["e0003", "e0077"]
    assert len(by_status["published"]) == 98
    failed = results["e0003"]
    assert (failed.field, failed.error_id) == ("title.en-US", "InvalidEntry")
    assert "Size must be at most 3" in failed.message
    assert failed.request_id == "r1"
    assert space.count("POST") == 2


def test_culprits_that_are_not_named_are_found(client: SpaceClient, space: SpaceState) -> None:
    space.publish_error = refuse("e0003", "e0077")
    space.names_culprits = False
    results = Publisher(client).publish(drafts(space, 100))
    assert sorted(statuses(results)["failed"]) == ["e0003", "e0077"]
    assert len(statuses(results)["published"]) == 98
    assert len(space.requests) < 100


def test_a_server_that_names_one_culprit_a_time_is_not_asked_for_ever(
    client: SpaceClient, space: SpaceState
) -> None:
    bad = [f"e{number:04d}" for number in range(40)]
    space.publish_error = refuse(*bad)
    original = space.answer

    def name_one(request: Request):
        status, body = original(request)
        errors = ((body.get("error") or {}).get("details") or {}).get("errors")
        return status, body if not errors else {
            **body,
            "error": {"details": {"errors": errors[:1]}},
        }

    space.answer = name_one  # type: ignore[method-assign]
    results = Publisher(client).publish(drafts(space, 100))
    assert sorted(statuses(results)["failed"]) == bad
    assert space.count("POST") <= 10


def test_a_culprit_without_a_reason_is_asked_about_alone(
    client: SpaceClient, space: SpaceState
) -> None:
    space.publish_error = refuse("e0003", body={"message": "no"})
    results = Publisher(client).publish(drafts(space, 10))
    assert statuses(results)["failed"] == ["e0003"]
    assert space.count("PUT", "published") == 1


def test_an_entry_that_moved_on_is_not_published(client: SpaceClient, space: SpaceState) -> None:
    items = drafts(space, 50)
    space.edit("e0007", {"title": {"en-US": "an editor's"}})
    results = Publisher(client).publish(items)
    assert (results["e0007"].status, results["e0007"].message) == ("skipped", MOVED)
    assert not space.is_published("e0007")
    assert len(statuses(results)["published"]) == 49


def test_an_entry_that_moved_on_is_published_if_everything_is_to_be(
    client: SpaceClient, space: SpaceState
) -> None:
    items = drafts(space, 50)
    space.edit("e0007", {})
    results = Publisher(client, follows_moves=True).publish(items)
    assert results["e0007"].published_version == 2
    assert all(space.is_published(entry_id) for entry_id in space.entries)


def test_an_entry_that_is_gone_is_skipped(client: SpaceClient, space: SpaceState) -> None:
    items = drafts(space, 5)
    del space.entries["e0002"]
    results = Publisher(client).publish(items)
    assert (results["e0002"].status, results["e0002"].message) == ("skipped", GONE)
    assert len(statuses(results)["published"]) == 4


@pytest.mark.parametrize("count", [1, 5], ids=["alone", "in bulk"])
def test_an_entry_that_is_published_already_is_fine(
    client: SpaceClient, space: SpaceState, count: int
) -> None:
    items = drafts(space, count)
    space.entries["e0000"]["sys"].update(version=2, publishedVersion=1)
    results = Publisher(client).publish(items)
    assert statuses(results) == {"published": [*results]}
    assert space.entries["e0000"]["sys"]["version"] == 2


@pytest.mark.parametrize("status", [403, 404])
def test_without_bulk_actions_entries_are_published_one_by_one(
    client: SpaceClient, space: SpaceState, status: int
) -> None:
    space.faults = lambda r: Fault(status, error_id="AccessDenied") if r.method == "POST" else None
    publisher = Publisher(client)
    results = publisher.publish(drafts(space, 20))
    assert len(statuses(results)["published"]) == 20
    publisher.publish([PublishItem("e0000", 2), PublishItem("e0001", 2)])
    assert space.count("POST") == 1


def test_no_permission_to_publish_at_all_stops_the_run(
    client: SpaceClient, space: SpaceState
) -> None:
    space.faults = lambda r: Fault(403, error_id="AccessDenied") if r.is_write else None
    with pytest.raises(SpaceError, match="permission"):
        Publisher(client).publish(drafts(space, 20))


@pytest.mark.parametrize("count", [1, 5], ids=["alone", "in bulk"])
@pytest.mark.parametrize("shape", ["by id", "by name"])
def test_a_link_to_an_entry_just_made_is_tried_again(
    client: SpaceClient, space: SpaceState, fake_time: FakeTime, count: int, shape: str
) -> None:
    problem = {"name": "notResolvable", "path": ["fields", "related", "en-US"]}
    body = error("UnresolvedLinks" if shape == "by id" else "InvalidEntry", errors=[problem])
    tries: list[str] = []

    def unresolved_twice(entry: dict[str, Any]) -> dict[str, Any] | None:
        if entry["sys"]["id"] != "e0000":
            return None
        tries.append("")
        return body if len(tries) <= 2 else None

    space.publish_error = unresolved_twice
    results = Publisher(client).publish(drafts(space, count))
    assert statuses(results) == {"published": [*results]}
    assert sum(fake_time.slept) >= 2


@pytest.mark.parametrize("count", [1, 5], ids=["alone", "in bulk"])
def test_a_link_that_stays_broken_fails_in_the_end(
    client: SpaceClient, space: SpaceState, count: int
) -> None:
    problem = {"name": "notResolvable", "path": ["fields", "related", "en-US"]}
    space.publish_error = refuse("e0000", body=error("UnresolvedLinks", errors=[problem]))
    results = Publisher(client).publish(drafts(space, count))
    failed = results["e0000"]
    assert (failed.status, failed.field, failed.error_id) == (
        "failed", "related.en-US", "UnresolvedLinks",
    )  # fmt: skip
    assert space.count() < 20


@pytest.mark.parametrize("status", [0, 500, 503])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("count", [1, 5], ids=["alone", "in bulk"])
def test_a_publish_of_unknown_fate_is_found_out(
    client: SpaceClient, space: SpaceState, status: int, after: bool, count: int
) -> None:
    failed: list[Request] = []

    def first_write(request: Request) -> Fault | None:
        if not request.is_write or failed:
            return None
        failed.append(request)
        return Fault(status, after=after)

    items = drafts(space, count)
    space.faults = first_write
    results = Publisher(client).publish(items)
    assert statuses(results) == {"published": [*results]}
    assert all(entry["sys"]["version"] == 2 for entry in space.entries.values())


def test_an_action_that_the_space_forgot_is_looked_into(
    client: SpaceClient, space: SpaceState
) -> None:
    space.faults = lambda r: Fault(404, error_id="NotFound") if "/actions/" in r.path else None
    results = Publisher(client).publish(drafts(space, 8))
    assert len(statuses(results)["published"]) == 8


def test_an_action_that_never_ends_is_given_up(
    client: SpaceClient, space: SpaceState, fake_time: FakeTime
) -> None:
    space.polls_needed = 10**9
    results = Publisher(client).publish(drafts(space, 450))
    assert len(statuses(results)["published"]) == 450
    assert space.count("POST") == 1, "actions that do not end are not begun again"
    assert sum(fake_time.slept) < 700


def test_entries_are_published_one_by_one_while_others_hold_all_bulk_actions(
    client: SpaceClient, space: SpaceState
) -> None:
    space.faults = lambda r: (
        Fault(429, error_id="RateLimitExceeded") if r.method == "POST" else None
    )
    results = Publisher(client).publish(drafts(space, 30))
    assert len(statuses(results)["published"]) == 30
    assert space.count("POST") == MAX_BUSY


def test_a_refused_payload_is_halved(client: SpaceClient, space: SpaceState) -> None:
    items = drafts(space, 4)
    space.faults = lambda r: (
        Fault(422, error_id="ValidationFailed")
        if r.method == "POST" and len(r.body["entities"]["items"]) > 2
        else None
    )
    assert len(statuses(Publisher(client).publish(items))["published"]) == 4
    assert space.count("POST") == 3


def test_all_drafts_of_a_content_type_are_published(client: SpaceClient, space: SpaceState) -> None:
    drafts(space, 3)
    space.add_entry("changed", {}, version=5, published=2)
    space.add_entry("clean", {}, version=5, published=4)
    space.add_entry("archived", {}, version=5, published=None, archived=True)
    space.add_entry("foreign", {}, version=1, published=None, content_type="other")
    dry = list(publish_drafts(client, fetch_target_model(client, "product"), apply=False))
    assert space.writes == []
    results = list(publish_drafts(client, fetch_target_model(client, "product"), apply=True))
    assert sorted(r.entry_id for r in dry) == sorted(r.entry_id for r in results)
    assert {r.entry_id for r in results} == {"e0000", "e0001", "e0002", "changed"}
    assert {e for e in space.entries if space.is_published(e)} == {
        "e0000", "e0001", "e0002", "changed", "clean",
    }  # fmt: skip


def test_more_drafts_than_a_bulk_action_takes(client: SpaceClient, space: SpaceState) -> None:
    drafts(space, 250)
    assert (
        len(list(publish_drafts(client, fetch_target_model(client, "product"), apply=True))) == 250
    )
    assert all(space.is_published(entry_id) for entry_id in space.entries)


def test_an_entry_that_editors_keep_moving_is_given_up(
    client: SpaceClient, space: SpaceState
) -> None:
    items = drafts(space, 1)
    space.meanwhile = lambda r: space.edit("e0000", {}) if r.is_write else None
    results = Publisher(client, follows_moves=True).publish(items)
    assert results["e0000"].status == "failed"
    assert results["e0000"].error_id == "VersionMismatch"


def test_an_entry_deleted_in_the_middle_of_a_conflict_is_skipped(
    client: SpaceClient, space: SpaceState
) -> None:
    items = drafts(space, 1)
    space.edit("e0000", {})
    space.meanwhile = lambda r: space.entries.clear() if r.method == "GET" else None
    assert Publisher(client).publish(items)["e0000"].message == GONE


def test_junk_among_the_named_culprits_is_passed_over(
    client: SpaceClient, space: SpaceState
) -> None:
    space.publish_error = refuse("e0001")
    original = space.answer

    def add_junk(request: Request):
        status, body = original(request)
        errors = ((body.get("error") or {}).get("details") or {}).get("errors")
        if not errors:
            return status, body
        return status, {**body, "error": {"details": {"errors": ["x", {}, {"entity": 3}, *errors]}}}

    space.answer = add_junk  # type: ignore[method-assign]
    results = Publisher(client).publish(drafts(space, 4))
    assert statuses(results)["failed"] == ["e0001"]
    assert len(statuses(results)["published"]) == 3
