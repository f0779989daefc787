"""`publish: all`: publishing also what others have left as drafts of the content type."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.entry_body import SELECTED_SYS, read_existing
from sync_pipeline.load.ownership import EVERYTHING, item_to_publish
from sync_pipeline.load.paging import read_by_values, read_entries
from sync_pipeline.load.plan import ExistingEntry
from sync_pipeline.load.publish import MAX_ITEMS, BulkHabits, Publisher
from sync_pipeline.load.publish_item import PublishResult
from sync_pipeline.model import TargetModel


def publish_drafts(
    client: SpaceClient,
    target: TargetModel,
    *,
    apply: bool,
    find_written: Callable[[Collection[str]], Mapping[str, ExistingEntry]] = lambda _: {},
    habits: BulkHabits | None = None,
) -> Iterator[PublishResult]:
    """Publish every entry of a content type that is a draft or has changes; archived ones stay.

    Where locales are published one by one, also those locales that hold something and are no more
    than drafts; a locale without any value is nobody's draft, and stays as it is.

    To be called once a run, after the batches: `ceil(entries / 1000)` reading requests, one for
    every 100 entries with locales that are not out, and one bulk action for every 200 drafts.

    Args:
        client: The space.
        target: Content type and locales.
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
    drafts = _find_drafts(client, target)
    while listed := list(itertools.islice(drafts, MAX_ITEMS)):
        known = find_written([entry.id for entry in listed])
        due = [_newest(entry, known.get(entry.id)) for entry in listed]
        whole = _read_whole(client, [entry for entry in due if _hangs_on_content(entry)])
        items = [
            item
            for entry in due
            if not entry.is_archived
            and (
                item := item_to_publish(
                    _newest(entry, whole.get(entry.id)), EVERYTHING, target, is_written=True
                )
            )
        ]
        if apply:
            yield from publisher.publish(items).values()
        else:
            for item in items:
                yield PublishResult(item.entry_id, "published", item.version)


def _find_drafts(client: SpaceClient, target: TargetModel) -> Iterator[ExistingEntry]:
    params = {
        "content_type": target.content_type.id,
        "select": ",".join(SELECTED_SYS),
        "order": "sys.id",
    }
    for body in read_entries(client, params):
        entry = read_existing(body, ())
        if not entry.is_archived and (not entry.is_clean or _hangs_on_content(entry)):
            yield entry


def _hangs_on_content(entry: ExistingEntry) -> bool:
    """Whether locales are not out, so that what they hold decides what there is to publish."""
    states = entry.locale_states
    return states is not None and any(state != "published" for state in states.values())


def _read_whole(client: SpaceClient, entries: list[ExistingEntry]) -> dict[str, ExistingEntry]:
    """The entries with all that they hold."""
    bodies = read_by_values(client, {}, "sys.id", [entry.id for entry in entries])
    found = (read_existing(body, (), is_whole=True) for body in bodies)
    return {entry.id: entry for entry in found}


def _newest(listed: ExistingEntry, other: ExistingEntry | None) -> ExistingEntry:
    return other if other is not None and other.version >= listed.version else listed
