"""Which locales go out: those that a sync wrote, and none of an editor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sync_pipeline.load.drafts import publish_drafts
from sync_pipeline.load.ownership import EDITORS_DRAFT
from sync_pipeline.load.publish import BulkHabits
from sync_pipeline_tests.harness.space import SpaceServer
from sync_pipeline_tests.load.locale_space import (
    LOCALES,
    STATES,
    LocaleSpace,
    open_locale_space,
    page,
)

ENGLISH, GERMAN, BOTH = ("en-US",), ("de-DE",), ("en-US", "de-DE")
#: Of an entry that is out in some locale: what becomes of a locale that the sync writes.
WRITTEN = {
    "published": "published",
    "changed": "changed",
    "draft": "draft",
    "noted": "draft",
    "empty": "published",
}
#: And of one that it does not write.
LEFT = {
    "published": "published",
    "changed": "changed",
    "draft": "draft",
    "noted": "draft",
    "empty": "draft",
}
#: `publish: all`: everything that somebody has put down.
ALL = {**dict.fromkeys(STATES, "published"), "empty": "draft"}
CASES = {
    f"{english}-{german}-{''.join(code[:2] for code in mapped)}": (english, german, mapped)
    for english, german, mapped in itertools.product(
        ("published", "changed", "draft"), STATES, (ENGLISH, GERMAN, BOTH)
    )
}


@pytest.fixture
def pages(space_of_session: SpaceServer, tmp_path: Path) -> Iterator[LocaleSpace]:
    opened = open_locale_space(space_of_session, tmp_path)
    with opened.client, opened.ledger:
        yield opened


def expected(english: str, german: str, mapped: tuple[str, ...], publish: str) -> dict[str, str]:
    before = {"en-US": english, "de-DE": german, "fr-FR": "empty"}
    if publish == "all":
        after = {code: ALL[state] for code, state in before.items()}
        return after | dict.fromkeys(mapped, "published")
    if not {english, german} & {"published", "changed"}:
        return dict.fromkeys(LOCALES, "draft")  # an editor's entry that nobody has seen yet
    if publish == "none":
        written = {**LEFT, "published": "changed"}
        return {c: (written if c in mapped else LEFT)[s] for c, s in before.items()}
    return {c: (WRITTEN if c in mapped else LEFT)[s] for c, s in before.items()}


@pytest.mark.parametrize(
    ("publish", "is_bulk", "is_clean"),
    [
        pytest.param("changed", True, False, id="changed, bulk, edited last"),
        pytest.param("changed", True, True, id="changed, bulk, published last"),
        pytest.param("changed", False, False, id="changed, single"),
        pytest.param("none", True, False, id="none"),
        pytest.param("all", True, False, id="all, bulk"),
        pytest.param("all", False, True, id="all, single"),
    ],
)
def test_only_locales_that_were_written_and_were_out_or_empty_go_out(
    pages: LocaleSpace, publish: str, is_bulk: bool, is_clean: bool
) -> None:
    for name, (english, german, _) in CASES.items():
        pages.put_page(name, {"en-US": english, "de-DE": german}, is_clean=is_clean)
    desired = [page(name, mapped) for name, (_, _, mapped) in CASES.items()]
    options = {"publish": publish, "habits": BulkHabits(is_offered=is_bulk)}
    dry = pages.run(desired, **options, apply=False)
    assert pages.written == []
    outcomes = pages.run(desired, **options)
    assert pages.all_states() == {name: expected(*case, publish) for name, case in CASES.items()}
    assert any(text.startswith("POST /bulk_actions") for text in pages.written) == (
        is_bulk and publish != "none"
    )
    assert {o.action for o in outcomes.values()} == {"updated"}
    for name, outcome in outcomes.items():
        out = {c for c in CASES[name][2] if expected(*CASES[name], publish)[c] == "published"}
        assert outcome.published == bool(out), name
        is_skipped = publish == "changed" and out < set(CASES[name][2])
        assert bool(outcome.publish_skipped) == is_skipped, name
        # A dry run does not know what fields outside the mapping hold.
        if "noted" not in CASES[name]:
            assert (dry[name].published, bool(dry[name].publish_skipped)) == (
                outcome.published, bool(outcome.publish_skipped),
            )  # fmt: skip
            assert dry[name].locales_left == outcome.locales_left
    again = pages.run(desired, **options)
    assert {o.action for o in again.values()} == {"unchanged"}
    assert pages.written == []


def test_what_stays_behind_is_counted_by_locale(pages: LocaleSpace) -> None:
    pages.put_page("a", {"en-US": "published", "de-DE": "draft", "fr-FR": "noted"})
    pages.put_page("b", {"en-US": "published", "de-DE": "changed"})
    pages.put_page("c", {"en-US": "published", "de-DE": "published"})
    pages.put_page("d", {"en-US": "changed", "de-DE": "published"})
    outcomes = pages.run([page(name, BOTH if name == "d" else ENGLISH) for name in "abcd"])
    assert {name: outcome.locales_left for name, outcome in outcomes.items()} == {
        "a": ("de-DE", "fr-FR"), "b": ("de-DE",), "c": (), "d": ("en-US",),
    }  # fmt: skip
    assert {name: outcome.publish_skipped for name, outcome in outcomes.items()} == {
        "a": "", "b": "", "c": "", "d": f"{EDITORS_DRAFT} in en-US",
    }  # fmt: skip


def test_an_entry_goes_out_as_a_whole_where_no_locale_is_held_back(pages: LocaleSpace) -> None:
    for name in "abcdef":
        rest = "published" if name < "d" else "draft"
        pages.put_page(name, {"en-US": "published", "de-DE": rest, "fr-FR": "published"})
    pages.run([page(name, ENGLISH) for name in "abcdef"])
    sent = [r.json() for r in pages.space.requests if r.method == "POST"]
    assert [text for text in pages.written if text.startswith("POST")] == [
        "POST /bulk_actions/publish", "POST /bulk_actions",
    ]  # fmt: skip
    assert [item["sys"]["id"] for item in sent[0]["entities"]["items"]] == list("abc")
    assert sent[1]["action"] == "publish"
    assert [(e["entity"]["sys"]["id"], e["add"]) for e in sent[1]["entities"]] == [
        (name, {"fields": {"*": ["en-US"]}}) for name in "def"
    ]


@pytest.mark.parametrize("is_bulk", [True, False], ids=["bulk", "single"])
@pytest.mark.parametrize("mapped", [ENGLISH, BOTH, LOCALES], ids=len)
def test_a_new_entry_goes_out_in_the_locales_that_were_written(
    pages: LocaleSpace, mapped: tuple[str, ...], is_bulk: bool
) -> None:
    desired = [page(name, mapped) for name in "abc"]
    outcomes = pages.run(desired, habits=BulkHabits(is_offered=is_bulk))
    assert all(outcome.published for outcome in outcomes.values())
    for states in pages.all_states().values():
        assert {code for code, state in states.items() if state != "draft"} == {"en-US", *mapped}
        assert "changed" not in states.values()
    assert pages.ledger.all_pending() == ()
    pages.run([page(name, mapped, "newer") for name in "abc"])
    pages.run([page(name, mapped, "newer") for name in "abc"])
    assert pages.written == []


def test_a_value_that_the_content_type_fills_in_brings_no_locale_out(pages: LocaleSpace) -> None:
    default = {"en-US": "filled", "de-DE": "eingesetzt"}
    pages.change_field("note", defaultValue=default)
    outcomes = pages.run([page("a", ENGLISH)])
    entry_id = outcomes["a"].entry_id
    assert pages.entry(entry_id)["fields"]["note"] == default
    assert pages.out(entry_id) == {"en-US"}
    assert outcomes["a"].locales_left == ("de-DE",)


def test_a_locale_is_published_again_and_again_past_a_draft_of_another(pages: LocaleSpace) -> None:
    pages.put_page("a", {"en-US": "published", "de-DE": "draft"})
    for text in ("first", "second", "third"):
        pages.run([page("a", ENGLISH, text)])
        assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}
        pages.edit("a", "title", "de-DE", f"Entwurf vor {text}")
    assert pages.entry("a")["fields"]["title"]["en-US"] == "third en-US"


def test_a_locale_that_is_emptied_is_published_as_such(pages: LocaleSpace) -> None:
    pages.put_page("a", {"en-US": "published", "de-DE": "published", "fr-FR": "draft"})
    emptied = replace(page("a", ENGLISH), cleared=(("title", "de-DE"),))
    pages.run([emptied])
    assert pages.states("a") == {"en-US": "published", "de-DE": "published", "fr-FR": "draft"}
    assert pages.entry("a")["fields"]["title"].get("de-DE") is None


def test_an_entry_changed_in_none_of_its_locales_is_somebody_elses(pages: LocaleSpace) -> None:
    """Its tags, say: they go out with any of its locales."""
    pages.put_page("a", {"en-US": "published", "de-DE": "published", "fr-FR": "published"})
    pages.save_unchanged("a")
    outcomes = pages.run([page("a", ENGLISH)])
    assert outcomes["a"].publish_skipped == EDITORS_DRAFT
    assert pages.states("a")["en-US"] == "changed"


def test_bulk_actions_by_locale_are_asked_for_once_where_they_are_refused(
    pages: LocaleSpace,
) -> None:
    pages.client.refused = {"/bulk_actions": 422}
    habits = BulkHabits()
    pages.run([page(name, ENGLISH) for name in "abc"], habits=habits)
    assert all(states["en-US"] == "published" for states in pages.all_states().values())
    assert habits == replace(habits, is_offered=True, is_by_locale_offered=False)
    assert pages.client.asked.count("POST /bulk_actions") == 1
    pages.run([page(name, ENGLISH, "newer") for name in "abc"], habits=habits)
    assert pages.client.asked.count("POST /bulk_actions") == 1
    assert all(states["de-DE"] == "draft" for states in pages.all_states().values())


@pytest.mark.parametrize("is_bulk", [True, False], ids=["bulk", "single"])
def test_drafts_of_others_are_published_in_the_locales_that_hold_something(
    pages: LocaleSpace, is_bulk: bool
) -> None:
    given = {
        "out": {"en-US": "published", "de-DE": "published", "fr-FR": "published"},
        "part": {"en-US": "published"},
        "draft": {"en-US": "published", "de-DE": "draft"},
        "noted": {"en-US": "published", "de-DE": "noted"},
        "changed": {"en-US": "changed", "de-DE": "published"},
        "unseen": {"en-US": "draft", "fr-FR": "noted"},
    }
    for name, states in given.items():
        pages.put_page(name, states, is_clean=True)
    target, habits = pages.target(), BulkHabits(is_offered=is_bulk)
    dry = list(publish_drafts(pages.client, target, apply=False))
    assert pages.all_states()["draft"]["de-DE"] == "draft"
    results = list(publish_drafts(pages.client, target, apply=True, habits=habits))
    assert {r.entry_id for r in dry} == {r.entry_id for r in results}
    assert {r.entry_id for r in results} == {"draft", "noted", "changed", "unseen"}
    assert pages.all_states() == {
        name: {code: ALL[states.get(code, "empty")] for code in LOCALES}
        for name, states in given.items()
    }
    assert list(publish_drafts(pages.client, target, apply=True)) == []
