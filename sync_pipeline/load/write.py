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
from dataclasses import dataclass, field

from sync_pipeline.load.answer import Answer, describe_error
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.diff import Change, is_blank
from sync_pipeline.load.entry_body import digest_intended, read_existing
from sync_pipeline.load.fate import is_refusal
from sync_pipeline.load.ledger import Ledger, PendingPublish
from sync_pipeline.load.outcome import Action
from sync_pipeline.load.ownership import (
    EVERYTHING,
    Share,
    confirm_share,
    digests_of,
    is_covered,
    share_of,
)
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


@dataclass(slots=True)
class _Progress:
    """How far one write has come."""

    job: WriteJob
    #: What is to be done next.
    step: Plan
    #: The entry as it is, as far as is known.
    existing: ExistingEntry | None
    #: What of it may go out afterwards.
    share: Share
    #: Notes on this entry, the newest last: any of them may tell that it is ours.
    notes: list[PendingPublish] = field(default_factory=list)
    #: What was made of the entry by a write that was carried out, or may have been.
    sent: Action | None = None
    changes: tuple[Change, ...] = ()
    conflicts: int = 0
    #: Writes whose fate was not known when they were answered, and those of them that a proxy
    #: seems to have refused.
    unknown: int = 0
    refused: int = 0
    last: Answer = field(default_factory=lambda: Answer(0))

    def __post_init__(self) -> None:
        self.changes = self.job.plan.changes


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
        self,
        step: Create | Patch,
        share: Share,
        *,
        before: ExistingEntry | None = None,
        written: ExistingEntry | None = None,
    ) -> PendingPublish:
        """What the ledger keeps about a write.

        Args:
            step: The write.
            share: What of the entry may go out afterwards.
            before: The entry that the write was planned for, None for a new one.
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
            intended="" if written is not None else digest_intended(before, step.changes),
        )

    def write(self, job: WriteJob) -> Written:
        """Carry one planned write out. The ledger's note on it has been made.

        Raises:
            SpaceError: Something concerns the whole run; this entry's fate may be unknown, its
                note stays.
        """
        at = _Progress(job, job.plan, job.existing, job.share)
        if job.noted is not None:
            at.notes.append(job.noted)
        while not isinstance(at.step, Unchanged):
            if isinstance(at.step, Refused):
                return self._failed(at, at.step.error_id, at.step.reason)
            if at.unknown >= MAX_UNKNOWN or at.refused >= MAX_REFUSED:
                return self._refused(at, at.last)
            try:
                at.last = self._send(at.step)
            except ValueError:
                return self._failed(
                    at,
                    "InvalidValue",
                    "A value cannot be written as JSON (not a number, or half of a character).",
                )
            if at.last.is_ok:
                at.sent = at.sent or _action_of(at.step)
                at.existing = read_existing(at.last.mapping, self.field_ids, is_whole=True)
                at.share = confirm_share(at.share, at.existing)
                if not _needs_clearing(job.desired, at.step, at.existing):
                    break
                # The content type filled its default into a field that the mapping clears.
                at.notes.append(self.note(at.step, at.share, written=at.existing))
            elif failed := self._find_out(at, at.step, at.last):
                return failed
            self._plan_again(at)
        return Written(
            job,
            at.sent or "unchanged",
            at.existing.id if at.existing else job.plan.entry_id,
            at.existing,
            at.changes if at.sent else (),
            at.share,
        )

    def _find_out(self, at: _Progress, step: Create | Patch, answer: Answer) -> Written | None:
        """Read back what the entry holds; how the write has failed, if there is no going on."""
        if answer.is_ambiguous:
            at.unknown += answer.weight
            at.refused += is_refusal(answer.status)
            # If it turns out to have arrived, be it later, the change was ours.
            at.sent = at.sent or _action_of(step)
            self.client.back_off(at.unknown - 1)
        elif answer.status == 409 or (answer.status == 404 and isinstance(step, Patch)):
            at.conflicts += 1
            if at.conflicts >= MAX_CONFLICTS:
                return self._failed(
                    at,
                    answer.error_id,
                    f"Somebody else keeps changing this entry ({at.conflicts} conflicts).",
                    answer.request_id,
                )
        else:
            return self._refused(at, answer)
        if at.share:
            # After a conflict too: whatever stands between us and the space may have sent it twice.
            at.notes.append(self.note(step, at.share, before=at.existing))
        problem, at.existing = self.read_back(step.entry_id)
        return self._failed(at, "EntryIdTaken", problem) if problem else None

    def _plan_again(self, at: _Progress) -> None:
        """Decide anew, from what the entry holds now."""
        desired, existing = at.job.desired, at.existing
        at.step = plan(desired, existing, self.target)
        is_unchanged = isinstance(at.step, Unchanged)
        noted = None
        if existing is not None:
            newest_first = reversed(at.notes)
            noted = next(
                (n for n in newest_first if is_covered(n, existing, is_unchanged=is_unchanged)),
                None,
            )
        at.share = self.share_of(existing, noted, desired, at.step)
        if existing is not None:
            at.share = confirm_share(at.share, existing)
        if isinstance(at.step, Create | Patch):
            self._renote(at.step, at.share, existing)
            at.changes = at.step.changes if at.sent is None else at.changes

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

    def _renote(self, step: Create | Patch, share: Share, before: ExistingEntry | None) -> None:
        """Note the next attempt, whose version is another than the one noted before."""
        if share:
            self.ledger.record_pending([self.note(step, share, before=before)])
        else:
            self.ledger.forget_pending([step.entry_id])

    def _refused(self, at: _Progress, answer: Answer) -> Written:
        problems = answer.problems
        return self._failed(
            at,
            answer.error_id,
            describe_error(answer),
            answer.request_id,
            field_name=problems[0].field if problems else "",
        )

    def _failed(
        self,
        at: _Progress,
        error_id: str,
        message: str,
        request_id: str = "",
        *,
        field_name: str = "",
    ) -> Written:
        desired, step = at.job.desired, at.step
        letter = DeadLetter(
            desired.ordinal, desired.key, "load", field_name, error_id, message, request_id
        )
        # What was sent and is of unknown fate may have been done, or be done yet.
        return Written(
            at.job, "failed", step.entry_id, dead_letter=letter, is_certain=at.unknown == 0
        )


def _action_of(step: Create | Patch) -> Action:
    return "created" if isinstance(step, Create) else "updated"


def _needs_clearing(desired: DesiredEntry, step: Create | Patch, existing: ExistingEntry) -> bool:
    return isinstance(step, Create) and any(
        not is_blank(field_value(existing.fields, field, locale))
        and is_blank(field_value(desired.fields, field, locale))
        for field, locale in desired.cleared
    )
