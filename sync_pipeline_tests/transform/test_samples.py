from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sync_pipeline.config.model import SampleTest
from sync_pipeline.transform import SampleFailure, compile_mapping, run_samples
from sync_pipeline_tests.transform.mapping_cases import TARGET, make_config

MAPPING = {
    "sys.Id": "{{ row.sys }}",
    "id": "{{ row.id }}",
    "name.de-DE": "{{ row.name }}",
    "body": "{{ row.body }}",
    "updated": "{{ row.at }}",
    "brand": "{{ row.brand }}",
    "tags": "{{ row.tags }}",
    "place.lat": "{{ row.lat }}",
    "place.lon": "{{ row.lon }}",
    "stock": "{{ row.n }}",
}
ROW = {
    "sys": "x1", "id": 7, "name": "n", "body": "**b**", "at": "2024-05-01", "brand": "b1",
    "tags": ["a", "b"], "lat": 1, "lon": 2,
}  # fmt: skip


def run(row: dict[str, Any], expect: dict[str, Any], **settings: Any) -> list[SampleFailure]:
    config = make_config(
        MAPPING, tests=(SampleTest(name="one", row=row, expect=expect),), **settings
    )
    return run_samples(compile_mapping(config, TARGET, variables={}, lookup=None), config)


def test_a_sample_that_gives_what_it_should_has_no_failure() -> None:
    expect = {
        "sys.Id": "x1",
        "id": 7,
        "id.en-US": "7",
        "name.de-DE": "n",
        "body": "**b**",
        "updated": date(2024, 5, 1),
        "brand": "b1",
        "tags[]": ["a", "b"],
        "place": {"lat": 1, "lon": 2},
        "place.lat": 1,
        "stock": None,
    }
    assert run(ROW, expect) == []


@pytest.mark.parametrize(
    ("field", "expected", "actual"),
    [
        ("name.de-DE", "m", "n"),
        ("name.de-DE", None, "n"),
        ("stock", 1, None),
        ("tags", ["a"], ["a", "b"]),
        ("place", {"lat": 1, "lon": 3}, {"lat": 1, "lon": 2}),
        ("place.lon", 3, 2),
    ],
)
def test_what_differs_is_told(field: str, expected: Any, actual: Any) -> None:
    assert run(ROW, {field: expected}) == [SampleFailure("one", field, expected, actual)]


def test_an_expected_value_that_no_field_could_hold_is_told() -> None:
    (failure,) = run({**ROW, "n": 1}, {"stock": "x"})
    assert failure.reason == '"x" is not an integer'


def test_an_unknown_field_is_told() -> None:
    (failure,) = run(ROW, {"nam": 1})
    assert 'no field "nam"' in failure.reason


def test_a_row_that_cannot_be_mapped_is_told() -> None:
    (failure,) = run({**ROW, "n": "x"}, {"id": "7"})
    assert (failure.sample, failure.field, failure.reason) == (
        "one",
        "stock.en-US",
        '"x" is not an integer',
    )


def test_a_row_that_is_filtered_is_told() -> None:
    (failure,) = run(ROW, {"id": "7"}, filter_expression="false")
    assert "filterExpression" in failure.reason


def test_a_failure_reads_as_one_line() -> None:
    (failure,) = run(ROW, {"name.de-DE": "m"})
    assert str(failure) == 'one: name.de-DE: expected "m", got "n"'
    (failure,) = run({**ROW, "n": "x"}, {"id": "7"})
    assert str(failure) == 'one: stock.en-US: "x" is not an integer'


@pytest.mark.parametrize("expected", ["# 1. **b**", "1999. x"])
def test_a_rich_text_is_expected_as_text_or_as_markdown(expected: str) -> None:
    row = {**ROW, "body": expected}
    assert run(row, {"body": expected}) == []
    config = make_config(
        {**MAPPING, "body": "{{ row.body | markdown }}"},
        tests=(SampleTest(name="one", row=row, expect={"body": expected}),),
    )
    mapper = compile_mapping(config, TARGET, variables={}, lookup=None)
    assert run_samples(mapper, config) == []
