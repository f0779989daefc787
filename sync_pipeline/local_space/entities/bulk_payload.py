"""The payloads of bulk actions, in both styles, checked as the service checks them on POST.

Style 1 (documented) names the action in the path; style 2 (SDK) names it in the body and lets each
entity say which locales to publish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sync_pipeline.local_space.api_error import Detail, validation_error
from sync_pipeline.local_space.entities.entries import LocaleChange
from sync_pipeline.local_space.store.records import Kind

Action = Literal["publish", "unpublish", "validate"]
ACTIONS: tuple[Action, ...] = ("publish", "unpublish", "validate")
MAX_ITEMS = 200


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One entity of a bulk action."""

    kind: Kind
    id: str
    #: As sent; None where the action does not need it.
    version: int | None
    change: LocaleChange | None = None

    @property
    def link(self) -> dict[str, Any]:
        """The link by which a failed action names it."""
        sys: dict[str, Any] = {"type": "Link", "linkType": self.kind, "id": self.id}
        if self.version is not None:
            sys["version"] = self.version
        return {"sys": sys}


def read_items(action: Action, style: int, payload: Any) -> list[BulkItem]:
    """The entities of a payload.

    Raises:
        ApiError: 422 `ValidationFailed` with every fault found.
    """
    errors: list[Detail] = []
    entities = payload.get("entities") if isinstance(payload, dict) else None
    path: tuple[str | int, ...] = ("entities",)
    if style == 1:
        path = ("entities", "items")
        entities = entities.get("items") if isinstance(entities, dict) else None
    if entities is None:
        raise validation_error([_required(path)])
    if not isinstance(entities, list):
        raise validation_error([_invalid("array.base", path, "must be an array")])
    if not entities:
        raise validation_error([_invalid("array.min", path, "must contain at least 1 items")])
    if len(entities) > MAX_ITEMS:
        raise validation_error(
            [_invalid("array.max", path, f"must contain less than or equal to {MAX_ITEMS} items")]
        )
    items: list[BulkItem] = []
    seen: set[tuple[str, str]] = set()
    for index, raw in enumerate(entities):
        where = (*path, index)
        entity = raw
        if style == 2:
            entity = raw.get("entity") if isinstance(raw, dict) else None
            where = (*where, "entity")
        item = _read_item(action, entity, where, errors)
        if item is None:
            continue
        if (item.kind, item.id) in seen:
            errors.append(_invalid("array.unique", where, "contains a duplicate value"))
        seen.add((item.kind, item.id))
        change = _read_change(raw, (*path, index)) if style == 2 else None
        items.append(BulkItem(item.kind, item.id, item.version, change))
    if errors:
        raise validation_error(errors)
    return items


def _read_item(
    action: Action, entity: Any, path: tuple[str | int, ...], errors: list[Detail]
) -> BulkItem | None:
    sys = entity.get("sys") if isinstance(entity, dict) else None
    if not isinstance(sys, dict):
        errors.append(_required((*path, "sys")))
        return None
    before = len(errors)
    if not isinstance(sys.get("id"), str):
        errors.append(_required((*path, "sys", "id")))
    if sys.get("linkType") not in ("Entry", "Asset"):
        errors.append(
            _invalid("any.only", (*path, "sys", "linkType"), "must be one of [Entry, Asset]")
        )
    version = sys.get("version")
    if version is None and action == "publish":
        errors.append(_required((*path, "sys", "version")))
    elif version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        errors.append(_invalid("number.base", (*path, "sys", "version"), "must be a number"))
    if len(errors) > before:
        return None
    return BulkItem(cast("Kind", sys["linkType"]), sys["id"], version)


def _read_change(raw: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> LocaleChange | None:
    """The locales that are named, None where none are: then all are meant."""
    codes: dict[str, tuple[str, ...]] = {}
    for name in ("add", "remove"):
        if name not in raw:
            continue
        part = raw[name]
        fields = part.get("fields") if isinstance(part, dict) else None
        named = fields.get("*") if isinstance(fields, dict) else None
        where = (*path, name, "fields", "*")
        if not isinstance(named, list):
            raise validation_error([_required(where)])
        if not named or not all(isinstance(code, str) for code in named):
            raise validation_error([_invalid("array.min", where, "must name locales")])
        codes[name] = tuple(named)
    return LocaleChange(**codes) if codes else None


def read_locale_change(body: Any) -> LocaleChange | None:
    """Body of `PUT .../published` with locales, or None for a whole publish.

    Raises:
        ApiError: 422 `ValidationFailed` for a body that means locales and names none.
    """
    return _read_change(body) if isinstance(body, dict) else None


def _required(path: tuple[str | int, ...]) -> Detail:
    return _invalid("any.required", path, "is required")


def _invalid(name: str, path: tuple[str | int, ...], text: str) -> Detail:
    dotted = ""
    for part in path:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}" if dotted else part
    return {"name": name, "path": list(path), "details": f'"{dotted}" {text}'}
