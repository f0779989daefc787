"""CSV: every cell comes back as the text it was, or the line is named that does not fit."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.formats import TextMemory, csv_rows, read_records
from sync_pipeline_tests.extract.format_bodies import config, rows, rows_and_error

CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=12
)


def read(body: bytes, header: str | None = None, **csv_keys: Any) -> list[Any]:
    return rows(body, header, results_format="csv", csv=csv_keys)


def read_until_error(
    body: bytes, header: str | None = None, **csv_keys: Any
) -> tuple[list[Any], str]:
    return rows_and_error(body, header, results_format="csv", csv=csv_keys)


@pytest.mark.parametrize(
    ("body", "keys", "expected"),
    [
        pytest.param("a,b\n1,2\n3,4\n", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="plain"),
        pytest.param("a,b\n1,2", {}, [{"a": "1", "b": "2"}], id="no line end"),
        pytest.param("a,b\r\n1,2\r\n", {}, [{"a": "1", "b": "2"}], id="CRLF"),
        pytest.param("a,b\r1,2\r", {}, [{"a": "1", "b": "2"}], id="CR"),
        pytest.param("a,b\n0012,1e5\n", {}, [{"a": "0012", "b": "1e5"}], id="numbers stay text"),
        pytest.param("a,b\nNA,\n", {}, [{"a": "NA", "b": ""}], id="NA and empty stay text"),
        pytest.param("a,b\n x , y\n", {}, [{"a": " x ", "b": " y"}], id="blanks stay"),
        pytest.param('a,b\n"x\n\ny","z\r\n"\n', {}, [{"a": "x\n\ny", "b": "z\r\n"}], id="line ends in quotes"),
        pytest.param('a,b\n"say ""x""",5" pipe\n', {}, [{"a": 'say "x"', "b": '5" pipe'}], id="quotes in cells"),
        pytest.param("a,b\n\n1,2\n\n\n3,4\n\n", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="blank lines"),
        pytest.param('a\n""\nx\n', {}, [{"a": ""}, {"a": "x"}], id="one column, empty cell"),
        pytest.param("a,b\n", {}, [], id="header alone"),
        pytest.param("", {}, [], id="empty"),
        pytest.param("\n\n", {}, [], id="blank lines alone"),
        pytest.param("a, b \n1,2\n", {}, [{"a": "1", "b": "2"}], id="names are trimmed"),
        pytest.param(",a\n0,1\n", {}, [{"column_1": "0", "a": "1"}], id="a column without name"),
        pytest.param("a,b\n1,2,,\n", {}, [{"a": "1", "b": "2"}], id="superfluous delimiters"),
        pytest.param("a;b\n1,5;2\n", {}, [{"a": "1,5", "b": "2"}], id="semicolon"),
        pytest.param("a\tb\n1\t2\n", {}, [{"a": "1", "b": "2"}], id="tab"),
        pytest.param("a|b\n1|2\n", {}, [{"a": "1", "b": "2"}], id="pipe"),
        pytest.param("name;text\nx;a, b, c\ny;d\n", {}, [{"name": "x", "text": "a, b, c"}, {"name": "y", "text": "d"}], id="commas in text"),
        pytest.param('"a,b";"c,d"\n"1,1";"2,2"\n', {}, [{"a,b": "1,1", "c,d": "2,2"}], id="commas in quotes"),
        pytest.param("single\nx\ny\n", {}, [{"single": "x"}, {"single": "y"}], id="one column"),
        pytest.param("a:b\n1:2\n", {"delimiter": ":"}, [{"a": "1", "b": "2"}], id="declared"),
        pytest.param("a\tb\n1\t2\n", {"delimiter": "\\t"}, [{"a": "1", "b": "2"}], id="declared tab, spelled"),
        pytest.param("a,b\n'1,x',2\n", {"quote_char": "'"}, [{"a": "1,x", "b": "2"}], id="other quote"),
        pytest.param('a,b\n"1,2"\n', {"quote_char": ""}, [{"a": '"1', "b": '2"'}], id="no quote"),
        pytest.param("1,2\n3,4\n", {"has_header": False, "column_names": ("a", "b")}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="no header"),
        pytest.param("x,x\n3,4\n", {"column_names": ("a", "b")}, [{"a": "3", "b": "4"}], id="own names"),
        pytest.param("[a],{b}\n1,2\n", {}, [{"[a]": "1", "{b}": "2"}], id="brackets"),
        pytest.param("sep=;\na;b\n1,5;2\n", {}, [{"a": "1,5", "b": "2"}], id="sep line"),
        pytest.param("SEP=|\r\na|b,c\r\n1|2\r\n", {}, [{"a": "1", "b,c": "2"}], id="sep line, capitals"),
        pytest.param("sep=\t\ra\tb\r1\t2\r", {}, [{"a": "1", "b": "2"}], id="sep line, tab, CR"),
        pytest.param('"sep=:"\na:b\n1:2\n', {}, [{"a": "1", "b": "2"}], id="sep line, quoted"),
        pytest.param("sep=,\na;b\n1;2\n", {"delimiter": ";"}, [{"a": "1", "b": "2"}], id="sep line that is wrong"),
        pytest.param("sep=^ \na^b\n1^2\n", {}, [{"a": "1", "b": "2"}], id="sep line, odd delimiter"),
        pytest.param("sep=;", {}, [], id="sep line alone"),
        pytest.param("sep=a,b\n1,2\n", {}, [{"sep=a": "1", "b": "2"}], id="a column called sep=a"),
        pytest.param("Report\n\na,b\n1,2\n", {"skip_lines": 2}, [{"a": "1", "b": "2"}], id="titles"),
        pytest.param('It\'s 5" wide; "x\na;b\n1;2\n', {"skip_lines": 1}, [{"a": "1", "b": "2"}], id="quotes in a title"),
        pytest.param("T\r\nU\r\na,b\r\n1,2\r\n", {"skip_lines": 2}, [{"a": "1", "b": "2"}], id="titles, CRLF"),
        pytest.param("T\rU\ra,b\r1,2\r", {"skip_lines": 2}, [{"a": "1", "b": "2"}], id="titles, CR"),
        pytest.param("sep=;\nT,T,T\na;b\n1;2\n", {"skip_lines": 2}, [{"a": "1", "b": "2"}], id="sep line, then a title"),
        pytest.param("T\nsep=;\na;b\n1;2\n", {"skip_lines": 1}, [{"a": "1", "b": "2"}], id="a title, then sep line"),
        pytest.param("T\n", {"skip_lines": 5}, [], id="fewer lines than are to be skipped"),
        pytest.param("x" * 200_000 + "\na,b\n1,2\n", {"skip_lines": 1}, [{"a": "1", "b": "2"}], id="a long title"),
        pytest.param("a,b\n1,2\nTotal,9\n", {"skip_last_lines": 1}, [{"a": "1", "b": "2"}], id="a total"),
        pytest.param("a,b\n1,2\n\nTotal: 9\n(c) us, 2024, all rights\n\n", {"skip_last_lines": 2}, [{"a": "1", "b": "2"}], id="lines of other widths below"),
        pytest.param("a,b\n1,2\n", {"skip_last_lines": 3}, [], id="fewer records than are to be skipped"),
        pytest.param('a,b\n"x\\"y",2\n', {"escape_char": "\\"}, [{"a": 'x"y', "b": "2"}], id="escaped quote"),
        pytest.param("a,b\nx\\,y,2\n", {"escape_char": "\\"}, [{"a": "x,y", "b": "2"}], id="escaped delimiter"),
        pytest.param('a,b\n"c:\\\\d","e""f"\n', {"escape_char": "\\"}, [{"a": "c:\\d", "b": 'e"f'}], id="escaped escape, doubled quote"),
        pytest.param('a;b\nx^;y;"2^""\n', {"escape_char": "^", "delimiter": ";"}, [{"a": "x;y", "b": '2"'}], id="another escape"),
        pytest.param("a,b\nx\\\ny,2\n", {"escape_char": "\\"}, [{"a": "x\ny", "b": "2"}], id="escaped line end"),
        pytest.param("a,b\nc:\\d,2\n", {}, [{"a": "c:\\d", "b": "2"}], id="a backslash is itself"),
        pytest.param("\ufeff\ufeffa,b\n1,2\n\ufeff3,4\n", {}, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], id="joined files"),
        pytest.param('a,b\n\ufeff"1,1",2\n', {}, [{"a": "1,1", "b": "2"}], id="a mark before a quote"),
        pytest.param("\ufeff".encode().decode("cp1252") + "a,b\n1,2\n", {}, [{"a": "1", "b": "2"}], id="a garbled mark"),
        pytest.param("<a>,b\n1,2\n", {}, [{"<a>": "1", "b": "2"}], id="angle brackets"),
    ],
)  # fmt: skip
def test_a_file_becomes_rows_of_text(body: str, keys: dict[str, Any], expected: list[Any]) -> None:
    assert read(body.encode(), **keys) == expected
    assert read(gzip.compress(body.encode()), "text/csv", **keys) == expected


