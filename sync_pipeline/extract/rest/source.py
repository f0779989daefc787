"""REST sources: one generator of pages over enumerated entries, pages and chunks.

::

    leaves of the enumeration ─► pages of a leaf ─► chunks of a large response ─► Page
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination, keys_that_say
from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.formats import read_records
from sync_pipeline.extract.http.auth import secret_pairs, without_query
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.http.client import HttpRequest, SourceHttp
from sync_pipeline.extract.http.retrying import TransientFailure
from sync_pipeline.extract.rest.enumeration import Leaf, leaves_from
from sync_pipeline.extract.rest.paging.declared import Declared
from sync_pipeline.extract.rest.paging.ending import (
    advance,
    declares_more,
    may_be_repeat,
    request_page,
    start,
)
from sync_pipeline.extract.rest.paging.path_watch import PathWatch, explain
from sync_pipeline.extract.rest.paging.state import PageFacts, PageRequest, PagingState, Step
from sync_pipeline.extract.rest.paging.styles import style_of
from sync_pipeline.extract.rest.position import Position
from sync_pipeline.extract.rest.reading import (
    LargeBody,
    SmallBody,
    facts_of,
    facts_of_small,
    open_rows,
    read_body,
    read_chunks,
    refuse_part,
)
from sync_pipeline.extract.rest.requesting import RequestTemplates
from sync_pipeline.extract.trail import LENGTH, Trail, follows, trail_of
from sync_pipeline.model import Page, Row

#: Answers to a request that only makes sure that nothing follows, and that mean just that.
_NOTHING_FOLLOWS = frozenset({400, 404, 410, 416, 422})

#: Times that one response is read from its first record again because it has changed.
_MAX_CHANGES = 3


class _ChangedError(Exception):
    """A response that is asked for again is another one by now."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some records of a leaf, and how to go on after them."""

    records: list[Row]
    #: None: the leaf is done.
    paging: PagingState | None
    #: Leading records of the next page that were read already.
    record: int = 0
    trail: Trail = ()
    total: int | None = None
    #: See `PagingState.last_below`; known at the end of a leaf.
    last_below: int | None = None


