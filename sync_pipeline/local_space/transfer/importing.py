"""Read a `contentful-export` file, or a plain model file, into a local space.

::

    {"contentTypes": [...], "locales": [...], "tags": [...], "editorInterfaces": [...],
     "entries": [...], "assets": [...]}

In a model file content types and locales may come without `sys`:
`{"id": "airport", "fields": [{"id": "icao", "type": "Symbol"}]}`. The file is read once per part
and never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ijson
import orjson

from sync_pipeline.errors import UsageError
from sync_pipeline.local_space.api_error import ApiError
from sync_pipeline.local_space.checks.definition_checks import normalize_definition
from sync_pipeline.local_space.entities.content_types import (
    activate,
    find_content_type,
    put_content_type,
)
from sync_pipeline.local_space.entities.editor_interfaces import restore_editor_interface
from sync_pipeline.local_space.entities.locales import create_locale, put_locale
from sync_pipeline.local_space.entities.tags import put_tag
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.locale_names import locale_name
from sync_pipeline.local_space.store.records import Kind, Record, insert_record
from sync_pipeline.local_space.store.store import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_SPACE,
    Scope,
    Store,
    create_environment,
    create_space,
    read_locales,
)

#: Entries written in one transaction: short enough for a running server to write in between.
_CHUNK = 500
#: Parts of an export that a local space has no use for.
_NOT_IMPORTED = ("webhooks", "roles")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import wrote; what was already as in the file does not count."""

    content_types: int = 0
    locales: int = 0
    tags: int = 0
    editor_interfaces: int = 0
    entries: int = 0
    assets: int = 0
    #: Parts of the file that hold something but were left out.
    left_out: tuple[str, ...] = ()


def import_file(
    store: Store,
    path: Path,
    *,
    space_id: str = DEFAULT_SPACE,
    environment_id: str = DEFAULT_ENVIRONMENT,
) -> ImportSummary:
    """Bring the file's content into the environment; space and environment are created.

    Content types and locales are created, or updated and activated where they differ. Entries and
    assets keep their ids, versions and publish state, and replace what has their id. An
    environment that holds nothing takes the file's locales instead of its own.

    Args:
        store: An open storage; a server may be serving it.
        path: The JSON file.
        space_id: Created where absent.
        environment_id: Created where absent.

    Raises:
        UsageError: The file cannot be read, or does not fit the space; names part and id.
    """
    create_space(store, space_id, space_id)
    create_environment(store, space_id, environment_id)
    scope = store.scope(space_id, environment_id)
    try:
        locales = _import_locales(scope, path)
        content_types = _import_content_types(scope, path)
        return ImportSummary(
            content_types=content_types,
            locales=locales,
            tags=_import_tags(scope, path),
            editor_interfaces=_import_editor_interfaces(scope, path),
            assets=_import_records(scope, path, "assets", "Asset"),
            entries=_import_records(scope, path, "entries", "Entry"),
            left_out=tuple(part for part in _NOT_IMPORTED if any(_items(path, part))),
        )
    finally:
        store.forget()


