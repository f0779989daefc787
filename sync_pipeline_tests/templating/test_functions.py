from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sync_pipeline.errors import RecordError, SpaceError, SpoolError, UsageError
from sync_pipeline.templating import build_environment, compile_text
from sync_pipeline_tests.transform.mapping_cases import Entries

ROW: dict[str, Any] = {
    "name": "héllo World",
    "list": ["b", "a", None, "b"],
    "numbers": [3, 1, 2],
    "objects": [{"n": "x", "v": 2}, {"n": "y", "v": 1}, {"v": None}],
    "object": {"k": 1, "none": None},
    "number": 2.5,
    "text_number": "12.50",
    "nothing": None,
    "blank": "",
    "date": "2024-03-05T14:07:09.123+02:00",
    "html": "<h1>A &amp; B</h1><p>one <strong>two</strong> <a href='https://x.y'>z</a></p><ul><li>i</li></ul>",
    "long": "x" * 300,
}


def render(source: str, lookup: Any = None) -> str:
    environment = build_environment(lookup, "en-US")
    return compile_text(source, names=("row",), environment=environment)({"row": ROW})


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("row.name | string.upcase", "HÉLLO WORLD"),
        ("row.name | string.downcase", "héllo world"),
        ("row.name | string.capitalize", "Héllo World"),
        ("'new york' | string.capitalizewords", "New York"),
        ("row.name | string.append('!')", "héllo World!"),
        ("row.name | string.prepend('¡')", "¡héllo World"),
        ("row.name | string.contains('llo')", "true"),
        ("row.name | string.starts_with('hé')", "true"),
        ("row.name | string.ends_with('x')", "false"),
        ("row.name | string.equals_ignore_case('HÉLLO WORLD')", "true"),
        ("row.name | string.index_of('World')", "6"),
        ("row.name | string.size", "11"),
        ("'100% M @ Ms!!!' | string.handleize", "100-m-ms"),
        ("'  x ' | string.strip", "x"),
        ("'  x ' | string.lstrip", "x "),
        ("'  x ' | string.rstrip", "  x"),
        ("'a\r\nb\nc' | string.strip_newlines", "abc"),
        ("'7' | string.pad_left(3, '0')", "007"),
        ("'7' | string.pad_right(3)", "7  "),
        ("1 | string.pluralize('city', 'cities')", "city"),
        ("2 | string.pluralize('city', 'cities')", "cities"),
        ("'a.b.a' | string.remove('a')", ".b."),
        ("'a.b.a' | string.remove_first('a')", ".b.a"),
        ("'a.b.a' | string.remove_last('a')", "a.b."),
        ("'a.b.a' | string.replace('a', 'c')", "c.b.c"),
        ("'a' | string.replace('', 'c')", "a"),
        ("'a.b.a' | string.replace_first('a', 'c')", "c.b.a"),
        ("'a.b.a' | string.replace_first('a', 'c', true)", "a.b.c"),
        ("'hello' | string.slice(2)", "llo"),
        ("'hello' | string.slice(-2)", "lo"),
        ("'hello' | string.slice(1, 3)", "ell"),
        ("'hello' | string.slice1(1)", "e"),
        ("'a//b/' | string.split('/')", '["a", "b"]'),
        ("'one two three' | string.truncate(10)", "one two..."),
        ("'one' | string.truncate(10)", "one"),
        ("'one two three' | string.truncatewords(2)", "one two..."),
        ("'12' | string.to_int", "12"),
        ("'x' | string.to_int", ""),
        ("'1.5' | string.to_double", "1.5"),
        ("'' | string.empty", "true"),
        ("' ' | string.whitespace", "true"),
        ("'a\"b\n' | string.escape", 'a\\"b\\n'),
        ("'a' | string.md5", "0cc175b9c0f1b6a831c399e269772661"),
        ("'a' | string.sha1", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("'a' | string.sha256 | string.slice(0, 8)", "ca978112"),
        ("'é' | string.base64_encode", "w6k="),
        ("'w6k=' | string.base64_decode", "é"),
        ("row.nothing | string.upcase", ""),
        ("row.absent | string.truncate(3)", ""),
        ("'<a href=\"x\">b</a><!-- c --><script>d</script>' | html.strip", "b"),
        ("'<&\"' | html.escape", "&lt;&amp;&quot;"),
        ("'a b&c' | html.url_encode", "a+b%26c"),
        ("'a b?c=d' | html.url_escape", "a%20b?c=d"),
        ("row.list | array.first", "b"),
        ("row.list | array.last", "b"),
        ("[] | array.first", ""),
        ("row.list | array.compact | array.uniq", '["b", "a"]'),
        ("row.list | array.sort", '[null, "a", "b", "b"]'),
        ("row.numbers | array.sort", "[1, 2, 3]"),
        ("row.objects | array.sort('v') | array.map('n') | array.compact", '["y", "x"]'),
        ("row.numbers | array.reverse", "[2, 1, 3]"),
        ("row.numbers | array.size", "3"),
        ("row.nothing | array.size", "0"),
        ("row.numbers | array.join('-')", "3-1-2"),
        ("row.numbers | array.limit(2)", "[3, 1]"),
        ("row.numbers | array.offset(2)", "[2]"),
        ("row.numbers | array.add(9)", "[3, 1, 2, 9]"),
        ("row.numbers | array.concat([9])", "[3, 1, 2, 9]"),
        ("row.numbers | array.add_range([9])", "[3, 1, 2, 9]"),
        ("row.numbers | array.insert_at(1, 9)", "[3, 9, 1, 2]"),
        ("row.numbers | array.remove_at(-1)", "[3, 1]"),
        ("row.numbers | array.contains(2)", "true"),
        ("row.blank | object.default('d')", "d"),
        ("0 | object.default('d')", "0"),
        ("row.object | object.keys", '["k", "none"]'),
        ("row.object | object.values", "[1, null]"),
        ("row.object | object.size", "2"),
        ("row.object | object.has_key('none')", "true"),
        ("row.object | object.has_value('none')", "false"),
        ("row.object | object.typeof", "object"),
        ("true | object.typeof", "boolean"),
        ("row.nothing | object.typeof", ""),
        ("row.object | object.to_json", '{"k": 1, "none": null}'),
        ("('{\"a\": [1]}' | object.from_json).a[0]", "1"),
        ("-2.5 | math.abs", "2.5"),
        ("row.number | math.ceil", "3"),
        ("row.number | math.floor", "2"),
        ("row.number | math.round", "2"),
        ("row.text_number | math.round(1)", "12.5"),
        ("4.999 | math.round(2)", "5"),
        ("row.number | math.times(2)", "5"),
        ("row.text_number | math.plus('0.5')", "13"),
        ("7 | math.minus(9)", "-2"),
        ("8.4 | math.divided_by(2)", "4"),
        ("8.4 | math.divided_by(2.0)", "4.2"),
        ("(-7) | math.modulo(3)", "-1"),
        ("row.nothing | math.times(2)", ""),
        ("row.blank | math.round", ""),
        ("row.number | math.is_number", "true"),
        ("1234.5 | math.format('N2')", "1,234.50"),
        ("1234.5 | math.format('F1')", "1234.5"),
        ("7 | math.format('D3')", "007"),
        ("1.5 | math.format('00.00')", "01.50"),
        ("1234567.891 | math.format('#,##0.0', 'en-GB')", "1,234,567.9"),
        ("row.date | date.to_string", "05 Mar 2024"),
        ("row.date | date.to_string('%Y-%m-%dT%H:%M:%S%Z')", "2024-03-05T14:07:09+02:00"),
        ("row.date | date.to_string('%A %a %B %b %e %j %p %I %y %C %u %w')", "Tuesday Tue March Mar  5 065 PM 02 24 20 2 2"),
        ("row.date | date.to_string('%D %F %T %R %x %X %s %%')", "03/05/24 2024-03-05 14:07:09 14:07 03/05/24 14:07:09 1709640429 %"),
        ("row.date | date.to_string('%U %W %V %c %r %v %k %l %P')", "09 10 10 Tue Mar  5 14:07:09 2024 02:07:09 PM  5-MAR-2024 14  2 pm"),
        ("'2024-01-31' | date.add_months(1) | date.to_string('%F')", "2024-02-29"),
        ("'2024-02-29' | date.add_years(1) | date.to_string('%F')", "2025-02-28"),
        ("'2024-02-28' | date.add_days(2) | date.to_string('%F')", "2024-03-01"),
        ("'2024-12-31T23:59' | date.add_minutes(1)", "2025-01-01T00:00:00+00:00"),
        ("'31/12/2024' | date.parse('%d/%m/%Y') | date.to_string('%F')", "2024-12-31"),
        ("(row.date | date.parse).year", "2024"),
        ("row.nothing | date.to_string('%F')", ""),
        ("'' | date.parse", ""),
    ],
)  # fmt: skip
def test_scriban_functions(expression: str, text: str) -> None:
    assert render(f"{{{{ {expression} }}}}") == text


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("'x' | math.round", '"x" is not a number'),
        ("1 | math.divided_by(0)", "zero"),
        ("1.5 | math.format('C')", "knows"),
        ("1.5 | math.format('F2', 'de-DE')", "English"),
        ("'x' | date.to_string", "not a date"),
        ("row.date | date.to_string('%Q')", "no meaning"),
        ("'x' | date.parse('%Y')", "not of the form"),
        ("5 | date.to_string", "a date is needed"),
        ("'x' | string.pad_left(1000000)", "size of more than"),
        ("'x' | string.pad_left(3, '')", "one character"),
        ("'x' | string.slice('a')", "not a number"),
        ("[1] | array.insert_at(10**9, 1)", "size of more than"),
        ("'x' | array.first", "a list is needed"),
        ("'{' | object.from_json", "not JSON"),
        ("'!' | string.base64_decode", "Base64"),
        ("(2**1000) | math.times(2**1000)", "too large"),
        ("'0001-01-01' | date.add_years(-1)", "."),
        ("'x' | cute.to_int", "not an integer"),
        ("[1] | cute.to_json('a')", "objects only"),
    ],
)
def test_bad_arguments_are_errors_of_the_record(expression: str, problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        render(f"{{{{ {expression} }}}}")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("row.html | cute.html_to_markdown", "# A & B\n\none **two** [z](https://x.y)\n\n- i"),
        ("'plain_text *' | cute.html_to_markdown", "plain_text *"),
        ("row.nothing | cute.html_to_markdown", ""),
        ("row.object | cute.to_json", '{"k": 1, "none": null}'),
        ("row.object | cute.to_json('k', 'z')", '{"k": 1, "z": null}'),
        ("row.objects | cute.to_json('n')", '[{"n": "x"}, {"n": "y"}, {"n": null}]'),
        ("row.absent | cute.to_json", ""),
        ("'https://x.y/a/b%20c/?q=1/2#f' | cute.url_last_segment", "b c"),
        ("'https://x.y' | cute.url_last_segment", ""),
        ("'http://[' | cute.url_last_segment", ""),
        ("row.nothing | cute.url_last_segment", ""),
        ("cute.switch('b', 'a', 1, 'b', 2, 'other')", "2"),
        ("cute.switch(3, '3', 'three', 'other')", "three"),
        ("cute.switch(true, 'true', 'yes', 'no')", "yes"),
        ("cute.switch('z', 'a', 1, 'other')", "other"),
        ("cute.switch('z', 'a', 1)", ""),
        ("row.nothing | cute.switch('a', 1, 'other')", "other"),
        ("' 42 ' | cute.to_int", "42"),
        ("row.blank | cute.to_int", ""),
        ("'Ångström Čeština' | cute.normalize_string", "Angstrom Cestina"),
        ("'air port-code_x' | cute.to_pascal_case", "AirPortCodeX"),
    ],
)
def test_cute_functions(expression: str, text: str) -> None:
    assert render(f"{{{{ {expression} }}}}") == text


