"""A tree of nodes to the names and kinds of the model.

Walks the file beside the model's types: `camelCase` and `snake_case` keys become the model's names,
enum values lose their case, a number where text is asked for becomes the text as written, null
means "not stated". What does not fit becomes a problem at its place; ranges and the parsing of
numbers are left to pydantic. Knows nothing of dialects (`config.dialects` comes before).
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sync_pipeline.config.model import MappingRule, PreMapping, SyncConfig
from sync_pipeline.config.problems import Place, Problem, shorten
from sync_pipeline.config.yaml_reading import Broken, Node, Scalar
from sync_pipeline.suggestions import did_you_mean, fold, nearest

Loc: TypeAlias = "tuple[str | int, ...]"

#: Set by the loader, not by the file.
NOT_IN_FILES = frozenset({"key", "path"})

#: Names that other tools use for what has another name here.
_OTHER_NAMES: Mapping[str, str] = {
    "url": "endPoint",
    "uri": "endPoint",
    "method": "httpMethod",
    "verb": "httpMethod",
    "params": "queryParameters",
    "query_params": "queryParameters",
    "body": "jsonBody",
    "form": "formUrlEncodedContent",
    "fields": "mapping",
    "mappings": "mapping",
    "filter": "filterExpression",
    "timeout": "timeoutS",
    "sql": "query",
    "key_field": "contentKeyField",
    "cron": "schedule.cron",
    "space": "target.space",
}


class _Absent:
    """The value is not stated, or broken."""


_ABSENT = _Absent()


@dataclass(slots=True)
class Report:
    """What a walk gathers."""

    problems: list[Problem] = field(default_factory=list)
    #: Where each location of the model stands in the file.
    places: dict[Loc, Place] = field(default_factory=dict)
    #: Locations with a problem, or names that an unknown key was probably meant to be.
    broken: set[Loc] = field(default_factory=set)

    def add(self, place: Place, message: str, loc: Loc | None = None) -> None:
        """Report a problem; `loc` is then not complained about again."""
        self.problems.append(Problem(place, message))
        if loc is not None:
            self.broken.add(loc)


@cache
def file_fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a model that a file may state, by the model's names."""
    hidden = NOT_IN_FILES if model is SyncConfig else frozenset()
    return {name: info for name, info in model.model_fields.items() if name not in hidden}


def file_name_of(name: str, info: FieldInfo) -> str:
    """The documented (camelCase) spelling of a field."""
    return info.alias or name


@cache
def spellings(model: type[BaseModel]) -> Mapping[str, str]:
    """Every spelling that a file may use for a field of the model, with the model's name."""
    return {
        spelling: name
        for name, info in file_fields(model).items()
        for spelling in (file_name_of(name, info), name)
    }


def models_of(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models that an annotation holds: one, or those of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for part in get_args(annotation) for model in models_of(part))


def alternatives(annotation: Any) -> list[tuple[Any, list[Any]]]:
    """The alternatives of an annotation, without None, each with its constraints."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        constraints = [
            inner
            for constraint in args[1:]
            for inner in (
                constraint.metadata if isinstance(constraint, FieldInfo) else [constraint]
            )
        ]
        return [(option, [*more, *constraints]) for option, more in alternatives(args[0])]
    if origin in (Union, types.UnionType):
        return [found for part in args if part is not type(None) for found in alternatives(part)]
    return [(annotation, [])]


def normalize(node: Node, report: Report) -> dict[str, Any]:
    """What the file says about a `SyncConfig`, by the model's names."""
    values = _mapping(node, SyncConfig, (), report)
    return values if isinstance(values, dict) else {}


def _mapping(node: Node, model: type[BaseModel], loc: Loc, report: Report) -> Any:
    if not isinstance(node.value, dict):
        return _wrong_kind(node, "keys and values", loc, report)
    known = spellings(model)
    fields = file_fields(model)
    values: dict[str, Any] = {}
    stated: dict[str, str] = {}
    for key, child in node.value.items():
        name = known.get(key)
        if name is None:
            _unknown_key(key, child.place, model, loc, report)
            continue
        if name in stated:
            message = f"the same key as `{stated[name]}`; keep one of them"
            report.add(child.place, message, (*loc, name))
            continue
        stated[name] = key
        here = (*loc, name)
        report.places[here] = child.place
        value = _value(child, fields[name].annotation, here, report)
        if not isinstance(value, _Absent):
            values[name] = value
    return values


def _unknown_key(key: str, place: Place, model: type[BaseModel], loc: Loc, report: Report) -> None:
    fields = file_fields(model)
    names = [file_name_of(name, info) for name, info in fields.items()]
    other = _OTHER_NAMES.get(key.casefold()) if not loc else None
    guess = None if other else nearest(key, names)
    if guess is not None:
        report.broken.add((*loc, spellings(model)[guess]))
        report.add(place, f"unknown key; did you mean `{guess}`?")
        return
    elsewhere = other or _home_of(key, loc)
    if elsewhere is not None:
        report.broken.add((spellings(SyncConfig).get(elsewhere, elsewhere),))
        report.add(place, f"unknown key; did you mean `{elsewhere}`?")
        return
    hint = did_you_mean(key, names) or "docs/configuration.md lists the keys"
    report.add(place, f"unknown key; {hint}")


def _home_of(key: str, loc: Loc) -> str | None:
    """The dotted name of a key that stands on the wrong level, if it is clear which."""
    if loc and key in spellings(SyncConfig):
        return key
    here = loc[0] if loc else None
    homes = [
        f"{file_name_of(name, info)}.{key}"
        for name, info in file_fields(SyncConfig).items()
        if name != here and name in {"pagination", "auth", "csv", "schedule"}
        for model in models_of(info.annotation)
        if key in spellings(model)
    ]
    return homes[0] if len(homes) == 1 else None


