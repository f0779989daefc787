"""What becomes of one desired entry: its outcome at once, or the write that leads to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.ledger import PendingPublish
from sync_pipeline.load.outcome import failed_outcome, outcome_of
from sync_pipeline.load.ownership import (
    EVERYTHING,
    Share,
    confirm_share,
    is_covered,
    item_to_publish,
    keep_untouched,
    locales_left,
    why_skipped,
)
from sync_pipeline.load.plan import Create, ExistingEntry, Plan, Refused, Unchanged, plan
from sync_pipeline.load.publish_queue import Slot
from sync_pipeline.load.write import WriteJob, Writer


@dataclass(frozen=True, slots=True)
class Decider:
    """What all decisions of a batch have in common."""

    client: SpaceClient
    writer: Writer
    #: False: a dry run.
    apply: bool

    def decide(
        self,
        slot: Slot,
        existing: ExistingEntry | None,
        step: Plan,
        noted: PendingPublish | None,
    ) -> WriteJob | None:
        """Give a slot its outcome and what there is to publish, or return the write it takes."""
        if isinstance(step, Refused):
            slot.outcome = failed_outcome(slot.desired, step.entry_id, step.error_id, step.reason)
            return None
        kept = noted
        if existing is not None and noted is not None:
            existing, step, kept = self._look_closer(slot, existing, step, noted)
            if isinstance(step, Refused):
                return self.decide(slot, existing, step, None)
        share = self.writer.share_of(existing, kept, slot.desired, step)
        if existing is not None:
            share = confirm_share(share, existing)
        if isinstance(step, Unchanged):
            assert existing is not None  # noqa: S101 # nothing can be unchanged that is not there
            self._leave(slot, existing, kept, share)
            if noted is not None and slot.publish is None:
                self._forget_if_void(existing, kept, share)
            return None
        job = WriteJob(slot.desired, step, existing, kept, share)
        if not self.apply:
            self._predict(slot, job)
            return None
        return job

    def _look_closer(
        self, slot: Slot, existing: ExistingEntry, step: Plan, noted: PendingPublish
    ) -> tuple[ExistingEntry, Plan, PendingPublish | None]:
        """Read an entry with all of its fields, where a note about its locales hangs on them.

        Somebody may have changed other locales since the note was made, or hold a draft in one that
        was empty as far as the mapped fields tell.
        """
        is_unchanged = isinstance(step, Unchanged)
        is_ours = is_covered(noted, existing, is_unchanged=is_unchanged)
        is_doubted = is_unchanged and noted.unverified if is_ours else noted.digests
        if not is_doubted or existing.locale_states is None or self.writer.owns_everything:
            return existing, step, noted
        problem, found = self.writer.read_back(existing.id)
        if problem or found is None:
            return existing, step, noted  # the write, or the next run, will tell
        step = plan(slot.desired, found, self.writer.target)
        if is_ours and found.version == existing.version:
            return found, step, noted
        return found, step, keep_untouched(noted, found)

    def _predict(self, slot: Slot, job: WriteJob) -> None:
        """The outcome of a dry run."""
        share, writer, existing = job.share, self.writer, job.existing
        wanted = writer.is_publish_wanted
        left: tuple[str, ...] = ()
        if existing is not None and wanted:
            left = locales_left(existing, share, writer.target, written=job.written)
        slot.outcome = replace(
            outcome_of(
                slot.desired,
                job.plan.entry_id,
                "created" if isinstance(job.plan, Create) else "updated",
            ),
            published=wanted and bool(share),
            publish_skipped=why_skipped(share, job.written) if wanted else "",
            locales_left=left,
            changes=job.plan.changes,
            was_draft=existing is not None and not self._is_published(existing),
        )

    def _leave(
        self,
        slot: Slot,
        existing: ExistingEntry,
        noted: PendingPublish | None,
        share: Share,
    ) -> None:
        """An entry that holds what is desired: publish it if that was left undone."""
        slot.outcome = replace(
            outcome_of(slot.desired, existing.id, "unchanged"), is_clean=existing.is_clean
        )
        if existing.is_archived or not self._is_publish_left(existing, noted):
            return
        is_written = noted is None or noted.version == existing.version
        target = self.writer.target
        item = item_to_publish(existing, share, target, is_written=is_written)
        if item is None:
            return
        slot.outcome = replace(slot.outcome, locales_left=locales_left(existing, share, target))
        if self.apply:
            slot.publish = item
        else:
            slot.outcome = replace(slot.outcome, published=True, was_draft=True)

    def _is_published(self, existing: ExistingEntry) -> bool:
        """Whether nothing of an entry is left to publish."""
        target = self.writer.target
        return item_to_publish(existing, EVERYTHING, target, is_written=True) is None

    def _is_publish_left(self, existing: ExistingEntry, noted: PendingPublish | None) -> bool:
        if self.writer.owns_everything:
            return True
        return (
            self.writer.is_publish_wanted
            and noted is not None
            and noted.is_wanted
            and noted.covers(existing.version, is_unchanged=True)
        )

    def _forget_if_void(
        self, existing: ExistingEntry, noted: PendingPublish | None, share: Share
    ) -> None:
        """Drop a note that says nothing about the entry as it is now."""
        if share and noted is not None and noted.covers(existing.version, is_unchanged=True):
            return
        if not existing.is_clean:
            self.client.log.info(
                "Entry %s has been changed by somebody else since it was written; its draft is "
                "not published",
                existing.id,
            )
        if self.apply:
            self.writer.ledger.forget_pending([existing.id])