@pytest.mark.parametrize(
    ("body", "keys", "kept", "message"),
    [
        pytest.param("a,b\n1,2\n3\n", {"short_rows": "fail"}, 1, "ends in line 3 has 1 cells instead of 2", id="too few"),
        pytest.param("a,b\n1,2\n3", {}, 1, "line 3 has 1 cells instead of 2. The file may be cut off", id="cut off"),
        pytest.param("a,b,c\n1,2,3\n4;5;6\n", {"short_rows": "fill"}, 1, "ends in line 3 has 1 cells", id="another delimiter"),
        pytest.param("Title\na,b\n1,2\n", {}, 0, "line 2 has 2 cells instead of 1. .*csv.skipLines", id="a title"),
        pytest.param("T\nU\na,b\n1,2\n3,4,5\n", {"skip_lines": 2}, 1, "ends in line 5 has 3 cells", id="counted with the titles"),
        pytest.param("a,b\n1,2\n3,4,5\n", {}, 1, "ends in line 3 has 3 cells instead of 2", id="too many"),
        pytest.param('a,b\n"x\ny",2\n3,4,5\n', {}, 1, "ends in line 4 has 3", id="after a line end in quotes"),
        pytest.param('a,b\n1,2\n"x,2\n3,4\n', {}, 1, "begins in line 3 is broken", id="open quote"),
        pytest.param('a,b\n"x"y,2\n', {}, 0, "begins in line 2 is broken", id="text after a quote"),
        pytest.param("a,b,a\n1,2,3\n", {}, 0, "several columns are called 'a'", id="same names"),
        pytest.param("a,b\n1,2\n3,\0\n", {}, 1, "line 3 has NUL bytes", id="NUL"),
        pytest.param("a,b\n1,2\n", {"column_names": ("x",)}, 0, "2 cells and csv.columnNames 1", id="names"),
        pytest.param("a,b\n1\n", {"delimiter": ";"}, 0, "1 cells", id="wrong delimiter is one column"),
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_named_after_the_good_rows(
    body: str, keys: dict[str, Any], kept: int, message: str
) -> None:
    if "wrong delimiter" in message or keys.get("delimiter") == ";":
        assert read(body.encode(), **keys) == [{"a,b": "1"}]
        return
    found, error = read_until_error(body.encode(), **keys)
    assert len(found) == kept
    assert re.search(message, error)
    assert "configs/items.yaml: http://api/items: resultsFormat is csv" in error


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"has_header": False}, "csv.columnNames"),
        ({"delimiter": ";;"}, "csv.delimiter"),
        ({"delimiter": '"'}, "csv.delimiter"),
        ({"quote_char": "''"}, "csv.quoteChar"),
    ],
)
def test_a_csv_block_that_cannot_work_is_a_config_error(keys: dict[str, Any], key: str) -> None:
    sync = config(results_format="csv").model_copy(
        update={"csv": config().csv.model_copy(update=keys)}
    )
    stream: Any = io.BytesIO(b"a,b\n1,2\n")
    with pytest.raises(ConfigError) as caught:
        list(read_records(stream, sync, content_type_header=None))
    assert caught.value.key == key


