"""A sync as Dagster runs it: what it writes, and what it shows of that."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from sync_pipeline.stages import fetch
from sync_pipeline_tests.harness.project import MAPPING, Project
from sync_pipeline_tests.harness.rows import product_rows


def materializations(project: Project, run_id: str) -> list[dg.DagsterEvent]:
    events = [entry.dagster_event for entry in project.instance.all_logs(run_id)]
    return [event for event in events if event and event.is_step_materialization]


def test_a_dry_run_changes_nothing_and_counts_what_would_happen(project: Project) -> None:
    project.space.put_entry("old", {"sku": "P0000", "name": "Old"}, publish=True)
    launched = project.launch(mode="streaming", batch_size=20)
    assert launched.is_success
    assert project.space.changing_requests == []
    summary = project.summary(launched.run_id)
    assert summary["dry_run"] is True
    assert {name: summary[name] for name in ("created", "updated", "published", "failed")} == {
        "created": 39,
        "updated": 1,
        "published": 40,
        "failed": 0,
    }
    assert materializations(project, launched.run_id) == []


def test_a_dry_run_says_so_in_its_lines_and_among_the_runs(project: Project) -> None:
    project.space.put_entry("old", {"sku": "P0000", "name": "Old"}, publish=True)
    run_id = project.launch(mode="streaming", batch_size=20).run_id
    assert [line for line in project.messages(run_id) if "19 to create, 1 to update" in line]
    assert project.run(run_id).tags["sync/apply"] == "false"
    assert project.run(project.apply().run_id).tags["sync/apply"] == "true"


@pytest.mark.parametrize("mode", ["regular", "streaming"])
def test_apply_creates_and_publishes_and_a_second_run_writes_nothing(
    project: Project, mode: str
) -> None:
    assert project.launch(apply=True, mode=mode, batch_size=30).is_success
    entries = project.space.entries()
    assert len(entries) == 40
    assert entries["P0008"] == (
        {"sku": {"en-US": "P0008"}, "name": {"en-US": "Product 8"}, "stock": {"en-US": 1}},
        "published",
    )
    assert {state for _, state in entries.values()} == {"published"}
    before, count = project.space.versions(), len(project.space.changing_requests)

    again = project.launch(apply=True, mode=mode, batch_size=30)
    assert project.space.versions() == before
    assert len(project.space.changing_requests) == count
    summary = project.summary(again.run_id)
    assert (summary["unchanged"], summary["created"], summary["published"]) == (40, 0, 0)


def test_a_changed_row_is_patched_and_fields_that_are_not_mapped_stay(project: Project) -> None:
    project.apply()
    entry = next(e for e in project.space.raw_entries() if e["fields"]["sku"]["en-US"] == "P0003")
    version = str(entry["sys"]["version"])
    entry["fields"]["tags"] = {"en-US": ["by hand"]}
    path = f"/entries/{entry['sys']['id']}"
    project.space.call("PUT", path, {"fields": entry["fields"]}, X_Contentful_Version=version)
    project.space.call("PUT", f"{path}/published", X_Contentful_Version=str(int(version) + 1))
    project.source.rows[3]["name"] = "New name"
    project.space.requests.clear()

    launched = project.apply()
    assert project.summary(launched.run_id)["updated"] == 1
    fields, state = project.space.entries()["P0003"]
    assert fields["name"] == {"en-US": "New name"}
    assert fields["tags"] == {"en-US": ["by hand"]}
    assert state == "published"
    writes = [r for r in project.space.changing_requests if "/entries/" in r]
    assert [w for w in writes if "published" not in w] == [f"PATCH {path}"]


def test_publish_none_leaves_drafts_and_publish_all_takes_those_of_others(project: Project) -> None:
    launched = project.apply(publish="none", limit=5)
    assert project.summary(launched.run_id)["published"] == 0
    assert {state for _, state in project.space.entries().values()} == {"draft"}

    launched = project.apply(publish="changed", limit=5)
    assert project.summary(launched.run_id)["published"] == 0, "drafts left on purpose stay drafts"

    said = project.launch(publish="all", limit=5)
    assert project.summary(said.run_id)["published"] == 5, "a dry run says what a run would do"
    launched = project.apply(publish="all", limit=5)
    assert project.summary(launched.run_id)["published"] == 5
    assert {state for _, state in project.space.entries().values()} == {"published"}


def test_drafts_of_editors_are_written_left_unpublished_and_counted(project: Project) -> None:
    project.space.put_entry("draft", {"sku": "P0003", "name": "An editor's draft"})
    summary = project.summary(project.apply().run_id)
    figures = ("created", "updated", "published", "publish_skipped", "failed")
    assert [summary[name] for name in figures] == [39, 1, 39, 1, 0]
    assert project.space.entries()["P0003"][1] == "draft"


def test_the_runs_page_shows_how_far_the_extraction_is(project: Project) -> None:
    seen: list[str] = []

    def look(_request: Any, _page: int) -> None:
        run = project.run(project.run_ids()[0])
        seen.append(run.tags.get("sync/fetched", ""))

    project.source.fault = look
    run_id = project.apply().run_id
    assert seen[:2] == ["", "10/40"]
    assert project.run(run_id).tags["sync/fetched"] == "40"


def test_limit_takes_only_the_first_records_and_asks_for_no_further_page(project: Project) -> None:
    launched = project.apply(limit=15)
    assert project.summary(launched.run_id)["records"] == 15
    assert sorted(project.space.entries()) == [f"P{number:04d}" for number in range(15)]
    assert project.source.pages == [1, 2]


def test_an_empty_source_is_a_run_of_nothing(project: Project) -> None:
    project.source.rows = []
    launched = project.apply()
    assert launched.is_success
    summary = project.summary(launched.run_id)
    assert (summary["records"], summary["batches"]) == (0, 0)
    assert project.run(launched.run_id).tags["sync/progress"] == "0/0"


def test_requests_are_logged_at_debug_only(project: Project) -> None:
    usual = project.messages(project.launch(mode="streaming", limit=10).run_id)
    debug = project.messages(project.launch(mode="streaming", limit=10, log_level="debug").run_id)
    assert not any("GET /" in line or "GET http" in line for line in usual)
    assert any("/entries" in line for line in debug)


@pytest.mark.parametrize("mode", ["auto", "regular"])
def test_a_regular_run_is_one_batch_named_all(project: Project, mode: str) -> None:
    launched = project.launch(apply=True, mode=mode, batch_size=10)
    assert "upsert_batch[all]" in project.steps(launched.run_id)
    assert project.run(launched.run_id).tags["sync/mode"] == "regular"


def test_auto_streams_above_its_threshold(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "AUTO_STREAMS_ABOVE", 39)
    launched = project.launch(mode="auto", batch_size=20)
    assert "upsert_batch[batch_000002]" in project.steps(launched.run_id)
    assert project.run(launched.run_id).tags["sync/mode"] == "streaming"


def test_a_source_that_cannot_be_streamed_is_read_in_regular_mode_with_a_warning(
    project: Project,
) -> None:
    project.write_config(stream=False)
    launched = project.apply()
    assert launched.is_success
    assert project.run(launched.run_id).tags["sync/mode"] == "regular"
    (warning,) = [line for line in project.messages(launched.run_id) if "stream: false" in line]
    assert "streaming mode was asked for" in warning


@pytest.mark.parametrize(("limit", "times"), [(20, 0), (21, 1)])
def test_a_large_regular_run_warns_once_and_names_streaming(
    project: Project, monkeypatch: pytest.MonkeyPatch, limit: int, times: int
) -> None:
    monkeypatch.setattr(fetch, "REGULAR_WARNS_ABOVE", 20)
    launched = project.launch(mode="regular", limit=limit)
    lines = project.messages(launched.run_id)
    assert len([line for line in lines if "mode: streaming" in line]) == times


def test_a_regular_run_stops_before_the_memory_bound(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_MAX_MEMORY_MB", "20")  # less than Python itself
    launched = project.launch(apply=True, mode="regular")
    assert not launched.is_success
    assert "SYNC_MAX_MEMORY_MB=20" in launched.failure
    assert "mode: streaming" in launched.failure
    assert project.space.changing_requests == []


def test_a_streaming_run_near_the_memory_bound_shrinks_its_batches(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.source.rows = product_rows(200)
    monkeypatch.setenv("SYNC_MAX_MEMORY_MB", "20")
    launched = project.launch(mode="streaming", batch_size=100)
    assert launched.is_success
    assert project.summary(launched.run_id)["batches"] == 4
    assert any("batches shrink from 100 to 50" in m for m in project.messages(launched.run_id))


def test_records_with_one_key_are_merged_over_batches_and_counted(project: Project) -> None:
    first = {"sku": "P0001", "name": "", "stock": 9, "grade": "B"}
    project.source.rows = [*product_rows(20), first, {"sku": "P0001", "name": "Other"}]
    launched = project.apply(batch_size=10)
    summary = project.summary(launched.run_id)
    assert (summary["records"], summary["created"], summary["duplicates"]) == (22, 20, 2)
    fields, _ = project.space.entries()["P0001"]
    assert fields["name"] == {"en-US": "Product 1"}
    assert fields["stock"] == {"en-US": 1}
    assert fields["grade"] == {"en-US": "B"}


def test_filtered_records_are_counted_and_not_written(project: Project) -> None:
    project.write_config(filterExpression="{{ row.stock > 3 }}")
    summary = project.summary(project.apply().run_id)
    assert summary["filtered"] + summary["created"] == 40
    assert len(project.space.entries()) == summary["created"] < 20


@pytest.mark.parametrize("applies", [True, False])
def test_a_run_that_keeps_none_of_its_records_says_so(project: Project, applies: bool) -> None:
    project.write_config(filterExpression="{{ row.stock > 3000 }}")
    launched = project.launch(project.key, apply=applies)
    assert launched.is_success
    said = "filterExpression leaves out all of the 40 records"
    assert said in project.summary(launched.run_id)["summary"]
    assert any(said in message for message in project.messages(launched.run_id))


def test_a_filter_that_comes_to_nothing_leaves_records_out_and_is_told(project: Project) -> None:
    project.write_config(filterExpression="{{ if row.stock > 3 }}true{{ end }}")
    launched = project.apply(batch_size=20)
    summary = project.summary(launched.run_id)
    assert 0 < summary["filtered"] < 40
    assert "filterExpression came to nothing for some records" in summary["summary"]
    assert "(2 times)" in summary["summary"]
    assert any("came to nothing for 12 of 20" in m for m in project.messages(launched.run_id))


def test_a_filter_that_is_neither_true_nor_false_fails_its_records(project: Project) -> None:
    project.write_config(filterExpression="{{ row.name }}")
    launched = project.apply()
    assert not launched.is_success
    assert launched.exit_code == 1
    assert project.space.entries() == {}
    failed = project.metadata(launched.run_id)["upsert_batch[batch_000001]"]["failed_entries"]
    assert {(row["field"], row["error_id"]) for row in failed} == {
        ("filterExpression", "NotBoolean")
    }
    assert len(project.partitions()) == 2


def test_the_response_cache_answers_a_second_run(project: Project) -> None:
    project.apply(use_file_cache=True)
    asked = len(project.source.pages)
    assert project.apply(use_file_cache=True).is_success
    assert len(project.source.pages) == asked


def test_two_syncs_that_differ_only_in_name_keep_apart(project: Project) -> None:
    other = f"{project.key}_b"
    project.write_config(other, mapping={**MAPPING, "name.de-DE": "{{ row.name }} (de)"})
    project.apply()
    launched = project.launch(other, apply=True, mode="regular")
    assert launched.is_success
    fields, state = project.space.entries()["P0001"]
    assert fields["name"] == {"en-US": "Product 1", "de-DE": "Product 1 (de)"}
    assert state == "published"