def _value(node: Node, annotation: Any, loc: Loc, report: Report) -> Any:
    if isinstance(node.value, Broken):
        report.broken.add(loc)
        return _ABSENT
    options = tuple(option for option, _ in alternatives(annotation))
    if node.value is None:
        if any(_literals(option) and "none" in _literals(option) for option in options):
            report.add(node.place, "null is not a value of this key; write none", loc)
        return _ABSENT
    models = [model for option in options for model in models_of(option)]
    first = options[0]
    if Any in options:
        return node.plain()
    if get_origin(first) is tuple:
        return _sequence(node, get_args(first)[0], loc, report)
    if len(models) > 1:
        return _tagged(node, models, loc, report)
    if models:
        return _mapping(node, models[0], loc, report)
    if get_origin(first) is dict:
        return _table(node, get_args(first)[1], loc, report)
    return _scalar(node, options, loc, report)


def _sequence(node: Node, item: Any, loc: Loc, report: Report) -> Any:
    if not isinstance(node.value, list):
        is_rule = item in (MappingRule, PreMapping)
        expected = "names with templates, or a list of rules" if is_rule else "a list"
        return _wrong_kind(node, expected, loc, report)
    values = []
    for i, child in enumerate(node.value):
        here = (*loc, i)
        report.places[here] = child.place
        if child.value is None:
            report.add(child.place, "an empty item; remove it", here)
            continue
        value = _value(child, item, here, report)
        values.append({} if isinstance(value, _Absent) else value)
    return tuple(values)


def _tagged(node: Node, models: Sequence[type[BaseModel]], loc: Loc, report: Report) -> Any:
    """One of several models, told apart by `type`."""
    if not isinstance(node.value, dict):
        return _wrong_kind(node, "keys and values", loc, report)
    by_tag = {get_args(model.model_fields["type"].annotation)[0]: model for model in models}
    tag = node.value.get("type")
    if tag is None or tag.value is None:
        allowed = ", ".join(by_tag)
        report.add(node.place, f"`type` is missing; one of: {allowed}", loc)
        return _ABSENT
    chosen = _literal(tag, tuple(by_tag), (*loc, "type"), report)
    if isinstance(chosen, _Absent):
        report.broken.add(loc)
        return _ABSENT
    return _mapping(node, by_tag[chosen], loc, report)


def _table(node: Node, value_type: Any, loc: Loc, report: Report) -> Any:
    """Free keys with values of one type, such as headers."""
    if not isinstance(node.value, dict):
        return _wrong_kind(node, "keys and values", loc, report)
    if value_type is Any:
        return node.plain()
    values: dict[str, Any] = {}
    for key, child in node.value.items():
        here = (*loc, key)
        report.places[here] = child.place
        if child.value is None:
            report.add(child.place, "has no value; write '' for an empty one", here)
            continue
        value = _value(child, value_type, here, report)
        if not isinstance(value, _Absent):
            values[key] = value
    return values


def _scalar(node: Node, options: tuple[Any, ...], loc: Loc, report: Report) -> Any:
    value = node.value
    if isinstance(value, (dict, list)):
        expected = "text" if str in options else _expected(options)
        return _wrong_kind(node, expected, loc, report)
    if str in options:
        return value.text if isinstance(value, Scalar) else value
    literals = tuple(literal for option in options for literal in _literals(option))
    if literals and len(options) == 1:
        return _literal(node, literals, loc, report)
    text = value.text if isinstance(value, Scalar) else str(value)
    if literals:
        folded = {fold(literal): literal for literal in literals}
        if fold(text) in folded:
            return folded[fold(text)]
        if not text.strip().lstrip("-").isdigit():
            message = f"must be {_expected(options)}, not `{shorten(text)}`"
            report.add(node.place, message, loc)
            return _ABSENT
    if isinstance(value, Scalar):
        # True would pass as the number 1.
        return value.text if isinstance(value.value, bool) and bool not in options else value.value
    return value


def _literal(node: Node, allowed: tuple[str, ...], loc: Loc, report: Report) -> Any:
    value = node.value
    if isinstance(value, Broken):
        report.broken.add(loc)
        return _ABSENT
    if isinstance(value, (dict, list)) or value is None:
        return _wrong_kind(node, f"one of {', '.join(allowed)}", loc, report)
    text = value.text if isinstance(value, Scalar) else value
    folded = {fold(literal): literal for literal in allowed}
    if fold(text) in folded:
        return folded[fold(text)]
    guess = nearest(text, allowed)
    hint = f"; did you mean `{guess}`?" if guess else ""
    message = f"must be one of {', '.join(allowed)}, not `{shorten(text)}`{hint}"
    report.add(node.place, message, loc)
    return _ABSENT


def _wrong_kind(node: Node, expected: str, loc: Loc, report: Report) -> _Absent:
    if isinstance(node.value, dict):
        found = "keys and values"
    elif isinstance(node.value, list):
        found = "a list"
    elif node.value is None:
        found = "nothing"
    else:
        found = "a single value"
    if not isinstance(node.value, Broken):
        report.add(node.place, f"must be {expected}, not {found}", loc)
    report.broken.add(loc)
    return _ABSENT


def _literals(option: Any) -> tuple[str, ...]:
    return get_args(option) if get_origin(option) is Literal else ()


def _expected(options: tuple[Any, ...]) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    parts = [names[option] for option in options if option in names]
    literals = [literal for option in options for literal in _literals(option)]
    if not parts:
        return f"one of {', '.join(literals)}"
    return " or ".join([*parts, *literals])
