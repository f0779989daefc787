"""A container is killed and comes back under another name, or is paused: nobody is locked out."""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

from sync_pipeline.batches.layout import write_json
from sync_pipeline.config.loading import load_config
from sync_pipeline.local_space.request import Request
from sync_pipeline.orchestration import claims
from sync_pipeline.orchestration.automation import reason_to_wait
from sync_pipeline.orchestration.claims import build_claim
from sync_pipeline.orchestration.launching import Launched, new_run_id
from sync_pipeline.orchestration.leases import files as lease_files
from sync_pipeline_tests.harness.cli import call
from sync_pipeline_tests.harness.project import MAPPING, Project, kill_group
from sync_pipeline_tests.orchestration.test_leases import set_back

Capsys = pytest.CaptureFixture[str]
LEASE_S = 3.0
PATIENCE_S = 100.0


def run_elsewhere(project: Project, *, silent_s: float) -> tuple[str, str]:
    """A run with a failed batch, gone on with by a container that was heard of so long ago.

    Returns the container's run, and the key of the batch.
    """
    project.source.rows[5]["stock"] = "many"
    failed = project.apply().run_id
    (key,) = project.partitions()
    run_id = new_run_id()
    project.instance.add_run(
        project.run(failed)._replace(run_id=run_id, status=DagsterRunStatus.STARTED)
    )
    own = build_claim(run_id, failed, is_backfill=False)
    claim = replace(own, host="container-1", pid=7, place="another boot pid:[1]")
    folder = project.storage / "claims" / project.key
    for path in folder.iterdir():
        path.unlink()
    write_json(folder / f"{run_id}.json", asdict(claim))
    set_back(project.storage, silent_s, project.key)
    project.write_config(mapping={**MAPPING, "stock": "1"})
    return run_id, key


def test_failed_tells_of_a_run_that_may_be_dead_instead_of_no_failed_batches(
    project: Project, capsys: Capsys
) -> None:
    run_id, _ = run_elsewhere(project, silent_s=20)
    ended = call(capsys, "failed", project.key)
    assert ended.code == 1
    said = " ".join(ended.err.split())
    assert f"run {run_id} (process 7 on container-1) gives no sign of life" in said
    assert f"sync-pipeline resume {run_id}" in said


def test_failed_tells_who_is_at_work(project: Project, capsys: Capsys) -> None:
    run_id, _ = run_elsewhere(project, silent_s=1)
    ended = call(capsys, "failed", project.key)
    assert ended.code == 0
    assert f"run {run_id} (process 7 on container-1) is going" in " ".join(ended.err.split())


def test_failed_lists_what_a_dead_run_left_and_how_to_go_on(
    project: Project, capsys: Capsys
) -> None:
    run_id, key = run_elsewhere(project, silent_s=3600)
    ended = call(capsys, "failed")
    assert ended.code == 1
    assert key in ended.out
    assert f"run {run_id} was killed" in ended.err
    assert f"sync-pipeline resume {run_id}" in ended.err
    assert project.run(run_id).status is DagsterRunStatus.FAILURE
    assert project.partitions() == {key}


def test_a_sync_whose_run_was_killed_before_it_had_a_spool_is_told_of(
    project: Project, capsys: Capsys
) -> None:
    run_id, _ = run_elsewhere(project, silent_s=3600)
    for spool in project.spools():
        spool.root.rename(project.root / spool.spool_id)
    ended = call(capsys, "failed")
    assert ended.code == 1
    assert f"run {run_id} was killed" in ended.err


@pytest.mark.parametrize("command", ["backfill", "run", "resume"])
def test_what_comes_next_takes_over_from_a_dead_run_without_a_hand(
    project: Project, capsys: Capsys, command: str
) -> None:
    run_id, _ = run_elsewhere(project, silent_s=40)
    arguments = {
        "backfill": ["backfill", project.key],
        "run": ["run", project.key, "--apply", "--streaming", "--batch-size", "20"],
        "resume": ["resume", run_id],
    }[command]
    ended = call(capsys, *arguments)
    assert ended.code == 0, ended.text
    assert project.failed() == []
    assert len(project.space.entries()) == 40
    assert project.run(run_id).status is DagsterRunStatus.FAILURE


