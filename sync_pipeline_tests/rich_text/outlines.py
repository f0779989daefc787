"""Documents as nested tuples, short enough for tables of tests."""

from __future__ import annotations

from typing import Any

from sync_pipeline.local_space.checks.rich_text import document_errors

P, UL, OL, LI, QUOTE = "paragraph", "unordered-list", "ordered-list", "list-item", "blockquote"
TABLE, TR, TD, TH = "table", "table-row", "table-cell", "table-header-cell"


def outline(node: dict[str, Any]) -> Any:
    """A node as (type and what it leads to, children), text as `value` or `value/mark/mark`."""
    if node["nodeType"] == "text":
        return "/".join([node["value"], *(mark["type"] for mark in node["marks"])])
    data = node["data"]
    sys = data.get("target", {}).get("sys", {})
    told = data.get("uri") or sys.get("id") or sys.get("urn") or data.get("colspan")
    return (
        f"{node['nodeType']} {told}" if told else node["nodeType"],
        *map(outline, node["content"]),
    )


def blocks_of(document: dict[str, Any] | None) -> list[Any]:
    """The outlines of a document's blocks, which the service must take."""
    assert document is not None
    assert not document_errors(document, ())
    return list(outline(document)[1:])


def text_of(node: dict[str, Any]) -> str:
    """All text of a node."""
    if node["nodeType"] == "text":
        return str(node["value"])
    return "".join(map(text_of, node["content"]))
