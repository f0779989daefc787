"""What the checks on publishing ask the database: link targets and unique values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sync_pipeline.local_space.checks.publishing import Surroundings, Target
from sync_pipeline.local_space.store.records import Record
from sync_pipeline.local_space.store.store import Scope
from sync_pipeline.local_space.store.value_index import ensure_index, value_expression

#: `conflicting` names at most this many entries.
_MAX_CONFLICTS = 10


def surroundings(scope: Scope, record: Record) -> Surroundings:
    """The environment as seen from a record that is about to be published."""
    targets: dict[tuple[str, str], Target | None] = {}

    def target(link_type: str, resource_id: str) -> Target | None:
        key = (link_type, resource_id)
        if key not in targets:
            targets[key] = _read_target(scope, link_type, resource_id)
        return targets[key]

    def holders(field_id: str, locale: str, value: Any) -> Sequence[str]:
        return _read_holders(scope, record, field_id, locale, value)

    model = scope.model
    return Surroundings(
        locales=model.locale_codes,
        default_locale=model.default_locale,
        required_locales=model.required_locales,
        target=target,
        holders=holders,
    )


def _read_target(scope: Scope, link_type: str, resource_id: str) -> Target | None:
    row = scope.store.execute(
        "SELECT content_type, CASE kind WHEN 'Asset' THEN fields END FROM entries "
        "WHERE env = ? AND kind = ? AND id = ?",
        (scope.env, link_type, resource_id),
    ).fetchone()
    if row is None:
        return None
    content_type, fields = row
    if fields is None:
        return Target(content_type)
    file = orjson.loads(fields).get("file", {}).get(scope.model.default_locale)
    return Target(content_type, file if isinstance(file, dict) else None)


def _read_holders(
    scope: Scope, record: Record, field_id: str, locale: str, value: Any
) -> Sequence[str]:
    """Other entries that are published with this value, in what they have published."""
    found: list[str] = []
    for column, condition in (
        ("fields", "published_fields IS NULL AND published_version IS NOT NULL"),
        ("published_fields", "published_fields IS NOT NULL"),
    ):
        index = ensure_index(
            scope.store,
            "entries",
            env=scope.env,
            content_type=record.content_type,
            field_id=field_id,
            locale=locale,
            column=column,
        )
        found += [
            row[0]
            for row in scope.store.execute(
                f'SELECT id FROM entries INDEXED BY "{index.name}" WHERE {index.condition} '
                f"AND {value_expression(column, field_id, locale)} = ? AND {condition} AND id <> ? "
                f"LIMIT {_MAX_CONFLICTS}",
                (value, record.id),
            )
        ]
    return found[:_MAX_CONFLICTS]
