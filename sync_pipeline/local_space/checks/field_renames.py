"""Fields that get another id (`newId`), from the save of a content type to its activation.

A draft shows the new id at once; entries and the active content type follow when it is activated:
https://github.com/contentful/contentful-management.js/issues/1168
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Key of a stored draft: new field id -> the id under which entries hold its values. Never shown.
RENAMES = "renames"


def follow_renames(
    body: Mapping[str, Any], published: Mapping[str, Any] | None, draft: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body with final ids, and what the active content type calls the renamed fields.

    Args:
        body: A checked content type body, whose fields may have `newId`.
        published: The active definition, None where there is none.
        draft: The definition that is stored now, whose renames still wait; empty for none.
    """
    new_ids = {raw["id"]: raw["newId"] for raw in body.get("fields", []) if raw.get("newId")}
    active = {raw["id"] for raw in published["fields"]} if published else set()
    waiting: Mapping[str, str] = draft.get(RENAMES) or {}
    kept = [raw["id"] for raw in body.get("fields", []) if not raw.get("deleted")]
    origins: dict[str, str] = {}
    for field_id in kept:
        origin = waiting.get(field_id, field_id)
        final = new_ids.get(field_id, field_id)
        # A field that is sent under the old id again is the field that was there.
        taken = origin != field_id and origin in kept and origin not in new_ids
        if origin in active and origin != final and not taken:
            origins[final] = origin
    return (_with_ids(body, new_ids) if new_ids else dict(body)), origins


def _with_ids(body: Mapping[str, Any], new_ids: Mapping[str, str]) -> dict[str, Any]:
    answer = dict(body)
    answer["fields"] = [
        {
            **{key: value for key, value in raw.items() if key != "newId"},
            "id": new_ids.get(raw["id"], raw["id"]),
        }
        for raw in body["fields"]
    ]
    if isinstance(display := body.get("displayField"), str):
        answer["displayField"] = new_ids.get(display, display)
    metadata = body.get("metadata")
    if metadata and (metadata.get("annotations") or {}).get("ContentTypeField"):
        annotations = metadata["annotations"]
        by_field = {
            new_ids.get(field_id, field_id): links
            for field_id, links in annotations["ContentTypeField"].items()
        }
        answer["metadata"] = {
            **metadata,
            "annotations": {**annotations, "ContentTypeField": by_field},
        }
    return answer


def field_changes(
    published: Mapping[str, Any] | None, draft: Mapping[str, Any]
) -> dict[str, str | None]:
    """What an activation does to field ids: old id -> new id, None for a field that goes."""
    if published is None:
        return {}
    renames: Mapping[str, str] = draft.get(RENAMES) or {}
    successors = {renames.get(raw["id"], raw["id"]): raw["id"] for raw in draft["fields"]}
    return {
        raw["id"]: successors.get(raw["id"])
        for raw in published["fields"]
        if successors.get(raw["id"]) != raw["id"]
    }
