"""The taxonomy of the organization: concepts, and the schemes that group them.

Deleting one leaves links to it where they are, as the service does:
https://www.contentful.com/developers/docs/references/content-management-api/taxonomy
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from sync_pipeline.local_space.api_error import not_found, validation_error, version_mismatch
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.checks.taxonomy import CONCEPT, SCHEME, check_taxonomy
from sync_pipeline.local_space.entities.patching import patched
from sync_pipeline.local_space.entities.spaces import ORGANIZATION_ID
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.request import json_text
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.store import USER_ID, Store, link
from sync_pipeline.model import RESOURCE_ID

Type = Literal["TaxonomyConcept", "TaxonomyConceptScheme"]

_PATH = f"/organizations/{ORGANIZATION_ID}/taxonomy"
_SEGMENTS: dict[Type, str] = {
    "TaxonomyConcept": "concepts",
    "TaxonomyConceptScheme": "concept-schemes",
}
_KEYS = {"TaxonomyConcept": CONCEPT, "TaxonomyConceptScheme": SCHEME}


@dataclass(frozen=True, slots=True)
class _Row:
    type: Type
    id: str
    body: str
    version: int
    created_at: str
    updated_at: str

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(self.body)
        return content


_COLUMNS = "type, id, body, version, created_at, updated_at"


def _rows(store: Store, resource_type: Type) -> Iterator[_Row]:
    for row in store.execute(
        f"SELECT {_COLUMNS} FROM taxonomy WHERE type = ? ORDER BY position", (resource_type,)
    ).fetchall():
        yield _Row(*row)


def _find(store: Store, resource_type: Type, resource_id: str) -> _Row | None:
    row = store.execute(
        f"SELECT {_COLUMNS} FROM taxonomy WHERE type = ? AND id = ?", (resource_type, resource_id)
    ).fetchone()
    return None if row is None else _Row(*row)


def _read(store: Store, resource_type: Type, resource_id: str) -> _Row:
    row = _find(store, resource_type, resource_id)
    if row is None:
        raise not_found({"type": resource_type, "id": resource_id})
    return row


def _render_all(store: Store, rows: list[_Row]) -> list[dict[str, Any]]:
    schemes: dict[str, list[dict[str, Any]]] = {}
    for scheme in _rows(store, "TaxonomyConceptScheme"):
        for concept_id in _targets(scheme, "concepts"):
            schemes.setdefault(concept_id, []).append(link(scheme.type, scheme.id))
    return [_render(row, schemes.get(row.id, [])) for row in rows]


def _render(row: _Row, schemes: list[dict[str, Any]]) -> dict[str, Any]:
    user = link("User", USER_ID)
    answer = {
        "sys": {
            "type": row.type,
            "id": row.id,
            "organization": link("Organization", ORGANIZATION_ID),
            "version": row.version,
            "createdAt": row.created_at,
            "createdBy": user,
            "updatedAt": row.updated_at,
            "updatedBy": user,
        },
        **row.content,
    }
    if row.type == "TaxonomyConceptScheme":
        answer["totalConcepts"] = len(answer["concepts"])
    else:
        answer["conceptSchemes"] = schemes
    return answer


def _targets(row: _Row, key: str) -> list[str]:
    """Ids of the concepts that it links to, each once."""
    return list(dict.fromkeys(item["sys"]["id"] for item in row.content[key]))


def read_taxonomy(store: Store, resource_type: Type, resource_id: str) -> dict[str, Any]:
    """The concept or scheme.

    Raises:
        ApiError: 404 with details.
    """
    return _render_all(store, [_read(store, resource_type, resource_id)])[0]


def count_taxonomy(store: Store, resource_type: Type) -> dict[str, Any]:
    """How many there are."""
    (total,) = store.execute(
        "SELECT count(*) FROM taxonomy WHERE type = ?", (resource_type,)
    ).fetchone()
    return {"total": total}


def list_taxonomy(store: Store, resource_type: Type, parameters: Parameters) -> dict[str, Any]:
    """A page of concepts or schemes, by cursor."""
    items = _render_all(store, list(_rows(store, resource_type)))
    at = f"{_PATH}/{_SEGMENTS[resource_type]}"
    return page(items, parameters, at=at, is_cursor=True)


def list_relatives(
    store: Store, concept_id: str, direction: str, parameters: Parameters
) -> dict[str, Any]:
    """A page of the `ancestors` or `descendants` of a concept, nearest first."""
    _read(store, "TaxonomyConcept", concept_id)
    concepts = {row.id: row for row in _rows(store, "TaxonomyConcept")}
    near: dict[str, list[str]] = {concept: [] for concept in concepts}
    for row in concepts.values():
        for broader in _targets(row, "broader"):
            if direction == "ancestors":
                near[row.id].append(broader)
            elif broader in near:
                near[broader].append(row.id)
    found = {concept_id: None}
    pending = deque([concept_id])
    while pending:
        for other in near[pending.popleft()]:
            if other in concepts and other not in found:
                found[other] = None
                pending.append(other)
    del found[concept_id]
    items = _render_all(store, [concepts[found_id] for found_id in found])
    at = f"{_PATH}/concepts/{concept_id}/{direction}"
    return page(items, parameters, at=at, is_cursor=True)


def post_taxonomy(store: Store, resource_type: Type, body: Any) -> dict[str, Any]:
    """Create one with an id of our making."""
    return put_taxonomy(store, resource_type, store.new_id(), body, None)[0]


def put_taxonomy(
    store: Store, resource_type: Type, resource_id: str, body: Any, version: int | None
) -> tuple[dict[str, Any], bool]:
    """Create or replace; the second value says whether it was created."""
    content = check_taxonomy(body_object(body), _KEYS[resource_type])
    if not RESOURCE_ID.fullmatch(resource_id):
        raise validation_error([{"name": "regexp", "path": ["sys", "id"], "value": resource_id}])
    with transaction(store.connection):
        row = _find(store, resource_type, resource_id)
        now = store.now()
        if row is None:
            store.execute(
                "INSERT INTO taxonomy VALUES (NULL, ?, ?, ?, 1, ?, ?)",
                (resource_type, resource_id, json_text(content), now, now),
            )
        elif version != row.version:
            raise version_mismatch()
        else:
            store.execute(
                "UPDATE taxonomy SET body = ?, version = version + 1, updated_at = ? "
                "WHERE type = ? AND id = ?",
                (json_text(content), now, resource_type, resource_id),
            )
        return read_taxonomy(store, resource_type, resource_id), row is None


def patch_taxonomy(
    store: Store, resource_type: Type, resource_id: str, operations: Any, version: int | None
) -> dict[str, Any]:
    """Apply a JSON Patch (RFC 6902)."""
    with transaction(store.connection):
        row = _read(store, resource_type, resource_id)
        if version != row.version:
            raise version_mismatch()
        body = patched(row.content, operations)
        return put_taxonomy(store, resource_type, resource_id, body, version)[0]


def delete_taxonomy(
    store: Store, resource_type: Type, resource_id: str, version: int | None
) -> None:
    """Delete; needs the version."""
    with transaction(store.connection):
        if version != _read(store, resource_type, resource_id).version:
            raise version_mismatch()
        store.execute(
            "DELETE FROM taxonomy WHERE type = ? AND id = ?", (resource_type, resource_id)
        )
