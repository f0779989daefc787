from __future__ import annotations

from collections import Counter

from sync_pipeline_tests.load.conftest import Sync, products
from sync_pipeline_tests.load.small_space import SpaceState


def actions(outcomes) -> Counter[str]:
    return Counter(outcome.action for outcome in outcomes)


def test_new_entries_are_created_and_published_in_order(sync: Sync, space: SpaceState) -> None:
    outcomes = sync.run(products(450))
    assert actions(outcomes) == {"created": 450}
    assert [outcome.ordinal for outcome in outcomes] == list(range(450))
    assert all(outcome.published for outcome in outcomes)
    assert len(space.entries) == 450
    assert all(space.is_published(entry_id) for entry_id in space.entries)
    assert sync.ledger.all_pending() == ()


def test_the_second_run_writes_nothing(sync: Sync, space: SpaceState) -> None:
    sync.run(products(1200))
    space.requests.clear()
    outcomes = sync.run(products(1200))
    assert actions(outcomes) == {"unchanged": 1200}
    assert space.writes == []
    assert len(space.requests) == 2 + 2


def test_new_entries_cost_at_most_three_percent_more_requests_than_entries(
    sync: Sync, space: SpaceState
) -> None:
    sync.run(products(1000))
    assert len(space.requests) <= 1030
