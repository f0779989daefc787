"""What a run was asked for is kept as it was, and damage is told."""

import json
from dataclasses import replace

import pytest

from sync_pipeline.batches.facts import is_applied, read_run_facts, write_run_facts
from sync_pipeline.batches.layout import spool_of
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import SpoolError
from sync_pipeline_tests.batches.asked import FACTS


@pytest.fixture
def spool(tmp_path):
    spool = spool_of(tmp_path, "products", "first")
    spool.root.mkdir(parents=True)
    return spool


def test_they_are_read_as_they_were_written(spool):
    write_run_facts(spool, FACTS)
    assert read_run_facts(spool) == FACTS
    assert is_applied(spool)


def test_a_run_that_was_killed_before_it_could_say_has_none(spool):
    assert read_run_facts(spool) is None
    assert not is_applied(spool)


def test_a_dry_run_leaves_nothing_to_make_good(spool):
    write_run_facts(spool, replace(FACTS, options=RunOptions()))
    assert not is_applied(spool)


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"mode": "sideways"}},
        {"options": None},
        {"extraction": "first"},
        {"started_at": "today"},
        {"target": ...},
        {"run_id": ...},
    ],
    ids=["option", "no options", "number", "time", "no target", "no run"],
)
def test_what_means_nothing_is_told_with_the_file(spool, change):
    write_run_facts(spool, FACTS)
    value = {**json.loads(spool.facts.read_text()), **change}
    spool.facts.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}))
    with pytest.raises(SpoolError, match=r"run.json is damaged or of another version"):
        read_run_facts(spool)


@pytest.mark.parametrize(
    ("other", "is_older"),
    [
        (replace(FACTS, extraction=2), True),
        (FACTS, False),
        (replace(FACTS, extraction=2, target="another at api.contentful.com"), False),
    ],
    ids=["later", "the same", "of another ledger"],
)
def test_extractions_of_one_ledger_are_in_order(other, is_older):
    assert FACTS.is_older_than(other) is is_older
