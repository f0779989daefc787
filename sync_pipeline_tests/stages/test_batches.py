"""Batches that are worked off under other circumstances than those they were fetched in."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sync_pipeline.batches import layout
from sync_pipeline.batches.layout import spool_of
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import read_result
from sync_pipeline.config.environment import read_environment
from sync_pipeline.config.loading import load_config
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import SpoolError
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import index
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import upsert
from sync_pipeline_tests.harness.rows import RowSource
from sync_pipeline_tests.harness.staged import write_batches, write_config
from sync_pipeline_tests.load.small_space import SpaceState, small_space


def _begin(space: SpaceState, source: RowSource, folder: Path, **mapping: str) -> Setting:
    path = folder / "products.yaml"
    write_config(path, source, {"title": "{{ row.name }}", **mapping})
    environ = {
        "CONTENTFUL_MANAGEMENT_TOKEN": "CFPAT-of-a-test",
        "CONTENTFUL_SPACE_ID": "s1",
        "CONTENTFUL_CMA_URL": space.url,
        "CONTENTFUL_RATE_LIMIT": "0",
        "SYNC_STORAGE_DIR": str(folder / "storage"),
    }
    return Setting(
        load_config(path),
        RunOptions(mode="streaming", apply=True),
        read_environment(environ, folder),
        spool_of(folder / "storage", "products", "run-1"),
        "run-1",
        logging.getLogger("replay"),
    )


def test_a_replay_looks_entries_up_by_the_keys_of_todays_config(
    source: RowSource, tmp_path: Path
) -> None:
    with small_space() as space:
        for number in range(3000):  # so many that looking keys up takes fewer requests
            space.add_entry(f"other{number}", {"sku": {"en-US": f"other{number}"}})
        write_batches(_begin(space, source, tmp_path, sku="{{ row.sku }}"))
        for number in range(40):
            space.add_entry(f"own{number}", {"sku": {"en-US": f"X-P{number:04d}"}})
        held = set(space.entries)

        setting = replace(_begin(space, source, tmp_path, sku="X-{{ row.sku }}"), run_id="run-2")
        manifest = read_manifest(setting.spool)
        assert manifest is not None
        target = index(setting, manifest.batches)
        assert target.strategy == "lookups"
        for batch in manifest.batches:
            upsert(setting, transform(setting, batch), target)
        assert set(space.entries) == held, "an entry that holds the key is made again"


def test_a_nearly_full_disk_stops_each_stage_before_anything_is_written(
    source: RowSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_space() as space:
        setting = _begin(space, source, tmp_path, sku="{{ row.sku }}")
        (batch,) = fetch(setting).manifest.batches
        target = index(setting, [batch])
        transformed = transform(setting, batch)
        held = set(setting.spool.root.iterdir())
        with monkeypatch.context() as patch:
            patch.setattr(layout, "RESERVED_DISK_BYTES", 2 * shutil.disk_usage(tmp_path).total)
            for stage in (
                lambda: index(setting, [batch], name="again"),
                lambda: transform(setting, batch),
                lambda: upsert(setting, transformed, target),
            ):
                with pytest.raises(SpoolError, match="too little to go on"):
                    stage()
        assert space.entries == {}
        assert set(setting.spool.root.iterdir()) - held == {
            setting.spool.results,
            setting.spool.dead_letters(batch.key),
        }
        result = read_result(setting.spool, batch.key)
        assert result is not None
        assert (result.status, result.counts.failed) == ("failed", 40)
        upsert(setting, transformed, target)
        assert len(space.entries) == 40
