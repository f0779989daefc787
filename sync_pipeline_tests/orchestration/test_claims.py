"""Which process a claim names: the one whose end means that the run has ended."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import pytest

from sync_pipeline.errors import SyncPipelineError
from sync_pipeline.orchestration.claims import build_claim, process_lives

SPAWN = multiprocessing.get_context("spawn")
PATIENCE_S = 60.0


def claimed_and_own_pid(is_child: bool) -> tuple[int, int]:
    claim = build_claim("run", "spool", is_backfill=False, is_child=is_child)
    return claim.pid, os.getpid()


def test_a_run_in_a_child_of_the_code_server_is_claimed_by_itself() -> None:
    """Dagster starts runs by multiprocessing: the parent is the code server, not the run."""
    with ProcessPoolExecutor(1, SPAWN) as pool:
        claimed, own = pool.submit(claimed_and_own_pid, is_child=False).result()
        assert claimed == own
        claimed, own = pool.submit(claimed_and_own_pid, is_child=True).result()
        assert claimed == os.getpid() != own


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere processes are not dated from the boot")
def test_a_run_goes_on_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = build_claim("run", "spool", is_backfill=False)
    boot_time = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 60)
    assert process_lives(claim.pid, claim.process_started)
    assert not process_lives(claim.pid, claim.process_started - 1), "an earlier process of that pid"


def start_a_step_and_die(said: Path) -> None:
    SPAWN.Process(target=claim_for_the_dead, args=(said, os.getpid())).start()
    os._exit(1)


def claim_for_the_dead(said: Path, parent: int) -> None:
    while psutil.pid_exists(parent):
        time.sleep(0.01)
    try:
        build_claim("run", "spool", is_backfill=False, is_child=True)
    except SyncPipelineError as error:
        said.with_suffix(".tmp").write_text(str(error), encoding="utf-8")
        said.with_suffix(".tmp").replace(said)


def test_a_step_that_starts_when_its_run_was_killed_says_so_in_a_line(tmp_path: Path) -> None:
    said = tmp_path / "said"
    run = SPAWN.Process(target=start_a_step_and_die, args=(said,))
    run.start()
    run.join()
    deadline = time.monotonic() + PATIENCE_S
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert f"The process of this run ({run.pid}) is gone" in said.read_text(encoding="utf-8")
