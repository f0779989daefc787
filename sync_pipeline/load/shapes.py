"""What a sound answer looks like: the least that is needed of it, so that nothing is guessed.

A shape is a function that says whether the JSON of a 2xx answer is what was asked for. Where it is
not, the answer counts as broken (`load.fate`): an empty page in the place of a full one would make
the space look empty, an answer about another entry would be taken for ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeGuard

#: Gets the parsed body, None where it is no JSON or there is none.
Shape: TypeAlias = Callable[[Any], bool]


def is_object(body: Any) -> bool:
    """Any JSON object."""
    return isinstance(body, Mapping)


def is_entry(body: Any) -> bool:
    """An entry with id and version, and an object where it has fields."""
    sys = _sys_of(body)
    return (
        _is_text(sys.get("id"))
        and _is_count(sys.get("version"))
        and isinstance(body.get("fields") or {}, Mapping)
    )


def entry_of(entry_id: str, *, above: int = 0) -> Shape:
    """The entry with that id, at a version above the one a write was based on."""

    def is_asked_for(body: Any) -> bool:
        sys = _sys_of(body)
        return is_entry(body) and sys["id"] == entry_id and int(sys["version"]) > above

    return is_asked_for


def published_entry_of(entry_id: str, version: int) -> Shape:
    """The entry with that id, published in that version or a later one."""

    def is_asked_for(body: Any) -> bool:
        published = _sys_of(body).get("publishedVersion")
        return entry_of(entry_id)(body) and _is_count(published) and published >= version

    return is_asked_for


def collection_of(item: Shape, *, skip: int = 0, may_be_empty: bool = False) -> Shape:
    """A page of a collection that begins at `skip`.

    Args:
        item: What each of its items looks like.
        skip: What was asked for.
        may_be_empty: Also where there are more items by its own total. Else it may be empty only
            where nothing is left.
    """

    def is_asked_for(body: Any) -> bool:
        if not isinstance(body, Mapping):
            return False
        items, total = body.get("items"), body.get("total")
        return (
            isinstance(items, list)
            and _is_count(total)
            and body.get("skip", skip) == skip
            and (bool(items) or may_be_empty or total <= skip)
            and all(map(item, items))
        )

    return is_asked_for


def is_content_type(body: Any) -> bool:
    """A content type with an id, and fields that say their id and type."""
    fields = body.get("fields") if isinstance(body, Mapping) else None
    return (
        _is_text(_sys_of(body).get("id"))
        and isinstance(fields, list)
        and all(
            isinstance(field, Mapping) and _is_text(field.get("id")) and _is_text(field.get("type"))
            for field in fields
        )
    )


def content_type_of(content_type_id: str) -> Shape:
    """The content type with that id."""

    def is_asked_for(body: Any) -> bool:
        return is_content_type(body) and _sys_of(body)["id"] == content_type_id

    return is_asked_for


def is_locale(body: Any) -> bool:
    """A locale with its code."""
    return isinstance(body, Mapping) and _is_text(body.get("code"))


def is_action(body: Any) -> bool:
    """A bulk action with its id and status."""
    sys = _sys_of(body)
    return _is_text(sys.get("id")) and _is_text(sys.get("status"))


def action_of(action_id: str) -> Shape:
    """The bulk action with that id."""

    def is_asked_for(body: Any) -> bool:
        return is_action(body) and _sys_of(body)["id"] == action_id

    return is_asked_for


def _sys_of(body: Any) -> Mapping[str, Any]:
    sys = body.get("sys") if isinstance(body, Mapping) else None
    return sys if isinstance(sys, Mapping) else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
