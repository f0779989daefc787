"""Compiles the mapping of one config file against the content type.

::

    SyncConfig ─┬─ preMapping       ─► Program (var.*)
                ├─ filterExpression ─► Program (kept or not)
                ├─ mapping          ─► Program (one text per rule) + a slot per rule
                └─ contentKeyField  ─► KeyPlan (the key alone, cheaply)
"""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import nodes

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.model import EntryLookup, TargetModel
from sync_pipeline.templating.checking import find_members
from sync_pipeline.templating.environment import build_environment
from sync_pipeline.templating.program import Program
from sync_pipeline.templating.sandbox import TemplateEnvironment
from sync_pipeline.transform.checks import (
    MappingTemplates,
    raise_problems,
    resolve_key,
    resolve_rules,
)
from sync_pipeline.transform.plan import KeyPlan, LocationRule, NamedRule, Plan, ScalarRule
from sync_pipeline.transform.slots import ENTRY_ID_NAME, Slot, writable_pairs


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
    templates = MappingTemplates(config, environment, problems)
    templates.check_variables(variables)
    rules = resolve_rules(config, target, templates, problems)
    key_slot = resolve_key(config, target, rules, problems)
    raise_problems(config, problems)
    assert key_slot is not None  # noqa: S101  # else there was a problem
    return _Assembly(config, target, templates, rules).plan(key_slot)


class _Assembly:
    """Puts the checked parts of a mapping together."""

    def __init__(
        self,
        config: SyncConfig,
        target: TargetModel,
        templates: MappingTemplates,
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
            chosen_id=self._chosen_id(key_slot),
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
                templates.gives_markdown(index),
            )
            for index, (rule, name, value) in enumerate(
                zip(self._config.mapping, templates.names, templates.values, strict=True)
            )
            if name is not None
        )

    def _chosen_id(self, key_slot: Slot) -> KeyPlan | None:
        slot = next((slot for slot in self._slots if slot is not None and slot.is_entry_id), None)
        return None if slot is None or key_slot.is_entry_id else self._key(slot)

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
