"""`select`: the parts of entries and assets that a collection answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import invalid_query
from sync_pipeline.local_space.checks.definitions import ASSET_DEFINITION
from sync_pipeline.local_space.queries.paths import content_type_needed, unknown_path
from sync_pipeline.local_space.store.records import Kind, Record, render, render_sys
from sync_pipeline.local_space.store.store import Scope

MAX_SELECTED = 100
_SYS_KEYS = frozenset(
    [
        "space",
        "id",
        "type",
        "createdAt",
        "updatedAt",
        "environment",
        "publishedVersion",
        "publishedAt",
        "firstPublishedAt",
        "createdBy",
        "updatedBy",
        "publishedCounter",
        "version",
        "publishedBy",
        "archivedAt",
        "archivedBy",
        "archivedVersion",
        "fieldStatus",
        "automationTags",
        "contentType",
        "urn",
        "locale",
        "revision",
    ]
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to show: `None` for a part means all of it, an empty set means nothing."""

    sys: frozenset[str] | None = frozenset()
    fields: frozenset[str] | None = frozenset()
    metadata: bool = False

    def joined(self, other: Selection) -> Selection:
        """What either shows."""
        return Selection(
            sys=None if self.sys is None or other.sys is None else self.sys | other.sys,
            fields=None
            if self.fields is None or other.fields is None
            else self.fields | other.fields,
            metadata=self.metadata or other.metadata,
        )

    def render(self, record: Record, scope: Scope) -> dict[str, Any]:
        """The selected parts, in the order of a whole answer."""
        answer: dict[str, Any] = {}
        if self.metadata:
            answer["metadata"] = render(record, scope)["metadata"]
        if self.sys is None:
            answer["sys"] = render_sys(record, scope)
        elif self.sys:
            whole = render_sys(record, scope)
            answer["sys"] = {key: value for key, value in whole.items() if key in self.sys}
        if self.fields is None:
            answer["fields"] = orjson.Fragment(record.fields.encode())
        elif self.fields:
            answer["fields"] = {
                key: value
                for key, value in orjson.loads(record.fields).items()
                if key in self.fields
            }
        return answer


def read_selection(scope: Scope, kind: Kind, content_type: str | None, text: str) -> Selection:
    """The value of `select`.

    Raises:
        ApiError: 400 `InvalidQuery` for an unknown path, more than two levels, more than 100
            paths, or `fields.*` without a content type.
    """
    paths = [part for part in text.split(",") if part]
    if len(paths) > MAX_SELECTED:
        raise invalid_query([{"name": "size", "path": ["select"], "max": MAX_SELECTED}])
    sys: set[str] | None = set()
    fields: set[str] | None = set()
    metadata = False
    for path in paths:
        head, *rest = path.split(".")
        if len(rest) > 1 and head != "metadata":
            raise invalid_query(
                [{"name": "depth", "path": path.split("."), "details": "Only two levels"}]
            )
        if head == "metadata":
            metadata = True
        elif head == "sys":
            if rest and rest[0] not in _SYS_KEYS:
                raise unknown_path(path)
            sys = None if not rest or sys is None else sys | {rest[0]}
        elif head == "fields":
            if rest:
                _check_field(scope, kind, content_type, path, rest[0])
            fields = None if not rest or fields is None else fields | {rest[0]}
        else:
            raise unknown_path(path)
    return Selection(
        sys=None if sys is None else frozenset(sys),
        fields=None if fields is None else frozenset(fields),
        metadata=metadata,
    )


def _check_field(
    scope: Scope, kind: Kind, content_type: str | None, path: str, field_id: str
) -> None:
    if kind == "Asset":
        definition = ASSET_DEFINITION
    elif content_type is None:
        raise content_type_needed()
    else:
        definition = scope.model.types[content_type]
    if field_id not in definition.fields:
        raise unknown_path(path)
