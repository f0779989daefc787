"""The mapping of one config file, compiled and checked against the content type.

All problems are found here, at once, before a record is read; `mapper` then only executes::

    SyncConfig ─┬─ preMapping       ─► Program (var.*)
                ├─ filterExpression ─► Program (kept or not)
                ├─ mapping          ─► Program (one text per rule) + a slot per rule
                └─ contentKeyField  ─► KeyPlan (the key alone, cheaply)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import nodes

from sync_pipeline.config.model import MappingRule, SyncConfig
from sync_pipeline.errors import MappingError, RecordError
from sync_pipeline.model import EntryLookup, TargetModel, canonical_date, canonical_key
from sync_pipeline.templating.checking import (
    TemplateProblem,
    find_members,
    find_unset_variables,
    parse_checked,
)
from sync_pipeline.templating.environment import build_environment
from sync_pipeline.templating.program import Program
from sync_pipeline.templating.sandbox import TemplateEnvironment
from sync_pipeline.transform.slots import (
    ENTRY_ID_NAME,
    KEY_TYPES,
    Slot,
    resolve_slot,
    writable_pairs,
)
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
    mapped_fields: frozenset[tuple[str, str]]
    environment: TemplateEnvironment
    #: Content types whose entries are root variables.
    enumerated: tuple[str, ...]
    target: TargetModel


def build_plan(
    config: SyncConfig,
    target: TargetModel,
    *,
    variables: Mapping[str, str],
    lookup: EntryLookup | None,
) -> Plan:
    """Compile a mapping and check it against a content type.

    Raises:
        MappingError: With all that is wrong (`.problems`), each with its key in the file.
    """
    environment = build_environment(lookup, target.default_locale)
    problems: list[tuple[str, str]] = []
    templates = _Templates(config, environment, problems)
    templates.check_variables(variables)
    rules = _resolve_rules(config, target, problems)
    key_slot = _resolve_key(config, target, rules, problems)
    _raise_problems(config, problems)
    assert key_slot is not None  # noqa: S101  # else there was a problem
    return _Assembly(config, target, templates, rules).plan(key_slot)


def check_templates(config: SyncConfig) -> None:
    """Check what can be checked of a mapping without its content type.

    Raises:
        MappingError: With all that is wrong.
    """
    problems: list[tuple[str, str]] = []
    _Templates(config, build_environment(), problems)
    _raise_problems(config, problems)


def rule_key(rule: MappingRule) -> str:
    """Dotted path of a rule in the file, for messages."""
    return f"mapping.{rule.field_name}"


def _raise_problems(config: SyncConfig, problems: list[tuple[str, str]]) -> None:
    if len(problems) == 1:
        key, message = problems[0]
        raise MappingError(message, file=config.path, key=key)
    if problems:
        lines = "".join(f"\n  {key}: {message}" for key, message in problems)
        raise MappingError(
            f"{len(problems)} problems:{lines}", file=config.path, key="mapping", problems=problems
        )


class _Templates:
    """The syntax trees of all templates of a mapping; what does not compile goes to `problems`."""

    def __init__(
        self,
        config: SyncConfig,
        environment: TemplateEnvironment,
        problems: list[tuple[str, str]],
    ) -> None:
        self.environment = environment
        self._problems = problems
        self._keys: list[tuple[str, nodes.Template]] = []
        self.enumerated = tuple(item.content_type for item in config.enumerate_for_content_types)
        self.pre_names = tuple(rule.var_name for rule in config.pre_mapping)
        before = {"row", "config", "cute", *self.enumerated}
        self.pre = [
            self._parse(rule.expression, f"preMapping.{rule.var_name}", before)
            for rule in config.pre_mapping
        ]
        self._check_twice(self.pre_names)
        names = {*before, "var"}
        self.values = [
            self._parse(rule.expression, rule_key(rule), names) for rule in config.mapping
        ]
        self.names = [
            self._parse(rule.field_name, rule_key(rule), names) if is_named(rule) else None
            for rule in config.mapping
        ]
        self.filter = (
            self._parse(config.filter_expression, "filterExpression", names)
            if config.filter_expression
            else None
        )

    def check_variables(self, variables: Collection[str]) -> None:
        """Report environment variables that a template needs and that are not set."""
        for key, tree in self._keys:
            for name in find_unset_variables(tree, variables):
                fix = f'set it, or write `config.{name} | default("...")`'
                self._problems.append((key, f"environment variable {name} is not set: {fix}"))

    def _parse(self, source: str, key: str, names: Collection[str]) -> nodes.Template | None:
        members = {"var": self.pre_names} if "var" in names else {}
        try:
            tree = parse_checked(source, environment=self.environment, names=names, members=members)
            Program([tree], self.environment)
        except TemplateProblem as problem:
            self._problems.append((key, str(problem)))
            return None
        self._keys.append((key, tree))
        return tree

    def _check_twice(self, names: tuple[str, ...]) -> None:
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problems.append((f"preMapping.{name}", "the variable is defined twice"))


def is_named(rule: MappingRule) -> bool:
    """Whether the field name is itself a template."""
    return "{{" in rule.field_name or "{%" in rule.field_name


def _resolve_rules(
    config: SyncConfig, target: TargetModel, problems: list[tuple[str, str]]
) -> list[Slot | None]:
    """A slot per rule; None for templates of names and for names that do not exist."""
    slots: list[Slot | None] = []
    places: dict[str, str] = {}
    for rule in config.mapping:
        slot = None
        if not is_named(rule):
            try:
                slot = resolve_slot(rule.field_name, target)
            except ValueError as err:
                problems.append((rule_key(rule), str(err)))
        if slot is not None and slot.place in places:
            problems.append(
                (rule_key(rule), f'{slot.place} is mapped twice, by "{places[slot.place]}" too')
            )
        elif slot is not None:
            places[slot.place] = rule.field_name
        slots.append(slot)
    for slot, rule in zip(slots, config.mapping, strict=True):
        if slot is not None and slot.part:
            other = "lon" if slot.part == "lat" else "lat"
            if f"{slot.name}.{other}" not in places:
                missing = f"{rule.field_name.strip()[: -len(slot.part)]}{other}"
                problems.append((rule_key(rule), f'a Location needs "{missing}" as well'))
    return slots


def _resolve_key(
    config: SyncConfig,
    target: TargetModel,
    slots: list[Slot | None],
    problems: list[tuple[str, str]],
) -> Slot | None:
    """The slot by which entries are matched: the key field's if mapped, else `sys.Id`."""
    key = "contentKeyField"
    try:
        wanted = resolve_slot(config.content_key_field, target)
    except ValueError as err:
        problems.append((key, str(err)))
        return None
    if not wanted.is_entry_id:
        if wanted.type not in KEY_TYPES:
            known = ", ".join(sorted(KEY_TYPES))
            problems.append(
                (key, f'field "{wanted.field}" is of type {wanted.type}; a key is one of {known}')
            )
            return None
        if wanted.locale != target.default_locale:
            fix = f'write "{wanted.field}" or "{wanted.field}.{target.default_locale}"'
            problems.append((key, f"entries are matched in the default locale: {fix}"))
            return None
    for slot in slots:
        if slot is not None and slot.place == wanted.place:
            return slot
    for slot in slots:
        if slot is not None and slot.is_entry_id:
            return slot
    if all(slot is not None for slot in slots) or not problems:
        name = "sys.Id" if wanted.is_entry_id else wanted.name
        problems.append((key, f'"{name}" is not mapped: add it to the mapping, or map sys.Id'))
    return None


