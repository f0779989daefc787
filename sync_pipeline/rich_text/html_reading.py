"""HTML to blocks, by Lexbor's tree, which is that of a browser.

What a screen shows comes through, and nothing else: tags that mean nothing here are looked through,
scripts and styles vanish, and pictures and players become links to them.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.html_bounds import check_bounds
from sync_pipeline.rich_text.html_text import TextBlock, collapse, plain_blocks
from sync_pipeline.rich_text.links import normalize_uri
from sync_pipeline.rich_text.nodes import (
    HEADINGS,
    LINKS,
    LISTS,
    MAX_LEVELS,
    PREFORMATTED,
    Node,
    image_node,
    link_node,
    node,
    target_data,
    text_node,
)

#: Pieces of text of one document; each takes half a kilobyte.
MAX_PIECES = 100_000
_TAG = re.compile(r"<[a-zA-Z/!?]")
_MARKS = {
    "b": "bold", "strong": "bold", "em": "italic", "i": "italic", "u": "underline",
    "ins": "underline", "code": "code", "kbd": "code", "samp": "code", "tt": "code",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough",
    "sup": "superscript", "sub": "subscript",
}  # fmt: skip
_VANISHING = frozenset(
    ["script", "style", "head", "title", "template", "noembed", "noframes", "-comment", "-doctype"]
)
_BLOCKS = frozenset(
    ["address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "div",
     "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "legend",
     "main", "nav", "optgroup", "option", "p", "search", "section", "summary", "tbody", "tfoot",
     "thead"]
)  # fmt: skip
_HEADINGS = {f"h{kind[-1]}": kind for kind in HEADINGS}
_CONTAINERS = {
    "ul": "unordered-list", "menu": "unordered-list", "dir": "unordered-list", "ol": "ordered-list",
    "blockquote": "blockquote", "table": "table", "tr": "table-row", "td": "table-cell",
    "th": "table-header-cell", "li": "list-item",
}  # fmt: skip
_LEVELS = frozenset({*LISTS, "blockquote", "table"})
#: What may be put only into what; elsewhere it is a block like others.
_PARENTS = {
    "table-row": ("table",),
    "table-cell": ("table-row",),
    "table-header-cell": ("table-row",),
}
#: Players and frames, by the attribute that says what they show.
_SHOWN_ELSEWHERE = {
    "iframe": "src", "frame": "src", "embed": "src", "video": "src", "audio": "src",
    "object": "data",
}  # fmt: skip
_KEPT_EMPTY = frozenset({"list-item", "table-cell", "table-header-cell"})
_EMBEDDED = {
    "Entry": ("embedded-entry-block", "embedded-entry-inline"),
    "Asset": ("embedded-asset-block", "embedded-asset-block"),
    "Contentful:Entry": ("embedded-resource-block", "embedded-resource-inline"),
}
_MAX_SPAN = 1_000
#: Takes back what an element has changed.
_Undo = Callable[[], None]


def read_html(html: str) -> list[Node]:
    """The blocks of an HTML text, which must be writable as UTF-8.

    A text without a tag and without an entity is none: its lines and paragraphs stay.

    Raises:
        RecordError: It cannot be read in bounded time, or points to what cannot be an id.
    """
    # Behind the last ">" no tag ends, so each "<" is text; a parser would drop what follows it.
    tags, closing, rest = html.rpartition(">")
    if not _TAG.search(tags) and entities.unescape(html) == html:
        return list(plain_blocks(html))
    html = tags + closing + rest.replace("<", "&lt;")
    check_bounds(html)
    tree = LexborHTMLParser(html)
    reader = _Reader(has_embeds="data-e" in html)
    root = tree.body or tree.root
    if root is not None:
        reader.read(root)
    return reader.blocks


class _Reader:
    def __init__(self, *, has_embeds: bool) -> None:
        self._has_embeds = has_embeds
        self._document = node("document")
        #: Open lists, quotes, tables and their parts; the document is the first.
        self._containers = [self._document]
        self._level = 0
        self._text: TextBlock | None = None
        self._kinds = ["paragraph"]
        self._marks: list[str] = []
        self._link: Node | None = None
        self._pieces = 0
        #: The list around items that stand in none.
        self._orphans: Node | None = None

    @property
    def blocks(self) -> list[Node]:
        """What was read so far."""
        content: list[Node] = self._document["content"]
        return content

    def read(self, root: LexborNode) -> None:
        """Walk the tree; not by recursion, since HTML may be nested as deep as it is long."""
        entered: list[tuple[LexborNode, _Undo | None]] = []
        current = root.first_child
        while True:
            while current is None:
                if not entered:
                    self._end_text()
                    return
                parent, undo = entered.pop()
                if undo:
                    undo()
                current = parent.next
            descends, undo = self._enter(current)
            child = current.first_child if descends else None
            if child is None:
                if undo:
                    undo()
                current = current.next
            else:
                entered.append((current, undo))
                current = child

    def _enter(self, element: LexborNode) -> tuple[bool, _Undo | None]:
        """Take an element in: whether its content counts, and what its end does."""
        tag = str(element.tag)
        if tag == "-text":
            self._add_text(element.text_content or "")
            return False, None
        if tag in _VANISHING:
            return False, None
        if self._has_embeds and self._embed(element, tag):
            return False, None
        if tag in _MARKS:
            return True, self._open_mark(_MARKS[tag])
        if tag in _CONTAINERS:
            return True, self._open_container(_CONTAINERS[tag], element)
        if tag in _BLOCKS:
            self._end_text()
            return True, self._end_text
        if tag in _HEADINGS:
            return True, self._open_kind(_HEADINGS[tag])
        return self._enter_other(element, tag)

    def _enter_other(self, element: LexborNode, tag: str) -> tuple[bool, _Undo | None]:
        if tag == "a":
            return True, self._open_link(element)
        if tag == "br":
            self._open_text().add_break(self._marks, self._link)
        elif tag == "hr":
            self._append(node("hr"))
        elif tag == "img":
            self._add_image(element)
        elif tag in ("pre", "listing", "xmp", "plaintext"):
            return True, self._open_preformatted()
        elif tag in _SHOWN_ELSEWHERE:
            return not self._add_player(element, tag), None
        return True, None

    # ------------------------------------------------------------ text

    def _open_text(self) -> TextBlock:
        """The block of text that a piece of it goes to; there are only so many pieces."""
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            raise RecordError(
                f"HTML with more than {MAX_PIECES:,} pieces of text", error_id="TooLong"
            )
        if self._text is None:
            self._text = TextBlock(self._kinds[-1])
        return self._text

    def _end_text(self) -> None:
        if self._text is not None:
            block, self._text = self._text.close(), None
            if block is not None:
                self._append(block)

    def _add_text(self, text: str) -> None:
        if self._text is None and self._kinds[-1] != PREFORMATTED and not collapse(text).strip(" "):
            return
        self._open_text().add_text(text, self._marks, self._link)

    def _open_kind(self, kind: str) -> _Undo:
        self._end_text()
        self._kinds.append(kind)
        return self._close_kind

    def _close_kind(self) -> None:
        self._end_text()
        self._kinds.pop()

    def _open_preformatted(self) -> _Undo:
        self._open_kind(PREFORMATTED)
        self._marks.append("code")

        def close() -> None:
            self._close_kind()
            self._marks.pop()

        return close

    def _open_mark(self, mark: str) -> _Undo:
        self._marks.append(mark)

        def close() -> None:
            self._marks.pop()

        return close

    # ------------------------------------------------------------ links and pictures

    def _open_link(self, element: LexborNode) -> _Undo | None:
        link = _link_of(element.attributes)
        if link is None:
            return None
        before, self._link = self._link, link

        def close() -> None:
            self._link = before

        return close

    def _add_image(self, element: LexborNode) -> None:
        attributes = element.attributes
        alt, title = (collapse(attributes.get(name) or "").strip(" ") for name in ("alt", "title"))
        uri = normalize_uri(attributes.get("src") or "")
        if uri:
            image = image_node(uri, alt, title, self._marks)
            self._open_text().add_inline(image, self._link)
        elif alt:
            self._open_text().add_inline(text_node(alt, self._marks), self._link)

    def _add_player(self, element: LexborNode, tag: str) -> bool:
        attributes = element.attributes
        uri = normalize_uri(attributes.get(_SHOWN_ELSEWHERE[tag]) or "")
        child = element.first_child
        while not uri and child is not None:
            if child.tag == "source":
                uri = normalize_uri(child.attributes.get("src") or "")
            child = child.next
        if not uri or uri.startswith("about:"):
            return False
        name = attributes.get("title") or attributes.get("aria-label") or ""
        text = collapse(name).strip(" ") or uri
        link = self._link or link_node(uri)
        self._open_text().add_inline(text_node(text, self._marks), link)
        return True

    def _embed(self, element: LexborNode, tag: str) -> bool:
        """What Contentful's own editor writes for an entry or asset that it shows."""
        attributes = element.attributes
        entry_id = attributes.get("data-embedded-entity-inline-id")
        if entry_id is not None:
            inline = node("embedded-entry-inline", **target_data("Entry", entry_id))
            self._open_text().add_inline(inline, None)
            return True
        link_type = attributes.get("data-entity-type")
        target = attributes.get("data-entity-id")
        if link_type not in _EMBEDDED or target is None:
            return False
        block, inline_kind = _EMBEDDED[link_type]
        is_block = tag in _BLOCKS or block == inline_kind
        embedded = node(block if is_block else inline_kind, **target_data(link_type, target))
        if is_block:
            self._append(embedded)
        else:
            self._open_text().add_inline(embedded, None)
        return True

    # ------------------------------------------------------------ containers

    def _open_container(self, kind: str, element: LexborNode) -> _Undo:
        self._end_text()
        parents, parent = _PARENTS.get(kind), self._containers[-1]["nodeType"]
        is_orphan = kind == "list-item" and parent not in LISTS
        levels = int(is_orphan or kind in _LEVELS)
        if self._level + levels > MAX_LEVELS or (parents and parent not in parents):
            return self._end_text
        self._level += levels
        if is_orphan:
            self._containers.append(self._list_of_orphans())
        self._containers.append(node(kind, **_container_data(kind, element)))
        return partial(self._close_container, levels=levels, is_orphan=is_orphan)

    def _close_container(self, *, levels: int, is_orphan: bool) -> None:
        self._end_text()
        self._level -= levels
        closed = self._containers.pop()
        if closed["content"] or closed["nodeType"] in _KEPT_EMPTY:
            self._append(closed)
        if is_orphan:
            self._containers.pop()

    def _list_of_orphans(self) -> Node:
        content = self._containers[-1]["content"]
        if not content or content[-1] is not self._orphans:
            self._orphans = node("unordered-list")
            content.append(self._orphans)
        assert self._orphans is not None  # noqa: S101  # for the type checker
        return self._orphans

    def _append(self, block: Node) -> None:
        self._end_text()
        at = len(self._containers) - 1
        while not _may_hold(self._containers[at], block):
            if self._containers[at]["nodeType"] in LISTS:  # a list, or text, straight in a list
                items = self._containers[at]["content"]
                if not items:
                    items.append(node("list-item"))
                items[-1]["content"].append(block)
                return
            at -= 1  # what stands in a table beside its cells is shown before it
        self._containers[at]["content"].append(block)


