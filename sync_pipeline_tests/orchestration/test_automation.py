"""Schedules and sensors: one test for each situation of a cursor, asserting run requests and cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from pydantic.alias_generators import to_camel

from sync_pipeline.config.run_options import OPTIONS, Option
from sync_pipeline.orchestration.launching import new_run_id
from sync_pipeline_tests.extract.api import Reply
from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.rows import DOWN, HTML


@pytest.fixture
def watching(project: Project) -> Project:
    """A project whose file watches `/state` by its ETag."""
    watch(project)
    return project


def watch(project: Project, **changes: Any) -> None:
    sensor = {"type": "http_change", "url": f"{project.source.url}/state", **changes}
    project.write_config(sensor=sensor)


def tick(
    project: Project, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str | None, str]:
    """Evaluate the sensor; returns run requests, the cursor afterwards, and why it was skipped."""
    sensor = project.definitions().get_sensor_def(f"sync_{project.key}_sensor")
    with dg.build_sensor_context(instance=project.instance, cursor=cursor) as context:
        data = sensor.evaluate_tick(context)
    return list(data.run_requests or ()), data.cursor, data.skip_message or ""


@pytest.fixture
def going(project: Project) -> Iterator[str]:
    """A run of the sync that has just been launched and is not finished."""
    launched = project.launch(limit=1)
    run_id = new_run_id()
    run = project.run(launched.run_id)._replace(run_id=run_id, status=DagsterRunStatus.STARTED)
    project.instance.add_run(run)
    yield run_id
    project.instance.report_run_canceled(project.run(run_id))


# ---------------------------------------------------------------- sensor


def test_the_first_tick_launches_and_remembers_what_it_saw(watching: Project) -> None:
    (request,), cursor, _ = tick(watching)
    assert request.run_config == {"apply": True}
    assert json.loads(cursor or "")["seen"] == '{"ETag": "\\"1\\""}'


def test_an_unchanged_source_is_skipped_and_keeps_the_cursor(watching: Project) -> None:
    _, cursor, _ = tick(watching)
    requests, after, reason = tick(watching, cursor)
    assert requests == []
    assert after == cursor
    assert "no change" in reason


def test_a_changed_source_launches_a_run_with_a_key_of_its_own(watching: Project) -> None:
    (first,), cursor, _ = tick(watching)
    watching.source.etag = '"2"'
    (second,), after, _ = tick(watching, cursor)
    assert second.run_key != first.run_key
    assert after != cursor
    assert tick(watching, after)[0] == []


def test_a_source_that_changes_back_launches_again(watching: Project) -> None:
    (first,), cursor, _ = tick(watching)
    watching.source.etag = '"2"'
    _, cursor, _ = tick(watching, cursor)
    watching.source.etag = '"1"'
    (third,), _, _ = tick(watching, cursor)
    assert third.run_key != first.run_key, "Dagster launches a run key once"


@pytest.mark.parametrize(
    "reply",
    [DOWN, HTML, Reply({}), Reply({}, cut_after=0)],
    ids=["500", "HTML", "no validators", "reset"],
)
def test_a_failing_probe_fails_the_tick_and_loses_nothing(watching: Project, reply: Reply) -> None:
    _, cursor, _ = tick(watching)
    watching.source.etag = '"2"'
    watching.source.fault = lambda _request, _page: reply
    with pytest.raises(dg.Failure) as failed:
        tick(watching, cursor)
    assert "/state" in (failed.value.description or "")
    assert "each tick looks again" in (failed.value.description or "")
    assert "resume" not in (failed.value.description or ""), "there is no run to go on with"
    watching.source.fault = lambda _request, _page: None
    (request,), _, _ = tick(watching, cursor)
    assert request.run_key


def test_a_tick_beside_a_run_that_is_going_skips_and_keeps_the_cursor(
    watching: Project, going: str
) -> None:
    requests, cursor, reason = tick(watching, None)
    assert requests == []
    assert cursor is None
    assert going in reason
    watching.instance.report_run_canceled(watching.run(going))
    assert len(tick(watching, cursor)[0]) == 1


@pytest.mark.parametrize(
    "cursor",
    ["", "{}", "null", "[1]", "hello", '{"seen": 7, "runs": "x"}', '{"runs": null}'],
)
def test_a_cursor_edited_by_hand_launches_a_run_rather_than_failing(
    watching: Project, cursor: str
) -> None:
    (_,), after, _ = tick(watching, cursor)
    assert tick(watching, after)[0] == []


def test_a_cursor_of_another_url_does_not_count(watching: Project) -> None:
    _, cursor, _ = tick(watching)
    watch(watching, url=f"{watching.source.url}/state?other=1")
    assert len(tick(watching, cursor)[0]) == 1


def test_a_value_at_a_json_path_is_watched(watching: Project) -> None:
    watch(watching, jsonPath="etag")
    _, cursor, _ = tick(watching)
    assert json.loads(cursor or "")["seen"] == '"\\"1\\""'
    assert tick(watching, cursor)[0] == []
    watching.source.etag = '"2"'
    assert len(tick(watching, cursor)[0]) == 1


def test_a_missing_value_at_the_json_path_fails_the_tick(watching: Project) -> None:
    watch(watching, jsonPath="gone")
    with pytest.raises(dg.Failure) as failed:
        tick(watching)
    assert "sensor.jsonPath" in (failed.value.description or "")


def test_the_sensor_launches_with_the_run_config_that_its_block_states(watching: Project) -> None:
    watch(watching, apply=False, mode="streaming", batchSize=50, limit=3)
    ((request,), _, _) = tick(watching)
    assert request.run_config == {
        "apply": False,
        "mode": "streaming",
        "batch_size": 50,
        "limit": 3,
    }
    assert watching.launch(**request.run_config).is_success


def test_a_secret_of_the_probe_is_not_told_by_a_failed_tick(
    watching: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_SECRET_KEY", "s3cret-of-the-probe")
    watch(watching, url=f"{watching.source.url}/state?key={{{{ config.SYNC_SECRET_KEY }}}}")
    watching.source.fault = lambda _request, _page: DOWN
    with pytest.raises(dg.Failure) as failed:
        tick(watching)
    assert "s3cret" not in str(failed.value.description)


def test_the_sensor_asks_in_the_interval_of_its_block_and_is_on_unless_told(
    watching: Project,
) -> None:
    watch(watching, minimumIntervalSeconds=300, enabled=False)
    sensor = watching.definitions().get_sensor_def(f"sync_{watching.key}_sensor")
    assert sensor.minimum_interval_seconds == 300
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


# ---------------------------------------------------------------- schedule


def scheduled(project: Project) -> tuple[list[dg.RunRequest], str]:
    schedule = project.definitions().get_schedule_def(f"sync_{project.key}_schedule")
    when = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)
    context = dg.build_schedule_context(instance=project.instance, scheduled_execution_time=when)
    with context:
        data = schedule.evaluate_tick(context)
    return list(data.run_requests or ()), data.skip_message or ""


def test_a_schedule_launches_with_what_its_block_states(project: Project) -> None:
    project.write_config(
        schedule={
            "cron": "0 2 * * *",
            "timezone": "Europe/London",
            "apply": False,
            "mode": "auto",
            "maxFailedEntries": 3,
        }
    )
    schedule = project.definitions().get_schedule_def(f"sync_{project.key}_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Europe/London")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    (request,), _ = scheduled(project)
    assert request.run_config == {"apply": False, "mode": "auto", "max_failed_entries": 3}
    assert request.run_key
    assert project.launch(**request.run_config).is_success


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_a_schedule_may_state_every_option_of_a_run(project: Project, option: Option) -> None:
    value = next(iter(option.words), True if option.is_switch else option.low)
    project.write_config(schedule={"cron": "@daily", to_camel(option.name): value})
    (request,), _ = scheduled(project)
    assert request.run_config == {"apply": True, option.name: value}


def test_a_schedule_applies_unless_its_block_says_otherwise(project: Project) -> None:
    project.write_config(schedule={"cron": "@daily"})
    (request,), _ = scheduled(project)
    assert request.run_config == {"apply": True}


def test_a_schedule_and_a_sensor_say_in_the_ui_whether_they_write(project: Project) -> None:
    watch(project, apply=False)
    sensor = project.definitions().get_sensor_def(f"sync_{project.key}_sensor")
    assert f"sync_{project.key} (apply: false) when" in (sensor.description or "")
    project.write_config(schedule={"cron": "0 2 * * *", "mode": "streaming"})
    schedule = project.definitions().get_schedule_def(f"sync_{project.key}_schedule")
    assert schedule.description == f"Launches sync_{project.key} (apply: true, mode: streaming)."


def test_a_schedule_skips_while_a_run_is_going(project: Project, going: str) -> None:
    project.write_config(schedule={"cron": "@daily"})
    requests, reason = scheduled(project)
    assert requests == []
    assert going in reason


def test_a_disabled_schedule_waits_to_be_turned_on(project: Project) -> None:
    project.write_config(schedule={"cron": "@daily", "enabled": False})
    schedule = project.definitions().get_schedule_def(f"sync_{project.key}_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
