"""What every op does around its stage: find the spool, claim the sync, log, turn errors to red."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg

from sync_pipeline.batches.facts import RunFacts, read_run_facts
from sync_pipeline.batches.layout import Spool, spool_of
from sync_pipeline.batches.results import FETCH
from sync_pipeline.config.environment import Environment, read_environment
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.run_options import OPTIONS, RunOptions
from sync_pipeline.errors import AccessError, LeaseLostError, SyncPipelineError, UsageError
from sync_pipeline.orchestration.claims import (
    build_claim,
    claim_sync,
    lease_store,
    release_sync,
)
from sync_pipeline.orchestration.console import LINE_OF_OURS
from sync_pipeline.orchestration.failed_batches import find_failed_batch
from sync_pipeline.orchestration.leases.keeping import Keeper, keep
from sync_pipeline.redaction import Redactor, secrets_of
from sync_pipeline.stages.setting import Setting, Shared, check_target

#: `<run id>:<spool id>`, set by `sync-pipeline resume`. The run id keeps a re-execution, which
#: copies the tags of its parent, from resuming again.
RESUME_TAG = "sync/resume_of"
EXIT_CODE = "exit_code"
#: Name of the code location in workspace.yaml; runs launched here and there belong together.
LOCATION = "sync_pipeline"

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


@dataclass(frozen=True, slots=True)
class SyncResource:
    """The sync that a job runs, one for each run and process."""

    config: SyncConfig
    shared: Shared = field(default_factory=Shared)

    def read_environment(self) -> Environment:
        """The environment of the process that runs the step."""
        return read_environment(os.environ)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run with all that its stage needs."""

    setting: Setting
    #: Batch to replay (or `fetch`), in a backfill.
    replay: str | None
    redactor: Redactor
    #: Keeps the lease of the run.
    keeper: Keeper

    @property
    def is_whole(self) -> bool:
        """Whether the run is about all of the extraction, and not about one of its batches."""
        return self.replay in (None, FETCH)


class StepLog(logging.Logger):
    """Dagster's log with a threshold and without secrets."""

    def __init__(self, target: logging.Logger, level: int, redactor: Redactor) -> None:
        super().__init__("sync_pipeline.step", level)
        self._target = target
        self._redactor = redactor

    def handle(self, record: logging.LogRecord) -> None:
        """Pass a line on, formatted here so that a secret in an argument is redacted too."""
        text = self._redactor.redact(record.getMessage())
        self._target.log(record.levelno, "%s", text, extra={LINE_OF_OURS: True})


@contextmanager
def open_step(context: dg.OpExecutionContext) -> Iterator[Step]:
    """Set a step up and turn its errors into failures that name cause and remedy.

    Raises:
        dagster.Failure: For every error of ours, with `exit_code` in the metadata.
    """
    resource: SyncResource = context.resources.sync
    config = resource.config
    redactor = Redactor(())
    step: Step | None = None
    try:
        environment = resource.read_environment()
        redactor = Redactor(secrets_of(config, environment))
        setting, replay = _build_setting(context, resource, environment, redactor)
        with _keep_claim(context, setting, replay) as keeper:
            step = Step(replace(setting, guard=keeper.check), replay, redactor, keeper)
            yield step
    except dg.Failure:
        raise
    except Exception as error:
        shown = failure_of(error, step, redactor)
        if shown is error:
            raise
        raise shown from None


@contextmanager
def _keep_claim(
    context: dg.OpExecutionContext, setting: Setting, replay: str | None
) -> Iterator[Keeper]:
    """Claim the sync for the run, and keep the claim as long as the step goes.

    Raises:
        BusyError: Another run of the sync is going.
        LeaseLostError: This run was taken for dead, or ended in Dagster.
    """
    instance, storage_dir, key = context.instance, setting.storage_dir, setting.config.key
    is_backfill = replay is not None
    claim = build_claim(
        context.run_id,
        setting.spool.spool_id,
        is_backfill=is_backfill,
        batch=replay or "",
        # Backfills run in one process, whatever the run that failed did.
        is_child=setting.options.executor == "multiprocess" and not is_backfill,
        lease_s=setting.environment.lease_s,
    )
    claim_sync(
        instance,
        storage_dir,
        key,
        claim,
        tell=lambda text: setting.log.warning("%s: %s", key, text),
    )
    run = instance.get_run_by_id(context.run_id)
    if run is not None and run.is_finished:
        release_sync(storage_dir, key, context.run_id)
        raise LeaseLostError(
            "This run has been ended from outside (it was taken for dead, or somebody ended it); "
            f"no step of it goes on. `sync-pipeline resume {context.run_id}` does what is not done."
        )
    with keep(lease_store(storage_dir), key, claim, setting.log) as keeper:
        yield keeper


