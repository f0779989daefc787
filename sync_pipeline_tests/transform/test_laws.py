"""Laws of the mapper, whatever the rows and however they are cut into batches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import RecordError
from sync_pipeline.model import DeadLetter, DesiredEntry, Filtered, SpooledRecord
from sync_pipeline.templating import compile_text
from sync_pipeline.templating.checking import parse_checked
from sync_pipeline.templating.environment import plain_environment
from sync_pipeline.templating.program import Program, RenderingError
from sync_pipeline_tests.transform.mapping_cases import make_mapper, map_rows, spool

MAPPER = make_mapper(
    {
        "id": "{{ row.id }}",
        "name": "{{ row.name }}",
        "name.de-DE": "{{ row.de }}",
        "stock": "{{ 6 / row.n if row.n is defined }}",
        "tags": "{{ row.tags }}",
    },
    overwrite_null=["name.de-DE"],
    filter_expression="{{ row.name != 'skip' }}",
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", "c", 1, "1", None, "", " "]),
        "name": st.sampled_from(["x", "y", "skip", "", None, "z" * 300]),
        "de": st.sampled_from(["p", "q", "", None]),
        "n": st.sampled_from([1, 2, 4, 0, "x"]),
        "tags": _JSON,
    },
)


def _merged(results: list[Any]) -> int:
    return sum(result.merged for result in results if isinstance(result, DesiredEntry))


@settings(deadline=None)
@given(st.lists(_ROW, max_size=25))
def test_every_record_is_accounted_for(rows: list[dict[str, Any]]) -> None:
    results = map_rows(MAPPER, rows)
    assert len(rows) == len(results) + _merged(results)
    ordinals = [result.ordinal for result in results]
    assert len(set(ordinals)) == len(ordinals)


@settings(deadline=None)
@given(st.lists(_ROW, max_size=25), st.integers(1, 10))
def test_the_result_does_not_depend_on_how_records_are_cut(
    rows: list[dict[str, Any]], size: int
) -> None:
    records = spool(MAPPER, rows)
    home: dict[str, int] = {}
    batches: dict[int, list[SpooledRecord]] = {}
    for position, record in enumerate(records):
        batch = position // size
        if record.key:
            batch = home.setdefault(record.key, batch)
        batches.setdefault(batch, []).append(record)
    cut = []
    for batch_records in batches.values():
        cut += list(MAPPER.map_records(batch_records))
    whole = list(MAPPER.map_records(records))
    assert sorted(cut, key=repr) == sorted(whole, key=repr)


@settings(deadline=None)
@given(_ROW)
def test_the_key_alone_is_the_key_of_the_entry(row: dict[str, Any]) -> None:
    (result,) = map_rows(MAPPER, [row])
    if isinstance(result, DesiredEntry):
        assert result.key == MAPPER.key_of(row)
    elif isinstance(result, DeadLetter):
        assert (result.error_id == "MissingKey") <= (MAPPER.key_of(row) == "")
    else:
        assert isinstance(result, Filtered)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "name", "de", "n", "tags"]), _JSON))
def test_any_json_row_is_mapped_or_a_dead_letter(row: dict[str, Any]) -> None:
    (result,) = map_rows(MAPPER, [row])
    assert isinstance(result, DesiredEntry | DeadLetter | Filtered)


_TEMPLATES = [
    "{{ row.a }}",
    "a{{ row.b }}c",
    "",
    "text",
    "{{ row.a.b.c }}",
    "{% if row.a %}{{ row.a }}{% else %}-{% endif %}",
    "{% for x in row.c %}{{ loop.index }}{{ x }}{% endfor %}",
    "{% set x = row.a %}{{ x }}{{ x }}",
    "{% macro m(v) %}[{{ v }}]{% endmacro %}{{ m(row.a) }}{{ m(row.b) }}",
    "{{ row.c | tojson }}",
    "{{ 1 / row.d }}",
    "{{ row.a ~ row.b ~ row.c }}",
    "{{ 'constant' }}",
    "{% raw %}{{ x }}{% endraw %}\n",
    "{{- row.a -}}  ",
]
_VALUES = st.dictionaries(st.sampled_from("abcd"), _JSON)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(_TEMPLATES), min_size=1, max_size=6), st.lists(_VALUES, max_size=4))
def test_templates_together_give_what_each_gives_alone(sources: list[str], rows: list[Any]) -> None:
    environment = plain_environment()
    trees = [parse_checked(s, environment=environment, names=("row",)) for s in sources]
    program = Program(trees, environment)
    context = program.new_context({})
    alone = [compile_text(source, names=("row",)) for source in sources]
    for row in rows:
        context.parent["row"] = row
        texts: list[str | None] = []
        for render in alone:
            try:
                texts.append(render({"row": row}))
            except RecordError:
                texts.append(None)
        if None in texts:
            with pytest.raises(RenderingError) as caught:
                program.render(context)
            assert caught.value.index == texts.index(None)
        else:
            assert program.render(context) == texts
