"""One entry: send the planned write, and read back and plan again until its fate is certain.

::

    plan ─► send ─┬─ 2xx that shows the entry ──────► done
      ▲           ├─ 409, 404, ambiguous ───────────► GET by id ─► plan again
      │           └─ other 4xx of the API ──────────► this entry failed
      └───────────────────────────────────────────────────┘

What is ambiguous stands in `load.fate`. The note on a write of unknown fate stays in the ledger, so
that a later run finds the entry to be ours.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sync_pipeline.load.answer import Answer, describe_error
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.diff import Change, is_blank
from sync_pipeline.load.entry_body import read_existing
from sync_pipeline.load.fate import is_refusal
from sync_pipeline.load.ledger import Ledger, PendingPublish
from sync_pipeline.load.outcome import Action
from sync_pipeline.load.ownership import EVERYTHING, Share, confirm_share, digests_of, share_of
from sync_pipeline.load.plan import Create, ExistingEntry, Patch, Plan, Refused, Unchanged, plan
from sync_pipeline.load.shapes import entry_of
from sync_pipeline.model import DeadLetter, DesiredEntry, TargetModel, field_value

#: Times that somebody else may get in between before this entry is given up.
MAX_CONFLICTS = 10
#: Times that the fate of a write may be unknown before this entry is given up.
MAX_UNKNOWN = 10
#: The same where a proxy refuses it, which most likely means what it says.
MAX_REFUSED = 3


@dataclass(frozen=True, slots=True)
class WriteJob:
    """A planned write of one entry."""

    desired: DesiredEntry
    plan: Create | Patch
    existing: ExistingEntry | None
    #: What the ledger had noted before this write was.
    noted: PendingPublish | None
    #: What may go out afterwards.
    share: Share

    @property
    def written(self) -> frozenset[str]:
        """The locales that are written."""
        return frozenset(change.locale for change in self.plan.changes)


@dataclass(frozen=True, slots=True)
class Written:
    """How a write ended."""

    job: WriteJob
    action: Action
    entry_id: str
    #: The entry as it is now; None where the write failed or there is no entry.
    entry: ExistingEntry | None = None
    changes: tuple[Change, ...] = ()
    #: What of it may go out.
    share: Share = EVERYTHING
    dead_letter: DeadLetter | None = None
    #: False: the write failed, but may have been done all the same.
    is_certain: bool = True

    @property
    def written(self) -> frozenset[str]:
        """The locales that were written."""
        return frozenset(change.locale for change in self.changes)


@dataclass(frozen=True, slots=True)
class Writer:
    """What all writes of a batch have in common."""

    client: SpaceClient
    target: TargetModel
    field_ids: Collection[str]
    ledger: Ledger
    #: Whether the run wants what it writes published (else a note is kept for later runs).
    is_publish_wanted: bool
    #: `publish: all`: drafts of others are published too.
    owns_everything: bool

    def share_of(
        self,
        existing: ExistingEntry | None,
        noted: PendingPublish | None,
        desired: DesiredEntry,
        step: Plan,
    ) -> Share:
        """What of the entry may be published after a step of ours."""
        if self.owns_everything:
            return EVERYTHING
        changes = step.changes if isinstance(step, Create | Patch) else ()
        return share_of(
            existing,
            noted,
            desired,
            self.target,
            written={change.locale for change in changes},
            is_unchanged=isinstance(step, Unchanged),
        )

    def note(
        self, step: Create | Patch, share: Share, written: ExistingEntry | None = None
    ) -> PendingPublish:
        """What the ledger keeps about a write.

        Args:
            step: The write.
            share: What of the entry may go out afterwards.
            written: The entry as the space has answered it; None: nothing is confirmed yet.
        """
        base = step.version if isinstance(step, Patch) else 0
        return PendingPublish(
            step.entry_id,
            base,
            base + 1 if written is None else written.version,
            is_wanted=self.is_publish_wanted,
            is_confirmed=written is not None,
            locales=share.locales,
            unverified=share.unverified,
            digests={} if written is None else digests_of(written, share),
        )

    def write(self, job: WriteJob) -> Written:
        """Carry one planned write out. The ledger's note on it has been made.

        Raises:
            SpaceError: Something concerns the whole run; this entry's fate may be unknown, its
                note stays.
        """
        step: Plan = job.plan
        existing, noted, share = job.existing, job.noted, job.share
        sent: Action | None = None
        changes = job.plan.changes
        conflicts = unknown = 0

        def failed(written: Written) -> Written:
            # What was sent before, and never read back, may have been done all the same.
            return replace(written, is_certain=unknown == 0)

        while not isinstance(step, Unchanged):
            if isinstance(step, Refused):
                return failed(self._failed(job, step.entry_id, step.error_id, step.reason))
            try:
                answer = self._send(step)
            except ValueError:
                return self._failed(
                    job,
                    step.entry_id,
                    "InvalidValue",
                    "A value cannot be written as JSON (not a number, or half of a character).",
                )
            if answer.is_ok:
                sent = sent or ("created" if isinstance(step, Create) else "updated")
                existing = read_existing(answer.mapping, self.field_ids, is_whole=True)
                share = confirm_share(share, existing)
                if not _needs_clearing(job.desired, step, existing):
                    break
                # The content type filled its default into a field that the mapping clears.
                noted = self.note(step, share, existing)
            elif answer.is_ambiguous:
                unknown += 1
                if unknown >= (MAX_REFUSED if is_refusal(answer.status) else MAX_UNKNOWN):
                    return failed(self._refused(job, step.entry_id, answer))
                noted = self.note(step, share) if share else None
                # If it turns out to have arrived, be it later, the change was ours.
                sent = sent or ("created" if isinstance(step, Create) else "updated")
                self.client.back_off(unknown - 1)
                problem, existing = self.read_back(step.entry_id)
                if problem:
                    return failed(self._failed(job, step.entry_id, "EntryIdTaken", problem))
            elif answer.status == 409 or (answer.status == 404 and isinstance(step, Patch)):
                conflicts += 1
                if conflicts >= MAX_CONFLICTS:
                    return self._failed(
                        job,
                        step.entry_id,
                        answer.error_id,
                        f"Somebody else keeps changing this entry ({conflicts} conflicts).",
                        answer.request_id,
                    )
                problem, existing = self.read_back(step.entry_id)
                if problem:
                    return failed(self._failed(job, step.entry_id, "EntryIdTaken", problem))
            else:
                return failed(self._refused(job, step.entry_id, answer))
            step = plan(job.desired, existing, self.target)
            share = self.share_of(existing, noted, job.desired, step)
            if existing is not None:
                share = confirm_share(share, existing)
            if isinstance(step, Create | Patch):
                self._renote(step, share)
                changes = step.changes if sent is None else changes
        return Written(
            job,
            sent or "unchanged",
            existing.id if existing else job.plan.entry_id,
            existing,
            changes if sent else (),
            share,
        )

    def _send(self, step: Create | Patch) -> Answer:
        path = f"/entries/{step.entry_id}"
        if isinstance(step, Create):
            return self.client.request(
                "PUT",
                path,
                json={"fields": step.fields},
                headers={"X-Contentful-Content-Type": self.target.content_type.id},
                expects=entry_of(step.entry_id),
            )
        return self.client.request(
            "PATCH",
            path,
            json=list(step.operations),
            headers={"X-Contentful-Version": str(step.version)},
            expects=entry_of(step.entry_id, above=step.version),
        )

    def read_back(self, entry_id: str) -> tuple[str, ExistingEntry | None]:
        """The entry as it is now; or why the id cannot be used."""
        answer = self.client.request("GET", f"/entries/{entry_id}", expects=entry_of(entry_id))
        if answer.status == 404:
            return "", None
        sys = answer.mapping.get("sys") or {}
        content_type = ((sys.get("contentType") or {}).get("sys") or {}).get("id")
        if not answer.is_ok:
            return f"The entry {entry_id} cannot be read ({answer.error_id}).", None
        if content_type != self.target.content_type.id:
            problem = (
                f"The id {entry_id} belongs to an entry of the content type {content_type!r}, not "
                f"{self.target.content_type.id!r}. Map another id, or remove that entry."
            )
            return problem, None
        return "", read_existing(answer.mapping, self.field_ids, is_whole=True)

    def _renote(self, step: Create | Patch, share: Share) -> None:
        """Note the next attempt, whose version is another than the one noted before."""
        if share:
            self.ledger.record_pending([self.note(step, share)])
        else:
            self.ledger.forget_pending([step.entry_id])

    def _refused(self, job: WriteJob, entry_id: str, answer: Answer) -> Written:
        problems = answer.problems
        return self._failed(
            job,
            entry_id,
            answer.error_id,
            describe_error(answer),
            answer.request_id,
            field=problems[0].field if problems else "",
        )

    def _failed(
        self,
        job: WriteJob,
        entry_id: str,
        error_id: str,
        message: str,
        request_id: str = "",
        *,
        field: str = "",
    ) -> Written:
        letter = DeadLetter(
            job.desired.ordinal, job.desired.key, "load", field, error_id, message, request_id
        )
        return Written(job, "failed", entry_id, dead_letter=letter)


def _needs_clearing(desired: DesiredEntry, step: Create | Patch, existing: ExistingEntry) -> bool:
    return isinstance(step, Create) and any(
        not is_blank(field_value(existing.fields, field, locale))
        and is_blank(field_value(desired.fields, field, locale))
        for field, locale in desired.cleared
    )
