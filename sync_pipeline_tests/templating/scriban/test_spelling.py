from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import MappingError
from sync_pipeline.templating import compile_text
from sync_pipeline.templating.checking import filter_namespaces
from sync_pipeline.templating.environment import plain_environment
from sync_pipeline.templating.scriban.statements import translate

NAMESPACES = filter_namespaces(plain_environment())
ROW: dict[str, Any] = {
    "name": "héllo world",
    "tags": ["a", "b"],
    "yes": True,
    "no": False,
    "price": 2.5,
    "kind": "a",
    "nothing": None,
    "blank": "",
    "date": "2024-05-01T08:00:00Z",
}


def render(source: str) -> str:
    return compile_text(source, names=("row",))({"row": ROW})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("{{ if row.yes }}A{{ end }}", "A", id="if"),
        pytest.param("{{if row.no}}A{{else}}B{{end}}", "B", id="else without spaces"),
        pytest.param("{{ if row.no }}A{{ else if row.yes }}B{{ else }}C{{ end }}", "B", id="else if"),
        pytest.param("{{ if row.no }}A{{ end }}", "", id="a false flag is false"),
        pytest.param("{{ for t in row.tags }}{{ for.index }}{{ t }}{{ end }}", "0a1b", id="for"),
        pytest.param("{{ for t in row.tags }}{{ if for.last }}{{ t }}{{ end }}{{ end }}", "b", id="for.last"),
        pytest.param("{{ for t in row.tags }}{{ if for.odd }}{{ t }}{{ end }}{{ end }}", "b", id="for.odd"),
        pytest.param("{{ for i in 1..3 }}{{ i }}{{ end }}", "123", id="range"),
        pytest.param("{{ for i in 0..<row.tags.size }}{{ i }}{{ end }}", "01", id="open range"),
        pytest.param("{{ for t in row.tags }}{{ break }}{{ t }}{{ end }}", "", id="break"),
        pytest.param("{{ for t in row.tags }}{{ if t == 'a' }}{{ continue }}{{ end }}{{ t }}{{ end }}", "b", id="continue"),
        pytest.param("{{ x = row.kind | string.upcase }}{{ x }}", "A", id="assignment"),
        pytest.param("{{ if row.yes }}{{ x = 1 }}{{ else }}{{ x = 2 }}{{ end }}{{ x }}", "1", id="assignment in if"),
        pytest.param("{{ capture x }}[{{ row.kind }}]{{ end }}{{ x }}{{ x }}", "[a][a]", id="capture"),
        pytest.param("{{ case row.kind }}{{ when 'z' }}1{{ when 'y', 'a' }}2{{ else }}3{{ end }}", "2", id="case"),
        pytest.param("{{ case row.kind }} {{ when 'z' || 'a' }}1{{ end }}", "1", id="case with ||"),
        pytest.param("{{\n x = row.kind\n if x == 'a'\n  'yes'\n end\n}}", "yes", id="several lines"),
        pytest.param("{{ x = 1; y = 2 }}{{ x + y }}", "3", id="semicolon"),
        pytest.param("{{ # nothing }}x{{ row.kind # why }}", "xa", id="comments"),
        pytest.param("{{ ## a\n b ## row.kind }}", "a", id="long comment"),
        pytest.param("a \n  {{~ row.kind ~}}  \n  b", "a \na  b", id="tilde"),
        pytest.param("a \n  {{- row.kind -}}  \n  b", "a" "a" "b", id="minus"),
        pytest.param("a {{~ if row.yes ~}} b {{~ end ~}} c", "ab" "c", id="tilde at statements"),
        pytest.param("{{ row.yes && !row.no }}", "true", id="and, not"),
        pytest.param("{{ !row.no == true }}", "true", id="not binds tighter than =="),
        pytest.param("{{ row.no || row.kind == 'a' }}", "true", id="or"),
        pytest.param("{{ row.nothing ?? row.absent ?? 'c' }}", "c", id="coalesce"),
        pytest.param("[{{ row.blank ?? 'c' }}]", "[]", id="coalesce keeps empty text"),
        pytest.param("{{ row.nothing ?? 'c' | string.upcase }}", "C", id="coalesce before a pipe"),
        pytest.param("{{ row.name | string.truncate 6 '~' }}", "héllo~", id="arguments after spaces"),
        pytest.param("{{ row.name | string.replace 'l' 'L' | string.slice 0 5 }}", "héLLo", id="pipes"),
        pytest.param("{{ row.price | math.minus -1 }}", "3.5", id="negative argument"),
        pytest.param("{{ string.upcase row.kind }}", "A", id="call without parentheses"),
        pytest.param("{{ string.replace (row.name) 'h' 'j' }}", "jéllo world", id="grouped argument"),
        pytest.param("{{ array.join row.tags ', ' }}", "a, b", id="array call"),
        pytest.param("{{ array.size(row.tags) }}", "2", id="call with parentheses"),
        pytest.param("{{ cute.switch row.kind 'a' 'AA' 'other' }}", "AA", id="cute call"),
        pytest.param("{{ row.date | date.to_string '%d.%m.%Y' }}", "01.05.2024", id="date"),
        pytest.param("{{ (row.price | math.times 2) + 1 }}", "6", id="pipe in parentheses"),
        pytest.param('{{ `a\\b"c` }}', 'a\\b"c', id="backticks"),
        pytest.param("{{ row.absent == null }}{{ row.blank == empty }}", "truetrue", id="null, empty"),
        pytest.param("{{ '}}' }}{{ {'a': {'b': 1}}.a.b }}", "}}1", id="braces in code"),
        pytest.param("{% raw %}{{ if x }}{% endraw %}{# {{ end }} #}", "{{ if x }}", id="raw and comments"),
        pytest.param("{% if row.yes %}{{ for t in row.tags }}{{ t }}{{ end }}{% endif %}", "ab", id="mixed"),
    ],
)  # fmt: skip
def test_scriban_is_understood(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        pytest.param("{{ while row.yes }}{{ end }}", "{% for i in range", id="while"),
        pytest.param("{{ func f }}{{ end }}", "{% macro", id="func"),
        pytest.param("{{ with row.a }}{{ end }}", "row.a.b", id="with"),
        pytest.param("{{ include 'x' }}", "stands alone", id="include"),
        pytest.param("{{ row.yes ? 1 : 2 }}", "b if a else c", id="ternary"),
        pytest.param("{{ $x }}", "not available", id="dollar"),
        pytest.param("{{ for t in row.tags limit:1 }}{{ end }}", r"xs\[1:4\]", id="limit"),
        pytest.param("{{ for t in row.tags reversed }}{{ end }}", "reverse", id="reversed"),
        pytest.param("{{ for t }}{{ end }}", "{% for x in", id="for without in"),
        pytest.param("{{ if row.yes }}x", "never ended", id="no end"),
        pytest.param("x{{ end }}", "without a statement", id="stray end"),
        pytest.param("{{ when 1 }}", "outside of", id="stray when"),
        pytest.param("{{ s = '' }}{{ for t in row.tags }}{{ s = s + t }}{{ end }}", "namespace", id="assignment in a loop"),
        pytest.param("{{ row.yes", "does not compile", id="never closed"),
        pytest.param("{{ (row.yes }}", "does not compile", id="brackets"),
        pytest.param("{{ date.now }}", "every run", id="clock"),
        pytest.param("{{ row.kind | string.upcse }}", "string.upcase", id="unknown function"),
        pytest.param("{{ string.upcse row.kind }}", "upcse", id="unknown function called"),
        pytest.param("{{ cute.nope(1) }}", 'unknown function "cute.nope"', id="unknown cute function"),
        pytest.param("{{ cute.switch }}", "is a function", id="function as value"),
        pytest.param("{{ cute.switch() }}", "needs a value", id="function without value"),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_refused_with_jinja_spelling(source: str, hint: str) -> None:
    with pytest.raises(MappingError, match=hint):
        compile_text(source, names=("row",), key="mapping.a")


@pytest.mark.parametrize(
    "source",
    [
        "{{ row.a | default('x') ~ row['b'] }}",
        "{{ row.name if row.flag else 'x' }}",
        "{{ not a and (b or c) != d }}{{ row.tags[1:2] | join(', ') }}",
        "{{ {'a': 1, 'b': [1, 2]} | tojson(indent=2) }}",
        "{% set x = 1 %}{% for a in b %}{{ loop.index }}{% endfor %}",
        "{{ row.x | length > 1 }}{{ row.x is defined }}{{ x - 1 }}{{ -x }}",
        "{{ cute.switch(row.a, 'b', 'c') }}{{ row.a | cute.to_int }}",
        "{{- row.a -}}\n{# note #}{{ '#' }}{{ \"&&\" }}{{ '}}' }}",
        "no braces | at ?? all && here {",
        "{{ 5 // 2 ** 3 }}{{ 'a' in row.b }}{{ f(a, b=1) }}{{ row.for }}{{ row.end.if }}",
    ],
)
def test_jinja_comes_back_unchanged(source: str) -> None:
    assert translate(source, NAMESPACES) == source


_NAME = st.sampled_from(["row.a", "row.b.c", "row['d']", "row.e[0]", "x"])
_LEAF = st.one_of(
    _NAME, st.integers(0, 99).map(str), st.text("ab &|!?#{}~`.", max_size=5).map(lambda t: f"'{t}'")
)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "~", "==", "!=", "<", "and", "or", "in", "//"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(" ".join),
        inner.map(lambda e: f"({e})"),
        inner.map(lambda e: f"not {e}"),
        inner.map(lambda e: f"[{e}, {e}]"),
        inner.map(lambda e: f"{{'k': {e}}}"),
        st.tuples(
            inner, st.sampled_from(["upper", "default('x')", "string.upcase", "join(', ')"])
        ).map(" | ".join),
        st.tuples(inner, inner, inner).map(lambda e: f"{e[0]} if {e[1]} else {e[2]}"),
    )


@settings(deadline=None)
@given(st.recursive(_LEAF, _expressions, max_leaves=8), st.sampled_from(["", "-"]))
def test_any_jinja_expression_comes_back_unchanged(expression: str, mark: str) -> None:
    source = f"a {{{{{mark} {expression} {mark}}}}} b"
    assert translate(source, NAMESPACES) == source


@settings(deadline=None)
@given(st.text("{}%#~-|&!?`'\" \n;.abif end=for123($)", max_size=60))
def test_any_text_gives_a_function_or_a_mapping_error(source: str) -> None:
    with contextlib.suppress(MappingError):
        assert callable(compile_text(source, names=("row",)))
