"""A project folder as a user has one, and the ways in which a user runs and reads a sync."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from sync_pipeline.batches.layout import Spool, list_spools, spool_of
from sync_pipeline.orchestration import launching
from sync_pipeline.orchestration.failed_batches import partitions_name, reconcile_failed_batches
from sync_pipeline.orchestration.private_dagster import (
    ReconstructableJob,
    ReconstructableRepository,
)
from sync_pipeline_tests.harness import reexecution
from sync_pipeline_tests.harness.reexecution import reexecute
from sync_pipeline_tests.harness.rows import PAGE_SIZE, RowSource
from sync_pipeline_tests.harness.space import SPACE_ID, TOKEN, TestedSpace

MAPPING = {
    "sku": "{{ row.sku }}",
    "name.en-US": "{{ row.name }}",
    "stock": "{{ row.stock }}",
    "grade": "{{ row.grade }}",
}


@dataclass
class Project:
    """A folder with config files, and the environment variables that point to it."""

    root: Path
    home: Path
    key: str
    source: RowSource
    space: TestedSpace
    instance: dg.DagsterInstance

    @property
    def storage(self) -> Path:
        """SYNC_STORAGE_DIR."""
        return self.root / "storage"

    @property
    def configs(self) -> Path:
        """SYNC_CONFIGS_DIR."""
        return self.root / "configs"

    def environ(self) -> dict[str, str]:
        """Environment variables of the project, without those of this process."""
        return {
            "DAGSTER_HOME": str(self.home),
            "SYNC_STORAGE_DIR": str(self.storage),
            "SYNC_CONFIGS_DIR": str(self.configs),
            "CONTENTFUL_CMA_URL": self.space.url,
            "CONTENTFUL_SPACE_ID": SPACE_ID,
            "CONTENTFUL_ENVIRONMENT_ID": self.space.environment_id,
            "CONTENTFUL_MANAGEMENT_TOKEN": TOKEN,
            "CONTENTFUL_RATE_LIMIT": "0",
        }

    def write_config(self, key: str | None = None, **changes: Any) -> Path:
        """Write the config file of a sync; a change to None takes a key out."""
        values = {
            "contentType": "product",
            "contentKeyField": "sku",
            "endPoint": f"{self.source.url}/rows",
            "pagination": {
                "limitKey": "limit",
                "skipKey": "offset",
                "limitMax": PAGE_SIZE,
                "totalPath": "total",
            },
            "resultsJsonPath": "items",
            "retries": 0,
            "mapping": MAPPING,
            **changes,
        }
        stated = {name: value for name, value in values.items() if value is not None}
        return self.write_file(key or self.key, yaml.safe_dump(stated, sort_keys=False))

    def write_file(self, key: str, text: str) -> Path:
        """Write a config file as it is; this process reads it anew at its next launch."""
        self.configs.mkdir(parents=True, exist_ok=True)
        path = self.configs / f"{key}.yaml"
        path.write_text(text, encoding="utf-8")
        ReconstructableJob.get_definition.cache_clear()
        ReconstructableJob.get_repository_definition.cache_clear()
        return path

    # ------------------------------------------------------------ launching

    def launch(self, key: str | None = None, **run_config: Any) -> launching.Launched:
        """Run the sync to its end in this process, as `sync-pipeline run` does."""
        return launching.launch_sync(self.instance, key or self.key, run_config)

    def apply(self, **run_config: Any) -> launching.Launched:
        """`launch` with `apply: true`, in streaming mode, batches of 20."""
        stated = {"apply": True, "mode": "streaming", "batch_size": 20, **run_config}
        return self.launch(**stated)

    def resume(self, run_id: str) -> launching.Launched:
        """`sync-pipeline resume`."""
        return launching.launch_resume(self.instance, run_id)

    def backfill(self, partition_key: str) -> launching.Launched:
        """`sync-pipeline backfill` of one batch."""
        return launching.launch_backfill(self.instance, self.storage, self.key, partition_key)

    def reexecute(self, run_id: str, *, is_from_failure: bool = True) -> dg.DagsterRun:
        """Dagster's own "Re-execute", from failure or all steps; returns the new run, ended."""
        return reexecute(self.instance, run_id, f"sync_{self.key}", is_from_failure=is_from_failure)

    def definitions(self) -> dg.RepositoryDefinition:
        """The definitions of all config files."""
        return ReconstructableRepository.for_module(launching.MODULE, "defs").get_definition()

    # ------------------------------------------------------------ another process

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`sync-pipeline ...` as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "sync_pipeline.cli", *arguments],
            cwd=self.root,
            env={**clean_environ(), **self.environ(), **more},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def reexecute_elsewhere(self, run_id: str) -> subprocess.CompletedProcess[str]:
        """`reexecute` from failure in a process of its own, which executor multiprocess needs."""
        tests = str(Path(__file__).parents[2])
        return subprocess.run(
            [sys.executable, "-m", reexecution.__name__, run_id, f"sync_{self.key}"],
            cwd=self.root,
            env={**clean_environ(), **self.environ(), "PYTHONPATH": tests},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """`sync-pipeline ...` in the background, leader of a process group; end it with `kill`."""
        with (self.root / "output.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sync_pipeline.cli", *arguments],
                cwd=self.root,
                env={**clean_environ(), **self.environ(), **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    # ------------------------------------------------------------ reading

    def spool(self, run_id: str) -> Spool:
        """The spool that a run opened."""
        return spool_of(self.storage, self.key, run_id)

    def spools(self) -> list[Spool]:
        """All spools of the sync."""
        return list_spools(self.storage, self.key)

    def partitions(self) -> set[str]:
        """Keys of the failed batches as Dagster shows them."""
        return set(self.instance.get_dynamic_partitions(partitions_name(self.key)))

    def failed(self) -> list[str]:
        """Keys of the failed batches as `sync-pipeline failed` lists them."""
        waiting = reconcile_failed_batches(self.instance, self.storage, self.key)
        return [batch.partition_key for batch in waiting]

    def run(self, run_id: str) -> dg.DagsterRun:
        """A run of Dagster's."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def run_ids(self) -> list[str]:
        """Runs of the sync and its backfills, the latest first."""
        runs = self.instance.get_runs(dg.RunsFilter(tags={"sync/key": self.key}))
        return [run.run_id for run in runs]

    def steps(self, run_id: str) -> dict[str, str]:
        """`{step key: "SUCCESS" | "FAILURE" | "SKIPPED" | "IN_PROGRESS"}` of a run."""
        return {
            stats.step_key: stats.status.value
            for stats in self.instance.get_run_step_stats(run_id)
            if stats.status is not None
        }

    def metadata(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Metadata by step: of its output, or of its failure."""
        found: dict[str, dict[str, Any]] = {}
        for entry in self.instance.all_logs(run_id):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            values: Mapping[str, dg.MetadataValue] = {}
            if event.is_successful_output:
                values = event.step_output_data.metadata
                if event.step_output_data.mapping_key is not None:
                    continue
            elif event.is_step_failure and event.step_failure_data.user_failure_data:
                values = event.step_failure_data.user_failure_data.metadata
            if values:
                found[event.step_key] = {name: _plain(value) for name, value in values.items()}
        return found

    def messages(self, run_id: str) -> list[str]:
        """The run's log, events included."""
        return [
            (entry.dagster_event.message if entry.dagster_event else None) or entry.user_message
            for entry in self.instance.all_logs(run_id)
        ]

    def summary(self, run_id: str) -> dict[str, Any]:
        """Metadata of `summarize_run`."""
        return self.metadata(run_id)["summarize_run"]


def _plain(value: dg.MetadataValue) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        return [dict(record.data) for record in value.records]
    return value.value


def clean_environ() -> dict[str, str]:
    """This process's variables without ours."""
    ours = ("CONTENTFUL_", "SYNC_", "Cute__", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process that `Project.start` started, with its children, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def json_of(completed: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON object that a command printed."""
    return json.loads(completed.stdout)
