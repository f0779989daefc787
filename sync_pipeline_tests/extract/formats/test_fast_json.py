"""The short way reads what the careful one reads, or leaves it alone."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats import load_document
from sync_pipeline.extract.formats.fast_json import UNSURE, load_fast
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

CONFIG = config_of("http://127.0.0.1:9")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.booleans())
def test_law_both_ways_give_the_same(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    document = load_fast(body)
    if document is not UNSURE:
        careful = load_document(io.BytesIO(body), CONFIG, content_type_header="application/json")
        assert repr(document) == repr(careful)


@pytest.mark.parametrize(
    "body",
    [
        b"[1e999]", b"[12345678901234567890, 1e999]", b'[12345678901234567890, "\\ud800"]', b"[NaN]", b'"\\ud800"', b"", b"{", b"\xff", b"<html>",
        b"\xef\xbb\xbf[]", "[1]".encode("utf-16"),
    ],
)  # fmt: skip
def test_what_orjson_reads_otherwise_is_left_to_the_careful_reader(body):
    assert load_fast(body) is UNSURE


@pytest.mark.parametrize(
    "number",
    [2**63 - 1, 2**64 - 1, 2**64, 10**25, -(2**63), -(2**63) - 1, -(10**19), 0.1234567890123456789],
)
def test_long_numbers_are_read_exactly(number):
    assert load_fast(f'{{"id": [{number!r}]}}'.encode()) == {"id": [number]}


def test_an_ordinary_page_goes_the_short_way():
    assert load_fast('{"a": ["ü", 18446744073, 1.5]}'.encode()) == {"a": ["ü", 18446744073, 1.5]}


@pytest.mark.parametrize("depth", [10, 300, 400])
def test_deep_records_come_and_too_deep_ones_are_a_clear_error(depth):
    row = json.loads("[" * depth + "]" * depth)
    with serve(lambda _r: Reply({"items": [{"deep": row}]})) as api:
        config = config_of(api.url, pagination=pagination_of("offset"))
        assert fetch_all(config) == [{"deep": row}]
    body = b'{"items": [{"deep": ' + b"[" * 700 + b"]" * 700 + b"}]}"
    with serve(lambda _r: Reply(body)) as api:
        with pytest.raises(SourceDataError, match=r"configs/things\.yaml"):
            fetch_all(config_of(api.url, pagination=pagination_of("offset")))