def _may_hold(container: Node, block: Node) -> bool:
    held, kind = str(container["nodeType"]), str(block["nodeType"])
    if held in LISTS:
        return kind == "list-item"
    if held == "table":
        return kind == "table-row"
    return held != "table-row" or kind in ("table-cell", "table-header-cell")


def _link_of(attributes: Any) -> Node | None:
    link_type, target = attributes.get("data-link-type"), attributes.get("data-link-id")
    if link_type in ("Entry", "Asset") and target is not None:
        return node(f"{link_type.lower()}-hyperlink", **target_data(link_type, target))
    urn = attributes.get("data-resource-link-urn")
    if urn is not None and attributes.get("data-resource-link-type") == LINKS["resource-hyperlink"]:
        return node("resource-hyperlink", **target_data(LINKS["resource-hyperlink"], urn))
    uri = normalize_uri(attributes.get("href") or "")
    title = collapse(attributes.get("title") or "").strip(" ")
    return link_node(uri, title=title) if uri else None


def _container_data(kind: str, element: LexborNode) -> dict[str, Any]:
    if kind == "ordered-list":
        start = _number(element.attributes.get("start"))
        return {} if start in (None, 1) else {"start": start}
    if not kind.endswith("cell"):
        return {}
    spans = {name: _number(element.attributes.get(name)) for name in ("colspan", "rowspan")}
    return {name: min(span, _MAX_SPAN) for name, span in spans.items() if span and span > 1}


def _number(text: str | None) -> int | None:
    match = re.match(r"\s*([+-]?[0-9]{1,9})", text or "")
    return int(match[1]) if match else None