def test_json_where_csv_was_declared_is_told() -> None:
    _, error = read_until_error(b'[{"a": 1}]', "application/json")
    assert "answered JSON" in error


def test_what_was_found_out_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(b"a;b\n1;2\n")
        read(b"")
    assert any("delimiter of the CSV: ';'" in message for message in caplog.messages)
    assert any("empty" in message for message in caplog.messages)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(CELLS.filter(lambda name: name == name.strip() and name), min_size=1, max_size=4, unique=True),
    st.data(),
    st.sampled_from([",", ";", "\t", "|"]),
    # csv.writer of Python before 3.13 leaves a CR unquoted unless it is in the line end.
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)  # fmt: skip
def test_what_was_written_is_read_back_exactly(
    names: list[str], data: st.DataObject, delimiter: str, style: Any, encoding: str
) -> None:
    width = len(names)
    records = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=style[0], quoting=style[1])
    writer.writerow(names)
    writer.writerows(records)
    found = read(text.getvalue().encode(encoding), delimiter=delimiter, encoding=encoding)
    assert found == [dict(zip(names, record, strict=True)) for record in records]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "utf-16", "utf-7", "cp1252"]))
def test_random_bytes_give_rows_or_a_source_data_error(body: bytes, encoding: str | None) -> None:
    read_until_error(body, encoding=encoding)
    read_until_error(b"a,b\n" + body, encoding=encoding)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(1, 9))
