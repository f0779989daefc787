"""Entries that link to entries of later batches are published all the same, as in regular mode."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.harness.project import MAPPING, Project
from sync_pipeline_tests.harness.rows import product_rows

LINKED = {
    **MAPPING,
    "sys.Id": "p-{{ row.sku }}",
    "parent": "{{ 'p-' ~ row.parent if row.parent else '' }}",
}
#: So far ahead that the parent is in another batch of 10.
AHEAD = 15


@pytest.fixture(autouse=True)
def tree(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 products in 4 batches; the parents of most come later. Nobody waits for a broken link."""
    monkeypatch.setattr("sync_pipeline.load.publish._LINK_PAUSES_S", (0.0,))
    rows = product_rows(40)
    for row, parent in zip(rows, rows[AHEAD:], strict=False):
        row["parent"] = parent["sku"]
    project.source.rows = rows
    project.write_config(mapping=LINKED)


def fail_one(project: Project) -> None:
    """The parent of a product of the first batch cannot be mapped."""
    project.source.rows[AHEAD + 3]["stock"] = "many"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"mode": "regular"}, id="regular"),
        pytest.param({"batch_size": 10}, id="streaming"),
        pytest.param({"executor": "multiprocess"}, id="multiprocess", marks=pytest.mark.slow),
    ],
)
def test_a_tree_whose_parents_come_later_is_published(
    project: Project, options: dict[str, Any]
) -> None:
    if options.get("executor") == "multiprocess":
        ended = project.command(
            "run", project.key, "--apply", "--streaming", "--batch-size", "10",
            "--executor", "multiprocess",
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
    else:
        assert project.apply(**options).is_success
    entries = project.space.entries()
    assert {state for _, state in entries.values()} == {"published"}
    assert entries["P0000"][0]["parent"]["en-US"]["sys"]["id"] == f"p-P{AHEAD:04d}"
    summary = project.summary(project.run_ids()[0])
    assert (summary["created"], summary["published"], summary["failed"]) == (40, 40, 0)
    assert project.failed() == []
    versions = project.space.versions()
    assert project.apply().is_success
    assert project.space.versions() == versions


def test_a_link_that_no_record_will_make_good_fails_in_its_batch(project: Project) -> None:
    project.source.rows[1]["parent"] = "P9999"
    run_id = project.apply(batch_size=10).run_id
    assert project.steps(run_id)["upsert_batch[batch_000001]"] == "FAILURE"
    assert project.steps(run_id)["upsert_batch[batch_000002]"] == "SUCCESS"


def test_what_waits_is_published_though_a_batch_is_red_but_for_what_links_to_its_failure(
    project: Project,
) -> None:
    fail_one(project)
    launched = project.apply(batch_size=10)
    assert (launched.is_success, launched.exit_code) == (False, 1)
    run_id = launched.run_id
    states = {sku: state for sku, (_, state) in project.space.entries().items()}
    assert states.pop("P0003") == "draft"
    assert set(states.values()) == {"published"}
    first, second = (f"{run_id[:8]}__batch_00000{number}" for number in (1, 2))
    assert set(project.failed()) == {first, second}
    assert project.partitions() == {first, second}
    assert project.steps(run_id)["upsert_batch[batch_000001]"] == "SUCCESS", "it failed later"
    shown = {row["batch"]: row for row in project.summary(run_id)["failed_batches"]}
    assert "P0003" not in shown["batch_000002"]["reason"]
    assert "notResolvable" in shown["batch_000001"]["reason"]
    summary = project.summary(run_id)
    assert (summary["created"], summary["published"], summary["failed"]) == (38, 38, 2)

    assert not project.backfill(first).is_success, "its parent is not there yet"
    assert first in project.failed()
    project.write_config(mapping={**LINKED, "stock": ""})
    assert project.backfill(second).is_success
    assert project.backfill(first).is_success
    assert project.summary(project.run_ids()[0])["published"] == 1
    assert project.failed() == []
    assert {state for _, state in project.space.entries().values()} == {"published"}


def test_three_runs_over_a_bad_record_leave_the_failures_of_the_last_one(project: Project) -> None:
    fail_one(project)
    runs = [project.apply(batch_size=size).run_id for size in (10, 20, 10)]
    kept = {f"{runs[-1][:8]}__batch_00000{number}" for number in (1, 2)}
    assert project.partitions() == kept
    assert set(project.failed()) == kept
    assert project.command("clean", "--older-than-days", "0").returncode == 0
    assert [spool.spool_id for spool in project.spools()] == [runs[-1]]
    project.write_config(mapping={**LINKED, "stock": ""})
    project.backfill(f"{runs[-1][:8]}__batch_000002")
    assert project.backfill(f"{runs[-1][:8]}__batch_000001").is_success
    assert {state for _, state in project.space.entries().values()} == {"published"}


def test_re_executing_from_failure_publishes_what_waited(project: Project) -> None:
    fail_one(project)
    run_id = project.apply(batch_size=10).run_id
    project.write_config(mapping={**LINKED, "stock": ""})
    assert project.reexecute(run_id).is_success
    assert {state for _, state in project.space.entries().values()} == {"published"}
    assert project.failed() == []