def _items(path: Path, part: str) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for item in ijson.items(file, f"{part}.item", use_float=True):
                if not isinstance(item, dict):
                    raise UsageError(f"{path}: {part} must hold objects, not {item!r}.")
                yield item
    except ijson.JSONError as error:
        raise UsageError(
            f"{path} is not a JSON export of a space: {error}. Make one with contentful-export."
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error


def _refused(path: Path, part: str, item_id: str, error: ApiError) -> UsageError:
    details = "" if error.details is None else f" {orjson.dumps(error.details).decode()}"
    return UsageError(
        f"{path}: {part} {item_id!r} does not fit the space: "
        f"{error.message or error.error_id}{details[:500]}"
    )


def _id_of(path: Path, part: str, item: dict[str, Any]) -> str:
    sys = item.get("sys")
    found = sys.get("id") if isinstance(sys, dict) else item.get("id")
    if not isinstance(found, str):
        raise UsageError(f"{path}: one of {part} has neither `sys.id` nor `id`.")
    return found


def _import_locales(scope: Scope, path: Path) -> int:
    wanted = [_plain_locale(path, item) for item in _items(path, "locales")]
    if not wanted:
        return 0
    default = next((locale["code"] for locale in wanted if locale["default"]), wanted[0]["code"])
    changed = 0
    with transaction(scope.store.connection):
        if _is_empty(scope) and scope.model.default_locale != default:
            _replace_default(scope, default)
        if scope.model.default_locale != default:
            raise UsageError(
                f"{path}: the default locale is {default}, that of the space "
                f"{scope.space_id} is {scope.model.default_locale}. Import into an empty space."
            )
        # Fallbacks first: a locale is created after the one that it falls back to.
        pending = sorted(wanted, key=lambda locale: locale["fallbackCode"] is not None)
        existing = {row.code: row for row in read_locales(scope.store, scope.env)}
        while pending:
            ready = [
                locale
                for locale in pending
                if locale["fallbackCode"] is None
                or locale["code"] in existing
                or locale["fallbackCode"] in existing
            ]
            if not ready:
                raise UsageError(
                    f"{path}: the fallback of locale {pending[0]['code']} does not exist."
                )
            for locale in ready:
                changed += _import_locale(scope, path, locale)
            pending = [locale for locale in pending if locale not in ready]
            existing = {row.code: row for row in read_locales(scope.store, scope.env)}
    return changed


def _plain_locale(path: Path, item: dict[str, Any]) -> dict[str, Any]:
    code = item.get("code")
    if not isinstance(code, str):
        raise UsageError(f"{path}: one of locales has no `code`.")
    return {
        "name": item.get("name") or locale_name(code),
        "code": code,
        "fallbackCode": item.get("fallbackCode"),
        "default": bool(item.get("default")),
        "optional": bool(item.get("optional", False)),
        "contentManagementApi": bool(item.get("contentManagementApi", True)),
        "contentDeliveryApi": bool(item.get("contentDeliveryApi", True)),
    }


def _import_locale(scope: Scope, path: Path, wanted: dict[str, Any]) -> int:
    found = next(
        (row for row in read_locales(scope.store, scope.env) if row.code == wanted["code"]), None
    )
    try:
        if found is None:
            create_locale(scope, wanted)
            return 1
        current = (
            found.name,
            found.fallback_code,
            found.is_optional,
            found.in_management,
            found.in_delivery,
        )
        keys = ("name", "fallbackCode", "optional", "contentManagementApi", "contentDeliveryApi")
        if current == tuple(wanted[key] for key in keys):
            return 0
        put_locale(scope, found.id, wanted, found.version)
    except ApiError as error:
        raise _refused(path, "locale", wanted["code"], error) from error
    return 1


def _is_empty(scope: Scope) -> bool:
    return not any(
        scope.store.execute(f"SELECT 1 FROM {table} WHERE env = ? LIMIT 1", (scope.env,)).fetchone()
        for table in ("entries", "content_types")
    )


def _replace_default(scope: Scope, code: str) -> None:
    scope.store.execute("DELETE FROM locales WHERE env = ? AND NOT is_default", (scope.env,))
    scope.store.execute(
        "UPDATE locales SET code = ?, internal_code = ?, name = ? WHERE env = ?",
        (code, code, locale_name(code), scope.env),
    )
    scope.store.forget()


def _import_content_types(scope: Scope, path: Path) -> int:
    changed = 0
    for item in _items(path, "contentTypes"):
        type_id = _id_of(path, "contentTypes", item)
        sys = item.get("sys")
        # Without `sys` it is a model file, whose types are meant to be used.
        is_exported = isinstance(sys, dict)
        is_active = not isinstance(sys, dict) or sys.get("publishedVersion") is not None
        body = {
            "name": item.get("name") or type_id,
            "displayField": item.get("displayField"),
            "description": item.get("description", ""),
            "metadata": item.get("metadata"),
            "fields": [
                {**field, "name": field.get("name") or field.get("id")}
                for field in item.get("fields", [])
            ],
        }
        try:
            changed += _import_content_type(
                scope, type_id, body, is_active=is_active, is_exported=is_exported
            )
        except ApiError as error:
            raise _refused(path, "content type", type_id, error) from error
    return changed


def _import_content_type(
    scope: Scope, type_id: str, body: dict[str, Any], *, is_active: bool, is_exported: bool
) -> int:
    with transaction(scope.store.connection):
        row = find_content_type(scope, type_id)
        version = None if row is None else row.version
        is_new = row is None
        if row is None or not _same_definition(row.definition, body):
            row, _ = put_content_type(scope, type_id, body, version, is_exported=is_exported)
            is_new = True
        if is_active and row.published_definition != row.definition:
            activate(scope, type_id, row.version)
            is_new = True
    return int(is_new)


def _same_definition(stored: str, body: dict[str, Any]) -> bool:
    try:
        return bool(orjson.loads(stored) == normalize_definition(body))
    except (KeyError, TypeError):
        return False  # a faulty one, which the check that follows will name


def _import_tags(scope: Scope, path: Path) -> int:
    changed = 0
    for item in _items(path, "tags"):
        tag_id = _id_of(path, "tags", item)
        found = scope.store.execute(
            "SELECT version, name FROM tags WHERE env = ? AND id = ?", (scope.env, tag_id)
        ).fetchone()
        if found is not None and found[1] == item.get("name"):
            continue
        try:
            put_tag(scope, tag_id, item, None if found is None else found[0])
        except ApiError as error:
            raise _refused(path, "tag", tag_id, error) from error
        changed += 1
    return changed


def _import_editor_interfaces(scope: Scope, path: Path) -> int:
    changed = 0
    for item in _items(path, "editorInterfaces"):
        type_id = _id_of(path, "editorInterfaces", item["sys"].get("contentType", {}))
        body = {key: value for key, value in item.items() if key != "sys"}
        try:
            changed += restore_editor_interface(scope, type_id, body)
        except ApiError as error:
            raise _refused(path, "editor interface of", type_id, error) from error
    return changed


def _import_records(scope: Scope, path: Path, part: str, kind: Kind) -> int:
    known = {
        row[0]
        for row in scope.store.execute("SELECT id FROM content_types WHERE env = ?", (scope.env,))
    }
    items = _items(path, part)
    count = 0
    while True:
        chunk = list(islice(items, _CHUNK))
        if not chunk:
            return count
        with transaction(scope.store.connection):
            for item in chunk:
                record = _record(scope, path, part, kind, item)
                if kind == "Entry" and record.content_type not in known:
                    raise UsageError(
                        f"{path}: entry {record.id!r} is of content type "
                        f"{record.content_type!r}, which neither the file nor the space has."
                    )
                insert_record(scope, record)
        count += len(chunk)


def _record(scope: Scope, path: Path, part: str, kind: Kind, item: dict[str, Any]) -> Record:
    sys = item.get("sys")
    if not isinstance(sys, dict):
        raise UsageError(f"{path}: one of {part} has no `sys`.")
    now = scope.store.now()
    published = sys.get("publishedVersion")
    version = sys.get("version") or (published + 1 if published is not None else 1)
    created = sys.get("createdAt") or now
    updated = sys.get("updatedAt") or created
    metadata = item.get("metadata")
    type_link = sys.get("contentType", {}).get("sys", {}).get("id", "")
    published_fields, published_locales = _published_parts(scope, item)
    return Record(
        row=None,
        env=scope.env,
        kind=kind,
        id=_id_of(path, part, item),
        content_type=type_link if kind == "Entry" else "",
        version=version,
        published_version=published,
        archived_version=sys.get("archivedVersion"),
        created_at=created,
        updated_at=updated,
        published_at=sys.get("publishedAt") if published is not None else None,
        first_published_at=sys.get("firstPublishedAt") or sys.get("publishedAt"),
        archived_at=sys.get("archivedAt"),
        published_counter=sys.get("publishedCounter", int(published is not None)),
        fields=orjson.dumps(item.get("fields") or {}).decode(),
        metadata=orjson.dumps(metadata).decode() if isinstance(metadata, dict) else None,
        published_fields=published_fields,
        published_locales=published_locales,
    )


def _published_parts(scope: Scope, item: dict[str, Any]) -> tuple[str | None, str | None]:
    """What is out of an entry or asset, and in which locales; None: all that it holds, all.

    An export holds the current content only: of a locale that was changed it is known that
    something else is published, not what.
    """
    sys, fields = item["sys"], item.get("fields") or {}
    states = sys.get("fieldStatus", {}).get("*")
    if sys.get("publishedVersion") is None or not states:
        return None, None
    codes = [c for c in scope.model.locale_codes if states.get(c, "draft") != "draft"]
    if not codes:
        return None, None
    published = {
        field_id: kept
        for field_id, values in fields.items()
        if isinstance(values, dict)
        and (kept := {c: v for c, v in values.items() if states.get(c) == "published"})
    }
    return (
        None if published == fields else orjson.dumps(published).decode(),
        None if len(codes) == len(scope.model.locale_codes) else orjson.dumps(codes).decode(),
    )
