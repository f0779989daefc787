"""Publishing entries: in bulk, 200 an action, and finding out who is to blame when one fails.

A bulk action publishes all of its entries or none. A failed one names the culprits: they are
dropped and the rest is sent again. Where nobody is named, versions are read again, and where that
tells nothing the entries are halved, down to single publishes, whose answers are definite.

Only the version that was written is published. If somebody has changed the entry since, publishing
it would publish their draft: it is skipped with a reason, but for those locales that still hold
what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sync_pipeline.load.answer import Answer, describe_error
from sync_pipeline.load.bulk_action import (
    BY_LOCALE,
    GIVE_UP_S,
    WHOLE,
    BulkAction,
    BulkStyle,
    await_action,
    is_unresolved_link,
    named_errors,
)
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.fate import is_refusal
from sync_pipeline.load.paging import read_by_values
from sync_pipeline.load.publish_item import (
    GONE,
    MOVED,
    PublishItem,
    PublishResult,
    added,
    bulk_payload,
    is_out,
    keep_untouched,
    missing_locales,
    style_of,
)
from sync_pipeline.load.shapes import entry_of, is_action, published_entry_of

#: Entries of one bulk action; the API's limit.
MAX_ITEMS = 200
#: Bulk actions under way at once; the API allows 5 a space, one is left to the editors.
MAX_ACTIVE = 4
#: Times that a failed action names culprits before the rest is published one by one.
_MAX_ROUNDS = 8
#: Seconds before an entry whose link target was created just now is tried again.
_LINK_PAUSES_S = (1.0, 2.0, 4.0)
#: Times that the fate of one publish may be unknown, or others get in between.
_MAX_TRIES = 10


@dataclass(slots=True)
class BulkHabits:
    """What bulk actions of a space have been like; to be handed on from batch to batch."""

    #: Whether the space offers them, as far as is known.
    is_offered: bool = True
    #: Likewise those that name the locales of each entry, which fewer spaces have.
    is_by_locale_offered: bool = True
    #: Seconds that an action took lately: the next is asked about when it should be done.
    usual_s: float = 0.0


class Publisher:
    """Publishes for one batch or run; may be used by several threads.

    Args:
        client: The space.
        follows_moves: `publish: all`: an entry that somebody changed meanwhile is published as it
            is now.
        habits: What is known of bulk actions from before; kept up to date.
    """

    def __init__(
        self,
        client: SpaceClient,
        *,
        follows_moves: bool = False,
        habits: BulkHabits | None = None,
    ) -> None:
        self._client = client
        self._follows_moves = follows_moves
        self._habits = habits or BulkHabits()
        self._has_given_up = False

    def publish(
        self, items: Iterable[PublishItem], *, awaits_links: bool = True
    ) -> dict[str, PublishResult]:
        """Publish entries, each exactly in the version stated.

        Args:
            items: The entries.
            awaits_links: Whether to wait some seconds for the targets of their links to appear.

        Returns:
            A result for every entry, by id.

        Raises:
            SpaceError: The space refuses us or cannot be reached. What was published stays so.
        """
        unique = list({item.entry_id: item for item in items}.values())
        work = _Work(self._client, self, {}, _LINK_PAUSES_S if awaits_links else ())
        for style in (WHOLE, BY_LOCALE):
            group = [item for item in unique if style_of(item) is style]
            for start in range(0, len(group), MAX_ITEMS):
                work.publish_group(group[start : start + MAX_ITEMS])
        return work.results

    def has_bulk(self, style: BulkStyle) -> bool:
        """Whether the space offers such bulk actions and ends them, as far as is known."""
        habits = self._habits
        is_refused = style is BY_LOCALE and not habits.is_by_locale_offered
        return habits.is_offered and not is_refused and not self._has_given_up

    def drop_bulk(self, style: BulkStyle, why: object) -> None:
        """The space offers no such bulk actions; later batches need not ask."""
        if style is WHOLE:
            self._habits.is_offered = False
        else:
            self._habits.is_by_locale_offered = False
        self._client.log.info(
            "The space offers no bulk publishing%s (%s); publishing entries one by one",
            "" if style is WHOLE else " of single locales",
            why,
        )

    @property
    def habits(self) -> BulkHabits:
        """What bulk actions have been like so far."""
        return self._habits

    @property
    def follows_moves(self) -> bool:
        """Whether drafts of others are published too."""
        return self._follows_moves

    def give_up_bulk(self) -> None:
        """Begin no further action: one did not end. The next batch tries again."""
        self._has_given_up = True


@dataclass(frozen=True, slots=True)
class _Work:
    """One call of `publish`: fills `results`."""

    client: SpaceClient
    publisher: Publisher
    results: dict[str, PublishResult]
    #: Seconds before an entry whose link target is missing is tried again.
    link_pauses_s: Sequence[float]

    def publish_group(self, items: Sequence[PublishItem], rounds: int = 0, pauses: int = 0) -> None:
        """Publish up to 200 entries, all of one style; `rounds` and `pauses` count what was tried
        before.
        """
        if not items:
            return
        style = style_of(items[0])
        if len(items) == 1 or not self.publisher.has_bulk(style) or rounds > _MAX_ROUNDS:
            self._publish_singly(items)
            return
        answer = self.client.request(
            "POST",
            style.path,
            json=bulk_payload(items, style),
            tolerate=(403, 404, 429),
            expects=is_action,
        )
        if answer.is_ok:
            self._follow(items, answer, rounds, pauses)
        elif answer.is_ambiguous:
            self._find_out(items, answer, rounds, pauses)
        elif answer.status in {403, 404}:
            self.publisher.drop_bulk(style, answer.status)
            self._publish_singly(items)
        elif answer.status == 429:
            # Others keep all of the actions that a space may have going.
            self._publish_singly(items)
        elif answer.status in {400, 409}:
            self._recheck(items, rounds, pauses, is_refused=True)
        else:
            self._narrow(items, rounds, pauses, is_refused=True)

    def _follow(
        self, items: Sequence[PublishItem], accepted: Answer, rounds: int, pauses: int
    ) -> None:
        """See an action that was accepted to its end."""
        habits = self.publisher.habits
        action = await_action(self.client, accepted, habits.usual_s, style_of(items[0]))
        if action.status == "succeeded":
            habits.usual_s = 0.9 * action.waited_s
            for item in items:
                self._published(item, item.version)
        elif action.status == "failed":
            self._drop_culprits(items, action, rounds, pauses)
        else:
            if action.waited_s >= GIVE_UP_S:
                self.client.log.info(
                    "The space has not ended a bulk action in five minutes; publishing entries "
                    "one by one"
                )
                self.publisher.give_up_bulk()
            # Halves would be actions again, which may not end either.
            self._publish_singly(self._not_yet_out(items))

    def _find_out(
        self, items: Sequence[PublishItem], answer: Answer, rounds: int, pauses: int
    ) -> None:
        """Nobody knows whether the action was begun: it may be done, be going, or never come.

        Versions make another one harmless: what the first has published by then, it refuses.
        """
        self.client.back_off(rounds)
        left = self._not_yet_out(items)
        if is_refusal(answer.status):  # by a proxy, which would do so again
            self._publish_singly(left)
        else:
            self.publish_group(left, rounds + 1, pauses)

    def _not_yet_out(self, items: Sequence[PublishItem]) -> list[PublishItem]:
        """Those that are not seen to be published. A collection lags behind, but never ahead."""
        sys_by_id = self._read_versions(items)
        left: list[PublishItem] = []
        for item in items:
            sys = sys_by_id.get(item.entry_id, {})
            if is_out(sys, item, needs_clean=self.publisher.follows_moves):
                self._published(item, int(sys["publishedVersion"]))
            else:
                left.append(item)
        return left

    def _read_versions(self, items: Sequence[PublishItem]) -> dict[str, Mapping[str, Any]]:
        params = {"select": "sys.id,sys.version,sys.publishedVersion,sys.fieldStatus"}
        ids = [item.entry_id for item in items]
        return {
            str(body["sys"]["id"]): body["sys"]
            for body in read_by_values(self.client, params, "sys.id", ids)
        }

    def _narrow(
        self, items: Sequence[PublishItem], rounds: int, pauses: int, *, is_refused: bool
    ) -> None:
        """Look for whom to blame, as nobody is named; `is_refused`: the action did not begin."""
        if is_refused and style_of(items[0]) is BY_LOCALE:
            # Newer than the other style, and not on every plan: maybe no such action is taken.
            self._publish_singly(items)
            if all(self.results[item.entry_id].status != "failed" for item in items):
                self.publisher.drop_bulk(BY_LOCALE, "it refuses the request")
            return
        middle = len(items) // 2
        self.publish_group(items[:middle], rounds, pauses)
        self.publish_group(items[middle:], rounds, pauses)

    def _drop_culprits(
        self, items: Sequence[PublishItem], action: BulkAction, rounds: int, pauses: int
    ) -> None:
        named = named_errors(action)
        rest, moved, unresolved, unclear = [], [], [], []
        for item in items:
            error = named.get(item.entry_id)
            if error is None:
                rest.append(item)
            elif error.error_id in {"VersionMismatch", "Conflict", "NotFound"}:
                moved.append(item)
            elif is_unresolved_link(error) and pauses < len(self.link_pauses_s):
                unresolved.append(item)
            elif error.mapping.get("sys"):
                self._failed(item.entry_id, error)
            else:
                unclear.append(item)
        if len(rest) == len(items):
            self._recheck(items, rounds, pauses)
            return
        self._publish_singly(unclear)
        self._recheck(moved, rounds + 1, pauses)
        self.publish_group(rest, rounds + 1, pauses)
        if unresolved:
            # The target of a link counts as missing for some seconds after it was created.
            self.client.sleep(self.link_pauses_s[pauses])
            self.publish_group(unresolved, rounds, pauses + 1)

    def _recheck(
        self, items: Sequence[PublishItem], rounds: int, pauses: int, *, is_refused: bool = False
    ) -> None:
        """Read the versions again: who is not what the action said?"""
        if len(items) < 2:
            self._publish_singly(items)
            return
        sys_by_id = self._read_versions(items)
        versions = {entry_id: sys["version"] for entry_id, sys in sys_by_id.items()}
        as_said = [item for item in items if versions.get(item.entry_id) == item.version]
        other = [item for item in items if versions.get(item.entry_id) != item.version]
        if not other:
            self._narrow(items, rounds, pauses, is_refused=is_refused)
            return
        # A collection lags behind writes; a single publish tells for certain.
        self._publish_singly(other)
        self.publish_group(as_said, rounds + 1, pauses)

    def _publish_singly(self, items: Sequence[PublishItem]) -> None:
        if len(items) < 2:
            for item in items:
                self._publish_one(item)
            return
        threads = min(len(items), self.client.settings.concurrency)
        with ThreadPoolExecutor(threads, thread_name_prefix="publish-one") as executor:
            for _ in executor.map(self._publish_one, items):
                pass

    def _publish_one(self, item: PublishItem) -> None:
        path = f"/entries/{item.entry_id}"
        due, version, pauses = item, item.version, 0
        for attempt in range(_MAX_TRIES):
            answer = self.client.request(
                "PUT",
                f"{path}/published",
                json=None if due.locales is None else added(due.locales),
                headers={"X-Contentful-Version": str(version)},
                expects=published_entry_of(item.entry_id, version),
            )
            if answer.is_ok:
                self._published(due, version, missing_locales(item, due))
                return
            if answer.status == 404 and not answer.is_ambiguous:
                self._skipped(item.entry_id, GONE)
                return
            if answer.status == 422 and is_unresolved_link(answer):
                if pauses < len(self.link_pauses_s):
                    self.client.sleep(self.link_pauses_s[pauses])
                    pauses += 1
                    continue
                break
            if not answer.is_ambiguous and answer.status != 409:
                break
            if answer.is_ambiguous:
                self.client.back_off(attempt)
            found = self.client.request("GET", path, expects=entry_of(item.entry_id))
            if found.status == 404:
                self._skipped(item.entry_id, GONE)
                return
            if not found.is_ok:
                break
            sys = found.mapping["sys"]
            if is_out(sys, due, needs_clean=self.publisher.follows_moves):
                self._published(due, int(sys["publishedVersion"]), missing_locales(item, due))
                return
            if sys["version"] != version:
                moved = self._follow_move(due, found)
                if moved is None:
                    self._skipped(item.entry_id, MOVED)
                    return
                due, version = moved, int(sys["version"])
        self._failed(item.entry_id, answer)

    def _follow_move(self, item: PublishItem, found: Answer) -> PublishItem | None:
        """What of an entry may still go out, though somebody has changed it meanwhile."""
        return item if self.publisher.follows_moves else keep_untouched(item, found.mapping)

    def _published(self, item: PublishItem, version: int, moved: tuple[str, ...] = ()) -> None:
        self.results[item.entry_id] = PublishResult(
            item.entry_id, "published", version, locales=item.locales, moved=moved
        )

    def _skipped(self, entry_id: str, reason: str) -> None:
        self.results[entry_id] = PublishResult(entry_id, "skipped", message=reason)

    def _failed(self, entry_id: str, answer: Answer) -> None:
        problems = answer.problems
        self.results[entry_id] = PublishResult(
            entry_id,
            "failed",
            error_id=answer.error_id,
            field=problems[0].field if problems else "",
            message=describe_error(answer),
            request_id=answer.request_id,
            is_unresolved=is_unresolved_link(answer),
        )
