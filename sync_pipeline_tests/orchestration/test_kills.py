"""SIGKILL at seeded moments over all steps, then every way back: always the same space.

`SYNC_TEST_KILLS` sets the number of moments (20). A seed's moment, executor and recovery are fixed,
so `-k "kill-17"` repeats one.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sync_pipeline.batches.extraction import read_progress
from sync_pipeline.batches.layout import list_spools
from sync_pipeline.local_space.request import Request
from sync_pipeline.stages.summary import summarize_spool
from sync_pipeline_tests.harness.kills import TIMEOUT_S, Moment, choose_moment, run_until_killed
from sync_pipeline_tests.harness.project import Project, kill_group
from sync_pipeline_tests.harness.rows import PAGE_SIZE, Row, product_rows
from sync_pipeline_tests.harness.space import TestedSpace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = int(os.environ.get("SYNC_TEST_KILLS", "20"))
RECOVERIES = ("re-execution", "resume", "backfill", "new run")
#: Every so many seeds the steps are processes of their own.
MULTIPROCESS_EVERY = 7
FILTER = "{{ row.stock | default(0) < 90 }}"
#: Of an undisturbed run, at least: content type, index, one write an entry, publishing.
USUAL_REQUESTS = 104

State = dict[str, tuple[dict[str, Any], str]]
FATES = ("created", "updated", "unchanged", "failed", "filtered", "duplicates", "superseded")


def rows() -> list[Row]:
    """5 batches of 20, with records that repeat a key, fill a gap, or are filtered out."""
    found = product_rows(96)
    found.insert(30, {"sku": "P0003", "name": "Not the first", "grade": "B"})
    found.insert(70, {"sku": "P0050", "name": "", "grade": "C"})
    found.insert(71, {"sku": "P0900", "name": "Filtered", "stock": 99})
    found.append({"sku": "P0001", "name": "Product 1", "grade": "A"})
    return found


def fill(space: TestedSpace) -> None:
    """What is there before: a published entry to be updated, one up to date, an editor's draft."""
    space.put_entry("older", {"sku": "P0010", "name": "Older", "stock": 1}, publish=True)
    space.put_entry("same", {"sku": "P0011", "name": "Product 11", "stock": 4}, publish=True)
    space.put_entry("draft", {"sku": "P0055", "name": "An editor's draft"})


def figures(project: Project) -> dict[str, int]:
    """What became of the records of the only spool, over all attempts."""
    (spool,) = list_spools(project.storage, project.key)
    counts = summarize_spool(project.key, spool).counts
    return {name: getattr(counts, name) for name in ("records", "published", *FATES)}


@pytest.fixture(scope="module")
def undisturbed_figures(shared_project: Project, undisturbed: State) -> dict[str, int]:
    """What a run that nobody killed says of itself."""
    assert len(undisturbed) == len(shared_project.space.entries())
    found = figures(shared_project)
    assert found["created"] > found["updated"] > 0
    return found


@pytest.fixture(scope="module")
def undisturbed(shared_project: Project) -> State:
    """The space after a run that nobody killed."""
    shared_project.source.rows = rows()
    shared_project.write_config(filterExpression=FILTER)
    fill(shared_project.space)
    assert shared_project.apply().is_success
    assert len(shared_project.space.requests) >= USUAL_REQUESTS
    return shared_project.space.entries()


