"""Text to the value of a RichText field: a document of Contentful's rich text.

JSON of a document is taken as it is; anything else is read as Markdown (CommonMark and tables), of
which plain text is the simplest case: one paragraph. Node types and what may hold what:
https://www.contentful.com/developers/docs/concepts/rich-text/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sync_pipeline.errors import RecordError
from sync_pipeline.transform.markdown import convert_markdown, paragraph_of

MAX_CHARACTERS = 200_000
#: Markdown longer than this is refused unread: it cannot come to fewer characters of text.
_MAX_SOURCE = 10 * MAX_CHARACTERS
_MAX_DEPTH = 100
#: One line in which nothing can be Markdown: no markup characters, no list or heading at its start.
_PLAIN = re.compile(
    r"(?![#>+\-=:~\s]|\d+[.)])[^\\`*_\[\]<>&!|~\n\r\t\x00]*[^\\`*_\[\]<>&!|~\s\x00#]"
)


def read_rich_text(text: str) -> dict[str, Any] | None:
    """The document for a text; None where the document has no content at all.

    Raises:
        RecordError: JSON of a document that is not well-formed (`TypeMismatch`), or too much text
            (`TooLong`).
    """
    if len(text) > _MAX_SOURCE:
        raise _too_long(len(text))
    document = _read_document(text)
    if document is None:
        document = read_markdown(text)
    characters = _check_node(document, 0)
    if characters > MAX_CHARACTERS:
        raise _too_long(characters)
    return document if document["content"] else None


def read_markdown(text: str) -> dict[str, Any]:
    """The document for Markdown or plain text."""
    if _PLAIN.fullmatch(text):
        return {"nodeType": "document", "data": {}, "content": [paragraph_of(text)]}
    return convert_markdown(text)


def _read_document(text: str) -> dict[str, Any] | None:
    stripped = text.strip()
    if not (stripped.startswith("{") and '"nodeType"' in stripped):
        return None
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        return None  # text in braces, not JSON
    if isinstance(value, dict) and value.get("nodeType") == "document":
        return value
    return None


def _check_node(node: Any, depth: int) -> int:
    """Check the shape that every node must have; returns the characters of text below it."""
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


def _too_long(characters: int) -> RecordError:
    return RecordError(
        f"{characters:,} characters; a RichText holds {MAX_CHARACTERS:,}", error_id="TooLong"
    )