def failure_of(
    error: Exception,
    step: Step | None,
    redactor: Redactor,
    metadata: dict[str, Any] | None = None,
) -> Exception:
    """What a step raises for an error: without secrets, and with the way on for whoever sees it.

    The last boundary: a bug, or a library's error whose text may hold a secret. Where it holds none
    it is raised as it is.

    Args:
        error: What happened.
        step: None where the step could not be set up.
        redactor: Knows the secrets of the run.
        metadata: Shown with it.
    """
    redact = redactor.redact
    if isinstance(error, dg.Failure):
        return error
    if isinstance(error, SyncPipelineError):
        text = redact(str(error))
        more: dict[str, Any] = {}
        if isinstance(error, AccessError) and step is not None:
            _stop_siblings(step, text)
            more = way_on(step)
        return failure(text, exit_code=error.exit_code, metadata={**more, **(metadata or {})})
    text = "".join(traceback.format_exception(error))
    if redact(text) == text:
        return error
    return failure(redact(text), exit_code=3, metadata=metadata)


def failure(
    description: str, *, exit_code: int, metadata: Mapping[str, Any] | None = None
) -> dg.Failure:
    """A red step. Nothing is retried by Dagster: what could be retried already was."""
    return dg.Failure(
        description, metadata={**(metadata or {}), EXIT_CODE: exit_code}, allow_retries=False
    )


def _build_setting(
    context: dg.OpExecutionContext,
    resource: SyncResource,
    environment: Environment,
    redactor: Redactor,
) -> tuple[Setting, str | None]:
    """What the step works on; and the batch to replay (or `fetch`), in a backfill."""
    config = resource.config
    asked = RunOptions.model_validate((context.op_config or {}).get("options", {}))
    spool, replay = find_spool(context.instance, environment.storage_dir, config.key, context.run)
    facts = read_run_facts(spool)
    check_target(config, environment, facts)
    options = _merge_options(asked, facts, is_replay=replay is not None)
    log = StepLog(context.log, _LEVELS[options.log_level], redactor)
    setting = Setting(
        config, options, environment, spool, context.run_id, log, shared=resource.shared
    )
    return setting, replay


def _merge_options(asked: RunOptions, facts: RunFacts | None, *, is_replay: bool) -> RunOptions:
    """What the extraction was begun with stays; how it is worked off may change in a later run."""
    if facts is None:
        return asked
    begun = facts.options
    if is_replay:
        return begun
    anew = {
        name: getattr(asked, name)
        for name, option in OPTIONS.items()
        if option.traits.is_chosen_anew
    }
    return begun.model_copy(update=anew)


def find_spool(
    instance: dg.DagsterInstance, storage_dir: Path, sync_key: str, run: dg.DagsterRun
) -> tuple[Spool, str | None]:
    """The spool that a run works on; and the batch (or `fetch`) to replay, in a backfill.

    Raises:
        UsageError: A backfill without a partition, or of one whose spool is gone.
    """
    if not run.job_name.startswith("backfill_"):
        return spool_of(storage_dir, sync_key, spool_id_of(instance, run)), None
    partition_key = run.tags.get("dagster/partition")
    if partition_key is None:
        raise UsageError(
            f"{run.job_name} needs a partition: choose a failed batch under Partitions, or run "
            f"`sync-pipeline backfill {sync_key}`."
        )
    return find_failed_batch(storage_dir, sync_key, partition_key)


def spool_id_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Id of the run that fetched what this run works on: itself, or the first of its chain.

    "Re-execute all" starts anew, and so does a selection of steps that fetches; "from failure" and
    other selections go on with the spool of their parent. https://docs.dagster.io/guides/deploy/execution/run-retries
    """
    resumed_run, _, spool_id = run.tags.get(RESUME_TAG, "").partition(":")
    if resumed_run == run.run_id and spool_id:
        return spool_id
    selected = run.step_keys_to_execute or ("fetch_batches",)  # launched in Python: all are named
    goes_on = run.tags.get("dagster/is_resume_retry") == "true" or "fetch_batches" not in selected
    if run.parent_run_id is None or not goes_on:
        return run.run_id
    parent = instance.get_run_by_id(run.parent_run_id)
    return spool_id_of(instance, parent) if parent is not None else run.parent_run_id


def _stop_siblings(step: Step, reason: str) -> None:
    """The space or source is out of reach: the run's other batches need not knock again."""
    setting = step.setting
    if setting.spool.root.exists():  # else nothing was fetched, and there are no batches
        setting.spool.stopped(setting.run_id).write_text(reason, encoding="utf-8")


def way_on(step: Step) -> dict[str, Any]:
    """How to go on once the space or source is back, for somebody who has only this screen."""
    setting = step.setting
    if step.replay is not None:
        return {
            "remedy": f"It stays among the partitions of backfill_{setting.config.key}. Once that "
            "is mended, backfill it again."
        }
    return {
        "remedy": "What was fetched and written stays. Once that is mended, go on with this run: "
        "the arrow beside Re-execute all, From failure; or `sync-pipeline resume "
        f"{setting.run_id}`."
    }


def is_stopped(step: Step) -> bool:
    """Whether a step of this run found the space or source out of reach."""
    return step.setting.spool.stopped(step.setting.run_id).exists()


def refuse_if_stopped(step: Step) -> None:
    """End a batch's step at once when a sibling found the space or source out of reach."""
    marker = step.setting.spool.stopped(step.setting.run_id)
    if marker.exists():
        raise failure(f"Not attempted: {marker.read_text(encoding='utf-8')}", exit_code=3)
