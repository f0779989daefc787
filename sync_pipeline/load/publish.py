"""Publishing entries: in bulk, 200 an action, and finding out who is to blame when one fails.

A bulk action publishes all of its entries or none. A failed one names the culprits: they are
dropped and the rest is sent again. Where nobody is named, versions are read again, and where that
tells nothing the entries are halved, down to single publishes, whose answers are definite.

Only the version that was written is published. If somebody has changed the entry since, publishing
it would publish their draft: it is skipped with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from sync_pipeline.load.answer import Answer, describe_error
from sync_pipeline.load.bulk_action import (
    GIVE_UP_S,
    BulkAction,
    await_action,
    is_unresolved_link,
    named_errors,
)
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.fate import is_refusal
from sync_pipeline.load.paging import read_by_values
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

MOVED = "somebody else changed it after it was written"
GONE = "it was deleted after it was written"


@dataclass(frozen=True, slots=True)
class PublishItem:
    """An entry, and the version of it that is to be published."""

    entry_id: str
    version: int


@dataclass(frozen=True, slots=True)
class PublishResult:
    """How publishing one entry ended."""

    entry_id: str
    status: Literal["published", "skipped", "failed"]
    #: Version that is published now.
    published_version: int | None = None
    #: Of a failure, as in a dead letter.
    error_id: str = ""
    field: str = ""
    #: Of a failure, or why it was skipped.
    message: str = ""
    request_id: str = ""
    #: Of a failure: the target of a link is missing, and may be made later.
    is_unresolved: bool = False


@dataclass(slots=True)
class BulkHabits:
    """What bulk actions of a space have been like; to be handed on from batch to batch."""

    #: Whether the space offers them, as far as is known.
    is_offered: bool = True
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
        for start in range(0, len(unique), MAX_ITEMS):
            work.publish_group(unique[start : start + MAX_ITEMS])
        return work.results

    @property
    def has_bulk(self) -> bool:
        """Whether the space offers bulk actions and ends them, as far as is known."""
        return self._habits.is_offered and not self._has_given_up

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
        """Publish up to 200 entries; `rounds` and `pauses` count what was tried before."""
        if not items:
            return
        if len(items) == 1 or not self.publisher.has_bulk or rounds > _MAX_ROUNDS:
            self._publish_singly(items)
            return
        answer = self.client.request(
            "POST",
            "/bulk_actions/publish",
            json=_payload(items),
            tolerate=(403, 404, 429),
            expects=is_action,
        )
        if answer.is_ok:
            action = await_action(self.client, answer, self.publisher.habits.usual_s)
            if action.status == "succeeded":
                self.publisher.habits.usual_s = 0.9 * action.waited_s
                for item in items:
                    self._published(item.entry_id, item.version)
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
        elif answer.is_ambiguous:
            self._find_out(items, answer, rounds, pauses)
        elif answer.status in {403, 404}:
            self.client.log.info(
                "The space offers no bulk publishing (%s); publishing entries one by one",
                answer.status,
            )
            self.publisher.habits.is_offered = False
            self._publish_singly(items)
        elif answer.status == 429:
            # Others keep all of the actions that a space may have going.
            self._publish_singly(items)
        elif answer.status in {400, 409}:
            self._recheck(items, rounds, pauses)
        else:
            self._halve(items, rounds, pauses)

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
            if self._is_out(sys, item):
                self._published(item.entry_id, int(sys["publishedVersion"]))
            else:
                left.append(item)
        return left

    def _is_out(self, sys: Mapping[str, Any], item: PublishItem) -> bool:
        """Whether what was to be published is, whatever somebody has changed after that."""
        published = sys.get("publishedVersion") or -1
        is_clean = sys.get("version") == published + 1
        return published >= item.version and (is_clean or not self.publisher.follows_moves)

    def _read_versions(self, items: Sequence[PublishItem]) -> dict[str, Mapping[str, Any]]:
        params = {"select": "sys.id,sys.version,sys.publishedVersion"}
        ids = [item.entry_id for item in items]
        return {
            str(body["sys"]["id"]): body["sys"]
            for body in read_by_values(self.client, params, "sys.id", ids)
        }

    def _halve(self, items: Sequence[PublishItem], rounds: int, pauses: int) -> None:
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

    def _recheck(self, items: Sequence[PublishItem], rounds: int, pauses: int) -> None:
        """Read the versions again: who is not what the action said?"""
        if len(items) < 2:
            self._publish_singly(items)
            return
        sys_by_id = self._read_versions(items)
        versions = {entry_id: sys["version"] for entry_id, sys in sys_by_id.items()}
        as_said = [item for item in items if versions.get(item.entry_id) == item.version]
        other = [item for item in items if versions.get(item.entry_id) != item.version]
        if not other:
            self._halve(items, rounds, pauses)
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
        version = item.version
        pauses = 0
        for attempt in range(_MAX_TRIES):
            answer = self.client.request(
                "PUT",
                f"{path}/published",
                headers={"X-Contentful-Version": str(version)},
                expects=published_entry_of(item.entry_id, version),
            )
            if answer.is_ok:
                self._published(item.entry_id, version)
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
            if self._is_out(sys, item):
                self._published(item.entry_id, int(sys["publishedVersion"]))
                return
            if sys["version"] != version:
                if not self.publisher.follows_moves:
                    self._skipped(item.entry_id, MOVED)
                    return
                version = int(sys["version"])
        self._failed(item.entry_id, answer)

    def _published(self, entry_id: str, version: int) -> None:
        self.results[entry_id] = PublishResult(entry_id, "published", version)

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


def _payload(items: Sequence[PublishItem]) -> dict[str, object]:
    return {
        "entities": {
            "sys": {"type": "Array"},
            "items": [
                {
                    "sys": {
                        "type": "Link",
                        "linkType": "Entry",
                        "id": item.entry_id,
                        "version": item.version,
                    }
                }
                for item in items
            ],
        }
    }
