"""Schedules and sensors that a config file asks for.

Neither launches a sync that is still going. A sensor's cursor advances only with the run that it
justifies: a probe that fails, or a tick that is skipped, loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from sync_pipeline.config.environment import read_environment
from sync_pipeline.config.model import Schedule, Sensor, SyncConfig
from sync_pipeline.config.run_options import stated_options
from sync_pipeline.errors import ConfigError, SyncPipelineError
from sync_pipeline.extract.rest.change_probe import probe_change
from sync_pipeline.model import utc_now
from sync_pipeline.orchestration.claims import (
    LOOKED_AT,
    claims_at_work,
    is_young,
    report_killed_runs,
)
from sync_pipeline.redaction import Redactor, secrets_of

#: A run that Dagster has not ended.
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def build_schedule(config: SyncConfig, job: dg.JobDefinition) -> dg.ScheduleDefinition | None:
    """`sync_<key>_schedule`, where the file has a `schedule`.

    Raises:
        ConfigError: The cron text or the time zone is not one.
    """
    stated = config.schedule
    if stated is None:
        return None

    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[Any]:
        if reason := reason_to_wait(context.instance, config):
            yield dg.SkipReason(reason)
            return
        when: datetime = context.scheduled_execution_time
        yield dg.RunRequest(run_key=when.isoformat(), run_config=stated_options(dict(stated)))

    try:
        return dg.ScheduleDefinition(
            name=f"sync_{config.key}_schedule",
            job=job,
            cron_schedule=stated.cron,
            execution_timezone=stated.timezone,
            execution_fn=evaluate,
            default_status=(
                dg.DefaultScheduleStatus.RUNNING
                if stated.enabled
                else dg.DefaultScheduleStatus.STOPPED
            ),
            description=f"Launches sync_{config.key} ({_list_run_config(stated)}).",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise ConfigError(
            f"{error} Use five cron fields, e.g. `0 2 * * *`, and an IANA time zone.",
            file=config.path,
            key="schedule",
        ) from error


def build_sensor(config: SyncConfig, job: dg.JobDefinition) -> dg.SensorDefinition | None:
    """`sync_<key>_sensor`, where the file has a `sensor`."""
    stated = config.sensor
    if stated is None:
        return None

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if reason := reason_to_wait(context.instance, config):
            return dg.SkipReason(reason)
        seen = _seen(stated, context.cursor)
        try:
            found = probe_change(
                config, stated, variables=read_environment(os.environ).template_variables
            )
        except SyncPipelineError as error:
            environment = read_environment(os.environ)
            # Shown red in the tick; the cursor stays, so the change is found by the next tick.
            reason = str(error).rstrip(".")
            text = f"{reason}. Until then the cursor stays, and each tick looks again"
            raise dg.Failure(Redactor(secrets_of(config, environment)).redact(text)) from None
        if found == seen:
            return dg.SkipReason(f"no change at the source since the last run ({found[:60]})")
        runs = _count(context.cursor) + 1
        digest = hashlib.sha256(found.encode()).hexdigest()[:24]
        # Dagster launches a key once. The same key only where the same tick is taken up again:
        # a cursor that was reset by hand must launch although its count begins anew.
        run_key = f"{digest}:{runs}:{context.last_tick_completion_time or 0:.0f}"
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=run_key, run_config=stated_options(dict(stated)))],
            cursor=json.dumps({"watch": _watch(stated), "seen": found, "runs": runs}),
        )

    return dg.SensorDefinition(
        name=f"sync_{config.key}_sensor",
        job=job,
        evaluation_fn=evaluate,
        minimum_interval_seconds=stated.minimum_interval_seconds,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if stated.enabled else dg.DefaultSensorStatus.STOPPED
        ),
        description=f"Launches sync_{config.key} ({_list_run_config(stated)}) when its source says "
        "that something changed.",
    )


def _list_run_config(stated: Schedule | Sensor) -> str:
    """E.g. `apply: true, mode: streaming`: whoever sees it in the UI knows whether it writes."""
    values = stated_options(dict(stated))
    return ", ".join(f"{name}: {str(values[name]).lower()}" for name in sorted(values))


def reason_to_wait(
    instance: dg.DagsterInstance, config: SyncConfig, now: datetime | None = None
) -> str:
    """Why no second run of the sync may start now; "" where one may.

    A run that began long ago and claimed nothing was killed before its first step; it would stand
    in the way for ever. Should it be only slow, its first step finds the sync taken. One that is
    silent does not, either: the first step of the next run waits until it is known to be dead. A
    tick that is skipped may be that of a day.
    """
    now = now or utc_now()
    storage_dir = read_environment(os.environ).storage_dir
    report_killed_runs(instance, storage_dir, config.key)
    silent: set[str] = set()
    for one in claims_at_work(instance, storage_dir, config.key):
        if one.state == "going":
            return f"run {one.claim.run_id} of {config.key} is still going"
        silent.add(one.claim.run_id)
    waiting = instance.get_run_records(
        dg.RunsFilter(job_name=f"sync_{config.key}", statuses=list(UNFINISHED)), limit=LOOKED_AT
    )
    for record in waiting:
        run = record.dagster_run
        if run.run_id in silent:
            continue
        if is_young(record, now) or run.status == dg.DagsterRunStatus.QUEUED:
            return f"run {run.run_id} of {config.key} is not finished"
    return ""


def _watch(stated: Sensor) -> str:
    """What the cursor is about; a cursor of another URL or path does not count."""
    return hashlib.sha256(f"{stated.url}\n{stated.json_path}".encode()).hexdigest()[:16]


def _seen(stated: Sensor, cursor: str | None) -> str | None:
    value = _read(cursor)
    return value.get("seen") if value.get("watch") == _watch(stated) else None


def _count(cursor: str | None) -> int:
    runs = _read(cursor).get("runs")
    return runs if isinstance(runs, int) else 0


def _read(cursor: str | None) -> dict[str, Any]:
    try:
        value = json.loads(cursor or "{}")
    except ValueError:  # edited by hand in the UI
        return {}
    return value if isinstance(value, dict) else {}
