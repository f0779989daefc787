"""What Dagster shows of a run: figures, progress, log, order, asset. One applied run, read often."""

from __future__ import annotations

import dagster as dg
import pytest

from sync_pipeline_tests.harness.project import Project

#: An interface: dashboards and alerts read these names.
STEP_FIGURES = {"records", "requests", "duration_s", "peak_rss_mb", "records_per_s"}
ALL_FIGURES = STEP_FIGURES | {"created", "updated", "unchanged", "published", "deleted", "failed"}


@pytest.fixture(scope="module")
def run_id(shared_project: Project) -> str:
    """Of an applied run over 40 records in 2 batches, one of which has a failed entry."""
    shared_project.source.rows[25]["stock"] = "many"
    return shared_project.apply(max_failed_entries=1).run_id


def test_every_step_shows_its_figures(shared_project: Project, run_id: str) -> None:
    shown = shared_project.metadata(run_id)
    assert set(shown) == {
        "fetch_batches",
        "index_target",
        "transform_batch[batch_000001]",
        "transform_batch[batch_000002]",
        "upsert_batch[batch_000001]",
        "upsert_batch[batch_000002]",
        "summarize_run",
    }
    for step, values in shown.items():
        wanted = ALL_FIGURES if step.startswith(("upsert", "summarize")) else STEP_FIGURES
        assert wanted - set(values) == set(), step
        assert values["peak_rss_mb"] > 0


def test_the_figures_of_the_steps_are_those_of_the_run(
    shared_project: Project, run_id: str
) -> None:
    shown = shared_project.metadata(run_id)
    assert shown["fetch_batches"]["records"] == 40
    assert shown["upsert_batch[batch_000001]"]["created"] == 20
    assert shown["upsert_batch[batch_000002]"]["created"] == 19
    assert shown["summarize_run"]["created"] == 39
    assert shown["summarize_run"]["failed"] == 1
    assert "**created 39**" in shown["summarize_run"]["summary"]
    assert "**1 entries failed**" in shown["summarize_run"]["summary"]
    assert shown["summarize_run"]["requests"] == len(shared_project.space.requests)


def test_the_runs_list_shows_progress_mode_and_failures(
    shared_project: Project, run_id: str
) -> None:
    tags = shared_project.run(run_id).tags
    shown = (tags["sync/key"], tags["sync/progress"], tags["sync/mode"], tags["sync/failed"])
    assert shown == (shared_project.key, "2/2", "streaming", "1")


def test_one_line_a_page_and_a_batch_is_logged(shared_project: Project, run_id: str) -> None:
    key = shared_project.key
    lines = [line for line in shared_project.messages(run_id) if line.startswith(key)]
    assert [line for line in lines if ": page 1, 10 of 40 records" in line]
    assert len([line for line in lines if ": page " in line]) == 5, "the last one is empty"
    assert [line for line in lines if "batch_000001, 1 of 2 batches: 20 created" in line]
    assert len([line for line in lines if "batches: " in line]) == 2


def test_an_applied_run_materializes_the_asset_with_its_figures(
    shared_project: Project, run_id: str
) -> None:
    (event,) = [
        entry.dagster_event
        for entry in shared_project.instance.all_logs(run_id)
        if entry.dagster_event and entry.dagster_event.is_step_materialization
    ]
    assert event.asset_key == dg.AssetKey(["contentful", "product"])
    values = event.step_materialization_data.materialization.metadata
    assert values["created"].value == 39
    assert set(values) >= ALL_FIGURES


def test_a_batch_is_finished_before_the_next_is_begun(shared_project: Project, run_id: str) -> None:
    starts = [
        entry.step_key
        for entry in shared_project.instance.all_logs(run_id)
        if entry.dagster_event and entry.dagster_event.is_step_start
    ]
    assert starts == [
        "fetch_batches",
        "index_target",
        "transform_batch[batch_000001]",
        "upsert_batch[batch_000001]",
        "transform_batch[batch_000002]",
        "upsert_batch[batch_000002]",
        "summarize_run",
    ]


def test_a_tolerated_failure_is_listed_by_nobody_as_failed_batch(
    shared_project: Project, run_id: str
) -> None:
    assert shared_project.run(run_id).is_success
    assert shared_project.partitions() == set()
    assert shared_project.failed() == []


def test_the_page_shows_no_figure_that_this_run_has_not_counted(
    shared_project: Project, run_id: str
) -> None:
    shown = shared_project.metadata(run_id)["summarize_run"]
    assert "| failed | 1 |" in shown["summary"]
    assert "| unchanged | 0 |" in shown["summary"]
    assert "deleted" not in shown["summary"]
    assert shown["deleted"] == 0