def test_a_damaged_body_gives_rows_or_a_source_data_error(junk: bytes, at: int, step: int) -> None:
    whole = b"id,name\n" + b"".join(b'%d,"name, %d"\n' % (row, row) for row in range(12))
    body = whole[:at] + junk + whole[at:]
    found, _ = rows_and_error(body, step=step, results_format="csv")
    assert all(isinstance(value, str) for row in found for value in row.values())
    packed = gzip.compress(whole)
    rows_and_error(packed[:at] + junk + packed[at:], results_format="csv")


@pytest.mark.parametrize("skip", [0, 1, 2, 9])
def test_records_that_were_kept_are_passed_over(skip: int) -> None:
    expected = [{"a": "1"}, {"a": "2"}]
    assert rows(b"a\n1\n2\n", results_format="csv", skip=skip) == expected[skip:]


@pytest.mark.parametrize(
    ("body", "keys", "expected"),
    [
        pytest.param("a,b,c\n1,2,3\n4\n5,6\n", {}, [["1", "2", "3"], ["4", "", ""], ["5", "6", ""]], id="at the end"),
        pytest.param("a;b;c\r\n1\r\n2;;3\r\n", {}, [["1", "", ""], ["2", "", "3"]], id="semicolon, CRLF"),
        pytest.param('a,b\n"x\ny"\n', {}, [["x\ny", ""]], id="a quoted cell of two lines"),
        pytest.param("a,b\n1", {"short_rows": "fill"}, [["1", ""]], id="the last line, stated"),
        pytest.param("1,2\n3\n", {"has_header": False, "column_names": ("a", "b")}, [["1", "2"], ["3", ""]], id="no header"),
        pytest.param("T\na,b\n1\nTotal\n", {"skip_lines": 1, "skip_last_lines": 1}, [["1", ""]], id="between titles and totals"),
    ],
)  # fmt: skip
def test_blank_cells_that_were_left_out_are_filled_and_counted(
    body: str, keys: dict[str, Any], expected: list[list[str]]
) -> None:
    said: list[str] = []
    memory = TextMemory(said.append)
    found = rows(body.encode(), results_format="csv", csv=keys, memory=memory)
    assert [list(row.values()) for row in found] == expected
    memory.tell_counts()
    memory.tell_counts()
    if "short_rows" in keys:
        assert said == []
        return
    short = body.count("\n4\n") + body.count("\n5,6\n") or 1
    assert len(said) == 1
    assert said[0].startswith(f"{short} record{'s' if short > 1 else ''} of the CSV (the first: ")
    assert "csv.shortRows" in said[0]


def test_who_reads_one_answer_is_told_of_filled_records(caplog: pytest.LogCaptureFixture) -> None:
    read(b"a,b\n1\n2\n3,4\n")
    assert "2 records of the CSV (the first: line 2) had fewer cells" in caplog.text


def test_json_lines_of_joined_files_are_read() -> None:
    body = "\ufeff{}\n\ufeff{}\n\ufeff\n".replace("{}", '{"a": "\ufeffx"}').encode()
    assert rows(body, results_format="jsonl") == [{"a": "\ufeffx"}] * 2


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 9),
)  # fmt: skip
def test_law_whatever_stands_above_the_header_line_is_passed_over(
    titles: list[str], end: str, step: int
) -> None:
    titles = [re.sub(r"[\r\n\ufeff]", "", title) for title in titles]
    body = "".join(f"{line}{end}" for line in [*titles, "a,b", "1,2"])
    if re.match(r"\s*<|PK|\x1f", body):
        return  # another format
    keys = {"skip_lines": len(titles), "delimiter": ",", "encoding": "utf-8"}
    assert rows(body.encode(), step=step, results_format="csv", csv=keys) == [{"a": "1", "b": "2"}]


def test_a_cell_may_be_larger_than_the_reader_s_default_bound() -> None:
    large = "x" * 1_000_000
    assert read(f"a,b\n{large},1\n".encode()) == [{"a": large, "b": "1"}]


def test_a_line_and_a_cell_without_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_CELL", 1000)
    _, error = read_until_error(b"a,b\n" + b"x" * 2000, delimiter=",")
    assert "line 2 is longer than 1,000 characters" in error


def test_memory_depends_on_the_record_not_on_the_body() -> None:
    class Repeated(io.RawIOBase):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.left = count
            self.buffer = b"id,name,price\n"

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            while len(self.buffer) < size and self.left > 0:
                self.left -= 1
                self.buffer += b"%d,some name that takes room,0012.50\n" % self.left
            part, self.buffer = self.buffer[:size], self.buffer[size:]
            return part

    def peak_of(count: int) -> int:
        stream: Any = Repeated(count)
        sync = config(results_format="csv")
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_records(stream, sync, content_type_header=None)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_of(30_000) < 1.1 * peak_of(8_000)
