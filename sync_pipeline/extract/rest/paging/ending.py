"""From one page to the next: pure, frozen state machines, one decision a response.

Knows nothing of HTTP, templates or formats. `request_page` says what to ask for, the caller asks
and tells what came back as `PageFacts`, `advance` decides::

    PagingState ─ request_page ─► PageRequest ─► (HTTP) ─► PageFacts ─ advance ─► Step
         ▲                                                                         │
         └─────────────────────────────── Step.next ───────────────────────────────┘

A state is small and JSON-able whatever the number of pages; it is what a checkpoint holds. The
rules and why they are so: `docs/sources.md`, "When the extraction ends".
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from sync_pipeline.config.pagination import Fact, Pagination, keys_that_say
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.rest.paging.state import PageFacts, PageRequest, PagingState, Step
from sync_pipeline.extract.rest.paging.style import PagingStyle
from sync_pipeline.extract.rest.paging.styles import style_of

#: Empty pages in a row that still name a next one before they are taken for the end.
MAX_EMPTY_PAGES = 10
#: Pages in a row of one small size, where nothing says how many there are.
MOST_LITTLE_PAGES = 200
#: Last records of a page that are compared with the page after it.
TAIL = 8


def start(plan: Pagination, *, last_below: int = 0) -> PagingState:
    """The state before the first request."""
    return PagingState(position=style_of(plan).first(plan), last_below=last_below)


def request_page(plan: Pagination, state: PagingState, wanted: int | None = None) -> PageRequest:
    """What to ask for next.

    Args:
        plan: The source's style.
        state: Where the paging is.
        wanted: Records that the run still wants (`limit`); None: all. No more than these are
            asked for where the style allows to change the page size.
    """
    style = style_of(plan)
    size = state.size if state.size is not None else plan.page_size
    may_shrink = style.counts == "records" or state.pages == 0
    if size is not None and wanted is not None and may_shrink and plan.limit_key:
        size = max(1, min(size, wanted))
    query = {plan.limit_key: str(size)} if plan.limit_key and size is not None else {}
    page = PageRequest(query, skip=state.position, limit=size, cursor=state.token or "")
    return style.ask(plan, state, page)


def advance(plan: Pagination, state: PagingState, asked: int | None, facts: PageFacts) -> Step:
    """Decide after a response.

    Args:
        plan: The source's style.
        state: The state that the request was made from.
        asked: Records that were asked for (`PageRequest.limit`).
        facts: What came back.

    Raises:
        SourceDataError: The pages go in circles, or end before what the source declares.
    """
    state, notice = _note_declared(plan, state, facts)
    if state.is_doubtful:
        return _after_doubt(plan, state, facts)
    if facts.received and any(
        is_over(state, facts) for is_over in (_repeats_last_page, _begins_again, _names_itself)
    ):
        if _may_begin_at_one(plan, state) and facts.has_more is None and not _declares_total(state):
            asks_once_more = replace(state, position=2, is_confirming=True, is_doubtful=True)
            return Step(asks_once_more, is_repeat=True)
        return replace(_end(plan, _note_last(state), facts), is_repeat=True)
    if facts.received:
        state = _note_records(plan, state, asked, facts)
        if state.total is not None and state.records > state.total:
            notice = (
                f"the source declares {state.total} records and has delivered {state.records}: "
                f"the declared total is not used any more"
            )
            state = replace(state, total=None, is_total_untrue=True)
    else:
        state = replace(state, pages=state.pages + 1, empty_pages=state.empty_pages + 1)
    style = style_of(plan)
    if style.counts is not None:
        step = _after_counted(style, plan, state, asked, facts)
    elif style.pointer:
        step = _after_token(style, plan, state, facts)
    else:
        step = _end(plan, state, facts)
    notices = (facts.notice, step.notice or notice)
    return replace(step, notice="; ".join(text for text in notices if text))


def _may_begin_at_one(plan: Pagination, state: PagingState) -> bool:
    """Whether page 1 is looked at after page 0: many servers take 0 for 1."""
    return style_of(plan).counts == "pages" and plan.first_page == 0 and state.position == 1


def _after_doubt(plan: Pagination, state: PagingState, facts: PageFacts) -> Step:
    """Page 1 was page 0 again, which was short: it is the only one, or 0 was taken for 1."""
    is_new = facts.received and not state.page_guard.has_seen(facts.digest)
    if is_new and not _overlap(state.tail, facts.record_digests):
        raise SourceDataError(
            "page 1 is page 0 again, and page 2 has other records: the source counts its pages "
            "from 1. State `firstPage: 1` in `pagination`"
        )
    return replace(_end(plan, _note_last(state), facts), is_repeat=bool(facts.received))


def _after_counted(
    style: PagingStyle, plan: Pagination, state: PagingState, asked: int | None, facts: PageFacts
) -> Step:
    if facts.has_more is False:
        return _end(plan, state, facts)
    if facts.received == 0:
        if facts.has_more and style.counts == "pages" and state.empty_pages < MAX_EMPTY_PAGES:
            return Step(replace(state, position=state.position + 1, is_confirming=False))
        return _end(plan, _note_last(state) if state.short else state, facts)
    is_short = asked is not None and facts.received < asked
    has_declared = facts.has_more is not None or _declares_total(state)
    if not has_declared and state.little >= MOST_LITTLE_PAGES:
        raise SourceDataError(
            f"{state.little:,} pages in a row of one small size ({facts.received}), after longer "
            f"ones, and nothing says where they end: the source seems to answer for any page. "
            f"Declare pagination.totalPath, totalPagesPath or hasMorePath"
        )
    is_sure = state.total is not None and state.total_pages is not None
    if facts.has_more is None and _declares_total(state) and not declares_more(state):
        if is_short or is_sure:
            return _end(plan, state, facts)
        # The page is full: a total that is too low looks just the same. One request tells.
        is_confirming = True
    elif not has_declared and is_short:
        if state.last_below > 0 and facts.received < max(state.last_below, state.longest):
            return _end(plan, state, facts)
        # The end, or a server that gives fewer records than asked. One request tells.
        is_confirming = True
    else:
        is_confirming = False
    size = state.size
    step = facts.received if style.counts == "records" else 1
    if style.counts == "pages" and state.pages == 1:
        # Every page must be of one size. Without any declaration the size that the server really
        # used is asked for from now on, which is right whether or not it counts by its own.
        size = facts.received if is_short and not has_declared else asked
    return Step(
        replace(
            state,
            position=state.position + step,
            size=size,
            short=facts.received if is_short else 0,
            is_confirming=is_confirming,
            tail=facts.record_digests[-TAIL:] if is_short else (),
        )
    )


def _after_token(
    style: PagingStyle, plan: Pagination, state: PagingState, facts: PageFacts
) -> Step:
    token = facts.token or None
    is_complete = _declares_total(state) and not declares_more(state)
    if token is None and facts.has_more is None and state.said_more and facts.received:
        if not is_complete:
            raise SourceDataError(
                f"page {state.pages} neither names a next page ({style.noun(plan)}) nor says "
                f"whether more records follow ({_key(plan, 'has_more')}), and an earlier page said "
                f"that they do. If the source leaves both out of its last page, take "
                f"{_key(plan, 'has_more').rpartition('.')[2]} out"
            )
        return _end(plan, state, facts)
    if facts.has_more is False or token is None:
        return _end(plan, state, facts)
    is_more_declared = facts.has_more is True or declares_more(state)
    if state.token_guard.has_seen(digest_token(token)):
        if facts.received == 0 and not is_more_declared:
            return _end(plan, state, facts)
        raise SourceDataError(
            f"page {state.pages} names a next page ({style.noun(plan)}) that was already read: "
            f"paging would never end. Check {style.to_check}"
        )
    if state.empty_pages >= MAX_EMPTY_PAGES:
        if is_more_declared:
            raise SourceDataError(
                f"{state.empty_pages} empty pages in a row, although the source says that more "
                f"records follow. Check resultsJsonPath and {style.to_check}"
            )
        step = _end(plan, state, facts)
        notice = f"{state.empty_pages} empty pages in a row: taken for the end"
        return replace(step, notice=notice)
    guard = state.token_guard.after(digest_token(token))
    tail = facts.record_digests[-TAIL:]
    return Step(replace(state, token=token, token_guard=guard, tail=tail))


def _note_declared(
    plan: Pagination, state: PagingState, facts: PageFacts
) -> tuple[PagingState, str]:
    notice = ""
    if facts.total is not None and not state.is_total_untrue:
        if state.total is not None and facts.total < state.total and style_of(plan).counts:
            notice = (
                f"the declared total fell from {state.total} to {facts.total} while paging: "
                f"records may have moved between pages; the next sync reads them again"
            )
        state = replace(state, total=facts.total)
    if facts.total_pages is not None:
        state = replace(state, total_pages=facts.total_pages)
    if facts.has_more is not None:
        state = replace(state, said_more=facts.has_more)
    return state, notice


def _repeats_last_page(state: PagingState, facts: PageFacts) -> bool:
    """Whether a page that was asked for only to make sure brings nothing new.

    So answer servers that ignore the offset, that give the last page for any later one, or that
    hide records after cutting the page: there is no further page.
    """
    recent = state.page_guard.recent
    if (state.short or state.is_confirming) and recent and facts.digest == recent[-1]:
        return True
    overlap = _overlap(state.tail, facts.record_digests) if state.short else 0
    if overlap and overlap < facts.received:
        raise SourceDataError(
            f"page {state.pages + 1} begins with records of the page before it, which was shorter "
            f"than asked: this source leaves records out of its pages. Declare "
            f"pagination.totalPath, use `type: page` or a cursor, or set limitMax to the number of "
            f"records that the source gives at most"
        )
    return overlap > 0


def _begins_again(state: PagingState, facts: PageFacts) -> bool:
    """Whether a cursor led from the last record that is declared to a page that was there before.

    Some cursors are never empty.
    """
    is_complete = state.total is not None and state.records == state.total
    return is_complete and bool(facts.digest) and state.page_guard.has_seen(facts.digest)


def _names_itself(state: PagingState, facts: PageFacts) -> bool:
    """Whether a page names itself as the next one, and has only the last records of the one before.

    So end exports by time whose border is inclusive. A page that repeats all of the one before it
    is none of those: that server may ignore the cursor.
    """
    if facts.received > TAIL or not facts.token or state.page_guard.has_seen(facts.digest):
        return False
    is_own = state.token_guard.recent[-1:] == (digest_token(facts.token),)
    return is_own and _overlap(state.tail, facts.record_digests) == facts.received


def _overlap(tail: tuple[str, ...], digests: tuple[str, ...]) -> int:
    """Records at the beginning of a page that are the end of the page before it."""
    if not tail:
        return 0
    for count in range(len(digests), 0, -1):
        if digests[count - 1] == tail[-1]:
            compared = min(count, len(tail))
            if digests[count - compared : count] == tail[-compared:]:
                return count
    return 0


def _note_records(
    plan: Pagination, state: PagingState, asked: int | None, facts: PageFacts
) -> PagingState:
    if facts.digest and state.page_guard.has_seen(facts.digest):
        size = f" (asked for {asked} records a page)" if asked else ""
        hint = (
            ". If it counts its pages from 1 (0 is taken for 1), state `firstPage: 1` in "
            "`pagination`. Else"
        )
        raise SourceDataError(
            f"page {state.pages + 1} repeats an earlier page{size}"
            f"{hint if _may_begin_at_one(plan, state) else ''}: the source ignores where to go on, "
            f"and paging would never end. Check the names in `pagination`, or state "
            f"`pagination: {{type: none}}` if one response holds everything"
        )
    guard = state.page_guard.after(facts.digest) if facts.digest else state.page_guard
    is_little = facts.received == state.received and 2 * facts.received <= state.longest
    return replace(
        state,
        received=facts.received,
        little=state.little + 1 if is_little else 0,
        pages=state.pages + 1,
        records=state.records + facts.received,
        longest=max(state.longest, facts.received),
        # More after a page that no cap had shortened: this server leaves records out of its pages.
        last_below=-1 if state.short < state.longest and state.short else state.last_below,
        empty_pages=0,
        page_guard=guard,
    )


def _note_last(state: PagingState) -> PagingState:
    """A short page was the last one. So is any that is shorter than the longest: a server that
    gives fewer records than asked has given that many, and would have given the rest.
    """
    if state.last_below < 0:
        return state
    return replace(state, last_below=max(state.last_below, state.longest))


def _declares_total(state: PagingState) -> bool:
    return state.total is not None or state.total_pages is not None


def declares_more(state: PagingState) -> bool:
    """Whether a declared total, of records or pages, is still to be reached."""
    return (state.total is not None and state.records < state.total) or (
        state.total_pages is not None and state.pages < state.total_pages
    )


def _end(plan: Pagination, state: PagingState, facts: PageFacts) -> Step:
    if facts.has_more is True:
        raise SourceDataError(
            f"page {state.pages} says that more records follow ({_key(plan, 'has_more')}), but "
            f"nothing leads on; {state.records} records were read"
        )
    if state.total is not None and state.records < state.total:
        raise SourceDataError(
            f"the source declares {state.total} records ({_key(plan, 'total')}), but its pages "
            f"end after {state.records}: the sync would be short. If the declared number counts "
            f"something else, take {_key(plan, 'total').rpartition('.')[2]} out"
        )
    if state.total_pages is not None and state.pages < state.total_pages:
        raise SourceDataError(
            f"the source declares {state.total_pages} pages ({_key(plan, 'total_pages')}), but its "
            f"pages end after {state.pages}: the sync would be short"
        )
    return Step(None, last_below=state.last_below)


def may_be_repeat(state: PagingState, digest: str) -> bool:
    """Whether a page with this digest was there before: `advance` decides what that means."""
    return state.page_guard.has_seen(digest)


def digest_token(token: str) -> str:
    """Digest by which cursors and URLs are compared."""
    return blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _key(plan: Pagination, fact: Fact) -> str:
    """The key whose place said so."""
    return " or ".join(keys_that_say(plan, fact))
