"""The rich text schema: node by node, with the error texts of the service's validator."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.local_space.checks.rich_text import document_errors, text_length


def node(node_type: str, *content: Any, **data: Any) -> dict[str, Any]:
    return {"nodeType": node_type, "data": data, "content": list(content)}


def text(value: str = "a", *marks: str) -> dict[str, Any]:
    return {
        "nodeType": "text",
        "data": {},
        "marks": [{"type": mark} for mark in marks],
        "value": value,
    }


def target(link_type: str) -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": link_type, "id": "x"}}


RESOURCE = {"sys": {"type": "ResourceLink", "linkType": "Contentful:Entry", "urn": "crn:x"}}
PARAGRAPH = node("paragraph", text())

VALID = [
    node("document"),
    node("document", PARAGRAPH, node("hr"), node("heading-1", text("t", "bold", "italic"))),
    node("document", node("ordered-list", node("list-item", PARAGRAPH))),
    node("document", node("blockquote", PARAGRAPH)),
    node("document", node("embedded-entry-block", target=target("Entry"))),
    node("document", node("embedded-asset-block", target=target("Asset"))),
    node("document", node("embedded-resource-block", target=RESOURCE)),
    node("document", node("paragraph", node("hyperlink", text(), uri="https://x"))),
    node("document", node("paragraph", node("entry-hyperlink", text(), target=target("Entry")))),
    node("document", node("paragraph", node("embedded-entry-inline", target=target("Entry")))),
    node(
        "document",
        node("table", node("table-row", node("table-cell", PARAGRAPH, colspan=2))),
    ),
]


@pytest.mark.parametrize("document", VALID, ids=range(len(VALID)))
def test_a_valid_document_has_no_errors(document: Any) -> None:
    assert document_errors(document, ("fields", "body", "en-US")) == []


INVALID: list[tuple[Any, str, str, list[Any]]] = [
    ("x", 'The type of "value" is incorrect, expected type: Object', "type", []),
    ({}, "Value must be one of expected values", "in", ["nodeType"]),
    ({"nodeType": "document", "data": {}}, 'The property "content" is required here',
     "required", ["content"]),
    ({"nodeType": "document", "content": []}, 'The property "data" is required here',
     "required", ["data"]),
    ({**node("document"), "x": 1}, 'The property "x" is not expected', "unexpected", ["x"]),
    (node("document", text()), "Value must be one of expected values", "in",
     ["content", 0, "nodeType"]),
    (node("document", "x"), 'The type of "0" is incorrect, expected type: Object', "type",
     ["content", 0]),
    ({**node("document"), "content": {}}, 'The type of "content" is incorrect, expected type: Array',
     "type", ["content"]),
    (node("document", node("ordered-list", PARAGRAPH)), "Value must be one of expected values", "in",
     ["content", 0, "content", 0, "nodeType"]),
    (node("document", node("hr", text())), "Size must be at most 0", "size",
     ["content", 0, "content"]),
    (node("document", node("table")), "Size must be at least 1", "size", ["content", 0, "content"]),
    (node("document", node("paragraph", {**text(), "value": 1})),
     'The type of "value" is incorrect, expected type: String', "type",
     ["content", 0, "content", 0, "value"]),
    (node("document", node("paragraph", {"nodeType": "text", "data": {}, "value": ""})),
     'The property "marks" is required here', "required", ["content", 0, "content", 0, "marks"]),
    (node("document", node("paragraph", {**text(), "marks": [{}]})),
     'The property "type" is required here', "required",
     ["content", 0, "content", 0, "marks", 0, "type"]),
    (node("document", node("paragraph", node("hyperlink", text()))),
     'The property "uri" is required here', "required",
     ["content", 0, "content", 0, "data", "uri"]),
    (node("document", node("embedded-entry-block", target=target("Asset"))),
     "Value must be one of expected values", "in",
     ["content", 0, "data", "target", "sys", "linkType"]),
    (node("document", node("embedded-entry-block")), 'The property "target" is required here',
     "required", ["content", 0, "data", "target"]),
    (node("document", node("table", node("table-row", node("table-cell", PARAGRAPH, colspan="2")))),
     'The type of "colspan" is incorrect, expected type: Number', "type",
     ["content", 0, "content", 0, "content", 0, "data", "colspan"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "details", "name", "path"), INVALID, ids=range(len(INVALID)))
def test_a_fault_is_named_with_its_place(
    document: Any, details: str, name: str, path: list[Any]
) -> None:
    error = document_errors(document, ("f",))[0]
    assert (error["details"], error["name"], error["path"]) == (details, name, ["f", *path])


def test_a_bottomless_document_is_refused_rather_than_exhausting_the_stack() -> None:
    deep: dict[str, Any] = node("list-item", PARAGRAPH)
    for _ in range(400):
        deep = node("list-item", node("ordered-list", deep))
    assert document_errors(node("document", node("ordered-list", deep)), ())[0]["details"]


def test_the_length_counts_text_only() -> None:
    assert text_length(node("document", PARAGRAPH, node("heading-1", text("four")))) == 5
