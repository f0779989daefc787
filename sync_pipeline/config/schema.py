"""A JSON Schema of config files, for editors (`yaml-language-server`) and other checkers.

Made from the model, so it cannot name a key that the loader does not know: both spellings of every
key, all three dialects, enum values in any case. It says what a file may look like; what keys must
be to each other is left to the loader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sync_pipeline.config.model import MappingRule, PreMapping, SyncConfig
from sync_pipeline.config.normalizing import alternatives, file_fields, file_name_of, models_of

_DIALECT = "http://json-schema.org/draft-07/schema#"

#: What stands for text in YAML: an unquoted number or boolean is taken as it is written.
_TEXT: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}

#: A number or boolean in quotes is taken as well.
_SIMPLE: Mapping[Any, Mapping[str, Any]] = {
    str: _TEXT,
    int: {"type": ["integer", "string"], "pattern": "^ *-?[0-9]+ *$"},
    float: {"type": ["number", "string"], "pattern": "^ *-?[0-9.]+([eE][-+]?[0-9]+)? *$"},
    bool: {
        "type": ["boolean", "string"],
        "pattern": "^([yY]([eE][sS])?|[nN][oO]?|[oO]([nN]|[fF][fF])"
        "|[tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?)$",
    },
}

_OVERWRITE = {"description": "Of older files; accepted and ignored, with a notice."}
_ENTRY = {
    **_TEXT,
    "description": "Of the original's entries; ignored: the file's name makes the key.",
}

Schema = dict[str, Any]


def build_json_schema() -> Schema:
    """The schema of a config file, draft 7 (what `yaml-language-server` understands best)."""
    definitions: dict[str, Schema] = {}
    root = _model(SyncConfig, definitions)
    properties: Schema = root["properties"]
    required: list[Schema] = root.pop("allOf")
    for name in ("key", "id"):
        properties[name] = dict(_ENTRY)
    block = {name: schema for name, schema in root.items() if name != "properties"}
    definitions["Block"] = {**block, "properties": dict(properties)}
    properties["yaml"] = {
        "description": "The rest of the file as a text block (`yaml: |`) or as keys and values.",
        "anyOf": [{"type": ["string", "null"]}, {"$ref": "#/definitions/Block"}],
    }
    return {
        "$schema": _DIALECT,
        "title": "A sync of sync_pipeline: configs/<key>.yaml",
        **root,
        # With a `yaml` block the required keys stand inside of it.
        "anyOf": [{"required": ["yaml"]}, {"allOf": required}],
        "definitions": definitions,
    }


def _model(model: type[BaseModel], definitions: dict[str, Schema]) -> Schema:
    """An object with both spellings of each field."""
    properties: dict[str, Schema] = {}
    required: list[Schema] = []
    for name, info in file_fields(model).items():
        schema = _field(model, name, info, definitions)
        names = dict.fromkeys((file_name_of(name, info), name))
        properties.update(dict.fromkeys(names, schema))
        if info.is_required():
            required.append({"anyOf": [{"required": [spelling]} for spelling in names]})
    if model is MappingRule:
        properties["overwrite"] = dict(_OVERWRITE)
    described: Schema = {"description": _one_line(model.__doc__ or "")}
    found = {**described, "type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "allOf": required} if required or model is SyncConfig else found


def _field(
    model: type[BaseModel], name: str, info: FieldInfo, definitions: dict[str, Schema]
) -> Schema:
    described: Schema = {"description": _one_line(info.description or "")}
    if isinstance(info.default, (bool, int, float, str)):
        described["default"] = info.default
    options = [
        _type(option, (*info.metadata, *constraints), definitions)
        for option, constraints in alternatives(info.annotation)
    ]
    if model is SyncConfig and name == "mapping":
        options.append({**_rules_by_name(MappingRule, definitions), "minProperties": 1})
    if model is SyncConfig and name == "pre_mapping":
        options.append(_rules_by_name(PreMapping, definitions))
    if not info.is_required() and {} not in options:
        options.append({"type": "null"})
    if len(options) == 1:
        return {**described, **options[0]}
    return {**described, "anyOf": options}


def _rules_by_name(model: type[BaseModel], definitions: dict[str, Schema]) -> Schema:
    """Rules as a mapping from names to expressions, or to the rest of a rule."""
    values: list[Schema] = [dict(_TEXT)]
    rule = _model(model, definitions)
    unnamed = {
        key: schema
        for key, schema in rule["properties"].items()
        if key not in {"fieldName", "field_name", "varName", "var_name"}
    }
    values.append(
        {
            "type": "object",
            "properties": unnamed,
            "required": ["expression"],
            "additionalProperties": False,
        }
    )
    return {"type": "object", "additionalProperties": {"anyOf": values}}


def _type(annotation: Any, constraints: Sequence[Any], definitions: dict[str, Schema]) -> Schema:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _enum(args)
    models = models_of(annotation)
    if origin is tuple:
        schema: Schema = {"type": "array", "items": _any_of(args[0], definitions)}
    elif origin is dict:
        values = {} if args[1] is Any else _any_of(args[1], definitions)
        schema = {"type": "object", "additionalProperties": values}
    elif models:
        name = models[0].__name__
        if name not in definitions:
            definitions[name] = _model(models[0], definitions)
        return {"$ref": f"#/definitions/{name}"}
    else:
        schema = dict(_SIMPLE.get(annotation, {}))
    for constraint in constraints:
        schema |= _constraint(constraint, is_list=origin is tuple)
    return schema


def _any_of(annotation: Any, definitions: dict[str, Schema]) -> Schema:
    options = [
        _type(option, constraints, definitions) for option, constraints in alternatives(annotation)
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _constraint(constraint: Any, *, is_list: bool) -> Schema:
    names = {
        "ge": "minimum",
        "gt": "exclusiveMinimum",
        "le": "maximum",
        "min_length": "minItems" if is_list else "minLength",
    }
    return {
        keyword: getattr(constraint, name)
        for name, keyword in names.items()
        if getattr(constraint, name, None) is not None
    }


def _enum(values: tuple[str, ...]) -> Schema:
    """The values as documented, for completion, and in any case, as the loader takes them."""
    patterns = []
    for value in values:
        letters = [
            "[-_. ]?" if letter in "_-" else _either_case(letter, first=i == 0)
            for i, letter in enumerate(value)
        ]
        patterns.append("".join(letters))
    return {
        "anyOf": [
            {"enum": list(values)},
            {"type": "string", "pattern": f"^({'|'.join(patterns)})$"},
        ]
    }


def _either_case(letter: str, *, first: bool) -> str:
    if not letter.isalpha():
        return letter
    either = f"[{letter.lower()}{letter.upper()}]"
    # `zippedCsv` may be written zipped_csv.
    return f"[-_. ]?{either}" if letter.isupper() and not first else either


def _one_line(text: str) -> str:
    return " ".join(text.split())