def cases() -> Iterator[Any]:
    for seed in range(KILLS):
        moment = choose_moment(seed, pages=len(rows()) // PAGE_SIZE, requests=USUAL_REQUESTS)
        recovery = RECOVERIES[seed // 4 % 4]
        executor = "multiprocess" if seed % MULTIPROCESS_EVERY == 6 else "in_process"
        yield pytest.param(
            moment, recovery, executor, id=f"kill-{seed} at {moment}, {executor}, {recovery}"
        )


@pytest.mark.parametrize(("moment", "recovery", "executor"), list(cases()))
def test_a_killed_run_is_made_good(
    project: Project,
    undisturbed: State,
    undisturbed_figures: dict[str, int],
    moment: Moment,
    recovery: str,
    executor: str,
) -> None:
    project.source.rows = rows()
    project.write_config(filterExpression=FILTER)
    fill(project.space)
    size = "20" if executor == "in_process" else "50"
    code = run_until_killed(
        project, moment, "--apply", "--streaming", "--batch-size", size, "--executor", executor
    )
    assert code in (-9, 0), (project.root / "output.log").read_text()
    checkpointed = {
        spool.spool_id: read_progress(spool).pages
        for spool in list_spools(project.storage, project.key)
    }
    asked = len(project.source.pages)

    recover(project, recovery, executor)

    assert project.space.entries() == undisturbed
    assert project.partitions() == set()
    assert project.failed() == []
    assert not [run for run in map(project.run, project.run_ids()) if not run.is_finished]
    if recovery != "new run" and checkpointed:
        (done,) = checkpointed.values()
        again = [page for page in project.source.pages[asked:] if page <= done]
        assert again == [], f"{done} pages were checkpointed"
        assert figures(project) == undisturbed_figures
    latest = next(iter(project.run_ids()))
    assert project.run(latest).is_success
    summary = project.summary(latest)
    assert summary["records"] == sum(summary[fate] for fate in FATES)
    if recovery != "backfill":
        assert summary["records"] == len(rows())
    assert summary["failed"] == 0


def test_a_step_that_outlives_its_killed_run_does_no_harm(
    project: Project, undisturbed: State
) -> None:
    """The OOM killer takes one process: with executor multiprocess a step may go on writing."""
    project.source.rows = rows()
    project.write_config(filterExpression=FILTER)
    fill(project.space)
    started = threading.Event()

    def kill_the_parent(request: Request) -> None:
        if request.method == "PUT":
            started.wait()
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    project.space.fault = kill_the_parent
    process = project.start(
        "run", project.key, "--apply", "--streaming", "--batch-size", "50",
        "--executor", "multiprocess",
    )  # fmt: skip
    started.set()
    try:
        assert process.wait(TIMEOUT_S) == -signal.SIGKILL
        project.space.fault = lambda _request: None
        assert project.failed() != []
        ended = project.command("resume", project.run_ids()[0])
        assert ended.returncode == 0, ended.stderr
        assert project.space.entries() == undisturbed
        assert project.failed() == []
    finally:
        kill_group(process)
    assert project.apply().is_success
    assert project.space.entries() == undisturbed


def recover(project: Project, recovery: str, executor: str) -> None:
    waiting = project.failed()  # also ends the killed run in Dagster's eyes
    run_ids = project.run_ids()
    if not run_ids or recovery == "new run":
        assert project.apply().is_success
    elif project.run(run_ids[0]).is_success:
        assert waiting == []  # the kill came too late
    elif project.steps(run_ids[0]).get("summarize_run") == "SUCCESS":
        # Only the word that the run has ended is missing: Dagster has no step to execute again.
        assert waiting == []
        assert project.resume(run_ids[0]).is_success
    elif executor == "multiprocess" and recovery == "re-execution":
        ended = project.reexecute_elsewhere(run_ids[0])
        assert ended.returncode == 0, ended.stderr
    elif executor == "multiprocess" and recovery == "resume":
        ended = project.command("resume", run_ids[0])
        assert ended.returncode == 0, ended.stderr
    elif recovery == "re-execution":
        assert project.reexecute(run_ids[0]).is_success
    elif recovery == "resume":
        assert project.resume(run_ids[0]).is_success
    elif not waiting:
        # Killed before anything was spooled, or after everything was done.
        assert project.resume(run_ids[0]).is_success
    else:
        for key in waiting:
            launched = project.backfill(key)
            assert launched.is_success, launched.failure
