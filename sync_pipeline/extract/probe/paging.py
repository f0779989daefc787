"""How an API pages, found out by trying: what the second page is asked with, and what comes back.

Hints (a `Link` header, a next URL or cursor in the body, `total`) say what to try first; only what
a request has confirmed is proposed without a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from sync_pipeline.extract.formats.json_path import spell_step
from sync_pipeline.extract.rest.paging.link_header import UnreadableLinkError, find_next

#: Page sizes of the tries: unusual enough not to be a default.
_SMALL: Final = 2
#: Pairs of parameters: page size, then where the page begins; most usual first.
_PAIRS: Final[Mapping[str, tuple[str, ...]]] = {
    "limit": ("offset", "skip", "page", "start"),
    "per_page": ("page",),
    "pageSize": ("page", "pageNumber"),
    "page_size": ("page",),
    "size": ("page",),
    "$top": ("$skip",),
    "_limit": ("_start", "_page"),
    "count": ("offset", "start"),
    "take": ("skip",),
    "rows": ("start",),
}
_NEXT_URL: Final = re.compile(r"(?:^|[._@])next(?:_?(?:url|link|page|href))?$", re.IGNORECASE)
_CURSOR: Final = re.compile(
    r"(?:next|end|continuation|scroll|after)?_?-?(?:cursor|page_?token|continuation_?token|scroll_?id"
    r"|token|marker)$",
    re.IGNORECASE,
)
_TOTAL: Final = re.compile(
    r"(?:^|[._@])(?:total|total_?count|total_?results|total_?records|total_?items|total_?elements"
    r"|count|record_?count|found)$",
    re.IGNORECASE,
)
_TOTAL_PAGES: Final = re.compile(
    r"(?:^|[._])(?:total_?pages?|page_?count|pages|last_?page)$", re.IGNORECASE
)
_MORE: Final = re.compile(r"has_?(?:more|next|next_?page)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer, as far as paging is concerned."""

    #: What tells records apart: the value of the key column, or the whole record.
    identities: Sequence[str]
    #: The document without its records; None where it has no room beside them.
    surroundings: Mapping[str, Any] | None
    headers: Mapping[str, str]


#: Asks with a URL and further headers; None where the answer was an error or no budget is left.
Ask = Callable[[str, Mapping[str, str]], "Sample | None"]


@dataclass(frozen=True, slots=True)
class PagingGuess:
    """A `pagination` block, and what is unsure about it."""

    block: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    #: Parameters of the URL that the block takes over.
    taken: frozenset[str] = frozenset()
    #: The number of records in all, where the source says it.
    total: int | None = None


