"""Failed batches: red step, partition, list, backfill, re-execution; and what settles them."""

from __future__ import annotations

import shutil
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from sync_pipeline.batches.results import read_result
from sync_pipeline.errors import UsageError
from sync_pipeline.local_space.request import Request
from sync_pipeline.orchestration.claims import build_claim, claim_sync
from sync_pipeline.orchestration.failed_batches import reconcile_failed_batches
from sync_pipeline_tests.extract.api import serve
from sync_pipeline_tests.harness.project import MAPPING, Project
from sync_pipeline_tests.harness.rows import HTML

#: Name of a product whose save the space refuses, as when its content type has just changed.
REFUSED = "Refused"


def _spoil_the_refused(request: Request) -> None:
    if request.method == "PUT" and REFUSED.encode() in request.body:
        request.body = request.body.replace(b'"stock"', b'"nothing"')


def break_row(project: Project, number: int, **values: object) -> None:
    """Make a row that the content type refuses when it is mapped."""
    project.source.rows[number].update(values or {"stock": "many"})


def key_of(run_id: str, batch: str) -> str:
    return f"{run_id[:8]}__{batch}"


@pytest.mark.parametrize(
    ("values", "stage", "field"),
    [
        pytest.param({"stock": "many"}, "transform", "stock.en-US", id="cannot be mapped"),
        pytest.param({"name": REFUSED}, "load", "nothing", id="refused on save"),
        pytest.param({"grade": "Z"}, "publish", "grade.en-US", id="refused on publish"),
    ],
)
def test_a_failed_entry_reddens_its_step_and_nothing_else(
    project: Project, values: dict[str, str], stage: str, field: str
) -> None:
    break_row(project, 5, **values)
    project.space.fault = _spoil_the_refused
    launched = project.apply()

    assert not launched.is_success
    assert launched.exit_code == 1
    steps = project.steps(launched.run_id)
    assert steps["upsert_batch[batch_000001]"] == "FAILURE"
    assert steps["upsert_batch[batch_000002]"] == "SUCCESS"
    assert steps["transform_batch[batch_000001]"] == "SUCCESS"
    entries = project.space.entries()
    published = {sku for sku, (_, state) in entries.items() if state == "published"}
    assert published == {f"P{number:04d}" for number in range(40)} - {"P0005"}

    shown = project.metadata(launched.run_id)["upsert_batch[batch_000001]"]
    assert shown["failed"] == 1
    (record,) = shown["failed_entries"]
    assert (record["key"], record["stage"], record["field"]) == ("P0005", stage, field)
    assert record["message"]
    assert bool(record["request_id"]) is (stage != "transform")

    key = key_of(launched.run_id, "batch_000001")
    assert project.partitions() == {key}
    assert project.failed() == [key]
    assert project.run(launched.run_id).tags["sync/failed"] == "1"


def test_a_dry_run_with_a_bad_record_is_red_and_leaves_no_key(project: Project) -> None:
    break_row(project, 5)
    launched = project.launch(mode="streaming", batch_size=20)
    assert not launched.is_success
    assert project.partitions() == set()
    assert project.failed() == []


def test_more_failures_than_tolerated_are_needed_to_fail_a_batch(project: Project) -> None:
    break_row(project, 5)
    break_row(project, 6)
    assert not project.apply(max_failed_entries=1).is_success
    launched = project.apply(max_failed_entries=2)
    assert launched.is_success
    assert project.summary(launched.run_id)["failed"] == 2


def test_reexecution_from_failure_runs_only_the_failed_batch_and_the_summary(
    project: Project,
) -> None:
    break_row(project, 5)
    launched = project.apply()
    asked = len(project.source.pages)
    project.write_config(mapping={**MAPPING, "stock": "{{ row.stock | replace('many', '77') }}"})

    run = project.reexecute(launched.run_id)
    assert run.is_success
    # Only the upsert was red; it maps again, or a mended mapping would change nothing.
    assert project.source.pages[asked:] == []
    steps = project.steps(run.run_id)
    assert set(steps.values()) == {"SUCCESS"}
    assert "upsert_batch[batch_000002]" not in steps
    assert {"upsert_batch[batch_000001]", "summarize_run"} <= set(steps)
    assert project.partitions() == set()
    summary = project.summary(run.run_id)
    assert (summary["records"], summary["created"], summary["failed"]) == (40, 40, 0)
    assert project.space.entries()["P0005"][0]["stock"] == {"en-US": 77}