class RestSource:
    """A source behind HTTP; made by `opening`."""

    def __init__(
        self,
        config: SyncConfig,
        *,
        plan: Pagination,
        templates: RequestTemplates,
        http: SourceHttp,
        leaves: Callable[[], Iterator[Leaf]],
        context: Mapping[str, Any],
        secret: str | None,
        secret_query: frozenset[str],
        limit: int | None,
        count_requests: Callable[[], int],
        log: logging.Logger,
        warn: Callable[[str], None],
    ) -> None:
        self._config = config
        self._plan = plan
        self._templates = templates
        self._http = http
        self._leaves = leaves
        self._context = context
        self._secret = secret
        self._secret_query = secret_query
        self._limit = limit
        self._count_requests = count_requests
        self._log = log
        self._tell = warn
        self._watch = self._open_watch(Position())

    def fetch_pages(self, resume_from: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """Yield the pages, from the first or after a checkpoint.

        An empty page stands for a request that brought nothing. The checkpoint of a page is None
        where it is known to be the last; otherwise the iterator ends after a further, empty page.

        Raises:
            SourceError: The source cannot be reached or refuses; `.retryable` tells.
            SourceDataError: It answers with something else than the config declares.
            ConfigError: A template cannot be rendered.
        """
        position = Position()
        if resume_from is not None:
            position = Position.from_json(resume_from, self._plan.style)
        if self._is_enough(position.records):
            return
        self._watch = self._open_watch(position)
        counted = self._count_requests()
        for leaf, has_following in _look_ahead(self._leaves_after(position)):
            if leaf.ids != position.leaf or position.paging is None:
                position = replace(
                    position,
                    leaf=leaf.ids,
                    paging=start(self._plan, last_below=position.last_below),
                    record=0,
                    trail=(),
                )
            while position.paging is not None:
                for part in self._read(leaf, position):
                    records = part.records[: self._wanted(position.records)]
                    position = replace(
                        position,
                        pages=position.pages + 1,
                        records=position.records + len(records),
                        paging=part.paging,
                        record=part.record,
                        trail=part.trail,
                        last_below=(
                            position.last_below if part.last_below is None else part.last_below
                        ),
                        watched=self._watch.to_json(),
                    )
                    is_enough = self._is_enough(position.records)
                    is_last = is_enough or (part.paging is None and not has_following)
                    if is_last:
                        self._watch.end(position.records)
                    now = self._count_requests()
                    yield Page(
                        number=position.pages,
                        records=records,
                        checkpoint=None if is_last else position.to_json(self._plan.style),
                        total=self._total(part.total, position.records),
                        requests=now - counted,
                        variables=leaf.variables,
                    )
                    counted = now
                    if is_enough:
                        return

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._http.close()

    def _leaves_after(self, position: Position) -> Iterator[Leaf]:
        leaves = self._leaves()
        if position.leaf is None:
            return leaves
        leaves = leaves_from(leaves, position.leaf)
        if position.paging is None:
            next(leaves)
        return leaves

    def _read(self, leaf: Leaf, position: Position) -> Iterator[_Part]:
        state = position.paging or start(self._plan)
        # Those of this page that were kept are asked for again, to be passed over.
        wanted = self._wanted(position.records - position.record)
        page = request_page(self._plan, state, wanted)
        request, home = self._templates.build(self._plan, page, {**self._context, **leaf.variables})
        if self._plan.style == "none" and self._plan.total_path is None:
            yield from self._stream(request, home, state, position)
            return
        body = self._fetch(request, home, state)
        if isinstance(body, SmallBody):
            facts = facts_of_small(body, self._plan, state, page.limit)
            step = self._advance(request, state, page, facts, body.declared)
            # A response that outgrew its first reading is cut where the first one was.
            first = position.record
            if trail_of(body.records[:first]) != position.trail:
                first = self._begin_again(request, first)
            yield self._part([] if step.is_repeat else body.records[first:], step, body.declared)
            return
        try:
            yield from self._read_large(request, page, state, body, position)
        finally:
            body.close()

    def _fetch(self, request: HttpRequest, home: str, state: PagingState) -> SmallBody | LargeBody:
        def read(answer: Answer) -> SmallBody | LargeBody:
            return read_body(
                answer,
                self._config,
                self._plan,
                is_later=state.records > 0,
                expects_more=state.said_more or declares_more(state),
            )

        try:
            return self._http.fetch(request, read, home=home)
        except SourceError as err:
            if state.is_confirming and err.status in _NOTHING_FOLLOWS:
                # Where nothing is declared, this may hide records: a reader should know.
                is_sure = state.total is not None or state.total_pages is not None
                self._log.log(
                    logging.INFO if is_sure else logging.WARNING,
                    "%s answered status %s: taken for the end",
                    self._http.name(request),
                    err.status,
                )
                return SmallBody([], Declared())
            plan = self._plan
            is_guess = style_of(plan).counts and state.pages > 0 and not keys_that_say(plan)
            if is_guess and err.status in _NOTHING_FOLLOWS:
                raise SourceError(
                    f"{err}. The page before it was full: if this is how the source says that "
                    f"nothing follows, declare pagination.totalPath, totalPagesPath or hasMorePath "
                    f"(totalHeader or totalPagesHeader where a header of its answers says it)",
                    status=err.status,
                ) from err
            raise

    def _read_large(
        self,
        request: HttpRequest,
        page: PageRequest,
        state: PagingState,
        body: LargeBody,
        position: Position,
    ) -> Iterator[_Part]:
        if may_be_repeat(state, body.digest):
            # Decided before any record of it is given out.
            facts = facts_of(body.declared, 1, digest=body.digest)
            step = self._advance(request, state, page, facts, body.declared)
            yield self._part([], step, body.declared)
            return
        skip, trail = position.record, position.trail
        while True:
            first = skip - len(trail)
            with open_rows(body, self._config, skip=first, secret=self._secret) as rows:
                if not follows(rows, trail):
                    skip, trail = self._begin_again(request, skip), ()
                    continue
                for records, done, is_last in read_chunks(rows, skip):
                    if not is_last:
                        total = self._declared_total(body.declared)
                        yield _Part(records, state, done, trail_of(records), total)
                        continue
                    facts = facts_of(body.declared, done, digest=body.digest)
                    step = self._advance(request, state, page, facts, body.declared)
                    yield self._part(records, step, body.declared)
                return

    def _begin_again(self, request: HttpRequest, record: int) -> int:
        """Say that records which were kept are read again; gives the first record to read: 0."""
        self._log.warning(
            "%s: the answer has changed since its first %d records were kept: it is read from its "
            "first record again, and what comes twice is merged",
            self._http.name(request), record,
        )  # fmt: skip
        return 0

    def _stream(
        self, request: HttpRequest, home: str, state: PagingState, position: Position
    ) -> Iterator[_Part]:
        skip, trail = position.record, position.trail
        kept = skip
        for _ in range(_MAX_CHANGES):
            rows = self._stream_rows(request, home, skip, trail)
            try:
                for records, done, is_last in read_chunks(rows, skip):
                    kept = done
                    if is_last:
                        yield _Part(records, None)
                    else:
                        yield _Part(records, state, done, trail_of(records))
            except _ChangedError:
                skip, trail = self._begin_again(request, kept), ()
            else:
                return
            finally:
                rows.close()
        raise SourceDataError(
            f"{self._http.name(request)}: the answer breaks off, and is another one each time that "
            f"it is asked for again. Ask for it in a stable order, or in pages"
        )

    def _stream_rows(
        self, request: HttpRequest, home: str, skip: int, trail: Trail
    ) -> Generator[Row, None, None]:
        """The rows of one response while it arrives; if it breaks, the rest of a new one.

        Raises:
            _ChangedError: The rows that are passed over are not those that left the trail.
        """
        attempts = self._http.attempts()
        done = skip
        recent: deque[Row] = deque(maxlen=LENGTH)
        while True:
            try:
                with self._http.open(request, home=home) as answer:
                    if answer.is_empty:
                        return
                    refuse_part(answer)
                    rows = read_records(
                        answer.stream,  # type: ignore[arg-type]  # RawIOBase is enough
                        self._config,
                        content_type_header=answer.content_type,
                        url=answer.redacted_url,
                        skip=done - len(trail),
                        secret=self._secret,
                        memory=answer.texts,
                    )
                    if not follows(rows, trail):
                        raise _ChangedError
                    for row in rows:
                        done += 1
                        recent.append(row)
                        attempts.note_progress()
                        yield row
                    return
            except TransientFailure as failure:
                trail = trail_of(list(recent)) or trail
                attempts.wait(failure)

    def _advance(
        self,
        request: HttpRequest,
        state: PagingState,
        page: PageRequest,
        facts: PageFacts,
        declared: Declared,
    ) -> Step:
        name = self._http.name(request)
        try:
            try:
                step = advance(self._plan, state, page.limit, facts)
            except SourceDataError as err:
                raise SourceDataError(f"{err}{explain(declared)}") from err
            self._watch.note(name, state, facts.received, declared, step)
        except SourceDataError as err:
            raise SourceDataError(self._http.redact(f"{name}: {err}")) from err
        if step.notice:
            self._warn(f"{name}: {step.notice}")
        if step.next is None or not step.next.token or not style_of(self._plan).is_url:
            return step
        # A key in the query string is put to every request again, and must not get to the disk.
        own = secret_pairs(request.url, self._templates.secrets)
        names = self._secret_query.union(own, request.secret_query)
        token = without_query(step.next.token, names)
        return replace(step, next=replace(step.next, token=token))

    def _open_watch(self, position: Position) -> PathWatch:
        return PathWatch(
            position.watched, warn=self._warn, redact=self._http.redact, config=self._config
        )

    def _warn(self, text: str) -> None:
        self._tell(self._http.redact(text))

    def _part(self, records: list[Row], step: Step, declared: Declared) -> _Part:
        total = self._declared_total(declared)
        last_below = step.last_below if step.next is None else None
        return _Part(records, step.next, total=total, last_below=last_below)

    def _declared_total(self, declared: Declared) -> int | None:
        return None if self._config.enumerate_for_content_types else declared.total

    def _total(self, total: int | None, records: int) -> int | None:
        if total is None or total < records:
            return None  # not declared, or untrue
        return total if self._limit is None else min(total, self._limit)

    def _wanted(self, records: int) -> int | None:
        return None if self._limit is None else self._limit - records

    def _is_enough(self, records: int) -> bool:
        return self._limit is not None and records >= self._limit


def _look_ahead(leaves: Iterator[Leaf]) -> Iterator[tuple[Leaf, bool]]:
    """Each leaf, and whether another follows."""
    for leaf in leaves:
        current = leaf
        for following in leaves:
            yield current, True
            current = following
        yield current, False
