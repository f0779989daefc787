from __future__ import annotations

import json
from typing import Any

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.documents import document_json
from sync_pipeline.rich_text.nodes import node, paragraph_of
from sync_pipeline.transform.rich_text import read_rich_text
from sync_pipeline_tests.rich_text.outlines import P, blocks_of

ONE, TWO = (document_json(node("document", [paragraph_of(text)])) for text in ("one", "two"))


def test_a_document_in_json_is_taken_exactly() -> None:
    document = {
        "nodeType": "document",
        "data": {},
        "content": [
            {"nodeType": "embedded-entry-block", "data": {"target": {"sys": {}}}, "content": []},
            {"nodeType": P, "data": {}, "content": [{"nodeType": "text", "value": " a", "marks": [], "data": {}}]},
        ],
    }  # fmt: skip
    assert read_rich_text(json.dumps(document)) == document


@pytest.mark.parametrize("between", ["", " ", "\n\n"])
def test_documents_after_one_another_are_one(between: str) -> None:
    assert blocks_of(read_rich_text(f" {ONE}{between}{TWO}\n")) == [(P, "one"), (P, "two")]


@pytest.mark.parametrize("text", [f"Title: {ONE}", f"{ONE}.", f"{ONE}{{}}", f'{ONE}"x"{TWO}'])
def test_text_beside_a_document_is_an_error_not_part_of_it(text: str) -> None:
    with pytest.raises(RecordError, match="text beside a rich text document") as caught:
        read_rich_text(text)
    assert caught.value.error_id == "TypeMismatch"


def test_braces_that_are_no_document_are_text() -> None:
    for text in ('{not json} "nodeType"', '{"nodeType": "paragraph"}'):
        assert blocks_of(read_rich_text(text)) == [(P, text)]


@pytest.mark.parametrize(
    "document",
    [
        {"nodeType": "document", "content": []},
        {"nodeType": "document", "data": {}},
        {"nodeType": "document", "data": {}, "content": [{}]},
        {"nodeType": "document", "data": {}, "content": [{"nodeType": "text", "data": {}}]},
        {"nodeType": "document", "data": {}, "content": ["x"]},
    ],
)
def test_a_malformed_document_is_refused(document: Any) -> None:
    with pytest.raises(RecordError, match="not a rich text document"):
        read_rich_text(json.dumps(document))


def test_a_document_nested_too_deep_is_refused() -> None:
    inner: dict[str, Any] = {"nodeType": P, "data": {}, "content": []}
    for _ in range(200):
        inner = {"nodeType": "blockquote", "data": {}, "content": [inner]}
    document = {"nodeType": "document", "data": {}, "content": [inner]}
    with pytest.raises(RecordError, match="nested deeper"):
        read_rich_text(json.dumps(document))


def test_a_document_without_content_is_no_value() -> None:
    assert read_rich_text('{"nodeType": "document", "data": {}, "content": []}') is None


def test_the_length_is_that_of_the_text_not_of_its_markup() -> None:
    assert read_rich_text(f"[a](https://x.y/{'z' * 200_001})") is not None
    with pytest.raises(RecordError, match="200,001 characters"):
        read_rich_text("x" * 200_001)
    with pytest.raises(RecordError, match="holds 200,000"):
        read_rich_text("*" * 2_000_001)
    many = [{"nodeType": "text", "value": "x", "marks": [], "data": {}}] * 30_000
    document = node("document", [node(P, many)])
    assert read_rich_text(json.dumps(document, indent=1)) == document


def test_markdown_is_read_as_such_where_the_mapping_makes_it() -> None:
    assert blocks_of(read_rich_text("# T", is_markdown=True)) == [("heading-1", "T")]
    assert blocks_of(read_rich_text("# T")) == [(P, "# T")]


def test_the_rules_of_the_field_hold_for_documents_of_all_kinds() -> None:
    rules = [{"enabledMarks": ["italic"]}, {"enabledNodeTypes": []}]
    assert read_rich_text("*i*", rules=rules)
    for text in ("**b**", json.dumps(node("document", [node("hr")]))):
        with pytest.raises(RecordError, match="does not take"):
            read_rich_text(text, rules=rules)
