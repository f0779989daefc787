import hashlib
import json
import os
import shutil

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sync_pipeline.batches import layout, seen
from sync_pipeline.batches.codec import decode_record, encode_record
from sync_pipeline.batches.extraction import open_extraction, read_progress
from sync_pipeline.batches.layout import Spool
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.reading import read_batch
from sync_pipeline.errors import SpoolError
from sync_pipeline.model import Page
from sync_pipeline_tests.batches.asked import FACTS


def key_of(row, variables):
    return str(row.get("id") or "")


def pages_of(rows, size):
    chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
    for number, chunk in enumerate(chunks, 1):
        last = number == len(chunks)
        yield Page(number, chunk, None if last else {"after": number})


def spool_rows(root, rows, *, page_size, batch_size):
    spool = Spool(root)
    with open_extraction(spool, key_of) as extraction:
        for page in pages_of(rows, page_size):
            extraction.add_page(page, batch_size)
        extraction.mark_exhausted()
        return spool, extraction.finish(FACTS, whole=batch_size is None)


def id_of(row, variables):
    return row.get("sys", "")


def records_of(spool, manifest):
    return [(ref.key, record) for ref in manifest.batches for record in read_batch(spool, ref)]


@pytest.mark.parametrize("batch_size", [1, 7, 10, 1000, None])
@pytest.mark.parametrize("page_size", [1, 3, 10, 100])
def test_batches_hold_exactly_batch_size_records_whatever_the_page_size(
    tmp_path, page_size, batch_size
):
    rows = [{"id": i} for i in range(50)]
    spool, manifest = spool_rows(tmp_path / "s", rows, page_size=page_size, batch_size=batch_size)
    sizes = [ref.records for ref in manifest.batches]
    size = batch_size or 50
    assert sizes == [size] * (50 // size) + ([50 % size] if 50 % size else [])
    assert [record.row for _, record in records_of(spool, manifest)] == rows


def test_a_regular_run_has_one_batch_named_all(tmp_path):
    _, manifest = spool_rows(tmp_path / "s", [{"id": 1}], page_size=1, batch_size=None)
    assert [ref.key for ref in manifest.batches] == ["all"]


def test_a_batch_is_read_in_source_order_without_holding_what_was_routed_to_it(tmp_path):
    rows = [{"id": "same", "n": n} for n in range(500)]
    spool, manifest = spool_rows(tmp_path / "s", rows, page_size=50, batch_size=10)
    (batch,) = manifest.batches
    assert (batch.records, manifest.routed) == (10, {"batch_000001": 490})
    records = read_batch(spool, batch)
    assert iter(records) is records
    assert [record.row["n"] for record in records] == list(range(500))


def test_an_empty_source_gives_no_batch(tmp_path):
    spool, manifest = spool_rows(tmp_path / "s", [], page_size=1, batch_size=10)
    assert manifest.batches == ()
    assert read_manifest(spool) == manifest


rows_with_duplicates = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from([None, "", *"abcdefgh"]), "text": st.text(max_size=5)}
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=rows_with_duplicates,
    page_size=st.integers(1, 9),
    batch_size=st.one_of(st.none(), st.integers(1, 9)),
)
def test_every_record_is_in_exactly_one_batch_and_a_key_in_one_batch_only(
    tmp_path_factory, rows, page_size, batch_size
):
    root = tmp_path_factory.mktemp("spool") / "s"
    spool, manifest = spool_rows(root, rows, page_size=page_size, batch_size=batch_size)
    found = records_of(spool, manifest)
    assert sorted(record.ordinal for _, record in found) == list(range(len(rows)))
    assert all(record.row == rows[record.ordinal] for _, record in found)
    homes = {}
    orders = {}
    for batch, record in found:
        assert orders.setdefault(batch, -1) < record.ordinal
        orders[batch] = record.ordinal
        if record.key:
            homes.setdefault(record.key, set()).add(batch)
    assert all(len(batches) == 1 for batches in homes.values())
    own = sum(ref.records for ref in manifest.batches)
    assert own + sum(manifest.routed.values()) == len(rows) == manifest.records


