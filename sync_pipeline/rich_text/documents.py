"""Documents as JSON: what the filters of templates give, and what a source may bring along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.nodes import Node

MAX_CHARACTERS = 200_000
#: Longer texts are refused unread: they cannot come to fewer characters of text.
MAX_SOURCE = 10 * MAX_CHARACTERS
#: A document takes up to a hundred characters a node.
MAX_JSON = 10_000_000
_MAX_DEPTH = 100
#: How a document begins that `document_json` has written.
_BEGINNING = '{"nodeType": "document", "data": {}, "content": ['
_decoder = json.JSONDecoder()


def document_json(document: Node) -> str:
    """A document as text; "" for one without content."""
    return json.dumps(document, ensure_ascii=False) if document["content"] else ""


def read_documents(text: str) -> dict[str, Any] | None:
    """The document that a text is; several after one another are one.

    Returns:
        None where the text is no JSON of a document.

    Raises:
        RecordError: There is other text beside a document.
    """
    stripped = text.strip()
    found: list[dict[str, Any]] = []
    if stripped.startswith("{") and '"nodeType"' in stripped:
        found = _decode(stripped)
    if not found and _BEGINNING in stripped:
        raise RecordError(
            "there is text beside a rich text document: put all of it through one filter, as in"
            " {{ (row.title ~ row.body) | html }}, or each part, as in {{ row.title | plain }}",
            error_id="TypeMismatch",
        )
    if len(found) < 2:
        return found[0] if found else None
    content = [node for document in found for node in document.get("content", [])]
    return {"nodeType": "document", "data": {}, "content": content}


def _decode(text: str) -> list[dict[str, Any]]:
    """The documents that make up a text; none where something else is among them."""
    found: list[dict[str, Any]] = []
    at = 0
    while at < len(text):
        try:
            value, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []  # text in braces, not JSON
        if not (isinstance(value, dict) and value.get("nodeType") == "document"):
            return []
        found.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    return found


def check_document(document: Mapping[str, Any]) -> None:
    """Check the shape that every node must have, and the length of the text.

    Raises:
        RecordError: `TypeMismatch`, `TooLong`.
    """
    characters = _check_node(document, 0)
    if characters > MAX_CHARACTERS:
        raise too_long(characters)


def too_long(characters: int) -> RecordError:
    """The error of a text that no RichText field can hold."""
    return RecordError(
        f"{characters:,} characters; a RichText holds {MAX_CHARACTERS:,}", error_id="TooLong"
    )


def _check_node(node: Any, depth: int) -> int:
    """Returns the characters of text below a node."""
    if depth > _MAX_DEPTH:
        raise _malformed(f"nodes are nested deeper than {_MAX_DEPTH}")
    if not isinstance(node, Mapping) or not isinstance(node.get("nodeType"), str):
        raise _malformed("a node has no nodeType")
    kind = node["nodeType"]
    if not isinstance(node.get("data"), Mapping):
        raise _malformed(f'a node "{kind}" has no data object')
    if kind == "text":
        value = node.get("value")
        if not isinstance(value, str) or not isinstance(node.get("marks"), list):
            raise _malformed("a text node has no value or marks")
        return len(value)
    content = node.get("content")
    if not isinstance(content, list):
        raise _malformed(f'a node "{kind}" has no content list')
    return sum(_check_node(child, depth + 1) for child in content)


def _malformed(reason: str) -> RecordError:
    return RecordError(f"the JSON is not a rich text document: {reason}", error_id="TypeMismatch")
