"""Going on where a run stopped: pages are fetched once, whichever way the run is taken up again."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest
from dagster import DagsterRun, DagsterRunStatus

from sync_pipeline.batches.layout import write_json
from sync_pipeline.errors import BusyError, UsageError
from sync_pipeline.orchestration.claims import build_claim, claim_sync, live_claims
from sync_pipeline.orchestration.launching import RESUME_TAG, new_run_id
from sync_pipeline.orchestration.steps import spool_id_of
from sync_pipeline_tests.extract.api import Reply, Request
from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.rows import DOWN, HTML, RESET, product_rows


def die_at(project: Project, page: int, reply: Reply) -> None:
    def fault(_: Request, asked: int) -> Reply | None:
        return reply if asked == page else None

    project.source.fault = fault


def mend(project: Project) -> None:
    project.source.fault = lambda _request, _page: None


def reexecute(project: Project, run_id: str) -> str:
    run = project.reexecute(run_id)
    assert run.is_success
    return run.run_id


def resume(project: Project, run_id: str) -> str:
    launched = project.resume(run_id)
    assert launched.is_success, launched.failure
    return launched.run_id


def backfill(project: Project, run_id: str) -> str:
    assert project.failed() == [f"{run_id[:8]}__fetch"]
    assert project.partitions() == {f"{run_id[:8]}__fetch"}
    launched = project.backfill(f"{run_id[:8]}__fetch")
    assert launched.is_success, launched.failure
    return launched.run_id


@pytest.mark.parametrize("recover", [reexecute, resume, backfill])
def test_a_fetch_that_dies_at_page_60_of_100_goes_on_there(
    project: Project, recover: Callable[[Project, str], str]
) -> None:
    project.source.rows = product_rows(1000)
    die_at(project, 60, DOWN)
    launched = project.apply(batch_size=500)
    assert not launched.is_success
    assert launched.exit_code == 3
    assert project.source.pages == list(range(1, 61))
    assert project.space.changing_requests == []

    mend(project)
    run_id = recover(project, launched.run_id)
    assert project.source.pages[60:] == list(range(60, 102)), "page 101 says that it was the last"
    assert len(project.space.entries()) == 1000
    assert project.partitions() == set()
    assert project.failed() == []
    assert project.summary(run_id)["created"] == 1000


@pytest.mark.parametrize("reply", [HTML, RESET], ids=["HTML", "reset"])
def test_what_was_fetched_before_a_bad_page_is_kept(project: Project, reply: Reply) -> None:
    die_at(project, 3, reply)
    launched = project.apply()
    assert not launched.is_success
    mend(project)
    resume(project, launched.run_id)
    assert project.source.pages == [1, 2, 3, 3, 4, 5]
    assert len(project.space.entries()) == 40


def test_a_fetch_that_dies_again_goes_on_from_the_later_page(project: Project) -> None:
    die_at(project, 2, DOWN)
    launched = project.apply()
    die_at(project, 4, DOWN)
    again = project.resume(launched.run_id)
    assert not again.is_success
    mend(project)
    resume(project, again.run_id)
    assert project.source.pages == [1, 2, 2, 3, 4, 4, 5]
    assert len(project.space.entries()) == 40
    assert len(project.spools()) == 1


def test_a_retried_fetch_is_no_second_extraction_for_dry_runs_either(project: Project) -> None:
    die_at(project, 3, DOWN)
    launched = project.launch(mode="streaming", batch_size=20)
    assert project.failed() == [], "dry runs leave no keys"
    mend(project)
    run_id = resume(project, launched.run_id)
    assert project.summary(run_id)["dry_run"] is True
    assert project.source.pages == [1, 2, 3, 3, 4, 5]
    assert project.space.changing_requests == []


def test_resuming_a_finished_run_does_nothing(project: Project) -> None:
    launched = project.apply()
    before, asked = project.space.versions(), len(project.source.pages)
    run_id = resume(project, launched.run_id)
    assert project.space.versions() == before
    assert len(project.source.pages) == asked
    assert project.summary(run_id)["created"] == 40, "figures of the run as a whole"


@pytest.mark.parametrize("run_id", ["nothing", "e0b1ad47-4a54-4a4d-a1b2-7bd4c87ef6b3"])
def test_resuming_what_is_no_run_of_a_sync_says_where_ids_are_shown(
    project: Project, run_id: str
) -> None:
    with pytest.raises(UsageError, match="sync-pipeline failed"):
        project.resume(run_id)


def test_reexecuting_all_steps_starts_anew(project: Project) -> None:
    """Only "from failure" and a selection of steps go on with the spool of their parent."""
    launched = project.apply()
    asked = len(project.source.pages)
    run = project.reexecute(launched.run_id, is_from_failure=False)
    assert run.is_success
    assert project.source.pages[asked:] == [1, 2, 3, 4, 5]
    assert len(project.spools()) == 2


def test_a_reexecution_of_a_resumed_run_does_not_resume_again(project: Project) -> None:
    """A re-execution copies its parent's tags; the tag names the run that it was meant for."""
    launched = project.apply()
    run_id = resume(project, launched.run_id)
    resumed = project.run(run_id)
    assert spool_id_of(project.instance, resumed) == launched.run_id
    copied = resumed._replace(run_id=new_run_id(), parent_run_id=None, root_run_id=None)
    assert RESUME_TAG in copied.tags
    assert spool_id_of(project.instance, copied) == copied.run_id


