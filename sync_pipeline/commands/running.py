"""`run`, `backfill`, `resume`: launch the Dagster job in this process and tell how it went."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sync_pipeline.batches.extraction import read_progress
from sync_pipeline.batches.layout import Spool, spool_of
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.commands import at_work
from sync_pipeline.commands.display import print_problem, print_summary, progress_display
from sync_pipeline.config.environment import Environment, find_project_dir, read_environment
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.run_options import stated_options
from sync_pipeline.errors import UsageError
from sync_pipeline.stages.checking import load_sound_configs

DONE, SOME_FAILED, WRONG_USAGE, COULD_NOT_RUN = 0, 1, 2, 3


def prepare() -> Environment:
    """Read the environment, with DAGSTER_HOME set for this process and its children."""
    from sync_pipeline.orchestration.launching import prepare_dagster_home  # noqa: PLC0415

    project_dir = find_project_dir(Path.cwd())
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(project_dir))
    return read_environment(os.environ, project_dir)


def find_config(environment: Environment, key: str) -> SyncConfig:
    """The config of a key.

    Raises:
        ConfigError: Its file is broken.
        UsageError: There is no such file; names those that are there.
    """
    loaded = load_sound_configs(environment.configs_dir)
    wanted = key.replace("-", "_")
    if wanted in loaded.errors:
        raise loaded.errors[wanted]
    if wanted not in loaded.configs:
        known = ", ".join(sorted(loaded.configs)) or "none"
        raise UsageError(
            f"There is no sync {key}: {environment.configs_dir} has no {key}.yaml. Known: {known}."
        )
    return loaded.configs[wanted]


def run_sync(key: str, options: Mapping[str, Any], *, as_json: bool, debug: bool) -> int:
    """Run `sync_<key>` to its end; returns the exit code."""
    from sync_pipeline.orchestration import launching  # noqa: PLC0415 - dagster takes a second

    environment = prepare()
    config = find_config(environment, key)
    run_id = launching.new_run_id()
    spool = spool_of(environment.storage_dir, config.key, run_id)
    level = logging.DEBUG if debug else logging.INFO
    run_config = stated_options({"log_level": "debug" if debug else None, **options})
    with launching.open_instance() as instance, progress_display(lambda: spool, level=level):
        launched = launching.launch_sync(instance, config.key, run_config, run_id=run_id)
    asked = {"mode": config.mode, **run_config}
    return _tell(config.key, spool, launched, asked, as_json=as_json)


def resume_run(run_id: str, *, as_json: bool, debug: bool) -> int:
    """Go on with a killed or failed run; returns the exit code."""
    from sync_pipeline.orchestration import launching, steps  # noqa: PLC0415

    environment = prepare()
    level = logging.DEBUG if debug else logging.INFO
    with launching.open_instance() as instance:
        run = instance.get_run_by_id(run_id)
        key = run.job_name.removeprefix("sync_") if run else ""
        spool_id = steps.spool_id_of(instance, run) if run else run_id
        spool = spool_of(environment.storage_dir, key, spool_id)
        with progress_display(lambda: spool, level=level):
            launched = launching.launch_resume(instance, run_id)
    asked = run.run_config if run else {}
    return _tell(key, spool, launched, asked, as_json=as_json)


def backfill(key: str, partition_keys: Sequence[str], *, as_json: bool, debug: bool) -> int:
    """Run failed batches again, one after the other; returns the exit code."""
    from sync_pipeline.orchestration import failed_batches, launching  # noqa: PLC0415

    environment = prepare()
    config = find_config(environment, key)
    level = logging.DEBUG if debug else logging.INFO
    code = DONE
    with launching.open_instance() as instance:
        runs = at_work.wait_for_verdicts(environment, instance, config.key)
        at_work.tell(runs)
        waiting = failed_batches.reconcile_failed_batches(
            instance, environment.storage_dir, config.key
        )
        chosen = list(partition_keys) or [batch.partition_key for batch in waiting]
        if not chosen:
            print_problem(f"{config.key}: no failed batches.")
        for partition_key in chosen:
            with progress_display(lambda: None, level=level):
                launched = launching.launch_backfill(
                    instance, environment.storage_dir, config.key, partition_key
                )
            if not launched.is_success:
                print_problem(f"{partition_key}: {launched.failure}")
            code = max(code, launched.exit_code)
        left = failed_batches.reconcile_failed_batches(
            instance, environment.storage_dir, config.key
        )
    if as_json:
        import json  # noqa: PLC0415

        still = [batch.partition_key for batch in left]
        print(json.dumps({"sync": config.key, "backfilled": chosen, "failed_batches": still}))
    else:
        print(f"{config.key}: {len(chosen)} batches run again, {len(left)} still failed.")
    return code


def _tell(key: str, spool: Spool, launched: Any, asked: Mapping[str, Any], *, as_json: bool) -> int:
    """Print the figures of a run that has ended, as far as it came."""
    values = read_values(key, spool, launched.run_id, asked)
    if as_json and not launched.is_success:
        values["error"] = launched.failure
    if as_json or values["batches"] or launched.is_success:
        print_summary(values, as_json=as_json)
    if not launched.is_success and launched.exit_code != SOME_FAILED:
        print_problem(launched.failure)
        if read_progress(spool).pages:
            print_problem(
                f"What was fetched is kept: `sync-pipeline resume {launched.run_id}` goes on."
            )
    return int(launched.exit_code)


def read_values(key: str, spool: Spool, run_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a run from its spool, as far as it came."""
    from sync_pipeline.orchestration.reporting import summary_values  # noqa: PLC0415
    from sync_pipeline.stages.summary import summarize_interrupted, summarize_spool  # noqa: PLC0415

    if read_manifest(spool) is None:
        summary = summarize_interrupted(key, spool, asked)
    else:
        summary = summarize_spool(key, spool)
    return {**summary_values(summary), "sync": key, "run_id": run_id}
