from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import RecordError
from sync_pipeline.local_space.checks.rich_text import document_errors
from sync_pipeline.transform.markdown import convert_markdown
from sync_pipeline.transform.rich_text import read_markdown, read_rich_text


def outline(node: dict[str, Any]) -> Any:
    """A node as nested tuples: (type, children), text as `value` or `value/mark/mark`."""
    if node["nodeType"] == "text":
        return "/".join([node["value"], *(mark["type"] for mark in node["marks"])])
    name = node["nodeType"] + (f" {node['data']['uri']}" if "uri" in node["data"] else "")
    return (name, *map(outline, node["content"]))


def read(text: str) -> Any:
    document = read_rich_text(text)
    assert document is not None
    assert not document_errors(document, ())
    return outline(document)[1:]


P = "paragraph"


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("plain text, nothing else", [(P, "plain text, nothing else")]),
        ("5 * 3 > 2 & a_b_c <b>", [(P, "5 * 3 > 2 & a_b_c <b>")]),
        ("line\nline", [(P, "line\nline")]),
        ("one\n\ntwo", [(P, "one"), (P, "two")]),
        ("    indented is no code", [(P, "indented is no code")]),
        ("# A\n\n###### F", [("heading-1", "A"), ("heading-6", "F")]),
        ("a **b** *c* ***d***", [(P, "a ", "b/bold", " ", "c/italic", " ", "d/italic/bold")]),
        ("`x` <u>y **z**</u> w", [(P, "x/code", " ", "y /underline", "z/bold/underline", " w")]),
        ("<u> alone", [(P, "<u> alone")]),
        ("[a **b**](https://x.y 'title')", [(P, ("hyperlink https://x.y", "a ", "b/bold"))]),
        ("![alt](https://x.y/i.png)", [(P, ("hyperlink https://x.y/i.png", "alt"))]),
        ("[![alt](i.png)](https://x.y)", [(P, ("hyperlink https://x.y", "alt"))]),
        ("a  \nb", [(P, "a\nb")]),
        ("---", [("hr",)]),
        ("```py\nx = 1\n\ny\n```", [(P, "x = 1\n\ny/code")]),
        ("- a\n- b\n  - c", [("unordered-list", ("list-item", (P, "a")), ("list-item", (P, "b"), ("unordered-list", ("list-item", (P, "c")))))]),
        ("3. a\n4. b", [("ordered-list", ("list-item", (P, "a")), ("list-item", (P, "b")))]),
        ("-", [("unordered-list", ("list-item", (P, "")))]),
        ("> a\n>\n> b", [("blockquote", (P, "a"), (P, "b"))]),
        ("> # a\n> - b\n>\n> c", [("blockquote", (P, "a")), ("unordered-list", ("list-item", (P, "b"))), ("blockquote", (P, "c"))]),
        ("> a\n>> b", [("blockquote", (P, "a"), (P, "b"))]),
        ("|a|b|\n|-|-|\n|c|**d**|", [("table", ("table-row", ("table-header-cell", (P, "a")), ("table-header-cell", (P, "b"))), ("table-row", ("table-cell", (P, "c")), ("table-cell", (P, "d/bold"))))]),
        ("- x\n\n  |a|b|\n  |-|-|\n  |c|d|", [("unordered-list", ("list-item", (P, "x"), (P, "a | b"), (P, "c | d")))]),
        ("\\* &amp;", [(P, "* &")]),
        ('{not json} "nodeType"', [(P, '{not json} "nodeType"')]),
    ],
)  # fmt: skip
def test_text_becomes_a_document(text: str, blocks: list[Any]) -> None:
    assert list(read(text)) == blocks


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
    node: dict[str, Any] = {"nodeType": P, "data": {}, "content": []}
    for _ in range(200):
        node = {"nodeType": "blockquote", "data": {}, "content": [node]}
    document = {"nodeType": "document", "data": {}, "content": [node]}
    with pytest.raises(RecordError, match="nested deeper"):
        read_rich_text(json.dumps(document))


def test_a_document_without_content_is_no_value() -> None:
    assert read_rich_text('{"nodeType": "document", "data": {}, "content": []}') is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(">" * 5000 + " a", id="nested too deep"),
        pytest.param("b\n\n" + ">" * 60 + " a", id="nested too deep after text"),
        pytest.param("*" * 5000 + "a", id="many stars"),
        pytest.param("[" * 10_001, id="many brackets"),
        pytest.param("[label]: https://only.a.definition", id="definitions only"),
    ],
)
def test_what_markdown_would_leave_out_is_kept_as_plain_text(text: str) -> None:
    assert list(read(text)) == [(P, text)]


def test_the_length_is_that_of_the_text_not_of_its_markup() -> None:
    assert read_rich_text(f"[a](https://x.y/{'z' * 200_001})") is not None
    with pytest.raises(RecordError, match="200,001 characters"):
        read_rich_text("x" * 200_001)
    with pytest.raises(RecordError, match="holds 200,000"):
        read_rich_text("*" * 2_000_001)


_MARKDOWN = st.text("ab \n#>-*_`[](){}!|\\<u/>&;1.~:", max_size=80)


@settings(deadline=None)
@given(_MARKDOWN)
def test_any_text_gives_a_document_that_the_service_takes(text: str) -> None:
    assert not document_errors(convert_markdown(text), ())


@settings(deadline=None)
@given(st.one_of(_MARKDOWN, st.text(max_size=30)))
def test_the_short_way_for_plain_text_says_the_same(text: str) -> None:
    if text.strip():
        assert read_markdown(text) == convert_markdown(text)
