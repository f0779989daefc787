"""The text of one block of HTML: white space collapses as it does on a screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sync_pipeline.rich_text.nodes import IMAGE, LINKS, PREFORMATTED, Node, node, text_node

#: HTML's white space; a no-break space is a character like any other.
WHITE_SPACE = " \t\n\f\r"
_RUN = re.compile(f"[{WHITE_SPACE}]+")


def collapse(text: str) -> str:
    """The text with a space for each run of white space."""
    return _RUN.sub(" ", text)


class TextBlock:
    """Collects what stands in a paragraph, a heading or preformatted text."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._content: list[Node] = []
        self._link: Node | None = None
        #: Whether a space that follows would be seen.
        self._is_after_text = False

    def add_text(self, text: str, marks: Sequence[str], link: Node | None) -> None:
        """Add text; `link` is the link that it stands in, the same object for all of it."""
        if self._kind != PREFORMATTED:
            text = collapse(text)
            if not self._is_after_text:
                text = text.lstrip(" ")
            self._is_after_text = self._is_after_text if not text else text[-1] != " "
        if text:
            self._leaves(link).append(text_node(text, marks))

    def add_break(self, marks: Sequence[str], link: Node | None) -> None:
        """Add a line break; spaces before and after it are not seen."""
        if self._kind != PREFORMATTED:
            _trim_end(self._content, " ")
            self._is_after_text = False
        self._leaves(link).append(text_node("\n", marks))

    def add_inline(self, inline: Node, link: Node | None) -> None:
        """Add an image, or something embedded, which never stands in a link."""
        if inline["nodeType"] in (IMAGE, "text"):
            self._leaves(link).append(inline)
        else:
            self._content.append(inline)
        self._is_after_text = True

    def close(self) -> Node | None:
        """The block, without white space and line breaks at its end; None for an empty one."""
        _trim_end(self._content, "\n" if self._kind == PREFORMATTED else " \n")
        is_empty = self._kind != PREFORMATTED and not any(map(_shows, self._content))
        return None if is_empty or not self._content else node(self._kind, self._content)

    def _leaves(self, link: Node | None) -> list[Node]:
        if link is None:
            return self._content
        last = self._content[-1] if self._content else None
        if last is None or link is not self._link or last["nodeType"] not in LINKS:
            self._link = link
            last = {**link, "content": []}
            self._content.append(last)
        leaves: list[Node] = last["content"]
        return leaves


def _shows(item: Node) -> bool:
    if item["nodeType"] == "text":
        return bool(item["value"].strip(WHITE_SPACE))
    return item["nodeType"] not in LINKS or any(map(_shows, item["content"]))


def _trim_end(content: list[Node], characters: str) -> None:
    while content:
        last = content[-1]
        if last["nodeType"] == "text":
            last["value"] = last["value"].rstrip(characters)
            if last["value"]:
                return
        elif last["nodeType"] in LINKS:
            _trim_end(last["content"], characters)
            if last["content"]:
                return
        else:
            return
        content.pop()


def plain_blocks(text: str) -> Iterable[Node]:
    """Paragraphs of a text that is no HTML: empty lines part them, other line breaks stay."""
    for part in re.split(
        r"\n[ \t\f]*(?:\n[ \t\f]*)+", text.replace("\r\n", "\n").replace("\r", "\n")
    ):
        block = TextBlock("paragraph")
        for index, line in enumerate(part.split("\n")):
            if index:
                block.add_break((), None)
            block.add_text(line, (), None)
        found: Any = block.close()
        if found is not None:
            yield found
