"""The state machine by itself: no HTTP."""

import json
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.config.pagination import STYLES, Pagination
from sync_pipeline.extract.rest.paging import styles
from sync_pipeline.extract.rest.paging.ending import advance, request_page, start
from sync_pipeline.extract.rest.paging.state import RECENT, LoopGuard, PageFacts, PagingState
from sync_pipeline.extract.rest.paging.style import PagingStyle
from sync_pipeline.extract.rest.paging.styles import style_of
from sync_pipeline_tests.extract.sources import PAGINATIONS

OFFSET = Pagination(type="offset", limit_key="limit", skip_key="offset", page_size=10)
PAGE = Pagination(type="page", limit_key="size", skip_key="page", page_size=10, first_page=1)
CURSOR = Pagination(type="cursor", cursor_path="c", cursor_key="cursor")


def test_every_style_of_a_config_has_the_module_of_its_name():
    modules = {found.name for found in iter_modules(styles.__path__)}
    assert modules == STYLES.keys()
    assert all(isinstance(style_of(Pagination(type=name)), PagingStyle) for name in modules)


def test_every_style_has_a_row_in_the_conformance_tests():
    assert STYLES.keys() - PAGINATIONS.keys() == {"none"}


def test_a_request_says_what_the_style_needs():
    assert request_page(OFFSET, start(OFFSET)).query == {"limit": "10", "offset": "0"}
    assert request_page(PAGE, start(PAGE)).query == {"size": "10", "page": "1"}
    assert request_page(CURSOR, start(CURSOR)).query == {}
    step = advance(CURSOR, start(CURSOR), None, PageFacts(5, "d", token="abc"))
    assert request_page(CURSOR, step.next).query == {"cursor": "abc"}


@pytest.mark.parametrize("plan", [OFFSET, PAGE], ids=["offset", "page"])
@given(wanted=st.integers(1, 50))
def test_law_no_more_is_asked_than_wanted_and_never_nothing(plan, wanted):
    assert 1 <= request_page(plan, start(plan), wanted).limit == min(10, wanted)


@given(
    st.lists(
        st.tuples(st.integers(1, 10), st.none() | st.integers(500, 600), st.booleans()), max_size=30
    )
)
def test_law_a_state_survives_the_way_through_json(answers):
    state = start(OFFSET)
    for number, (received, total, has_more) in enumerate(answers):
        digests = tuple(f"{number}-{i}" for i in range(received))
        facts = PageFacts(received, str(number), digests, total, None, has_more or None)
        state = advance(OFFSET, state, 10, facts).next
        assert state is not None
        assert PagingState.from_json(json.loads(json.dumps(state.to_json()))) == state
        assert state.position == state.records == sum(n for n, _, _ in answers[: number + 1])


@given(start_at=st.integers(0, 200), period=st.integers(1, 200))
def test_law_every_circle_is_noticed_in_bounded_memory(start_at, period):
    guard, steps = LoopGuard(), 0

    def digest(n):
        return str(n if n < start_at else start_at + (n - start_at) % period)

    while not guard.has_seen(digest(steps)):
        guard = guard.after(digest(steps))
        steps += 1
        assert len(guard.recent) <= RECENT
        assert steps <= 4 * (start_at + period) + 4
    assert steps >= start_at + period


@given(st.lists(st.integers(), unique=True, max_size=300))
def test_law_what_does_not_repeat_is_never_called_a_circle(values):
    guard = LoopGuard()
    for value in values:
        assert not guard.has_seen(str(value))
        guard = guard.after(str(value))
