"""Indexes on values within the stored JSON, made when they are first needed.

A look-up by `fields.<key>[in]`, and every `unique` check, would else read all entries of the
content type. Names and conditions hold ids that were checked against the service's patterns, as
SQLite takes no bound values in either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sync_pipeline.local_space.store.store import Scope, Store


@dataclass(frozen=True, slots=True)
class ValueIndex:
    """An index, and the condition that a query must repeat literally to use it."""

    name: str
    condition: str


def text_literal(text: str) -> str:
    """SQL literal of a text."""
    return "'" + text.replace("'", "''") + "'"


def value_expression(column: str, field_id: str, locale: str, tail: str = "") -> str:
    """SQL for one value of a field in a locale; `tail` goes on into it (`.sys.id`)."""
    return f"json_extract({column}, {text_literal(json_path(field_id, locale) + tail)})"


def json_path(field_id: str, locale: str) -> str:
    """SQLite's JSON path of a field in a locale."""
    return f'$."{field_id}"."{locale}"'


def type_condition(env: int, content_type: str) -> str:
    """SQL that picks the entries of a content type."""
    return f"env = {env} AND kind = 'Entry' AND content_type = {text_literal(content_type)}"


def ensure_index(
    store: Store,
    table: str,
    *,
    env: int,
    content_type: str,
    field_id: str,
    locale: str,
    column: str = "fields",
    tail: str = "",
) -> ValueIndex:
    """The index on that value, created (once, in the file) where it is missing.

    The index on `published_fields` holds only entries whose published content differs from the
    current one: `published_fields IS NOT NULL` must be part of the query.
    """
    condition = type_condition(env, content_type)
    expression = value_expression(column, field_id, locale, tail)
    digest = hashlib.sha256(f"{condition}|{expression}".encode()).hexdigest()[:16]
    name = f"{table}_value_{digest}"
    if name not in store.known_indexes:
        extra = " AND published_fields IS NOT NULL" if column == "published_fields" else ""
        may_roll_back = store.connection.in_transaction
        store.execute(
            f'CREATE INDEX IF NOT EXISTS "{name}" ON {table} ({expression}) '
            f"WHERE {condition}{extra}"
        )
        if not may_roll_back:
            store.known_indexes.add(name)
    return ValueIndex(name, condition)


def prepare_unique_checks(scope: Scope) -> None:
    """Make the indexes that `unique` needs; call it outside of a transaction, as a refused publish
    would roll them back.
    """
    store = scope.store
    if scope.env in store.prepared:
        return
    model = scope.model
    for definition in model.types.values():
        for field in definition.fields.values():
            if not any(validation.get("unique") is True for validation in field.validations):
                continue
            for code in model.locale_codes if field.localized else (model.default_locale,):
                for column in ("fields", "published_fields"):
                    ensure_index(
                        store,
                        "entries",
                        env=scope.env,
                        content_type=definition.id,
                        field_id=field.id,
                        locale=code,
                        column=column,
                    )
    store.prepared.add(scope.env)