def test_a_reexecution_maps_to_the_content_type_of_today(project: Project) -> None:
    break_row(project, 5)
    launched = project.apply()
    project.space.add_field({"id": "color", "name": "Color", "type": "Symbol"})
    project.write_config(mapping={**MAPPING, "stock": "1", "color": "red"})
    assert project.reexecute(launched.run_id).is_success
    assert project.space.entries()["P0005"][0]["color"] == {"en-US": "red"}


def test_a_storage_that_was_moved_since_is_gone_on_with(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_row(project, 5)
    launched = project.apply()
    project.write_config(mapping={**MAPPING, "stock": "{{ row.stock | replace('many', '77') }}"})
    moved = project.storage.rename(project.root / "moved")
    monkeypatch.setenv("SYNC_STORAGE_DIR", str(moved))
    assert project.reexecute(launched.run_id).is_success
    assert project.space.entries()["P0005"][0]["stock"] == {"en-US": 77}


def test_a_backfill_maps_with_todays_config_and_takes_the_key_out(project: Project) -> None:
    break_row(project, 5)
    launched = project.apply()
    key = key_of(launched.run_id, "batch_000001")
    project.write_config(mapping={**MAPPING, "stock": "{{ row.stock | replace('many', '77') }}"})
    project.space.requests.clear()

    replayed = project.backfill(key)
    assert replayed.is_success
    assert project.space.entries()["P0005"][0]["stock"] == {"en-US": 77}
    assert project.partitions() == set()
    assert project.failed() == []
    writes = [w for w in project.space.changing_requests if w.startswith(("PUT", "PATCH"))]
    assert len(writes) == 2, "one entry is written, and published"
    summary = project.summary(replayed.run_id)
    assert (summary["batches"], summary["created"], summary["unchanged"]) == (1, 1, 19)


def test_a_backfill_that_fails_again_stays_with_the_new_reason(project: Project) -> None:
    break_row(project, 5)
    launched = project.apply()
    key = key_of(launched.run_id, "batch_000001")
    project.write_config(
        mapping={**MAPPING, "stock": "1", "grade": "{{ 'Z' if row.sku == 'P0007' else '' }}"}
    )

    replayed = project.backfill(key)
    assert not replayed.is_success
    assert replayed.exit_code == 1
    assert project.partitions() == {key}
    result = read_result(project.spool(launched.run_id), "batch_000001")
    assert result is not None
    assert (result.status, result.attempts, result.run_id) == ("failed", 2, replayed.run_id)
    assert "Value must be one of expected values" in result.reason
    assert "many" not in result.reason


def test_a_backfill_shows_the_progress_and_failures_of_its_own_batch(project: Project) -> None:
    break_row(project, 5)
    break_row(project, 6)
    break_row(project, 25)
    failed = project.apply()
    backfilled = project.backfill(key_of(failed.run_id, "batch_000002"))
    tags = project.run(backfilled.run_id).tags
    assert (tags["sync/progress"], tags["sync/failed"]) == ("1/1", "1")
    assert [line for line in project.messages(backfilled.run_id) if "1 of 1 batches" in line]


def test_a_backfill_publishes_as_the_run_that_failed_was_asked_to(project: Project) -> None:
    break_row(project, 5)
    launched = project.apply(publish="none")
    project.write_config(mapping={**MAPPING, "stock": "1"})
    assert project.backfill(key_of(launched.run_id, "batch_000001")).is_success
    assert {state for _, state in project.space.entries().values()} == {"draft"}


def test_a_replay_never_overwrites_what_a_later_run_wrote_from_newer_data(
    project: Project,
) -> None:
    break_row(project, 5)
    launched = project.apply()
    key = key_of(launched.run_id, "batch_000001")
    # Newer data for the first ten records only, so that the failed batch is not settled.
    for number in range(10):
        project.source.rows[number].update(name=f"Newer {number}", stock=1)
    assert project.apply(limit=10).is_success
    assert project.partitions() == {key}

    replayed = project.backfill(key)
    entries = project.space.entries()
    assert entries["P0004"][0]["name"] == {"en-US": "Newer 4"}
    assert entries["P0015"][0]["name"] == {"en-US": "Product 15"}
    # P0005 still cannot be mapped from the spooled record: it stays failed.
    assert not replayed.is_success
    assert entries["P0005"][0]["name"] == {"en-US": "Newer 5"}
    shown = project.metadata(replayed.run_id)["upsert_batch[batch_000001]"]
    assert (shown["superseded"], shown["unchanged"], shown["failed"]) == (9, 10, 1)


def test_a_replay_stays_older_than_later_runs_though_the_ledger_was_lost(
    project: Project,
) -> None:
    for _ in range(3):
        project.apply(limit=10)
    break_row(project, 15)
    key = key_of(project.apply().run_id, "batch_000001")
    for path in (project.storage / "ledger").iterdir():
        path.unlink()
    project.source.rows[4].update(name="Newer 4")
    assert project.apply(limit=10).is_success
    project.backfill(key)
    assert project.space.entries()["P0004"][0]["name"] == {"en-US": "Newer 4"}
    project.source.rows[15]["stock"] = 1
    assert project.apply().is_success
    assert project.partitions() == set()


def test_a_later_whole_run_settles_older_failed_batches(project: Project) -> None:
    break_row(project, 5)
    older = project.apply()
    project.source.rows[5]["stock"] = 1
    later = project.apply()
    assert later.is_success
    assert project.partitions() == set()
    result = read_result(project.spool(older.run_id), "batch_000001")
    assert result is not None
    assert result.status == "superseded"


def test_a_bad_record_that_was_taken_out_of_the_source_is_filtered_out_of_its_batch(
    project: Project,
) -> None:
    break_row(project, 5)
    key = key_of(project.apply().run_id, "batch_000001")
    project.source.rows = [row for row in project.source.rows if row["sku"] != "P0005"]
    assert project.apply().is_success
    assert project.partitions() == {key}, "good records of it might be nowhere else"
    project.write_config(filterExpression="{{ row.sku != 'P0005' }}")
    assert project.backfill(key).is_success
    assert project.partitions() == set()


def test_a_filter_that_is_neither_true_nor_false_settles_no_failed_batch(project: Project) -> None:
    break_row(project, 5)
    key = key_of(project.apply().run_id, "batch_000001")
    project.write_config(filterExpression="{{ row.name }}")
    assert not project.backfill(key).is_success
    assert project.partitions() == {key}


def test_a_later_whole_run_settles_a_failed_batch_whose_records_are_gone(
    project: Project,
) -> None:
    break_row(project, 5)
    older = project.apply()
    project.spool(older.run_id).records("batch_000001").unlink()
    project.source.rows[5]["stock"] = 1
    later = project.apply()
    assert later.is_success
    assert project.partitions() == set()
    assert any("are gone" in message for message in project.messages(later.run_id))


@pytest.mark.parametrize("run_config", [{"limit": 10}, {"apply": False}], ids=["limit", "dry run"])
def test_a_later_run_that_is_not_whole_settles_nothing(
    project: Project, run_config: dict[str, object]
) -> None:
    break_row(project, 5)
    older = project.apply()
    project.source.rows[5]["stock"] = 1
    assert project.apply(**run_config).is_success
    assert project.partitions() == {key_of(older.run_id, "batch_000001")}


class EndingInstance:
    """Dagster's instance, in which a run ends while somebody looks."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun, looks: int) -> None:
        self._instance = instance
        self._run = run
        self._looks = looks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def get_run_by_id(self, run_id: str) -> dg.DagsterRun | None:
        if run_id != self._run.run_id:
            return self._instance.get_run_by_id(run_id)
        self._looks -= 1
        is_going = self._looks >= 0
        return self._run._replace(status=DagsterRunStatus.STARTED) if is_going else self._run


def test_keys_of_a_run_that_ends_while_they_are_reconciled_stay(project: Project) -> None:
    break_row(project, 5)
    run = project.run(project.apply().run_id)
    claim = build_claim(run.run_id, run.run_id, is_backfill=False)
    for looks in range(12):
        claim_sync(project.instance, project.storage, project.key, claim)
        ending: Any = EndingInstance(project.instance, run, looks)
        reconcile_failed_batches(ending, project.storage, project.key)
        assert project.partitions() == {key_of(run.run_id, "batch_000001")}


def test_a_backfill_without_partition_or_of_another_sync_says_what_to_do(
    project: Project,
) -> None:
    with pytest.raises(UsageError, match=rf"sync-pipeline failed {project.key}"):
        project.backfill("deadbeef__batch_000001")


def test_a_backfill_whose_spool_was_removed_says_to_launch_the_sync_again(
    project: Project,
) -> None:
    break_row(project, 5)
    failed = project.apply()
    shutil.rmtree(project.spool(failed.run_id).root)
    with pytest.raises(UsageError, match=f"launch sync_{project.key} again"):
        project.backfill(key_of(failed.run_id, "batch_000001"))


def test_a_space_that_goes_away_stops_the_run_and_every_batch_counts_as_failed(
    project: Project,
) -> None:
    is_gone: list[Request] = []

    def go_away_with_the_first_write(request: Request) -> None:
        if request.method == "PUT" or is_gone:
            is_gone.append(request)
            request.path = request.path.replace("/environments/", "/environments/gone-")

    project.space.fault = go_away_with_the_first_write
    launched = project.apply()
    assert not launched.is_success
    assert launched.exit_code == 3
    assert "CONTENTFUL_ENVIRONMENT_ID" in launched.failure
    keys = {key_of(launched.run_id, batch) for batch in ("batch_000001", "batch_000002")}
    assert project.partitions() == keys
    assert set(project.failed()) == keys
    assert len([request for request in is_gone if request.method == "PUT"]) <= 8, (
        "the requests that were in flight; the second batch does not knock again"
    )

    shown = project.metadata(launched.run_id)["upsert_batch[batch_000001]"]
    assert f"sync-pipeline resume {launched.run_id}" in shown["remedy"]
    assert "From failure" in shown["remedy"]
    again = project.backfill(key_of(launched.run_id, "batch_000001"))
    shown = project.metadata(again.run_id)["fetch_batches"]
    assert f"partitions of backfill_{project.key}" in shown["remedy"]

    project.space.fault = lambda _request: None
    assert project.resume(launched.run_id).is_success
    assert project.partitions() == set()
    assert len(project.space.entries()) == 40


def test_a_run_that_ends_before_its_first_page_is_failed_too_and_says_why(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sensor has spent its cursor on it: nobody else would fetch what has changed."""
    with serve(lambda _request: HTML) as sign_in_page:
        monkeypatch.setenv("CONTENTFUL_CMA_URL", sign_in_page.url)
        run_id = project.apply().run_id
    key = f"{run_id[:8]}__fetch"
    assert project.partitions() == {key}
    (waiting,) = reconcile_failed_batches(project.instance, project.storage, project.key)
    assert waiting.partition_key == key
    assert "Check CONTENTFUL_CMA_URL" in waiting.reason
    monkeypatch.setenv("CONTENTFUL_CMA_URL", project.space.url)
    project.write_config(mapping={"sku": "{{ row.sku }}", "nosuch": "x"})
    assert not project.backfill(key).is_success
    assert project.partitions() == {key}, "a file to be corrected does not take it away"
    project.write_config()
    assert project.backfill(key).is_success
    assert len(project.space.entries()) == 40
    assert project.failed() == []


def test_a_run_that_only_has_to_be_corrected_leaves_nothing_to_backfill(project: Project) -> None:
    project.write_config(mapping={"sku": "{{ row.sku }}", "nosuch": "x"})
    run_id = project.apply().run_id
    assert not project.run(run_id).is_success
    assert project.failed() == []
    assert project.partitions() == set()
    assert not project.spool(run_id).root.exists()
