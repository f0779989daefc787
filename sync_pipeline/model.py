"""The values that flow through the house: pages, records, batches, desired entries, outcomes,
counts.

Everything here is plain, frozen and free of I/O. `extract`, `transform` and `load` know each other
only
through these types::

    Page ─► SpooledRecord ─► (BatchRef) ─► DesiredEntry ─► Outcome ─► Counts
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, time, timezone
from functools import cached_property
from typing import Any, Final, Literal, Protocol, TypeAlias

from sync_pipeline.dates import parse_date

#: A source row: a JSON object, a CSV row (all text) or a database row (as `extract` documents its
#: types).
Row: TypeAlias = Mapping[str, Any]
#: Member of a row, and the name of no column: `{column: why}` of values that its source could not
#: give. The record fails, the others go on.
UNREADABLE: Final = "\0unreadable"
#: `{field: {locale: value}}`, the shape of `fields` in the Content Management API.
EntryFields: TypeAlias = Mapping[str, Mapping[str, Any]]
#: An id that Contentful takes, of an entry, a content type, an environment or a space.
#: https://www.contentful.com/developers/docs/references/content-management-api/ (resource ids)
RESOURCE_ID = re.compile(r"[a-zA-Z0-9\-_.]{1,64}")
Stage: TypeAlias = Literal["extract", "transform", "load", "publish"]


# ---------------------------------------------------------------- extract


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a source: the records of one response, or one chunk of a huge one."""

    #: 1-based over the whole extraction, resumed parts included.
    number: int
    #: Unfiltered, in source order.
    records: Sequence[Row]
    #: JSON-able state from which `Source.fetch_pages` goes on *after* this page; None after the
    #: last page.
    checkpoint: Mapping[str, Any] | None
    #: Records in the whole extraction, where the source declares it; never an estimate.
    total: int | None = None
    #: HTTP requests (or queries) that this page cost, retries included.
    requests: int = 1
    #: Enumerated entries by content type id, the same for all records of the page
    #: (`enumerateForContentTypes`).
    variables: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """Where records come from. A source holds no more than one page or chunk in memory."""

    def fetch_pages(self, resume_from: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """Yield the pages in a stable order; `resume_from` is the checkpoint of the last page that
        was kept.
        """
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...


# ---------------------------------------------------------------- batches


@dataclass(frozen=True, slots=True)
class SpooledRecord:
    """A record on disk, with what identifies it for the rest of its way."""

    #: 0-based position in the extraction; decides which of two records with one key is the first.
    ordinal: int
    #: Canonical key text, "" where the record has none (then it becomes a dead letter).
    key: str
    row: Row
    variables: Mapping[str, Any] = field(default_factory=dict)
    #: Key of an earlier record, maybe of another batch, that maps the same `sys.Id`; "": there is
    #: none.
    id_owner: str = ""


@dataclass(frozen=True, slots=True)
class BatchRef:
    """A handle on a spooled batch: small enough for a Dagster output, never the records
    themselves.
    """

    #: `batch_000042`, or `all` in regular mode.
    key: str
    #: Lines in the file; records of other batches that repeat a key of this one come on top.
    records: int
    #: SHA-256 of the file, hexadecimal.
    digest: str


# ---------------------------------------------------------------- the target's model


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a content type, as the Content Management API describes it."""

    id: str
    #: Symbol, Text, RichText, Integer, Number, Boolean, Date, Object, Location, Link, Array,
    #: ResourceLink.
    type: str
    localized: bool = False
    required: bool = False
    #: Entry or Asset, for a Link or an Array of Links.
    link_type: str | None = None
    #: Symbol or Link, for an Array.
    items_type: str | None = None
    disabled: bool = False
    omitted: bool = False
    #: The rules of a rich text field, as the API gives them; of other types only the service knows
    #: them.
    validations: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)  # no slots: `_by_id` is kept, and asked for every value that is compared
class ContentType:
    """An activated content type."""

    id: str
    name: str
    fields: tuple[Field, ...]
    display_field: str | None = None

    def field(self, field_id: str) -> Field | None:
        """The field with that id, or None."""
        return self._by_id.get(field_id)

    @cached_property
    def _by_id(self) -> dict[str, Field]:
        return {field.id: field for field in self.fields}


@dataclass(frozen=True, slots=True)
class Locale:
    """A locale of an environment."""

    code: str
    default: bool = False
    fallback_code: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class TargetModel:
    """What must be known of the space before the first record is mapped."""

    content_type: ContentType
    locales: tuple[Locale, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TargetModel:
        """What `dataclasses.asdict` made a JSON object of; further keys are not looked at."""
        content_type = value["content_type"]
        return cls(
            ContentType(
                id=content_type["id"],
                name=content_type["name"],
                fields=tuple(
                    Field(**{**field, "validations": tuple(field.get("validations", ()))})
                    for field in content_type["fields"]
                ),
                display_field=content_type["display_field"],
            ),
            tuple(Locale(**locale) for locale in value["locales"]),
        )

    @property
    def default_locale(self) -> str:
        """Code of the default locale."""
        return next(locale.code for locale in self.locales if locale.default)

    @property
    def locale_codes(self) -> tuple[str, ...]:
        """Codes of all locales, in the order of the space."""
        return tuple(locale.code for locale in self.locales)


class EntryLookup(Protocol):
    """What templates and enumerations may ask of the space: whole content types, never a record."""

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        """Entries as `{"id": sys.id, field: {locale: value}, ...}`, ordered by display field, then
        id.
        """
        ...

    def field_ids(self, content_type: str) -> Sequence[str]:
        """The fields of a content type, in its order."""
        ...


# ---------------------------------------------------------------- transform


@dataclass(frozen=True, slots=True)
class Conflict:
    """A later record with the same key that said something else: the first record won."""

    key: str
    field: str
    locale: str
    first_ordinal: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class DesiredEntry:
    """What one source key says an entry must hold; fields that it does not name are left alone."""

    key: str
    #: Of the first record with this key.
    ordinal: int
    #: `{field: {locale: value}}`, typed for the API; no blank values.
    fields: EntryFields
    #: (field, locale) pairs to clear (`overwriteNull` and a blank result).
    cleared: tuple[tuple[str, str], ...] = ()
    #: An id mapped by the user (`sys.Id`); None: match by key, else derive from content type and
    #: key.
    entry_id: str | None = None
    #: Further records that were merged into this one.
    merged: int = 0
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record or entry that could not be synced, and why. Never holds a payload or a secret."""

    #: Position of the record in the extraction, -1 where there is none.
    ordinal: int
    key: str
    stage: Stage
    #: `name.en-US`, or "" where the reason is not one field.
    field: str
    #: Contentful's `sys.id` of the error (`InvalidEntry`) or the class of ours (`TemplateError`).
    error_id: str
    message: str
    #: Contentful's request id, for support; "" where no request was involved.
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A record that `filterExpression` leaves out."""

    ordinal: int
    key: str
    #: It came to nothing for this record, which counts as false.
    is_blank: bool = False


# ---------------------------------------------------------------- load


@dataclass(frozen=True, slots=True)
class Counts:
    """Figures of a step or run. They add up: `records` equals the sum of the fates of a record.

    `records == created + updated + unchanged + failed + filtered + duplicates + superseded`
    """

    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    published: int = 0
    deleted: int = 0
    failed: int = 0
    #: Left out by `filterExpression`.
    filtered: int = 0
    #: Merged into an earlier record with the same key.
    duplicates: int = 0
    #: Of a replayed batch: already written by a later run from newer data.
    superseded: int = 0
    #: Requests to the space.
    requests: int = 0
    #: Entries of which something that was written stays unpublished: somebody else's unpublished
    #: changes are on it.
    publish_skipped: int = 0
    #: Locales of written entries that hold unpublished changes of somebody else, and were left so.
    locales_left: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def accounted(self) -> int:
        """Records whose fate is known; differs from `records` only if something was lost."""
        return (
            self.created + self.updated + self.unchanged + self.failed
            + self.filtered + self.duplicates + self.superseded
        )  # fmt: skip

    def with_(self, **changes: int) -> Counts:
        """A copy with some figures replaced."""
        return replace(self, **changes)


def field_value(fields: EntryFields, field_id: str, locale: str) -> Any:
    """The value of a field and locale, None where there is none; the API may say null for both."""
    return (fields.get(field_id) or {}).get(locale)


def canonical_key(value: object) -> str:
    """The text by which keys are compared, of a value as the API holds it in the key field.

    Text is exact and case-sensitive; numbers by value (`7`, `7.0` are one key); booleans
    `true`/`false`; links by id;
    dates go through `canonical_date` first, which the caller knows to be dates. None gives
    "".
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping) and isinstance(value.get("sys"), Mapping):
        return str(value["sys"].get("id", ""))
    return str(value)


def canonical_date(text: str) -> str:
    """The text by which a Date value is compared as a key: its instant in UTC, to the second.

    Both sides go through it, the mapped value and the one the space holds. A date without time is
    its midnight, a time without offset counts as UTC; what is no date comes back unchanged.
    """
    try:
        found = parse_date(text)
        if not isinstance(found, datetime):
            found = datetime.combine(found, time.min, timezone.utc)
        return found.astimezone(timezone.utc).isoformat()
    except (ValueError, OverflowError):
        return text


def utc_now() -> datetime:
    """The current time, aware, in UTC: the one clock that is injected where time matters."""
    return datetime.now(timezone.utc)
