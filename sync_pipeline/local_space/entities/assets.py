"""What assets have beyond entries: the processing of files.

A processed file points to the address that it was uploaded from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import bad_request, version_mismatch
from sync_pipeline.local_space.checks.asset_files import (
    check_processable,
    details_of_unseen,
    missing_upload,
)
from sync_pipeline.local_space.entities.uploads import find_details
from sync_pipeline.local_space.request import json_text
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.records import Record, read_record, update_record
from sync_pipeline.local_space.store.store import Scope

#: Assets of which it is remembered that only files were processed since some version.
_REMEMBERED = 1000


def process_file(scope: Scope, asset_id: str, locale: str, version: int | None) -> None:
    """Give the file of a locale its address and details; raises the version by one.

    Clients ask for all locales at once, with one version: what was processed since that version
    does not stand in the way.
    """
    with transaction(scope.store.connection):
        record = read_record(scope, "Asset", asset_id)
        _require_version(scope, record, version)
        if record.archived_version is not None:
            raise bad_request("Cannot edit archived")
        fields = orjson.loads(record.fields)
        file = check_processable(fields.get("file"), locale)
        fields["file"][locale] = _processed(scope, asset_id, locale, dict(file))
        published = record.published_fields
        if record.published_version is not None and published is None:
            published = record.fields
        update_record(
            scope,
            replace(
                record,
                fields=json_text(fields),
                published_fields=published,
                version=record.version + 1,
                updated_at=scope.store.now(),
            ),
        )
    _remember(scope, record)


def _processed(scope: Scope, asset_id: str, locale: str, file: dict[str, Any]) -> dict[str, Any]:
    given = file.get("details")
    details = given if isinstance(given, dict) else {}
    if isinstance(file.get("upload"), str):
        address = file.pop("upload")
        file["url"] = f"//{address.partition('://')[2] or address.lstrip('/')}"
        if "size" not in details:
            details = details_of_unseen(file.get("contentType"))
    else:
        upload_id = str(file.pop("uploadFrom").get("sys", {}).get("id", ""))
        seen = find_details(scope.store, scope.space_id, scope.environment_id, upload_id)
        if seen is None:
            raise missing_upload(locale)
        name = file.get("fileName", "file")
        file["url"] = f"//assets.local/{scope.space_id}/{asset_id}/{upload_id}/{name}"
        details = seen
    file["details"] = details
    return file


def _require_version(scope: Scope, record: Record, version: int | None) -> None:
    if version is None or version == record.version:
        return
    first, last = scope.store.processed.get((record.env, record.id), (None, None))
    if version != first or last != record.version:
        raise version_mismatch()


def _remember(scope: Scope, record: Record) -> None:
    """Note the version before the first file that was processed, and the one after this."""
    processed, key = scope.store.processed, (record.env, record.id)
    first, last = processed.pop(key, (record.version, record.version))
    if last != record.version:
        first = record.version
    processed[key] = (first, record.version + 1)
    while len(processed) > _REMEMBERED:
        del processed[next(iter(processed))]
