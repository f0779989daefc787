"""A real daemon: a sensor sees a change and launches a run; a backfill settles a partition."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest

from sync_pipeline.orchestration.launching import LOCATION, MODULE, prepare_dagster_home
from sync_pipeline_tests.harness.project import Project, clean_environ, kill_group

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Until the daemon has loaded the code location and a sensor has ticked; it ticks every 5 s.
PATIENCE_S = 150.0
WORKSPACE = f"""\
load_from:
  - python_module:
      module_name: {MODULE}
      location_name: {LOCATION}
"""


@contextmanager
def daemon(project: Project, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`dagster-daemon run` over the project."""
    workspace = project.root / "workspace.yaml"
    workspace.write_text(WORKSPACE, encoding="utf-8")
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
    environ = {**clean_environ(), **project.environ(), "DAGSTER_HOME": str(home)}
    with (project.root / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGINT)  # lets it end its code servers
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        kill_group(process)


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


def test_the_daemon_launches_a_run_for_a_change_and_one_only(
    project: Project, fast_folder: Path
) -> None:
    home = prepare_dagster_home(project.root, {"DAGSTER_HOME": str(project.root / "daemon")})
    project.write_config(
        mode="streaming",
        batchSize=20,
        sensor={
            "type": "http_change",
            "url": f"{project.source.url}/state",
            "minimumIntervalSeconds": 5,
        },
    )
    log = project.root / "daemon.log"
    with dg.DagsterInstance.from_config(str(home)) as instance:

        def finished(count: int) -> Callable[[], bool]:
            def is_so() -> bool:
                runs = instance.get_runs(dg.RunsFilter(job_name=f"sync_{project.key}"))
                return len([run for run in runs if run.is_finished]) >= count

            return is_so

        def ticks() -> int:
            return project.source.api.requests.__len__() - len(project.source.pages)

        with daemon(project, home) as process:
            wait_until(finished(1), process, log)
            looked = ticks()
            wait_until(lambda: ticks() >= looked + 2, process, log)
            assert len(instance.get_runs()) == 1, "an unchanged source launches nothing"
            project.source.rows[3]["name"] = "Changed"
            project.source.etag = '"2"'
            wait_until(finished(2), process, log)
        runs = instance.get_runs()
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    entries = project.space.entries()
    assert len(entries) == 40
    assert entries["P0003"] == (
        {"sku": {"en-US": "P0003"}, "name": {"en-US": "Changed"}, "stock": {"en-US": 3}},
        "published",
    )
