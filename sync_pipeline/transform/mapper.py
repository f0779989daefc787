"""Maps rows to desired entries, with a plan that was compiled once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jinja2.runtime import Context

from sync_pipeline.errors import RecordError
from sync_pipeline.model import (
    UNREADABLE,
    DeadLetter,
    DesiredEntry,
    Filtered,
    Row,
    SpooledRecord,
    field_value,
)
from sync_pipeline.templating.program import Program, RenderingError
from sync_pipeline.templating.text import ConfigVariables, read_condition
from sync_pipeline.transform.merging import MappedRecord, Merger
from sync_pipeline.transform.plan import KeyPlan, LocationRule, NamedRule, Plan
from sync_pipeline.transform.slots import Slot, resolve_slot
from sync_pipeline.transform.values import Converter, read_entry_id

#: Rendered field names whose slots are kept; mappings with more distinct names pay for a look-up.
_NAMES_KEPT = 4096
_FILTER = "filterExpression"


class Mapper:
    """Maps the records of a sync. May be shared by threads.

    Attributes:
        mapped_fields: Every (field, locale) that this mapping may set.
        maps_ids: Whether records choose their `sys.Id` beside a key.
        matches_by_id: Whether `sys.Id` is the key itself.
        target: The content type and locales that it was compiled for.
    """

    def __init__(self, plan: Plan, variables: Mapping[str, str]) -> None:
        self.mapped_fields = plan.mapped_fields
        self.maps_ids = plan.chosen_id is not None
        self.matches_by_id = plan.key.is_entry_id
        self.target = plan.target
        self._plan = plan
        fields = plan.target.content_type.fields
        self._date_fields = frozenset(field.id for field in fields if field.type == "Date")
        self._roots = {
            **plan.environment.globals,
            "config": ConfigVariables(variables),
            "var": {},
        }
        self._slots: dict[tuple[str, bool], Slot | ValueError] = {}
        self._kept = threading.local()

    def key_of(self, row: Row, variables: Mapping[str, Any] | None = None) -> str:
        """Canonical key of a row; "" where it has none or its expression fails.

        Args:
            row: The record.
            variables: Enumerated entries by content type id.
        """
        if variables:
            context = self._open_context(row, variables)
        else:
            context = self._thread_context()
            context.parent["row"] = row
        try:
            return _render_key(self._plan.key, context)
        except (RecordError, RenderingError):
            return ""

    def entry_id_of(self, row: Row, variables: Mapping[str, Any] | None = None) -> str:
        """The `sys.Id` that a row asks for; "" where it asks for none, or is left out.

        Args:
            row: The record.
            variables: Enumerated entries by content type id.
        """
        plan = self._plan.chosen_id
        context = self._open_context(row, variables)
        try:
            return _render_key(plan, context) if plan and self._verdict(context) else ""
        except (RecordError, RenderingError):
            return ""

    def map_records(
        self, records: Iterable[SpooledRecord]
    ) -> Iterator[DesiredEntry | DeadLetter | Filtered]:
        """Map the records of a batch, those routed from other batches included.

        Args:
            records: In source order. Only what they come to is held: an entry a key.

        Yields:
            A DeadLetter or Filtered for every record that comes to nothing, in source order, then
            the entries in the order of their first records. Every record is accounted for:
            `len(records) == dead letters + filtered + entries + sum(merged)`.
        """
        merger = Merger(self._date_fields)
        context = self._open_context({}, None)
        for record in records:
            try:
                mapped = self._map(context, record.row, record.variables)
                if not isinstance(mapped, MappedRecord):
                    yield Filtered(record.ordinal, record.key, is_blank=mapped is None)
                else:
                    if record.id_owner:
                        _check_id_owner(mapped, record.id_owner)
                    merger.add(record.ordinal, mapped)
            except RecordError as err:  # one bad record stops no other
                yield DeadLetter(
                    ordinal=record.ordinal,
                    key=record.key,
                    stage="transform",
                    field=err.field,
                    error_id=err.error_id,
                    message=str(err),
                )
        yield from merger.desired()

    def map_row(self, row: Row, variables: Mapping[str, Any] | None = None) -> MappedRecord | None:
        """Map a single row; None where `filterExpression` leaves it out.

        Raises:
            RecordError: It cannot be mapped; `.field` says where.
        """
        mapped = self._map(self._open_context({}, None), row, variables or {})
        return mapped if isinstance(mapped, MappedRecord) else None

    def _open_context(self, row: Row, variables: Mapping[str, Any] | None) -> Context:
        parent = {**self._roots, **(variables or {}), "row": row}
        return Context(self._plan.environment, parent, None, {})

    def _thread_context(self) -> Context:
        """A context that this thread keeps: to open one takes longer than to render a key."""
        context: Context | None = getattr(self._kept, "context", None)
        if context is None:
            context = self._kept.context = self._open_context({}, None)
        return context

    def _map(
        self, context: Context, row: Row, variables: Mapping[str, Any]
    ) -> MappedRecord | bool | None:
        """What a row says; what `filterExpression` says where that leaves the row out."""
        if UNREADABLE in row:
            raise _unreadable(row[UNREADABLE])
        plan = self._plan
        if plan.enumerated:  # a fresh parent, or a variable of the last record would stay
            context.parent = {**self._roots, **variables}
        context.parent["row"] = row
        verdict = self._verdict(context)
        if not verdict:
            return verdict
        try:
            texts = plan.program.render(context)
        except RenderingError as err:
            raise _blamed(err, plan.text_names) from err
        record = self._read_scalars(texts)
        if plan.entry_id is not None and not _is_blank(texts[plan.entry_id]):
            record.entry_id = _convert("sys.id", read_entry_id, texts[plan.entry_id])
        for location in plan.locations:
            _read_location(location, texts, record)
        for rule in plan.named:
            self._read_named(rule, texts, record)
        record.key = self._key(record)
        return record

    def _verdict(self, context: Context) -> bool | None:
        """Whether `filterExpression` keeps the row; None: it came to nothing.

        Sets `var` for what comes after.
        """
        plan = self._plan
        if plan.pre_program is not None:
            names = plan.pre_names
            texts = _render(plan.pre_program, context, [f"var.{name}" for name in names])
            context.parent["var"] = dict(zip(names, texts, strict=True))
        if plan.filter_program is None:
            return True
        text = _render(plan.filter_program, context, (_FILTER,))[0]
        return _convert(_FILTER, read_condition, text)  # type: ignore[no-any-return]

    def _read_scalars(self, texts: list[str]) -> MappedRecord:
        fields: dict[str, dict[str, Any]] = {}
        cleared: tuple[tuple[str, str], ...] = ()
        name = ""
        try:
            # The hot loop: no call and no allocation that is not needed.
            for text, (field, locale, convert, overwrite_null, name) in zip(  # noqa: B007
                texts, self._plan.scalars, strict=False
            ):
                if text and not text.isspace():
                    value = convert(text)
                    if value is not None:
                        if field in fields:
                            fields[field][locale] = value
                        else:
                            fields[field] = {locale: value}
                        continue
                if overwrite_null:
                    cleared += ((field, locale),)
        except RecordError as err:
            err.field = name
            raise
        return MappedRecord(fields, "", cleared)

    def _read_named(self, rule: NamedRule, texts: list[str], record: MappedRecord) -> None:
        slot = self._slot(texts[rule.name_index], rule)
        text = texts[rule.value_index]
        pair = slot.field, slot.locale
        if field_value(record.fields, *pair) is not None or pair in record.cleared:
            raise RecordError(
                f"{slot.name} is mapped twice in this record", field=slot.name, error_id="FieldName"
            )
        value = None if _is_blank(text) else _convert(slot.name, slot.convert, text)
        if value is not None:
            record.fields.setdefault(slot.field, {})[slot.locale] = value
        elif rule.overwrite_null:
            record.cleared += (pair,)

    def _slot(self, name: str, rule: NamedRule) -> Slot:
        found = self._slots.get((name, rule.is_markdown))
        if found is None:
            try:
                found = resolve_slot(name, self._plan.target, is_markdown=rule.is_markdown)
                if found.part or found.is_entry_id:
                    found = ValueError(f'"{name}" cannot be mapped by a name that is a template')
            except ValueError as err:
                found = err
            if len(self._slots) < _NAMES_KEPT:
                self._slots[name, rule.is_markdown] = found
        if isinstance(found, ValueError):
            raise RecordError(str(found), field=rule.source, error_id="FieldName")
        return found

    def _key(self, record: MappedRecord) -> str:
        plan = self._plan.key
        if plan.is_entry_id:
            value: Any = record.entry_id
        else:
            value = field_value(record.fields, plan.field, plan.locale)
        try:
            key = plan.canonical(value)
        except RecordError as err:
            err.field = plan.name
            raise
        if not key:
            raise RecordError(
                f"{plan.name} is blank: a record without a key cannot be matched with an entry",
                field=plan.name,
                error_id="MissingKey",
            )
        return key


def _unreadable(faults: object) -> RecordError:
    """Before the filter is asked: it may rest on what is not there."""
    known = faults if isinstance(faults, Mapping) else {}  # any source may send such a member
    told = [f"column {column[:60]!r} cannot be read: {why}" for column, why in known.items()]
    field = f"row.{next(iter(known))[:60]}" if known else ""
    return RecordError("; ".join(told[:5]), field=field, error_id="UnreadableValue")


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _render_key(plan: KeyPlan, context: Context) -> str:
    """Canonical key, "" where it is blank; sets `var` to the pre-mappings that it uses."""
    if plan.pre_program is not None:
        texts = plan.pre_program.render(context)
        context.parent["var"] = dict(zip(plan.pre_names, texts, strict=True))
    text = plan.program.render(context)[0]
    return "" if _is_blank(text) else plan.canonical(plan.convert(text))


def _check_id_owner(record: MappedRecord, owner: str) -> None:
    if record.entry_id is not None and record.key != owner:
        raise RecordError(
            f'id "{record.entry_id}" is already that of the record with key "{owner}"',
            field="sys.id",
            error_id="DuplicateId",
        )


def _render(program: Program, context: Context, names: Sequence[str]) -> list[str]:
    try:
        return program.render(context)
    except RenderingError as err:
        raise _blamed(err, names) from err


def _blamed(err: RenderingError, names: Sequence[str]) -> RecordError:
    return RecordError(str(err.error), field=names[err.index], error_id=err.error.error_id)


def _convert(name: str, convert: Converter, text: str) -> Any:
    try:
        return convert(text)
    except RecordError as err:
        err.field = name
        raise


def _read_location(rule: LocationRule, texts: list[str], record: MappedRecord) -> None:
    lat, lon = texts[rule.lat], texts[rule.lon]
    if _is_blank(lat) and _is_blank(lon):
        if rule.overwrite_null:
            record.cleared += ((rule.field, rule.locale),)
        return
    for text, part in ((lat, "lat"), (lon, "lon")):
        if _is_blank(text):
            raise RecordError(
                f"{part} is blank: a Location needs both halves",
                field=rule.name,
                error_id="TypeMismatch",
            )
    value = {
        "lat": _convert(rule.name, rule.convert_lat, lat),
        "lon": _convert(rule.name, rule.convert_lon, lon),
    }
    record.fields.setdefault(rule.field, {})[rule.locale] = value
