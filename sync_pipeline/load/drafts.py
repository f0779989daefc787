"""`publish: all`: publishing also what others have left as drafts of the content type."""

from __future__ import annotations

from collections.abc import Iterator

from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.paging import read_entries
from sync_pipeline.load.publish import MAX_ITEMS, Publisher, PublishItem, PublishResult
from sync_pipeline.load.target_index import read_existing

_SELECT = "sys.id,sys.version,sys.publishedVersion,sys.archivedVersion,sys.createdAt"


def publish_drafts(
    client: SpaceClient, content_type_id: str, *, apply: bool
) -> Iterator[PublishResult]:
    """Publish every entry of a content type that is a draft or has changes; archived ones stay.

    To be called once a run, after the batches: `ceil(entries / 1000)` reading requests, and one
    bulk action for every 200 drafts.

    Args:
        client: The space.
        content_type_id: Which entries.
        apply: False: a dry run, which tells what would be published.

    Yields:
        A result for every draft.

    Raises:
        SpaceError: The space refuses us or cannot be reached.
    """
    publisher = Publisher(client, follows_moves=True)
    due: list[PublishItem] = []
    for item in _find_drafts(client, content_type_id):
        if not apply:
            yield PublishResult(item.entry_id, "published", item.version)
            continue
        due.append(item)
        if len(due) >= MAX_ITEMS:
            yield from publisher.publish(due).values()
            due = []
    if due:
        yield from publisher.publish(due).values()


def _find_drafts(client: SpaceClient, content_type_id: str) -> Iterator[PublishItem]:
    params = {"content_type": content_type_id, "select": _SELECT, "order": "sys.id"}
    for body in read_entries(client, params):
        entry = read_existing(body, ())
        if not entry.is_clean and not entry.is_archived:
            yield PublishItem(entry.id, entry.version)
