"""Refuses HTML that would take a parser time or memory out of all proportion to its length.

The tree that https://html.spec.whatwg.org/multipage/parsing.html asks for can be much larger than
its source: a mark whose paragraph ends before it is opened again in each paragraph that follows, so
that 44 kB of `<p><b id=1><b id=2>...</p><p>x<p>x...` become 9 million elements. And each tag may
look at all elements that are open. A glance at the tags bounds both before anything is built.
"""

from __future__ import annotations

import re

from sync_pipeline.errors import RecordError

#: Nothing with fewer tags can become dangerous.
_HARMLESS_TAGS = 300
#: A document that a field can hold has a tenth of that.
_MAX_TAGS = 200_000
#: Elements that may be opened again: about 400 bytes each.
_MAX_REOPENED = 100_000
#: Open elements that tags look at, all together: about a second for a thousand millions.
_MAX_LOOKS = 100_000_000
#: Attributes are compared with all before them in their tag.
_MAX_ATTRIBUTES = 1_000
_ATTRIBUTE_SOURCE = 20_000
#: Of equal marks, the parser opens no more again in one place.
_EQUAL_MARKS = 3
#: Characters of a tag that tell marks apart.
_IDENTITY = 200

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"[\s/]*[^\s/>][^\s/>=]*(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]*))?")
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
     "track", "wbr"]
)  # fmt: skip
_MARKS = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt",
     "u"]
)  # fmt: skip
_CELL_ENDS = frozenset({"tr", "tbody", "thead", "tfoot", "table"})
#: Elements whose end tag may be left out: what ends them where they are the last that was opened.
_ENDED_BY_START = {
    "li": {"li"}, "p": {"p"}, "td": {"td", "th", "tr"}, "th": {"td", "th", "tr"}, "tr": {"tr"},
    "dt": {"dt", "dd"}, "dd": {"dt", "dd"}, "option": {"option"},
}  # fmt: skip
_ENDED_BY_END = {
    "li": {"ul", "ol", "menu"}, "p": {"div", "li", "td", "th", "blockquote"},
    "td": _CELL_ENDS, "th": _CELL_ENDS, "tr": _CELL_ENDS - {"tr"}, "tbody": {"table"},
    "dt": {"dl"}, "dd": {"dl"}, "option": {"select"},
}  # fmt: skip


def check_bounds(html: str) -> None:
    """Look at the tags of a text.

    Raises:
        RecordError: Parsing it could take seconds, or hundreds of megabytes.
    """
    tags = html.count("<")
    if tags > _MAX_TAGS:
        raise RecordError(
            f"HTML with about {tags:,} tags; {_MAX_TAGS:,} can be read in bounded memory",
            error_id="TooLong",
        )
    if tags > _HARMLESS_TAGS:
        glance = Glance(html)
        if glance.tags * glance.marks > _MAX_REOPENED or glance.tags * glance.depth > _MAX_LOOKS:
            raise RecordError(
                f"HTML whose {glance.tags:,} tags are nested too deep, or not closed in their "
                "order, to be read in bounded time",
                error_id="TooLong",
            )
    if len(html) > _ATTRIBUTE_SOURCE and _has_many_attributes(html):
        raise RecordError(
            f"HTML with more than {_MAX_ATTRIBUTES:,} attributes in one tag", error_id="TooLong"
        )


class Glance:
    """What the tags of a text can come to, never less than what a parser makes of them.

    An end tag is taken to close the last element that was opened, or nothing at all.

    Attributes:
        tags: All of them, those in comments and scripts too.
        depth: Elements that may be open at once.
        marks: Marks that may be open at once, and so be opened again wherever text follows.
    """

    def __init__(self, html: str) -> None:
        self.tags = self.depth = self.marks = self._open_marks = 0
        self._open: list[tuple[str, str]] = []
        self._times: dict[str, int] = {}
        for match in _TAG.finditer(html):
            self.tags += 1
            name = match[2].lower()
            if match[1]:
                self._end(name)
            elif name not in _VOID:
                source = html[match.start() : match.start() + _IDENTITY].partition(">")[0]
                self._start(name, source)

    def _start(self, name: str, source: str) -> None:
        while self._open and name in _ENDED_BY_START.get(self._open[-1][0], ()):
            self._open.pop()
        if name in _MARKS:
            if name == "a":  # a link ends the one before it
                source = "a"
            elif len(source) == _IDENTITY:  # maybe another behind what was looked at
                source += str(self.tags)
            self._count_mark(source, 1)
        self._open.append((name, source))
        self.depth = max(self.depth, len(self._open))

    def _end(self, name: str) -> None:
        while self._open and name in _ENDED_BY_END.get(self._open[-1][0], ()):
            self._open.pop()
        if self._open and self._open[-1][0] == name:
            _, source = self._open.pop()
            if name in _MARKS:
                self._count_mark(source, -1)

    def _count_mark(self, source: str, step: int) -> None:
        times = self._times.get(source, 0)
        self._times[source] = times + step
        if max(times, times + step) <= _EQUAL_MARKS:
            self._open_marks += step
        self.marks = max(self.marks, self._open_marks)


def _has_many_attributes(html: str) -> bool:
    for match in _TAG.finditer(html):
        at = match.end()
        count = 0
        while attribute := _ATTRIBUTE.match(html, at):
            at = attribute.end()
            count += 1
            if count > _MAX_ATTRIBUTES:
                return True
    return False
