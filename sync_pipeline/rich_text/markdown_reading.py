"""Markdown to blocks, from the flat tokens of markdown-it-py.

`<u>`, `<sup>`, `<sub>`, `<s>` and `<br>` are read, as Markdown has nothing for them; other HTML
stays visible as text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it.token import Token

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.links import normalize_uri
from sync_pipeline.rich_text.markdown_rules import MAX_NESTING, TAG, TAG_MARKS, build_parser
from sync_pipeline.rich_text.nodes import (
    PREFORMATTED,
    Node,
    image_node,
    link_node,
    node,
    paragraph_of,
    text_node,
    uri_of,
)

WHITE_SPACE = " \t\n\r\f\v"
#: The parser takes time quadratic in them: ten thousand are a third of a second.
_MAX_BRACKETS = 10_000
#: What may come to a token each, of a kilobyte.
_MAX_MARKUP = 100_000
_MARKUP = "\n*_`[<~\\&|"
_MARKS = {"strong": "bold", "em": "italic", "s": "strikethrough"}
_CONTAINERS = {
    "bullet_list": "unordered-list", "list_item": "list-item", "blockquote": "blockquote",
    "table": "table", "tr": "table-row",
}  # fmt: skip
#: One line in which nothing can be Markdown.
_PLAIN = re.compile(r"[^\\`*_\[\]<&~\n\r\t\x00]*")
_BRACKETS = re.compile(r"\[((?:[^\[\]\\]|\\.)+)\]")
_ESCAPE = re.compile(r"\\[!-/:-@\[-`{-~\n]")
#: Spaces that the parser takes off a line though they are none to Markdown, and what stands for
#: them meanwhile: rare signs, since a sign beside a `*` counts there as a space does.
_SPACES = "".join(
    map(chr, (0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
_SIGNS = "".join(chr(0x1D100 + number) for number in range(len(_SPACES)))
_TO_SIGNS = str.maketrans(_SPACES, _SIGNS)
_FROM_SIGNS = str.maketrans(_SIGNS, _SPACES)
#: Whole runs of them, or a run of a hundred thousand would be tried from each of its characters.
_EDGE = re.compile(
    rf"^[ \t>]*[{_SPACES}]+"
    rf"|(?<=[ \t#|])[{_SPACES}]+(?![{_SPACES}*_~])"
    rf"|(?<![{_SPACES}*_~])[{_SPACES}]+(?![{_SPACES}])(?=[ \t#|]*$)",
    re.MULTILINE,
)


def read_markdown(text: str) -> list[Node]:
    """The blocks of a text that is Markdown."""
    return _read(text, is_careful=False)


def read_text(text: str) -> list[Node]:
    """The blocks of a text that may be Markdown.

    One line is a paragraph, with the marks and links in it. In several lines blocks are read as
    well, but for what would lose a number or a backslash.
    """
    text = text.strip(WHITE_SPACE)
    if _PLAIN.fullmatch(text):
        return [paragraph_of(text)] if text else []
    return _read(text, is_careful=True)


def _read(text: str, *, is_careful: bool) -> list[Node]:
    if text.count("[") > _MAX_BRACKETS:
        return _plain(text)
    markup = sum(map(text.count, _MARKUP))
    if markup > _MAX_MARKUP:
        raise RecordError(
            f"Markdown with {markup:,} line ends and other signs of markup; {_MAX_MARKUP:,} can be"
            " read in bounded memory",
            error_id="TooLong",
        )
    held = text.replace("\r\n", "\n").replace("\r", "\n")
    signs = {} if any(sign in held for sign in _SIGNS) else _FROM_SIGNS
    if signs:
        held = _EDGE.sub(lambda match: match[0].translate(_TO_SIGNS), held)
    # One backslash that is no escape says that none is: \\server\share, C:\new.
    has_escapes = not is_careful or "\\" not in _ESCAPE.sub("", held)
    without = () if has_escapes else ("escape",)
    parser = build_parser(is_careful=is_careful, without=without)
    if is_careful and "\n" not in held:
        tokens = parser.parseInline(held)
        return [node("paragraph", _Inlines(tokens[0].children or [], signs).nodes)]
    environment: dict[str, Any] = {}
    tokens = parser.parse(held, environment)
    if not _are_used(environment.get("references", {}), held):
        parser = build_parser(is_careful=is_careful, without=(*without, "reference"))
        tokens = parser.parse(held)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return _plain(text)  # the parser leaves out what is nested deeper
    return _blocks(tokens, signs) or _plain(text)


def _plain(text: str) -> list[Node]:
    text = text.strip(WHITE_SPACE)
    return [paragraph_of(text)] if text else []


def _are_used(labels: Sequence[str], text: str) -> bool:
    """Whether each `[label]: address` has a link that uses it; one that has none is text."""
    if not labels:
        return True
    named = Counter(_BRACKETS.findall(" ".join(text.upper().split())))
    return all(named[label.upper()] > 1 for label in labels)


def _blocks(tokens: Sequence[Token], signs: dict[int, int]) -> list[Node]:
    """Nested blocks from the opening and closing tokens around them."""
    contents: list[list[Node]] = [[]]
    opened: list[Token] = []
    for token in tokens:
        if token.nesting > 0:
            opened.append(token)
            contents.append([])
        elif token.nesting < 0:
            content = contents.pop()
            contents[-1] += _built(opened.pop(), content)
        elif token.type == "inline":
            contents[-1] += _Inlines(token.children or [], signs).nodes
        elif token.type == "hr":
            contents[-1].append(node("hr"))
        else:  # fenced code
            code = token.content.rstrip("\n").translate(signs)
            contents[-1].append(node(PREFORMATTED, [text_node(code, ["code"])]))
    return contents[0]


def _built(opening: Token, content: list[Node]) -> Iterator[Node]:
    kind = opening.type.removesuffix("_open")
    if kind == "paragraph":
        yield node("paragraph", content)
    elif kind == "heading":
        yield node(f"heading-{opening.tag[1:]}", content)
    elif kind == "ordered_list":
        start = int(opening.attrs.get("start", 1))
        yield node("ordered-list", content, **({} if start == 1 else {"start": start}))
    elif kind in ("th", "td"):
        cell = "table-header-cell" if kind == "th" else "table-cell"
        yield node(cell, [node("paragraph", content)])
    elif kind in _CONTAINERS:
        yield node(
            _CONTAINERS[kind], _without_empty_header(content) if kind == "table" else content
        )
    else:  # parts of a table
        yield from content


def _without_empty_header(rows: list[Node]) -> list[Node]:
    """A header without a text is how Markdown writes a table that has none."""
    is_empty = not any(cell["content"][0]["content"] for cell in rows[0]["content"])
    return rows[1:] if is_empty and len(rows) > 1 else rows


class _Inlines:
    """The inline nodes of one block, from its flat tokens."""

    def __init__(self, tokens: Sequence[Token], signs: dict[int, int]) -> None:
        self._signs = signs
        self._marks: list[str] = []
        self._link: Node | None = None
        self.nodes: list[Node] = []
        paired = _paired_tags(tokens)
        for index, token in enumerate(tokens):
            self._take(token, is_paired=index in paired)

    def _take(self, token: Token, *, is_paired: bool) -> None:
        kind = token.type
        name, _, end = kind.rpartition("_")
        if kind in ("softbreak", "hardbreak"):
            self._add_text("\n")
        elif kind == TAG:
            self._take_tag(token.content, is_paired=is_paired)
        elif kind == "code_inline":
            self._add(text_node(token.content.translate(self._signs), [*self._marks, "code"]))
        elif kind == "image":
            alt = "".join(child.content for child in token.children or ())
            uri, title = str(token.attrs.get("src", "")), str(token.attrs.get("title", ""))
            self._add_image(uri, alt.translate(self._signs), title)
        elif kind == "link_open":
            title = str(token.attrs.get("title", ""))
            self._link = link_node(normalize_uri(str(token.attrs.get("href", ""))), title=title)
            self.nodes.append(self._link)
        elif kind == "link_close":
            self._close_link()
        elif name in _MARKS and end == "open":
            self._marks.append(_MARKS[name])
        elif name in _MARKS:
            self._close_mark(_MARKS[name])
        else:
            self._add_text(token.content)

    def _take_tag(self, tag: str, *, is_paired: bool) -> None:
        name = tag.strip("</ >").lower()
        if name == "br":
            self._add_text("\n")
        elif not is_paired:
            self._add_text(tag)
        elif tag.startswith("</"):
            self._close_mark(TAG_MARKS[name])
        else:
            self._marks.append(TAG_MARKS[name])

    def _close_mark(self, mark: str) -> None:
        last = len(self._marks) - 1 - self._marks[::-1].index(mark)
        del self._marks[last]

    def _add_text(self, text: str) -> None:
        if text:
            self._add(text_node(text.translate(self._signs), self._marks))

    def _add_image(self, uri: str, alt: str, title: str) -> None:
        uri = normalize_uri(uri)
        if uri:
            self._add(image_node(uri, alt, title, self._marks))
        else:
            self._add_text(alt)

    def _add(self, leaf: Node) -> None:
        (self.nodes if self._link is None else self._link["content"]).append(leaf)

    def _close_link(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if not link["content"]:
            link["content"].append(text_node(uri_of(link), self._marks))
        elif not uri_of(link):  # [text]() leads nowhere
            self.nodes[-1:] = link["content"]


def _paired_tags(tokens: Sequence[Token]) -> set[int]:
    """Where tags stand that are opened and closed; one that is not stays visible."""
    opened: dict[str, list[int]] = {}
    paired: set[int] = set()
    for index, token in enumerate(tokens):
        if token.type != TAG:
            continue
        name = token.content.strip("</ >").lower()
        if not token.content.startswith("</"):
            opened.setdefault(name, []).append(index)
        elif opened.get(name):
            paired |= {opened[name].pop(), index}
    return paired
