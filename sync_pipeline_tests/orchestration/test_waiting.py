"""When a schedule or sensor launches nothing: another run of the sync is under way."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from sync_pipeline.config.loading import load_config
from sync_pipeline.model import utc_now
from sync_pipeline.orchestration import launching
from sync_pipeline.orchestration.automation import reason_to_wait
from sync_pipeline.orchestration.claims import START_PATIENCE
from sync_pipeline_tests.harness.project import Project

Status = dg.DagsterRunStatus


@pytest.mark.parametrize(
    ("status", "age", "waits"),
    [
        pytest.param(Status.STARTING, timedelta(), True, id="just launched"),
        pytest.param(Status.NOT_STARTED, 2 * START_PATIENCE, False, id="killed before it began"),
        pytest.param(Status.STARTED, 2 * START_PATIENCE, False, id="killed before its first step"),
        pytest.param(Status.QUEUED, 2 * START_PATIENCE, True, id="queued for long"),
        pytest.param(Status.FAILURE, timedelta(), False, id="ended"),
    ],
)
def test_a_run_without_a_claim_is_waited_for_while_it_may_still_begin(
    project: Project, status: Status, age: timedelta, waits: bool
) -> None:
    name = f"sync_{project.key}"
    job = project.definitions().get_job(name)
    origin = launching._origin(name)  # a queued run must have one
    run = project.instance.create_run_for_job(job, status=status, remote_job_origin=origin)
    config = load_config(project.configs / f"{project.key}.yaml")
    reason = reason_to_wait(project.instance, config, utc_now() + age)
    assert (run.run_id in reason) is waits
    project.instance.delete_run(run.run_id)