# ---------------------------------------------------------------- one run at a time


def going_run(project: Project) -> str:
    """A run that Dagster shows as going."""
    run_id = new_run_id()
    project.instance.add_run(
        DagsterRun(
            job_name=f"sync_{project.key}",
            run_id=run_id,
            status=DagsterRunStatus.STARTED,
            tags={"sync/key": project.key},
        )
    )
    return run_id


def claimed_run(project: Project, *, pid: int, started: float, host: str = "") -> str:
    """A run that Dagster shows as going, with a claim of some process."""
    run_id = going_run(project)
    folder = project.storage / "claims" / project.key
    folder.mkdir(parents=True)
    write_json(
        folder / f"{run_id}.json",
        {
            "run_id": run_id,
            "spool_id": run_id,
            "is_backfill": False,
            "host": host or socket.gethostname(),
            "pid": pid,
            "process_started": started,
        },
    )
    return run_id


def own_claim() -> tuple[int, float]:
    claim = build_claim("x", "x", is_backfill=False)
    assert claim.pid == os.getpid()
    return claim.pid, claim.process_started


def test_a_second_run_does_not_start_while_one_is_going(project: Project) -> None:
    pid, started = own_claim()
    other = claimed_run(project, pid=pid, started=started)
    asked = len(project.source.pages)
    launched = project.apply()
    assert not launched.is_success
    assert other in launched.failure
    assert "is going" in launched.failure
    assert len(project.source.pages) == asked
    assert project.space.changing_requests == []
    project.instance.report_run_canceled(project.run(other))
    assert project.apply().is_success


def test_a_run_of_another_machine_is_believed_to_be_going(project: Project) -> None:
    other = claimed_run(project, pid=1, started=0.0, host="another")
    launched = project.apply()
    assert "process 1 on another" in launched.failure
    project.instance.report_run_canceled(project.run(other))
    assert project.apply().is_success


@pytest.mark.parametrize("is_pid_reused", [False, True], ids=["process gone", "pid reused"])
def test_a_run_whose_process_is_gone_is_reported_failed_and_stops_nobody(
    project: Project, is_pid_reused: bool
) -> None:
    pid, started = own_claim()
    other = claimed_run(project, pid=pid if is_pid_reused else 2**22 + 1, started=started - 1000)
    launched = project.apply()
    assert launched.is_success
    killed = project.run(other)
    assert killed.status is DagsterRunStatus.FAILURE
    assert any(f"sync-pipeline resume {other}" in line for line in project.messages(other))


@pytest.mark.parametrize(
    ("spool_id", "batch", "gets_on"),
    [
        pytest.param("s", "batch_000002", True, id="another batch of the same run"),
        pytest.param("s", "batch_000001", False, id="the same batch"),
        pytest.param("s", "fetch", False, id="the whole of the same run"),
        pytest.param("t", "batch_000002", False, id="a batch of another run, maybe with its keys"),
    ],
)
def test_backfills_run_beside_each_other_where_they_share_no_key(
    project: Project, spool_id: str, batch: str, gets_on: bool
) -> None:
    key, storage, instance = project.key, project.storage, project.instance
    first, second = going_run(project), going_run(project)
    claim_sync(
        instance, storage, key, build_claim(first, "s", is_backfill=True, batch="batch_000001")
    )
    claim = build_claim(second, spool_id, is_backfill=True, batch=batch)
    if gets_on:
        claim_sync(instance, storage, key, claim)
        assert {held.run_id for held in live_claims(instance, storage, key)} == {first, second}
    else:
        with pytest.raises(BusyError, match="A backfill"):
            claim_sync(instance, storage, key, claim)


def test_a_sync_does_not_run_beside_a_backfill(project: Project) -> None:
    key, storage, instance = project.key, project.storage, project.instance
    backfill, sync = going_run(project), going_run(project)
    claim_sync(
        instance, storage, key, build_claim(backfill, "s", is_backfill=True, batch="batch_000001")
    )
    with pytest.raises(BusyError, match="A backfill"):
        claim_sync(instance, storage, key, build_claim(sync, "s", is_backfill=False))
