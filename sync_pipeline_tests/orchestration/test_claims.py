"""Which process a claim names: the one whose end means that the run has ended."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from sync_pipeline.orchestration.claims import build_claim, process_lives


def claimed_and_own_pid(is_child: bool) -> tuple[int, int]:
    claim = build_claim("run", "spool", is_backfill=False, is_child=is_child)
    return claim.pid, os.getpid()


def test_a_run_in_a_child_of_the_code_server_is_claimed_by_itself() -> None:
    """Dagster starts runs by multiprocessing: the parent is the code server, not the run."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
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
