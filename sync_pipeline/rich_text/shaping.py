"""Blocks to a document in which each node holds only what the service lets it hold.

What may hold what: `schemaConstraints` and the validator of
https://github.com/contentful/rich-text/tree/master/packages/rich-text-types
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from sync_pipeline.rich_text.nodes import (
    EMBEDS,
    HEADINGS,
    IMAGE,
    LINKS,
    LISTS,
    PREFORMATTED,
    Node,
    marks_of,
    merged,
    node,
    paragraph_of,
    parse_target,
    target_data,
    text_node,
    uri_of,
)

_TEXT_BLOCKS = ("paragraph", *HEADINGS, PREFORMATTED)
_BLOCK_EMBEDS = {
    "Entry": "embedded-entry-block",
    "Asset": "embedded-asset-block",
    "Contentful:Entry": "embedded-resource-block",
}
_INLINE_EMBEDS = {"Entry": "embedded-entry-inline", "Contentful:Entry": "embedded-resource-inline"}
#: The title that says of an embedded entry that stands alone that it is in the text all the same.
INLINE_TITLE = "inline"


def build_document(blocks: Iterable[Node]) -> Node:
    """The document of what was read."""
    return node("document", _shaped(blocks))


def _shaped(blocks: Iterable[Node]) -> Iterator[Node]:
    for block in blocks:
        kind = block["nodeType"]
        if kind in _TEXT_BLOCKS:
            yield from _text_blocks(block)
        elif kind in LISTS:
            yield node(kind, map(_item, block["content"]))
        elif kind == "blockquote":
            yield from _quotes(block)
        elif kind == "table":
            yield node("table", map(_row, block["content"]))
        else:
            yield block


def _text_blocks(block: Node) -> Iterator[Node]:
    """A paragraph or heading; what is embedded as a block stands before, between and after."""
    kind = "paragraph" if block["nodeType"] == PREFORMATTED else block["nodeType"]
    inlines = list(_inlines(block["content"], is_alone=len(block["content"]) == 1))
    if not any(inline["nodeType"] in _BLOCK_EMBEDS.values() for inline in inlines):
        yield node(kind, merged(inlines) or [text_node("")])
        return
    for is_block, group in groupby(inlines, lambda item: item["nodeType"].endswith("-block")):
        if is_block:
            yield from group
        elif pieces := _without_breaks(merged(group)):
            yield node(kind, pieces)


def _without_breaks(pieces: list[Node]) -> list[Node]:
    """Text beside a block that took the rest of its paragraph, without line breaks at its ends."""
    for at, strip in ((0, str.lstrip), (-1, str.rstrip)):
        if pieces and pieces[at]["nodeType"] == "text":
            pieces[at] = {**pieces[at], "value": strip(pieces[at]["value"], " \n")}
    return merged(pieces)


def _inlines(content: Iterable[Node], *, is_alone: bool) -> Iterator[Node]:
    for item in content:
        if item["nodeType"] == IMAGE:
            yield _image(item, is_alone=is_alone)
        elif item["nodeType"] in LINKS:
            data = {name: value for name, value in item["data"].items() if name != "title"}
            texts = [_as_text(leaf) for leaf in item["content"]]
            yield node(item["nodeType"], merged(texts) or [text_node(uri_of(item))], **data)
        else:
            yield item


def _image(image: Node, *, is_alone: bool) -> Node:
    uri = image["data"]["uri"]
    target = parse_target(uri)
    if target is None:
        return node("hyperlink", [_as_text(image)], uri=uri)
    if target[0] in _INLINE_EMBEDS and not (is_alone and image["data"]["title"] != INLINE_TITLE):
        return node(_INLINE_EMBEDS[target[0]], **target_data(*target))
    return node(_BLOCK_EMBEDS[target[0]], **target_data(*target))


def _as_text(leaf: Node) -> Node:
    if leaf["nodeType"] != IMAGE:
        return leaf
    return text_node(leaf["data"]["alt"] or leaf["data"]["uri"], marks_of(leaf))


def _item(item: Node) -> Node:
    content: list[Node] = []
    for block in _shaped(item["content"]):
        content += _rows_as_text(block) if block["nodeType"] == "table" else [block]
    return node("list-item", content or [paragraph_of("")])


def _rows_as_text(table: Node) -> Iterator[Node]:
    """A paragraph a row, with a tab between the cells and line breaks in them."""
    for row in table["content"]:
        inlines: list[Node] = []
        for index, cell in enumerate(row["content"]):
            inlines += [text_node("\t")] if index else []
            for number, paragraph in enumerate(cell["content"]):
                inlines += [text_node("\n")] if number else []
                inlines += paragraph["content"]
        yield node("paragraph", merged(inlines) or [text_node("")])


def _quotes(quote: Node) -> Iterator[Node]:
    """A quote holds paragraphs only: other blocks go between the quotes."""
    inner: list[Node] = []
    for block in _shaped(quote["content"]):
        if block["nodeType"] == "blockquote":
            inner += block["content"]
        elif block["nodeType"] in HEADINGS:
            inner.append(node("paragraph", block["content"]))
        else:
            inner.append(block)
    for is_paragraph, blocks in groupby(inner, lambda block: block["nodeType"] == "paragraph"):
        if is_paragraph:
            yield node("blockquote", blocks)
        else:
            yield from blocks


def _row(row: Node) -> Node:
    return node("table-row", map(_cell, row["content"]))


def _cell(cell: Node) -> Node:
    """A cell holds paragraphs only."""
    paragraphs = [found for block in _shaped(cell["content"]) for found in _paragraphs(block)]
    return node(cell["nodeType"], paragraphs or [paragraph_of("")], **cell["data"])


def _paragraphs(block: Node) -> Iterator[Node]:
    """The paragraphs of a block that cannot stand where only they may."""
    kind = block["nodeType"]
    if kind in _TEXT_BLOCKS:
        yield node("paragraph", block["content"])
    elif kind == "table":
        yield from _rows_as_text(block)
    elif kind in EMBEDS:
        yield node("paragraph", [_in_text(block)])
    else:
        for inner in block["content"]:
            yield from _paragraphs(inner)


def _in_text(embed: Node) -> Node:
    """An embedded block where only text may stand: an asset becomes a link to it."""
    inline = _INLINE_EMBEDS.get(EMBEDS[embed["nodeType"]])
    if inline:
        return node(inline, **embed["data"])
    asset_id = embed["data"]["target"]["sys"]["id"]
    return node("asset-hyperlink", [text_node(asset_id)], **embed["data"])
