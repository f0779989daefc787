"""A mapping that was compiled and checked: what `mapper` executes for every record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sync_pipeline.errors import RecordError
from sync_pipeline.model import TargetModel, canonical_date, canonical_key
from sync_pipeline.templating.program import Program
from sync_pipeline.templating.sandbox import TemplateEnvironment
from sync_pipeline.transform.values import Converter

#: Longest key, in characters: keys live in short text fields.
MAX_KEY = 256


class ScalarRule(NamedTuple):
    """One value of one field and locale; a tuple, since every record unpacks all of them."""

    field: str
    locale: str
    convert: Converter
    overwrite_null: bool
    name: str


@dataclass(frozen=True, slots=True)
class LocationRule:
    """The two halves of a Location, by the index of their texts."""

    field: str
    locale: str
    lat: int
    lon: int
    convert_lat: Converter
    convert_lon: Converter
    overwrite_null: bool

    @property
    def name(self) -> str:
        """As reports show it."""
        return f"{self.field}.{self.locale}"


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule whose field name is a template: name and value by the index of their texts."""

    name_index: int
    value_index: int
    overwrite_null: bool
    source: str
    is_markdown: bool


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """How to get the key of a row without mapping the rest."""

    #: `id.en-US` or `sys.id`.
    name: str
    field: str
    locale: str
    is_entry_id: bool
    is_date: bool
    convert: Converter
    program: Program
    #: The pre-mappings that the key's expression uses.
    pre_names: tuple[str, ...]
    pre_program: Program | None

    def canonical(self, value: Any) -> str:
        """Canonical text of a typed value, "" where there is none.

        Raises:
            RecordError: It is too long for a key.
        """
        if value is None:
            return ""
        if type(value) is str:
            key = canonical_date(value) if self.is_date else value
        else:
            key = canonical_key(value)
        if len(key) > MAX_KEY:
            raise RecordError(
                f"a key of {len(key):,} characters; a key holds {MAX_KEY}", error_id="KeyTooLong"
            )
        return key


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole mapping. Texts of `program` come in the order scalars, entry id, locations, named."""

    program: Program
    scalars: tuple[ScalarRule, ...]
    #: Index of the text of `sys.Id`.
    entry_id: int | None
    locations: tuple[LocationRule, ...]
    named: tuple[NamedRule, ...]
    #: The name of the rule behind each text of `program`, for errors.
    text_names: tuple[str, ...]
    pre_names: tuple[str, ...]
    pre_program: Program | None
    filter_program: Program | None
    key: KeyPlan
    #: `sys.Id` of a row without mapping the rest; None: it is not mapped, or is the key itself.
    chosen_id: KeyPlan | None
    mapped_fields: frozenset[tuple[str, str]]
    environment: TemplateEnvironment
    #: Content types whose entries are root variables.
    enumerated: tuple[str, ...]
    target: TargetModel
