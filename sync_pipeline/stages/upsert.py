"""Load one batch: compare, write what differs, publish, and record how it ended."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sync_pipeline.batches.layout import disk_errors, ensure_disk_space
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.reading import (
    cut_torn_line,
    read_dead_letters,
    read_desired,
    read_lines,
    write_lines,
)
from sync_pipeline.batches.results import BatchResult, read_result, write_result
from sync_pipeline.batches.seen import are_fetched
from sync_pipeline.errors import LeaseLostError, SyncPipelineError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.index import open_index
from sync_pipeline.load.outcome import Intent, Outcome
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.memory import peak_rss_mb
from sync_pipeline.model import Counts, DeadLetter
from sync_pipeline.private_files import open_private
from sync_pipeline.stages.index import IndexRef, index
from sync_pipeline.stages.setting import (
    Setting,
    build_letter_redactor,
    open_client,
    open_sync_ledger,
    read_habits,
    write_habits,
)
from sync_pipeline.stages.transform import Transformed, transform

#: Dead letters carried in a step's metadata; the rest is in the spool (`sync-pipeline failed`).
LETTERS_SHOWN = 100
#: Kinds of failure that the one line about a batch names, the most common first.
REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Upserted:
    """What one attempt at a batch did."""

    batch: str
    #: Of this attempt; the spool keeps the figures over all attempts.
    counts: Counts
    #: Written, but not published yet, for they link to entries of other batches.
    put_off: int
    #: The first of them; all are in the spool.
    dead_letters: tuple[DeadLetter, ...]
    #: "" where the batch is done; else why it counts as failed.
    failure: str
    duration_s: float


def upsert(
    setting: Setting,
    transformed: Transformed,
    index_ref: IndexRef,
    *,
    are_others_written: bool = False,
) -> Upserted:
    """Write and publish what a batch asks for, or in a dry run only say what would happen.

    What another run mapped or indexed is mapped and indexed again first: a re-executed step meets
    today's config and today's space.

    Idempotent: what an earlier attempt already wrote is found unchanged, and is published if that
    was left to do.

    Args:
        setting: The run.
        transformed: The batch, mapped.
        index_ref: What the space holds.
        are_others_written: No other batch is still to be written, so a link to an entry that is not
            there is broken. Else the entry that has it is put off, if a record of another batch is
            about the missing one.

    Raises:
        SpaceError: The space refuses everything (401, 403) or stays down. What was written until
            then is recorded; the batch counts as failed.
        SpoolError: The disk is nearly full; likewise.
    """
    started = time.monotonic()
    if transformed.run_id != setting.run_id:
        transformed = transform(setting, transformed.batch)
    if index_ref.run_id != setting.run_id:
        index_ref = index(setting, [transformed.batch], name=transformed.batch.key)
    tally = _Tally(setting, transformed)
    try:
        with open_client(setting) as client:
            try:
                ensure_disk_space(setting.spool.root)
                with disk_errors(setting.spool.root):
                    _write(setting, client, index_ref, tally, are_others_written=are_others_written)
            finally:
                tally.requests += client.requests
    except LeaseLostError:
        raise  # whoever goes on with the batch says how it ended
    except SyncPipelineError as error:
        tally.stop(error)
        tally.finish(started)
        raise
    return tally.finish(started)


def _write(
    setting: Setting,
    client: SpaceClient,
    index_ref: IndexRef,
    tally: _Tally,
    *,
    are_others_written: bool,
) -> None:
    batch, spool = tally.batch, setting.spool
    facts = setting.facts
    publish = setting.options.publish
    # `stages.drafts` asks the file what was published here, as collections lag behind.
    in_memory = facts.options.mode == "regular" and publish != "all"
    known = read_habits(setting)
    habits = replace(known)
    with (
        open_index(Path(index_ref.path), in_memory=in_memory) as target_index,
        open_sync_ledger(setting) as ledger,
    ):
        desired = read_desired(spool.desired(batch))
        cut_torn_line(spool.outcomes(batch))
        with open_private(spool.outcomes(batch), "a", encoding="ascii") as done:

            def note(intents: Sequence[Intent]) -> None:
                setting.guard()
                done.writelines(json.dumps(asdict(intent)) + "\n" for intent in intents)
                done.flush()  # what the system has survives a kill of this process

            options = UpsertOptions(
                apply=setting.options.apply,
                publish=publish,
                concurrency=setting.options.concurrency,
                extraction=facts.extraction,
                before_writes=note,
                may_come=_find_may_come(setting, are_others_written=are_others_written),
            )
            for outcome in upsert_entries(
                client, target_index, desired, options, ledger, habits=habits
            ):
                # In a dry run every draft is still there to be counted, once, by `stages.drafts`.
                is_counted_later = publish == "all" and outcome.was_draft
                tally.add(replace(outcome, published=False) if is_counted_later else outcome)
                if setting.options.apply and (line := _line_of(outcome)):
                    done.write(json.dumps(line) + "\n")
    if habits != known:
        write_habits(setting, habits)


def _find_may_come(
    setting: Setting, *, are_others_written: bool
) -> Callable[[Collection[str]], bool]:
    manifest = read_manifest(setting.spool)
    if are_others_written or manifest is None or len(manifest.batches) < 2:
        return lambda _: False
    return partial(are_fetched, setting.spool)


def _line_of(outcome: Outcome) -> dict[str, Any] | None:
    """What a later attempt must know of an entry that this one wrote, or has not written."""
    if outcome.action in ("created", "updated"):
        return {
            "key": outcome.key,
            "action": outcome.action,
            "is_published": outcome.published,
            "is_publish_skipped": bool(outcome.publish_skipped),
            "locales_left": list(outcome.locales_left),
        }
    if outcome.dead_letter is not None and outcome.dead_letter.stage == "load":
        return {"key": outcome.key, "action": "failed"}
    return None  # unchanged, or written though not published: the note before it stands


class _Tally:
    """Figures and dead letters of one attempt, and over all attempts."""

    def __init__(self, setting: Setting, transformed: Transformed) -> None:
        self._setting = setting
        self._redact = build_letter_redactor(setting)
        self._transformed = transformed
        self.batch = transformed.batch.key
        spool = setting.spool
        self._previous = read_result(spool, self.batch)
        self._earlier = {line["key"]: line for line in read_lines(spool.outcomes(self.batch))}
        self.letters = list(read_dead_letters(spool.mapping_failures(self.batch)))
        self.requests = transformed.space_requests
        self._now: Counter[str] = Counter()
        self._overall: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        #: What an earlier attempt did to entries that have met another fate now.
        self._lost: Counter[str] = Counter()
        self._put_off = 0

    def add(self, outcome: Outcome) -> None:
        self._now[outcome.action] += 1
        self._now["published"] += outcome.published
        self._now["publish_skipped"] += bool(outcome.publish_skipped)
        self._now["locales_left"] += len(outcome.locales_left)
        self._left.update(outcome.locales_left)
        action, published, skipped, left = (
            outcome.action, outcome.published, bool(outcome.publish_skipped),
            len(outcome.locales_left),
        )  # fmt: skip
        earlier = self._earlier.get(outcome.key, {"action": "failed"})
        if action != "unchanged":
            self._lost[earlier["action"]] += 1
        if action == "unchanged" and earlier["action"] != "failed":
            action = earlier["action"]
            # Killed before it heard how publishing ended: what is published now, it published.
            was_published = earlier.get("is_published") or (
                earlier.get("is_publish_due", False) and outcome.is_clean
            )
            published = published or was_published
            # Some of its locales may be published, and others not.
            skipped = skipped or (
                earlier.get("is_publish_skipped", False)
                and (not published or earlier.get("is_published", False))
            )
            left = left or len(earlier.get("locales_left", ()))
        self._overall[action] += 1
        self._overall["published"] += published
        self._overall["publish_skipped"] += skipped
        self._overall["locales_left"] += left
        self._put_off += outcome.is_put_off
        if outcome.dead_letter is not None:
            self.letters.append(self._redact(outcome.dead_letter))

    def stop(self, error: SyncPipelineError) -> None:
        """The attempt broke off: what it did not reach is failed, with the one reason."""
        counts = self._counts(self._now)
        missing = counts.records - counts.accounted
        for figures in (self._now, self._overall):
            figures["failed"] += missing
        self.letters.append(
            DeadLetter(
                -1, "", "load", "", type(error).__name__, f"{missing} entries not reached: {error}"
            )
        )

    def _counts(self, figures: Counter[str]) -> Counts:
        transformed = self._transformed
        return Counts(
            records=transformed.records,
            created=figures["created"],
            updated=figures["updated"],
            unchanged=figures["unchanged"],
            superseded=figures["superseded"],
            published=figures["published"],
            failed=figures["failed"] + transformed.failed,
            filtered=transformed.filtered,
            duplicates=transformed.duplicates,
            requests=self.requests,
            publish_skipped=figures["publish_skipped"],
            locales_left=figures["locales_left"],
        )

    def finish(self, started: float) -> Upserted:
        """Record dead letters, then the result, for it says that the rest is there."""
        setting, spool = self._setting, self._setting.spool
        setting.guard()
        counts, overall = self._counts(self._now), self._counts(self._overall)
        if self._previous is not None:
            overall = overall.with_(requests=overall.requests + self._previous.counts.requests)
        broke_off = any(letter.ordinal < 0 for letter in self.letters)
        is_failed = broke_off or counts.failed > setting.options.max_failed_entries
        failure = self._reason(counts.failed) if is_failed else ""
        self._tell_of_locales_left()
        waits = (
            f"{self._put_off:,} entries link to entries of other batches and are not published yet"
            if self._put_off
            else ""
        )
        write_lines(spool.dead_letters(self.batch), (asdict(letter) for letter in self.letters))
        seconds = time.monotonic() - started
        attempts, own, own_s = 1, counts, seconds
        if self._previous is not None:
            is_ours = self._previous.run_id == setting.run_id
            attempts = self._previous.attempts + (not is_ours)
            if is_ours:  # taken up again, to publish what was put off
                own = self._again(self._previous.own, counts)
                own_s += self._previous.duration_s
        write_result(
            spool,
            self.batch,
            BatchResult(
                status="failed" if is_failed else "waiting" if waits else "done",
                counts=overall,
                run_id=setting.run_id,
                finished_at=setting.clock().isoformat(timespec="milliseconds"),
                reason=failure or waits,
                attempts=attempts,
                duration_s=own_s,
                peak_rss_mb=peak_rss_mb(),
                own=own,
                put_off=self._put_off,
            ),
        )
        return Upserted(
            batch=self.batch,
            counts=counts,
            put_off=self._put_off,
            dead_letters=tuple(self.letters[:LETTERS_SHOWN]),
            failure=failure,
            duration_s=seconds,
        )

    def _tell_of_locales_left(self) -> None:
        """Say which locales of written entries stay unpublished, as they are somebody's drafts."""
        if not self._left:
            return
        setting = self._setting
        setting.log.info(
            "%s: %s %s locales with unpublished changes of somebody else as they are (entries: %s);"
            " `publish: all` publishes them",
            setting.config.key, self.batch,
            "leaves" if setting.options.apply else "would leave",
            ", ".join(f"{code} {times:,}" for code, times in self._left.most_common()),
        )  # fmt: skip

    def _again(self, first: Counts, second: Counts) -> Counts:
        """What both attempts of a run came to: a second finds unchanged what the first wrote."""
        created = max(first.created - self._lost["created"], 0) + second.created
        updated = max(first.updated - self._lost["updated"], 0) + second.updated
        return second.with_(
            created=created,
            updated=updated,
            unchanged=second.unchanged + second.created + second.updated - created - updated,
            published=first.published + second.published,
            publish_skipped=first.publish_skipped + second.publish_skipped,
            locales_left=max(first.locales_left, second.locales_left),
            requests=first.requests + second.requests,
        )

    def _reason(self, failed: int) -> str:
        """E.g. `3 entries failed: 2 x TypeMismatch in stock.en-US, "a" is not an integer; ...`."""
        groups: Counter[tuple[str, str]] = Counter()
        examples: dict[tuple[str, str], str] = {}
        for letter in self.letters:
            kind = (letter.error_id, letter.field)
            groups[kind] += 1
            examples.setdefault(kind, letter.message)
        reasons = [
            f"{times:,} x {error_id}{f' in {field}' if field else ''}, {examples[error_id, field]}"
            for (error_id, field), times in groups.most_common(REASONS_SHOWN)
        ]
        if others := len(groups) - len(reasons):
            reasons.append(f"{others} other {'reason' if others == 1 else 'reasons'}")
        entries = "entry" if failed == 1 else "entries"
        return f"{failed:,} {entries} failed: {'; '.join(reasons)}"
