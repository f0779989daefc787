"""What to do about one desired entry: create it, patch it, leave it, or refuse.

Pure: the same desired entry and the same existing one always give the same plan, and planning again
after a plan was carried out gives `Unchanged`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from sync_pipeline.load.diff import Change, find_changes, is_blank
from sync_pipeline.model import RESOURCE_ID, DesiredEntry, EntryFields, TargetModel

_ID_CHARS = 32


@dataclass(frozen=True, slots=True)
class ExistingEntry:
    """An entry as it is in the space, as far as the mapping touches it."""

    id: str
    version: int
    #: Version that was published last; None = never published, or unpublished again.
    published_version: int | None
    is_archived: bool
    #: As the API writes it; sorts as text.
    created_at: str
    #: `{field: {locale: value}}`: the mapped fields, all their locales.
    fields: EntryFields
    #: `{locale: draft | changed | published}`; None: the space knows the state of whole entries
    #: only. A locale that is not named was never published.
    locale_states: Mapping[str, str] | None = None
    #: Locales in which fields outside the mapping hold a value; None: those were not read.
    unmapped_locales: frozenset[str] | None = None
    #: What all fields together hold, `{locale: digest}`; empty where not all were read.
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """No version since it was published last; locales may be drafts all the same."""
        return self.published_version is not None and self.version == self.published_version + 1

    def state_of(self, locale: str) -> str:
        """The state of one locale, where the space tells it."""
        return (self.locale_states or {}).get(locale, "draft")

    def holds(self, locale: str) -> bool:
        """Whether a field is known to hold a value in that locale."""
        if self.unmapped_locales is not None and locale in self.unmapped_locales:
            return True
        return any(not is_blank(values.get(locale)) for values in self.fields.values())

    def as_published(self, version: int, locales: Collection[str]) -> ExistingEntry:
        """The entry after these locales were published at that version."""
        states = self.locale_states
        if states is not None:
            states = {**states, **dict.fromkeys(locales, "published")}
        return replace(self, version=version + 1, published_version=version, locale_states=states)


@dataclass(frozen=True, slots=True)
class Create:
    """PUT with an id of our own."""

    entry_id: str
    fields: EntryFields
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """JSON Patch against the version just read."""

    entry_id: str
    version: int
    operations: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The entry holds what is desired already."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry cannot be changed in its present state."""

    entry_id: str
    error_id: str
    reason: str


Plan: TypeAlias = Create | Patch | Unchanged | Refused


def plan(desired: DesiredEntry, existing: ExistingEntry | None, target: TargetModel) -> Plan:
    """Decide what to do about one entry.

    Args:
        desired: What the source says.
        existing: What the space holds, None where it holds no entry of that id or key.
        target: How values of a field compare.
    """
    if existing is None:
        changes = find_changes(desired, {}, target.content_type)
        return Create(entry_id_of(desired, target), _set_values(changes), changes)
    changes = find_changes(desired, existing.fields, target.content_type)
    if not changes:
        return Unchanged(existing.id)
    if existing.is_archived:
        return Refused(
            existing.id,
            "ArchivedEntry",
            f"The entry {existing.id} is archived and differs from the source; archived entries "
            "cannot be edited. Unarchive it, or take the record out of the source.",
        )
    return Patch(
        existing.id, existing.version, tuple(_operations(changes, existing.fields)), changes
    )


def entry_id_of(desired: DesiredEntry, target: TargetModel) -> str:
    """The id a new entry gets: the mapped one, else the one derived from its key."""
    return desired.entry_id or derive_entry_id(target.content_type.id, desired.key)


def derive_entry_id(content_type: str, key: str) -> str:
    """A stable id for a source key: a repeated or ambiguous create lands on itself.

    32 hexadecimal characters (128 bits), valid as an id in Contentful.
    """
    text = json.dumps([content_type, key])
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARS]


def is_entry_id(text: str) -> bool:
    """Whether Contentful takes a text as an id; no other text may get into a path."""
    return RESOURCE_ID.fullmatch(text) is not None and set(text) != {"."}


def _set_values(changes: tuple[Change, ...]) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for change in changes:
        values.setdefault(change.field, {})[change.locale] = change.after
    return values


def _operations(changes: tuple[Change, ...], existing: EntryFields) -> Iterator[dict[str, Any]]:
    by_field: dict[str, list[Change]] = {}
    for change in changes:
        by_field.setdefault(change.field, []).append(change)
    for field_id, field_changes in by_field.items():
        held = existing.get(field_id) or {}
        path = f"/fields/{_escape(field_id)}"
        set_ = {c.locale: c.after for c in field_changes if c.after is not None}
        removed = [c.locale for c in field_changes if c.after is None]
        if not held:
            # A patch cannot reach into a field that has no value yet: the whole object is added.
            yield {"op": "add", "path": path, "value": set_}
            continue
        for locale, value in set_.items():
            op = "replace" if locale in held else "add"
            yield {"op": op, "path": f"{path}/{_escape(locale)}", "value": value}
        if not set_ and all(locale in removed for locale in held):
            yield {"op": "remove", "path": path}
            continue
        for locale in removed:
            yield {"op": "remove", "path": f"{path}/{_escape(locale)}"}


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
