"""Content types as the checks need them, and the checks of a content type's own definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import regress

_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:?\d{2})?)?\Z",
    re.ASCII,
)


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, flags: str) -> regress.Regex:
    """A JavaScript regular expression.

    Raises:
        regress.RegressError: It is none.
    """
    # `g`, `y` and `d` say where a search starts and what it reports, not what matches.
    return regress.Regex(pattern, "".join(flag for flag in flags if flag not in "gyd"))


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A field of an activated content type."""

    id: str
    type: str
    localized: bool = False
    required: bool = False
    link_type: str | None = None
    items: FieldDefinition | None = None
    validations: tuple[Mapping[str, Any], ...] = ()
    default_value: Mapping[str, Any] | None = None
    omitted: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """An activated content type."""

    id: str
    fields: Mapping[str, FieldDefinition] = field(default_factory=dict)


def _field_definition(raw: Mapping[str, Any], field_id: str) -> FieldDefinition:
    items = raw.get("items")
    return FieldDefinition(
        id=field_id,
        type=raw["type"],
        localized=bool(raw.get("localized")),
        required=bool(raw.get("required")),
        link_type=raw.get("linkType"),
        items=_field_definition(items, "") if isinstance(items, Mapping) else None,
        validations=tuple(raw.get("validations") or ()),
        default_value=raw.get("defaultValue"),
        omitted=bool(raw.get("omitted")),
        disabled=bool(raw.get("disabled")),
    )


def build_definition(type_id: str, raw: Mapping[str, Any]) -> TypeDefinition:
    """The compiled form of a stored (so checked) content type body."""
    return TypeDefinition(
        id=type_id,
        fields={item["id"]: _field_definition(item, item["id"]) for item in raw["fields"]},
    )


def _asset_field(field_id: str, field_type: str) -> FieldDefinition:
    return FieldDefinition(id=field_id, type=field_type, localized=True)


#: What an asset may hold, in the shape of a content type; its files have rules of their own.
ASSET_DEFINITION = TypeDefinition(
    id="",
    fields={
        "title": _asset_field("title", "Symbol"),
        "description": _asset_field("description", "Text"),
        "file": _asset_field("file", "Object"),
    },
)


def is_date(value: Any) -> bool:
    """Whether the value is an ISO 8601 date, with or without time and offset."""
    match = _DATE.match(value) if isinstance(value, str) else None
    if match is None:
        return False
    day, hour, minute, second, _, _ = match.groups()
    try:
        date.fromisoformat(day)
        if hour is not None:
            datetime(2000, 1, 1, int(hour), int(minute), int(second or 0))  # noqa: DTZ001 - a check
    except ValueError:
        return False
    return True


def microseconds_of(text: str) -> int:
    """Microseconds since 1970 of a date that `is_date` accepts; without an offset it is UTC.

    Whole numbers, as a float loses milliseconds far from 1970, and no `datetime` with an offset,
    which cannot leave the years 1 to 9999.
    """
    match = _DATE.match(text)
    if match is None:
        raise AssertionError(f"not a date: {text!r}")
    day, hour, minute, second, fraction, offset = match.groups()
    seconds = (date.fromisoformat(day) - date(1970, 1, 1)).days * 86_400
    seconds += int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    if offset and offset != "Z":
        ahead = int(offset[1:3]) * 3600 + int(offset[-2:]) * 60
        seconds -= ahead if offset[0] == "+" else -ahead
    return seconds * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))
