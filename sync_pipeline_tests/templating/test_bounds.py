"""Templates that would take the machine's memory or time fail their record, or do not load.

Kinds from public advisories on template engines: sharing that makes a small value huge, calls that
multiply, much text in small pieces, sources that a parser chokes on, ways out of the sandbox.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from sync_pipeline.errors import MappingError, RecordError
from sync_pipeline.templating import compile_text
from sync_pipeline.templating.bounds import MAX_DEPTH, measured

ROW: dict[str, Any] = {"a": 1, "text": "x" * 1000, "list": [1, 2]}


def render(source: str) -> str:
    return compile_text(source, names=("row", "config", "var"))({"row": ROW, "config": {}})


def looped(start: str, step: str, use: str = "{{ n.x }}", turns: int = 60) -> str:
    """A value that each turn of a loop makes from itself."""
    return (
        f"{{% set n = namespace(x={start}) %}}"
        f"{{% for i in range({turns}) %}}{{% set n.x = {step} %}}{{% endfor %}}{use}"
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(looped("[1]", "[n.x, n.x]"), id="list in a list"),
        pytest.param(looped("[1]", "(n.x, n.x)"), id="tuple"),
        pytest.param(looped("{'k': 1}", "{'a': n.x, 'b': n.x}"), id="object in an object"),
        pytest.param(looped("{'k': 1}", "dict(a=n.x, b=n.x)"), id="dict()"),
        pytest.param(looped("[1]", "[[n.x], [n.x]]"), id="literal within a literal"),
        pytest.param(looped("[1]", "[n.x] * 1000", turns=5), id="repeated list"),
        pytest.param(looped("[1]", "[n.x] + [n.x]"), id="joined lists"),
        pytest.param(looped("[1]", "n.x | array.add(n.x)"), id="array.add"),
        pytest.param(looped("[1]", "[n.x] | array.concat([n.x])"), id="array.concat"),
        pytest.param(looped("[1]", "array.concat([n.x], [n.x])"), id="a function of dotted name"),
        pytest.param(looped("[1]", "n.x | batch(1000, n.x) | list", turns=9), id="batch fills up"),
        pytest.param(looped("[1]", "[1] | slice(1000, n.x) | list", turns=9), id="slice fills up"),
        pytest.param(
            looped("[1]", "range(1000) | map(attribute='x', default=n.x) | list", turns=9),
            id="default of map",
        ),
        pytest.param(
            "{{ range(1000) | map(attribute='x', default=row.text * 900) }}", id="map to text"
        ),
        pytest.param("{{ [row.text * 9000] * 1000 }}", id="one long text many times"),
        pytest.param(looped("[1]", "[n.x]", turns=MAX_DEPTH + 1), id="depth"),
        pytest.param(looped("[1]", "{'k': n.x}", turns=MAX_DEPTH + 1), id="depth of objects"),
    ],
)
def test_a_value_that_sharing_makes_huge_is_refused_where_it_is_made(source: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=r"object of more than|takes more than") as caught:
            render(source)
        assert tracemalloc.get_traced_memory()[1] < 50 * 1024**2
    finally:
        tracemalloc.stop()
    assert caught.value.error_id == "TemplateError"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(looped("[]", "n.x + [(row.text * 900) ~ i]", "", 1000), id="kept in a list"),
        pytest.param("".join(f"{{% set a{i} = row.text * 900 %}}" for i in range(999)), id="kept in names"),
        pytest.param("".join(f"{{% set a{i} = (row.text * 900) | upper %}}" for i in range(99)), id="upper"),
        pytest.param("".join(f"{{% set a{i} = 'x' | center(99999) %}}" for i in range(999)), id="center"),
        pytest.param("{% for i in range(999) %}{{ row.text * 900 }}{% endfor %}", id="put out"),
    ],
)  # fmt: skip
def test_much_text_in_small_pieces_is_refused(source: str) -> None:
    with pytest.raises(RecordError, match="characters"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
            id="macro that calls itself twice",
        ),
        pytest.param(
            "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
            + "{% call m() %}" * 40 + "x" + "{% endcall %}" * 40,
            id="call blocks within call blocks",
        ),
        pytest.param(
            "{% set x = range(99999) | list %}{% for i in range(99999) %}{% if -1 in x %}{% endif %}{% endfor %}",
            id="search in a long list",
        ),
        pytest.param(
            "{% set x = range(99999) | list %}{% for i in range(99999) %}{% set y = x | sort %}{% endfor %}",
            id="sort of a long list",
        ),
    ],
)  # fmt: skip
def test_a_record_takes_a_bounded_time(source: str) -> None:
    with pytest.raises(RecordError, match="takes more than"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ row" + ".a" * 20_000 + " }}", id="members"),
        pytest.param("{{ row" + "['a']" * 15_000 + " }}", id="subscripts"),
        pytest.param("{{ row" + "|upper" * 15_000 + " }}", id="filters"),
        pytest.param("{{ " + "not " * 20_000 + "1 }}", id="not"),
        pytest.param("{{ " + "-" * 20_000 + "1 }}", id="signs"),
        pytest.param("{{ " + "1+" * 20_000 + "1 }}", id="sums"),
        pytest.param("{{ " + "1~" * 20_000 + "1 }}", id="joins"),
        pytest.param("{{ " + "1 if 1 else " * 5_000 + "1 }}", id="conditions"),
        pytest.param("{{ " + "[" * 5_000 + "]" * 5_000 + " }}", id="brackets"),
        pytest.param("{{ row" + "()" * 5_000 + " }}", id="calls"),
        pytest.param("{% if 1 %}" * 4_000 + "{% endif %}" * 4_000, id="blocks"),
        pytest.param("{{ 1 }}" * 9_000, id="many expressions"),
    ],
)
def test_a_source_that_a_parser_chokes_on_does_not_load(source: str) -> None:
    with pytest.raises(MappingError, match=r"more than|nested too deep|compile"):
        compile_text(source, names=("row",))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ ''.__class__.__mro__[1].__subclasses__() }}", id="subclasses"),
        pytest.param("{{ cycler.__init__.__globals__.os.popen('id') }}", id="globals of a class"),
        pytest.param("{{ joiner.__init__ }}", id="constructor"),
        pytest.param("{{ '{0.__class__}'.format(1) }}", id="str.format"),
        pytest.param("{{ '{x.__class__}'.format_map(row) }}", id="str.format_map"),
        pytest.param("{{ row | attr('__class__') }}", id="attr filter"),
        pytest.param("{{ ['{0.__class__}' | attr('format')] | map('__call__') | list }}", id="format by reference"),
        pytest.param("{{ row.get.__self__ }}", id="bound method"),
        pytest.param("{{ self._TemplateReference__context }}", id="self"),
        pytest.param("{{ lipsum.__globals__ }}", id="lipsum"),
        pytest.param("{{ row | xmlattr }}", id="xmlattr"),
        pytest.param("{% import 'os' as os %}", id="import"),
        pytest.param("{{ caller.__closure__ }}", id="caller"),
    ],
)  # fmt: skip
def test_a_known_way_out_of_the_sandbox_does_not_load(source: str) -> None:
    with pytest.raises(MappingError):
        compile_text(source, names=("row", "config", "var"))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ row['__class__'] }}", id="subscript"),
        pytest.param("{{ row | map(attribute='__class__') | first }}", id="attribute of map"),
        pytest.param("{{ [row] | groupby('__class__') | length == 99 or '' }}", id="groupby"),
        pytest.param("{{ [1] | sum('real') and '' }}", id="sum of a member"),
        pytest.param("{% set f = 'a'.format %}{{ f }}", id="method as a value"),
    ],
)
def test_a_name_of_python_is_only_a_key_that_is_missing(source: str) -> None:
    try:
        shown = render(source)
    except RecordError:
        return
    assert "class" not in shown
    assert "method" not in shown


def test_what_a_mapping_needs_is_far_from_the_bounds() -> None:
    codes = ", ".join(f"'c{i}', 'Country {i}'" for i in range(250))
    assert render("{{ cute.switch('c7', " + codes + ", 'none') }}") == "Country 7"
    rows = "{% for i in range(1000) %}{{ [i, {'k': row.list}] }}{% endfor %}"
    assert render(rows).startswith('[0, {"k": [1, 2]}][1,')


def test_a_value_is_measured_through_all_its_levels() -> None:
    value = {"a": [1, {"b": (2, 3)}], "c": "text"}
    assert measured(value) is value