@settings(max_examples=60, deadline=None)
@given(
    rows=rows_with_duplicates,
    cut=st.integers(0, 400),
    kept=st.integers(0, 8),
    batch_size=st.integers(1, 9),
)
def test_a_spool_cut_at_any_byte_goes_on_from_its_checkpoint(
    tmp_path_factory, rows, cut, kept, batch_size
):
    root = tmp_path_factory.mktemp("spool")
    _, whole = spool_rows(root / "whole", rows, page_size=5, batch_size=batch_size)
    spool = Spool(root / "cut")
    pages = list(pages_of(rows, 5))
    with open_extraction(spool, key_of) as extraction:
        for page in pages[:kept]:
            extraction.add_page(page, batch_size)
        committed = extraction.progress
    # The kill: bytes that were written after the commit, in the open batch and in the next ones.
    for number in (committed.batch, committed.batch + 1):
        with spool.records(layout.batch_name(number)).open("ab") as file:
            file.write(b"x" * cut)
    with open_extraction(spool, key_of) as extraction:
        assert extraction.progress == committed
        for page in pages[committed.pages :]:
            extraction.add_page(page, batch_size)
        extraction.mark_exhausted()
        manifest = extraction.finish(FACTS, whole=False)
    assert [ref.digest for ref in manifest.batches] == [ref.digest for ref in whole.batches]
    assert manifest.routed == whole.routed
    assert manifest.records == whole.records


def test_a_page_that_cannot_be_written_leaves_the_spool_as_it_was(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "s")
    with open_extraction(spool, key_of) as extraction:
        extraction.add_page(Page(1, [{"id": i} for i in range(5)], {"after": 1}), 3)
        before = {path.name: path.read_bytes() for path in spool.root.glob("*.jsonl")}
        monkeypatch.setattr(os, "fsync", _no_space)
        with pytest.raises(SpoolError, match=r"disk is full.*sync-pipeline clean"):
            extraction.add_page(Page(2, [{"id": i} for i in range(5, 20)], None), 3)
        monkeypatch.undo()
        assert {p.name: p.read_bytes() for p in spool.root.glob("*.jsonl")} == before
        extraction.add_page(Page(2, [{"id": i} for i in range(5, 20)], None), 3)
        manifest = extraction.finish(FACTS, whole=False)
    assert [record.row["id"] for _, record in records_of(spool, manifest)] == list(range(20))


def _no_space(_descriptor):
    raise OSError(28, "No space left on device")


def test_a_nearly_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(layout, "RESERVED_DISK_BYTES", usage.total * 2)
    spool = Spool(tmp_path / "s")
    with (
        open_extraction(spool, key_of) as extraction,
        pytest.raises(SpoolError, match="SYNC_STORAGE_DIR"),
    ):
        extraction.add_page(Page(1, [{"id": 1}], None), 3)
    assert read_progress(spool).records == 0


def test_a_batch_that_was_changed_on_disk_is_not_used(tmp_path):
    spool, manifest = spool_rows(tmp_path / "s", [{"id": 1}], page_size=1, batch_size=1)
    spool.records("batch_000001").write_text('[0,"1",{"id":2}]\n')
    with pytest.raises(SpoolError, match="changed on disk"):
        list(read_batch(spool, manifest.batches[0]))


def test_a_batch_that_is_gone_says_what_to_do(tmp_path):
    spool, manifest = spool_rows(tmp_path / "s", [{"id": 1}], page_size=1, batch_size=1)
    spool.records("batch_000001").unlink()
    with pytest.raises(SpoolError, match="Run the sync anew"):
        list(read_batch(spool, manifest.batches[0]))


def test_the_digest_is_the_sha256_of_the_file(tmp_path):
    spool, manifest = spool_rows(tmp_path / "s", [{"id": 1}], page_size=1, batch_size=1)
    ref = manifest.batches[0]
    assert ref.digest == hashlib.sha256(spool.records(ref.key).read_bytes()).hexdigest()


def test_a_batch_size_that_shrinks_holds_for_the_batches_that_follow(tmp_path):
    spool = Spool(tmp_path / "s")
    with open_extraction(spool, key_of) as extraction:
        extraction.add_page(Page(1, [{"id": i} for i in range(10)], {"after": 1}), 8)
        extraction.add_page(Page(2, [{"id": i} for i in range(10, 20)], None), 4)
        manifest = extraction.finish(FACTS, whole=False)
    assert [ref.records for ref in manifest.batches] == [8, 4, 4, 4]


