"""Locales of entries that somebody else changes while a sync is at them, or after it was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.ledger import PendingPublish
from sync_pipeline.load.plan import derive_entry_id
from sync_pipeline.load.publish import BulkHabits
from sync_pipeline.load.publish_item import MOVED
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.model import DesiredEntry
from sync_pipeline_tests.harness.space import SpaceServer
from sync_pipeline_tests.load.locale_space import LocaleSpace, open_locale_space, page

ENGLISH, BOTH = ("en-US",), ("en-US", "de-DE")
#: Out in English, a draft of an editor in German, empty in French.
HALF = {"en-US": "published", "de-DE": "draft"}


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture
def pages(space_of_session: SpaceServer, tmp_path: Path) -> Iterator[LocaleSpace]:
    opened = open_locale_space(space_of_session, tmp_path)
    with opened.client, opened.ledger:
        yield opened


def kill_before_publish(pages: LocaleSpace, desired: list[DesiredEntry], **options: Any) -> None:
    """A run that ends when it has written, and noted what the space said."""

    def kill(_method: str, path: str) -> None:
        if "publish" in path or path.startswith("/bulk_actions"):
            raise SpaceError("killed")

    pages.client.meanwhile = kill
    with pytest.raises(SpaceError, match="killed"):
        pages.run(desired, **options)
    pages.client.meanwhile = lambda _method, _path: None


def kill_before_answer(pages: LocaleSpace, desired: list[DesiredEntry]) -> None:
    """A run that ends when its writes are carried out, and has heard no answer."""

    class Killing(Iterator[DesiredEntry]):
        def __init__(self) -> None:
            self.left = [*desired]
            self.is_read = False

        def __next__(self) -> DesiredEntry:
            if self.left:
                return self.left.pop(0)
            if self.is_read:
                raise KilledError
            self.is_read = True
            raise StopIteration

    options = UpsertOptions(apply=True, concurrency=len(desired))
    with pages.index() as index, pytest.raises(KilledError):
        list(upsert_entries(pages.client, index, Killing(), options, pages.ledger))
    for entry in desired:
        assert pages.entry(entry.key)["fields"]["title"] != {}, "the write was carried out"


@pytest.mark.parametrize("is_bulk", [True, False], ids=["bulk", "single"])
@pytest.mark.parametrize("kill", [kill_before_publish, kill_before_answer])
def test_after_a_kill_between_write_and_publish_the_next_run_publishes_what_was_written(
    pages: LocaleSpace, kill: Callable[..., None], is_bulk: bool
) -> None:
    names = ("a", "b")
    for name in names:
        pages.put_page(name, {**HALF, "fr-FR": "empty"})
    desired = [page(name, ("en-US", "fr-FR")) for name in names]
    kill(pages, desired)
    assert all(states["en-US"] == "changed" for states in pages.all_states().values())
    outcomes = pages.run(desired, habits=BulkHabits(is_offered=is_bulk))
    assert [(o.action, o.published) for o in outcomes.values()] == [("unchanged", True)] * 2
    assert [o.locales_left for o in outcomes.values()] == [("de-DE",)] * 2
    for states in pages.all_states().values():
        assert states == {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}
    assert pages.ledger.all_pending() == ()
    pages.run(desired)
    assert pages.written == []


@pytest.mark.parametrize("kill", [kill_before_publish, kill_before_answer])
def test_after_a_kill_a_run_with_other_values_publishes_those(
    pages: LocaleSpace, kill: Callable[..., None]
) -> None:
    pages.put_page("a", HALF)
    kill(pages, [page("a", ENGLISH, "first")])
    outcomes = pages.run([page("a", ENGLISH, "second")])
    assert outcomes["a"].published
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}


def test_after_a_kill_before_the_write_nothing_of_an_editor_goes_out(pages: LocaleSpace) -> None:
    """The note is made first, so it may be about a version that an editor made."""
    pages.put_page("a", {"en-US": "published", "de-DE": "published"})
    version = pages.entry("a")["sys"]["version"]
    pages.note(
        PendingPublish("a", version, version + 1, locales=frozenset({"en-US", "fr-FR"}),
                       unverified=frozenset({"fr-FR"}))
    )  # fmt: skip
    pages.edit("a", "note", "en-US", "unseen")
    outcomes = pages.run([page("a", BOTH)])
    assert outcomes["a"].published
    assert pages.states("a") == {"en-US": "changed", "de-DE": "published", "fr-FR": "draft"}


@pytest.mark.parametrize("kill", [kill_before_publish, kill_before_answer])
@pytest.mark.parametrize("held_by", ["title", "note"])
def test_after_a_kill_a_locale_in_which_an_editor_has_begun_stays_a_draft(
    pages: LocaleSpace, kill: Callable[..., None], held_by: str
) -> None:
    """It was empty in the mapped fields when it was written, or is so in all that were read."""
    pages.put_page("a", {"en-US": "published", "de-DE": "noted" if held_by == "note" else "draft"})
    kill(pages, [page("a", BOTH)])
    outcomes = pages.run([page("a", BOTH)])
    assert outcomes["a"].published
    assert outcomes["a"].locales_left == ("de-DE",)
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}
    assert pages.ledger.all_pending() == ()


@pytest.mark.parametrize("text", ["new", "newer"], ids=["same values", "other values"])
@pytest.mark.parametrize(
    ("field_id", "locale", "after"),
    [
        ("title", "de-DE", {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "de-DE", {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "en-US", {"en-US": "changed", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "fr-FR", {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}),
    ],
)
def test_what_an_editor_changed_after_a_kill_stays_unpublished_and_the_rest_goes_out(
    pages: LocaleSpace, field_id: str, locale: str, after: dict[str, str], text: str
) -> None:
    pages.put_page("a", HALF)
    kill_before_publish(pages, [page("a", ("en-US", "fr-FR"))])
    pages.edit("a", field_id, locale, "unseen")
    outcomes = pages.run([page("a", ("en-US", "fr-FR"), text)])
    assert outcomes["a"].published
    assert pages.states("a") == after
    assert pages.ledger.all_pending() == ()
    pages.run([page("a", ("en-US", "fr-FR"), text)])
    assert pages.written == []


def test_a_dry_run_after_a_kill_says_what_the_run_will_do(pages: LocaleSpace) -> None:
    pages.put_page("a", HALF)
    kill_before_publish(pages, [page("a", ENGLISH)])
    pages.edit("a", "title", "de-DE", "unseen")
    notes = pages.ledger.all_pending()
    dry = pages.run([page("a", ENGLISH)], apply=False)
    assert pages.ledger.all_pending() == notes
    real = pages.run([page("a", ENGLISH)])
    assert (dry["a"].published, dry["a"].locales_left) == (True, ("de-DE",))
    assert (real["a"].published, real["a"].locales_left) == (True, ("de-DE",))


@pytest.mark.parametrize("names", ["a", "abc"], ids=["single", "bulk"])
@pytest.mark.parametrize("before", ["PATCH", "publish"])
@pytest.mark.parametrize(
    ("field_id", "locale", "after"),
    [
        ("title", "de-DE", {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "de-DE", {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "en-US", {"en-US": "changed", "de-DE": "draft", "fr-FR": "published"}),
        ("note", "fr-FR", {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}),
    ],
)
def test_an_editor_who_gets_in_between_keeps_his_locale(
    pages: LocaleSpace, names: str, before: str, field_id: str, locale: str, after: dict[str, str]
) -> None:
    for name in names:
        pages.put_page(name, HALF)
    desired = [page(name, ("en-US", "fr-FR")) for name in names]
    edited: list[str] = []

    def edit(method: str, path: str) -> None:
        is_publish = path.endswith("/published") or path == "/bulk_actions"
        if ("publish" if is_publish else method) == before and not edited:
            edited.append(path)
            pages.edit("a", field_id, locale, "unseen")

    pages.client.meanwhile = edit
    outcomes = pages.run(desired)
    assert edited
    assert pages.states("a") == after
    assert outcomes["a"].published
    written = {"en-US", "fr-FR"}
    kept = {code for code in written if after[code] != "published"}
    assert bool(outcomes["a"].publish_skipped) == bool(kept)
    if kept and before == "publish":
        assert outcomes["a"].publish_skipped == f"{MOVED} in {locale}"
        assert locale in outcomes["a"].locales_left
    for name in names[1:]:
        assert pages.states(name)["en-US"] == "published"
    assert pages.ledger.all_pending() == ()


def take_back(pages: LocaleSpace) -> None:
    version = pages.entry("a")["sys"]["version"]
    body = {"remove": {"fields": {"*": ["en-US"]}}}
    pages.space.call("PUT", "/entries/a/published", body, X_Contentful_Version=str(version))


def take_back_all(pages: LocaleSpace) -> None:
    pages.space.call("DELETE", "/entries/a/published")


def tag(pages: LocaleSpace) -> None:
    pages.space.call("PUT", "/tags/t", {"name": "T", "sys": {"visibility": "public"}})
    held = pages.entry("a")
    link = {"sys": {"type": "Link", "linkType": "Tag", "id": "t"}}
    pages.space.call(
        "PUT",
        "/entries/a",
        {"fields": held["fields"], "metadata": {"tags": [link], "concepts": []}},
        X_Contentful_Version=str(held["sys"]["version"]),
    )


@pytest.mark.parametrize("is_killed", [True, False], ids=["after a kill", "in between"])
@pytest.mark.parametrize(
    ("act", "english"), [(take_back, "draft"), (take_back_all, "draft"), (tag, "changed")]
)
def test_what_an_editor_takes_back_or_tags_is_not_brought_out_though_its_values_are_ours(
    pages: LocaleSpace, act: Callable[[LocaleSpace], None], english: str, is_killed: bool
) -> None:
    pages.put_page("a", {"en-US": "published", "de-DE": "published"})

    def come_in_between(_method: str, path: str) -> None:
        if path.endswith("/published"):
            pages.client.meanwhile = lambda _method, _path: None
            act(pages)

    if is_killed:
        kill_before_publish(pages, [page("a", ENGLISH)])
        act(pages)
    else:
        pages.client.meanwhile = come_in_between
    outcomes = pages.run([page("a", ENGLISH)])
    assert not outcomes["a"].published
    assert pages.states("a")["en-US"] == english
    assert pages.ledger.all_pending() == ()
    pages.run([page("a", ENGLISH)])
    assert pages.written == []


def test_an_editor_who_changes_all_that_was_written_keeps_all(pages: LocaleSpace) -> None:
    pages.put_page("a", HALF)

    def edit(_method: str, path: str) -> None:
        if path.endswith("/published") and pages.states("a")["en-US"] == "changed":
            pages.client.meanwhile = lambda _method, _path: None
            pages.edit("a", "note", "en-US", "unseen")

    pages.client.meanwhile = edit
    outcomes = pages.run([page("a", ENGLISH)])
    assert (outcomes["a"].published, outcomes["a"].publish_skipped) == (False, MOVED)
    assert pages.states("a")["en-US"] == "changed"


@pytest.mark.parametrize("fault", ["reset_after", "reset_before", "502"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_request_of_unknown_fate_brings_no_other_locale_out(
    pages: LocaleSpace, method: str, fault: Any
) -> None:
    pages.put_page("a", HALF)
    failed: list[str] = []

    def fail_once(request: Any) -> Any:
        if request.method != method or failed:
            return None
        failed.append(request.path)
        return fault

    pages.space.fault = fail_once
    outcomes = pages.run([page("a", ("en-US", "fr-FR"))])
    assert failed
    assert outcomes["a"].published
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}
    assert pages.ledger.all_pending() == ()


def test_a_publish_of_another_locale_is_not_taken_for_ours(pages: LocaleSpace) -> None:
    """Ours was lost; an editor has published German at the very version that we wrote."""
    pages.put_page("a", HALF)

    def publish(request: Any) -> Any:
        return "reset_before" if request.path.endswith("/published") and not lost else None

    lost: list[str] = []

    def get_in(method: str, _path: str) -> None:
        if method == "GET" and pages.states("a")["en-US"] == "changed" and not lost:
            lost.append("")
            pages.publish("a", ["de-DE"])

    pages.space.fault, pages.client.meanwhile = publish, get_in
    outcomes = pages.run([page("a", ENGLISH)])
    assert lost
    assert outcomes["a"].published
    assert pages.states("a") == {"en-US": "published", "de-DE": "published", "fr-FR": "draft"}


def test_what_waits_for_links_is_published_later_in_the_locales_that_were_written(
    pages: LocaleSpace,
) -> None:
    pages.change_field("link", type="Link", linkType="Entry")
    pages.put_page("a", HALF)
    value = {"sys": {"type": "Link", "linkType": "Entry", "id": derive_entry_id("page", "b")}}
    linked = page("a", ENGLISH)
    linked = replace(linked, fields={**linked.fields, "link": {"en-US": value}})
    first = pages.run([linked], may_come=lambda _ids: True)
    assert (first["a"].is_put_off, first["a"].published) == (True, False)
    assert pages.states("a")["en-US"] == "changed"
    pages.run([page("b", ENGLISH)])
    second = pages.run([linked])
    assert second["a"].published
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}


def test_what_fails_to_be_published_is_tried_again_in_its_locales(pages: LocaleSpace) -> None:
    pages.change_field("title", validations=[{"size": {"max": 9}}])
    pages.put_page("a", HALF)
    first = pages.run([page("a", ENGLISH, "far too long")])
    assert first["a"].action == "failed"
    pages.change_field("title", validations=[])
    pages.edit("a", "title", "de-DE", "unseen")
    second = pages.run([page("a", ENGLISH, "far too long")])
    assert (second["a"].action, second["a"].published) == ("unchanged", True)
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}


def test_a_run_that_publishes_nothing_leaves_its_locales_to_a_later_write(
    pages: LocaleSpace,
) -> None:
    pages.put_page("a", {**HALF, "fr-FR": "empty"})
    pages.run([page("a", ("en-US", "fr-FR"))], publish="none")
    pages.run([page("a", ("en-US", "fr-FR"))])
    assert pages.states("a") == {"en-US": "changed", "de-DE": "draft", "fr-FR": "draft"}
    outcomes = pages.run([page("a", ENGLISH, "newer")])
    assert outcomes["a"].published
    assert pages.states("a") == {"en-US": "published", "de-DE": "draft", "fr-FR": "published"}


@pytest.mark.parametrize("is_new", [True, False])
def test_a_note_of_an_earlier_version_brings_out_what_is_mapped(
    pages: LocaleSpace, is_new: bool
) -> None:
    """It was made for the entry as a whole."""
    entry_id = derive_entry_id("page", "a")
    if is_new:
        pages.put_page(entry_id, {})
        version = 1
    else:
        pages.put_page(entry_id, HALF)
        version = pages.entry(entry_id)["sys"]["version"]
    target = replace(page("a", ENGLISH), entry_id=entry_id)
    kill_before_publish(pages, [target])
    written = pages.entry(entry_id)["sys"]["version"]
    pages.note(PendingPublish(entry_id, version, written, is_confirmed=True))
    pages.run([target])
    assert pages.states(entry_id) == {"en-US": "published", "de-DE": "draft", "fr-FR": "draft"}
