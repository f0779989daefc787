"""Reading entries in bulk: pages that miss nothing while others write, and `[in]` look-ups.

Pages are read in a stable order and overlap by one entry. If the first entry of a page was not on
an earlier one, the collection has shifted under us (something was deleted) and the page is read
again from further back. An entry may therefore come twice; callers keep the last by id.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.answer import Answer
from sync_pipeline.load.client import SpaceClient, raise_unexpected
from sync_pipeline.load.shapes import collection_of, is_entry

#: Entries a page; the API's maximum.
PAGE_LIMIT = 1000
#: Values and encoded characters of one `[in]` query; the service takes URIs up to 7600 characters.
MAX_VALUES = 100
MAX_QUERY_CHARS = 1900
#: How often a page may turn out to have shifted before the collection counts as unreadable.
_MAX_SHIFTS = 100


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries of a collection, in its order."""

    items: tuple[Mapping[str, Any], ...]
    #: Entries in the collection when this page was read.
    total: int
    #: Position of the first entry that no page so far has reached.
    position: int


def read_entry_pages(
    client: SpaceClient,
    params: Mapping[str, str | int],
    *,
    is_seen: Callable[[str], bool],
    limit: int = PAGE_LIMIT,
) -> Generator[EntryPage, None, None]:
    """Yield the pages of `/entries`, in the order that `params` states.

    Args:
        client: The space.
        params: Query with a stable `order`, without `skip` and `limit`.
        is_seen: Whether an entry of that id was on a page before; asked once a page.
        limit: Entries a page, halved for good when the answer would be too big for the API.

    Raises:
        SpaceError: The query was refused, or the collection keeps shifting.
    """
    start = position = shifts = 0
    last_total: int | None = None
    while True:
        answer = client.request(
            "GET",
            "/entries",
            params={**params, "skip": start, "limit": limit},
            # An empty page further on is what the end looks like when entries were deleted.
            expects=collection_of(is_entry, skip=start, may_be_empty=start > 0),
        )
        if limit > 1 and is_too_big(answer):
            limit = max(1, limit // 2)
            continue
        if answer.status == 400 and (wider := _select_whole_sys(params)) is not None:
            params = wider
            continue
        if not answer.is_ok:
            raise_unexpected(client, answer, "Reading entries")
        items = tuple(answer.mapping["items"])
        total = int(answer.mapping["total"])
        # Pages of a single entry, one of many megabytes, have no room for an overlap.
        is_overlapping = start < position or not items
        if start and is_overlapping and not (items and is_seen(str(items[0]["sys"]["id"]))):
            shifts += 1
            if shifts > _MAX_SHIFTS:
                raise SpaceError(
                    f"Entries of the {client.space_text} keep being deleted while they are read; "
                    "run again when that has ended."
                )
            shrunk_by = max((last_total or total) - total, 0)
            start = max(0, min(start, total) - max(shrunk_by, 2 ** min(shifts, 12)))
            last_total = total
            continue
        last_total = total
        position = start + len(items)
        yield EntryPage(items, total, position)
        if not items or position >= total:
            return
        start = position - 1 if len(items) > 1 else position


def _select_whole_sys(params: Mapping[str, str | int]) -> dict[str, str | int] | None:
    """The same query without `sys.fieldStatus`, which a space without such states may not know."""
    paths = str(params.get("select", "")).split(",")
    if "sys.fieldStatus" not in paths:
        return None
    select = ["sys", *(path for path in paths if not path.startswith("sys."))]
    return {**params, "select": ",".join(select)}


def is_too_big(answer: Answer) -> bool:
    """Whether the answer would pass the 7 MB of the API; there is no error id of its own for it."""
    return answer.status == 413 or (
        answer.status == 400 and "size too big" in answer.message.lower()
    )


def read_by_values(
    client: SpaceClient, params: Mapping[str, str | int], path: str, values: Iterable[str]
) -> Iterator[Mapping[str, Any]]:
    """Yield the entries whose value at `path` is one of `values`: few requests for many values.

    Args:
        client: The space.
        params: Further query, without order.
        path: `sys.id`, `fields.sku.en-US`.
        values: Exact values; the service may match more loosely, so callers compare again.
    """
    for query in pack_queries(path, values):
        yield from read_query(client, {**params, **query})


def read_query(client: SpaceClient, params: Mapping[str, str | int]) -> Iterator[Mapping[str, Any]]:
    """Yield all entries of one look-up; mostly a single page."""
    return read_entries(client, {**params, "order": "sys.id"})


def read_entries(
    client: SpaceClient, params: Mapping[str, str | int]
) -> Iterator[Mapping[str, Any]]:
    """Yield all entries of a query in its order, remembering no more than the last page.

    An entry may come twice if others delete entries while this reads.
    """
    last_ids: set[str] = set()

    def is_seen(entry_id: str) -> bool:
        return entry_id in last_ids

    for page in read_entry_pages(client, params, is_seen=is_seen):
        for body in page.items:
            if str(body["sys"]["id"]) not in last_ids:
                yield body
        last_ids = {str(body["sys"]["id"]) for body in page.items}


def pack_queries(path: str, values: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield queries that together ask for all values.

    Values that a comma-separated list cannot carry are asked for one by one.
    """
    batch: dict[str, None] = {}
    chars = 0
    for value in values:
        if not value or value in batch:
            continue
        if not _fits_a_list(value):
            yield {path: value}
            continue
        cost = len(quote(value, safe="")) + len("%2C")
        if batch and (len(batch) >= MAX_VALUES or chars + cost > MAX_QUERY_CHARS):
            yield {f"{path}[in]": ",".join(batch)}
            batch, chars = {}, 0
        batch[value] = None
        chars += cost
    if batch:
        yield {f"{path}[in]": ",".join(batch)}


def _fits_a_list(value: str) -> bool:
    """Commas separate; what happens to blanks at the edges and to quotes is nowhere stated."""
    return "," not in value and '"' not in value and value == value.strip()
