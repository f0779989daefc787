"""Dagster's "Re-execute", as a process of its own: `python -m ... RUN_ID JOB [all]`.

A server that forks steps keeps the environment in which it was begun, so steps that are processes
must not be run by a process that changes its environment from test to test.
"""

from __future__ import annotations

import sys

import dagster as dg

from sync_pipeline.orchestration.launching import MODULE
from sync_pipeline.orchestration.private_dagster import ReconstructableRepository


def reexecute(
    instance: dg.DagsterInstance, run_id: str, job_name: str, *, is_from_failure: bool
) -> dg.DagsterRun:
    """Execute a run again, from failure or all steps; returns the new run, ended."""
    repository = ReconstructableRepository.for_module(MODULE, "defs")
    with dg.execute_job(
        repository.get_reconstructable_job(job_name),
        instance,
        reexecution_options=(
            dg.ReexecutionOptions.from_failure(run_id, instance)
            if is_from_failure
            else dg.ReexecutionOptions(parent_run_id=run_id)
        ),
        # As the UI and the daemon's retries do; Dagster's own call in Python leaves it out.
        tags={"dagster/is_resume_retry": "true"} if is_from_failure else None,
    ) as result:
        return result.dagster_run


if __name__ == "__main__":
    with dg.DagsterInstance.get() as from_environment:
        ended = reexecute(from_environment, *sys.argv[1:3], is_from_failure="all" not in sys.argv)
    sys.exit(0 if ended.is_success else 1)
