"""Text, marks, links and images in Markdown.

Where a mark may begin or end depends on the characters around it
(https://spec.commonmark.org/0.31.2/#delimiter-run): `**Note:**text` is not bold. Such a neighbour
is written as a character reference, which is a mark of punctuation to every reader of Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sync_pipeline.rich_text.nodes import EMBEDS, IMAGE, LINKS, Node, marks_of, merged, uri_of
from sync_pipeline.rich_text.shaping import INLINE_TITLE

_DELIMITERS = {"bold": "**", "italic": "*", "strikethrough": "~~"}
_TAGS = {"underline": "u", "superscript": "sup", "subscript": "sub"}
#: What reads differently unescaped; whether it does may depend on its neighbours.
_SPECIAL = re.compile(r"[\\`*_\[\]<&~!]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_AUTOLINK = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,31}:[a-zA-Z0-9/?#@!$&'()*+,;=:._~-]*")
_BREAK = "  \n"
_SHORT_BREAK = "<br>"
#: Follows a text that is not the last: neither a space nor a letter.
_SOMETHING = "\0"


@dataclass(slots=True)
class _Piece:
    """A part of a line. Of text, the first and the last character can still be changed."""

    kind: Literal["text", "open", "close", "break", "raw"]
    #: Text: a written character each; else one part.
    parts: list[str]
    mark: str = ""

    @property
    def written(self) -> str:
        return "".join(self.parts)


def inline_markdown(nodes: Sequence[Node], *, is_one_line: bool = False) -> str:
    """The Markdown of inline nodes.

    Args:
        nodes: Texts, links, images and what is embedded.
        is_one_line: Whether the line must not end, as in a heading or a cell of a table.
    """
    pieces = _pieces(merged(nodes), is_alone=len(nodes) == 1)
    _choose_italics(pieces)
    _choose_breaks(pieces, is_one_line=is_one_line)
    _guard_edges(pieces)
    for index, piece in enumerate(pieces):
        if piece.kind in ("open", "close") and piece.mark in _DELIMITERS:
            _guard_delimiter(pieces, index)
    return "".join(piece.written for piece in pieces)


def write_link(text: str, uri: str, title: str = "") -> str:
    """`[text](uri "title")`."""
    address = _ENTITY.sub(lambda match: f"\\{match[0]}", uri)
    if not uri or re.search(r"[()<>\s]", uri):
        address = f"<{address}>"
    if title:
        written = _ENTITY.sub(lambda match: f"\\{match[0]}", re.sub(r'(["\\])', r"\\\1", title))
        address += f' "{written}"'
    return f"[{text}]({address})"


def _pieces(nodes: Sequence[Node], *, is_alone: bool) -> list[_Piece]:
    writer = _Writer(is_alone=is_alone)
    writer.write(nodes, follows="")
    writer.move_to([])
    return writer.pieces


class _Writer:
    """Opens and closes marks as the leaves ask for them, the outer ones around the inner ones."""

    def __init__(self, *, is_alone: bool) -> None:
        self._is_alone = is_alone
        self._open: list[str] = []
        self.pieces: list[_Piece] = []

    def write(self, nodes: Sequence[Node], *, follows: str = _SOMETHING) -> None:
        for number, item in enumerate(nodes):
            if item["nodeType"] in LINKS:
                self._link(item)
                continue
            self.move_to([mark for mark in marks_of(item) if mark in _DELIMITERS or mark in _TAGS])
            if item["nodeType"] == IMAGE:
                self._image(item)
            elif item["nodeType"] in EMBEDS:
                title = INLINE_TITLE if self._is_alone and "inline" in item["nodeType"] else ""
                self._raw("!" + write_link("", uri_of(item), title))
            elif "code" in marks_of(item):
                self._code(item["value"])
            else:
                is_last = number == len(nodes) - 1 and not self._open
                self._text(item["value"], follows if is_last else _SOMETHING)

    def move_to(self, marks: list[str]) -> None:
        """Have exactly these marks open, in this order."""
        same = _common(self._open, marks)
        while len(self._open) > same:
            self._mark("close", self._open.pop())
        for mark in marks[same:]:
            self._open.append(mark)
            self._mark("open", mark)

    def _mark(self, kind: Literal["open", "close"], mark: str) -> None:
        if mark in _TAGS:
            self._raw(f"<{'/' if kind == 'close' else ''}{_TAGS[mark]}>")
        else:
            self.pieces.append(_Piece(kind, [_DELIMITERS[mark]], mark))

    def _link(self, link: Node) -> None:
        leaves = merged(link["content"])
        shared = [mark for mark in marks_of(leaves[0]) if mark != "code"] if leaves else []
        for leaf in leaves[1:]:
            shared = shared[: _common(shared, marks_of(leaf))]
        self.move_to(shared)
        uri, title = uri_of(link), link["data"].get("title", "")
        is_plain = len(leaves) == 1 and marks_of(leaves[0]) == shared
        is_shown = is_plain and not title and leaves[0].get("value") == uri
        if is_shown and _AUTOLINK.fullmatch(uri) and "xn--" not in uri:
            self._raw(f"<{uri}>")
            return
        if self.pieces and self.pieces[-1].kind == "text":
            _escape_last(self.pieces[-1], "!")
        self._raw("[")
        self.write(leaves)
        self.move_to(shared)
        self._raw(write_link("", uri, title)[1:])

    def _image(self, image: Node) -> None:
        alt = "".join(_escaped(image["data"]["alt"], "", ""))
        self._raw("!" + write_link(alt, image["data"]["uri"], image["data"]["title"]))

    def _code(self, code: str) -> None:
        for index, line in enumerate(code.split("\n")):
            if index:
                self.pieces.append(_Piece("break", [_BREAK]))
            if line:
                self._raw(_code_span(line))

    def _text(self, text: str, follows: str) -> None:
        *lines, last = text.split("\n")
        for line in lines:
            self._line(line, _SOMETHING)
            self.pieces.append(_Piece("break", [_BREAK]))
        self._line(last, follows)

    def _line(self, line: str, follows: str) -> None:
        if line:
            before = self.pieces[-1].parts[-1] if self.pieces else ""
            self.pieces.append(_Piece("text", _escaped(line, before, follows)))

    def _raw(self, written: str) -> None:
        self.pieces.append(_Piece("raw", [written]))


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    return same


def _escaped(text: str, before: str, after: str) -> list[str]:
    """The characters of a text as Markdown, each a part."""
    parts = list(text)
    for match in _SPECIAL.finditer(text):
        at = match.start()
        left = text[at - 1] if at else before[-1:]
        right = text[at + 1] if at + 1 < len(text) else after[:1]
        if _reads_differently(text, at, left, right):
            parts[at] = f"\\{match[0]}"
    return parts


def _reads_differently(text: str, at: int, left: str, right: str) -> bool:
    character = text[at]
    if character in "*_":
        # A space at the edge of the text may yet be written as a reference.
        follows_space = not left or (left == " " and at > 1)
        precedes_space = not right or (right == " " and at < len(text) - 2)
        is_in_word = character == "_" and left.isalnum() and right.isalnum()
        return not is_in_word and not (follows_space and precedes_space)
    if character == "<":
        return right.isalpha() or right in ("/", "!", "?")
    if character == "&":
        return _ENTITY.match(text, at) is not None
    if character == "~":
        return "~" in (left, right) or at in (0, len(text) - 1)
    if character == "!":
        return right == "["
    return True


def _escape_last(piece: _Piece, character: str) -> None:
    if piece.parts[-1] == character:
        piece.parts[-1] = f"\\{character}"


def _code_span(code: str) -> str:
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * (longest + 1)
    is_padded = (
        code[0] == "`" or code[-1] == "`" or (code[0] == code[-1] == " " and code.strip(" "))
    )
    pad = " " if is_padded else ""
    return f"{fence}{pad}{code}{pad}{fence}"


def _choose_italics(pieces: list[_Piece]) -> None:
    """`_` for italics that stand beside the stars of another mark."""
    opened: list[int] = []
    for index, piece in enumerate(pieces):
        if piece.mark != "italic":
            continue
        if piece.kind == "open":
            opened.append(index)
            continue
        pair = (opened.pop(), index)
        beside = [at + step for at in pair for step in (-1, 1)]
        if any(0 <= at < len(pieces) and pieces[at].mark == "bold" for at in beside):
            for at in pair:
                pieces[at].parts = ["_"]


def _choose_breaks(pieces: list[_Piece], *, is_one_line: bool) -> None:
    """`<br>` where the end of a line would not be read: at edges, beside marks, and in one line."""
    has_begun = False  # a line of tags alone would be a block of HTML to other readers
    for index, piece in enumerate(pieces):
        if piece.kind == "break":
            before, after = pieces[index - 1 : index], pieces[index + 1 : index + 2]
            if (
                is_one_line
                or not has_begun
                or before[0].kind == "open"
                or not after
                or after[0].kind in ("break", "close")
            ):
                piece.parts = [_SHORT_BREAK]
        has_begun |= piece.kind == "text" or (piece.kind == "raw" and piece.written[0] != "<")


def _guard_edges(pieces: list[_Piece]) -> None:
    """White space at the edges of lines is written as a reference, or it would be trimmed."""
    for index, piece in enumerate(pieces):
        if piece.kind != "text":
            continue
        before = pieces[index - 1].written if index else "\n"
        after = pieces[index + 1].written if index + 1 < len(pieces) else "\n"
        if before.endswith("\n") and piece.parts[0].isspace():
            _refer(piece, 0)
        if after in ("\n", _BREAK) and piece.parts[-1].isspace():
            _refer(piece, -1)


def _guard_delimiter(pieces: list[_Piece], index: int) -> None:
    piece = pieces[index]
    inner, outer = (index + 1, index - 1) if piece.kind == "open" else (index - 1, index + 1)
    inside = _neighbour(pieces, inner, is_after=piece.kind == "open")
    if _is_space(inside):
        _refer_at(pieces, inner, is_after=piece.kind == "open")
        inside = "&"
    outside = _neighbour(pieces, outer, is_after=piece.kind == "close")
    is_free = _is_space(outside) or _is_punctuation(outside)
    if not is_free and (_is_punctuation(inside) or piece.parts[0] == "_"):
        _refer_at(pieces, outer, is_after=piece.kind == "close")


def _neighbour(pieces: list[_Piece], index: int, *, is_after: bool) -> str:
    """The character that a delimiter sees there; "" at the edge of the block."""
    if not 0 <= index < len(pieces):
        return ""
    written = pieces[index].written
    return written[0] if is_after else written[-1]


def _refer_at(pieces: list[_Piece], index: int, *, is_after: bool) -> None:
    if pieces[index].kind == "text":
        _refer(pieces[index], 0 if is_after else -1)


def _refer(piece: _Piece, at: int) -> None:
    character = piece.parts[at]
    if len(character) == 1:  # else it is written with a backslash, or as a reference, already
        piece.parts[at] = "&nbsp;" if character == "\u00a0" else f"&#{ord(character)};"


def _is_space(character: str) -> bool:
    return not character or character.isspace()


def _is_punctuation(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "PS"
