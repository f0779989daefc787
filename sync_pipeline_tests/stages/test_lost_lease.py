"""A run that was taken for dead and wakes up: from where it notices, it writes nothing anywhere.

Others go on with its spool by then. Each stage is stopped at each of its looks in turn.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.batches.extraction import open_extraction
from sync_pipeline.batches.layout import disk_errors
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import read_results
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import LeaseLostError, SpoolError
from sync_pipeline.model import BatchRef, Page
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import index
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.settling import settle_older_batches
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import upsert
from sync_pipeline_tests.harness.rows import RowSource
from sync_pipeline_tests.harness.space import TestedSpace
from sync_pipeline_tests.harness.staged import build_setting, run_stages, write_config

LOST = "another is at work"


def losing(setting: Setting, looks: int) -> Setting:
    """The run loses its lease after so many looks."""
    left = itertools.count(looks, -1)

    def look() -> None:
        if next(left) <= 0:
            raise LeaseLostError(LOST)

    return replace(setting, guard=look)


@contextmanager
def lost() -> Iterator[None]:
    with pytest.raises(LeaseLostError, match=LOST):
        yield


@pytest.fixture
def setting(space: TestedSpace, source: RowSource, tmp_path: Path) -> Setting:
    config = write_config(tmp_path / "products.yaml", source)
    options = RunOptions(mode="streaming", batch_size=20, apply=True)
    return build_setting(config, space, tmp_path / "storage", "run-1", options)


def looks_of(setting: Setting, work: Callable[[Setting], Any]) -> int:
    """How often a stage looks whether it may write."""
    looks = itertools.count()
    work(replace(setting, guard=lambda: next(looks) and None))
    return next(looks)


def files_of(setting: Setting) -> dict[str, bytes]:
    """What other runs go on with."""
    return {
        path.name: path.read_bytes()
        for path in setting.spool.root.iterdir()
        if path.suffix in (".jsonl", ".json") and path.name not in ("fetch.json", "index.json")
    }


def test_a_fetch_that_lost_its_lease_keeps_no_further_page(
    setting: Setting, source: RowSource
) -> None:
    with lost():
        fetch(losing(setting, 2))
    assert read_manifest(setting.spool) is None
    assert read_results(setting.spool) == {}, "how the fetch ended is for others to say"
    assert source.pages == [1, 2, 3]
    fetch(setting)
    assert source.pages[3:] == [3, 4, 5]
    manifest = read_manifest(setting.spool)
    assert manifest is not None
    assert manifest.records == 40


def test_a_fetch_that_slept_between_its_look_and_its_write_destroys_nothing(
    setting: Setting,
) -> None:
    """The other process has kept pages since: what this one knows of the extraction is old."""
    pages = [Page(page, [{"sku": f"P{page}"}], {"page": page}) for page in range(1, 4)]
    spool = setting.spool
    with open_extraction(spool, lambda row, _: str(row["sku"])) as sleeper:
        sleeper.add_page(pages[0], 20)
        sleeper._seen.commit(1, always=True)  # as every so many records; until then it is locked
        with open_extraction(spool, lambda row, _: str(row["sku"])) as other:
            other.add_page(pages[1], 20)
            with pytest.raises(SpoolError, match="another process has gone on"):
                sleeper.add_page(pages[1], 20)
            other.add_page(pages[2], 20)
            assert other.progress.records == 3
    kept = spool.records("batch_000001").read_text(encoding="ascii").splitlines()
    assert len(kept) == 3


def test_a_file_that_a_paused_process_holds_is_told_of_in_words(setting: Setting) -> None:
    said = pytest.raises(SpoolError, match="may be paused: let it go on or end it")
    with said, disk_errors(setting.spool.seen):
        raise sqlite3.OperationalError("database is locked")


def test_a_mapping_that_lost_its_lease_leaves_what_another_has_mapped(setting: Setting) -> None:
    batch = fetch(setting).manifest.batches[0]
    transform(setting, batch)
    before = files_of(setting)
    with lost():
        transform(losing(setting, 0), batch)
    assert files_of(setting) == before


def test_an_upsert_that_lost_its_lease_writes_nothing_more_and_says_nothing_of_its_batch(
    setting: Setting, space: TestedSpace
) -> None:
    batch = fetch(setting).manifest.batches[0]
    transformed, target = transform(setting, batch), index(setting, [batch])
    count = 0
    for looks in itertools.count():
        if looks > 200:
            pytest.fail("the upsert never ends")
        before = len(space.changing_requests)
        try:
            upsert(losing(setting, looks), transformed, target)
        except LeaseLostError:
            count += 1
            assert read_results(setting.spool) == {}
            assert not setting.spool.dead_letters(batch.key).exists()
            assert len(space.changing_requests) - before <= looks
        else:
            break
    assert count > 2, "it looks before its writes, and before its result"
    assert read_results(setting.spool)[batch.key].status == "done"
    assert len(space.entries()) == 20


def test_nothing_older_is_settled_by_a_run_that_lost_its_lease(
    setting: Setting, source: RowSource
) -> None:
    source.rows[5]["stock"] = "many"
    run_stages(setting)
    older = read_results(setting.spool)["batch_000001"]
    assert older.status == "failed"
    spool = replace(setting.spool, root=setting.spool.root.with_name("run-2"))
    newer = replace(setting, run_id="run-2", spool=spool)
    fetch(newer)
    with lost():
        settle_older_batches(losing(newer, 0))
    assert read_results(setting.spool)["batch_000001"] == older


def test_every_stage_that_writes_looks_before_it_does(setting: Setting) -> None:
    batches: list[BatchRef] = []
    assert looks_of(setting, lambda s: batches.extend(fetch(s).manifest.batches)) >= 5, "a page"
    transformed = [transform(setting, batch) for batch in batches]
    target = index(setting, batches)
    assert looks_of(setting, lambda s: transform(s, batches[0])) >= 1
    assert looks_of(setting, lambda s: upsert(s, transformed[0], target)) >= 20, "an entry"
    assert looks_of(setting, settle_older_batches) >= 1
