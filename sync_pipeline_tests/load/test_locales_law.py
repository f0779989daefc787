"""Law: whatever editors do between and during runs, a run brings out what it wrote, nothing else."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.publish import BulkHabits
from sync_pipeline_tests.harness.space import SpaceServer
from sync_pipeline_tests.load.locale_space import LOCALES, LocaleSpace, open_locale_space, page

#: `{entry id: {(field, locale): value}}` as the public sees it.
Public: TypeAlias = "Mapping[str, Mapping[tuple[str, str], Any]]"
ENTRIES = ("a", "b")
_numbers = itertools.count()


@dataclass(frozen=True)
class Edit:
    """An editor changes a value."""

    entry_id: str
    field_id: str
    locale: str


@dataclass(frozen=True)
class EditorPublish:
    """An editor publishes some locales."""

    entry_id: str
    locales: tuple[str, ...]


@dataclass(frozen=True)
class Sync:
    """A run; `interrupted`: an editor does something before its n-th publish, or it is killed."""

    locales: tuple[str, ...]
    text: str
    publish: str
    is_bulk: bool
    interrupted: Edit | EditorPublish | str | None


def some(values: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(
        lambda v: tuple(sorted(v))
    )


EDITS = st.one_of(
    st.builds(Edit, st.sampled_from(ENTRIES), st.sampled_from(["title", "note"]),
              st.sampled_from(LOCALES)),
    st.builds(EditorPublish, st.sampled_from(ENTRIES), some(LOCALES)),
)  # fmt: skip
SYNCS = st.builds(
    Sync,
    some(LOCALES),
    st.sampled_from(["one", "two"]),
    st.sampled_from(["changed", "changed", "changed", "none"]),
    st.booleans(),
    st.one_of(st.none(), EDITS, st.just("killed")),
)


def edit(pages: LocaleSpace, step: Edit | EditorPublish) -> None:
    held = pages.space.raw_entries()
    if step.entry_id not in {entry["sys"]["id"] for entry in held}:
        pages.put_page(step.entry_id, {})
    if isinstance(step, Edit):
        pages.edit(step.entry_id, step.field_id, step.locale, f"editor {next(_numbers)}")
    else:
        pages.publish(step.entry_id, step.locales)


def public(pages: LocaleSpace) -> Public:
    items = pages.space.call("GET", "/public/entries?content_type=page&limit=1000")["items"]
    return {
        item["sys"]["id"]: {
            (field_id, code): value
            for field_id, values in item["fields"].items()
            for code, value in values.items()
        }
        for item in items
    }


def run(pages: LocaleSpace, step: Sync) -> None:
    left = [step.interrupted]

    def meanwhile(_method: str, path: str) -> None:
        if not (path.endswith(("/published", "/publish")) or path == "/bulk_actions"):
            return
        happens = left.pop() if left else None
        if isinstance(happens, str):
            pages.client.meanwhile = lambda _method, _path: None
            raise SpaceError(happens)
        if happens is not None:
            edit(pages, happens)

    pages.client.meanwhile = meanwhile
    desired = [page(name, step.locales, step.text) for name in ENTRIES]
    try:
        pages.run(desired, publish=step.publish, habits=BulkHabits(is_offered=step.is_bulk))
    except SpaceError:
        assert step.interrupted == "killed"
    finally:
        pages.client.meanwhile = lambda _method, _path: None


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.one_of(EDITS, SYNCS), min_size=2, max_size=7))
def test_no_locale_and_no_value_goes_out_that_the_sync_did_not_write(
    space_of_session: SpaceServer, steps: list[Edit | EditorPublish | Sync]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pages = open_locale_space(space_of_session, Path(directory))
        with pages.client, pages.ledger:
            #: Locales and values that this sync has written so far.
            written: dict[str, set[str]] = {name: {"en-US"} for name in ENTRIES}
            texts: set[Any] = {*ENTRIES}
            for step in steps:
                if not isinstance(step, Sync):
                    edit(pages, step)
                    continue
                before, out = public(pages), {e: pages.out(e) for e in pages.all_states()}
                texts |= {f"{step.text} {code}" for code in step.locales}
                for name in ENTRIES:
                    written[name] |= set(step.locales)
                run(pages, step)
                if isinstance(step.interrupted, EditorPublish):
                    continue  # he has brought out something himself
                for entry in pages.space.raw_entries():
                    entry_id, key = entry["sys"]["id"], entry["fields"]["sku"]["en-US"]
                    new = pages.out(entry_id) - out.get(entry_id, set())
                    assert new <= written[key]
                    shown = public(pages).get(entry_id, {})
                    seen = before.get(entry_id, {})
                    fresh = {value for place, value in shown.items() if seen.get(place) != value}
                    assert fresh <= texts


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(st.one_of(EDITS, SYNCS), max_size=5),
    last=st.builds(Sync, some(LOCALES), st.just("last"), st.just("changed"), st.booleans(),
                   st.sampled_from([None, "killed"])),
)  # fmt: skip
def test_a_run_and_one_after_it_bring_out_all_that_no_editor_has_touched(
    space_of_session: SpaceServer, steps: list[Edit | EditorPublish | Sync], last: Sync
) -> None:
    """Of locales that are published as they stand before; and the next run writes nothing."""
    with tempfile.TemporaryDirectory() as directory:
        pages = open_locale_space(space_of_session, Path(directory))
        with pages.client, pages.ledger:
            for step in steps:
                edit(pages, step) if not isinstance(step, Sync) else run(pages, step)
            before = pages.all_states()
            partly = {
                name
                for name, states in before.items()
                if set(states.values()) != {"published"} or is_clean(pages, name)
            }
            run(pages, last)
            run(pages, Sync(last.locales, "last", "changed", last.is_bulk, None))
            after = pages.all_states()
            for name in partly:
                for code in last.locales:
                    if before[name][code] == "published":
                        assert after[name][code] == "published"
            desired = [page(name, last.locales, "last") for name in ENTRIES]
            pages.run(desired)
            assert pages.written == []


def is_clean(pages: LocaleSpace, entry_id: str) -> bool:
    sys = pages.entry(entry_id)["sys"]
    return bool(sys["version"] == sys.get("publishedVersion", -1) + 1)
