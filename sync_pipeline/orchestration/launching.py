"""Launch jobs from the command line: in this process, in the instance that the UI shows."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from sync_pipeline.errors import (
    BusyError,
    EnvironmentVariableError,
    SyncPipelineError,
    UsageError,
)
from sync_pipeline.orchestration.failed_batches import find_failed_batch
from sync_pipeline.orchestration.private_dagster import (
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    ReconstructableRepository,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    execute_run_iterator,
)
from sync_pipeline.orchestration.steps import EXIT_CODE, LOCATION, RESUME_TAG, spool_id_of

MODULE = "sync_pipeline.definitions"
#: Making Dagster's databases takes a second or two.
OPENING_TIMEOUT_S = 120.0
#: Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130

INSTANCE_YAML = """\
# Written once by sync-pipeline; change it as you like. https://docs.dagster.io/deployment/dagster-yaml
telemetry:
  enabled: false
nux:
  enabled: false
# One run of a sync at a time: others wait in the queue. Two at once: they share a small machine.
concurrency:
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: sync/key
        value:
          applyLimitPerUniqueValue: true
        limit: 1
"""


@dataclass(frozen=True, slots=True)
class Launched:
    """A run that has ended."""

    run_id: str
    is_success: bool
    #: What the first failed step said, "" where none failed.
    failure: str
    #: Exit code that the failed steps ask for; 0 where none failed.
    exit_code: int


def prepare_dagster_home(project_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the Dagster instance: DAGSTER_HOME, else `.dagster` beside workspace.yaml.

    Raises:
        EnvironmentVariableError: It cannot be written.
    """
    home = Path(environ.get("DAGSTER_HOME") or project_dir / ".dagster").resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
        settings = home / "dagster.yaml"
        if not settings.exists():
            settings.write_text(INSTANCE_YAML, encoding="utf-8")
    except OSError as err:
        raise EnvironmentVariableError(
            f"Dagster's home {home} cannot be written ({err.strerror}). Set DAGSTER_HOME to a "
            "directory that can be."
        ) from err
    return home


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME."""
    # Dagster makes its databases when a home is opened for the first time, and two commands that do
    # so at once fail: "table alembic_version already exists".
    path = Path(os.environ["DAGSTER_HOME"]) / ".opening.lock"
    try:
        with FileLock(path, timeout=OPENING_TIMEOUT_S):
            opened = dg.DagsterInstance.get()
    except Timeout:
        raise BusyError(
            f"Another process has held {path} for {OPENING_TIMEOUT_S:.0f} s, which takes a second: "
            "it is paused or hangs. Let it go on or end it (`fuser` names it)."
        ) from None
    with opened as instance:
        yield instance


def launch_sync(
    instance: dg.DagsterInstance,
    sync_key: str,
    run_config: Mapping[str, Any],
    *,
    run_id: str | None = None,
) -> Launched:
    """Run `sync_<key>` to its end."""
    return _launch(instance, f"sync_{sync_key}", run_id or new_run_id(), dict(run_config), {})


def launch_backfill(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, partition_key: str
) -> Launched:
    """Run `backfill_<key>` for one failed batch.

    Raises:
        UsageError: There is no such failed batch.
    """
    find_failed_batch(storage_dir, sync_key, partition_key)
    tags = {"dagster/partition": partition_key}
    return _launch(instance, f"backfill_{sync_key}", new_run_id(), None, tags)


def launch_resume(instance: dg.DagsterInstance, run_id: str) -> Launched:
    """Go on with a run that was killed or failed, without Dagster's own re-execution.

    It reads nothing of the parent's events or outputs, only the spool; so it is untouched by the
    open bugs around interrupted dynamic runs (dagster#20925, #30077, #30248, #30972).

    Raises:
        UsageError: There is no such run, it is going, or it is not a run of a sync.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or not run.job_name.startswith("sync_"):
        raise UsageError(
            f"{run_id} is not a run of a sync in {instance.root_directory}. The Runs page of "
            "`sync-pipeline dev`, or `sync-pipeline failed`, shows the ids."
        )
    resumed = new_run_id()
    tags = {
        RESUME_TAG: f"{resumed}:{spool_id_of(instance, run)}",
        "dagster/parent_run_id": run.run_id,
        "dagster/root_run_id": run.root_run_id or run.run_id,
    }
    return _launch(
        instance,
        run.job_name,
        resumed,
        dict(run.run_config),
        tags,
        parent_run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
    )


def new_run_id() -> str:
    """An id for a run that is about to be launched."""
    return str(uuid.uuid4())


def _launch(
    instance: dg.DagsterInstance,
    job_name: str,
    run_id: str,
    run_config: dict[str, Any] | None,
    tags: Mapping[str, str],
    *,
    parent_run_id: str | None = None,
    root_run_id: str | None = None,
) -> Launched:
    repository = ReconstructableRepository.for_module(MODULE, "defs")
    definition = repository.get_definition()
    if not definition.has_job(job_name):
        raise UsageError(
            f"There is no job {job_name}: its config file is missing or broken. "
            "`sync-pipeline check` says which."
        )
    job = repository.get_reconstructable_job(job_name)
    job_definition = job.get_definition()
    if run_config is None:
        partition = tags["dagster/partition"]
        run_config = dict(job_definition.get_run_config_for_partition_key(partition) or {})
    try:
        run = instance.create_run_for_job(
            job_definition,
            run_id=run_id,
            run_config=run_config,
            tags={**job_definition.tags, **tags},
            parent_run_id=parent_run_id,
            root_run_id=root_run_id,
            remote_job_origin=_origin(job_name),
            job_code_origin=job.get_python_origin(),
        )
    except dg.DagsterInvalidConfigError as error:
        reasons = "; ".join(item.message for item in error.errors)
        raise UsageError(f"The run config is not valid: {reasons}") from error
    is_success, failure, code = False, "", 0
    # One event at a time: a result object would hold all of them.
    for event in execute_run_iterator(job, run, instance):
        is_success = is_success or event.is_job_success
        if event.is_step_failure:
            text, asked = _read_failure(event)
            failure, code = failure or text, max(code, asked)
    if not is_success and not code:
        failure, code = "The run did not succeed; see its events.", SyncPipelineError.exit_code
    return Launched(run_id, is_success, failure, code)


def _origin(job_name: str) -> RemoteJobOrigin:
    """The job as workspace.yaml names it, so that the UI can re-execute this run."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE), LOCATION
    )
    return RemoteRepositoryOrigin(location, "__repository__").get_job_origin(job_name)


def _read_failure(event: dg.DagsterEvent) -> tuple[str, int]:
    """A failed step's text and exit code; 1 where only entries failed."""
    data = event.step_failure_data
    if data.user_failure_data is None:
        return _describe_error(data.error)
    asked = data.user_failure_data.metadata.get(EXIT_CODE)
    code = asked.value if asked is not None else SyncPipelineError.exit_code
    return data.user_failure_data.description or "", int(str(code))


def _describe_error(error: Any) -> tuple[str, int]:
    """In a line, what Dagster reports with a traceback: that is on the page of the run."""
    if error is None:
        return "A step failed without a reason.", SyncPipelineError.exit_code
    if error.cls_name == "DagsterExecutionInterruptedError":
        return "Interrupted. What was written stays and is not written twice.", INTERRUPTED
    raised = error.cause or error  # Dagster wraps what a step raised
    text = (
        f"{raised.message.strip()} (unexpected; the traceback is on the run's page in "
        "`sync-pipeline dev`)"
    )
    return text, SyncPipelineError.exit_code
