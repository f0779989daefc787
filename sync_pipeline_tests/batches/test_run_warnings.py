"""Warnings that are kept with a spool."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sync_pipeline.batches.layout import spool_of
from sync_pipeline.batches.run_warnings import LONGEST, MOST_KEPT, add_warning, read_warnings


@pytest.fixture
def spool(tmp_path):
    spool = spool_of(tmp_path, "products", "first")
    spool.root.mkdir(parents=True)
    return spool


def test_a_spool_without_warnings_has_none(spool):
    assert read_warnings(spool) == ()


def test_warnings_are_told_once_each_in_the_order_in_which_they_came(spool):
    for text in ("second page", "charset", "second page", "first page"):
        add_warning(spool, text)
    assert read_warnings(spool) == ("second page (2 times)", "charset", "first page")


def test_a_warning_for_each_record_neither_fills_the_disk_nor_the_screen(spool):
    for number in range(MOST_KEPT + 7):
        add_warning(spool, f"{number} {'x' * 2 * LONGEST}")
    kept = read_warnings(spool)
    assert len(kept) == MOST_KEPT + 1
    assert kept[-1] == "7 further warnings are in the log"
    assert max(map(len, kept)) <= LONGEST


def test_steps_may_warn_at_the_same_time(spool):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_warning(spool, f"batch {number % 4}"), range(40)))
    assert sorted(read_warnings(spool)) == [f"batch {number} (10 times)" for number in range(4)]
