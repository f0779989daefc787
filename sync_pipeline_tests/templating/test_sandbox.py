from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.errors import MappingError, RecordError
from sync_pipeline.templating import compile_text

ROW: dict[str, Any] = {
    "id": 7,
    "nothing": None,
    "yes": True,
    "no": False,
    "list": [1, "é", None, True],
    "float": 1.0,
    "tiny": 1e-07,
    "text": " x ",
    "items": [1],
    "object": {"k": "v", "n": None},
    "markup": "<b>&'\"",
}


def render(source: str, **variables: Any) -> str:
    variables = {"row": ROW, "config": {}, **variables}
    return compile_text(source, names=("row", "config", "var"))(variables)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("{{ row.id }}", "7", id="integer"),
        pytest.param("[{{ row.nothing }}]", "[]", id="null is empty"),
        pytest.param("{{ row.yes }}{{ row.no }}", "truefalse", id="booleans"),
        pytest.param("{{ row.list }}", '[1, "é", null, true]', id="list as JSON"),
        pytest.param("{{ row.object }}", '{"k": "v", "n": null}', id="object as JSON"),
        pytest.param("{{ row.float }} {{ row.tiny }}", "1.0 1e-07", id="floats by repr"),
        pytest.param("{{ row.text }}", " x ", id="text is not trimmed"),
        pytest.param("{{ row.id }}\n", "7\n", id="trailing newline is kept"),
        pytest.param("{{ row.markup }}", "<b>&'\"", id="nothing is escaped"),
        pytest.param("{{ row.list | map('string') | list }}", '["1", "é", "", "true"]', id="map"),
        pytest.param("{{ row.list | select }}", '[1, "é", true]', id="generator as JSON"),
        pytest.param("{{ row.nothing | upper }}", "", id="null through a text filter"),
        pytest.param("{{ row.yes ~ row.nothing ~ 1 }}", "true1", id="~ puts values as text"),
        pytest.param("{{ 'n' + row.id }}", "n7", id="+ joins text and number"),
        pytest.param("{{ row.list | join('|') }}", "1|é||true", id="join puts values as text"),
        pytest.param("{{ row.object | tojson }}", '{"k": "v", "n": null}', id="tojson is plain"),
        pytest.param("{{ row.markup | tojson }}", '"<b>&\'\\""', id="tojson does not escape HTML"),
    ],
)
def test_a_value_becomes_text(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("{{ row.absent }}{{ row.a.b.c }}", "", id="missing path"),
        pytest.param("{{ row.nothing.b.c }}{{ row.id.b }}", "", id="below null and number"),
        pytest.param("{{ row['absent']['b'] }}{{ row.list[9] }}", "", id="subscripts"),
        pytest.param("{% for x in row.absent %}!{% endfor %}", "", id="loop over missing"),
        pytest.param("{% for x in row.nothing %}!{% endfor %}", "", id="loop over null"),
        pytest.param("{{ row.absent == null }}{{ row.nothing == null }}", "truetrue", id="null"),
        pytest.param("{{ row.absent is none }}{{ row.id is none }}", "truefalse", id="is none"),
        pytest.param("{{ row.absent == empty }}{{ '' == empty }}", "truetrue", id="empty"),
        pytest.param("{{ row.absent | default('d') }}", "d", id="default"),
        pytest.param("{{ row.nothing | default('d', true) }}", "d", id="default for null"),
        pytest.param("{{ row.absent ~ 'x' }}", "x", id="concatenation"),
    ],
)
def test_what_a_ragged_row_lacks_is_empty(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("{{ row.items }}", "[1]", id="key named like a method"),
        pytest.param("{{ row.keys }}{{ row.values }}{{ row.get }}", "", id="no such keys"),
        pytest.param("{% for k, v in row.object.items() %}{{ k }}{{ v }}{% endfor %}", "kvn", id="items()"),
        pytest.param("{% for k, v in row.items() %}{{ k }},{% endfor %}", ",".join(ROW) + ",", id="items() beside a key"),
        pytest.param("{{ row.object.get('k') }}", "v", id="get()"),
        pytest.param("{{ row.text.strip() }}", "x", id="text method"),
        pytest.param("{{ row.text.strip }}", "", id="text method without a call"),
        pytest.param("{{ row.list.size }}", "4", id="size"),
        pytest.param("{{ row['__class__'] }}", "", id="dunder key"),
    ],
)  # fmt: skip
def test_keys_win_over_methods(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("{{ rwo.id }}", 'unknown variable "rwo".*mean "row"', id="variable"),
        pytest.param("{{ row.id | uper }}", 'unknown filter "uper".*mean "upper"', id="filter"),
        pytest.param("{{ row.id is evn }}", 'unknown test "is evn".*mean "even"', id="test"),
        pytest.param("{{ row.id | string.replace 'a' }}", "string.replace: missing .*'new'", id="too few arguments"),
        pytest.param("{{ cute.lookup_list(row.id) }}", "lookup_list: missing .*'content_type'", id="too few, as a call"),
        pytest.param("{{ cute.entries_exist('a', 'b') }}", "entries_exist: missing .*'value'", id="too few, with a context"),
        pytest.param("{{ row.id | string.upcase('a') }}", "string.upcase: too many", id="too many arguments"),
        pytest.param("{{ row.id | tojson(indnt=2) }}", "tojson: .*unexpected keyword argument 'indnt'", id="unknown argument"),
        pytest.param("{{ row.id", "does not compile", id="syntax"),
        pytest.param("{{ row.__class__ }}", "refused by the sandbox", id="dunder"),
        pytest.param("{{ ''.__class__.__mro__ }}", "refused by the sandbox", id="dunder of a constant"),
        pytest.param("{{ row.__init__() }}", "refused by the sandbox", id="dunder method"),
        pytest.param("{{ row.text.format(1) }}", 'use the filter "format"', id="str.format"),
        pytest.param("{% include 'x' %}", "stands alone", id="include"),
        pytest.param("{% extends 'x' %}", "stands alone", id="extends"),
        pytest.param("{% block a %}{% endblock %}", "stands alone", id="block"),
        pytest.param("{{ self }}", "stands alone", id="self"),
        pytest.param("{{ [1]|random }}", '"random" is not available', id="chance"),
        pytest.param("{{ lipsum() }}", 'unknown variable "lipsum"', id="lipsum"),
        pytest.param("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested too deep", id="parentheses"),
        pytest.param("{{ 1 }}" * 20_000, "longer than", id="long source"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_an_error_at_load(source: str, problem: str) -> None:
    with pytest.raises(MappingError, match=problem) as caught:
        compile_text(source, names=("row",), file="configs/a.yaml", key="mapping.name")
    assert str(caught.value).startswith("configs/a.yaml: mapping.name: ")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("{{ range(10**9) }}", "range", id="range"),
        pytest.param("{{ range(10**30) }}", "range", id="range beyond ssize_t"),
        pytest.param("{{ 'x' * 10**9 }}", "repeating", id="text"),
        pytest.param("{{ 10**9 * 'x' }}", "repeating", id="text, reversed"),
        pytest.param("{{ [1] * 10**9 }}", "repeating", id="list"),
        pytest.param("{{ 9**1000000 }}", "too large", id="power"),
        pytest.param("{{ 2**1000 * 2**1000 }}", "too large", id="product"),
        pytest.param("{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}", "more than", id="doubling by +"),
        pytest.param("{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "more than", id="doubling by ~"),
        pytest.param("{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x.replace('a', 'aab') %}{% endfor %}", "more than", id="doubling by replace()"),
        pytest.param("{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x | replace('a', 'aab') %}{% endfor %}", "more than", id="doubling by replace"),
        pytest.param("{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}", "more than", id="doubling a list"),
        pytest.param("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "turns", id="nested loops"),
        pytest.param("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recurses", id="recursion"),
        pytest.param("{{ 'x' | center(10**9) }}", "size", id="center"),
        pytest.param("{{ 'x' | indent(width=10**9) }}", "size", id="indent"),
        pytest.param("{{ [1] | batch(10**9, 0) | list }}", "size", id="batch"),
        pytest.param("{{ '%999999999d' | format(1) }}", "width", id="format"),
        pytest.param("{{ '%*d' | format(999999999, 1) }}", "width", id="format star"),
        pytest.param("{{ '%999999999d' % 1 }}", "format", id="percent"),
        pytest.param("{{ row.text.ljust(10**9) }}", "cannot call", id="ljust"),
        pytest.param("{{ row.absent + 1 }}", '"absent" is missing', id="arithmetic on missing"),
        pytest.param("{{ row.id / 0 }}", "division", id="division"),
        pytest.param("{{ range }}", "cannot put", id="function as text"),
    ],
)  # fmt: skip
def test_what_grows_or_fails_is_the_error_of_one_record(source: str, problem: str) -> None:
    with pytest.raises(RecordError, match=problem) as caught:
        render(source)
    assert caught.value.error_id == "TemplateError"
    assert len(str(caught.value)) <= 250


def test_the_steps_of_one_rendering_do_not_count_for_the_next() -> None:
    loop = compile_text("{% for i in range(90000) %}{% endfor %}", names=())
    for _ in range(12):
        loop({})


def test_an_unset_environment_variable_is_named_when_it_is_rendered() -> None:
    with pytest.raises(RecordError, match="environment variable SYNC_URL is not set"):
        render("https://{{ config.SYNC_URL }}/x")
    with pytest.raises(RecordError, match="SYNC_URL"):
        render("{{ config['SYNC_URL'] | upper }}")


def test_an_unset_environment_variable_can_be_tested_and_defaulted() -> None:
    assert (
        render("{{ config.SYNC_URL | default('u') }}{{ config.SYNC_URL is defined }}") == "ufalse"
    )
    assert render("{{ config.SYNC_URL }}", config={"SYNC_URL": "v"}) == "v"


def test_a_variable_may_be_named_like_a_namespace() -> None:
    source = "{% for date in row.list %}{{ date.x }}{% endfor %}{{ string.y }}"
    assert compile_text(source, names=("row", "string"))({"row": ROW, "string": {"y": 1}}) == "1"
