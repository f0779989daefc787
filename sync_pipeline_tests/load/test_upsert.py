from __future__ import annotations

import contextlib
import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.index import build_index, open_index
from sync_pipeline.load.ledger import PendingPublish
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.ownership import EDITORS_DRAFT
from sync_pipeline.load.plan import derive_entry_id
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.model import DesiredEntry
from sync_pipeline_tests.load.conftest import MAPPED, Sync, desired_product, products
from sync_pipeline_tests.load.small_space import Fault, Request, SpaceState, error, invalid


def actions(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.action for outcome in outcomes)


def contents(space: SpaceState) -> dict[str, Any]:
    return {
        entry_id: (entry["fields"], space.is_published(entry_id))
        for entry_id, entry in space.entries.items()
    }


def wanted(entries: list[DesiredEntry]) -> dict[str, Any]:
    return {derive_entry_id("product", e.key): (dict(e.fields), True) for e in entries}


def id_of(number: int) -> str:
    return derive_entry_id("product", f"SKU-{number:05d}")


class TestPlainRuns:
    def test_new_entries_are_created_and_published_in_order(
        self, sync: Sync, space: SpaceState
    ) -> None:
        outcomes = sync.run(products(450))
        assert actions(outcomes) == {"created": 450}
        assert [outcome.ordinal for outcome in outcomes] == list(range(450))
        assert all(outcome.published for outcome in outcomes)
        assert contents(space) == wanted(products(450))
        assert sync.ledger.all_pending() == ()

    def test_the_second_run_writes_nothing(self, sync: Sync, space: SpaceState) -> None:
        for entry in products(1200):
            space.add_entry(derive_entry_id("product", entry.key), dict(entry.fields))
        outcomes = sync.run(products(1200))
        assert actions(outcomes) == {"unchanged": 1200}
        assert space.writes == []
        assert len(space.requests) == 2 + 2

    def test_new_entries_cost_at_most_three_percent_more_requests_than_entries(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.polls_needed = 3
        sync.run(products(1000))
        assert len(space.requests) <= 1030

    def test_a_changed_entry_costs_one_patch_with_the_version_read(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(5))
        space.requests.clear()
        entries = products(5)
        entries[3] = desired_product(3, "New name")
        outcomes = sync.run(entries)
        assert actions(outcomes) == {"unchanged": 4, "updated": 1}
        patch, publish = space.writes
        assert (patch.method, patch.headers["x-contentful-version"]) == ("PATCH", "2")
        assert patch.body == [{"op": "replace", "path": "/fields/title/en-US", "value": "New name"}]
        assert publish.path.endswith("/published")
        assert outcomes[3].changes[0].before == "Product 3"
        assert contents(space) == wanted(entries)

    def test_an_entry_is_found_by_key_whatever_its_id(self, sync: Sync, space: SpaceState) -> None:
        space.add_entry("editors-id", {"sku": {"en-US": "SKU-00001"}, "body": {"en-US": "kept"}})
        outcomes = sync.run(products(2))
        assert actions(outcomes) == {"created": 1, "updated": 1}
        assert space.fields_of("editors-id")["body"] == {"en-US": "kept"}
        assert space.fields_of("editors-id")["title"] == {"en-US": "Product 1"}
        assert len(space.entries) == 2

    def test_a_mapped_id_comes_before_the_key(self, sync: Sync, space: SpaceState) -> None:
        space.add_entry("by-id", {"sku": {"en-US": "old key"}})
        space.add_entry("by-key", {"sku": {"en-US": "SKU-00001"}})
        entries = [
            desired_product(0, entry_id="by-id"),
            desired_product(1, entry_id="not-there"),
            desired_product(2, entry_id="new-id"),
        ]
        outcomes = sync.run(entries)
        assert [(o.entry_id, o.action) for o in outcomes] == [
            ("by-id", "updated"), ("by-key", "updated"), ("new-id", "created"),
        ]  # fmt: skip

    def test_a_mapped_id_that_a_look_up_by_key_did_not_bring_is_asked_for(
        self, sync: Sync, space: SpaceState, tmp_path: Path
    ) -> None:
        for number in range(2100):
            space.add_entry(f"e{number:04d}", {"sku": {"en-US": f"K{number}"}})
        target = fetch_target_model(sync.client, "product")
        path = tmp_path / "part.sqlite"
        summary = build_index(sync.client, target, MAPPED, "sku", path, keys=["K7"], key_count=1)
        assert summary.strategy == "lookups"
        space.requests.clear()
        outcomes = sync.run(
            [desired_product(0, key="K7", entry_id="e0009"), desired_product(1, entry_id="new")],
            index=open_index(path), apply=False,
        )  # fmt: skip
        assert [(o.entry_id, o.action) for o in outcomes] == [
            ("e0009", "updated"), ("new", "created"),
        ]  # fmt: skip
        assert len(space.requests) == 1

    def test_a_cleared_field_is_emptied_also_where_the_type_has_a_default(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.defaults = {"price": {"en-US": 9}}
        entry = DesiredEntry(
            "A", 0, {"sku": {"en-US": "A"}}, cleared=(("price", "en-US"), ("title", "de-DE"))
        )
        (outcome,) = sync.run([entry])
        assert (outcome.action, outcome.published) == ("created", True)
        assert space.fields_of(outcome.entry_id) == {"sku": {"en-US": "A"}}
        assert actions(sync.run([entry])) == {"unchanged": 1}

    def test_nothing_to_do(self, sync: Sync, space: SpaceState) -> None:
        assert sync.run([]) == []
        assert space.writes == []

    def test_the_number_of_merged_records_is_passed_on(self, sync: Sync) -> None:
        (outcome,) = sync.run([desired_product(1, merged=2)])
        assert outcome.merged == 2

    def test_an_index_in_memory_serves_as_well(self, sync: Sync, space: SpaceState) -> None:
        entries = products(30)
        sync.run(entries, index=sync.index(in_memory=True))
        outcomes = sync.run(entries, index=sync.index(in_memory=True))
        assert actions(outcomes) == {"unchanged": 30}

    def test_the_index_knows_what_was_written_and_published(
        self, sync: Sync, space: SpaceState
    ) -> None:
        index = sync.index()
        list(
            upsert_entries(sync.client, index, products(3), UpsertOptions(apply=True), sync.ledger)
        )
        space.requests.clear()
        again = upsert_entries(
            sync.client, index, products(3), UpsertOptions(apply=True), sync.ledger
        )
        assert actions(list(again)) == {"unchanged": 3}
        entry = index.find("SKU-00001")
        index.close()
        assert entry is not None
        assert entry.is_clean
        assert space.requests == []

    @pytest.mark.parametrize("ahead", [1, 300, 2400])
    def test_entries_are_published_whose_links_lead_to_entries_further_on(
        self, sync: Sync, space: SpaceState, ahead: int
    ) -> None:
        def linked(number: int) -> DesiredEntry:
            link = {"sys": {"type": "Link", "linkType": "Entry", "id": id_of(number + ahead)}}
            return desired_product(number, fields={"related": {"en-US": link}})

        def unresolved(entry: dict[str, Any]) -> dict[str, Any] | None:
            link = entry["fields"].get("related", {}).get("en-US")
            if link is None or link["sys"]["id"] in space.entries:
                return None
            problem = {"name": "notResolvable", "path": ["fields", "related", "en-US"]}
            return error("UnresolvedLinks", errors=[problem])

        space.publish_error = unresolved
        count = ahead + 100
        entries = [linked(n) if n < 100 else desired_product(n) for n in range(count)]
        outcomes = sync.run([*entries[:-1], linked(count - 1)])
        assert actions(outcomes) == {"created": count - 1, "failed": 1}, "a link to nothing fails"
        assert [o.key for o in outcomes if not o.published] == [outcomes[-1].key]
        assert len(space.requests) <= 1.03 * count + 20


class TestDryRun:
    def test_it_tells_what_would_happen_without_a_changing_request(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(3))
        space.requests.clear()
        entries = [*products(2), desired_product(2, "New"), desired_product(3)]
        outcomes = sync.run(entries, apply=False)
        assert [o.action for o in outcomes] == ["unchanged", "unchanged", "updated", "created"]
        assert [o.published for o in outcomes] == [False, False, True, True]
        assert outcomes[2].changes[0].after == "New"
        assert {change.field for change in outcomes[3].changes} == {"sku", "title", "price"}
        assert space.writes == []
        assert len(space.requests) == 3

    @pytest.mark.parametrize("publish", ["changed", "all", "none"])
    def test_it_says_the_same_as_the_run_that_follows(
        self, sync: Sync, space: SpaceState, publish: str
    ) -> None:
        space.add_entry("draft", {"sku": {"en-US": "SKU-00001"}}, version=1, published=None)
        space.add_entry("gone", {"sku": {"en-US": "SKU-00002"}}, published=None, archived=True)
        space.add_entry("edited", {"sku": {"en-US": "SKU-00003"}}, version=4, published=1)
        equal = dict(desired_product(4).fields)
        space.add_entry("equal", equal, version=4, published=1)
        dry = sync.run(products(6), apply=False, publish=publish)
        real = sync.run(products(6), apply=True, publish=publish)
        assert [(o.key, o.action, o.published) for o in dry] == [
            (o.key, o.action, o.published) for o in real
        ]

    def test_it_leaves_no_trace_in_the_ledger(self, sync: Sync) -> None:
        sync.run(products(3), apply=False, extraction=7)
        assert sync.ledger.all_pending() == ()
        assert sync.ledger.newer_than([entry.key for entry in products(3)], 0) == set()


class TestFailures:
    def test_a_refused_entry_fails_alone_with_field_and_reason(
        self, sync: Sync, space: SpaceState
    ) -> None:
        def refuse(fields: dict[str, Any]) -> dict[str, Any] | None:
            return invalid("title") if fields["sku"]["en-US"] == "SKU-00002" else None

        space.save_error = refuse
        outcomes = sync.run(products(5))
        assert actions(outcomes) == {"created": 4, "failed": 1}
        letter = outcomes[2].dead_letter
        assert letter is not None
        assert (letter.key, letter.ordinal, letter.stage) == ("SKU-00002", 2, "load")
        assert (letter.field, letter.error_id) == ("title.en-US", "InvalidEntry")
        assert letter.request_id.startswith("req-")
        assert "Product 2" not in letter.message
        assert sync.ledger.all_pending() == ()

    def test_an_entry_that_cannot_be_published_fails_and_is_tried_again(
        self, sync: Sync, space: SpaceState
    ) -> None:
        bad = id_of(2)
        space.publish_error = lambda e: invalid("title") if e["sys"]["id"] == bad else None
        outcomes = sync.run(products(5))
        assert actions(outcomes) == {"created": 4, "failed": 1}
        letter = outcomes[2].dead_letter
        assert letter is not None
        assert (letter.stage, letter.field) == ("publish", "title.en-US")
        again = sync.run(products(5))
        assert actions(again) == {"unchanged": 4, "failed": 1}
        space.publish_error = lambda _: None
        mended = sync.run(products(5))
        assert actions(mended) == {"unchanged": 5}
        assert mended[2].published
        assert contents(space) == wanted(products(5))
        assert sync.ledger.all_pending() == ()

    def test_a_mended_entry_of_ours_is_published_after_its_patch(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.publish_error = lambda e: (
            invalid("title") if len(e["fields"]["title"]["en-US"]) > 9 else None
        )
        assert actions(sync.run([desired_product(1, "much too long")])) == {"failed": 1}
        (outcome,) = sync.run([desired_product(1, "short")])
        assert (outcome.action, outcome.published) == ("updated", True)

    def test_an_archived_entry_that_differs_is_refused(self, sync: Sync, space: SpaceState) -> None:
        space.add_entry("a", {"sku": {"en-US": "SKU-00000"}}, published=None, archived=True)
        equal = dict(desired_product(1).fields)
        space.add_entry("b", equal, published=None, archived=True)
        outcomes = sync.run(products(2))
        assert actions(outcomes) == {"failed": 1, "unchanged": 1}
        letter = outcomes[0].dead_letter
        assert letter is not None
        assert letter.error_id == "ArchivedEntry"
        assert space.writes == []

    @pytest.mark.parametrize(
        ("entry", "error_id"),
        [
            pytest.param(DesiredEntry("", 0, {"title": {"en-US": "x"}}), "MissingKey", id="no key"),
            pytest.param(desired_product(0, key="\ud800"), "MissingKey", id="half a character"),
            pytest.param(
                desired_product(0, entry_id="../locales"), "InvalidEntryId", id="a path as id"
            ),
            pytest.param(
                desired_product(0, fields={"price": {"en-US": float("nan")}}), "InvalidValue",
                id="not a number",
            ),
            pytest.param(desired_product(0, "\ud800"), "InvalidValue", id="unwritable value"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_sent_fails_alone(
        self, sync: Sync, space: SpaceState, entry: DesiredEntry, error_id: str
    ) -> None:
        outcomes = sync.run([entry, desired_product(1)])
        assert actions(outcomes) == {"failed": 1, "created": 1}
        letter = outcomes[0].dead_letter
        assert letter is not None
        assert letter.error_id == error_id
        assert len(space.entries) == 1

    def test_a_second_record_about_the_same_entry_is_reported(
        self, sync: Sync, space: SpaceState
    ) -> None:
        entries = [
            desired_product(0, entry_id="same"), desired_product(1, entry_id="same"),
            desired_product(2), desired_product(2, "other"),
        ]  # fmt: skip
        outcomes = sync.run(entries)
        assert [o.action for o in outcomes] == ["created", "failed", "created", "failed"]
        letter = outcomes[1].dead_letter
        assert letter is not None
        assert letter.error_id == "DuplicateEntry"
        space.requests.clear()
        sync.run(entries)
        assert space.writes == []

    def test_an_id_of_another_content_type_is_not_touched(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.add_entry("taken", {"name": {"en-US": "a person"}}, content_type="person")
        (outcome,) = sync.run([desired_product(1, entry_id="taken")])
        assert outcome.action == "failed"
        assert outcome.dead_letter is not None
        assert "'person'" in outcome.dead_letter.message
        assert space.fields_of("taken") == {"name": {"en-US": "a person"}}

    def test_an_archived_entry_is_refused_also_if_it_was_archived_just_now(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(1))
        index = sync.index()
        sys = space.entries[id_of(0)]["sys"]
        sys.update(version=4, archivedVersion=3)
        del sys["publishedVersion"]
        (outcome,) = sync.run(products(1, " changed"), index=index)
        assert outcome.dead_letter is not None
        assert outcome.dead_letter.error_id == "ArchivedEntry"

    def test_an_entry_that_cannot_be_read_back_fails_alone(
        self, sync: Sync, space: SpaceState
    ) -> None:
        index = sync.index()
        space.add_entry(id_of(0), {"sku": {"en-US": "SKU-00000"}})
        space.faults = lambda r: Fault(400) if r.method == "GET" and "/entries/" in r.path else None
        outcomes = sync.run(products(2), index=index)
        assert actions(outcomes) == {"failed": 1, "created": 1}
        assert space.fields_of(id_of(0)) == {"sku": {"en-US": "SKU-00000"}}

    def test_an_entry_that_always_breaks_the_server_fails_alone(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.faults = lambda r: Fault(500) if r.is_write and id_of(1) in r.path else None
        outcomes = sync.run(products(4))
        assert actions(outcomes) == {"created": 3, "failed": 1}

    def test_a_revoked_token_stops_the_run_but_what_is_done_stays_done(
        self, sync: Sync, space: SpaceState
    ) -> None:
        def revoke(request: Request) -> Fault | None:
            return Fault(401, error_id="AccessTokenInvalid") if len(space.writes) > 150 else None

        index = sync.index()
        space.faults = revoke
        outcomes: list[Outcome] = []
        stream = upsert_entries(
            sync.client, index, products(1000), UpsertOptions(apply=True, extraction=1), sync.ledger
        )
        with pytest.raises(SpaceError, match="CONTENTFUL_MANAGEMENT_TOKEN"):
            outcomes.extend(stream)
        index.close()
        assert len(space.requests) < 180, "nothing more was sent"
        created = [outcome for outcome in outcomes if outcome.action == "created"]
        assert len(created) == len(space.entries) >= 140
        assert len(sync.ledger.newer_than([o.key for o in created], 0)) == len(created)

    def test_a_token_revoked_while_publishing_leaves_what_is_to_be_published(
        self, sync: Sync, space: SpaceState
    ) -> None:
        index = sync.index()
        space.faults = lambda r: Fault(401) if "publish" in r.path else None
        outcomes: list[Outcome] = []
        with pytest.raises(SpaceError):
            outcomes.extend(
                upsert_entries(
                    sync.client, index, products(10), UpsertOptions(apply=True), sync.ledger
                )
            )
        index.close()
        assert [(o.action, o.published) for o in outcomes] == [("created", False)] * 10
        assert {note.is_confirmed for note in sync.ledger.all_pending()} == {True}
        assert len(sync.ledger.all_pending()) == 10

    def test_a_consumer_that_stops_early_leaves_no_threads(self, sync: Sync) -> None:
        index = sync.index()
        stream = upsert_entries(
            sync.client, index, products(500), UpsertOptions(apply=True), sync.ledger
        )
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        index.close()


class TestEditors:
    @pytest.mark.parametrize(
        ("version", "published"),
        [pytest.param(3, None, id="never published"), pytest.param(6, 2, id="changed since")],
    )
    def test_a_draft_of_an_editor_is_patched_but_not_published(
        self, sync: Sync, space: SpaceState, version: int, published: int | None
    ) -> None:
        space.add_entry(
            "e", {"sku": {"en-US": "SKU-00001"}, "body": {"en-US": "not yet!"}},
            version=version, published=published,
        )  # fmt: skip
        (outcome,) = sync.run([desired_product(1)])
        assert (outcome.action, outcome.published) == ("updated", False)
        assert outcome.publish_skipped == EDITORS_DRAFT
        assert not space.is_published("e")
        (again,) = sync.run([desired_product(1, "newer")])
        assert (again.action, again.published) == ("updated", False)

    def test_an_unchanged_draft_of_an_editor_is_left_alone(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.add_entry("e", dict(desired_product(1).fields), version=1, published=None)
        (outcome,) = sync.run([desired_product(1)])
        assert (outcome.action, outcome.published) == ("unchanged", False)
        assert space.writes == []

    def test_publish_all_publishes_drafts_of_others_too(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.add_entry("a", dict(desired_product(1).fields), version=1, published=None)
        space.add_entry("b", {"sku": {"en-US": "SKU-00002"}}, version=5, published=2)
        outcomes = sync.run([desired_product(1), desired_product(2)], publish="all")
        assert [(o.action, o.published) for o in outcomes] == [
            ("unchanged", True), ("updated", True),
        ]  # fmt: skip
        assert space.is_published("a")
        assert space.is_published("b")

    def test_publish_none_publishes_nothing(self, sync: Sync, space: SpaceState) -> None:
        outcomes = sync.run(products(3), publish="none")
        assert not any(outcome.published for outcome in outcomes)
        assert not any(outcome.publish_skipped for outcome in outcomes)
        assert space.count("POST") == space.count("PUT", "published") == 0

    def test_our_own_drafts_of_such_a_run_are_published_when_they_are_written_next(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(2), publish="none")
        entries = [desired_product(0), desired_product(1, "New")]
        outcomes = sync.run(entries)
        assert [(o.action, o.published) for o in outcomes] == [
            ("unchanged", False), ("updated", True),
        ]  # fmt: skip

    def test_what_an_editor_changes_between_write_and_publish_stays_a_draft(
        self, sync: Sync, space: SpaceState
    ) -> None:
        def edit(request: Request) -> None:
            if "publish" in request.path and space.count("", "publish") == 1:
                space.edit(id_of(1), {"body": {"en-US": "secret"}})

        space.meanwhile = edit
        outcomes = sync.run(products(3))
        assert actions(outcomes) == {"created": 3}
        assert [o.published for o in outcomes] == [True, False, True]
        assert outcomes[1].publish_skipped
        assert not space.is_published(id_of(1))
        assert sync.ledger.all_pending() == ()

    def test_an_edit_of_other_fields_in_between_is_kept(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(1))

        def edit(request: Request) -> None:
            if request.method == "PATCH" and space.count("PATCH") == 1:
                space.edit(id_of(0), {"body": {"en-US": "editor"}})

        space.meanwhile = edit
        (outcome,) = sync.run([desired_product(0, "New")])
        assert (outcome.action, outcome.published) == ("updated", False)
        assert outcome.publish_skipped == EDITORS_DRAFT
        assert space.fields_of(id_of(0))["body"] == {"en-US": "editor"}
        assert space.fields_of(id_of(0))["title"] == {"en-US": "New"}

    def test_an_editor_who_never_stops_makes_the_entry_fail(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(2))
        space.meanwhile = lambda r: space.edit(id_of(0), {}) if r.method == "PATCH" else None
        outcomes = sync.run([desired_product(0, "New"), desired_product(1)])
        assert actions(outcomes) == {"failed": 1, "unchanged": 1}
        letter = outcomes[0].dead_letter
        assert letter is not None
        assert "keeps changing" in letter.message

    def test_an_entry_deleted_after_the_index_was_read_is_made_again(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(2))
        index = sync.index()
        del space.entries[id_of(0)]
        outcomes = sync.run([desired_product(0, "New"), desired_product(1)], index=index)
        assert [o.action for o in outcomes] == ["created", "unchanged"]
        assert space.fields_of(id_of(0))["title"] == {"en-US": "New"}

    def test_an_index_that_lags_behind_makes_no_duplicates(
        self, sync: Sync, space: SpaceState
    ) -> None:
        stale = sync.index()
        sync.run(products(20))
        entries = [*products(10), *(desired_product(n, "New") for n in range(10, 20))]
        outcomes = sync.run(entries, index=stale)
        assert actions(outcomes) == {"unchanged": 10, "updated": 10}
        assert contents(space) == wanted(entries)


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "after"),
        [
            pytest.param(status, after, id=f"{status or 'reset'} {'after' if after else 'before'}")
            for status in (0, 409, 429, 500, 502, 503)
            for after in ((False,) if status in {409, 429} else (False, True))
        ],
    )
    @pytest.mark.parametrize("rate", [0.15, 0.4])
    def test_nothing_is_lost_and_nothing_is_written_twice(
        self, sync: Sync, space: SpaceState, status: int, after: bool, rate: float
    ) -> None:
        dice = random.Random(f"{status} {after} {rate}")
        failed: Counter[tuple[str, str]] = Counter()

        def fail(request: Request) -> Fault | None:
            if status == 409 and request.method not in {"PUT", "PATCH"}:
                return None
            # No more in a row than a request is repeated: which thread throws the dice is chance.
            asked = (request.method, request.path)
            if dice.random() >= rate or failed[asked] >= 4:
                failed[asked] = 0
                return None
            failed[asked] += 1
            if status == 409:
                return Fault(409, error_id="VersionMismatch")
            return Fault(status, after=after, raw=b"" if status == 503 else None)

        index = sync.index()
        space.faults = fail
        outcomes = sync.run(products(30), index=index)
        assert actions(outcomes) == {"created": 30}
        assert all(outcome.published for outcome in outcomes)
        assert contents(space) == wanted(products(30))
        assert all(entry["sys"]["version"] == 2 for entry in space.entries.values())
        changed = products(30, " changed")
        index = self.undisturbed_index(sync, space)
        outcomes = sync.run(changed, index=index)
        assert actions(outcomes) == {"updated": 30}
        assert contents(space) == wanted(changed)
        assert all(entry["sys"]["version"] == 4 for entry in space.entries.values())
        assert sync.ledger.all_pending() == ()
        space.faults = lambda _: None
        space.requests.clear()
        assert actions(sync.run(changed)) == {"unchanged": 30}
        assert space.writes == []

    def undisturbed_index(self, sync: Sync, space: SpaceState) -> Any:
        faults, space.faults = space.faults, lambda _: None
        index = sync.index()
        space.faults = faults
        return index


class TestKills:
    """A killed run is one whose ledger and space stand as they were at some moment."""

    def test_what_was_written_but_not_published_is_published_by_a_later_run(
        self, sync: Sync, space: SpaceState
    ) -> None:
        for entry in products(3):
            space.add_entry(
                derive_entry_id("product", entry.key), dict(entry.fields), version=1, published=None
            )
        sync.ledger.record_pending([PendingPublish(id_of(n), 0, 1) for n in range(3)])
        outcomes = sync.run(products(3))
        assert [(o.action, o.published) for o in outcomes] == [("unchanged", True)] * 3
        assert contents(space) == wanted(products(3))
        assert sync.ledger.all_pending() == ()

    def test_what_was_noted_but_never_written_is_written(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(1))
        sync.ledger.record_pending([PendingPublish(id_of(0), 2, 3), PendingPublish(id_of(1), 0, 1)])
        outcomes = sync.run(products(2, " changed"))
        assert [(o.action, o.published) for o in outcomes] == [("updated", True), ("created", True)]
        assert sync.ledger.all_pending() == ()

    def test_what_was_published_before_the_kill_is_just_forgotten(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(1))
        sync.ledger.record_pending([PendingPublish(id_of(0), 0, 1)])
        space.requests.clear()
        (outcome,) = sync.run(products(1))
        assert (outcome.action, outcome.published) == ("unchanged", False)
        assert space.writes == []
        assert sync.ledger.all_pending() == ()

    def test_what_an_editor_changed_after_the_kill_stays_a_draft(
        self, sync: Sync, space: SpaceState
    ) -> None:
        space.add_entry(id_of(0), dict(desired_product(0).fields), version=1, published=None)
        sync.ledger.record_pending([PendingPublish(id_of(0), 0, 1, is_confirmed=True)])
        space.edit(id_of(0), {"body": {"en-US": "editor"}})
        (outcome,) = sync.run(products(1))
        assert (outcome.action, outcome.published) == ("unchanged", False)
        assert not space.is_published(id_of(0))
        assert sync.ledger.all_pending() == ()

    def test_a_version_that_an_editor_made_in_our_place_is_not_ours(
        self, sync: Sync, space: SpaceState
    ) -> None:
        """Killed after the note and before the write; then an editor made the version noted."""
        sync.run(products(1))
        sync.ledger.record_pending([PendingPublish(id_of(0), 2, 3)])
        space.edit(id_of(0), {"body": {"en-US": "editor"}})
        (outcome,) = sync.run(products(1, " changed"))
        assert (outcome.action, outcome.published) == ("updated", False)
        assert not space.is_published(id_of(0))

    def test_a_killed_patch_of_our_own_draft_is_still_ours(
        self, sync: Sync, space: SpaceState
    ) -> None:
        sync.run(products(1), publish="none")
        sync.ledger.record_pending([PendingPublish(id_of(0), 1, 2)])
        (outcome,) = sync.run(products(1, " changed"))
        assert (outcome.action, outcome.published) == ("updated", True)

    @pytest.mark.parametrize("cut", range(1, 60, 7))
    def test_cut_off_at_any_request_and_run_again_the_space_is_as_if_undisturbed(
        self, sync: Sync, space: SpaceState, cut: int
    ) -> None:
        sync.run(products(20))
        entries = [*products(20, " changed"), *(desired_product(n) for n in range(20, 45))]
        done = len(space.writes)
        space.faults = lambda _: Fault(401) if len(space.writes) - done > cut else None
        index = sync.index()
        with contextlib.suppress(SpaceError):
            sync.run(entries, index=index)
        space.faults = lambda _: None
        with SpaceClient(sync.client.settings, sleep=sync.client.sleep) as fresh:
            sync.client = fresh
            outcomes = sync.run(entries)
            assert actions(outcomes)["failed"] == 0
            assert contents(space) == wanted(entries)
            assert sync.ledger.all_pending() == ()
            space.requests.clear()
            sync.run(entries)
            assert space.writes == []


class TestReplays:
    def test_a_replay_does_not_overwrite_what_a_later_run_has_written(
        self, sync: Sync, space: SpaceState
    ) -> None:
        old, new = products(4), [desired_product(1, "newer"), desired_product(2)]
        older, newer = (sync.ledger.next_extraction(run) for run in ("first", "second"))
        sync.run(new, extraction=newer)
        outcomes = sync.run(old, extraction=older)
        assert [o.action for o in outcomes] == ["created", "superseded", "superseded", "created"]
        assert space.fields_of(id_of(1))["title"] == {"en-US": "newer"}

    def test_a_repeated_batch_of_the_same_run_is_no_replay(self, sync: Sync) -> None:
        number = sync.ledger.next_extraction("run")
        sync.run(products(3), extraction=number)
        assert actions(sync.run(products(3), extraction=number)) == {"unchanged": 3}

    def test_a_failed_entry_of_a_later_run_does_not_supersede(
        self, sync: Sync, space: SpaceState
    ) -> None:
        older, newer = (sync.ledger.next_extraction(run) for run in ("first", "second"))
        space.save_error = lambda _: error("InvalidEntry")
        sync.run(products(1, " newer"), extraction=newer)
        space.save_error = lambda _: None
        assert actions(sync.run(products(1), extraction=older)) == {"created": 1}


def test_outcomes_do_not_wait_for_the_end_of_a_long_batch(sync: Sync, space: SpaceState) -> None:
    """Otherwise the outcomes of a regular run would pile up behind one entry to be published."""
    entries = products(2800)
    equal = {derive_entry_id("product", entry.key): dict(entry.fields) for entry in entries[1:]}
    for entry_id, fields in equal.items():
        space.add_entry(entry_id, fields)
    index = sync.index()
    taken = 0

    def count():
        nonlocal taken
        for entry in entries:
            taken += 1
            yield entry

    stream = upsert_entries(sync.client, index, count(), UpsertOptions(apply=True), sync.ledger)
    first = next(stream)
    assert (first.action, first.published) == ("created", True)
    assert taken < 2600
    assert actions([first, *stream]) == {"created": 1, "unchanged": 2799}
    index.close()


def test_outcomes_are_frozen(sync: Sync) -> None:
    (outcome,) = sync.run(products(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.action = "failed"  # type: ignore[misc]
