"""What the code location offers: jobs, assets, schedules, sensors; a broken file hurts only itself."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from sync_pipeline_tests.harness.project import Project

OPS = {"fetch_batches", "index_target", "transform_batch", "upsert_batch", "summarize_run"}


def test_every_config_file_gives_two_jobs_with_the_five_ops(project: Project) -> None:
    project.write_config("more-products")
    repository = project.definitions()
    for name in ("more_products", project.key):
        for job_name in (f"sync_{name}", f"backfill_{name}"):
            job = repository.get_job(job_name)
            assert {node.name for node in job.graph.nodes} == OPS
            assert not job.hook_defs, "hooks would keep every output in memory"


def test_a_backfill_job_is_partitioned_by_the_failed_batches(project: Project) -> None:
    job = project.definitions().get_job(f"backfill_{project.key}")
    partitions = job.partitions_def
    assert isinstance(partitions, dg.DynamicPartitionsDefinition)
    assert partitions.name == f"{project.key}_failed_batches"


def test_an_asset_stands_for_each_content_type(project: Project) -> None:
    project.write_config("other")
    graph = project.definitions().asset_graph
    key = dg.AssetKey(["contentful", "product"])
    assert graph.get(key).kinds == {"contentful"}
    assert "other" in (graph.get(key).description or "")


def test_a_broken_file_is_left_out_and_named_in_the_log(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    path = project.write_config("broken", contentTyp="product")
    names = set(project.definitions().job_names)
    assert f"sync_{project.key}" in names
    assert "sync_broken" not in names
    assert str(path) in caplog.text
    assert "contentTyp" in caplog.text


@pytest.mark.parametrize(
    ("broken", "keys"),
    [
        ({"contentTyp": "product"}, "contentTyp"),
        ({"schedule": {"cron": "every day"}}, "schedule"),
    ],
    ids=["unknown key", "cron"],
)
def test_a_broken_file_is_named_in_the_ui_too(
    project: Project, broken: dict[str, Any], keys: str
) -> None:
    """Whoever has only the UI sees that a job is missing, and would not learn why."""
    path = project.write_config(**broken)
    sensor = project.definitions().get_sensor_def("run_report_sensor")
    with dg.build_sensor_context(instance=project.instance) as context:
        reason = sensor.evaluate_tick(context).skip_message or ""
    assert f"left out, as it is broken: {path}" in reason
    assert keys in reason


@pytest.mark.parametrize(
    "schedule",
    [{"cron": "every day"}, {"cron": "0 2 * * *", "timezone": "Mars/Olympus"}],
    ids=["cron", "timezone"],
)
def test_a_wrong_schedule_leaves_its_sync_out_and_names_the_key(
    project: Project, caplog: pytest.LogCaptureFixture, schedule: dict[str, str]
) -> None:
    project.write_config("broken", schedule=schedule)
    names = set(project.definitions().job_names)
    assert f"sync_{project.key}" in names
    assert "sync_broken" not in names
    assert "schedule" in caplog.text


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"mapping": {"sku": "{{ rwo.sku }}"}}, "mapping.sku"),
        ({"headers": {"A": "{{ confg.SYNC_A }}"}}, "headers.A"),
    ],
    ids=["mapping", "source"],
)
def test_a_template_that_can_never_work_leaves_its_sync_out(
    project: Project, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], key: str
) -> None:
    path = project.write_config("broken", **changes)
    names = set(project.definitions().job_names)
    assert f"sync_{project.key}" in names
    assert "sync_broken" not in names
    assert f"{path}: {key}: unknown variable" in caplog.text


def test_definitions_load_without_token_or_space(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTENTFUL_MANAGEMENT_TOKEN")
    monkeypatch.delenv("CONTENTFUL_SPACE_ID")
    assert f"sync_{project.key}" in project.definitions().job_names


def test_an_empty_folder_is_a_location_without_jobs(project: Project) -> None:
    (project.configs / f"{project.key}.yaml").unlink()
    repository = project.definitions()
    assert [name for name in repository.job_names if name.startswith("sync_")] == []


def test_schedules_and_sensors_are_there_where_a_file_asks_for_them(project: Project) -> None:
    project.write_config(
        schedule={"cron": "0 2 * * *", "timezone": "Europe/London"},
        sensor={"type": "http_change", "url": "http://127.0.0.1:9/x"},
    )
    project.write_config("plain")
    repository = project.definitions()
    schedules = {schedule.name for schedule in repository.schedule_defs}
    sensors = {sensor.name for sensor in repository.sensor_defs}
    assert schedules == {f"sync_{project.key}_schedule"}
    assert sensors == {f"sync_{project.key}_sensor", "failed_batches_sensor", "run_report_sensor"}
