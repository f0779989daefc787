"""Entries of a batch that are written and wait to be published, until 200 are together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.ledger import Ledger
from sync_pipeline.load.outcome import Outcome, with_publish
from sync_pipeline.load.publish import MAX_ACTIVE, MAX_ITEMS, Publisher
from sync_pipeline.load.publish_item import PublishItem, PublishResult
from sync_pipeline.load.target_index import TargetIndex
from sync_pipeline.load.write import Written
from sync_pipeline.model import DesiredEntry


@dataclass(slots=True)
class Slot:
    """One desired entry on its way to its outcome."""

    desired: DesiredEntry
    outcome: Outcome | None = None
    write: Future[Written] | None = None
    #: Still to be published before the outcome is final.
    publish: PublishItem | None = None
    #: Its links lead to entries that are not there, maybe because this batch is still to make them.
    is_put_off: bool = False

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to this entry."""
        return self.outcome is not None and self.publish is None


def linked_ids(fields: Mapping[str, Any]) -> set[str]:
    """Ids of all that the fields of an entry link to, rich text included."""
    return set(_iterate_links(fields))


def _iterate_links(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        sys = value.get("sys")
        if isinstance(sys, Mapping) and sys.get("type") == "Link":
            yield str(sys.get("id"))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _iterate_links(item)


class PublishQueue:
    """Publishes in the background; results are recorded in the caller's thread."""

    def __init__(
        self,
        publisher: Publisher,
        index: TargetIndex,
        ledger: Ledger,
        may_come: Callable[[Collection[str]], bool],
    ) -> None:
        self._publisher = publisher
        self._may_come = may_come
        self._index = index
        self._ledger = ledger
        self._executor = ThreadPoolExecutor(MAX_ACTIVE, thread_name_prefix="publish")
        self._waiting: list[Slot] = []
        self._running: deque[tuple[list[Slot], Future[dict[str, PublishResult]]]] = deque()
        self._put_off: list[Slot] = []
        self._is_all_written = False
        #: The first error that concerns the whole run.
        self.error: SpaceError | None = None

    def close(self) -> None:
        """Wait for what is under way and drop the rest. Idempotent."""
        self._executor.shutdown(cancel_futures=True)

    def add(self, slots: Iterable[Slot]) -> None:
        """Take entries; starts an action whenever 200 are together."""
        self._waiting += [slot for slot in slots if slot.publish is not None]
        while len(self._waiting) >= MAX_ITEMS:
            self._submit()

    def gather_done(self) -> None:
        """Record the actions at the head that have ended, without waiting."""
        while self._running and self._running[0][1].done():
            self._gather()

    def gather_all(self) -> None:
        """Start what waits, wait for everything, and record it; but not what is put off."""
        while self._waiting:
            self._submit()
        while self._running:
            self._gather()

    def finish(self) -> None:
        """`gather_all` when all entries of the batch are written: what was put off comes now."""
        self.gather_all()
        for slot in self._put_off:
            if self._waits_for_others(slot):
                self._leave(slot)
            else:
                self._waiting.append(slot)
        self._put_off = []
        self._is_all_written = True
        self.gather_all()

    def _waits_for_others(self, slot: Slot) -> bool:
        """Whether an entry links to one that is not there, and that another batch may bring."""
        linked = linked_ids(slot.desired.fields)
        missing = linked - self._index.find_ids(list(linked)).keys()
        return bool(missing) and self._may_come(missing)

    def _leave(self, slot: Slot) -> None:
        """To be published when all batches are written; its note in the ledger stays."""
        slot.publish = None
        if slot.outcome is not None:
            slot.outcome = replace(slot.outcome, is_put_off=True)

    def _submit(self) -> None:
        slots, self._waiting = self._waiting[:MAX_ITEMS], self._waiting[MAX_ITEMS:]
        items = [slot.publish for slot in slots if slot.publish is not None]
        publishing = self._executor.submit(
            self._publisher.publish, items, awaits_links=self._is_all_written
        )
        self._running.append((slots, publishing))

    def _gather(self) -> None:
        slots, future = self._running.popleft()
        try:
            results = future.result()
        except SpaceError as err:
            self.error = self.error or err
            return
        settled: list[str] = []
        published: dict[str, PublishResult] = {}
        for slot in slots:
            if slot.publish is None or slot.outcome is None:
                continue
            result = results[slot.publish.entry_id]
            if result.is_unresolved and not self._is_all_written:
                slot.is_put_off = True
                self._put_off.append(slot)
                continue
            if result.is_unresolved and self._waits_for_others(slot):
                self._leave(slot)
                continue
            slot.outcome = with_publish(slot.outcome, result)
            slot.publish = None
            # The note on a failed one stays: a later run tries again.
            if result.status != "failed":
                settled.append(result.entry_id)
            if result.published_version is not None:
                published[result.entry_id] = result
        self._note_published(published)
        self._ledger.forget_pending(settled)

    def _note_published(self, results: Mapping[str, PublishResult]) -> None:
        """Keep the index up to date."""
        codes = self._index.target.locale_codes
        self._index.apply_writes(
            entry.as_published(result.published_version, result.locales or codes)
            for entry in self._index.find_ids(list(results)).values()
            if (result := results[entry.id]).published_version is not None
        )
