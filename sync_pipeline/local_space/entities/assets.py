"""What assets have beyond entries: uploads and the processing of files.

A local space keeps no file contents: an upload is remembered by its size, and a processed file
points to the address that it was uploaded from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import bad_request, not_found, version_mismatch
from sync_pipeline.local_space.entities.spaces import read_space
from sync_pipeline.local_space.request import json_text
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.records import read_record, update_record
from sync_pipeline.local_space.store.store import USER_ID, Scope, Store, link


def post_upload(store: Store, space_id: str, size: int) -> dict[str, Any]:
    """Remember an upload of `size` bytes."""
    read_space(store, space_id)
    upload_id = store.new_id()
    store.execute(
        "INSERT INTO uploads VALUES (?, ?, ?, ?)", (space_id, upload_id, size, store.now())
    )
    return read_upload(store, space_id, upload_id)


def read_upload(store: Store, space_id: str, upload_id: str) -> dict[str, Any]:
    """The upload.

    Raises:
        ApiError: 404 with details.
    """
    row = store.execute(
        "SELECT created_at FROM uploads WHERE space = ? AND id = ?", (space_id, upload_id)
    ).fetchone()
    if row is None:
        raise not_found({"type": "Upload", "id": upload_id, "space": space_id})
    return {
        "sys": {
            "type": "Upload",
            "id": upload_id,
            "space": link("Space", space_id),
            "createdAt": row[0],
            "createdBy": link("User", USER_ID),
        }
    }


def process_file(scope: Scope, asset_id: str, locale: str, version: int | None) -> None:
    """Give the file of a locale its address; raises the version by one."""
    with transaction(scope.store.connection):
        record = read_record(scope, "Asset", asset_id)
        if version is not None and version != record.version:
            raise version_mismatch()
        fields = orjson.loads(record.fields)
        file = fields.get("file", {}).get(locale)
        if not isinstance(file, dict):
            raise bad_request("Missing file")
        size = 0
        if "upload" in file:
            address = file.pop("upload")
            file["url"] = address.partition(":")[2] if "://" in address else address
        elif "uploadFrom" in file:
            upload_id = file.pop("uploadFrom").get("sys", {}).get("id", "")
            read_upload(scope.store, scope.space_id, upload_id)
            (size,) = scope.store.execute(
                "SELECT size FROM uploads WHERE space = ? AND id = ?", (scope.space_id, upload_id)
            ).fetchone()
            name = file.get("fileName", "file")
            file["url"] = f"//assets.local/{scope.space_id}/{asset_id}/{upload_id}/{name}"
        elif "url" not in file:
            raise bad_request("The file has neither upload nor uploadFrom")
        file.setdefault("details", {"size": size})
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