@pytest.mark.parametrize(("silent_s", "waits"), [(1, True), (20, False), (60, False)])
def test_a_schedule_waits_for_a_run_that_is_going_and_not_for_one_that_may_be_dead(
    project: Project, silent_s: float, waits: bool
) -> None:
    run_id, _ = run_elsewhere(project, silent_s=silent_s)
    config = load_config(project.configs / f"{project.key}.yaml")
    assert (run_id in reason_to_wait(project.instance, config)) is waits
    claims.report_killed_runs(project.instance, project.storage, project.key)
    claims.release_sync(project.storage, project.key, run_id)


def test_a_run_that_somebody_ended_begins_no_further_step(project: Project) -> None:
    """As when its process was paused between two steps, and it was taken for dead."""

    def end_it(request: Request) -> None:
        run = project.run(project.run_ids()[0])
        if request.method == "PUT" and not run.is_finished:
            project.instance.report_run_canceled(run)

    project.space.fault = end_it
    launched = project.apply()
    steps = project.steps(launched.run_id)
    assert steps["transform_batch[batch_000002]"] == "FAILURE"
    assert steps["summarize_run"] == "FAILURE"
    assert len(project.space.entries()) == 20
    assert "has been ended from outside" in launched.failure
    project.space.fault = lambda _request: None
    assert project.failed() == [f"{launched.run_id[:8]}__batch_000002"]
    assert project.resume(launched.run_id).is_success


# ---------------------------------------------------------------- real processes


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_LEASE_SECONDS", str(LEASE_S))


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this process is on another host, or in another container."""
    monkeypatch.setattr(socket, "gethostname", lambda: "container-2")
    monkeypatch.setattr(claims, "own_place", lambda: "another boot pid:[2]")
    monkeypatch.setattr(lease_files, "own_boot", lambda: "another boot")


def start(project: Project) -> Any:
    return project.start(
        "run", project.key, "--apply", "--streaming", "--batch-size", "20",
        SYNC_LEASE_SECONDS=str(LEASE_S),
    )  # fmt: skip


def resume_when_free(project: Project, run_id: str) -> Launched:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        launched = project.resume(run_id)
        if "is going" not in launched.failure or time.monotonic() > deadline:
            return launched
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_container_that_is_killed_and_comes_back_under_another_name_goes_on(
    project: Project, short_lease: None, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    def kill_at_the_30th_entry(request: Request) -> None:
        if b"P0030" in request.body:
            os.killpg(process.pid, signal.SIGKILL)

    project.space.fault = kill_at_the_30th_entry
    process = start(project)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL, Path(
        project.root / "output.log"
    ).read_text()
    project.space.fault = lambda _request: None
    elsewhere(monkeypatch)
    (run_id,) = project.run_ids()
    assert run_id in call(capsys, "failed", project.key).err

    launched = resume_when_free(project, run_id)
    assert launched.is_success, launched.failure
    assert project.run(run_id).status is DagsterRunStatus.FAILURE
    assert len(project.space.entries()) == 40
    assert project.failed() == []
    assert call(capsys, "failed", project.key).code == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_is_paused_loses_its_lease_and_writes_nothing_when_it_wakes_up(
    project: Project, short_lease: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause_at_the_5th_entry(request: Request) -> None:
        if b"P0005" in request.body:
            os.kill(process.pid, signal.SIGSTOP)

    project.space.fault = pause_at_the_5th_entry
    process = start(project)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not any(b"P0005" in request.body for request in project.space.requests):
            assert time.monotonic() < deadline, (project.root / "output.log").read_text()
            time.sleep(0.05)
        project.space.fault = lambda _request: None
        (run_id,) = project.run_ids()
        launched = resume_when_free(project, run_id)
        assert launched.is_success, launched.failure
        entries, versions = project.space.entries(), project.space.versions()
        assert len(entries) == 40

        asked = len(project.space.changing_requests)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(PATIENCE_S) == 3, (project.root / "output.log").read_text()
        said = (project.root / "output.log").read_text()
        assert "writes nothing more" in " ".join(said.split())
    finally:
        kill_group(process)
    late = project.space.changing_requests[asked:]
    assert len(late) <= 8, "those that were on their way; the space refuses them by their version"
    assert (project.space.entries(), project.space.versions()) == (entries, versions)
    assert project.failed() == [], "what it was at work on is done, by another"
    assert project.run(run_id).status is DagsterRunStatus.FAILURE
    assert project.apply().is_success
    assert project.space.versions() == versions
