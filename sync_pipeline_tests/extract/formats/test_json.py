"""JSON and JSON Lines: rows at any path, equal to what json.loads gives, while they are read."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import ConfigError, SourceDataError
from sync_pipeline.extract.formats import (
    check_json_path,
    json_stream,
    load_document,
    read_records,
    select_rows,
    value_at,
)
from sync_pipeline.extract.formats.json_building import MAX_DEPTH
from sync_pipeline.extract.formats.json_events import parse_events
from sync_pipeline_tests.extract.format_bodies import Trickle, config, rows, rows_and_error

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=5), max_size=6)


#: Bodies up to so many bytes are parsed in one go: all of them, or none.
SIZES = [pytest.param(2**20, id="small"), pytest.param(0, id="streamed")]


@contextmanager
def parsed_in_one_go(up_to: int) -> Iterator[None]:
    with patch.object(json_stream, "SMALL", up_to):
        yield


def typed(value: Any) -> Any:
    """The value with the type of every part, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return type(value).__name__, repr(value)


@pytest.mark.parametrize("small", SIZES)
@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        ('[{"a": 1}, {"a": 2}]', None, [{"a": 1}, {"a": 2}]),
        ('[{"a": 1}]', "$", [{"a": 1}]),
        ('{"a": 1}', None, [{"a": 1}]),
        ("[]", None, []),
        ("null", None, []),
        ('{"data": [{"a": 1}]}', "data", [{"a": 1}]),
        ('{"data": [{"a": 1}]}', "$.data", [{"a": 1}]),
        ('{"data": [{"a": 1}]}', "$['data']", [{"a": 1}]),
        ('{"data": [{"a": 1}]}', "$.data[*]", [{"a": 1}]),
        ('{"data": {"a": 1}}', "data", [{"a": 1}]),
        ('{"data": null}', "data", []),
        ('{"data": []}', "data", []),
        ('{"data": []}', "data[*].rows", []),
        ('{"x": [1, {"data": 2}], "r": {"data": [{"a": 1}]}, "y": {}}', "r.data", [{"a": 1}]),
        ('[[{"a": 0}], [{"a": 1}], []]', "[1]", [{"a": 1}]),
        ('[[{"a": 0}], [{"a": 1}], []]', "$[*]", [{"a": 0}, {"a": 1}]),
        ('[{"rows": [{"a": 0}]}, {"rows": {"a": 1}}, {"rows": null}, {}]', "[*].rows", [{"a": 0}, {"a": 1}]),
        ('{"p": [{"rows": [{"a": 0}]}, {"rows": [{"a": 1}]}]}', "p[1].rows", [{"a": 1}]),
        ('{"a.b": {"c d": [{"a": 1}]}}', "$['a.b'][\"c d\"]", [{"a": 1}]),
        ('{"item": [[{"a": 1}]]}', "item[0]", [{"a": 1}]),
        ('{"item": {"item": [{"item": 1}]}}', "item.item", [{"item": 1}]),
        ('{"d": [{"t": "x", "a": 1}, {"t": "y", "a": 2}]}', "d[?(@.t == 'y')]", [{"t": "y", "a": 2}]),
        ('{"d": [{"a": 1}, {"a": 2}, {"a": 3}]}', "d[1:]", [{"a": 2}, {"a": 3}]),
        ('{"d": [{"a": 1}]}', "d[?(@.a == 9)]", []),
        ('{"x": {"rows": [{"a": 1}]}}', "$..rows", [{"a": 1}]),
        ('{"data": [{"a": {"b": [1, [2, {"c": null}]], "": {}}}, {}]}', "data", [{"a": {"b": [1, [2, {"c": None}]], "": {}}}, {}]),
    ],
)  # fmt: skip
def test_a_path_leads_to_rows(body: str, path: str | None, expected: list[Any], small: int) -> None:
    with parsed_in_one_go(small):
        assert rows(body.encode(), results_json_path=path) == expected
    assert select_rows(json.loads(body), path) == expected


