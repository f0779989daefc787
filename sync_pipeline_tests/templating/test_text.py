from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.templating import compile_text, to_text
from sync_pipeline.templating.text import EmptyValue, MissingValue


def render(source: str, row: Any = None, **variables: Any) -> str:
    return compile_text(source, names=("row", *variables))({"row": row or {}, **variables})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 8, tzinfo=timezone.utc), "2024-05-01T08:00:00+00:00"),
        (time(8, 30), "08:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (EmptyValue(), ""),
        (MissingValue(name="x"), ""),
        ((1, None), "[1, null]"),
        ({1}, "[1]"),
        (
            {"d": Decimal("2.0"), "e": Decimal("2.5"), "at": date(2024, 5, 1), "n": MissingValue(), "m": MappingProxyType({"a": 1}), "s": {3}},
            '{"d": 2, "e": 2.5, "at": "2024-05-01", "n": null, "m": {"a": 1}, "s": [3]}',
        ),
        (float("inf"), "inf"),
        (10**20, "100000000000000000000"),
    ],
)  # fmt: skip
def test_values_of_databases_become_text(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize("value", [b"x", [b"x"], print, object()])
def test_what_has_no_text_is_refused(value: Any) -> None:
    with pytest.raises(RecordError, match="cannot put a value of this kind into text"):
        to_text(value)


def test_empty_equals_what_is_empty_and_nothing_else() -> None:
    empty = EmptyValue()
    assert all(empty == other for other in (None, "", [], {}, EmptyValue(), MissingValue()))
    assert all(empty != other for other in (0, False, "a", [0]))
    assert not empty
    assert hash(empty) == hash("")


def test_a_missing_value_equals_null_and_nothing_else() -> None:
    missing = MissingValue(name="x")
    assert missing == MissingValue(name="y")
    assert missing == None  # noqa: E711  # what a template asks
    assert missing != ""
    assert hash(missing) == hash(None)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ '<a>' | escape }}{{ \"'\" | e }}", "&lt;a&gt;&#39;"),
        ("{{ '%s-%05.1f-%s' | format(row.n, 2.25, true) }}", "-002.2-true"),
        ("{{ '%(a)s' | format(a=1) }}", "1"),
        ("{{ [{'a': 1}, {'a': 2}] | join('|', attribute='a') }}", "1|2"),
        ("{{ row.n | join }}", ""),
        ("{{ 'aaa' | replace('a', 'b', 2) }}", "bba"),
        ("{{ true | replace('t', 'T') }}", "True"),
        ("{{ {'a': [1]} | tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
        ("{{ row.n | coalesce(row.m, 'x') }}", "x"),
        ("{{ row.n | coalesce }}", ""),
        ("{{ 2.567 | round(1) }}{{ '5' | int + 1 }}", "2.66"),
        ("{{ 'abc' | truncate(2, true, '', 0) }}", "ab"),
        ("{{ 'a' | center(3) }}|{{ 'a\nb' | indent(2) }}", " a |a\n  b"),
        ("{{ ' x ' | trim }}{{ 'a b' | title | urlencode }}", "xA%20B"),
        ("{{ [3, 1] | sort | first }}{{ [1, 2] | sum }}{{ [1, 1] | unique | list | length }}", "131"),
        ("{{ [1, 2, 3] | batch(2) | list }}", "[[1, 2], [3]]"),
        ("{{ {'a': 1}.items() | list }}{{ (1, 2).count(1) }}", '[["a", 1]]1'),
        ("{{ 'a,b'.split(',') | map('upper') | join }}{{ 'a'.replace('a', 'b') }}", "ABb"),
        ("{{ '-'.join(['a', 1]) }}{{ 'x'[0] }}{{ 'xyz'[1:] }}", "a-1xyz"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}", "aba"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m.name }}", "<1>m"),
        ("{{ row.at.year }}{{ row.at.isoformat() }}{{ row.at.nope }}", "20242024-05-01T08:00:00"),
        ("{{ [1] + [2] }}{{ 1 + 2.5 }}{{ 2 ** 3 }}{{ 7 % 4 }}{{ 2 * 3 }}{{ 1 ** 9999999 }}", "[1, 2]3.58361"),
        ("{{ range(3) | list }}{{ dict(a=1).a }}{{ namespace(a=2).a }}", "[0, 1, 2]12"),
    ],
)  # fmt: skip
def test_the_filters_and_values_of_jinja(source: str, text: str) -> None:
    assert render(source, {"n": None, "at": datetime(2024, 5, 1, 8)}) == text  # noqa: DTZ001


