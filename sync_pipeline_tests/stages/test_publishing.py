"""Publishing over the batches of a run: what one has done or learned, the others know."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.load.publish import BulkHabits
from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline.stages.drafts import publish_left_drafts
from sync_pipeline.stages.setting import read_habits, write_habits
from sync_pipeline.stages.summary import summarize
from sync_pipeline_tests.harness.rows import RowSource
from sync_pipeline_tests.harness.space import SpaceServer, TestedSpace, space_server
from sync_pipeline_tests.harness.staged import build_setting, write_batches, write_config

#: Writes by which collections lag behind; enough for all that the run does.
LAG = 20


def leave_drafts(server: SpaceServer, source: RowSource) -> TestedSpace:
    """Drafts that hold what the source says and one of an editor, shown by collections."""
    space, elsewhere = server.new_space(), server.new_space()
    for row in source.rows:
        space.put_entry(row["sku"], row)
    space.put_entry("editors", {"sku": "EDITORS", "name": "Not in the source"})
    for number in range(LAG):
        elsewhere.put_entry(f"e{number}", {"sku": f"E{number}"})
    return space


@pytest.fixture
def config(tmp_path: Path, source: RowSource) -> Path:
    source.rows = source.rows[:12]
    path = tmp_path / "products.yaml"
    write_config(path, source)
    return path


@pytest.mark.parametrize("mode", ["regular", "streaming"])
def test_what_the_batches_published_is_no_draft_though_it_is_still_listed_as_one(
    tmp_path: Path, config: Path, source: RowSource, mode: str
) -> None:
    delay = IndexDelay(writes=LAG)
    with space_server(tmp_path / "space.sqlite", index_delay=delay) as server:
        space = leave_drafts(server, source)
        options = RunOptions(mode=mode, batch_size=7, apply=True, publish="all")
        setting = build_setting(config, space, tmp_path / "storage", "run", options)
        upserted = write_batches(setting)
        before = len(space.changing_requests)
        publish_left_drafts(setting)
        asked = space.changing_requests[before:]
        assert sum(item.counts.published for item in upserted) == len(source.rows)
        assert summarize(setting).counts.published == len(source.rows) + 1
        assert asked == ["PUT /entries/editors/published"]


def test_a_batch_hands_on_how_long_bulk_actions_take(
    tmp_path: Path, config: Path, space: TestedSpace
) -> None:
    options = RunOptions(mode="streaming", batch_size=6, apply=True)
    setting = build_setting(config, space, tmp_path / "storage", "run", options)
    assert read_habits(setting) == BulkHabits()
    write_batches(setting)
    assert read_habits(setting).usual_s > 0
    assert read_habits(setting).is_offered


def test_a_batch_asks_for_no_bulk_action_where_an_earlier_one_learned_that_there_are_none(
    tmp_path: Path, config: Path, space: TestedSpace
) -> None:
    options = RunOptions(mode="streaming", batch_size=6, apply=True)
    setting = build_setting(config, space, tmp_path / "storage", "run", options)
    setting.spool.root.mkdir(parents=True)
    write_habits(setting, BulkHabits(is_offered=False))
    upserted = write_batches(setting)
    assert [item.counts.published for item in upserted] == [6, 6]
    assert not [text for text in space.changing_requests if text.startswith("POST")]
