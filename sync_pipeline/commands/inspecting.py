"""`failed`, `check`, `schema`, `clean`: what is on disk, without launching anything."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sync_pipeline.batches.housekeeping import clean_spools
from sync_pipeline.batches.layout import list_folders, list_spools
from sync_pipeline.batches.reading import read_dead_letters
from sync_pipeline.batches.results import FailedBatch
from sync_pipeline.commands import at_work
from sync_pipeline.commands.display import print_problem
from sync_pipeline.commands.running import (
    COULD_NOT_RUN,
    DONE,
    SOME_FAILED,
    WRONG_USAGE,
    find_config,
    prepare,
)
from sync_pipeline.config.environment import Environment, find_project_dir, read_environment
from sync_pipeline.config.loading import LoadedConfigs
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.schema import build_json_schema
from sync_pipeline.errors import AccessError, UsageError
from sync_pipeline.model import DeadLetter, utc_now
from sync_pipeline.private_files import make_private_folder
from sync_pipeline.stages.checking import load_sound_configs
from sync_pipeline.stages.lookup import compile_run_mapping
from sync_pipeline.stages.setting import fetch_target, open_client, preview_setting
from sync_pipeline.transform.samples import run_samples

#: Dead letters printed for one batch; `--json` prints all.
LETTERS_SHOWN = 20


def list_failed(key: str | None, *, as_json: bool, csv_path: Path | None = None) -> int:
    """Failed batches and their dead letters; exit code 1 where there are any, or may be.

    A run that was killed, or may have been, is told of on stderr: its batches may be in no list.

    Args:
        key: Only this sync.
        as_json: Print one JSON list instead of tables.
        csv_path: Also write every dead letter there, for a spreadsheet.
    """
    from sync_pipeline.orchestration import failed_batches, launching  # noqa: PLC0415

    environment = prepare()
    spooled = {spool.sync_key for spool in list_spools(environment.storage_dir)}
    known = sorted(spooled | at_work.leased_keys(environment))
    keys = [_known_key(environment, key, known)] if key else known
    is_well = True
    found: list[tuple[str, FailedBatch, list[DeadLetter]]] = []
    with launching.open_instance() as instance:
        for sync_key in keys:
            runs = at_work.look(environment, instance, sync_key)
            at_work.tell(runs)
            is_well = is_well and runs.is_well
            for batch in failed_batches.reconcile_failed_batches(
                instance, environment.storage_dir, sync_key
            ):
                letters = list(read_dead_letters(batch.spool.dead_letters(batch.batch)))
                found.append((sync_key, batch, letters))
    if csv_path is not None:
        _write_csv(csv_path, found)
    if as_json:
        print(json.dumps([_failed_value(*item) for item in found]))
    else:
        _print_failed(found)
    return DONE if is_well and not found else SOME_FAILED


def _known_key(environment: Environment, key: str, spooled: Collection[str]) -> str:
    """The key of a sync that has a file, or had one when it ran.

    Raises:
        UsageError: There is none: "no failed batches" would be false comfort for a slip of the pen.
    """
    wanted = key.replace("-", "_")
    return wanted if wanted in spooled else find_config(environment, key).key


def _failed_value(sync_key: str, batch: FailedBatch, letters: Sequence[DeadLetter]) -> Any:
    columns = DeadLetter.__slots__
    return {
        "sync": sync_key,
        "batch": batch.partition_key,
        "reason": batch.reason,
        "attempts": batch.attempts,
        "failed_at": batch.failed_at,
        "entries": [{name: getattr(letter, name) for name in columns} for letter in letters],
    }


def _write_csv(path: Path, found: Sequence[tuple[str, FailedBatch, list[DeadLetter]]]) -> None:
    import pandas as pd  # noqa: PLC0415 - takes 45 MB; only here

    rows = [
        {"sync": sync_key, "batch": batch.partition_key, **asdict(letter)}
        for sync_key, batch, letters in found
        for letter in letters
    ]
    columns = ["sync", "batch", *DeadLetter.__slots__]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def _print_failed(found: Sequence[tuple[str, FailedBatch, list[DeadLetter]]]) -> None:
    console = Console(soft_wrap=True, emoji=False)
    if not found:
        console.print("No failed batches.")
    for sync_key, batch, letters in found:
        console.print(
            f"{sync_key}  {batch.partition_key}  (attempts: {batch.attempts})  {batch.reason}",
            markup=False,
        )
        if not letters:
            continue
        table = Table()
        for column in ("key", "field", "stage", "error", "message", "request id"):
            table.add_column(column, overflow="fold")
        for letter in letters[:LETTERS_SHOWN]:
            cells = (
                letter.key, letter.field, letter.stage, letter.error_id, letter.message,
                letter.request_id,
            )  # fmt: skip
            table.add_row(*cells)
        console.print(table, markup=False)
        if len(letters) > LETTERS_SHOWN:
            console.print(f"... and {len(letters) - LETTERS_SHOWN} more (--json prints all)")


def check_configs(key: str | None, *, online: bool) -> int:
    """Validate config files and templates; online also against the content types, with samples.

    A space that cannot be asked costs only the files that name it; exit code 3 if that is all.
    """
    environment = read_environment(os.environ, find_project_dir(Path.cwd()))
    loaded = _chosen(load_sound_configs(environment.configs_dir), key)
    problems: dict[str, str] = {name: str(error) for name, error in loaded.errors.items()}
    unanswered: set[str] = set()
    for name, config in loaded.configs.items():
        try:
            _check_automation(config)
            if online:
                problems.update(_check_online(config))
        except UsageError as error:
            problems[name] = str(error)
        except AccessError as error:
            problems[name] = str(error)
            unanswered.add(name)
    for name in sorted({*loaded.configs, *loaded.errors}):
        if name in problems:
            print_problem(f"✗ {name}: {problems[name]}")
        else:
            has_samples = not online and bool(loaded.configs[name].tests)
            print(f"✓ {name}{' (--online also runs its tests)' if has_samples else ''}")
    if not loaded.configs and not loaded.errors:
        print_problem(f"{environment.configs_dir} holds no config file (*.yaml).")
        return WRONG_USAGE
    if problems.keys() - unanswered:
        return WRONG_USAGE
    return COULD_NOT_RUN if unanswered else DONE


def _chosen(loaded: LoadedConfigs, key: str | None) -> LoadedConfigs:
    if key is None:
        return loaded
    wanted = key.replace("-", "_")
    if wanted not in loaded.configs and wanted not in loaded.errors:
        known = ", ".join(sorted({*loaded.configs, *loaded.errors})) or "none"
        raise UsageError(f"There is no config file for {key}. Known: {known}.")
    return LoadedConfigs(
        configs={k: v for k, v in loaded.configs.items() if k == wanted},
        errors={k: v for k, v in loaded.errors.items() if k == wanted},
    )


def _check_automation(config: SyncConfig) -> None:
    """Cron text and time zone, as Dagster will read them."""
    if config.schedule is None:
        return
    from sync_pipeline.orchestration.automation import build_schedule  # noqa: PLC0415
    from sync_pipeline.orchestration.jobs import build_sync_job  # noqa: PLC0415

    build_schedule(config, build_sync_job(config))


def _check_online(config: SyncConfig) -> dict[str, str]:
    """The mapping against the content type, then the file's own samples."""
    environment = prepare()
    make_private_folder(environment.storage_dir)
    with tempfile.TemporaryDirectory(prefix="check_", dir=environment.storage_dir) as folder:
        setting = preview_setting(config, environment, Path(folder))
        with open_client(setting) as client:
            target = fetch_target(client, config)
        failures = run_samples(compile_run_mapping(setting, target).mapper, config)
    if not failures:
        return {}
    return {config.key: "; ".join(str(failure) for failure in failures)}


def print_schema() -> int:
    """The JSON Schema of a config file."""
    json.dump(build_json_schema(), sys.stdout, indent=2, ensure_ascii=False)
    print()
    return DONE


def clean(key: str | None, days: float, *, dry_run: bool) -> int:
    """Remove spools of finished runs older than so many days."""
    from sync_pipeline.orchestration import claims, launching  # noqa: PLC0415

    environment = prepare()
    keys = {spool.sync_key for spool in list_folders(environment.storage_dir)}
    if key is not None:
        key = _known_key(environment, key, keys)
    freed = count = 0
    with launching.open_instance() as instance:
        going = {
            claim.spool_id
            for sync_key in keys
            for claim in claims.live_claims(instance, environment.storage_dir, sync_key)
        }
        for removed in clean_spools(
            environment.storage_dir,
            now=utc_now(),
            is_going=going.__contains__,
            retention=timedelta(days=days),
            sync_key=key,
            dry_run=dry_run,
        ):
            count, freed = count + 1, freed + removed.bytes
    verb = "would be removed" if dry_run else "removed"
    print(f"{count} spools {verb}, {freed / 1024**2:,.1f} MB. Failed batches stay.")
    return DONE