@pytest.mark.parametrize("name", ["int", "float", "round", "abs", "round | int"])
@pytest.mark.parametrize("blank", ["row.null", "row.missing.path", "''", "'  '"])
def test_a_blank_is_no_number_and_stays_blank(name: str, blank: str) -> None:
    assert render(f"{{{{ {blank} | {name} }}}}", {"null": None}) == ""


@pytest.mark.parametrize("name", ["int", "float", "round", "abs"])
def test_a_text_that_is_no_number_is_the_error_of_the_record_not_0(name: str) -> None:
    with pytest.raises(RecordError, match=f'{name}: "1,000" is not a number'):
        render(f"{{{{ '1,000' | {name} }}}}")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("row.null | int(0)", "0"),
        ("'1,000' | int(default=5)", "5"),
        ("'' | float(0)", "0"),
        ("'83.6' | round | int", "84"),
        ("'-2.5' | abs", "2.5"),
        ("'ff' | int(base=16)", "255"),
        ("true | int", "1"),
    ],
)
def test_numbers_may_be_text_and_a_stated_default_counts(expression: str, text: str) -> None:
    assert render(f"{{{{ {expression} }}}}", {"null": None}) == text


@pytest.mark.parametrize("items", ["row.null", "row.missing"])
def test_null_is_the_empty_list_as_what_is_missing_is(items: str) -> None:
    names = [
        "first",
        "last",
        "max",
        "sort | join",
        "unique | join",
        "reverse | join",
        "items | join",
    ]
    for name in [*names, "dictsort | join", "batch(2) | join", "groupby('a') | join"]:
        assert render(f"{{{{ {items} | {name} }}}}", {"null": None}) == "", name
    assert render(f"{{{{ {items} | length }}}}{{{{ {items} | sum }}}}", {"null": None}) == "00"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ '%s' | format(1, a=2) }}", "positional or named"),
        ("{{ {} | tojson(indent=1000) }}", "indent of 0 to 16"),
        ("{{ row.n.upper() }}", r"cannot call .upper\(\) on a value that is missing or null"),
        ("{{ (1).bit_length() }}", "value of type number"),
        ("{{ empty.x() }}", "value of type empty"),
        ("{{ [1].append(2) }}", "value of type list"),
        ("{{ 'x' | int(base=10**9) }}", "size"),
        ("{{ 9 ** 9 ** 99 }}", "too large"),
        ("{{ ('a\n' * 1000000) | indent(100000) }}", "more than 10,000,000"),
        ("{{ ('a\n' * 1000000) | indent('b' * 100000) }}", "more than 10,000,000"),
        ("{{ ('a ' * 100000) | wordwrap(1, true, 'b' * 100000) }}", "more than 10,000,000"),
        ("{{ ('a ' * 100000) | wordwrap(1, wrapstring='b' * 100000) }}", "more than 10,000,000"),
        ("{{ ('%(a)99999d' * 100000) | format(a=1) }}", "more than 10,000,000"),
        ("{{ ('%(a)s' * 100000) | format(a='b' * 100000) }}", "more than 10,000,000"),
    ],
)
def test_misuse_is_the_error_of_the_record(source: str, problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        render(source)


def test_a_long_reason_is_cut_short() -> None:
    with pytest.raises(RecordError) as caught:
        render("{{ row.f | int + row.t }}", {"t": ["x"] * 999, "f": "1"})
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("error", "text"),
    [(MemoryError(), "would build more than"), (RecursionError(), "recurses too deep"), (KeyError(), "KeyError")],
)  # fmt: skip
def test_whatever_a_template_raises_becomes_one_line(error: Exception, text: str) -> None:
    class Raising:
        def __iter__(self) -> Any:
            raise error

    with pytest.raises(RecordError, match=text):
        render("{% for x in row.x %}{% endfor %}", {"x": Raising()})


def test_a_mapping_that_is_no_dict_is_read_like_one() -> None:
    assert render("{{ row.a }}{{ row['a'] }}{{ row.b }}", MappingProxyType({"a": 1})) == "11"


def test_a_variable_that_is_not_passed_is_empty() -> None:
    assert compile_text("[{{ row.a }}]", names=("row",))({}) == "[]"
