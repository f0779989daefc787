"""What is done at the end of a run is done whatever its batches did."""

from __future__ import annotations

import os
import signal
from typing import Any

import dagster as dg
import pytest

from sync_pipeline.batches.results import read_result
from sync_pipeline.local_space.request import Request
from sync_pipeline.orchestration.launching import new_run_id
from sync_pipeline.orchestration.plan import _Steps
from sync_pipeline_tests.harness.project import MAPPING, Project, json_of
from sync_pipeline_tests.harness.rows import DOWN
from sync_pipeline_tests.harness.space import SpaceServer


def materializations(project: Project, run_id: str) -> list[dict[str, Any]]:
    """Figures of each materialization of a run."""
    events = [entry.dagster_event for entry in project.instance.all_logs(run_id)]
    return [
        {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in events
        if event and event.is_step_materialization
    ]


def key_of(run_id: str, number: int) -> str:
    return f"{run_id[:8]}__batch_{number:06d}"


def break_rows(project: Project, *numbers: int) -> None:
    for number in numbers:
        project.source.rows[number]["stock"] = "many"


def mend_rows(project: Project, *numbers: int) -> None:
    for number in numbers:
        project.source.rows[number]["stock"] = 1


# ---------------------------------------------------------------- what a red run shows


@pytest.mark.parametrize("numbers", [(5,), (25,), (5, 25)], ids=["first", "last", "every batch"])
def test_a_red_run_shows_its_summary_and_leaves_its_figures(
    project: Project, numbers: tuple[int, ...]
) -> None:
    break_rows(project, *numbers)
    launched = project.apply()
    run_id, failed = launched.run_id, len(numbers)
    assert (launched.is_success, launched.exit_code) == (False, 1)
    assert project.run(run_id).status is dg.DagsterRunStatus.FAILURE
    summary = project.summary(run_id)
    assert (summary["records"], summary["created"], summary["failed"]) == (40, 40 - failed, failed)
    assert f"**{failed} entries failed** in **{failed} of 2 batches**" in summary["summary"]
    assert [row["failed"] for row in summary["failed_batches"]] == ["1"] * failed
    (figures,) = materializations(project, run_id)
    assert (figures["created"], figures["failed"]) == (40 - failed, failed)
    assert project.run(run_id).tags["sync/failed"] == str(failed)


def test_a_red_dry_run_shows_its_summary_and_is_no_materialization(project: Project) -> None:
    break_rows(project, 5)
    launched = project.launch(mode="streaming", batch_size=20)
    assert (launched.is_success, launched.exit_code) == (False, 1)
    summary = project.summary(launched.run_id)
    assert (summary["dry_run"], summary["created"], summary["failed"]) == (True, 39, 1)
    assert "remedy" not in summary, "there is nothing to backfill"
    assert materializations(project, launched.run_id) == []
    assert project.space.changing_requests == []


def test_a_red_backfill_shows_what_it_did(project: Project) -> None:
    break_rows(project, 5)
    key = key_of(project.apply().run_id, 1)
    project.write_config(
        mapping={**MAPPING, "name.en-US": "{{ row.name }}{{ '!' if row.sku == 'P0007' }}"}
    )
    backfilled = project.backfill(key)
    assert not backfilled.is_success
    summary = project.summary(backfilled.run_id)
    figures = [summary[name] for name in ("batches", "records", "updated", "unchanged", "failed")]
    assert figures == [1, 20, 1, 18, 1]
    assert len(materializations(project, backfilled.run_id)) == 1


def test_drafts_of_others_are_published_though_a_batch_is_red(project: Project) -> None:
    project.space.put_entry("theirs", {"sku": "X1", "name": "Theirs"})
    break_rows(project, 5)
    assert not project.apply(publish="all").is_success
    assert project.space.entries()["X1"][1] == "published"


def test_a_job_that_is_executed_in_process_ends_alike(project: Project) -> None:
    """Dagster's own call for tests replaces the executor, and takes no settings of one."""
    break_rows(project, 5)
    job = project.definitions().get_job(f"sync_{project.key}")
    ended = job.execute_in_process(
        run_config={"apply": True, "mode": "streaming", "batch_size": 20},
        instance=project.instance,
        raise_on_error=False,
    )
    assert not ended.success
    assert project.summary(ended.run_id)["failed"] == 1
    assert project.partitions() == {key_of(ended.run_id, 1)}
    assert project.reexecute(ended.run_id).is_success is False
    project.write_config(mapping={**MAPPING, "stock": "1"})
    assert project.reexecute(project.run_ids()[0]).is_success


def test_runs_of_dagsters_instances_in_memory_follow_each_other(project: Project) -> None:
    """Each instance knows its own run only; the lease of the first stands in nobody's way."""
    job = project.definitions().get_job(f"sync_{project.key}")
    for limit in (10, 20):
        assert job.execute_in_process(run_config={"apply": True, "limit": limit}).success
    assert len(project.space.entries()) == 20


# ---------------------------------------------------------------- failures before or around batches


def test_a_batch_that_cannot_be_mapped_is_listed_with_its_reason(project: Project) -> None:
    def spoil(request: Request) -> None:
        if request.method == "PUT" and not any(spool.stopped("x").exists() for spool in spools()):
            records = spools()[0].records("batch_000002")
            records.write_bytes(records.read_bytes() + b" ")

    spools = project.spools
    project.space.fault = spoil
    launched = project.apply()
    assert not launched.is_success
    steps = project.steps(launched.run_id)
    assert steps["transform_batch[batch_000002]"] == "FAILURE"
    assert "upsert_batch[batch_000002]" not in steps
    result = read_result(project.spool(launched.run_id), "batch_000002")
    assert result is not None
    assert "were changed on disk" in result.reason
    summary = project.summary(launched.run_id)
    assert (summary["created"], summary["failed"]) == (20, 20)
    assert project.partitions() == {key_of(launched.run_id, 2)}


def test_a_space_that_is_out_of_reach_is_not_knocked_at_again_by_the_end(project: Project) -> None:
    project.source.rows[3]["parent"] = "P0030"
    project.write_config(
        mapping={
            **MAPPING,
            "sys.Id": "p-{{ row.sku }}",
            "parent": "{{ 'p-' ~ row.parent if row.parent else '' }}",
        }
    )
    asked: list[str] = []

    def go_away_after_the_first_batch(request: Request) -> None:
        if asked or b"P0020" in request.body:
            asked.append(request.method)
            request.path = request.path.replace("/environments/", "/environments/gone-")

    project.space.fault = go_away_after_the_first_batch
    launched = project.apply(batch_size=10, publish="all")
    assert launched.exit_code == 3
    summary = project.summary(launched.run_id)
    assert (summary["records"], summary["failed"] + summary["created"]) == (40, 40)
    assert "From failure" in summary["remedy"]
    assert len(materializations(project, launched.run_id)) == 1
    assert project.partitions() == {key_of(launched.run_id, number) for number in (1, 3, 4)}
    reasons = {row["batch"]: row["reason"] for row in summary["failed_batches"]}
    assert reasons["batch_000004"].startswith("Not attempted: ")
    knocks = len(asked)
    project.space.fault = lambda _request: None
    assert project.resume(launched.run_id).is_success
    assert len(asked) == knocks
    assert {state for _, state in project.space.entries().values()} == {"published"}


def test_an_index_that_cannot_be_read_is_a_failure_of_every_batch(project: Project) -> None:
    break_rows(project, 5)
    older = key_of(project.apply().run_id, 1)

    def refuse(request: Request) -> None:
        if request.path.endswith("/entries"):
            request.path = request.path.replace("/environments/", "/environments/gone-")

    project.space.fault = refuse
    launched = project.apply()
    assert launched.exit_code == 3
    assert project.steps(launched.run_id)["index_target"] == "FAILURE"
    assert project.summary(launched.run_id)["failed"] == 40
    assert project.partitions() == {key_of(launched.run_id, number) for number in (1, 2)}
    assert older not in project.failed(), "its records were fetched anew, and wait"
    project.space.fault = lambda _request: None
    mend_rows(project, 5)
    project.write_config(mapping={**MAPPING, "stock": "1"})
    run = project.reexecute(launched.run_id)
    assert run.is_success
    assert project.summary(run.run_id)["failed"] == 0
    assert project.partitions() == set()


def test_what_fails_in_the_work_of_the_end_stops_no_other_part_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rows(project, 5)
    older = key_of(project.apply().run_id, 1)
    mend_rows(project, 5)

    def fail(_setting: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("sync_pipeline.orchestration.finishing.publish_left_drafts", fail)
    launched = project.apply()
    assert (launched.is_success, launched.exit_code) == (False, 3)
    assert "a bug" in launched.failure
    assert [figures["failed"] for figures in materializations(project, launched.run_id)] == [0]
    assert older not in project.partitions()


def test_a_source_that_stays_down_is_one_failure(project: Project) -> None:
    project.source.fault = lambda _request, page: DOWN if page == 3 else None
    runs = [project.apply().run_id for _ in range(3)]
    assert project.partitions() == {f"{runs[-1][:8]}__fetch"}
    assert project.failed() == [f"{runs[-1][:8]}__fetch"]
    project.apply(limit=25)
    assert f"{runs[-1][:8]}__fetch" in project.failed(), "one with a limit reads less"
    project.source.fault = lambda _request, _page: None
    assert project.backfill(f"{runs[-1][:8]}__fetch").is_success
    assert len(project.space.entries()) == 40


# ---------------------------------------------------------------- settling, key by key


def test_a_red_run_settles_older_failures(project: Project) -> None:
    break_rows(project, 5)
    older = key_of(project.apply().run_id, 1)
    mend_rows(project, 5)
    break_rows(project, 25)
    newer = key_of(project.apply().run_id, 2)
    assert project.partitions() == {newer}
    assert older not in project.failed()


@pytest.mark.parametrize("sizes", [(20, 20), (20, 7), (7, 20), (10, 40)])
def test_a_record_that_fails_again_is_one_failure_whatever_batch_it_is_in(
    project: Project, sizes: tuple[int, int]
) -> None:
    break_rows(project, 13)
    for size in sizes:
        run_id = project.apply(batch_size=size).run_id
    assert project.partitions() == {key_of(run_id, 13 // sizes[-1] + 1)}


def test_keys_count_as_done_whichever_later_runs_have_done_them(project: Project) -> None:
    """The first of two later runs does not see P0004, the second not P0005."""
    break_rows(project, 4, 5)
    older = key_of(project.apply().run_id, 1)
    mend_rows(project, 4, 5)
    rows = project.source.rows
    project.source.rows = [row for row in rows if row["sku"] != "P0004"]
    assert project.apply().is_success
    assert project.partitions() == {older}
    result = read_result(project.spools()[0], "batch_000001")
    assert result is not None
    assert (result.status, result.done_since) == ("failed", 19)
    project.source.rows = [row for row in rows if row["sku"] != "P0005"]
    assert project.apply().is_success
    assert project.partitions() == set()


def test_a_run_with_a_limit_settles_what_it_has_done_and_nothing_else(project: Project) -> None:
    break_rows(project, 3, 13)
    run_id = project.apply(batch_size=10).run_id
    mend_rows(project, 3)
    assert not project.apply(limit=15, batch_size=20).is_success, "P0013 is still bad"
    assert key_of(run_id, 1) not in project.partitions()
    assert key_of(run_id, 2) in project.partitions(), "10 to 14 were read, 15 to 19 were not"


def test_what_failed_into_another_space_is_settled_by_no_run_into_this_one(
    project: Project, space_of_session: SpaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rows(project, 5)
    older = key_of(project.apply().run_id, 1)
    other = space_of_session.new_space()
    monkeypatch.setenv("CONTENTFUL_ENVIRONMENT_ID", other.environment_id)
    mend_rows(project, 5)
    assert project.apply().is_success
    assert len(other.entries()) == 40
    assert older in project.partitions()


# ---------------------------------------------------------------- re-execution


def test_re_execution_repeats_what_failed_in_the_work_of_the_end_too(project: Project) -> None:
    project.source.rows[3]["parent"] = "P0025"
    linked = {
        **MAPPING,
        "sys.Id": "p-{{ row.sku }}",
        "parent": "{{ 'p-' ~ row.parent if row.parent else '' }}",
    }
    break_rows(project, 25)
    project.write_config(mapping=linked)
    run_id = project.apply().run_id
    assert project.partitions() == {key_of(run_id, 1), key_of(run_id, 2)}
    project.write_config(mapping={**linked, "stock": "1"})
    asked = len(project.source.pages)
    run = project.reexecute(run_id)
    assert run.is_success
    assert project.source.pages[asked:] == []
    steps = project.steps(run.run_id)
    assert "upsert_batch[batch_000001]" not in steps, "it was green; the summary writes it"
    assert steps["upsert_batch[batch_000002]"] == "SUCCESS"
    assert project.partitions() == set()
    assert {state for _, state in project.space.entries().values()} == {"published"}


STEPS = ["upsert_batch[?]", "transform_batch[?]", "index_target", "summarize_run"]


@pytest.mark.parametrize(
    ("planned", "ended", "has_ended"),
    [
        pytest.param(None, {"transform_batch[b]": True}, False, id="to be upserted"),
        pytest.param(None, {"upsert_batch[b]": True}, True, id="green"),
        pytest.param(None, {"upsert_batch[b]": False}, True, id="red"),
        pytest.param(None, {"upsert_batch[c]": True}, False, id="another"),
        pytest.param(None, {"transform_batch[b]": False}, True, id="not mapped, so never upserted"),
        pytest.param(None, {"index_target": False}, False, id="no index, still being mapped"),
        pytest.param(
            STEPS, {"index_target": False, "transform_batch[b]": True}, True, id="no index, mapped"
        ),
        pytest.param(["upsert_batch[b]"], {}, False, id="planned"),
        pytest.param(["upsert_batch[b]", "index_target"], {"index_target": False}, True, id="only"),
    ],
)
def test_the_end_waits_for_steps_that_may_still_be_going(
    planned: list[str] | None, ended: dict[str, bool], has_ended: bool
) -> None:
    run = dg.DagsterRun(job_name="j", run_id=new_run_id(), step_keys_to_execute=planned)
    steps = _Steps(run)
    steps._is_success = ended
    assert steps.has_ended("b") is has_ended


# ---------------------------------------------------------------- steps that are processes


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_red_run_with_steps_in_processes_ends_alike(project: Project) -> None:
    break_rows(project, 25)
    ended = project.command(
        "run", project.key, "--apply", "--streaming", "--batch-size", "20", "--json",
        "--executor", "multiprocess",
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    values = json_of(ended)
    assert (values["failed"], values["failed_batches"]) == (1, ["batch_000002"])
    (figures,) = materializations(project, values["run_id"])
    assert (figures["created"], figures["failed"]) == (39, 1)
    assert project.partitions() == {key_of(values["run_id"], 2)}


def process_of(project: Project, step_key: str) -> int:
    """The process that runs a step of the latest run."""
    for entry in project.instance.all_logs(project.run_ids()[0]):
        event = entry.dagster_event
        if event and event.step_key == step_key and event.event_type_value == "STEP_WORKER_STARTED":
            return int(str(event.engine_event_data.metadata["pid"].value))
    raise AssertionError(f"{step_key} has no process")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_step_whose_process_is_killed_is_a_red_batch_and_the_run_ends_alike(
    project: Project,
) -> None:
    """As the OOM killer does: the step can say nothing, and the others go on."""
    is_killed: list[int] = []

    def kill_the_step(request: Request) -> None:
        if request.method == "PUT" and b"P0025" in request.body and not is_killed:
            is_killed.append(process_of(project, "upsert_batch[batch_000002]"))
            os.kill(is_killed[0], signal.SIGKILL)

    project.space.fault = kill_the_step
    ended = project.command(
        "run", project.key, "--apply", "--streaming", "--batch-size", "20", "--json",
        "--executor", "multiprocess",
    )  # fmt: skip
    assert is_killed
    run_id = json_of(ended)["run_id"]
    assert ended.returncode != 0
    assert project.steps(run_id)["summarize_run"] == "FAILURE"
    assert len(materializations(project, run_id)) == 1
    assert key_of(run_id, 2) in project.partitions()
    project.space.fault = lambda _request: None
    ended = project.reexecute_elsewhere(run_id)
    assert ended.returncode == 0, ended.stderr
    assert len(project.space.entries()) == 40
    assert project.failed() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("recovery", ["re-execution", "resume", "backfill", "new run"])
def test_a_run_killed_in_the_work_of_the_end_is_made_good(project: Project, recovery: str) -> None:
    linked = {
        **MAPPING,
        "sys.Id": "p-{{ row.sku }}",
        "parent": "{{ 'p-' ~ row.parent if row.parent else '' }}",
    }
    for number in range(10):
        project.source.rows[number]["parent"] = "P0025"
    break_rows(project, 30)
    project.write_config(mapping=linked)
    is_written: list[bool] = []

    def kill_at_the_last_publish(request: Request) -> None:
        is_written.extend([True] * (request.method == "PUT" and b"P0039" in request.body))
        said = f"{request.path} {request.body!r}"  # one by one, or in bulk
        if is_written and "publish" in said and "P0001" in said:
            os.killpg(process.pid, signal.SIGKILL)

    project.space.fault = kill_at_the_last_publish
    process = project.start("run", project.key, "--apply", "--streaming", "--batch-size", "10")
    assert process.wait(200) == -signal.SIGKILL, (project.root / "output.log").read_text()
    project.space.fault = lambda _request: None
    (run_id,) = project.run_ids()
    assert project.failed() == [key_of(run_id, 1), key_of(run_id, 4)]
    assert project.steps(run_id)["summarize_run"] == "IN_PROGRESS"

    project.write_config(mapping={**linked, "stock": "1"})
    if recovery == "re-execution":
        assert project.reexecute(run_id).is_success
    elif recovery == "resume":
        assert project.resume(run_id).is_success
    elif recovery == "backfill":
        for key in project.failed():
            assert project.backfill(key).is_success
    else:
        assert project.apply(batch_size=10).is_success
    assert project.failed() == []
    assert len(project.space.entries()) == 40
    assert {state for _, state in project.space.entries().values()} == {"published"}
