"""Entries as the space shows them: what is asked for, and what is read from the answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sync_pipeline.load.diff import Change, is_blank
from sync_pipeline.load.plan import ExistingEntry
from sync_pipeline.model import EntryFields, TargetModel

#: Everything of `sys` that a plan looks at; `select` takes 100 paths, a content type has 50 fields.
SELECTED_SYS = (
    "sys.id",
    "sys.version",
    "sys.publishedVersion",
    "sys.archivedVersion",
    "sys.createdAt",
    "sys.fieldStatus",
)
#: Ends the digest of a locale that is out.
_OUT = "+"


def entry_params(target: TargetModel, field_ids: Iterable[str]) -> dict[str, str | int]:
    """The query for just what an index keeps of the entries of a content type."""
    select = [*SELECTED_SYS, *(f"fields.{field_id}" for field_id in sorted(field_ids))]
    return {"content_type": target.content_type.id, "select": ",".join(select)}


def read_existing(
    body: Mapping[str, Any], field_ids: Collection[str], *, is_whole: bool = False
) -> ExistingEntry:
    """An entry from the JSON of the API, cut to the fields that matter.

    Args:
        body: The entry.
        field_ids: The fields to keep.
        is_whole: The body has all fields, so it tells in which locales the others hold values.
    """
    sys, fields = body["sys"], body.get("fields") or {}
    states = read_locale_states(sys)
    return ExistingEntry(
        id=str(sys["id"]),
        version=int(sys["version"]),
        published_version=sys.get("publishedVersion"),
        is_archived=sys.get("archivedVersion") is not None,
        created_at=str(sys.get("createdAt", "")),
        fields={
            name: value
            for name, value in fields.items()
            if name in field_ids and isinstance(value, Mapping)
        },
        locale_states=states,
        unmapped_locales=_locales_of(fields, field_ids) if is_whole else None,
        digests=digest_locales(body) if is_whole and states is not None else {},
    )


def read_locale_states(sys: Mapping[str, Any]) -> dict[str, str] | None:
    """`{locale: draft | changed | published}`, None where the space has no states of locales."""
    status = sys.get("fieldStatus")
    states = status.get("*") if isinstance(status, Mapping) else None
    if not isinstance(states, Mapping) or not states:
        return None
    return {str(locale): str(state) for locale, state in states.items()}


def digest_locales(body: Mapping[str, Any]) -> dict[str, str]:
    """`{locale: digest}` of all that an entry shows in a locale, its tags and concepts included.

    Args:
        body: The entry with all of its fields, and the states of its locales.
    """
    states = read_locale_states(body["sys"]) or {}
    held: dict[str, dict[str, Any]] = {locale: {} for locale in states}
    for name, values in (body.get("fields") or {}).items():
        for locale, value in values.items() if isinstance(values, Mapping) else ():
            if not is_blank(value):
                held.setdefault(locale, {})[name] = value
    labels = _labels_of(body)
    return {
        locale: _digest([values, labels]) + (_OUT if states.get(locale, "draft") != "draft" else "")
        for locale, values in held.items()
    }


def find_untouched(digests: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
    """Locales that show just what they showed when the digests were taken.

    One that was out then and is no more has been taken back on purpose.
    """
    return frozenset(
        locale
        for locale, digest in digests.items()
        if now.get(locale) in (digest, digest.removesuffix(_OUT) + _OUT)
    )


def digest_fields(fields: EntryFields) -> str:
    """A digest of mapped fields in all their locales; the same for what the space takes as equal.

    Dates aside: they count by their text.
    """
    held = {
        name: kept
        for name, values in fields.items()
        if (kept := {c: _plain(value) for c, value in values.items() if not is_blank(value)})
    }
    return _digest(held)


def digest_intended(before: ExistingEntry | None, changes: Iterable[Change]) -> str:
    """The digest of the mapped fields as a write leaves them.

    Args:
        before: The entry that the write was planned for, None for a new one.
        changes: What it changes.
    """
    fields = {} if before is None else {name: {**v} for name, v in before.fields.items()}
    for change in changes:
        fields.setdefault(change.field, {})[change.locale] = change.after
    return digest_fields(fields)


def _labels_of(body: Mapping[str, Any]) -> list[str]:
    """Ids of tags and concepts, whatever their order: they belong to no locale."""
    metadata = body.get("metadata")
    lists = metadata.values() if isinstance(metadata, Mapping) else ()
    links = (item for items in lists if isinstance(items, list) for item in items)
    return sorted(json.dumps(link, sort_keys=True) for link in links)


def _plain(value: Any) -> Any:
    """A value in which equal numbers are written alike: the space answers 7 for 7.0."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    return value


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _locales_of(fields: Mapping[str, Any], left_out: Collection[str]) -> frozenset[str]:
    """Locales that hold a value in any field but those left out."""
    return frozenset(
        locale
        for name, values in fields.items()
        if name not in left_out and isinstance(values, Mapping)
        for locale, value in values.items()
        if not is_blank(value)
    )
