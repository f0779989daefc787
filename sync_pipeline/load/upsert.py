"""Carrying a batch of desired entries out, or telling what that would do.

::

    desired ─► chunks of 100 ─► plan ─► write (threads) ─► gather ─► publish (200 each) ─► outcomes
                                         while the next chunk is planned and written

What a kill may cut short is noted in the ledger before it is begun. Outcomes come in the order of
the desired entries, each when nothing more can happen to it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from sync_pipeline.config.run_options import Publish
from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.decide import Decider
from sync_pipeline.load.ledger import Ledger, PendingPublish
from sync_pipeline.load.outcome import Intent, Outcome, failed_outcome, outcome_of
from sync_pipeline.load.ownership import item_to_publish, locales_left, why_skipped
from sync_pipeline.load.plan import Create, ExistingEntry, Plan, is_entry_id, plan
from sync_pipeline.load.publish import BulkHabits, Publisher
from sync_pipeline.load.publish_queue import PublishQueue, Slot
from sync_pipeline.load.target_index import TargetIndex, is_storable
from sync_pipeline.load.write import WriteJob, Writer, Written
from sync_pipeline.model import DesiredEntry

#: Entries planned together; two chunks are under way at once.
_CHUNK = 100
#: Chunks whose outcomes may wait for a publish action to fill up.
_MAX_WAITING = 20


@dataclass(frozen=True, slots=True)
class UpsertOptions:
    """How a batch is carried out."""

    #: False: a dry run, which only reads what is on disk.
    apply: bool = False
    publish: Publish = "changed"
    #: Writes in flight.
    concurrency: int = 8
    #: Number of the extraction that the batch comes from (`Ledger.next_extraction`): keys that a
    #: later one has written are left alone. None: not a replay, nothing can be newer.
    extraction: int | None = None
    #: Called with some writes at a time, before the first of them is sent. What it keeps tells
    #: after a kill which entries this run has written.
    before_writes: Callable[[Sequence[Intent]], None] = lambda _: None
    #: Whether one of these entry ids is written by another batch, maybe later: an entry that links
    #: to it while it is missing is put off then, and has not failed.
    may_come: Callable[[Collection[str]], bool] = lambda _: False


def upsert_entries(
    client: SpaceClient,
    index: TargetIndex,
    desired: Iterable[DesiredEntry],
    options: UpsertOptions,
    ledger: Ledger,
    *,
    habits: BulkHabits | None = None,
) -> Iterator[Outcome]:
    """Create, patch, leave alone and publish entries, so that the space holds what is desired.

    Safe to be repeated at any point: what is done already is found to be unchanged.

    Args:
        client: The space.
        index: What the space holds; kept up to date with what is written.
        desired: The entries; read as they are needed.
        options: See there.
        ledger: The sync's memory over runs; a dry run only reads it.
        habits: What earlier batches have learned of the space's bulk actions; kept up to date.

    Yields:
        One outcome for every desired entry, in their order.

    Raises:
        SpaceError: The space refuses the whole run or stays unreachable. Outcomes of what was
            done before are yielded first; what was written is recorded.
    """
    batch = _Batch(client, index, options, ledger, habits)
    try:
        yield from batch.run(iter(desired))
    finally:
        batch.close()


@dataclass(slots=True)
class _Chunk:
    """Desired entries that are planned and gathered together."""

    slots: list[Slot] = field(default_factory=list)

    @property
    def is_put_off(self) -> bool:
        """Whether an entry waits until all of the batch is written."""
        return any(slot.is_put_off for slot in self.slots)


class _Batch:
    """The state of one call; its methods run in the caller's thread, writes and publishes don't."""

    def __init__(
        self,
        client: SpaceClient,
        index: TargetIndex,
        options: UpsertOptions,
        ledger: Ledger,
        habits: BulkHabits | None,
    ) -> None:
        self._client = client
        self._index = index
        self._options = options
        self._ledger = ledger
        self._writer = Writer(
            client,
            index.target,
            index.field_ids,
            ledger,
            is_publish_wanted=options.publish != "none",
            owns_everything=options.publish == "all",
        )
        self._decider = Decider(client, self._writer, apply=options.apply)
        self._publishes = PublishQueue(
            Publisher(client, follows_moves=options.publish == "all", habits=habits),
            index,
            ledger,
            options.may_come,
        )
        self._writes = ThreadPoolExecutor(options.concurrency, thread_name_prefix="write")
        self._seen_ids: set[str] = set()
        self._writing: deque[_Chunk] = deque()
        self._waiting: deque[_Chunk] = deque()
        self._error: SpaceError | None = None

    def run(self, desired: Iterator[DesiredEntry]) -> Iterator[Outcome]:
        while not self._stopped_by() and (entries := list(itertools.islice(desired, _CHUNK))):
            self._writing.append(self._start(entries))
            if len(self._writing) > 1:
                self._gather(self._writing.popleft())
            yield from self._final_outcomes()
        while self._writing:
            self._gather(self._writing.popleft())
        self._publishes.finish()
        yield from self._final_outcomes()
        error = self._stopped_by()
        if error is not None:
            # What was done, though not published; entries of unknown fate have no outcome.
            while self._waiting:
                yield from _outcomes_of(self._waiting.popleft())
            raise error

    def close(self) -> None:
        self._writes.shutdown(cancel_futures=True)
        self._publishes.close()

    def _stopped_by(self) -> SpaceError | None:
        return self._error or self._publishes.error

    # ------------------------------------------------------------ planning

    def _start(self, entries: list[DesiredEntry]) -> _Chunk:
        """Plan a chunk, note its writes, and send them off."""
        chunk = _Chunk([Slot(entry) for entry in entries])
        usable = [slot for slot in chunk.slots if self._is_usable(slot)]
        by_id = self._find_mapped_ids([s.desired.entry_id for s in usable if s.desired.entry_id])
        by_key = self._index.find_keys([s.desired.key for s in usable if s.desired.key])
        superseded = self._superseded(usable)
        planned: list[tuple[Slot, ExistingEntry | None, Plan]] = []
        for slot in usable:
            desired = slot.desired
            if desired.key in superseded:
                slot.outcome = outcome_of(slot.desired, "", "superseded")
                continue
            existing = by_id.get(desired.entry_id) if desired.entry_id else None
            existing = existing or by_key.get(desired.key)
            step = plan(desired, existing, self._index.target)
            if step.entry_id in self._seen_ids:
                slot.outcome = failed_outcome(
                    slot.desired,
                    step.entry_id,
                    "DuplicateEntry",
                    f"Another record of this batch is already about the entry {step.entry_id}; "
                    "this one is left out, or each run would undo the other's work.",
                )
                continue
            self._seen_ids.add(step.entry_id)
            planned.append((slot, existing, step))
        noted = self._ledger.pending([step.entry_id for _, _, step in planned])
        jobs = [
            self._decider.decide(slot, existing, step, noted.get(step.entry_id))
            for slot, existing, step in planned
        ]
        self._send(
            [
                (slot, job)
                for (slot, _, _), job in zip(planned, jobs, strict=True)
                if job is not None
            ]
        )
        return chunk

    def _find_mapped_ids(self, ids: list[str]) -> dict[str, ExistingEntry]:
        """Entries by the ids that records ask for; an index of some keys may not know them yet."""
        found = self._index.find_ids(ids)
        missing = [entry_id for entry_id in ids if entry_id not in found]
        if missing and not self._index.is_whole:
            self._index.refresh(self._client, ids=missing)
            found |= self._index.find_ids(missing)
        return found

    def _is_usable(self, slot: Slot) -> bool:
        desired = slot.desired
        if desired.entry_id and not is_entry_id(desired.entry_id):
            slot.outcome = failed_outcome(
                desired,
                "",
                "InvalidEntryId",
                "The mapped sys.Id is no entry id: 1 to 64 letters, digits, '-', '_' or '.'.",
            )
            return False
        if is_storable(desired.key) and (desired.key or desired.entry_id):
            return True
        slot.outcome = failed_outcome(
            slot.desired,
            desired.entry_id or "",
            "MissingKey",
            "The record has no usable key, so no entry can be found or made for it.",
        )
        return False

    def _superseded(self, slots: list[Slot]) -> set[str]:
        if self._options.extraction is None:
            return set()
        return self._ledger.newer_than([s.desired.key for s in slots], self._options.extraction)

    def _send(self, jobs: list[tuple[Slot, WriteJob]]) -> None:
        is_wanted = self._writer.is_publish_wanted
        self._options.before_writes(
            [
                Intent(
                    slot.desired.key,
                    "created" if isinstance(job.plan, Create) else "updated",
                    is_publish_due=is_wanted and bool(job.share),
                )
                for slot, job in jobs
            ]
        )
        self._ledger.record_pending(
            self._writer.note(job.plan, job.share, before=job.existing)
            for _, job in jobs
            if job.share
        )
        self._ledger.forget_pending(
            job.plan.entry_id for _, job in jobs if job.noted and not job.share
        )
        for slot, job in jobs:
            slot.write = self._writes.submit(self._writer.write, job)

    # ------------------------------------------------------------ gathering

    def _gather(self, chunk: _Chunk) -> None:
        """Wait for the writes of a chunk and record them."""
        written: list[Written] = []
        for slot in chunk.slots:
            if slot.write is None:
                continue
            try:
                result = slot.write.result()
            except SpaceError as err:
                self._error = self._error or err
                continue
            written.append(result)
            self._settle(slot, result)
        self._record(chunk, written)
        self._waiting.append(chunk)
        self._publishes.add(chunk.slots)

    def _settle(self, slot: Slot, result: Written) -> None:
        """Record how a write ended, and what there is to publish now."""
        entry, share = result.entry, result.share
        slot.outcome = replace(
            outcome_of(slot.desired, result.entry_id, result.action),
            is_clean=entry is not None and entry.is_clean,
            dead_letter=result.dead_letter,
            changes=result.changes,
        )
        if not self._writer.is_publish_wanted or entry is None:
            return
        target = self._index.target
        if result.action in {"created", "updated"}:
            slot.outcome = replace(
                slot.outcome,
                publish_skipped=why_skipped(share, result.written),
                locales_left=locales_left(entry, share, target),
            )
        slot.publish = item_to_publish(entry, share, target, is_written=True)

    def _record(self, chunk: _Chunk, written: list[Written]) -> None:
        """Keep what a chunk has done: index, notes and applied keys."""
        if not self._options.apply:
            return
        keep: list[PendingPublish] = []
        forget: list[str] = []
        for result in written:
            entry = result.entry
            if entry is None:
                if result.is_certain:
                    if result.job.noted is not None:
                        keep.append(result.job.noted)
                    else:
                        forget.append(result.entry_id)
            elif item_to_publish(entry, result.share, self._index.target, is_written=True):
                keep.append(self._writer.note(result.job.plan, result.share, written=entry))
            else:
                forget.append(entry.id)
        self._index.apply_writes(result.entry for result in written if result.entry is not None)
        self._ledger.forget_pending(forget)
        self._ledger.record_pending(keep)
        if self._options.extraction is not None:
            self._ledger.mark_applied(
                (
                    slot.outcome.key
                    for slot in chunk.slots
                    if slot.outcome
                    and slot.outcome.key
                    and slot.outcome.action in {"created", "updated", "unchanged"}
                ),
                self._options.extraction,
            )

    def _final_outcomes(self) -> Iterator[Outcome]:
        """Outcomes at the head of the queue that nothing more can happen to."""
        self._publishes.gather_done()
        if len(self._waiting) > _MAX_WAITING and not self._waiting[0].is_put_off:
            self._publishes.gather_all()
        while self._waiting and all(slot.is_final for slot in self._waiting[0].slots):
            yield from _outcomes_of(self._waiting.popleft())


def _outcomes_of(chunk: _Chunk) -> Iterator[Outcome]:
    for slot in chunk.slots:
        if slot.outcome is not None:
            yield slot.outcome