@pytest.mark.parametrize("small", SIZES)
@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        pytest.param(b'{"items": [], "total": 0}', "data", "the keys items, total", id="missing"),
        pytest.param(b'{"r": {"x": 1}}', "r.data.rows", "$.r is an object with the keys x", id="deep"),
        pytest.param(b'{"r": {}}', "r.data", "no keys", id="empty object"),
        pytest.param(b'{"r": [1]}', "r.data", "$.r is an array", id="array instead of object"),
        pytest.param(b'{"r": 5}', "r.data", "$.r is a number", id="number instead of object"),
        pytest.param(b'{"r": [{}]}', "r[3].x", "$.r", id="index too high"),
        pytest.param(b'{"data": 5}', "data", "is a number", id="number at the path"),
        pytest.param(b'{"data": "x"}', "data", "is a text", id="text at the path"),
        pytest.param(b'{"data": true}', "data", "is a boolean", id="boolean at the path"),
        pytest.param(b'[{"a": 1}, 5]', None, "record 1 (counted from 0)", id="number among rows"),
        pytest.param(b'[{"a": 1}, [{}]]', None, "is an array, not an object", id="array among rows"),
        pytest.param(b'[{"a": 1}, null]', None, "is null, not an object", id="null among rows"),
        pytest.param(b"", None, "is empty", id="nothing"),
        pytest.param(b" \n", None, "is empty", id="blanks"),
        pytest.param(b'[{"a": NaN}]', None, "NaN", id="NaN"),
        pytest.param(b'[{"a": -Infinity}]', None, "Infinity", id="Infinity"),
        pytest.param(b'[{"a": 1e400}]', None, "beyond the range", id="beyond a double"),
        pytest.param(b'[{"a": 1}] x', None, "no valid JSON", id="more behind it"),
        pytest.param(b"[{'a': 1}]", None, "no valid JSON", id="Python"),
        pytest.param(b'[{"a": "\xff"}]', None, "UTF-8", id="bytes"),
        pytest.param(b'[{"a": ' + b"1" * 5000 + b"}]", None, "too long", id="a number of 5000 digits"),
        pytest.param(b"[{}," + b'{"a":' * 600 + b"1" + b"}" * 600 + b"]", None, "deeper", id="depth"),
    ],
)  # fmt: skip
def test_what_is_no_rows_is_a_clear_error(
    body: bytes, path: str | None, message: str, small: int
) -> None:
    with parsed_in_one_go(small):
        found, error = rows_and_error(body, "application/json", results_json_path=path)
    assert message in error
    assert error.startswith("configs/items.yaml: http://api/items: ")
    assert all(isinstance(row, dict) for row in found)


