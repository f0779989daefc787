"""What became of one desired entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from sync_pipeline.load.diff import Change
from sync_pipeline.load.publish_item import MOVED, PublishResult
from sync_pipeline.model import DeadLetter, DesiredEntry

Action: TypeAlias = Literal["created", "updated", "unchanged", "failed", "superseded"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about one desired entry, or would be done in a dry run."""

    key: str
    #: Of the first record with this key.
    ordinal: int
    #: "" where no id could be chosen.
    entry_id: str
    #: `failed` comes with a dead letter; `superseded`: a later extraction has written the key.
    action: Action
    #: The entry is published as it is now, by this run.
    published: bool = False
    #: Of an unchanged entry: it is published as it is, whoever did that.
    is_clean: bool = False
    dead_letter: DeadLetter | None = None
    #: Field by field, before and after; for the preview.
    changes: tuple[Change, ...] = ()
    #: Written, but not published yet: it links to an entry of a batch that is still to be written.
    is_put_off: bool = False
    #: Why something that was written stays unpublished although publishing was asked for; else "".
    publish_skipped: str = ""
    #: Locales that hold something unpublished of somebody else, and were left so.
    locales_left: tuple[str, ...] = ()
    #: In a dry run: something of it is unpublished by now, whoever has left it.
    was_draft: bool = False
    #: Further records that were merged into this entry.
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that is about to be sent: after a kill it tells whose an unchanged entry is."""

    key: str
    action: Literal["created", "updated"]
    #: It is to be published afterwards.
    is_publish_due: bool


def outcome_of(desired: DesiredEntry, entry_id: str, action: Action) -> Outcome:
    """The outcome of a desired entry, before anything was published."""
    return Outcome(
        desired.key,
        desired.ordinal,
        entry_id or desired.entry_id or "",
        action,
        merged=desired.merged,
    )


def failed_outcome(desired: DesiredEntry, entry_id: str, error_id: str, message: str) -> Outcome:
    """The outcome of a desired entry that was refused before anything was sent."""
    letter = DeadLetter(desired.ordinal, desired.key, "load", "", error_id, message)
    return replace(outcome_of(desired, entry_id, "failed"), dead_letter=letter)


def with_publish(outcome: Outcome, result: PublishResult) -> Outcome:
    """The outcome after publishing: an entry that is written but refused then has failed."""
    if result.status == "published":
        moved = f"{MOVED} in {', '.join(result.moved)}" if result.moved else ""
        return replace(
            outcome,
            published=True,
            publish_skipped=outcome.publish_skipped or moved,
            locales_left=tuple(dict.fromkeys((*outcome.locales_left, *result.moved))),
        )
    if result.status == "skipped":
        return replace(outcome, publish_skipped=result.message)
    letter = DeadLetter(
        outcome.ordinal,
        outcome.key,
        "publish",
        result.field,
        result.error_id,
        result.message,
        result.request_id,
    )
    return replace(outcome, action="failed", dead_letter=letter)
