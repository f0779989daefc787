"""How far a run is, as its results tell."""

from datetime import datetime, timedelta, timezone

import pytest

from sync_pipeline.batches.extraction import open_extraction
from sync_pipeline.batches.layout import spool_of
from sync_pipeline.batches.results import BatchResult, read_batch_progress, write_result
from sync_pipeline.model import Counts, Page
from sync_pipeline_tests.batches.asked import FACTS

START = datetime(2026, 1, 10, tzinfo=timezone.utc)


@pytest.fixture
def spool(tmp_path):
    """A spool of five batches, none of which has ended."""
    spool = spool_of(tmp_path, "products", "first")
    with open_extraction(spool, lambda row, _: str(row["id"])) as extraction:
        extraction.add_page(Page(1, [{"id": number} for number in range(5)], None), 1)
        extraction.finish(FACTS, whole=False)
    return spool


def end(spool, number, *, after_s, run_id="first", failed=0):
    """A batch of which the upsert itself took half a second ends."""
    counts = Counts(records=1, failed=failed)
    finished = (START + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    status = "failed" if failed else "done"
    result = BatchResult(status, counts, run_id, finished, duration_s=0.5)
    write_result(spool, f"batch_{number:06d}", result)


def test_the_pace_of_a_run_counts_what_lies_between_its_batches_too(spool):
    for number in (1, 2, 3):
        end(spool, number, after_s=6 * number)
    assert read_batch_progress(spool).seconds_per_batch == 6.0


def test_the_pace_is_not_told_before_two_batches_of_the_run_have_ended(spool):
    assert read_batch_progress(spool).seconds_per_batch is None
    for number in (1, 2, 3):
        end(spool, number, after_s=6 * number)
    end(spool, 4, after_s=9_000, run_id="resumed")
    assert read_batch_progress(spool).seconds_per_batch is None


def test_what_failed_in_another_run_is_still_to_be_done(spool):
    end(spool, 1, after_s=6)
    end(spool, 2, after_s=12, failed=2)
    begun = read_batch_progress(spool, "resumed")
    assert (begun.ended, begun.batches, begun.failed_entries) == (1, 5, 0)
    end(spool, 2, after_s=60, run_id="resumed", failed=1)
    again = read_batch_progress(spool, "resumed")
    assert (again.ended, again.failed_entries) == (2, 1)


def test_a_backfill_of_one_batch_is_about_that_batch_alone(spool):
    end(spool, 1, after_s=6, failed=2)
    end(spool, 2, after_s=12, failed=3)
    end(spool, 2, after_s=60, run_id="backfill", failed=1)
    progress = read_batch_progress(spool, "backfill", "batch_000002")
    assert (progress.ended, progress.batches, progress.failed_entries) == (1, 1, 1)
