"""What can be wrong with a mapping, found all at once before a record is read."""

from __future__ import annotations

from collections.abc import Collection

from jinja2 import nodes

from sync_pipeline.config.model import MappingRule, SyncConfig
from sync_pipeline.errors import MappingError
from sync_pipeline.model import TargetModel
from sync_pipeline.templating.checking import (
    TemplateProblem,
    constant_problem,
    find_members,
    find_unset_variables,
    parse_checked,
    uses_filter,
)
from sync_pipeline.templating.environment import build_environment
from sync_pipeline.templating.program import Program
from sync_pipeline.templating.rich_text import HTML_TO_MARKDOWN, RICH_TEXT_FILTERS
from sync_pipeline.templating.sandbox import TemplateEnvironment
from sync_pipeline.transform.slots import KEY_TYPES, Slot, resolve_slot


def check_templates(config: SyncConfig) -> None:
    """Check what can be checked of a mapping without its content type.

    Raises:
        MappingError: With all that is wrong.
    """
    problems: list[tuple[str, str]] = []
    MappingTemplates(config, build_environment(), problems)
    raise_problems(config, problems)


def rule_key(rule: MappingRule) -> str:
    """Dotted path of a rule in the file, for messages."""
    return f"mapping.{rule.field_name}"


def raise_problems(config: SyncConfig, problems: list[tuple[str, str]]) -> None:
    """Raise a MappingError that lists all problems, as (dotted key, message), if there are any."""
    if len(problems) == 1:
        key, message = problems[0]
        raise MappingError(message, file=config.path, key=key)
    if problems:
        lines = "".join(f"\n  {key}: {message}" for key, message in problems)
        raise MappingError(
            f"{len(problems)} problems:{lines}", file=config.path, key="mapping", problems=problems
        )


class MappingTemplates:
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
        self.enumerated = tuple(item.variable for item in config.enumerate_for_content_types)
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
        expression = config.filter_expression or ""
        self.filter = self._parse_filter(expression, names) if expression.strip() else None

    def gives_markdown(self, index: int) -> bool:
        """Whether the expression of a rule makes Markdown, by itself or by a variable."""
        tree = self.values[index]
        if tree is None:
            return False
        used = find_members(tree, "var")
        variables = [
            pre
            for name, pre in zip(self.pre_names, self.pre, strict=True)
            if pre is not None and (used is None or name in used)
        ]
        return any(uses_filter(each, {HTML_TO_MARKDOWN}) for each in (tree, *variables))

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

    def _parse_filter(self, source: str, names: Collection[str]) -> nodes.Template | None:
        problem = constant_problem(source)
        if problem:
            self._problems.append(("filterExpression", problem))
            return None
        return self._parse(source, "filterExpression", names)

    def _check_twice(self, names: tuple[str, ...]) -> None:
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problems.append((f"preMapping.{name}", "the variable is defined twice"))


def is_named(rule: MappingRule) -> bool:
    """Whether the field name is itself a template."""
    return "{{" in rule.field_name or "{%" in rule.field_name


def resolve_rules(
    config: SyncConfig,
    target: TargetModel,
    templates: MappingTemplates,
    problems: list[tuple[str, str]],
) -> list[Slot | None]:
    """A slot per rule; None for templates of names and for names that do not exist."""
    slots: list[Slot | None] = []
    places: dict[str, str] = {}
    for index, rule in enumerate(config.mapping):
        slot = None
        if not is_named(rule):
            try:
                is_markdown = templates.gives_markdown(index)
                slot = resolve_slot(rule.field_name, target, is_markdown=is_markdown)
                _check_filters(slot, templates.values[index])
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


def _check_filters(slot: Slot, tree: nodes.Template | None) -> None:
    """Refuse a document of rich text in a field that cannot hold one."""
    if slot.type in ("RichText", "Object") or tree is None:
        return
    for name in sorted(RICH_TEXT_FILTERS):
        if uses_filter(tree, {name}):
            raise ValueError(
                f'"| {name}" gives a document of rich text, and field "{slot.field}" is of type'
                f" {slot.type}: leave it out; Markdown of HTML is {HTML_TO_MARKDOWN}"
            )


def resolve_key(
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
