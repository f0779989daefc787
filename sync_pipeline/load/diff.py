"""What differs between the values an entry holds and those it should hold, by field type.

Pure. "Equal" has to survive what the service does to a value on its way, or the same entries would
be written for ever: numbers by value, dates by instant to the second, links by id, lists in order,
objects and rich text deeply, text exactly. Absent, null and [] are one and the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipeline.model import (
    ContentType,
    DesiredEntry,
    EntryFields,
    Field,
    canonical_date,
    field_value,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One field and locale that differs. `None` stands for no value."""

    field: str
    locale: str
    before: Any
    after: Any


def find_changes(
    desired: DesiredEntry, existing: EntryFields, content_type: ContentType
) -> tuple[Change, ...]:
    """What must change for `existing` to hold what is desired, in the order of the mapping.

    Only pairs that `desired` names are looked at. A blank desired value never overwrites; a cleared
    pair changes if it has a value.
    """
    return tuple(_iterate_changes(desired, existing, content_type))


def _iterate_changes(
    desired: DesiredEntry, existing: EntryFields, content_type: ContentType
) -> Iterator[Change]:
    for field_id, locales in desired.fields.items():
        field = content_type.field(field_id)
        held = existing.get(field_id) or {}
        for locale, after in locales.items():
            before = held.get(locale)
            if not is_blank(after) and not is_equal(field, before, after):
                yield Change(field_id, locale, None if is_blank(before) else before, after)
    for field_id, locale in desired.cleared:
        before = field_value(existing, field_id, locale)
        is_set = not is_blank(field_value(desired.fields, field_id, locale))
        if not is_blank(before) and not is_set:
            yield Change(field_id, locale, before, None)


def is_blank(value: Any) -> bool:
    """Whether the API treats a value as absent: null and the empty list."""
    return value is None or value == []


def is_equal(field: Field | None, left: Any, right: Any) -> bool:
    """Whether two values of a field are the same to the space.

    Args:
        field: Decides how to compare; None (unknown to the content type) compares deeply.
        left: A value of the API, None where there is none.
        right: Likewise.
    """
    if is_blank(left) or is_blank(right):
        return is_blank(left) and is_blank(right)
    kind = field.type if field else "Object"
    if kind == "Date":
        return _is_same_instant(left, right)
    if kind in {"Link", "ResourceLink"}:
        return _is_same_link(left, right)
    if kind == "Array" and isinstance(left, list) and isinstance(right, list):
        same = (
            _is_same_link
            if field and field.items_type in {"Link", "ResourceLink"}
            else is_same_json
        )
        return len(left) == len(right) and all(map(same, left, right))
    return is_same_json(left, right)


def is_same_json(left: Any, right: Any) -> bool:
    """Deep equality as the space sees it: 1 and 1.0 are one number, but true is none."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            is_same_json(value, right[name]) for name, value in left.items()
        )
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(is_same_json, left, right))
    return bool(left == right) or _is_same_double(left, right)


def _is_same_double(left: Any, right: Any) -> bool:
    """Whether numbers beyond 2^53 are one to the space, which keeps doubles."""
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    try:
        return float(left) == float(right)
    except OverflowError:
        return False


def _is_same_instant(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left == right or canonical_date(left) == canonical_date(right)
    return is_same_json(left, right)


def _is_same_link(left: Any, right: Any) -> bool:
    left_id, right_id = _link_id(left), _link_id(right)
    return left_id == right_id if left_id is not None else is_same_json(left, right)


def _link_id(value: Any) -> str | None:
    sys = value.get("sys") if isinstance(value, Mapping) else None
    if not isinstance(sys, Mapping):
        return None
    found = sys.get("id") or sys.get("urn")
    return str(found) if found else None
