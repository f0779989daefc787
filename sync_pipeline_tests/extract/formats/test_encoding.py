"""In which encoding a text is read: nothing is garbled, and what is in doubt is an error."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.extract.formats import TextMemory, load_document, read_records, read_utf8
from sync_pipeline.extract.formats.body import CHUNK
from sync_pipeline.extract.formats.encoding import decode_beginning
from sync_pipeline_tests.extract.format_bodies import config, rows, rows_and_error

FORMATS = ("json", "jsonl", "csv")
MEDIA = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv"}
KEYS = {"json": "resultsEncoding", "jsonl": "resultsEncoding", "csv": "csv.encoding"}
#: What sources write in these encodings.
WORDS = {
    "cp1252": "Zürich, “élève”, 5 €", "latin-1": "Müller & Søn", "iso8859-15": "cœur à 3 €",
    "iso8859-2": "Łódź, Příbram", "cp1250": "Žďár nad Sázavou", "cp1251": "Львів, Київ, Москва",
    "koi8-r": "Санкт-Петербург", "cp1253": "Θεσσαλονίκη", "cp1254": "İstanbul, Şişli",
    "cp1255": "ירושלים", "cp1256": "القاهرة", "cp874": "กรุงเทพมหานคร", "cp1258": "Đà La\u0323t",
    "gb2312": "模块中文联通上海", "gbk": "龍門石窟與長城", "gb18030": "㐂𠮷野家的招牌", "big5": "臺北市信義區",
    "shift_jis": "東京都千代田区ソーラー", "euc_jp": "大阪府大阪市北区", "euc_kr": "창신동 서울특별시",
    "cp949": "똠방각하 뷁", "iso2022_jp": "京都市左京区", "mac-roman": "Genève, Œuvre", "cp037": "café",
    "cp500": "naïve [x]",
}  # fmt: skip


def text_of(shape: str, *names: str) -> str:
    if shape == "csv":
        return "id,name\n" + "".join(f'{at},"{name}"\n' for at, name in enumerate(names, 1))
    records = [{"id": str(at), "name": name} for at, name in enumerate(names, 1)]
    if shape == "jsonl":
        return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
    return json.dumps(records, ensure_ascii=False)


def config_keys(shape: str, encoding: str | None = None) -> dict[str, Any]:
    if shape == "csv":
        return {"results_format": "csv", "csv": {"encoding": encoding, "delimiter": ","}}
    return {"results_format": shape, "results_encoding": encoding}


def read(
    shape: str,
    body: bytes,
    charset: str | None = None,
    *,
    encoding: str | None = None,
    said: list[str] | None = None,
    memory: TextMemory | None = None,
    step: int = 2**20,
) -> tuple[list[Any], str]:
    memory = memory or TextMemory(said.append if said is not None else lambda _: None)
    header = MEDIA[shape] + (f"; charset={charset}" if charset else "")
    keys = config_keys(shape, encoding)
    found, error = rows_and_error(body, header, step=step, memory=memory, **keys)
    return [row["name"] for row in found], error


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("step", [1, 7, 2**20])
@pytest.mark.parametrize("encoding", WORDS)
def test_bytes_that_are_no_utf_8_are_in_the_charset_that_is_declared(
    shape: str, step: int, encoding: str
) -> None:
    said: list[str] = []
    body = text_of(shape, WORDS[encoding]).encode(encoding)
    assert read(shape, body, encoding, step=step, said=said) == ([WORDS[encoding]], "")
    assert said == []


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("charset", [*WORDS, "ISO-8859-1", "windows-1252", "us-ascii", "x-sjis"])
@pytest.mark.parametrize("words", [WORDS["latin-1"], WORDS["gb2312"], WORDS["cp1251"], "😀 ok"])
def test_bytes_that_are_utf_8_are_read_so_whatever_is_declared(
    shape: str, charset: str, words: str
) -> None:
    said: list[str] = []
    assert read(shape, text_of(shape, words).encode(), charset, said=said) == ([words], "")
    # JSON is UTF-8 by definition; who does not say so of CSV may mean something else.
    if shape != "json" and charset != "us-ascii":
        assert KEYS[shape] in said[0] or "does not exist" in said[0]
    assert len(said) <= 1


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize(
    "charset",
    ["utf-8,gbk", "binary", "klingon", "utf8mb4", "none", "*", "UTF-8;UTF-8", "base64", "rot13",
     "idna", "unicode_escape", "undefined", "windows-65001", "x" * 500, "utf-8\xa0"],
)  # fmt: skip
def test_a_charset_that_is_none_does_not_stop_utf_8(shape: str, charset: str) -> None:
    said: list[str] = []
    body = text_of(shape, "Žluťoučký kůň").encode()
    assert read(shape, body, charset, said=said) == (["Žluťoučký kůň"], "")
    assert all(len(text) < 200 for text in said)
    _, error = read(shape, body.replace(b"k", b"\xe9"), charset)
    assert f"Set {KEYS[shape]}" in error
    assert "utf-8" in error.lower()


MARKED = ["utf-8-sig", "utf-16", "utf-32"]
UNMARKED = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("encoding", MARKED + UNMARKED)
@pytest.mark.parametrize("charset", [None, "utf-8", "iso-8859-1", "gbk", "klingon", "utf-16"])
def test_a_mark_and_the_zeros_of_utf_16_tell_more_than_a_header(
    shape: str, encoding: str, charset: str | None
) -> None:
    names = ["Müller in Zürich", "ordinary words"]
    assert read(shape, text_of(shape, *names).encode(encoding), charset) == (names, "")


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("is_exact", [True, False], ids=["byte order named", "utf-16"])
def test_utf_16_that_is_hardly_ascii_is_known_by_its_header(
    shape: str, encoding: str, is_exact: bool
) -> None:
    name = "上海市浦东新区世纪大道" * 40
    body = text_of(shape, name).encode(encoding)
    charset = encoding if is_exact else "utf-16"
    assert read(shape, body, charset) == ([name], "")
    assert read(shape, body, encoding=charset) == ([name], "")


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("encoding", ["cp1252", "gbk", "utf-8", "utf-16-be", "shift_jis"])
@pytest.mark.parametrize("charset", [None, "utf-8", "klingon", "koi8-r"])
def test_what_the_file_states_is_taken_strictly(
    shape: str, encoding: str, charset: str | None
) -> None:
    name = {"cp1252": "Ã¼ben", "gbk": "模", "shift_jis": "ﾃｽ"}.get(encoding, "Müller")
    body = text_of(shape, name).encode(encoding)
    said: list[str] = []
    assert read(shape, body, charset, encoding=encoding, said=said) == ([name], "")
    assert said == []
    if encoding in ("utf-8", "gbk", "shift_jis"):
        _, error = read(shape, body.replace(b"name", b"n\xff\xff"), charset, encoding=encoding)
        assert KEYS[shape] in error


@pytest.mark.parametrize("shape", FORMATS)
def test_a_mark_that_contradicts_the_file_is_believed_with_a_warning(shape: str) -> None:
    said: list[str] = []
    body = text_of(shape, "Müller").encode("utf-8-sig")
    assert read(shape, body, encoding="cp1252", said=said) == (["Müller"], "")
    assert f"{KEYS[shape]} is cp1252" in said[0]


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("marks", [2, 3])
def test_several_byte_order_marks_are_taken_off(shape: str, encoding: str, marks: int) -> None:
    body = ("\ufeff" * marks + text_of(shape, "Zoë")).encode(encoding)
    assert read(shape, body) == (["Zoë"], "")


# ---------------------------------------------------------------- what comes late


def padded(shape: str, kilobytes: int, *last: str) -> str:
    return text_of(shape, *(["plain ascii text"] * (kilobytes * 1024 // 40)), *last)


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("kilobytes", [3, 63, 64, 65, 1100])
@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", "iso-8859-1"), ("utf-8", "gbk"), ("cp1252", "iso-8859-1"), ("gbk", "gb2312"),
     ("iso2022_jp", "iso-2022-jp")],
)  # fmt: skip
def test_the_first_byte_that_tells_may_come_late(
    shape: str, kilobytes: int, encoding: str, charset: str
) -> None:
    name = "東京" if encoding in ("gbk", "iso2022_jp") else "Müller"
    names, error = read(shape, padded(shape, kilobytes, name).encode(encoding), charset)
    assert (names[-1], error) == (name, "")


def test_the_first_byte_that_tells_may_come_after_megabytes() -> None:
    for encoding in ("utf-8", "cp1252"):
        body = padded("csv", 9000, "Müller").encode(encoding)
        assert read("csv", body, "iso-8859-1")[0][-1] == "Müller"
        assert read("csv", body)[0][-1] == "Müller"


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("charset", [None, "iso-8859-1", "windows-1251", "gbk", "shift_jis"])
@pytest.mark.parametrize("between", [1, 2 * CHUNK // 1024, 1500])
def test_utf_8_with_a_damaged_place_is_not_read_as_something_else(
    shape: str, charset: str | None, between: int
) -> None:
    """A name that was cut within a character, as a column of so many bytes does it."""
    whole = padded(shape, between, "Müller").replace("plain", "Zoë", 1).encode()
    body = whole.replace("ü".encode(), b"\xc3")
    names, error = read(shape, body, charset)
    assert "Zo\xc3" not in "".join(names)
    assert f"Set {KEYS[shape]}" in error


@pytest.mark.parametrize("shape", FORMATS)
def test_good_records_come_before_the_place_that_is_in_doubt(shape: str) -> None:
    if shape == "json":
        return  # a small document is parsed whole
    body = padded(shape, 200, "X\xe9X").encode().replace(b"X\xc3", b"X")
    names, error = read(shape, body, "utf-8")
    assert len(names) > 2500
    assert "position" in error


# ---------------------------------------------------------------- one source, many answers


@pytest.mark.parametrize("charset", ["gbk", "shift_jis", "euc_kr", "big5"])
def test_a_short_text_is_read_like_the_longer_ones_before_it(charset: str) -> None:
    """One character of these may look like UTF-8; the source as a whole does not."""
    short = {"gbk": "模", "shift_jis": "ﾃｽ", "euc_kr": "창", "big5": "獺"}[charset]
    memory = TextMemory(lambda _: None)
    long = WORDS[charset] * 10
    assert read("json", text_of("json", long).encode(charset), charset, memory=memory)[0] == [long]
    again = read("json", text_of("json", short).encode(charset), charset, memory=memory)
    assert again == ([short], "")


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("charset", [None, "iso-8859-1", "gbk"])
def test_answers_in_two_encodings_are_an_error(shape: str, charset: str | None) -> None:
    if shape != "csv" and charset is None:
        return  # strictly UTF-8 anyway
    memory = TextMemory(lambda _: None)
    first, second = (text_of(shape, "Müller").encode(each) for each in ("utf-8", "cp1252"))
    assert read(shape, first, charset, memory=memory) == (["Müller"], "")
    names, error = read(shape, second, charset, memory=memory)
    assert names == []
    assert f"Set {KEYS[shape]}" in error


def test_a_damaged_page_does_not_garble_the_pages_after_it() -> None:
    memory = TextMemory(lambda _: None)
    assert read("json", b'[{"name": "M\xc3"}]', "latin-1", memory=memory) == (["MÃ"], "")
    names, error = read("json", '[{"name": "Müller"}]'.encode(), "latin-1", memory=memory)
    assert names == []
    assert "Set resultsEncoding" in error


def test_what_holds_for_the_source_is_said_once() -> None:
    said: list[str] = []
    memory = TextMemory(said.append)
    for _ in range(3):
        read("csv", text_of("csv", "Müller").encode("cp1252"), memory=memory)
    assert len(said) == 1
    assert "read as cp1252" in said[0]


# ---------------------------------------------------------------- nothing declared


@pytest.mark.parametrize("kilobytes", [0, 64, 700])
def test_csv_of_nobody_s_encoding_is_read_as_windows_with_a_warning(kilobytes: int) -> None:
    said: list[str] = []
    body = padded("csv", kilobytes, "Müller €").encode("cp1252")
    assert read("csv", body, said=said)[0][-1] == "Müller €"
    assert "csv.encoding" in said[0]


@pytest.mark.parametrize("shape", ["json", "jsonl"])
def test_json_of_nobody_s_encoding_is_an_error_that_names_the_key(shape: str) -> None:
    _, error = read(shape, text_of(shape, "Müller").encode("cp1252"))
    assert "Set resultsEncoding" in error


@pytest.mark.parametrize(
    ("body", "charset", "encoding"),
    [
        pytest.param(b"name\n\x81\n", None, None, id="neither UTF-8 nor cp1252"),
        pytest.param(b"name\n\xe9\n", "utf-8", None, id="not as the header says"),
        pytest.param(b"name\n\xe9\n", None, "utf-8", id="not as stated"),
        pytest.param(b"name\n\xe9\n", "us-ascii", None, id="no ASCII"),
        pytest.param(b"name\n\xc3", None, "utf-8", id="cut within a character"),
        pytest.param("name\nx\n".encode("utf-16")[:-1], None, None, id="half of a UTF-16 unit"),
        pytest.param("name\n東京\n".encode("gbk")[:-2], "gbk", None, id="half of a character"),
    ],
)
def test_bytes_of_no_encoding_are_a_clear_error(
    body: bytes, charset: str | None, encoding: str | None
) -> None:
    _, error = read("csv", body, charset, encoding=encoding)
    assert "Set csv.encoding" in error


# ---------------------------------------------------------------- laws

LEGACY = sorted(set(WORDS) - {"iso2022_jp", "cp037", "cp500"})


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(LEGACY), st.sampled_from(FORMATS), st.integers(1, 40))
def test_law_text_is_read_as_it_was_or_there_is_an_error(
    data: st.DataObject, encoding: str, shape: str, step: int
) -> None:
    alphabet = sorted(set(WORDS[encoding]) | set("abc "))
    words = st.text(st.sampled_from(alphabet), min_size=20, max_size=60)
    names = data.draw(st.lists(words, min_size=10, max_size=20))
    for written in (encoding, "utf-8"):
        found, error = read(shape, text_of(shape, *names).encode(written), encoding, step=step)
        assert found == names or error


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.sampled_from([None, *WORDS, "utf-7", "hz", "utf-16", "zlib"]))
def test_law_whatever_the_bytes_there_is_no_traceback(body: bytes, charset: str | None) -> None:
    for shape in FORMATS:
        rows_and_error(body, f"{MEDIA[shape]}; charset={charset}", **config_keys(shape))
        decode_beginning(body, f"text/x; charset={charset}")


def test_all_ways_to_read_a_page_agree() -> None:
    chance = random.Random(7)
    for charset in ("iso-8859-1", "gbk", "klingon", None):
        for encoding in ("utf-8", "utf-16", "cp1252"):
            name = "".join(chance.choices("Müßèç abc", k=40))
            body = text_of("json", name).encode(encoding)
            header = f"application/json; charset={charset}" if charset else None
            whole, error = read("json", body, charset)
            if error:
                continue
            assert whole == [name] or charset == "gbk"
            loaded = load_document(io.BytesIO(body), config(), content_type_header=header)
            assert [row["name"] for row in loaded] == whole
            if charset:
                text = read_utf8(body, config(), content_type_header=header)
                assert [row["name"] for row in json.loads(text)] == whole


def test_a_zip_s_charset_says_nothing_of_the_text_in_it() -> None:
    from sync_pipeline_tests.extract.formats.test_zip import zipped  # noqa: PLC0415  # its helper

    body = zipped({"a.csv": "name\nMüller\n".encode("cp1252")})
    found = rows(body, "application/zip; charset=utf-8", results_format="zippedCsv")
    assert found == [{"name": "Müller"}]


def test_memory_does_not_grow_with_the_answers() -> None:
    memory = TextMemory(lambda _: None)
    for number in range(50):
        stream: Any = io.BytesIO(text_of("json", f"Müller {number}").encode())
        list(read_records(stream, config(), content_type_header="a/b; charset=latin-1",
                          memory=memory))  # fmt: skip
    assert len(memory.evidence) == 1
    assert memory.told == set()


def test_a_source_that_names_another_charset_in_every_answer_is_told_of_no_more_than_that() -> None:
    said: list[str] = []
    memory = TextMemory(said.append)
    for number in range(300):
        read("csv", b"name\nx\n", f"no-such-{number}", memory=memory)
        read("csv", b"name\nx\n", f"{number}-{'x' * 5000}", memory=memory)
    assert len(said) == len(memory.told) == 100
    assert max(map(len, said)) < 200