def test_the_good_records_come_before_the_error_that_ends_them() -> None:
    whole = json.dumps({"data": [{"a": at} for at in range(50_000)], "next": None}).encode()
    for small in (2**20, 0):
        with parsed_in_one_go(small):
            found, error = rows_and_error(whole[: len(whole) // 2], results_json_path="data")
        assert found == [{"a": at} for at in range(len(found))]
        assert f"after {len(found)} good records" in error
        assert "ends too early" in error
        assert len(found) > 20_000
    found, error = rows_and_error(whole[:-1], results_json_path="data")
    assert len(found) == 50_000
    assert "ends too early" in error


def test_the_same_key_twice_on_the_way_is_an_error_where_it_is_streamed() -> None:
    body = b'{"data": [{"a": 1}], "data": [{"a": 2}]}'
    with parsed_in_one_go(0):
        found, error = rows_and_error(body, results_json_path="data")
    assert found == [{"a": 1}]
    assert "twice" in error


@settings(deadline=None, max_examples=40)
@given(RECORDS, st.sampled_from([None, "data", "$.r.data"]), st.booleans())
def test_rows_equal_what_json_loads_gives(
    records: list[Any], path: str | None, ascii_only: bool
) -> None:
    document: Any = records
    for name in reversed((path or "").removeprefix("$.").split(".") if path else []):
        document = {"before": [1, {"data": 0}], name: document, "after": {"data": []}}
    text = json.dumps(document, ensure_ascii=ascii_only).encode()
    expected = typed(records)
    assert typed(rows(text, results_json_path=path)) == expected
    with parsed_in_one_go(0):
        assert typed(rows(text, results_json_path=path)) == expected
    loaded = load_document(io.BytesIO(text), config(), content_type_header=None)
    assert typed(select_rows(loaded, path)) == expected


@settings(deadline=None, max_examples=40)
@given(RECORDS)
def test_json_lines_come_back_exactly(records: list[Any]) -> None:
    for end in (b"\n", b"\r\n", b"\n\n"):
        body = end.join(json.dumps(row, ensure_ascii=False).encode() for row in records)
        assert typed(rows(body, results_format="jsonl")) == typed(records)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_random_bytes_give_rows_or_a_source_data_error(body: bytes, step: int) -> None:
    for small in (2**20, 0):
        with parsed_in_one_go(small):
            for path in (None, "a", "a[*].b", "$..a"):
                rows_and_error(body, step=step, results_json_path=path)
    rows_and_error(body, step=step, results_format="jsonl")


@settings(deadline=None, max_examples=40)
@given(RECORDS, st.integers(0, 400), st.binary(max_size=4), st.booleans())
def test_a_damaged_body_gives_a_prefix_of_the_rows_or_an_error(
    records: list[Any], at: int, junk: bytes, is_cut: bool
) -> None:
    text = json.dumps(records).encode()
    body = text[:at] if is_cut else text[:at] + junk + text[at + len(junk) :]
    for small in (2**20, 0):
        with parsed_in_one_go(small):
            found, error = rows_and_error(body)
        if is_cut and at < len(text):
            assert error
            assert typed(found) == typed(records[: len(found)])
        assert all(isinstance(row, dict) for row in found)
    lines = b"\n".join(json.dumps(row).encode() for row in records)
    rows_and_error(lines[:at] + junk, results_format="jsonl")


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_stream_may_come_in_any_pieces(step: int) -> None:
    body = '[{"name": "Zoë 🚀", "n": 12345.5}, {"a": [1, 2]}]'.encode()
    assert rows(body, step=step) == json.loads(body)
    with parsed_in_one_go(0):
        assert rows(body, step=step) == json.loads(body)
    assert rows(
        body[1:-1].replace(b"}, {", b"}\n{"), step=step, results_format="jsonl"
    ) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "header", "message"),
    [
        pytest.param(b"<!DOCTYPE html><html>", "text/html", "answered HTML", id="HTML"),
        pytest.param(b"\xef\xbb\xbf \n<HTML>", None, "answered HTML", id="HTML after a mark"),
        pytest.param(b"<!-- x --> <html>", None, "answered HTML", id="HTML after a comment"),
        pytest.param("<html>".encode("utf-16"), None, "answered HTML", id="HTML in UTF-16"),
        pytest.param(gzip.compress(b"<html>"), None, "answered HTML", id="gzipped HTML"),
        pytest.param(b"<?xml version='1.0'?><a/>", None, "XML", id="XML"),
        pytest.param(b"<feed><a/></feed>", "application/atom+xml", "XML", id="a feed"),
        pytest.param(b"PK\x03\x04rest", None, "resultsFormat: zippedCsv", id="zip"),
        pytest.param(b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", None, "Excel", id="xlsx"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), None, "Excel", id="xls"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", ["json", "jsonl", "csv"])
def test_another_format_is_told_by_its_first_bytes(
    body: bytes, header: str | None, message: str, declared: str
) -> None:
    found, error = rows_and_error(body, header, results_format=declared)
    assert found == []
    assert message in error
    assert f"resultsFormat is {declared}" in error


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        (b'{"a": 1}\n\n{"a": 2', "line 3 is no JSON (the last one: cut?)"),
        (b'{"a": 1}\n[1]\n', "line 2 is an array, not an object"),
        (b'{"a": 1}\n{"a": NaN}\n', "line 2 is no JSON"),
        (b'{"a": 1}\n"\xff"\n', "position"),
    ],
)
def test_a_bad_line_is_named_after_the_good_ones(body: bytes, message: str) -> None:
    found, error = rows_and_error(body, results_format="jsonl")
    assert found == [{"a": 1}][: len(found)]
    assert message in error


