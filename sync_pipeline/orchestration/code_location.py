"""Build the definitions of all config files; a broken file is reported and left out."""

from __future__ import annotations

import logging

import dagster as dg

from sync_pipeline.config.environment import Environment
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError
from sync_pipeline.orchestration.automation import build_schedule, build_sensor
from sync_pipeline.orchestration.jobs import build_backfill_job, build_sync_job
from sync_pipeline.orchestration.watching import (
    build_failed_batches_sensor,
    build_run_report_sensor,
)
from sync_pipeline.stages.checking import load_sound_configs

_log = logging.getLogger(__name__)


def build_definitions(environment: Environment) -> dg.Definitions:
    """Definitions of every config file that is sound.

    A broken file does not take the others down: its job is missing, and the code location's log
    and the ticks of `run_report_sensor` say why (`sync-pipeline check` says the same).
    """
    loaded = load_sound_configs(environment.configs_dir)
    broken = list(loaded.errors.values())
    jobs: list[dg.JobDefinition] = []
    schedules: list[dg.ScheduleDefinition] = []
    sensors: list[dg.SensorDefinition] = []
    sound: dict[str, SyncConfig] = {}
    for key, config in loaded.configs.items():
        sync_job, backfill_job = build_sync_job(config), build_backfill_job(config)
        try:
            schedule = build_schedule(config, sync_job)
            sensor = build_sensor(config, sync_job)
        except ConfigError as error:
            broken.append(error)
            continue
        sound[key] = config
        jobs += [sync_job, backfill_job]
        schedules += [schedule] if schedule else []
        sensors += [sensor] if sensor else []
    backfills = [job for job in jobs if job.name.startswith("backfill_")]
    if backfills:
        sensors.append(build_failed_batches_sensor(backfills))
    left_out = [f"left out, as it is broken: {error}" for error in broken]
    for text in left_out:
        _log.error("%s", text)
    sensors.append(build_run_report_sensor(left_out, tuple(sound)))
    return dg.Definitions(assets=_assets(sound), jobs=jobs, schedules=schedules, sensors=sensors)


def _assets(configs: dict[str, SyncConfig]) -> list[dg.AssetSpec]:
    """One asset a content type; several syncs may feed it."""
    feeds: dict[str, list[str]] = {}
    for key, config in configs.items():
        feeds.setdefault(config.content_type, []).append(key)
    return [
        dg.AssetSpec(
            key=["contentful", content_type],
            kinds={"contentful"},
            group_name="contentful",
            description=f"Entries of type `{content_type}`, fed by {', '.join(sorted(keys))}.",
        )
        for content_type, keys in sorted(feeds.items())
    ]
