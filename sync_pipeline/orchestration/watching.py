"""Sensors over all syncs: backfill failed batches by themselves, and report what went wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from sync_pipeline.batches.layout import list_spools
from sync_pipeline.batches.results import FailedBatch
from sync_pipeline.config.environment import read_environment
from sync_pipeline.model import utc_now
from sync_pipeline.orchestration.automation import UNFINISHED
from sync_pipeline.orchestration.claims import lease_store, live_claims
from sync_pipeline.orchestration.failed_batches import reconcile_failed_batches

#: Waits before the 1st, 2nd, ... automatic backfill of a batch; then it is left to a person.
BACKFILL_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720))
INTERVAL_S = 30
#: Batches that a tick names.
NAMED = 10


def build_failed_batches_sensor(jobs: Sequence[dg.JobDefinition]) -> dg.SensorDefinition:
    """Backfills failed batches with growing delays, at most `len(BACKFILL_DELAYS)` times a batch.

    Off until somebody turns it on: a batch that fails for its data fails again.
    """

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        storage_dir = read_environment(os.environ).storage_dir
        now = utc_now()
        history = _read_history(context.cursor)
        kept: dict[str, dict[str, Any]] = {}
        requests: list[dg.RunRequest] = []
        waits: list[str] = []
        for job in jobs:
            sync_key = job.name.removeprefix("backfill_")
            waiting = reconcile_failed_batches(context.instance, storage_dir, sync_key)
            is_going = bool(live_claims(context.instance, storage_dir, sync_key))
            spools: set[str] = set()  # batches of two must not be replayed at the same time
            for batch in waiting:
                name = f"{sync_key}/{batch.partition_key}"
                past = kept[name] = history.get(name) or _first_seen(batch, now)
                if is_going:
                    wait = "waits until its sync has ended"
                elif is_due(past, now) and spools - {batch.spool.spool_id}:
                    wait = "waits until the batches of another run are done"
                else:
                    wait = _reason_to_wait(context.instance, job.name, batch, past, now)
                    if is_due(past, now):  # requested now, or queued before
                        spools.add(batch.spool.spool_id)
                if wait:
                    waits.append(f"{name} {wait}")
                    continue
                kept[name] = {"tries": past["tries"] + 1, "last": now.isoformat()}
                requests.append(
                    dg.RunRequest(
                        job_name=job.name,
                        partition_key=batch.partition_key,
                        # Dagster launches a key once; a history that was reset counts anew.
                        run_key=f"{name}#{past['tries'] + 1} after {past['last']}",
                    )
                )
        cursor = json.dumps(kept, sort_keys=True)
        if requests:
            return dg.SensorResult(run_requests=requests, cursor=cursor)
        return dg.SensorResult(skip_reason=_list(waits) or "no failed batches", cursor=cursor)

    return dg.SensorDefinition(
        name="failed_batches_sensor",
        jobs=list(jobs),
        evaluation_fn=evaluate,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Backfills failed batches after 1, 5, 30, 120 and 720 minutes, then gives up.",
    )


def is_due(past: dict[str, Any], now: datetime) -> bool:
    """Whether the next automatic backfill of a batch may start."""
    tries = int(past["tries"])
    if tries >= len(BACKFILL_DELAYS):
        return False
    return now - datetime.fromisoformat(past["last"]) >= BACKFILL_DELAYS[tries]


def _reason_to_wait(
    instance: dg.DagsterInstance,
    job_name: str,
    batch: FailedBatch,
    past: dict[str, Any],
    now: datetime,
) -> str:
    """Why a batch is not backfilled by this tick; "" where it is."""
    tries = int(past["tries"])
    if tries >= len(BACKFILL_DELAYS):
        return f"is left to a person after {tries} tries"
    if _is_terminated(instance, batch):
        return "is left to a person, as one terminated its run"
    if not is_due(past, now):
        due = datetime.fromisoformat(past["last"]) + BACKFILL_DELAYS[tries]
        return f"is due at {due:%Y-%m-%d %H:%M} UTC (try {tries + 1} of {len(BACKFILL_DELAYS)})"
    if _is_launched(instance, job_name, batch.partition_key):
        return "is queued or going"
    return ""


def _is_terminated(instance: dg.DagsterInstance, batch: FailedBatch) -> bool:
    """Whether somebody ended the run on purpose, and nobody has gone on with it since."""
    run_id = batch.spool.spool_id
    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.CANCELED:
        return False
    return instance.get_runs_count(dg.RunsFilter(tags={"dagster/parent_run_id": run_id})) == 0


def _list(waits: Sequence[str]) -> str:
    others = len(waits) - NAMED
    return "; ".join([*waits[:NAMED], *([f"{others} others"] if others > 0 else [])])


def _is_launched(instance: dg.DagsterInstance, job_name: str, partition_key: str) -> bool:
    tags = {"dagster/partition": partition_key}
    filters = dg.RunsFilter(job_name=job_name, tags=tags, statuses=list(UNFINISHED))
    return instance.get_runs_count(filters) > 0


def _read_history(cursor: str | None) -> dict[str, dict[str, Any]]:
    """Tries so far, by batch; what was edited by hand and cannot be read counts as never tried."""
    try:
        value = json.loads(cursor or "{}")
    except ValueError:
        return {}
    stated = value.items() if isinstance(value, dict) else ()
    return {name: past for name, past in stated if _is_readable(past)}


def _is_readable(past: Any) -> bool:
    try:
        return (
            isinstance(past["tries"], int)
            and datetime.fromisoformat(past["last"]).tzinfo is not None
        )
    except (KeyError, TypeError, ValueError):
        return False


def _first_seen(batch: FailedBatch, now: datetime) -> dict[str, Any]:
    return {"tries": 0, "last": batch.failed_at or now.isoformat()}


def build_run_report_sensor(
    left_out: Sequence[str] = (), sync_keys: Collection[str] = ()
) -> dg.SensorDefinition:
    """Ends killed runs in Dagster's eyes and shows their batches as failed, without being asked.

    Alerts go out through what Dagster users already have: run-failure sensors see these runs, for
    they are reported as failed runs.

    Args:
        left_out: Why config files have no job: the UI has no other place that would say it.
        sync_keys: Of those that have one; others may have runs and failed batches, too.
    """

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        storage_dir = read_environment(os.environ).storage_dir
        spooled = {spool.sync_key for spool in list_spools(storage_dir)}
        keys = {*sync_keys, *spooled, *lease_store(storage_dir).sync_keys()}
        counts = {
            key: len(reconcile_failed_batches(context.instance, storage_dir, key))
            for key in sorted(keys)
        }
        failed = ", ".join(f"{key}: {count}" for key, count in counts.items() if count)
        report = f"failed batches: {failed}" if failed else "no failed batches"
        return dg.SkipReason("; ".join([report, *left_out]))

    return dg.SensorDefinition(
        name="run_report_sensor",
        evaluation_fn=evaluate,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Finds killed runs and what they left undone; names broken config files.",
    )
