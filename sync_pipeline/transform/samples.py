"""The sample rows of a config file (`tests`) and the fields they must give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync_pipeline.config.model import SampleTest, SyncConfig
from sync_pipeline.errors import RecordError
from sync_pipeline.model import field_value
from sync_pipeline.templating.text import to_json, to_text
from sync_pipeline.transform.field_paths import parse_field_path
from sync_pipeline.transform.mapper import Mapper
from sync_pipeline.transform.merging import MappedRecord
from sync_pipeline.transform.slots import resolve_slot
from sync_pipeline.transform.values import Converter, read_entry_id


@dataclass(frozen=True, slots=True)
class SampleFailure:
    """One field of one sample that is not as the file says."""

    #: Name of the sample, or `tests[2]`.
    sample: str
    #: As written in `expect`; "" where the whole row fails.
    field: str
    expected: Any
    actual: Any
    #: Why there is no value to compare with; "" where there is one.
    reason: str = ""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.sample, self.field) if part)
        if self.reason:
            return f"{where}: {self.reason}"
        return f"{where}: expected {to_json(self.expected)}, got {to_json(self.actual)}"


def run_samples(mapper: Mapper, config: SyncConfig) -> list[SampleFailure]:
    """Map the sample rows; fields that a sample does not name are not compared.

    Expected values may be written as they come from the API or as a template would put them out
    (the id of a link, Markdown of a rich text). null means: not set.
    """
    failures: list[SampleFailure] = []
    for index, sample in enumerate(config.tests):
        failures += _run(mapper, sample, sample.name or f"tests[{index}]")
    return failures


def _run(mapper: Mapper, sample: SampleTest, name: str) -> list[SampleFailure]:
    try:
        mapped = mapper.map_row(sample.row)
    except RecordError as err:
        return [SampleFailure(name, err.field, sample.expect, None, str(err))]
    if mapped is None:
        reason = "filterExpression leaves the row out"
        return [SampleFailure(name, "", sample.expect, None, reason)]
    failures = []
    for field, expected in sample.expect.items():
        failure = _compare(mapper, mapped, name, field, expected)
        if failure:
            failures.append(failure)
    return failures


def _compare(
    mapper: Mapper, mapped: MappedRecord, name: str, field: str, expected: Any
) -> SampleFailure | None:
    try:
        actual, converters = _read_field(mapper, mapped, field)
    except ValueError as err:
        return SampleFailure(name, field, expected, None, str(err))
    if actual == expected:
        return None
    if actual is not None and expected is not None:
        try:
            if any(convert(to_text(expected)) == actual for convert in converters):
                return None
        except RecordError as err:
            return SampleFailure(name, field, expected, actual, str(err))
    return SampleFailure(name, field, expected, actual)


def _read_field(
    mapper: Mapper, mapped: MappedRecord, name: str
) -> tuple[Any, tuple[Converter, ...]]:
    """The value of a field, and what makes a value of a text that is expected of it."""
    path = parse_field_path(name)
    if path.is_entry_id:
        return mapped.entry_id, (read_entry_id,)
    field = mapper.target.content_type.field(path.field)
    if field is not None and field.type == "Location" and not path.part:
        slot = resolve_slot(f"{name}.lat", mapper.target)
        return field_value(mapped.fields, slot.field, slot.locale), ()
    slot = resolve_slot(name, mapper.target)
    value = field_value(mapped.fields, slot.field, slot.locale)
    if slot.type == "RichText":  # written as plain text, or as Markdown
        return value, (slot.convert, resolve_slot(name, mapper.target, is_markdown=True).convert)
    return (value[slot.part] if slot.part and value else value), (slot.convert,)
