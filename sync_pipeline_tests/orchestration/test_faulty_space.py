"""A run against a space that answers 429, 500, 409 or not at all: nothing lost, nothing twice."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from sync_pipeline.local_space.asgi import Fault
from sync_pipeline.local_space.request import Request
from sync_pipeline_tests.harness.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Share of the requests that meet a fault.
SHARE = 0.08


def now_and_then(seed: int, faults: tuple[Fault, ...], project: Project) -> list[str]:
    """Answer some of the requests with faults; returns what is done, as it is done."""
    dice = random.Random(seed)
    done: list[str] = []

    def fault(request: Request) -> Fault | None:
        if dice.random() >= SHARE:
            return None
        # A 409 is what a write gets that somebody else was quicker with, never a read.
        chosen = dice.choice([f for f in faults if f != "409" or request.method != "GET"] or [None])
        done.append(f"{request.method} {chosen}")
        return chosen

    project.space.fault = fault
    return done


@pytest.mark.parametrize("kind", [*get_args(Fault), "all"])
def test_faults_cost_requests_and_nothing_else(project: Project, kind: str) -> None:
    project.space.put_entry("older", {"sku": "P0010", "name": "Older"}, publish=True)
    faults = get_args(Fault) if kind == "all" else (kind,)
    done = now_and_then(hash_of(kind), faults, project)
    launched = project.apply()
    assert done, "a test without a fault tells nothing"
    assert launched.is_success, launched.failure

    entries = project.space.entries()  # fails where two entries hold one key
    assert len(entries) == 40
    assert {state for _, state in entries.values()} == {"published"}
    assert entries["P0010"][0]["name"] == {"en-US": "Product 10"}
    summary = project.summary(launched.run_id)
    assert (summary["created"], summary["updated"], summary["failed"]) == (39, 1, 0)
    assert summary["published"] == 40
    assert summary["requests"] == len(project.space.requests)

    project.space.fault = lambda _request: None
    before = project.space.versions()
    project.apply()
    assert project.space.versions() == before


def test_a_space_that_is_down_ends_the_run_and_a_resume_makes_it_good(project: Project) -> None:
    writes: list[Request] = []

    def fault(request: Request) -> Fault | None:
        writes.extend([request] * (request.method == "PUT"))
        return "503" if len(writes) > 25 else None

    project.space.fault = fault
    launched = project.apply()
    assert launched.exit_code == 3
    assert "start the run again" in launched.failure or "Start the run again" in launched.failure
    assert len(project.partitions()) >= 1

    project.space.fault = lambda _request: None
    assert project.resume(launched.run_id).is_success
    assert {state for _, state in project.space.entries().values()} == {"published"}
    assert len(project.space.entries()) == 40
    assert project.partitions() == set()


def hash_of(text: str) -> int:
    """The same in every process."""
    return sum(text.encode())
