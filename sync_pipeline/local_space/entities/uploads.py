"""Uploads: files on their way into an asset.

A local space keeps no file contents: an upload is remembered by its size and, where it is an image,
its dimensions.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import ParseError

import imagesize
import orjson

from sync_pipeline.local_space.api_error import not_found
from sync_pipeline.local_space.entities.spaces import read_environment, read_space
from sync_pipeline.local_space.store.store import USER_ID, Store, link


def post_upload(
    store: Store, space_id: str, environment_id: str | None, beginning: bytes, size: int
) -> dict[str, Any]:
    """Remember an upload of `size` bytes, to a space or to one of its environments."""
    if environment_id is None:
        read_space(store, space_id)
    else:
        read_environment(store, space_id, environment_id)
    upload_id = store.new_id()
    image = _dimensions(beginning)
    store.execute(
        "INSERT INTO uploads (space, id, size, created_at, environment, image) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            space_id,
            upload_id,
            size,
            store.now(),
            environment_id,
            None if image is None else orjson.dumps(image).decode(),
        ),
    )
    return read_upload(store, space_id, environment_id, upload_id)


def read_upload(
    store: Store, space_id: str, environment_id: str | None, upload_id: str
) -> dict[str, Any]:
    """The upload.

    Raises:
        ApiError: 404 with details.
    """
    row = _find(store, space_id, environment_id, upload_id)
    if row is None:
        raise not_found({"type": "Upload", "id": upload_id, "space": space_id})
    sys: dict[str, Any] = {
        "type": "Upload",
        "id": upload_id,
        "space": link("Space", space_id),
        "createdAt": row[2],
        "createdBy": link("User", USER_ID),
    }
    if environment_id is not None:
        sys["environment"] = link("Environment", environment_id)
    return {"sys": sys}


def delete_upload(store: Store, space_id: str, environment_id: str | None, upload_id: str) -> None:
    """Forget the upload.

    Raises:
        ApiError: 404 with details.
    """
    read_upload(store, space_id, environment_id, upload_id)
    store.execute("DELETE FROM uploads WHERE space = ? AND id = ?", (space_id, upload_id))


def find_details(
    store: Store, space_id: str, environment_id: str, upload_id: str
) -> dict[str, Any] | None:
    """`details` of a file that was uploaded to the space or to that environment; else None."""
    for place in (environment_id, None):
        row = _find(store, space_id, place, upload_id)
        if row is not None:
            size, image, _ = row
            details: dict[str, Any] = {"size": size}
            if image is not None:
                details["image"] = orjson.loads(image)
            return details
    return None


def _find(
    store: Store, space_id: str, environment_id: str | None, upload_id: str
) -> Sequence[Any] | None:
    row: Sequence[Any] | None = store.execute(
        "SELECT size, image, created_at FROM uploads "
        "WHERE space = ? AND id = ? AND environment IS ?",
        (space_id, upload_id, environment_id),
    ).fetchone()
    return row


def _dimensions(beginning: bytes) -> dict[str, int] | None:
    """Width and height of an image, from its first bytes; None for anything else."""
    try:
        width, height = (int(side) for side in imagesize.get(io.BytesIO(beginning)))
    except (ValueError, ArithmeticError, LookupError, struct.error, ParseError):
        return None  # damaged, or no image at all
    return {"width": width, "height": height} if width > 0 and height > 0 else None
