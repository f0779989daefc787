"""Whose draft is it? Editors' drafts are not published unless the run says `publish: all`."""

from __future__ import annotations

from sync_pipeline.load.ledger import PendingPublish
from sync_pipeline.load.plan import ExistingEntry, derive_entry_id
from sync_pipeline.model import DesiredEntry, TargetModel

EDITORS_DRAFT = "it holds unpublished changes of somebody else"


def is_ours_to_publish(
    existing: ExistingEntry | None,
    noted: PendingPublish | None,
    desired: DesiredEntry,
    target: TargetModel,
    *,
    is_unchanged: bool,
) -> bool:
    """Whether publishing the entry would publish nothing but what this sync wrote.

    Args:
        existing: The entry as just read, None where there is none.
        noted: What the ledger has noted about it.
        desired: What the source says.
        target: The content type, from which ids are derived.
        is_unchanged: The entry holds what is desired. Only then an unconfirmed note counts: a run
            killed before its write leaves a note too, and an editor may have made that version.
    """
    if existing is None or existing.is_clean:
        return True
    if noted is not None and noted.covers(existing.version, is_unchanged=is_unchanged):
        return True
    # Nobody but this sync chooses such an id, and nobody has touched the entry since.
    derived = derive_entry_id(target.content_type.id, desired.key)
    return existing.version == 1 and existing.published_version is None and existing.id == derived
