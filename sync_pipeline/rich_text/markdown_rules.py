"""What Markdown's parser does differently here, so that no character of a text is lost.

A reading is *careful* where nobody said that a text is Markdown: then numbers that begin a line,
backslashes and stars in words are rather kept than taken for markup.
"""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, list_block
from markdown_it.rules_block import table as table_block
from markdown_it.rules_block.table import escapedSplit, getLine
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from sync_pipeline.rich_text.links import encode_uri, is_link

#: Blocks in blocks; the parser drops what is nested deeper.
MAX_NESTING = 40
#: Type of the tokens for tags of HTML that stand for marks and line breaks.
TAG = "tag"
#: Tags that Markdown has no marks for, or that HTML's readers write into it.
TAG_MARKS = {
    "u": "underline", "ins": "underline", "sup": "superscript", "sub": "subscript",
    "s": "strikethrough", "del": "strikethrough",
}  # fmt: skip
_TAG = re.compile(r"</?(?:u|ins|sup|sub|s|del)>|<br ?/?>", re.IGNORECASE)
_NUMBERED = re.compile(r"([0-9]{1,9})[.)]")


class _Parser(MarkdownIt):
    def normalizeLink(self, url: str) -> str:  # noqa: N802  # the parser's name
        """The address of a link, as of HTML."""
        return encode_uri(url)

    def validateLink(self, url: str) -> bool:  # noqa: N802  # the parser's name
        """Whether a link is one; the parser would refuse those to files as well."""
        return is_link(url)


@lru_cache(maxsize=8)
def build_parser(*, is_careful: bool, without: tuple[str, ...] = ()) -> MarkdownIt:
    """CommonMark with tables and strikethrough, without HTML and indented code.

    Args:
        is_careful: See the module.
        without: Further rules of the parser to leave out.
    """
    parser = _Parser("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    # Indented text is common in plain text and hardly ever meant as code.
    parser.disable(["code", *without])
    parser.inline.ruler.before("autolink", TAG, _read_tag)
    parser.block.ruler.at("table", _read_table, {"alt": ["paragraph", "reference"]})
    if is_careful:
        may_end = ["paragraph", "reference", "blockquote"]
        parser.block.ruler.at("list", _read_careful_list, {"alt": may_end})
        parser.inline.ruler.before("emphasis", "star_in_word", _read_star_in_word)
    return parser


def _read_tag(state: StateInline, silent: bool) -> bool:  # the parser's signature
    match = _TAG.match(state.src, state.pos) if state.src[state.pos] == "<" else None
    if match is None:
        return False
    if not silent:
        state.push(TAG, "", 0).content = match[0]
    state.pos = match.end()
    return True


def _read_careful_list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """No list that begins with another number than 1: rich text would begin it with 1."""
    at = state.bMarks[start] + state.tShift[start]
    number = _NUMBERED.match(state.src, at, state.eMarks[start])
    # What ends a paragraph, or goes on with a list, is asked for in silence.
    if not silent and number and int(number[1]) != 1:
        return False
    return list_block(state, start, end, silent)


def _read_star_in_word(state: StateInline, silent: bool) -> bool:
    """Stars between letters and digits mark nothing: `2*3*4`."""
    start = end = state.pos
    while end < state.posMax and state.src[end] == "*":
        end += 1
    if not (start < end < state.posMax and start > 0):
        return False
    if not (state.src[start - 1].isalnum() and state.src[end].isalnum()):
        return False
    if not silent:
        state.pending += state.src[start:end]
    state.pos = end
    return True


def _read_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table whose rows keep the cells that its header has no column for."""
    first = len(state.tokens)
    if not table_block(state, start, end, silent):
        return False
    if not silent:
        state.tokens[first:] = _with_all_cells(state, state.tokens[first:])
    return True


def _with_all_cells(state: StateBlock, tokens: list[Token]) -> list[Token]:
    columns = sum(token.type == "th_open" for token in tokens)
    found: list[Token] = []
    line = 0
    for token in tokens:
        if token.type == "tr_open" and token.map:
            line = token.map[0]
        elif token.type == "tr_close":
            for text in _cells(getLine(state, line))[columns:]:
                found += _cell_tokens(text, line, token.level)
        found.append(token)
    return found


def _cells(line: str) -> list[str]:
    cells = escapedSplit(line.strip(" \t"))
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [cell.strip(" \t") for cell in cells]


def _cell_tokens(text: str, line: int, level: int) -> list[Token]:
    inline = Token(
        "inline", "", 0, level=level + 2, content=text, map=[line, line + 1], children=[]
    )
    return [
        Token("td_open", "td", 1, level=level + 1),
        inline,
        Token("td_close", "td", -1, level=level + 1),
    ]
