"""What may be done with an entry or asset, and in which state: create, update, patch, publish,
archive, delete.

Every function runs in one transaction, checks the version, applies the state rules of the service
and returns the record as it is then. Each accepted write raises the version by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import bad_request, validation_error, version_mismatch
from sync_pipeline.local_space.checks.asset_files import check_processed
from sync_pipeline.local_space.checks.definitions import (
    ASSET_DEFINITION,
    TypeDefinition,
)
from sync_pipeline.local_space.checks.publishing import check_publishable
from sync_pipeline.local_space.checks.saving import (
    RECORD_KEYS,
    body_object,
    check_fields,
    check_keys,
    check_metadata,
)
from sync_pipeline.local_space.entities.patching import patched
from sync_pipeline.local_space.entities.surroundings import surroundings
from sync_pipeline.local_space.entities.tags import check_tags
from sync_pipeline.local_space.request import json_text
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.records import (
    Kind,
    Record,
    delete_record,
    find_record,
    insert_record,
    published_content,
    published_locales,
    read_record,
    update_record,
)
from sync_pipeline.local_space.store.store import Scope
from sync_pipeline.model import RESOURCE_ID


@dataclass(frozen=True, slots=True)
class LocaleChange:
    """Per-locale publishing: locales to publish and to take back."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()


def definition_of(scope: Scope, kind: Kind, content_type: str | None) -> TypeDefinition:
    """The activated definition that a record follows.

    Raises:
        ApiError: 400, with the texts of the service.
    """
    if kind == "Asset":
        return ASSET_DEFINITION
    if not content_type:
        raise bad_request(
            "You should provide a content type in X-Contentful-Content-Type request header."
        )
    definition = scope.model.types.get(content_type)
    if definition is None:
        raise bad_request("The content type you sent could not be found or was not activated.")
    return definition


def put_record(
    scope: Scope,
    kind: Kind,
    resource_id: str,
    body: Any,
    *,
    content_type: str | None,
    version: int | None,
) -> tuple[Record, bool]:
    """Create or update by id; the second value says whether it was created.

    An existing entry needs its current version; the content type of a new one decides its fields
    and is ignored afterwards. A version sent for a new one is ignored, as the service does.
    """
    with transaction(scope.store.connection):
        record = find_record(scope, kind, resource_id)
        if record is not None:
            return _update(scope, record, body, version), False
        if not RESOURCE_ID.fullmatch(resource_id):
            raise validation_error(
                [{"name": "regexp", "path": ["sys", "id"], "value": resource_id}]
            )
        return _create(scope, kind, resource_id, body, content_type), True


def create_record(scope: Scope, kind: Kind, body: Any, content_type: str | None) -> Record:
    """Create with an id of our making; sent twice, it creates two."""
    with transaction(scope.store.connection):
        return _create(scope, kind, scope.store.new_id(), body, content_type)


def _create(
    scope: Scope, kind: Kind, resource_id: str, body: Any, content_type: str | None
) -> Record:
    definition = definition_of(scope, kind, content_type)
    fields, metadata = _checked(scope, definition, _with_defaults(scope, definition, body), None)
    now = scope.store.now()
    record = Record(
        row=None,
        env=scope.env,
        kind=kind,
        id=resource_id,
        content_type=definition.id,
        version=1,
        published_version=None,
        archived_version=None,
        created_at=now,
        updated_at=now,
        published_at=None,
        first_published_at=None,
        archived_at=None,
        published_counter=0,
        fields=json_text(fields),
        metadata=metadata,
        published_fields=None,
        published_locales=None,
    )
    insert_record(scope, record)
    return record


def _with_defaults(scope: Scope, definition: TypeDefinition, body: Any) -> Any:
    """The body with default values for the fields that it does not name."""
    fields = body_object(body).get("fields") or {}
    if not isinstance(fields, dict):
        return body  # refused by the check that follows
    defaults = {}
    for field in definition.fields.values():
        if field.default_value is None or field.id in fields:
            continue
        known = scope.model.locale_codes if field.localized else (scope.model.default_locale,)
        values = {code: value for code, value in field.default_value.items() if code in known}
        if values:
            defaults[field.id] = values
    return {**body, "fields": {**fields, **defaults}} if defaults else body


def _checked(
    scope: Scope, definition: TypeDefinition, body: Any, stored_metadata: str | None
) -> tuple[dict[str, dict[str, Any]], str | None]:
    content = body_object(body)
    check_keys(content, RECORD_KEYS, "InvalidEntry")
    metadata = check_metadata(content.get("metadata"))
    if metadata is not None and metadata["tags"]:
        check_tags(scope, metadata, stored_metadata)
    model = scope.model
    fields = check_fields(
        content.get("fields"), definition, model.locale_codes, model.default_locale
    )
    return fields, None if metadata is None else json_text(metadata)


def _update(scope: Scope, record: Record, body: Any, version: int | None) -> Record:
    _require_version(record, version)
    if record.archived_version is not None:
        raise bad_request("Cannot edit archived")
    definition = definition_of(scope, record.kind, record.content_type)
    fields, metadata = _checked(scope, definition, body, record.metadata)
    return _save(scope, record, fields, metadata)


def _save(
    scope: Scope, record: Record, fields: dict[str, dict[str, Any]], metadata: str | None
) -> Record:
    text = json_text(fields)
    published = record.published_fields
    if record.published_version is not None:
        if published is None and text != record.fields:
            published = record.fields
        if published is not None and orjson.loads(published) == fields:
            published = None
    record = replace(
        record,
        version=record.version + 1,
        updated_at=scope.store.now(),
        fields=text,
        metadata=metadata,
        published_fields=published,
    )
    update_record(scope, record)
    return record


