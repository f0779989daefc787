"""The content of many entries rewritten in place: fields or locales that were renamed or removed.

Versions and states stay as they are; no client wrote anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from sync_pipeline.local_space.store.index_lag import prepare_lagging_index
from sync_pipeline.local_space.store.store import Scope

#: Entries rewritten at a time.
_CHUNK = 500

Fields = dict[str, dict[str, Any]]


def rewrite_fields(
    scope: Scope, names: Sequence[str], change: Callable[[Fields], Fields], content_type: str = ""
) -> None:
    """Rewrite current and published fields of all records that name one of `names`.

    Args:
        scope: The environment.
        names: Field ids or locale codes; what names none of them is not read.
        change: Old fields to new ones.
        content_type: Only its entries; "" for all entries and assets.
    """
    store = scope.store
    marks = [f'"{name}":' for name in names]
    one = "instr(fields, ?) OR instr(coalesce(published_fields, ''), ?)"
    condition = " OR ".join([one] * len(marks))
    if content_type:
        condition = f"kind = 'Entry' AND content_type = ? AND ({condition})"
    values = [
        *([content_type] if content_type else []),
        *(m for mark in marks for m in (mark, mark)),
    ]
    last = 0
    while True:
        rows = store.execute(
            "SELECT row, fields, published_fields FROM entries "
            f"WHERE env = ? AND row > ? AND ({condition}) ORDER BY row LIMIT ?",
            (scope.env, last, *values, _CHUNK),
        ).fetchall()
        if not rows:
            break
        last = rows[-1][0]
        store.connection.executemany(
            "UPDATE entries SET fields = ?, published_fields = ? WHERE row = ?",
            [
                (_changed(fields, change), published and _changed(published, change), row)
                for row, fields, published in rows
            ],
        )
    if store.index_delay is not None:
        prepare_lagging_index(store.connection)


def _changed(text: str, change: Callable[[Fields], Fields]) -> str:
    return orjson.dumps(change(orjson.loads(text))).decode()