@dataclass(slots=True)
class _Facts:
    """What the first answer says by the names of its parts."""

    urls: list[tuple[str, str]] = field(default_factory=list)
    cursors: list[tuple[str, str, str]] = field(default_factory=list)
    totals: list[tuple[str, int]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    more: list[tuple[str, bool]] = field(default_factory=list)
    echoes: set[str] = field(default_factory=set)


def guess_paging(url: str, first: Sample, ask: Ask) -> PagingGuess:
    """Find out how to get the second page.

    Args:
        url: Of the first answer.
        first: The first answer.
        ask: Makes one more request within the budget.
    """
    count = len(first.identities)
    facts = _read_facts(first.surroundings)
    total = _total_of(facts, count)
    number = total[1] if total else None
    stops = {"totalPath": total[0]} if total else {}
    if number is not None and number == count:
        note = f"`{total[0] if total else ''}` says that all {count} records came at once"
        return PagingGuess({"type": "none"}, (note,), total=number)
    for attempt in (_by_header, _by_next_url, _by_cursor):
        block = attempt(url, first, facts, ask)
        if block is not None:
            return PagingGuess({**block, **stops}, total=number)
    if facts.more and not facts.more[0][1] and number is None:
        return PagingGuess({"type": "none"}, ("the source says that there is no further page",))
    found = _by_parameters(url, first, facts, ask)
    if found is not None:
        return PagingGuess(
            {**found.block, **stops, **_other_stops(facts, found.block, stops)},
            found.notes, found.taken, number,
        )  # fmt: skip
    if number is not None and number > count:
        note = f"the source has {number} records and answered {count}; how to ask for the rest "
        return PagingGuess(
            {"type": "none"}, (note + "was not found out: set `pagination`",), total=number
        )
    note = (
        f"no way to a second page was found; if there are more than these {count} records, set "
        "`pagination`"
    )
    return PagingGuess({"type": "none"}, (note,), total=number)


def _by_header(url: str, first: Sample, _facts: _Facts, ask: Ask) -> dict[str, Any] | None:
    with suppress(UnreadableLinkError):
        target = find_next(first.headers.get("Link", ""), url).url
        if target and _is_second(first, _ask_at(url, target, ask)):
            return {"type": "link_header"}
    for name, value in first.headers.items():
        if "continuation" in name.lower() and value and _is_second(first, ask(url, {name: value})):
            return {"type": "continuation_header", "header": name}
    return None


def _by_next_url(url: str, first: Sample, facts: _Facts, ask: Ask) -> dict[str, Any] | None:
    for path, value in facts.urls:
        if _is_second(first, _ask_at(url, value, ask)):
            return {"type": "next_url", "nextUrlPath": path}
    return None


def _by_cursor(url: str, first: Sample, facts: _Facts, ask: Ask) -> dict[str, Any] | None:
    for path, name, value in facts.cursors[:1]:
        bare = re.sub(r"^(?:next|end)_?", "", name, flags=re.IGNORECASE)
        bare = bare[:1].lower() + bare[1:]
        names = dict.fromkeys((bare, name, "cursor", "after", "page_token"))
        for parameter in list(names)[:3]:
            if _is_second(first, ask(_with(url, {parameter: value}), {})):
                return {"type": "cursor", "cursorPath": path, "cursorKey": parameter}
    return None


def _by_parameters(url: str, first: Sample, facts: _Facts, ask: Ask) -> PagingGuess | None:
    """Ask for two records, then for the next two, with the names that are usual for it."""
    count = len(first.identities)
    given = dict(parse_qsl(urlsplit(url).query))
    if count <= _SMALL:
        return None
    hinted = [name for name in _PAIRS if name in given or name.lower() in facts.echoes]
    if not hinted and any(name.startswith("@odata") for name in facts.echoes):
        hinted = ["$top"]
    limits = [*hinted, *(name for name in _PAIRS if name not in hinted)]
    for limit in limits[: 1 if hinted else 4]:
        answer = ask(_with(url, {limit: str(_SMALL)}), {})
        if answer is None or list(answer.identities) != list(first.identities[:_SMALL]):
            continue
        skips = sorted(
            _PAIRS[limit], key=lambda name: name not in given and name.lower() not in facts.echoes
        )
        for skip in skips:
            block = _begin_of(url, first, ask, limit, skip)
            if block is not None:
                size = int(given[limit]) if given.get(limit, "").isdecimal() else count
                block["limitMax" if block["type"] == "offset" else "pageSize"] = size
                note = f"the first answer held {size}; a larger page needs fewer requests"
                return PagingGuess(block, (note,), frozenset({limit, skip}))
        note = f"`{limit}` sets the page size, but what begins the next page was not found out"
        return PagingGuess({"type": "none"}, (note,))
    return None


def _begin_of(url: str, first: Sample, ask: Ask, limit: str, skip: str) -> dict[str, Any] | None:
    """The block for a parameter that begins the next page as offset or as page number."""
    answer = ask(_with(url, {limit: str(_SMALL), skip: str(_SMALL)}), {})
    if answer is None or not answer.identities:
        return None
    got = list(answer.identities)
    keys = {"limitKey": limit, "skipKey": skip}
    ids = list(first.identities)
    is_page = "page" in skip.lower()
    if got == ids[_SMALL : 2 * _SMALL] and not is_page:
        return {"type": "offset", **keys}
    if got == ids[_SMALL : 2 * _SMALL]:
        return {"type": "page", **keys, "firstPage": 1}
    if got == ids[2 * _SMALL : 3 * _SMALL]:
        return {"type": "page", **keys, "firstPage": 0}
    return None


def _ask_at(url: str, target: str, ask: Ask) -> Sample | None:
    try:
        return ask(urljoin(url, target), {})
    except ValueError:  # no URL
        return None


def _is_second(first: Sample, answer: Sample | None) -> bool:
    """Whether an answer is another page: records, and none that the first one has."""
    if answer is None or not answer.identities:
        return False
    return not set(answer.identities) & set(first.identities)


def _with(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if name not in parameters]  # fmt: skip
    return urlunsplit(
        parts._replace(query=urlencode([*kept, *parameters.items()], safe="$", quote_via=quote))
    )


def _read_facts(surroundings: Mapping[str, Any] | None) -> _Facts:
    facts = _Facts()
    for path, name, value in _scalars(surroundings or {}, "", 0):
        facts.echoes.add(name.lower())
        if isinstance(value, bool):
            if _MORE.search(name):
                facts.more.append((path, value))
        elif isinstance(value, int):
            if _TOTAL_PAGES.search(name):
                facts.pages.append(path)
            elif _TOTAL.search(name):
                facts.totals.append((path, value))
        elif isinstance(value, str) and value:
            looks_like_url = re.match(r"https?://|/|\?", value) is not None
            if looks_like_url and _NEXT_URL.search(path.replace("']", "")):
                facts.urls.append((path, value))
            elif not looks_like_url and (_CURSOR.search(name) or name.lower() == "next"):
                facts.cursors.append((path, name, value))
    facts.cursors.sort(key=lambda found: "next" not in found[1].lower())
    return facts


def _scalars(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(value, Mapping) or depth > 3:
        return
    for name, inner in value.items():
        step = spell_step(name)
        inner_path = path + step if path else step.removeprefix(".")
        if isinstance(inner, Mapping):
            yield from _scalars(inner, inner_path, depth + 1)
        else:
            yield inner_path, name, inner


def _total_of(facts: _Facts, count: int) -> tuple[str, int] | None:
    """The number of records in all; `count` alone often is the number in this page."""
    likely = [found for found in facts.totals if found[1] >= count]
    likely.sort(key=lambda found: (re.search("total", found[0], re.IGNORECASE) is None, -found[1]))
    for path, value in likely:
        if value > count or "total" in path.lower():
            return path, value
    return None


def _other_stops(
    facts: _Facts, block: Mapping[str, Any], stops: Mapping[str, str]
) -> dict[str, Any]:
    """Total pages or a has-more flag, where there is no total; a page size of ours shifts pages."""
    if stops or block.get("type") == "none":
        return {}
    if facts.more:
        return {"hasMorePath": facts.more[0][0]}
    return {"totalPagesPath": facts.pages[0]} if facts.pages and block["type"] == "page" else {}
