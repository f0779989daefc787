"""Where a mapped text goes: field names of the mapping checked against the content type.

A slot is a field name that exists: field, locale, and how to type the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sync_pipeline.model import Field, TargetModel
from sync_pipeline.suggestions import remark_meant
from sync_pipeline.transform.field_paths import FieldPath, Part, parse_field_path
from sync_pipeline.transform.values import Converter, converter_for, read_coordinate, read_entry_id

#: Types of field whose value can tell entries apart.
KEY_TYPES = frozenset({"Symbol", "Text", "Integer", "Number", "Boolean", "Date", "Link"})
ENTRY_ID_NAME = "sys.id"


@dataclass(frozen=True, slots=True)
class Slot:
    """A checked field name."""

    #: "" for `sys.Id`.
    field: str
    locale: str
    type: str
    convert: Converter
    part: Part | None = None
    is_entry_id: bool = False

    @property
    def name(self) -> str:
        """As reports show it: `name.en-US`, `sys.id`."""
        return ENTRY_ID_NAME if self.is_entry_id else f"{self.field}.{self.locale}"

    @property
    def place(self) -> str:
        """What may be mapped only once: `name.en-US`, `place.en-US.lat`."""
        return f"{self.name}.{self.part}" if self.part else self.name


def resolve_slot(name: str, target: TargetModel, *, is_markdown: bool = False) -> Slot:
    """The slot that a field name of the mapping means.

    Args:
        name: As the mapping has it.
        target: Content type and locales.
        is_markdown: Whether the expression makes Markdown, which only rich text asks for.

    Raises:
        ValueError: Field or locale do not exist, or cannot be written; the text says what to do.
    """
    path = parse_field_path(name)
    if path.is_entry_id:
        return Slot("", "", "Id", read_entry_id, is_entry_id=True)
    field = _find_field(path, target)
    locale = _find_locale(path, field, target)
    _check_shape(path, field)
    if path.part:
        convert: Converter = partial(read_coordinate, path.part)
    else:
        convert = converter_for(field, is_markdown=is_markdown)
    return Slot(field.id, locale, field.type, convert, path.part)


def writable_pairs(target: TargetModel) -> Iterator[tuple[str, str]]:
    """Every field and locale that a mapping could name."""
    for field in target.content_type.fields:
        if not (field.disabled or field.omitted):
            for locale in target.locale_codes if field.localized else (target.default_locale,):
                yield field.id, locale


def _find_field(path: FieldPath, target: TargetModel) -> Field:
    field = target.content_type.field(path.field)
    if field is None:
        known = [candidate.id for candidate in target.content_type.fields]
        raise ValueError(
            f'content type "{target.content_type.id}" has no field "{path.field}"'
            f"{remark_meant(path.field, known)}"
        )
    for flag in ("disabled", "omitted"):
        if getattr(field, flag):
            raise ValueError(
                f'field "{field.id}" is {flag} in content type "{target.content_type.id}":'
                " take it out of the mapping, or enable it there"
            )
    return field


def _find_locale(path: FieldPath, field: Field, target: TargetModel) -> str:
    if path.locale is None:
        return target.default_locale
    if path.locale not in target.locale_codes:
        hint = remark_meant(path.locale, target.locale_codes)
        raise ValueError(f'the space has no locale "{path.locale}"{hint}')
    if not field.localized and path.locale != target.default_locale:
        raise ValueError(
            f'field "{field.id}" is not localized: it exists only in the default locale,'
            f' so write "{field.id}.{target.default_locale}" or "{field.id}"'
        )
    return path.locale


def _check_shape(path: FieldPath, field: Field) -> None:
    base = f"{field.id}.{path.locale}" if path.locale else field.id
    if path.is_list and field.type != "Array":
        raise ValueError(f'field "{field.id}" is of type {field.type}: write "{base}" without []')
    if path.part and field.type != "Location":
        raise ValueError(
            f'field "{field.id}" is of type {field.type}, not Location: it has no .{path.part}'
        )
    if field.type == "Location" and not path.part:
        raise ValueError(f'field "{field.id}" is a Location: map "{base}.lat" and "{base}.lon"')
