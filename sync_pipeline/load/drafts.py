"""`publish: all`: publishing also what others have left as drafts of the content type."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.paging import read_entries
from sync_pipeline.load.plan import ExistingEntry
from sync_pipeline.load.publish import MAX_ITEMS, BulkHabits, Publisher, PublishItem, PublishResult
from sync_pipeline.load.target_index import read_existing

_SELECT = "sys.id,sys.version,sys.publishedVersion,sys.archivedVersion,sys.createdAt"


def publish_drafts(
    client: SpaceClient,
    content_type_id: str,
    *,
    apply: bool,
    find_written: Callable[[Collection[str]], Mapping[str, ExistingEntry]] = lambda _: {},
    habits: BulkHabits | None = None,
) -> Iterator[PublishResult]:
    """Publish every entry of a content type that is a draft or has changes; archived ones stay.

    To be called once a run, after the batches: `ceil(entries / 1000)` reading requests, and one
    bulk action for every 200 drafts.

    Args:
        client: The space.
        content_type_id: Which entries.
        apply: False: a dry run, which tells what would be published.
        find_written: What is known of some entries by id. Collections lag behind writes by seconds,
            so what this run has published a moment ago is still listed as a draft.
        habits: What the batches have learned of the space's bulk actions.

    Yields:
        A result for every draft.

    Raises:
        SpaceError: The space refuses us or cannot be reached.
    """
    publisher = Publisher(client, follows_moves=True, habits=habits)
    drafts = _find_drafts(client, content_type_id)
    while listed := list(itertools.islice(drafts, MAX_ITEMS)):
        known = find_written([entry.id for entry in listed])
        due = [_newest(entry, known.get(entry.id)) for entry in listed]
        items = [PublishItem(entry.id, entry.version) for entry in due if _is_draft(entry)]
        if apply:
            yield from publisher.publish(items).values()
        else:
            for item in items:
                yield PublishResult(item.entry_id, "published", item.version)


def _find_drafts(client: SpaceClient, content_type_id: str) -> Iterator[ExistingEntry]:
    params = {"content_type": content_type_id, "select": _SELECT, "order": "sys.id"}
    for body in read_entries(client, params):
        entry = read_existing(body, ())
        if _is_draft(entry):
            yield entry


def _newest(listed: ExistingEntry, known: ExistingEntry | None) -> ExistingEntry:
    return known if known is not None and known.version > listed.version else listed


def _is_draft(entry: ExistingEntry) -> bool:
    return not entry.is_clean and not entry.is_archived
