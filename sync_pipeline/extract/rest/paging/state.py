"""The values of paging: where it is, what to ask for, what came back, what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Digests of the last pages and tokens that are compared with each new one.
RECENT = 16


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """Remembers enough of a sequence to notice that it goes in circles.

    The last `RECENT` digests find short circles at once; an anchor that moves to every
    2^n-th digest (Brent's method) finds circles of any length, in bounded memory.
    """

    recent: tuple[str, ...] = ()
    anchor: str = ""
    count: int = 0

    def has_seen(self, digest: str) -> bool:
        """Whether the digest closes a circle."""
        return digest in self.recent or digest == self.anchor

    def after(self, digest: str) -> LoopGuard:
        """The guard that remembers this digest too."""
        count = self.count + 1
        anchor = digest if count & (count - 1) == 0 else self.anchor
        return LoopGuard((*self.recent, digest)[-RECENT:], anchor, count)


@dataclass(frozen=True, slots=True)
class PagingState:
    """Where the paging of one request (one leaf of an enumeration) is: the next page to ask for."""

    #: Offset (records) or page number of the next request.
    position: int = 0
    #: Cursor, URL or header value of the next request; None on the first.
    token: str | None = None
    #: Responses so far, empty ones included.
    pages: int = 0
    #: Records so far.
    records: int = 0
    #: Page size in use, once the first page was asked for; None: the plan's.
    size: int | None = None
    #: As last declared; None: not declared, or found to be untrue.
    total: int | None = None
    total_pages: int | None = None
    #: A declared total was passed by more records; it is not believed any more.
    is_total_untrue: bool = False
    #: The last page that said whether more records follow (`hasMorePath`) said that they do.
    said_more: bool = False
    empty_pages: int = 0
    #: Records of the last page if it was shorter than asked, else 0.
    short: int = 0
    #: Records of the longest page so far.
    longest: int = 0
    #: Records of the last page that had any, and the pages before it in a row that had as many, at
    #: most half of the longest.
    received: int = 0
    little: int = 0
    #: All that is declared has come; the next request only makes sure that nothing follows.
    is_confirming: bool = False
    #: Page 1 was page 0 again: the next request tells whether the pages count from 1.
    is_doubtful: bool = False
    #: This server has shown that a page with fewer records than these is its last one, so that no
    #: further request makes sure. 0: not shown; -1: shown to be untrue.
    last_below: int = 0
    #: Digests of the last records of the last page, where that was short or named the next one.
    tail: tuple[str, ...] = ()
    page_guard: LoopGuard = field(default_factory=LoopGuard)
    token_guard: LoopGuard = field(default_factory=LoopGuard)

    def to_json(self) -> dict[str, Any]:
        """The state as JSON-able values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PagingState:
        """The state that `to_json` wrote, also after a way through JSON text."""
        guards = {
            name: LoopGuard(
                tuple(value[name]["recent"]), value[name]["anchor"], value[name]["count"]
            )
            for name in ("page_guard", "token_guard")
        }
        return cls(**{**value, "tail": tuple(value["tail"]), **guards})


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the next request says about paging, on top of what all requests of the source say."""

    #: Parameters that replace those of the same name in the query string.
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Instead of the end point; may be relative to the last response's URL.
    url: str | None = None
    #: Offset or page number, for templates.
    skip: int = 0
    #: Records asked for; None: the server's own page size.
    limit: int | None = None
    #: Cursor or continuation token, "" on the first page, for templates.
    cursor: str = ""
    #: The array that the cursor is, if it is one; `cursor` is its JSON then.
    cursor_value: Any = None


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What one response said about paging. Counts are of *unfiltered* records."""

    received: int
    #: Digest of all records; "" where unknown (no repeat is noticed then).
    digest: str = ""
    #: Digests of the records, in order: needed of a short page and of the one after it; where
    #: answers name the next page, of the last records.
    record_digests: tuple[str, ...] = ()
    total: int | None = None
    total_pages: int | None = None
    has_more: bool | None = None
    #: Next cursor, next URL or continuation token; None or "" where there is none.
    token: str | None = None
    #: Worth a warning; "" mostly.
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The decision after a response."""

    #: State to go on from; None: the end.
    next: PagingState | None
    #: See `PagingState.last_below`: what is known of this server at the end, for the next leaf.
    last_below: int = 0
    #: The response only repeats the page before it: its records must not be used.
    is_repeat: bool = False
    #: Worth a warning; "" mostly.
    notice: str = ""