def patch_record(
    scope: Scope, kind: Kind, resource_id: str, operations: Any, version: int | None
) -> Record:
    """Apply a JSON Patch (RFC 6902) to `{"fields", "metadata"}`.

    Raises:
        ApiError: 422 for an operation that does not apply, such as one that reaches into a field
            without a value.
    """
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _require_version(record, version)
        if record.archived_version is not None:
            raise bad_request("Cannot edit archived")
        document = {
            "metadata": {"tags": [], "concepts": []}
            if record.metadata is None
            else orjson.loads(record.metadata),
            "fields": orjson.loads(record.fields),
        }
        definition = definition_of(scope, kind, record.content_type)
        body = patched(document, operations)
        fields, metadata = _checked(scope, definition, body, record.metadata)
        return _save(scope, record, fields, metadata)


def delete(scope: Scope, kind: Kind, resource_id: str, version: int | None) -> None:
    """Delete a record that is not published."""
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _accept_version(record, version)
        if record.published_version is not None:
            raise bad_request("Cannot delete published")
        delete_record(scope, record)


def publish(
    scope: Scope,
    kind: Kind,
    resource_id: str,
    version: int | None,
    change: LocaleChange | None = None,
) -> Record:
    """Publish the current version, whole or some locales of it."""
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _require_version(record, version)
        return publish_current(scope, record, change)


def publish_current(scope: Scope, record: Record, change: LocaleChange | None = None) -> Record:
    """Publish a record whose version was checked; within a transaction."""
    check_record(scope, record, change)
    now = scope.store.now()
    content: str | None = None
    locales: str | None = None
    if change is not None:
        kept = set(published_locales(record, scope)) - set(change.remove) - set(change.add)
        codes = [code for code in scope.model.locale_codes if code in {*kept, *change.add}]
        if not codes:
            return unpublish_current(scope, record)
        merged = _merged(record, kept, change.add)
        if len(codes) < len(scope.model.locale_codes):
            locales = json_text(codes)
        if merged != orjson.loads(record.fields):
            content = json_text(merged)
    record = replace(
        record,
        published_version=record.version,
        version=record.version + 1,
        updated_at=now,
        published_at=now,
        first_published_at=record.first_published_at or now,
        published_counter=record.published_counter + 1,
        published_fields=content,
        published_locales=locales,
    )
    update_record(scope, record)
    return record


def _merged(record: Record, kept: set[str], added: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Published content of the kept locales, current content of the added ones."""
    merged: dict[str, dict[str, Any]] = {}
    for source, codes in (
        (published_content(record), kept),
        (orjson.loads(record.fields), set(added)),
    ):
        for field_id, values in source.items():
            chosen = {code: value for code, value in values.items() if code in codes}
            if chosen:
                merged.setdefault(field_id, {}).update(chosen)
    return merged


def check_record(scope: Scope, record: Record, change: LocaleChange | None = None) -> None:
    """Refuse what cannot be published (the whole of `validate`)."""
    if record.archived_version is not None:
        raise bad_request("Cannot publish archived")
    if change is not None:
        unknown = [
            code for code in (*change.add, *change.remove) if code not in scope.model.locale_codes
        ]
        if unknown:
            raise validation_error(
                [{"name": "unknown", "path": ["fields", "*"], "value": code} for code in unknown]
            )
        if not change.add:
            if record.published_version is None:
                raise bad_request("Not published")
            return  # nothing comes out that was not out before
    fields = orjson.loads(record.fields)
    if record.kind == "Asset":
        check_processed(fields, None if change is None else change.add)
    check_publishable(
        fields,
        definition_of(scope, record.kind, record.content_type),
        surroundings(scope, record),
        None if change is None else change.add,
    )


def unpublish(scope: Scope, kind: Kind, resource_id: str, version: int | None) -> Record:
    """Take a published record back to draft."""
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _accept_version(record, version)
        if record.published_version is None:
            raise bad_request("Not published")
        return unpublish_current(scope, record)


def unpublish_current(scope: Scope, record: Record) -> Record:
    """Unpublish a published record; within a transaction."""
    record = replace(
        record,
        version=record.version + 1,
        updated_at=scope.store.now(),
        published_version=None,
        published_at=None,
        published_fields=None,
        published_locales=None,
    )
    update_record(scope, record)
    return record


def archive(scope: Scope, kind: Kind, resource_id: str, version: int | None) -> Record:
    """Archive a record that is not published."""
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _accept_version(record, version)
        if record.published_version is not None:
            raise bad_request("Cannot archive published")
        if record.archived_version is not None:
            raise bad_request("Cannot archive archived")
        now = scope.store.now()
        record = replace(
            record,
            archived_version=record.version,
            version=record.version + 1,
            updated_at=now,
            archived_at=now,
        )
        update_record(scope, record)
        return record


def unarchive(scope: Scope, kind: Kind, resource_id: str, version: int | None) -> Record:
    """Make an archived record a draft again."""
    with transaction(scope.store.connection):
        record = read_record(scope, kind, resource_id)
        _accept_version(record, version)
        if record.archived_version is None:
            raise bad_request("Not archived")
        record = replace(
            record,
            version=record.version + 1,
            updated_at=scope.store.now(),
            archived_version=None,
            archived_at=None,
        )
        update_record(scope, record)
        return record


def _require_version(record: Record, version: int | None) -> None:
    if version != record.version:
        raise version_mismatch()


def _accept_version(record: Record, version: int | None) -> None:
    """A version that is sent must be right; it need not be sent (the JavaScript SDK does not)."""
    if version is not None and version != record.version:
        raise version_mismatch()
