"""A run against a space that answers 429, 500, 409 or not at all: nothing lost, nothing twice."""

from __future__ import annotations

from typing import get_args

import pytest

from sync_pipeline.local_space.request import Request
from sync_pipeline.local_space.server.asgi import Fault
from sync_pipeline_tests.harness.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: One request in so many meets a fault.
EVERY = 9


def now_and_then(faults: tuple[Fault, ...], project: Project) -> list[str]:
    """Answer some of the requests with faults, in turn; returns what is done, as it is done."""
    counts = {"requests": 0}
    done: list[str] = []

    def fault(request: Request) -> Fault | None:
        counts["requests"] += 1
        if counts["requests"] < EVERY:
            return None
        chosen = faults[len(done) % len(faults)]
        # A 409 is what a write gets that somebody else was quicker with, never a read.
        if chosen == "409" and request.method == "GET":
            return None
        counts["requests"] = 0
        done.append(f"{request.method} {chosen}")
        return chosen

    project.space.fault = fault
    return done


@pytest.mark.parametrize("kind", [*get_args(Fault), "all"])
def test_faults_cost_requests_and_nothing_else(project: Project, kind: str) -> None:
    project.space.put_entry("older", {"sku": "P0010", "name": "Older"}, publish=True)
    faults = get_args(Fault) if kind == "all" else (kind,)
    done = now_and_then(faults, project)
    launched = project.apply()
    assert len(done) >= 4, "a test without faults tells nothing"
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
