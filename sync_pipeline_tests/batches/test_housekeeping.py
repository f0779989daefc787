import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from sync_pipeline.batches.extraction import open_extraction
from sync_pipeline.batches.facts import write_run_facts
from sync_pipeline.batches.housekeeping import clean_spools
from sync_pipeline.batches.layout import list_spools, spool_of
from sync_pipeline.batches.results import (
    BatchResult,
    failed_batches_of,
    write_result,
)
from sync_pipeline.batches.sizing import Load, choose_batch_size, shrink_batch_size
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.model import Counts, Page
from sync_pipeline_tests.batches.asked import FACTS

NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)


def make_spool(storage, spool_id, *, statuses, age_days, apply=True, whole=True):
    spool = spool_of(storage, "products", spool_id)
    with open_extraction(spool, lambda row, _: str(row["id"])) as extraction:
        write_run_facts(spool, replace(FACTS, options=RunOptions(apply=apply)))
        extraction.add_page(Page(1, [{"id": i} for i in range(len(statuses))], None), 1)
        if whole:
            extraction.finish(FACTS, whole=False)
    for number, status in enumerate(statuses, 1):
        if status:
            result = BatchResult(status, Counts(records=1), spool_id, "2026-01-01T00:00:00Z", "x")
            write_result(spool, f"batch_{number:06d}", result)
    stamp = (NOW - timedelta(days=age_days)).timestamp()
    for path in spool.root.iterdir():
        os.utime(path, (stamp, stamp))
    return spool


@pytest.mark.parametrize(
    ("statuses", "age_days", "apply", "going", "removed"),
    [
        pytest.param(["done", "done"], 8, True, False, True, id="finished and old"),
        pytest.param(["done", "done"], 6, True, False, False, id="finished and young"),
        pytest.param(["done", "failed"], 99, True, False, False, id="a failed batch stays"),
        pytest.param(["done", None], 99, True, False, False, id="a killed batch stays"),
        pytest.param(["done", None], 99, False, False, True, id="a dry run leaves nothing"),
        pytest.param(["done", "done"], 99, True, True, False, id="a run that is going stays"),
    ],
)
def test_spools_go_after_their_retention_time(tmp_path, statuses, age_days, apply, going, removed):
    make_spool(tmp_path, "a" * 8, statuses=statuses, age_days=age_days, apply=apply)
    gone = list(clean_spools(tmp_path, now=NOW, is_going=lambda _: going))
    assert [item.spool.spool_id for item in gone] == (["a" * 8] if removed else [])
    assert bool(list_spools(tmp_path)) is not removed


def test_a_cleaning_that_is_cut_short_leaves_no_failed_batches_and_is_made_good(
    tmp_path, monkeypatch
):
    spool = make_spool(tmp_path, "a" * 8, statuses=["done", "done"], age_days=99)

    def killed(folder):
        (folder / "results.sqlite").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            list(clean_spools(tmp_path, now=NOW, is_going=lambda _: False))
    assert spool.manifest.exists()
    assert list_spools(tmp_path) == []
    assert list(clean_spools(tmp_path, now=NOW, is_going=lambda _: False))
    assert not spool.root.exists()


def test_a_dry_run_of_the_cleaning_removes_nothing(tmp_path):
    make_spool(tmp_path, "a" * 8, statuses=["done"], age_days=99)
    gone = list(clean_spools(tmp_path, now=NOW, is_going=lambda _: False, dry_run=True))
    assert gone[0].bytes > 0
    assert len(list_spools(tmp_path)) == 1


def test_failed_and_killed_batches_wait_for_a_backfill_and_done_ones_do_not(tmp_path):
    spool = make_spool(
        tmp_path, "0123456789", statuses=["done", "failed", None, "superseded"], age_days=0
    )
    waiting = list(failed_batches_of(spool))
    assert [item.partition_key for item in waiting] == [
        "01234567__batch_000002",
        "01234567__batch_000003",
    ]
    assert [item.reason for item in waiting] == [
        "x",
        "its process ended before the batch was done (killed?)",
    ]


def test_an_interrupted_extraction_waits_for_a_backfill_as_one_key(tmp_path):
    spool = make_spool(tmp_path, "0123456789", statuses=[None], age_days=0, whole=False)
    assert [item.partition_key for item in failed_batches_of(spool)] == ["01234567__fetch"]


@pytest.mark.parametrize(
    ("load", "size"),
    [
        pytest.param(Load(None, None, 100, 1000), 1000, id="nothing known yet"),
        pytest.param(Load(500, None, 100, 1000), 10_000, id="small records, much memory"),
        pytest.param(Load(500, 7, 100, 1000), 420, id="a minute of writing at 7/s"),
        pytest.param(Load(100_000, None, 100, 200), 43, id="large records"),
        pytest.param(Load(100_000, None, 199, 200), 50, id="no memory left"),
    ],
)
def test_auto_chooses_by_record_size_speed_and_free_memory(load, size):
    assert choose_batch_size(load) == max(size, 50)


@pytest.mark.parametrize(
    ("rss", "size"), [(500, 1000), (799, 1000), (800, 500), (900, 250), (990, 100), (2000, 100)]
)
def test_batches_shrink_when_the_process_nears_its_bound(rss, size):
    assert shrink_batch_size(1000, Load(None, None, rss, 1000)) == size