CITIES = [
    {
        "id": "c1",
        "code": {"en-US": "LON", "de-DE": "LDN"},
        "rank": {"en-US": 7},
        "at": {"en-US": {"lat": 51.5, "lon": -0.1}},
    },
    {"id": "c2", "code": {"en-US": "PAR"}, "at": {"en-US": {"lat": 48.9, "lon": 2.35}}},
    {"id": "c3", "code": {"en-US": "PAR"}},
    {"id": "c4", "code": {"en-US": "FJI"}, "at": {"en-US": {"lat": -17.0, "lon": 179.9}}},
    {"id": "c5", "code": {}},
]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("cute.entries_exist('city', 'code', 'LON')", "true"),
        ("cute.entries_exist('city', 'code', 'lon')", "false"),
        ("cute.entries_exist('city', 'code.de-DE', 'LDN')", "true"),
        ("cute.entries_exist('city', 'sys.id', 'c3')", "true"),
        ("'city' | cute.entries_count('fields.code', 'PAR')", "2"),
        ("cute.entries_count('city', 'code', 'XXX')", "0"),
        ("cute.near('city', 'at', 10, 51.45, '-0.15')", "true"),
        ("cute.near('city', 'at', 10, 50, 0)", "false"),
        ("cute.near('city', 'at', 50, -17, -179.9)", "true"),
        ("cute.near('city', 'at', 10, row.nothing, 0)", "false"),
        ("cute.lookup_list('par, LON', 'city', 'code', '$id', 'FJI')", "c1,c2"),
        ("cute.lookup_list('LON,xxx', 'city', 'code', '$id', 'FJI')", "c1,c4"),
        ("cute.lookup_list('', 'city', 'code', '$id', 'FJI')", "c4"),
        ("row.nothing | cute.lookup_list('city', 'code', '$ID', 'PAR, LON')", "c1,c2"),
        ("cute.lookup_list('lon', 'city', 'code', 'code.de-DE', '')", "LDN"),
        ("cute.lookup_list('', 'city', 'code')", ""),
        ("cute.lookup_list(['par', ' LON ', null, ''], 'city', 'code')", "c1,c2"),
        ("cute.lookup_list([], 'city', 'code', '$id', 'FJI')", "c4"),
        ("cute.lookup_list(row.nothing, 'city', 'code', '$id', ' , ')", ""),
        ("cute.lookup_list(7.0, 'city', 'rank')", "c1"),
        ("cute.entries_exist('city', 'rank', 7.0)", "true"),
        ("cute.entries_count('city', 'rank', '7')", "1"),
        ("cute.lookup_list('LON,lon', 'city', 'code', '$id', '')", "c1,c1"),
    ],
)  # fmt: skip
def test_functions_that_ask_the_space(expression: str, text: str) -> None:
    lookup = Entries(city=CITIES)
    assert render(f"{{{{ {expression} }}}}{{{{ {expression} }}}}", lookup) == text * 2
    assert lookup.reads in (["city"], [])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br/>b<!-- <i> -->c<STYLE x>d</style >e", "abce"),
        ("<script>1 < 2</script><scripts>a", "a"),
        ("1 < 2", "1 < 2"),
        ("<!--> a -->b", "b"),
        ("<!-- never ended <b>x</b>", "x"),
        ("<script>never ended", "never ended"),
    ],
)
def test_tags_comments_and_scripts_are_stripped(html: str, text: str) -> None:
    strip = compile_text("{{ row.html | html.strip }}", names=("row",))
    assert strip({"row": {"html": html}}) == text


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["<", "<!--", "<script ", "<script>", "</script "])
def test_tags_without_end_take_no_time_without_end(piece: str) -> None:
    strip = compile_text("{{ row.html | html.strip | string.size }}", names=("row",))
    assert int(strip({"row": {"html": piece * 100_000}})) <= 900_000


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["<a ", '<a b="x', "<!--"])
def test_html_that_never_ends_becomes_markdown_in_time(piece: str) -> None:
    convert = compile_text("{{ row.html | cute.html_to_markdown }}", names=("row",))
    text = convert({"row": {"html": f"<p>x</p>{piece * 30_000}"}})
    assert text.replace("\\", "") == f"x\n\n{(piece * 30_000).strip()}"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a <b x", r"a \<b x"),
        ("1 < 2<p>x</p>3 < 4", "1 < 2\n\nx\n\n3 < 4"),
        ("a <!-- b", r"a \<!-- b"),
    ],
)
def test_a_tag_that_never_ends_stays_text(html: str, text: str) -> None:
    convert = compile_text("{{ row.html | cute.html_to_markdown }}", names=("row",))
    assert convert({"row": {"html": html}}) == text


