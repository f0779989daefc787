"""Whole runs into a space whose locales are published one by one."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.space import TestedSpace

FIGURES = ("created", "updated", "unchanged", "published", "publish_skipped", "locales_left")
#: Entries that are there before; 40 are in the source.
HELD = [f"P{number:04d}" for number in range(0, 40, 4)]
HALF = {"en-US": "published", "de-DE": "draft"}


def hold_drafts(space: TestedSpace) -> None:
    """Entries that are out in English, with German drafts of an editor."""
    for sku in HELD:
        name = {"en-US": f"Old {sku}", "de-DE": f"Entwurf {sku}"}
        fields = {"sku": {"en-US": sku}, "name": name}
        path = f"/entries/e{sku}"
        space.call("PUT", path, {"fields": fields}, X_Contentful_Content_Type="product")
        english = {"add": {"fields": {"*": ["en-US"]}}}
        space.call("PUT", f"{path}/published", english, X_Contentful_Version="1")


def states(space: TestedSpace) -> dict[str, Any]:
    return {e["fields"]["sku"]["en-US"]: e["sys"]["fieldStatus"]["*"] for e in space.raw_entries()}


def figures(project: Project, run_id: str) -> list[int]:
    summary = project.summary(run_id)
    return [summary[name] for name in FIGURES]


def test_a_run_leaves_locales_of_editors_unpublished_and_counts_them(project: Project) -> None:
    hold_drafts(project.space)
    said = project.launch(apply=False)
    done = project.apply()
    assert figures(project, said.run_id) == figures(project, done.run_id) == [30, 10, 0, 40, 0, 10]
    assert all(found == HALF for found in states(project.space).values())
    before = project.space.versions()
    assert figures(project, project.apply().run_id) == [0, 0, 40, 0, 0, 0]
    assert project.space.versions() == before


@pytest.mark.parametrize("is_all", [False, True], ids=["changed", "all"])
def test_publish_all_takes_the_drafts_of_editors_too(project: Project, is_all: bool) -> None:
    hold_drafts(project.space)
    publish = "all" if is_all else "changed"
    said = project.launch(apply=False, publish=publish)
    done = project.apply(publish=publish)
    assert figures(project, said.run_id) == figures(project, done.run_id)
    assert figures(project, done.run_id) == [30, 10, 0, 40, 0, 0 if is_all else 10]
    german = {sku: found["de-DE"] for sku, found in states(project.space).items()}
    assert german == {sku: "published" if is_all and sku in HELD else "draft" for sku in german}
    assert {found["en-US"] for found in states(project.space).values()} == {"published"}


def test_a_backfill_publishes_what_its_run_left_in_the_locales_it_wrote(project: Project) -> None:
    """The publishes of a batch fail; its entries are written by then."""
    hold_drafts(project.space)
    project.space.fault = lambda request: (
        "409" if request.path.endswith(("/published", "/bulk_actions")) else None
    )
    project.apply()
    assert "changed" in {found["en-US"] for found in states(project.space).values()}
    project.space.fault = lambda _request: None
    project.space.call(
        "PATCH",
        f"/entries/e{HELD[0]}",
        [{"op": "replace", "path": "/fields/name/de-DE", "value": "Zweiter Entwurf"}],
        Content_Type="application/json-patch+json",
        X_Contentful_Version=str(project.space.versions()[f"e{HELD[0]}"]),
    )
    assert len(project.failed()) == 2
    for batch in project.failed():
        project.backfill(batch)
    assert project.failed() == []
    assert all(found == HALF for found in states(project.space).values())