class _Assembly:
    """Puts the checked parts of a mapping together."""

    def __init__(
        self,
        config: SyncConfig,
        target: TargetModel,
        templates: _Templates,
        slots: list[Slot | None],
    ) -> None:
        self._config = config
        self._target = target
        self._templates = templates
        self._slots = slots
        self._trees: list[nodes.Template] = []
        self._text_names: list[str] = []

    def plan(self, key_slot: Slot) -> Plan:
        rules = list(zip(self._config.mapping, self._slots, self._templates.values, strict=True))
        scalars = []
        for rule, slot, tree in rules:
            if slot is not None and not slot.part and not slot.is_entry_id:
                self._add(tree, slot.name)
                scalars.append(
                    ScalarRule(
                        slot.field, slot.locale, slot.convert, rule.overwrite_null, slot.name
                    )
                )
        entry_id = None
        for _, slot, tree in rules:
            if slot is not None and slot.is_entry_id:
                entry_id = self._add(tree, ENTRY_ID_NAME)
        locations = self._locations()
        named = self._named()
        pairs = {(rule.field, rule.locale) for rule in scalars}
        pairs |= {(rule.field, rule.locale) for rule in locations}
        if named:
            pairs |= set(writable_pairs(self._target))
        templates, environment = self._templates, self._templates.environment
        return Plan(
            program=Program(self._trees, environment),
            scalars=tuple(scalars),
            entry_id=entry_id,
            locations=locations,
            named=named,
            text_names=tuple(self._text_names),
            pre_names=templates.pre_names,
            pre_program=_program(templates.pre, environment),
            filter_program=_program([templates.filter], environment) if templates.filter else None,
            key=self._key(key_slot),
            mapped_fields=frozenset(pairs),
            environment=environment,
            enumerated=templates.enumerated,
            target=self._target,
        )

    def _add(self, tree: nodes.Template | None, name: str) -> int:
        assert tree is not None  # noqa: S101  # else there was a problem
        self._trees.append(tree)
        self._text_names.append(name)
        return len(self._trees) - 1

    def _locations(self) -> tuple[LocationRule, ...]:
        halves: dict[str, tuple[Slot, int, bool]] = {}
        for rule, slot, tree in zip(
            self._config.mapping, self._slots, self._templates.values, strict=True
        ):
            if slot is not None and slot.part:
                halves[slot.place] = slot, self._add(tree, slot.place), rule.overwrite_null
        rules = []
        for place, (lat, lat_index, lat_overwrites) in halves.items():
            if place.endswith(".lat"):
                lon, lon_index, lon_overwrites = halves[f"{lat.name}.lon"]
                rules.append(
                    LocationRule(
                        lat.field, lat.locale, lat_index, lon_index,
                        lat.convert, lon.convert, lat_overwrites or lon_overwrites,
                    )
                )  # fmt: skip
        return tuple(rules)

    def _named(self) -> tuple[NamedRule, ...]:
        templates = self._templates
        return tuple(
            NamedRule(
                self._add(name, rule.field_name),
                self._add(value, rule.field_name),
                rule.overwrite_null,
                rule.field_name,
            )
            for rule, name, value in zip(
                self._config.mapping, templates.names, templates.values, strict=True
            )
            if name is not None
        )

    def _key(self, slot: Slot) -> KeyPlan:
        templates = self._templates
        tree = templates.values[self._slots.index(slot)]
        assert tree is not None  # noqa: S101  # else there was a problem
        used = find_members(tree, "var")
        chosen = [
            (name, pre)
            for name, pre in zip(templates.pre_names, templates.pre, strict=True)
            if used is None or name in used
        ]
        return KeyPlan(
            name=slot.name,
            field=slot.field,
            locale=slot.locale,
            is_entry_id=slot.is_entry_id,
            is_date=slot.type == "Date",
            convert=slot.convert,
            program=Program([tree], templates.environment),
            pre_names=tuple(name for name, _ in chosen),
            pre_program=_program([pre for _, pre in chosen], templates.environment),
        )


def _program(
    trees: list[nodes.Template | None] | list[nodes.Template], environment: TemplateEnvironment
) -> Program | None:
    checked = [tree for tree in trees if tree is not None]
    return Program(checked, environment) if checked else None