def test_a_path_reaches_into_each_line() -> None:
    body = b'{"data": [{"a": 1}, {"a": 2}]}\n{"data": {"a": 3}}\n'
    assert rows(body, results_format="jsonl", results_json_path="data") == [
        {"a": 1}, {"a": 2}, {"a": 3},
    ]  # fmt: skip
    _, error = rows_and_error(b'{"x": 1}', results_format="jsonl", results_json_path="data")
    assert "line 1" in error
    assert "the keys x" in error


@pytest.mark.parametrize("skip", [0, 1, 2, 3, 9])
def test_records_that_were_kept_are_passed_over(skip: int) -> None:
    records = [{"a": at} for at in range(3)]
    text = json.dumps(records).encode()
    assert rows(text, skip=skip) == records[skip:]
    with parsed_in_one_go(0):
        assert rows(text, skip=skip) == records[skip:]
    lines = b"\n".join(json.dumps(row).encode() for row in records)
    assert rows(lines, skip=skip, results_format="jsonl") == records[skip:]


@pytest.mark.parametrize("declared", ["json", "jsonl", "csv", "zippedCsv"])
def test_a_body_over_the_bound_is_an_error(declared: str) -> None:
    body = {
        "json": b'[{"a": 1}]',
        "jsonl": b'{"a": 1}\n',
        "csv": b"a\n1\n",
        "zippedCsv": b"PK\x03\x04",
    }
    long = body[declared] + b" " * 10_000
    _, error = rows_and_error(long, results_format=declared, max_response_bytes=5_000)
    assert "more than maxResponseBytes (5,000 bytes)" in error


def test_gzip_is_bounded_by_what_it_unpacks_to_and_damage_is_told() -> None:
    bomb = gzip.compress(b'[{"a": "' + bytes(10**6).replace(b"\0", b"x") + b'"}]')
    assert "unpacks to more than" in rows_and_error(bomb, max_response_bytes=500_000)[1]
    packed = gzip.compress(b'[{"a": 1}]')
    assert "ends too early" in rows_and_error(packed[:-9])[1]
    assert "damaged" in rows_and_error(packed[:-8] + b"12345678")[1]
    assert rows(packed + gzip.compress(b" ")) == [{"a": 1}]


def test_a_record_of_any_size_is_fine_but_a_line_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sync_pipeline.extract.formats.json_lines.MAX_LINE", 100)
    body = b'{"a": 1}\n{"a": "' + b"x" * 100 + b'"}'
    found, error = rows_and_error(body, results_format="jsonl")
    assert found == [{"a": 1}]
    assert "line 2 is longer than 100 bytes" in error


