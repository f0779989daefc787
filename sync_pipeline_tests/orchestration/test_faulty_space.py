"""A run against a space that answers 429, 500, 409 or not at all: nothing lost, nothing twice."""

from __future__ import annotations

import random
from typing import get_args
from unittest.mock import ANY

import pytest

from sync_pipeline.local_space.request import Request
from sync_pipeline.local_space.server.asgi import Fault
from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.rows import product_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HIDING: tuple[Fault, ...] = tuple(kind for kind in get_args(Fault) if kind.endswith("_after"))
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


def hidden_update(project: Project, fault: Fault, *, then: Fault | None = None) -> list[str]:
    """The first PATCH is carried out and its answer hidden; what is asked after it meets `then`."""
    done: list[str] = []

    def answer(request: Request) -> Fault | None:
        if done:
            return then
        if request.method != "PATCH":
            return None
        done.append(request.path)
        return fault

    project.space.fault = answer
    return done


@pytest.mark.parametrize("fault", HIDING)
def test_an_update_whose_answer_is_hidden_is_published_by_the_same_run(
    project: Project, fault: Fault
) -> None:
    project.apply()
    project.source.rows[3]["name"] = "New name"
    done = hidden_update(project, fault)
    launched = project.apply()
    assert done
    assert launched.is_success, launched.failure
    assert project.space.entries()["P0003"] == (ANY, "published")
    assert project.space.entries()["P0003"][0]["name"] == {"en-US": "New name"}
    summary = project.summary(launched.run_id)
    assert (summary["updated"], summary["published"], summary["failed"]) == (1, 1, 0)


@pytest.mark.parametrize("way", ["run", "backfill", "resume"])
@pytest.mark.parametrize("fault", ["524_after", "cut_after"])
def test_an_update_whose_answer_is_hidden_before_the_space_goes_away_is_published_later(
    project: Project, fault: Fault, way: str
) -> None:
    project.apply()
    project.source.rows[3]["name"] = "New name"
    done = hidden_update(project, fault, then="503")
    launched = project.apply()
    assert done
    assert launched.exit_code == 3
    assert project.space.entries()["P0003"] == (ANY, "changed")

    project.space.fault = lambda _request: None
    if way == "run":
        assert project.apply().is_success
    elif way == "resume":
        assert project.resume(launched.run_id).is_success
    else:
        for key in project.failed():
            assert project.backfill(key).is_success
    entries = project.space.entries()
    assert entries["P0003"][0]["name"] == {"en-US": "New name"}
    assert {state for _, state in entries.values()} == {"published"}
    before = project.space.versions()
    project.apply()
    assert project.space.versions() == before


@pytest.mark.parametrize("rate", [0.03, 0.08])
@pytest.mark.parametrize("seed", range(2))
def test_runs_end_though_some_answers_cannot_be_read(
    project: Project, rate: float, seed: int
) -> None:
    dice = random.Random(f"{rate} {seed}")
    done: list[Fault] = []

    def fault(_request: Request) -> Fault | None:
        if dice.random() >= rate:
            return None
        done.append(dice.choice(HIDING))
        return done[-1]

    project.space.fault = fault
    project.source.rows = product_rows(300)
    assert project.apply().is_success
    for row in project.source.rows:
        row["name"] += " changed"
    assert project.apply().is_success
    assert len(done) >= 10, "a test without faults tells nothing"
    project.space.fault = lambda _request: None
    entries = project.space.entries()
    assert len(entries) == 300
    assert {state for _, state in entries.values()} == {"published"}
    assert all(fields["name"]["en-US"].endswith(" changed") for fields, _ in entries.values())
    before = project.space.versions()
    assert set(before.values()) == {4}, "each was written and published once a run"
    project.apply()
    assert project.space.versions() == before
