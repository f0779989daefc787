"""Text to the value of a RichText field: a document of Contentful's rich text.

JSON of a document is taken as it is, which is what the filters `html`, `markdown` and `plain` give.
Other text is Markdown where the mapping says so, and else read as text that may be Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipeline.rich_text.documents import (
    MAX_JSON,
    MAX_SOURCE,
    check_document,
    read_documents,
    too_long,
)
from sync_pipeline.rich_text.markdown_reading import read_markdown, read_text
from sync_pipeline.rich_text.rules import check_rules
from sync_pipeline.rich_text.shaping import build_document


def read_rich_text(
    text: str, *, is_markdown: bool = False, rules: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any] | None:
    """The document for a text; None where the document has no content at all.

    Args:
        text: What a template gave.
        is_markdown: Whether the template makes Markdown (`cute.html_to_markdown`).
        rules: The validations of the field.

    Raises:
        RecordError: JSON of a document that is not well-formed or has text beside it
            (`TypeMismatch`), too much text (`TooLong`), or what the field does not take
            (`NotEnabled`, `OutOfRange`).
    """
    if len(text) > MAX_JSON:
        raise too_long(len(text))
    document = read_documents(text)
    if document is None:
        if len(text) > MAX_SOURCE:
            raise too_long(len(text))
        document = build_document(read_markdown(text) if is_markdown else read_text(text))
    check_document(document)
    if not document["content"]:
        return None
    check_rules(document, rules)
    return document
