"""The sensors over all syncs: automatic backfills with growing delays, and finding killed runs."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from sync_pipeline.batches.layout import write_json
from sync_pipeline.orchestration.launching import new_run_id
from sync_pipeline.orchestration.watching import BACKFILL_DELAYS, is_due
from sync_pipeline_tests.harness.project import MAPPING, Project

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def failing(project: Project) -> tuple[Project, str]:
    """A project with one failed batch, and its key."""
    project.source.rows[5]["stock"] = "many"
    project.apply()
    (key,) = project.partitions()
    return project, key


def tick(project: Project, cursor: str | None = None) -> tuple[list[dg.RunRequest], dict[str, Any]]:
    """Evaluate `failed_batches_sensor`; requests and history of this project only."""
    data = evaluate(project, cursor)
    return list(data.run_requests or ()), json.loads(data.cursor or "{}")


def evaluate(project: Project, cursor: str | None = None) -> Any:
    """What a tick of `failed_batches_sensor` comes to."""
    repository = project.definitions()
    sensor = repository.get_sensor_def("failed_batches_sensor")
    with dg.build_sensor_context(
        instance_ref=project.instance.get_ref(), cursor=cursor, repository_def=repository
    ) as context:
        return sensor.evaluate_tick(context)


def history_of(project: Project, key: str, *, tries: int, minutes_ago: float) -> str:
    last = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
    return json.dumps({f"{project.key}/{key}": {"tries": tries, "last": last.isoformat()}})


def test_a_batch_that_has_just_failed_waits(failing: tuple[Project, str]) -> None:
    project, key = failing
    requests, history = tick(project)
    assert requests == []
    assert history[f"{project.key}/{key}"]["tries"] == 0


def test_a_due_batch_is_backfilled_and_the_try_is_counted(failing: tuple[Project, str]) -> None:
    project, key = failing
    (request,), history = tick(project, history_of(project, key, tries=0, minutes_ago=2))
    assert (request.job_name, request.partition_key) == (f"backfill_{project.key}", key)
    assert history[f"{project.key}/{key}"]["tries"] == 1
    assert tick(project, json.dumps(history))[0] == []


@pytest.mark.parametrize("tries", range(len(BACKFILL_DELAYS)))
def test_delays_grow_from_try_to_try(tries: int) -> None:
    delay = BACKFILL_DELAYS[tries]
    past = {"tries": tries, "last": (NOW - delay).isoformat()}
    assert is_due(past, NOW)
    assert not is_due(past, NOW - timedelta(seconds=1))
    assert list(BACKFILL_DELAYS) == sorted(BACKFILL_DELAYS)


def test_after_the_last_try_a_batch_is_left_to_a_person() -> None:
    past = {"tries": len(BACKFILL_DELAYS), "last": (NOW - timedelta(days=99)).isoformat()}
    assert not is_due(past, NOW)


@pytest.mark.parametrize(
    ("tries", "minutes_ago", "reason"),
    [(0, 0, "is due at 20"), (1, 3, "(try 2 of 5)"), (5, 9_999, "left to a person after 5 tries")],
    ids=["first", "second", "last"],
)
def test_a_tick_says_why_a_batch_is_not_backfilled(
    failing: tuple[Project, str], tries: int, minutes_ago: float, reason: str
) -> None:
    project, key = failing
    cursor = history_of(project, key, tries=tries, minutes_ago=minutes_ago)
    said = evaluate(project, cursor).skip_message
    assert said.startswith(f"{project.key}/{key} is ")
    assert reason in said


def test_what_a_person_terminated_is_not_gone_on_with_by_itself(project: Project) -> None:
    """Dagster's "Terminate": a minute later, the sensor would have written the rest."""
    project.source.rows[5]["stock"] = "many"
    run_id = project.apply().run_id
    (key,) = project.partitions()
    due = history_of(project, key, tries=0, minutes_ago=2)
    project.instance.report_run_canceled(project.run(run_id))
    assert tick(project, due)[0] == []
    assert "one terminated its run" in evaluate(project, due).skip_message

    assert not project.resume(run_id).is_success
    (request,), _ = tick(project, due)
    assert request.partition_key == key


def test_a_tick_without_failed_batches_says_so(project: Project) -> None:
    assert evaluate(project).skip_message == "no failed batches"


