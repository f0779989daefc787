"""The filters that say what a text is: `html`, `markdown` and `plain` give a document as JSON.

A document survives whatever a template does around it: a variable, a condition, a second document
after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.documents import MAX_SOURCE, document_json, too_long
from sync_pipeline.rich_text.html_reading import read_html
from sync_pipeline.rich_text.markdown_reading import read_markdown
from sync_pipeline.rich_text.markdown_writing import write_markdown
from sync_pipeline.rich_text.nodes import Node, paragraph_of
from sync_pipeline.rich_text.shaping import build_document
from sync_pipeline.templating.bounds import checked_size
from sync_pipeline.templating.text import to_text

#: Makes Markdown, which the field of a rich text then reads as such.
HTML_TO_MARKDOWN = "cute.html_to_markdown"
_EMPTY_LINES = re.compile(r"(?:\r\n?|\n)(?:[ \t]*(?:\r\n?|\n))+")


def html(value: Any) -> str:
    """The document that HTML says."""
    return _document(value, read_html)


def markdown(value: Any) -> str:
    """The document that Markdown says (CommonMark, tables, strikethrough)."""
    return _document(value, read_markdown)


def plain(value: Any, paragraphs: Any = False) -> str:
    """The document of a text in which nothing is markup: one paragraph.

    Args:
        value: The text; every character of it is kept.
        paragraphs: Whether empty lines part paragraphs instead.
    """
    parts: Callable[[str], Iterable[str]] = _EMPTY_LINES.split if paragraphs else _whole
    return _document(value, lambda text: [paragraph_of(part) for part in parts(text) if part])


def html_to_markdown(value: Any) -> str:
    """Markdown of an HTML text, with all escaped that Markdown would read."""
    text = _checked(value)
    return _counted(write_markdown(read_html(text))) if text.strip() else ""


def _whole(text: str) -> list[str]:
    return [text]


def _document(value: Any, read: Callable[[str], list[Node]]) -> str:
    text = _checked(value)
    return _counted(document_json(build_document(read(text)))) if text.strip() else ""


def _counted(text: str) -> str:
    checked_size(len(text))
    return text


def _checked(value: Any) -> str:
    text = to_text(value)
    if len(text) > MAX_SOURCE:
        raise too_long(len(text))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecordError(
            "the text holds half of a surrogate pair, which is no character",
            error_id="TypeMismatch",
        ) from None
    return text


#: The filters by name.
RICH_TEXT_FILTERS: Mapping[str, Callable[..., Any]] = {
    "html": html,
    "markdown": markdown,
    "plain": plain,
}
