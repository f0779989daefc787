"""Which process a claim names: the one whose end means that the run has ended."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from sync_pipeline.orchestration.claims import build_claim


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
