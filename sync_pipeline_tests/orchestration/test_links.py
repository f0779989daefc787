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


def test_what_waits_for_an_entry_of_a_failed_batch_is_listed_and_published_by_a_backfill(
    project: Project,
) -> None:
    fail_one(project)
    run_id = project.apply(batch_size=10).run_id
    first, second, third = (f"{run_id[:8]}__batch_00000{number}" for number in (1, 2, 3))
    assert project.steps(run_id)["upsert_batch[batch_000001]"] == "SUCCESS"
    assert set(project.failed()) == {first, second, third}
    assert project.partitions() == {first, second, third}
    assert project.space.entries()["P0003"][1] == "draft"

    assert not project.backfill(first).is_success, "its parent is not there yet"
    assert first in project.failed()
    project.write_config(mapping={**LINKED, "stock": ""})
    assert project.backfill(second).is_success
    assert project.backfill(first).is_success
    assert project.summary(project.run_ids()[0])["published"] == 1
    assert project.backfill(third).is_success
    assert project.failed() == []
    assert {state for _, state in project.space.entries().values()} == {"published"}


def test_re_executing_from_failure_publishes_what_waited(project: Project) -> None:
    fail_one(project)
    run_id = project.apply(batch_size=10).run_id
    project.write_config(mapping={**LINKED, "stock": ""})
    assert project.reexecute(run_id).is_success
    assert {state for _, state in project.space.entries().values()} == {"published"}
    assert project.failed() == []
