"""What templates ask of the space, answered from whole content types, read entry by entry.

A look-up never costs a request per record: the first question about a content type and field goes
through all entries, for this run, whatever the number of records. Of each entry only the values in
question are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from sync_pipeline.errors import RecordError, UsageError
from sync_pipeline.model import EntryLookup, canonical_key
from sync_pipeline.suggestions import remark_meant
from sync_pipeline.templating.bounds import template_error

_T = TypeVar("_T")
_KM_PER_DEGREE = 6371.0088 * math.pi / 180


class SpaceAnswers:
    """Answers the `cute` functions that look into the space. May be shared by threads."""

    def __init__(self, lookup: EntryLookup | None, default_locale: str | None) -> None:
        """Take the source of entries.

        Args:
            lookup: None: every question is an error of the record that asks.
            default_locale: Whose values are meant where a field is named without locale; None:
                the first locale that has one.
        """
        self._lookup = lookup
        self._default_locale = default_locale
        self._answers: dict[Hashable, Any] = {}
        self._lock = Lock()

    def count(self, content_type: str, field: str, value: str) -> int:
        """How many entries have that value, exactly, in a field."""

        def read() -> Counter[str]:
            entries = self._entries(content_type, field)
            values = (self._value(entry, field) for entry in entries)
            return Counter(canonical_key(value) for value in values if value is not None)

        return self._once(("count", content_type, field), read)[value]

    def is_near(
        self, content_type: str, field: str, radius_km: float, lat: float, lon: float
    ) -> bool:
        """Whether an entry's location lies within the box around a point, `radius_km` each way."""

        def read() -> list[tuple[float, float]]:
            entries = self._entries(content_type, field)
            places = (self._value(entry, field) for entry in entries)
            return [
                (float(place["lat"]), float(place["lon"]))
                for place in places
                if isinstance(place, Mapping) and "lat" in place and "lon" in place
            ]

        places = self._once(("near", content_type, field), read)
        height = radius_km / _KM_PER_DEGREE
        shrink = math.cos(math.radians(lat))
        # Near a pole the box goes all around.
        width = height / shrink if shrink > height / 180 else 180.0
        return any(
            abs(place_lat - lat) <= height
            and abs((place_lon - lon + 180) % 360 - 180) <= min(width, 180)
            for place_lat, place_lon in places
        )

    def find(self, content_type: str, field: str, value: str, returned: str) -> str | None:
        """Of the entry with that value in a field, ignoring case, the value of another as text.

        Args:
            content_type: Of the entries.
            field: Whose value is compared; of several entries the first counts.
            value: What it must be.
            returned: Field whose value is wanted; `$id` for the entry's id.
        """

        def read() -> dict[str, str]:
            found: dict[str, str] = {}
            for entry in self._entries(content_type, field, returned):
                key = self._value(entry, field)
                if key is not None:
                    text = canonical_key(self._value(entry, returned))
                    found.setdefault(canonical_key(key).casefold(), text)
            return found

        return self._once(("find", content_type, field, returned), read).get(value.casefold())

    def _entries(self, content_type: str, *fields: str) -> Iterator[Mapping[str, Any]]:
        """All entries; an error for fields that none can have, which would find nothing."""
        if self._lookup is None:
            raise template_error(
                "functions that look into the space are not available in this template"
            )
        try:
            known = self._lookup.field_ids(content_type)
            for name in map(_field_name, fields):
                if name not in {*known, "id"}:
                    hint = remark_meant(name, known)
                    raise template_error(
                        f'content type "{content_type}" has no field "{name}"{hint}'
                    )
            yield from self._lookup.entries(content_type)
        except UsageError as err:  # a name in the template, which may come from the record
            raise template_error(str(err)) from err

    def _value(self, entry: Mapping[str, Any], field: str) -> Any:
        if _is_id(field):
            return entry.get("id")
        name, _, locale = field.removeprefix("fields.").partition(".")
        values = entry.get(name)
        if not isinstance(values, Mapping):
            return values if name == "id" and not locale else None
        if locale or self._default_locale:
            return values.get(locale or self._default_locale)
        return next((value for value in values.values() if value is not None), None)

    def _once(self, question: Hashable, read: Callable[[], _T]) -> _T:
        with self._lock:  # threads that ask the same wait for one answer instead of reading twice
            if question not in self._answers:
                try:
                    self._answers[question] = read()
                except RecordError as err:  # the next record's question has the same answer
                    self._answers[question] = err
            answer = self._answers[question]
        if isinstance(answer, RecordError):
            raise template_error(str(answer))
        found: _T = answer
        return found


def _is_id(field: str) -> bool:
    return field.casefold() in {"$id", "sys.id"}


def _field_name(field: str) -> str:
    """`code` of `code`, `fields.code` and `code.de-DE`; `id` of what names the entry's id."""
    return "id" if _is_id(field) else field.removeprefix("fields.").partition(".")[0]


def lookup_list(
    answers: SpaceAnswers,
    keys: Sequence[str],
    *,
    content_type: str,
    match_field: str,
    return_field: str,
    default: str | None,
) -> str:
    """The entries behind a list of values, as a sorted, comma-separated list.

    Args:
        answers: Where entries are looked up.
        keys: The values; none means `default`.
        content_type: Of the entries.
        match_field: Whose value is compared, ignoring case.
        return_field: Whose value is returned; `$id` for the id.
        default: The *key* that stands for a value that no entry has.

    Raises:
        RecordError: A value is unknown and so is the default.
    """
    results = []
    for key in keys or split_keys(default or ""):
        found = answers.find(content_type, match_field, key, return_field)
        if found is None and default:
            found = answers.find(content_type, match_field, default.strip(), return_field)
        if found is None:
            raise _unknown(key, content_type, match_field, default)
        results.append(found)
    return ",".join(sorted(results))


def split_keys(text: str) -> list[str]:
    """The values of a list `a, b`, trimmed, without blank ones."""
    return [piece.strip() for piece in text.split(",") if piece.strip()]


def _unknown(key: str, content_type: str, field: str, default: str | None) -> RecordError:
    shown = key if len(key) <= 40 else key[:37] + "..."
    fallback = f', nor the default "{default}"' if default else ", and there is no default"
    return template_error(f'no entry of "{content_type}" has "{shown}" as {field}{fallback}')
