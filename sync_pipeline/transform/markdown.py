"""Markdown to the nodes of Contentful's rich text, by markdown-it-py's syntax tree.

What rich text cannot hold is kept as near as it can: an indented or fenced code block becomes a
paragraph marked as code, an image a link to it, a list inside a quote stands after the quote.
`<u>...</u>` is underline, which Markdown lacks; other HTML stays visible as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

Node: TypeAlias = dict[str, Any]

#: Blocks in blocks; the parser drops what is nested deeper, so that becomes plain text as a whole.
_MAX_NESTING = 40
#: The parser takes time quadratic in them: ten thousand are a third of a second.
_MAX_BRACKETS = 10_000
_MARKS = {"strong": "bold", "em": "italic"}
_UNDERLINE = re.compile(r"(</?u>)")
#: Blocks of a document that a list item may not hold.
_NOT_IN_ITEM = frozenset({"table"})


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Indented text is common in plain text and hardly ever meant as code.
    return (
        MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
        .enable("table")
        .disable("code")
    )


def convert_markdown(text: str) -> Node:
    """The document for a Markdown text; never loses text to what the parser would leave out."""
    content: list[Node] = []
    if text.count("[") <= _MAX_BRACKETS:
        tokens = _parser().parse(text)
        if all(token.level < _MAX_NESTING - 1 for token in tokens):
            content = list(_blocks(SyntaxTreeNode(tokens)))
    if not content and text.strip():  # nested too deep, or nothing but definitions of links
        content = [paragraph_of(text.strip())]
    return _node("document", content)


def paragraph_of(text: str) -> Node:
    """A paragraph of one plain text."""
    return _node("paragraph", [_text(text, ())])


def _blocks(parent: SyntaxTreeNode) -> Iterator[Node]:
    for child in parent.children:
        yield from _block(child)


def _block(node: SyntaxTreeNode) -> Iterator[Node]:
    if node.type == "paragraph":
        yield _node("paragraph", _inlines(node))
    elif node.type == "heading":
        yield _node(f"heading-{node.tag[1:]}", _inlines(node))
    elif node.type in {"bullet_list", "ordered_list"}:
        kind = "ordered-list" if node.type == "ordered_list" else "unordered-list"
        yield _node(kind, [_item(child) for child in node.children])
    elif node.type == "blockquote":
        yield from _quote(node)
    elif node.type == "hr":
        yield _node("hr", [])
    elif node.type in {"fence", "code_block"}:
        yield _node("paragraph", [_text(node.content.rstrip("\n"), ("code",))])
    elif node.type == "table":
        yield _table(node)
    else:
        yield from _blocks(node)


def _item(node: SyntaxTreeNode) -> Node:
    content: list[Node] = []
    for block in _blocks(node):
        content += _rows_as_text(block) if block["nodeType"] in _NOT_IN_ITEM else [block]
    return _node("list-item", content or [paragraph_of("")])


def _quote(node: SyntaxTreeNode) -> Iterator[Node]:
    """A quote holds paragraphs only: other blocks go between the quotes."""
    inner: list[Node] = []
    for block in _blocks(node):
        if block["nodeType"] == "blockquote":
            inner += block["content"]
        elif block["nodeType"].startswith("heading"):
            inner.append(_node("paragraph", block["content"]))
        else:
            inner.append(block)
    for is_paragraph, blocks in groupby(inner, lambda block: block["nodeType"] == "paragraph"):
        if is_paragraph:
            yield _node("blockquote", list(blocks))
        else:
            yield from blocks


def _table(node: SyntaxTreeNode) -> Node:
    rows = []
    for row in node.walk():
        if row.type == "tr":
            cells = [
                _node(
                    "table-header-cell" if cell.type == "th" else "table-cell",
                    [_node("paragraph", _inlines(cell))],
                )
                for cell in row.children
            ]
            rows.append(_node("table-row", cells))
    return _node("table", rows)


def _rows_as_text(table: Node) -> list[Node]:
    lines = []
    for row in table["content"]:
        content: list[Node] = []
        for index, cell in enumerate(row["content"]):
            content += [_text(" | ", ())] if index else []
            content += cell["content"][0]["content"]
        lines.append(_node("paragraph", _merged(content)))
    return lines


def _inlines(block: SyntaxTreeNode) -> list[Node]:
    nodes: list[Node] = []
    for inline in block.children:
        underlined = inline.content.count("<u>") == inline.content.count("</u>") > 0
        state = _Inline(underlined)
        for child in inline.children:
            nodes += state.convert(child, ())
    return _merged(nodes) or [_text("", ())]


class _Inline:
    """Walks the inline nodes of one block; knows whether `<u>` is open."""

    def __init__(self, has_underline: bool) -> None:
        self._has_underline = has_underline
        self._is_open = False

    def convert(self, node: SyntaxTreeNode, marks: tuple[str, ...]) -> Iterator[Node]:
        if node.type in {"softbreak", "hardbreak"}:
            yield self._plain("\n", marks)
        elif node.type == "code_inline":
            yield self._plain(node.content, (*marks, "code"))
        elif node.type in _MARKS:
            for child in node.children:
                yield from self.convert(child, (*marks, _MARKS[node.type]))
        elif node.type == "link":
            content = [found for child in node.children for found in self.convert(child, marks)]
            yield _link(str(node.attrs.get("href", "")), content)
        elif node.type == "image":
            source = str(node.attrs.get("src", ""))
            yield _link(source, [self._plain(node.content or source, marks)])
        else:
            yield from self._text(node.content, marks)

    def _text(self, text: str, marks: tuple[str, ...]) -> Iterator[Node]:
        if not self._has_underline:
            yield self._plain(text, marks)
            return
        for piece in _UNDERLINE.split(text):
            if piece in {"<u>", "</u>"}:
                self._is_open = piece == "<u>"
            elif piece:
                yield self._plain(piece, marks)

    def _plain(self, text: str, marks: tuple[str, ...]) -> Node:
        return _text(text, (*marks, "underline") if self._is_open else marks)


def _link(uri: str, content: list[Node]) -> Node:
    # A hyperlink holds text only; a link around an image was flattened to the image's text.
    texts = [leaf for node in content for leaf in (node.get("content") or [node])]
    return {
        "nodeType": "hyperlink",
        "data": {"uri": uri},
        "content": _merged(texts) or [_text(uri, ())],
    }


def _text(value: str, marks: tuple[str, ...]) -> Node:
    kinds = [{"type": mark} for mark in dict.fromkeys(marks)]
    return {"nodeType": "text", "value": value, "marks": kinds, "data": {}}


def _node(kind: str, content: list[Node]) -> Node:
    return {"nodeType": kind, "data": {}, "content": content}


def _merged(nodes: list[Node]) -> list[Node]:
    """Neighbouring texts with the same marks become one, as the service's editor stores them."""
    merged: list[Node] = []
    for node in nodes:
        last = merged[-1] if merged else None
        if (
            last
            and node["nodeType"] == last["nodeType"] == "text"
            and node["marks"] == last["marks"]
        ):
            merged[-1] = {**last, "value": last["value"] + node["value"]}
        elif node["nodeType"] != "text" or node["value"]:
            merged.append(node)
    return merged
