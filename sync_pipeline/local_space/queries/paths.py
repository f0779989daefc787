"""The paths by which entries and assets can be filtered, ordered and selected, as SQL.

`sys.id`, `sys.contentType.sys.id`, `fields.sku`, `fields.name.de-DE`, `fields.author.sys.id`, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync_pipeline.local_space.api_error import ApiError, invalid_query
from sync_pipeline.local_space.checks.definitions import ASSET_DEFINITION, FieldDefinition
from sync_pipeline.local_space.store.records import Kind
from sync_pipeline.local_space.store.store import USER_ID, Scope
from sync_pipeline.local_space.store.value_index import text_literal, value_expression

ValueType = Literal[
    "Symbol", "Text", "Integer", "Number", "Boolean", "Date", "Object", "Location", "Link"
]  # fmt: skip

_SYS: dict[str, tuple[str, ValueType]] = {
    "sys.id": ("id", "Symbol"),
    "sys.type": ("kind", "Symbol"),
    "sys.createdAt": ("created_at", "Date"),
    "sys.updatedAt": ("updated_at", "Date"),
    "sys.publishedAt": ("published_at", "Date"),
    "sys.firstPublishedAt": ("first_published_at", "Date"),
    "sys.archivedAt": ("archived_at", "Date"),
    "sys.version": ("version", "Integer"),
    "sys.publishedVersion": ("published_version", "Integer"),
    "sys.archivedVersion": ("archived_version", "Integer"),
    "sys.publishedCounter": ("published_counter", "Integer"),
    "sys.contentType.sys.id": ("content_type", "Symbol"),
}
#: Every change is made by the one user; who published or archived is unset where nobody did.
_USERS = {
    "sys.createdBy.sys.id": "",
    "sys.updatedBy.sys.id": "",
    "sys.publishedBy.sys.id": "published_version",
    "sys.archivedBy.sys.id": "archived_version",
}
_ASSET_FILE: dict[str, ValueType] = {
    "url": "Symbol",
    "fileName": "Symbol",
    "contentType": "Symbol",
    "details.size": "Integer",
}


@dataclass(frozen=True, slots=True)
class QueryPath:
    """A path that can be asked for."""

    text: str
    #: SQL of the value; of the list itself where `is_list`.
    sql: str
    type: ValueType
    is_list: bool = False
    #: Within each item of a list (`.sys.id`), "" for the item itself.
    item_tail: str = ""
    #: Field, locale and tail where an index on the value can serve the filter.
    index: tuple[str, str, str] | None = None
    #: Table column, for `sys` paths.
    column: str = ""
    is_nullable: bool = True


def unknown_path(path: str) -> ApiError:
    """400 for a path that does not exist."""
    return invalid_query(
        [
            {
                "name": "unknown",
                "path": path.split("."),
                "details": f'The path "{path}" is not recognized',
            }
        ]
    )


def content_type_needed() -> ApiError:
    """400 for a `fields.*` path without `content_type`."""
    return invalid_query(
        [],
        "A Content Type ID is required. When querying for Entries and involving fields you need to "
        "limit your query to a specific Content Type. Please send a Content Type ID (not the name) "
        'as the URI query parameter "content_type"',
    )


def resolve_path(scope: Scope, kind: Kind, content_type: str | None, path: str) -> QueryPath:
    """The path as SQL.

    Raises:
        ApiError: 400 `InvalidQuery` for an unknown path, or for `fields.*` without content type.
    """
    if path in _SYS and not (kind == "Asset" and path == "sys.contentType.sys.id"):
        column, value_type = _SYS[path]
        nullable = column.startswith(("published_", "first_", "archived_")) and (
            column != "published_counter"
        )
        return QueryPath(path, column, value_type, column=column, is_nullable=nullable)
    if path in _USERS:
        column = _USERS[path]
        user = text_literal(USER_ID)
        sql = f"CASE WHEN {column} IS NOT NULL THEN {user} END" if column else user
        return QueryPath(path, sql, "Symbol")
    if path == "sys.space.sys.id":
        return QueryPath(path, text_literal(scope.space_id), "Symbol")
    if path == "sys.environment.sys.id":
        return QueryPath(path, text_literal(scope.environment_id), "Symbol")
    if path in ("metadata.tags.sys.id", "metadata.concepts.sys.id"):
        member = path.split(".")[1]
        sql = f"coalesce(json_extract(metadata, '$.{member}'), '[]')"
        return QueryPath(path, sql, "Symbol", is_list=True, item_tail=".sys.id")
    if path in ("metadata.tags", "metadata.concepts"):
        member = path.split(".")[1]
        sql = f"nullif(coalesce(json_extract(metadata, '$.{member}'), '[]'), '[]')"
        return QueryPath(path, sql, "Object")
    head, _, rest = path.partition(".")
    if head != "fields" or not rest:
        raise unknown_path(path)
    return _field_path(scope, kind, content_type, path, rest)


def _field_path(
    scope: Scope, kind: Kind, content_type: str | None, path: str, rest: str
) -> QueryPath:
    if kind == "Asset":
        definition = ASSET_DEFINITION
    elif content_type is None:
        raise content_type_needed()
    else:
        definition = scope.model.types[content_type]
    field_id, _, tail = rest.partition(".")
    field = definition.fields.get(field_id)
    if field is None:
        raise unknown_path(path)
    locale = scope.model.default_locale
    first, _, remainder = tail.partition(".")
    if first in scope.model.locale_codes:
        locale, tail = first, remainder
    if kind == "Asset" and field_id == "file" and tail:
        if tail not in _ASSET_FILE:
            raise unknown_path(path)
        return QueryPath(
            path, value_expression("fields", "file", locale, f".{tail}"), _ASSET_FILE[tail]
        )
    return _typed_path(field, locale, tail, path)


def _typed_path(field: FieldDefinition, locale: str, tail: str, path: str) -> QueryPath:
    value = value_expression("fields", field.id, locale)
    if field.type == "Array" and field.items is not None:
        if (field.items.type == "Symbol" and not tail) or (
            field.items.type == "Link" and tail in ("sys.id", "")
        ):
            if field.items.type == "Link" and not tail:
                return QueryPath(path, value, "Link", is_list=True)
            return QueryPath(path, value, "Symbol", is_list=True, item_tail=tail and f".{tail}")
        raise unknown_path(path)
    if field.type == "Link":
        if tail not in ("sys.id", ""):
            raise unknown_path(path)
        if not tail:
            return QueryPath(path, value, "Link")
        sql = value_expression("fields", field.id, locale, ".sys.id")
        return QueryPath(path, sql, "Symbol", index=(field.id, locale, ".sys.id"))
    if field.type == "Location" and tail in ("lat", "lon"):
        return QueryPath(path, value_expression("fields", field.id, locale, f".{tail}"), "Number")
    if tail:
        raise unknown_path(path)
    if field.type in ("Symbol", "Integer", "Number", "Date", "Boolean"):
        # A date is compared as an instant, a Boolean has two values: an index helps neither.
        index = None if field.type in ("Date", "Boolean") else (field.id, locale, "")
        return QueryPath(path, value, field.type, index=index)  # type: ignore[arg-type] # checked
    if field.type in ("Text", "RichText"):
        return QueryPath(path, value, "Text")
    if field.type == "Location":
        return QueryPath(path, value, "Location")
    return QueryPath(path, value, "Object")
