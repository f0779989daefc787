"""Many entries rewritten in place, as fields or locales are added, renamed or removed.

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


def fix_published_locales(scope: Scope, codes: Sequence[str]) -> None:
    """Note of every record that is published in all locales which these are, as one is added.

    A locale that is new to the environment is out in no entry before that is published again.
    """
    _update(
        scope,
        "UPDATE entries SET published_locales = ? WHERE env = ? "
        "AND published_version IS NOT NULL AND published_locales IS NULL",
        [(orjson.dumps(list(codes)).decode(), scope.env)],
    )


def rewrite_published_locales(scope: Scope, code: str, new_code: str | None) -> None:
    """Rename a locale where it is noted as published, or take it out.

    A record that was out in no other locale is not published afterwards.
    """
    rows = scope.store.execute(
        "SELECT row, published_locales FROM entries WHERE env = ? AND instr(published_locales, ?)",
        (scope.env, f'"{code}"'),
    ).fetchall()
    changed: list[tuple[str, int]] = []
    gone: list[tuple[int]] = []
    for row, text in rows:
        codes = [new_code if held == code else held for held in orjson.loads(text)]
        left = [held for held in codes if held is not None]
        if left:
            changed.append((orjson.dumps(left).decode(), row))
        else:
            gone.append((row,))
    _update(scope, "UPDATE entries SET published_locales = ? WHERE row = ?", changed)
    _update(
        scope,
        "UPDATE entries SET published_version = NULL, published_at = NULL, "
        "published_fields = NULL, published_locales = NULL WHERE row = ?",
        gone,
    )


def _update(scope: Scope, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
    scope.store.connection.executemany(sql, values)
    if scope.store.index_delay is not None:
        prepare_lagging_index(scope.store.connection)


def _changed(text: str, change: Callable[[Fields], Fields]) -> str:
    return orjson.dumps(change(orjson.loads(text))).decode()
