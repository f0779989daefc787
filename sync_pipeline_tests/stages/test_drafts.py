"""`publish: all` while collections lag behind what the run itself has published."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.local_space.index_lag import IndexDelay
from sync_pipeline.stages.drafts import publish_left_drafts
from sync_pipeline.stages.summary import summarize
from sync_pipeline_tests.harness.project import MAPPING
from sync_pipeline_tests.harness.rows import PAGE_SIZE, RowSource
from sync_pipeline_tests.harness.space import SpaceServer, TestedSpace, space_server
from sync_pipeline_tests.harness.staged import build_setting, write_batches

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


@pytest.mark.parametrize("mode", ["regular", "streaming"])
def test_what_the_batches_published_is_no_draft_though_it_is_still_listed_as_one(
    tmp_path: Path, source: RowSource, mode: str
) -> None:
    config = tmp_path / "products.yaml"
    values = {
        "contentType": "product",
        "contentKeyField": "sku",
        "endPoint": f"{source.url}/rows",
        "pagination": {"limitKey": "limit", "skipKey": "offset", "limitMax": PAGE_SIZE},
        "resultsJsonPath": "items",
        "mapping": MAPPING,
    }
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    source.rows = source.rows[:12]
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
