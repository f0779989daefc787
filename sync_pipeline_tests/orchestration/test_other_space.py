"""Runs of one sync against several spaces: staging and production, a rehearsal and the real one."""

from __future__ import annotations

import pytest

from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.space import SpaceServer, TestedSpace
from sync_pipeline_tests.orchestration.test_failed_batches import break_row, key_of


@pytest.fixture
def other_space(space_of_session: SpaceServer) -> TestedSpace:
    return space_of_session.new_space()


def test_a_failed_batch_is_not_replayed_into_another_space(
    project: Project, other_space: TestedSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_row(project, 5)
    key = key_of(project.apply().run_id, "batch_000001")
    begun = project.space.environment_id
    monkeypatch.setenv("CONTENTFUL_ENVIRONMENT_ID", other_space.environment_id)

    replayed = project.backfill(key)
    assert not replayed.is_success
    assert replayed.exit_code == 2
    assert begun in replayed.failure
    assert other_space.environment_id in replayed.failure
    assert "CONTENTFUL_ENVIRONMENT_ID" in replayed.failure
    assert other_space.requests == []
    assert project.failed() == [key]


def test_a_run_against_another_space_settles_no_failed_batch_of_the_first(
    project: Project, other_space: TestedSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_row(project, 5)
    key = key_of(project.apply().run_id, "batch_000001")
    project.source.rows[5]["stock"] = 5
    monkeypatch.setenv("CONTENTFUL_ENVIRONMENT_ID", other_space.environment_id)

    assert project.apply().is_success
    assert project.failed() == [key]