def test_a_settled_batch_is_forgotten(failing: tuple[Project, str]) -> None:
    project, key = failing
    project.write_config(mapping={**MAPPING, "stock": "1"})
    assert project.backfill(key).is_success
    requests, history = tick(project, history_of(project, key, tries=1, minutes_ago=99))
    assert requests == []
    assert history == {}


@pytest.mark.parametrize("status", [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED])
def test_a_backfill_that_waits_in_the_queue_is_not_launched_twice(
    failing: tuple[Project, str], status: DagsterRunStatus
) -> None:
    project, key = failing
    project.backfill(key)
    ended = project.run(project.run_ids()[0])
    waiting = ended._replace(run_id=new_run_id(), status=status)
    project.instance.add_run(waiting)
    cursor = history_of(project, key, tries=1, minutes_ago=10)
    requests, history = tick(project, cursor)
    assert requests == []
    assert history[f"{project.key}/{key}"]["tries"] == 1
    project.instance.report_run_canceled(project.run(waiting.run_id))
    assert len(tick(project, cursor)[0]) == 1


def test_batches_of_two_runs_are_not_backfilled_in_one_tick(failing: tuple[Project, str]) -> None:
    """They may hold the same keys, so one of the two would be refused."""
    project, _ = failing
    project.source.rows[25]["stock"] = "many"
    del project.source.rows[7]  # so that the later run does not settle the batch of the earlier
    project.apply()
    assert len(project.partitions()) == 3
    past = {"tries": 0, "last": datetime(2026, 1, 1, tzinfo=timezone.utc).isoformat()}
    cursor = json.dumps({f"{project.key}/{key}": past for key in project.partitions()})
    requests, history = tick(project, cursor)
    assert len({str(request.partition_key)[:8] for request in requests}) == 1
    later, _ = tick(project, json.dumps(history))
    assert {request.partition_key for request in [*requests, *later]} == project.partitions()


@pytest.mark.parametrize(
    "cursor", ["hello", "[]", '{"x/y": 7}', '{"x/y": {"tries": "a", "last": "b"}}']
)
def test_a_history_edited_by_hand_is_begun_anew(failing: tuple[Project, str], cursor: str) -> None:
    project, key = failing
    requests, history = tick(project, cursor)
    assert requests == []
    assert set(history) == {f"{project.key}/{key}"}


def test_a_reset_history_launches_under_another_run_key(failing: tuple[Project, str]) -> None:
    project, key = failing
    (first,), _ = tick(project, history_of(project, key, tries=0, minutes_ago=3))
    (again,), _ = tick(project, history_of(project, key, tries=0, minutes_ago=2))
    assert first.run_key != again.run_key


def test_the_sensor_is_off_until_somebody_turns_it_on(project: Project) -> None:
    sensor = project.definitions().get_sensor_def("failed_batches_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_the_report_sensor_ends_killed_runs_and_shows_their_batches(project: Project) -> None:
    """A killed process reports nothing: its run would stay "started", its batches unlisted."""
    project.source.rows[5]["stock"] = "many"
    launched = project.apply()
    (key,) = project.partitions()
    killed = new_run_id()
    project.instance.add_run(
        project.run(launched.run_id)._replace(run_id=killed, status=DagsterRunStatus.STARTED)
    )
    write_json(
        project.storage / "claims" / project.key / f"{killed}.json",
        {
            "run_id": killed,
            "spool_id": launched.run_id,
            "is_backfill": False,
            "host": socket.gethostname(),
            "pid": 2**22 + 1,
            "process_started": 0.0,
        },
    )
    project.instance.delete_dynamic_partition(f"{project.key}_failed_batches", key)

    sensor = project.definitions().get_sensor_def("run_report_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    with dg.build_sensor_context(instance=project.instance) as context:
        data = sensor.evaluate_tick(context)
    assert f"{project.key}: 1" in (data.skip_message or "")
    assert project.run(killed).status is DagsterRunStatus.FAILURE
    assert project.partitions() == {key}


def test_the_report_sensor_of_a_place_without_runs_says_so(project: Project) -> None:
    sensor = project.definitions().get_sensor_def("run_report_sensor")
    with dg.build_sensor_context(instance=project.instance) as context:
        assert sensor.evaluate_tick(context).skip_message == "no failed batches"