def test_memory_depends_on_the_record_not_on_the_body() -> None:
    record = json.dumps({"id": 1, "text": "x" * 300, "list": [1.5, None, {"a": "b"}]}).encode()

    class Repeated(io.RawIOBase):
        """An array that is made while it is read."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.left = count
            self.buffer = b'{"data": ['

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            while len(self.buffer) < size and self.left > 0:
                self.left -= 1
                self.buffer += record + (b"," if self.left else b"]}")
            part, self.buffer = self.buffer[:size], self.buffer[size:]
            return part

    def peak_of(count: int) -> int:
        stream: Any = Repeated(count)
        sync = config(results_json_path="data")
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_records(stream, sync, content_type_header=None)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_of(15_000) < 1.1 * peak_of(5_000)


def test_errors_of_the_stream_itself_pass_through() -> None:
    class Broken(Trickle):
        def read(self, size: int = -1, /) -> bytes:
            chunk = super().read(size)
            if not chunk:
                raise ConnectionResetError
            return chunk

    stream: Any = Broken(b'[{"a": 1}, {"a": 2}', 2**20)
    records = read_records(stream, config(), content_type_header=None)
    with pytest.raises(ConnectionResetError):
        list(records)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("next", "u"), ("$.next", "u"), ("a.b", 1), ("a['b']", 1), ("l[1].x", 2), ("l[*].x", 1),
        ("nothing", None), ("a.b.c", None), ("l[9]", None), ("l.x", None), ("n", None), ("", {}),
        ("@odata.nextLink", "o"), ("$['@odata.nextLink']", "o"), ("$..x", 1), ("l[?(@.x > 1)].x", 2),
        ("dash-ed", 5), ("l[-1].x", 2),
    ],
)  # fmt: skip
def test_a_value_is_found_by_its_path_or_is_none(path: str, expected: Any) -> None:
    document = {
        "next": "u", "a": {"b": 1}, "l": [{"x": 1}, {"x": 2}], "n": None, "@odata.nextLink": "o",
        "dash-ed": 5,
    }  # fmt: skip
    assert value_at({} if path == "" else document, path) == expected


@pytest.mark.parametrize("path", ["a[", "$.a[?(", "a..", "[[1]]", "a b c ]"])
def test_a_path_that_cannot_be_read_is_a_config_error(path: str) -> None:
    with pytest.raises(ConfigError, match="no JSON path") as caught:
        check_json_path(path, key="pagination.totalPath")
    assert caught.value.key == "pagination.totalPath"
    check_json_path("$.fine[0]")
    check_json_path("$..fine")


def test_a_long_text_is_given_to_the_parser_in_few_pieces() -> None:
    """With each piece it reads the text from its beginning: 100 MB took minutes."""
    text = b'[{"a": "' + b"x" * 8_000_000 + b'", "b": 1}, {"a": 2}]'
    chunks = [text[at : at + 65_536] for at in range(0, len(text), 65_536)]
    parts = list(parse_events(chunks))
    assert len(chunks) > 100
    assert len(parts) < 15
    values = [value for part in parts for event, value in part if event in ("string", "number")]
    assert values == ["x" * 8_000_000, 1, 2]


@pytest.mark.parametrize("path", ["items[?(@.a =~ '[')]", "items[/a]", "items[*].a.`sub(/[/, x)`"])
def test_a_path_that_cannot_be_followed_is_a_clear_error(path: str) -> None:
    with pytest.raises((ConfigError, SourceDataError), match="path"):
        rows(b'{"items": [{"a": null}, {"a": "x"}]}', results_json_path=path)


def test_a_path_may_name_a_member_without_a_name() -> None:
    assert rows(b'{"": [{"a": 1}]}', results_json_path="['']") == [{"a": 1}]


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_config_error(path: str) -> None:
    try:
        check_json_path(path)
    except ConfigError:
        return
    value_at({"a": [1]}, path)


def test_long_lists_of_keys_are_cut() -> None:
    document = {f"key{at}": at for at in range(50)}
    for small in (2**20, 0):
        with parsed_in_one_go(small):
            _, error = rows_and_error(json.dumps(document).encode(), results_json_path="data")
        assert "key19" in error
        assert "key30" not in error
        assert "more" in error


def test_half_a_surrogate_pair_is_replaced_in_bodies_of_every_size() -> None:
    body = b'[{"a": "x\\ud800y", "b": "\\ud83d\\ude80"}]'
    with parsed_in_one_go(0):
        streamed = rows(body)
    assert rows(body) == streamed
    assert rows(body)[0]["b"] == "🚀"
    rows(body)[0]["a"].encode()
    assert rows(body, results_json_path="$[?(@.a)]") == streamed


def test_depth_up_to_the_bound_is_read() -> None:
    deep = b'[{"a":' * (MAX_DEPTH // 2 - 1) + b"1" + b"}]" * (MAX_DEPTH // 2 - 1)
    for small in (2**20, 0):
        with parsed_in_one_go(small):
            assert rows(deep) == json.loads(deep)
