"""What of an entry is ours to publish? Editors' drafts stay drafts, unless `publish: all`.

Where the space knows the state of each locale (`sys.fieldStatus`), every locale is judged by
itself; elsewhere the entry is judged as a whole, by its versions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sync_pipeline.load.entry_body import digest_fields, find_untouched
from sync_pipeline.load.ledger import PendingPublish
from sync_pipeline.load.plan import ExistingEntry, derive_entry_id
from sync_pipeline.load.publish_item import PublishItem
from sync_pipeline.model import DesiredEntry, TargetModel

EDITORS_DRAFT = "it holds unpublished changes of somebody else"


@dataclass(frozen=True, slots=True)
class Share:
    """What of an entry this sync may publish. False: nothing."""

    #: Its locales; None: whatever the entry holds.
    locales: frozenset[str] | None
    #: Those of them that were empty before, as far as the mapped fields tell.
    unverified: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.locales is None or bool(self.locales)


EVERYTHING = Share(None)
NOTHING = Share(frozenset())


def share_of(
    existing: ExistingEntry | None,
    noted: PendingPublish | None,
    desired: DesiredEntry,
    target: TargetModel,
    *,
    written: Collection[str],
    is_unchanged: bool,
) -> Share:
    """What publishing may bring out, so that nothing goes out but what this sync wrote.

    Of the locales that are written: those that are out as they are, and those that held nothing
    before. Further those that a note in the ledger says are ours.

    Args:
        existing: The entry as it was read before the write, None where there is none.
        noted: What the ledger has noted about it.
        desired: What the source says.
        target: The content type, from which ids are derived.
        written: Locales that are about to be written.
        is_unchanged: The entry holds what is desired. Only then an unconfirmed note counts, or if
            it holds what was desired when the note was made: a run killed before its write leaves
            a note too, and an editor may have made that version.
    """
    if existing is None:
        return Share(frozenset(written) or frozenset({target.default_locale}))
    if noted is not None and not is_covered(noted, existing, is_unchanged=is_unchanged):
        noted = None
    # Nobody but this sync chooses such an id, and nobody has touched the entry since.
    is_own = (
        existing.version == 1
        and existing.published_version is None
        and existing.id == derive_entry_id(target.content_type.id, desired.key)
    )
    if existing.locale_states is None:
        return EVERYTHING if existing.is_clean or noted is not None or is_own else NOTHING
    if noted is None and not is_own and not _is_out(existing):
        return NOTHING
    own = _own_locales(existing, noted, desired) if noted is not None or is_own else set()
    out = {code for code in written if existing.state_of(code) == "published"}
    new = {
        code
        for code in written
        if existing.state_of(code) == "draft" and not existing.holds(code) and code not in own
    }
    doubted = noted.unverified & own if noted is not None else frozenset()
    return Share(frozenset(own | out | new), frozenset(new | doubted))


def is_covered(noted: PendingPublish, existing: ExistingEntry, *, is_unchanged: bool) -> bool:
    """Whether a note tells that an entry holds nothing but our own writes since its publish."""
    is_as_intended = (
        not is_unchanged
        and noted.version == existing.version
        and noted.intended != ""
        and noted.intended == digest_fields(existing.fields)
    )
    return noted.covers(existing.version, is_unchanged=is_unchanged or is_as_intended)


def confirm_share(share: Share, entry: ExistingEntry) -> Share:
    """The share without locales in which fields outside the mapping hold somebody's draft.

    Args:
        share: As planned.
        entry: As the space has answered it, with all of its fields; without them nothing changes.
    """
    if share.locales is None or entry.unmapped_locales is None:
        return share
    return Share(share.locales - (share.unverified & entry.unmapped_locales))


def keep_untouched(noted: PendingPublish, entry: ExistingEntry) -> PendingPublish | None:
    """A note for the version that the entry has by now, on the locales that nobody touched since.

    Args:
        noted: A note on an older version.
        entry: As it is now, with all of its fields.
    """
    untouched = find_untouched(noted.digests, entry.digests)
    if not untouched:
        return None
    return replace(noted, version=entry.version, base_version=entry.version, locales=untouched)


def digests_of(entry: ExistingEntry, share: Share) -> dict[str, str]:
    """`{locale: digest}` of what an entry holds in the locales of a share, where that is known."""
    if not entry.digests or share.locales is None:
        return {}
    return {code: entry.digests[code] for code in sorted(share.locales & entry.digests.keys())}


def item_to_publish(
    entry: ExistingEntry, share: Share, target: TargetModel, *, is_written: bool
) -> PublishItem | None:
    """How a share of an entry is brought out; None where nothing of it is left to publish.

    As a whole where no other locale is held back: that takes the least requests, and every space
    understands it.

    Args:
        entry: As it is.
        share: What may go out.
        target: Its locales.
        is_written: The entry was written since it was published last.
    """
    states = entry.locale_states
    if not share or (states is None and entry.is_clean):
        return None
    if states is None:
        return PublishItem(entry.id, entry.version)
    codes = _all_codes(entry, target)
    going = _locales_going(entry, share, target)
    if not going:
        return None
    is_out = all(entry.state_of(code) == "published" for code in going)
    if is_out and (entry.is_clean or not is_written):
        return None
    is_held_back = any(c not in going and entry.state_of(c) != "published" for c in codes)
    return PublishItem(
        entry.id, entry.version, going if is_held_back else None, digests_of(entry, share)
    )


def locales_left(
    entry: ExistingEntry, share: Share, target: TargetModel, *, written: Collection[str] = ()
) -> tuple[str, ...]:
    """Locales that hold something unpublished, and stay behind when a share is published.

    Args:
        entry: As it is.
        share: What may go out.
        target: Its locales.
        written: Locales that will be written before.
    """
    if entry.locale_states is None or share.locales is None:
        return ()
    return tuple(
        code
        for code in _all_codes(entry, target)
        if code not in share.locales
        and (code in written or (entry.state_of(code) != "published" and entry.holds(code)))
    )


def why_skipped(share: Share, written: Collection[str]) -> str:
    """Why something that was written stays unpublished; "" where all of it may go out."""
    if not share:
        return EDITORS_DRAFT
    kept = [] if share.locales is None else sorted(set(written) - share.locales)
    return f"{EDITORS_DRAFT} in {', '.join(kept)}" if kept else ""


def _is_out(existing: ExistingEntry) -> bool:
    """Whether an entry is published, and locales account for what is not.

    One that has a newer version though each of its locales is as published has been changed
    elsewhere (its tags, say), and publishing any locale may bring that out.
    """
    if existing.published_version is None:
        return False
    states = (existing.locale_states or {}).values()
    return existing.is_clean or any(state != "published" for state in states)


def _own_locales(
    existing: ExistingEntry, noted: PendingPublish | None, desired: DesiredEntry
) -> set[str]:
    """Locales whose unpublished values are this sync's, as far as it remembers."""
    named = {code for values in desired.fields.values() for code in values}
    named |= {code for _, code in desired.cleared}
    if noted is not None and noted.locales is not None:
        candidates = set(noted.locales)
    elif existing.published_version is None:
        candidates = named  # nothing but ours is in it
    else:
        # Noted by an earlier version of this package, for the entry as a whole.
        candidates = {code for code in named if existing.state_of(code) == "changed"}
    return {
        code for code in candidates if existing.state_of(code) != "draft" or existing.holds(code)
    }


def _locales_going(entry: ExistingEntry, share: Share, target: TargetModel) -> tuple[str, ...]:
    codes = _all_codes(entry, target)
    if share.locales is not None:
        return tuple(code for code in codes if code in share.locales)
    # A locale without any value is nobody's draft.
    held = tuple(c for c in codes if entry.state_of(c) != "draft" or entry.holds(c))
    return held or (target.default_locale,)


def _all_codes(entry: ExistingEntry, target: TargetModel) -> tuple[str, ...]:
    """Those of the space as it was when the run began, and any that the entry knows besides."""
    return tuple(dict.fromkeys((*target.locale_codes, *(entry.locale_states or {}))))