def test_half_a_surrogate_pair_survives_the_disk(tmp_path):
    rows = [json.loads('{"id": "a\\ud800"}')]
    spool, manifest = spool_rows(tmp_path / "s", rows, page_size=1, batch_size=1)
    assert [record.row for _, record in records_of(spool, manifest)] == rows


@given(
    row=st.dictionaries(
        st.text(st.characters(), max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_a_line_gives_back_exactly_the_record_that_was_written(row):
    assume("inf" not in repr(row))
    line = encode_record(7, "key", row, {"brand": {"id": "b"}})
    assert line.count(b"\n") == 1
    record = decode_record(line)
    assert (record.row, record.key, record.ordinal) == (row, "key", 7)
    assert repr(record.row) == repr(row)


@pytest.mark.parametrize("commit_after", [1, 7, 1000])
def test_keys_that_a_kill_took_away_are_read_back_from_the_batches(
    tmp_path, monkeypatch, commit_after
):
    monkeypatch.setattr(seen, "COMMIT_RECORDS", commit_after)
    rows = [{"id": i % 11} for i in range(60)]
    _, whole = spool_rows(tmp_path / "whole", rows, page_size=4, batch_size=3)
    spool = Spool(tmp_path / "cut")
    for page in pages_of(rows, 4):  # a new process for every page, none of them closed in order
        with open_extraction(spool, key_of) as extraction:
            extraction.add_page(page, 3)
    with open_extraction(spool, key_of) as extraction:
        manifest = extraction.finish(FACTS, whole=False)
    assert [ref.digest for ref in manifest.batches] == [ref.digest for ref in whole.batches]
    assert manifest.routed == whole.routed
    assert seen.count_keys(spool.seen) == 10  # 0 counts as no key here
    assert list(seen.keys_not_in(spool.seen, ["3", "12", "10"])) == ["12"]


def test_an_integer_beyond_64_bits_stays_exact():
    line = encode_record(0, "", {"n": 2**64 + 1, "m": -(2**70)}, {})
    assert decode_record(line).row == {"n": 2**64 + 1, "m": -(2**70)}


def test_finishing_again_after_a_kill_gives_the_same_manifest(tmp_path):
    rows = [{"id": i % 3} for i in range(9)]
    spool, first = spool_rows(tmp_path / "s", rows, page_size=2, batch_size=None)
    spool.manifest.unlink()
    with open_extraction(spool, key_of) as extraction:
        assert extraction.finish(FACTS, whole=True) == first


def test_auto_mode_may_join_its_batches_to_one_when_they_were_few(tmp_path):
    spool = Spool(tmp_path / "s")
    rows = [{"id": i % 7} for i in range(20)]
    with open_extraction(spool, key_of) as extraction:
        for page in pages_of(rows, 6):
            extraction.add_page(page, 3)
        manifest = extraction.finish(FACTS, whole=True)
    assert [ref.key for ref in manifest.batches] == ["all"]
    assert [record.ordinal for _, record in records_of(spool, manifest)] == list(range(20))
    left = sorted(path.name for path in spool.root.glob("*.jsonl"))
    assert left == ["all.jsonl", "all.routed.jsonl"]


ID_ROWS = [
    {"id": "a", "sys": "x"},
    {"id": "b", "sys": "y"},
    {"id": "", "sys": "z"},
    {"id": "c", "sys": "x"},
    {"id": "a", "sys": "y"},
    {"id": "d", "sys": "z"},
    {"id": "\ud800", "sys": "w"},
    {"id": "e", "sys": "w"},
    {"id": "f"},
]


@pytest.mark.parametrize("batch_size", [1, 2, None])
@pytest.mark.parametrize("page_size", [1, 4])
def test_a_record_says_whose_id_it_asks_for_however_records_are_cut(
    tmp_path, page_size, batch_size
):
    spool = Spool(tmp_path / "s")
    pages = list(pages_of(ID_ROWS, page_size))
    for at, page in enumerate(pages):  # as if killed after every page
        with open_extraction(spool, key_of, id_of) as extraction:
            extraction.add_page(page, batch_size)
            if at == len(pages) - 1:
                manifest = extraction.finish(FACTS, whole=batch_size is None)
    owners = {record.ordinal: record.id_owner for _, record in records_of(spool, manifest)}
    assert owners == {0: "", 1: "", 2: "", 3: "a", 4: "b", 5: "", 6: "", 7: "\ud800", 8: ""}
