r"""`Link` headers by the grammar of RFC 8288 (https://www.rfc-editor.org/rfc/rfc8288#section-3).

::

    Link:  <target>; rel="next prev"; title="a, \"b\""; flag , <other>; rel=last
           └─────────────────── a link ───────────────────┘   └──── a link ────┘

`Response.links` of requests splits at every `,`, `;` and `=`, quoted or not, and loses the rest.
Other parsers pass over what they cannot read without a word, and that may be the link to the next
page. Here whatever is outside of the grammar is kept as `unread`: a header that cannot be read is
no end of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urldefrag, urljoin

_NEXT: Final = "next"
_END: Final = "taken for the end"
#: Folded lines leave line breaks behind.
_BLANKS: Final = " \t\r\n"
_TARGET: Final = re.compile(r"<([^<>]*)>")
#: Where reading can begin again behind what cannot be read.
_NEXT_LINK: Final = re.compile(r",[ \t\r\n,]*(?=<)")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED: Final = re.compile(r'"(?P<value>(?:[^"\\]|\\.)*)(?:(?P<end>")|\\?\Z)', re.DOTALL)
_BARE: Final = re.compile(r"[^;,]*")
_JUNK: Final = re.compile(r"[^;,<]*")
#: A registered type, or a URI (https://www.rfc-editor.org/rfc/rfc8288#section-2.1).
_RELATION: Final = re.compile(r"[A-Za-z0-9][\w.-]*|[A-Za-z][A-Za-z0-9+.-]*:[^\s\"'<>]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a header."""

    #: As written: often relative.
    target: str
    #: Names in lower case, in order; a flag has the value "".
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of a parameter: where one is given twice, the later ones do not count."""
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def relations(self) -> tuple[str, ...]:
        """Relation types, in lower case. Some servers put them in single quotes."""
        return tuple((self.get("rel") or "").strip(f"{_BLANKS}'\"").lower().split())


@dataclass(frozen=True, slots=True)
class LinkHeader:
    """What a header holds."""

    links: tuple[Link, ...]
    #: Offsets of what is outside of the grammar.
    unread: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NextLink:
    """The next page by a header."""

    #: Absolute; None: the header was read whole, and names none.
    url: str | None
    #: Worth a warning; "" mostly.
    notice: str = ""


class UnreadableLinkError(ValueError):
    """A header that does not say clearly whether a page follows, and which."""


def find_next(header: str, base: str) -> NextLink:
    """The link to the next page.

    Args:
        header: Value of the header, lines joined by commas.
        base: URL of the response.

    Raises:
        UnreadableLinkError: The header may name a next page, and which one cannot be told.
    """
    header = _as_utf8(header)
    parsed = parse_link_header(header)
    named = [link for link in parsed.links if _NEXT in link.relations]
    begins = [(link, _begin_of(link, base)) for link in named]
    here = urldefrag(base).url
    urls = {_resolve(base, link.target) for link, begin in begins if begin == here}
    if len(urls) > 1:
        raise UnreadableLinkError(f"its Link header names {len(urls)} next pages")
    if urls:
        return NextLink(urls.pop())
    if parsed.unread:
        raise UnreadableLinkError(
            f"its Link header cannot be read from character {parsed.unread[0] + 1} on, and may "
            f"name a next page there"
        )
    if any(_hides_next(link) for link in parsed.links):
        raise UnreadableLinkError(
            "its Link header says `next`, but not in the parameter rel, or in a second one"
        )
    if any(begin.partition("?")[0] == here.partition("?")[0] for _, begin in begins):
        raise UnreadableLinkError("its Link header names the page after another one (anchor)")
    return NextLink(None, _notice(parsed, is_of_another=bool(named)))


def parse_link_header(header: str) -> LinkHeader:
    """Read a header as far as it can be read; nothing is an error."""
    links: list[Link] = []
    unread: list[int] = []
    at = _skip(header, 0, f"{_BLANKS},")
    while at < len(header):
        found = _TARGET.match(header, at)
        if found is None:
            unread.append(at)
            following = _NEXT_LINK.search(header, at)
            at = following.end() if following else len(header)
            continue
        parameters: list[tuple[str, str]] = []
        at = _read_parameters(header, found.end(), parameters, unread)
        link = Link(found[1].strip(_BLANKS), tuple(parameters))
        if any(map(_is_garbled_next, link.relations)):
            unread.append(found.start())
        links.append(link)
        at = _skip(header, at, f"{_BLANKS},")
    return LinkHeader(tuple(links), tuple(unread))


def _notice(parsed: LinkHeader, *, is_of_another: bool) -> str:
    if is_of_another:
        return "its Link header names the next page of another resource (anchor) only: " + _END
    relations = [relation for link in parsed.links for relation in link.relations]
    similar = next((relation for relation in relations if "next" in relation), None)
    if similar is None:
        return ""
    return f"its Link header has no rel={_NEXT!r}, but {similar[:60]!r}: " + _END


def _read_parameters(
    header: str, at: int, parameters: list[tuple[str, str]], unread: list[int]
) -> int:
    """Read `; name=value` until the comma that ends the link; gives its place."""
    while True:
        at = _skip(header, at, _BLANKS)
        if at >= len(header) or header[at] == ",":
            return at
        if header[at] != ";":
            unread.append(at)
            if header[at] == "<":  # a link begins, only the comma is missing
                return at
            at = _end_of(_JUNK, header, at)
            continue
        at = _skip(header, at + 1, f"{_BLANKS};")
        name = _NAME.match(header, at)
        if name is None:
            continue
        at = _skip(header, name.end(), _BLANKS)
        value = ""
        if header[at : at + 1] == "=":
            start = _skip(header, at + 1, _BLANKS)
            value, at, is_whole = _read_value(header, start)
            if not is_whole or name[0].lower() == "rel*":
                unread.append(start)
        parameters.append((name[0].lower(), value))


def _read_value(header: str, at: int) -> tuple[str, int, bool]:
    """A value, where it ends, and whether it is whole: a quote may never be closed."""
    quoted = _QUOTED.match(header, at)
    if quoted is not None:
        value = re.sub(r"\\(.)", r"\1", quoted["value"], flags=re.DOTALL)
        return value, quoted.end(), quoted["end"] is not None
    end = _end_of(_BARE, header, at)
    return header[at:end].strip(_BLANKS), end, True


def _end_of(pattern: re.Pattern[str], header: str, at: int) -> int:
    found = pattern.match(header, at)
    return found.end() if found else at


def _skip(header: str, at: int, characters: str) -> int:
    while at < len(header) and header[at] in characters:
        at += 1
    return at


def _begin_of(link: Link, base: str) -> str:
    """URL at which the link begins: by `anchor` another resource than this response."""
    return urldefrag(_resolve(base, link.get("anchor") or base)).url


def _resolve(base: str, target: str) -> str:
    if not target:
        raise UnreadableLinkError("its Link header names a next page without an address")
    try:
        return urljoin(base, target)
    except ValueError:  # an IPv6 address that is none, say
        return target


def _is_garbled_next(relation: str) -> bool:
    return "next" in relation and _RELATION.fullmatch(relation) is None


def _hides_next(link: Link) -> bool:
    def is_next(text: str) -> bool:
        return _NEXT in text.strip(f"{_BLANKS}'\"").lower().split()

    return _NEXT not in link.relations and any(map(is_next, _texts_beside_rel(link)))


def _texts_beside_rel(link: Link) -> Iterator[str]:
    """Where a server may have put `next` by mistake: not a title, which is for people."""
    for name, value in link.parameters:
        if name == "rel" or link.get("rel") is None:
            yield value
            yield name


def _as_utf8(header: str) -> str:
    """http.client reads every header as ISO-8859-1; most that are not ASCII are UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