def test_a_value_that_no_entry_has_needs_a_default_that_one_has() -> None:
    lookup = Entries(city=CITIES)
    for default in ("''", "'ZZZ'"):
        with pytest.raises(RecordError, match='has "xxx" as code'):
            render(f"{{{{ cute.lookup_list('xxx', 'city', 'code', '$id', {default}) }}}}", lookup)


@pytest.mark.parametrize(
    "expression",
    [
        "cute.entries_exist('city', 'cod', 'LON')",
        "cute.entries_count('city', 'fields.cod', 'LON')",
        "cute.near('city', 'cod.de-DE', 10, 1, 1)",
        "cute.lookup_list('LON', 'city', 'cod', '$id', 'PAR')",
        "cute.lookup_list('LON', 'city', 'code', 'cod', 'PAR')",
    ],
)
def test_a_field_that_no_entry_can_have_is_an_error_not_an_empty_answer(expression: str) -> None:
    with pytest.raises(RecordError, match=r'"city" has no field "cod" .did you mean "code"'):
        render(f"{{{{ {expression} }}}}", Entries(city=CITIES))


def test_the_space_is_not_asked_while_a_template_is_compiled() -> None:
    lookup = Entries(city=CITIES)
    source = "{{ cute.entries_exist('city', 'code', 'LON') }}"
    compile_text(source, names=(), environment=build_environment(lookup, "en-US"))
    assert lookup.reads == []


class Failing:
    """An EntryLookup whose every answer is an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.reads = 0

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        del query
        return iter([{"id": self.field_ids(content_type)}])

    def field_ids(self, content_type: str) -> list[str]:
        del content_type
        self.reads += 1
        raise self.error


def test_a_content_type_that_does_not_exist_is_asked_for_once_not_for_every_record() -> None:
    lookup = Failing(UsageError("There is no content type 'town'."))
    source = "{{ cute.entries_exist('town', 'code', row.code) }}"
    asks = compile_text(source, names=("row",), environment=build_environment(lookup, "en-US"))
    for code in ("LON", "PAR"):
        with pytest.raises(RecordError, match="no content type 'town'"):
            asks({"row": {"code": code}})
    assert lookup.reads == 1


@pytest.mark.parametrize("error", [SpaceError("down"), SpoolError("full")], ids=["space", "disk"])
def test_a_lookup_that_fails_is_no_fault_of_the_record(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        render("{{ cute.entries_count('city', 'code', 'LON') }}", Failing(error))


def test_without_a_space_the_record_that_asks_fails() -> None:
    with pytest.raises(RecordError, match="not available in this template"):
        render("{{ cute.entries_exist('city', 'code', 'LON') }}")
