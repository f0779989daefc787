"""What the service checks when a content type is saved, and how it then writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import regress

from sync_pipeline.local_space.api_error import Detail, bad_request, validation_error
from sync_pipeline.local_space.checks.definitions import compile_pattern, is_date
from sync_pipeline.local_space.checks.saving import check_keys, is_link

_FIELD_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}\Z")
_FIELD_TYPES = (
    "Array", "Boolean", "Date", "Integer", "Link", "Location", "Number", "Object", "ResourceLink",
    "RichText", "Symbol", "Text",
)  # fmt: skip
_LINK_TYPES = ("Asset", "Entry")
_ITEM_TYPES = ("Symbol", "Link", "ResourceLink")
#: Top-level keys of a content type.
_KEYS = frozenset({"sys", "name", "description", "displayField", "fields", "metadata"})
#: What each validation is stated as.
_RULE_SHAPES: Mapping[str, type | tuple[type, ...]] = {
    "size": dict,
    "range": dict,
    "regexp": dict,
    "prohibitRegexp": dict,
    "dateRange": dict,
    "assetFileSize": dict,
    "assetImageDimensions": dict,
    "nodes": dict,
    "in": list,
    "enabledNodeTypes": list,
    "enabledMarks": list,
    "linkContentType": (str, list),
    "linkMimetypeGroup": (str, list),
    "unique": bool,
    "message": str,
    "relationshipType": list,
}
_UNKNOWN_RULE = "unknownValidation"
_SHAPE_NAMES = {dict: "Object", list: "Array", bool: "Boolean", str: "String"}
#: Limit of the service (technical limits page).
MAX_FIELDS = 50


def _field_errors(raw: Any, path: list[Any]) -> list[Detail]:
    if not isinstance(raw, Mapping):
        return [_type_error("Object", raw, path)]
    errors: list[Detail] = []
    for key in ("id", "name", "type"):
        if raw.get(key) in (None, ""):
            errors.append(_required_error(key, path))
        elif not isinstance(raw[key], str):
            errors.append(_type_error("String", raw[key], [*path, key]))
    if errors:
        return errors
    for key in ("id", "newId"):
        value = raw.get(key)
        if value is not None and not (isinstance(value, str) and _FIELD_ID.match(value)):
            errors.append({"name": "regexp", "path": [*path, key], "value": value})
    if raw["type"] not in _FIELD_TYPES:
        errors.append(_in_error(_FIELD_TYPES, raw["type"], [*path, "type"]))
    errors += _link_errors(raw, path)
    errors += _validations_errors(raw.get("validations"), [*path, "validations"])
    if raw["type"] == "Array":
        items = raw.get("items")
        if not isinstance(items, Mapping) or items.get("type") not in _ITEM_TYPES:
            errors.append(_required_error("items", path))
        else:
            where = [*path, "items"]
            errors += _link_errors(items, where)
            errors += _validations_errors(items.get("validations"), [*where, "validations"])
    default = raw.get("defaultValue")
    if default is not None and not isinstance(default, Mapping):
        errors.append(_type_error("Object", default, [*path, "defaultValue"]))
    return errors


def _validations_errors(validations: Any, path: list[Any]) -> list[Detail]:
    if validations is None:
        return []
    if not isinstance(validations, list) or not all(
        isinstance(validation, Mapping) for validation in validations
    ):
        return [_type_error("Array", validations, path)]
    errors: list[Detail] = []
    for index, validation in enumerate(validations):
        for name, rule in validation.items():
            errors += _rule_errors(name, rule, [*path, index, name])
    return errors


def _rule_errors(name: str, rule: Any, path: list[Any]) -> list[Detail]:
    shape = _RULE_SHAPES.get(name)
    if shape is None:
        details = f'The validation "{name}" is not known'
        return [{"name": _UNKNOWN_RULE, "path": path, "value": rule, "details": details}]
    if rule is None:
        return []
    has_shape = isinstance(rule, shape)
    if not has_shape:
        expected = "Array" if isinstance(shape, tuple) else _SHAPE_NAMES[shape]
        return [_type_error(expected, rule, path)]
    if name in ("regexp", "prohibitRegexp"):
        try:
            compile_pattern(rule["pattern"], rule.get("flags") or "")
        except (regress.RegressError, KeyError, TypeError):
            return [{"name": "regexp", "path": [*path, "pattern"], "value": rule.get("pattern")}]
    if name in ("size", "range", "assetFileSize"):
        return [
            _type_error("Number", rule[bound], [*path, bound])
            for bound in ("min", "max")
            if not isinstance(rule.get(bound), (int, float, type(None)))
        ]
    if name == "dateRange":
        return [
            _type_error("Date", rule[bound], [*path, bound])
            for bound in ("min", "max")
            if rule.get(bound) and not is_date(rule[bound])
        ]
    return []


def _metadata_errors(metadata: Any) -> list[Detail]:
    """Annotations of the type and its fields, and the taxonomy that entries must come from."""
    if metadata is None:
        return []
    if not isinstance(metadata, Mapping):
        return [_type_error("Object", metadata, ["metadata"])]
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, Mapping):
        return [_type_error("Object", annotations, ["metadata", "annotations"])]
    by_field = annotations.get("ContentTypeField") or {}
    if not isinstance(by_field, Mapping):
        return [_type_error("Object", by_field, ["metadata", "annotations", "ContentTypeField"])]
    lists: list[tuple[list[Any], Any, Sequence[str]]] = [
        (["annotations", "ContentType"], annotations.get("ContentType"), ("Annotation",)),
        (["taxonomy"], metadata.get("taxonomy"), ("TaxonomyConcept", "TaxonomyConceptScheme")),
    ]
    for field_id, links in by_field.items():
        lists.append((["annotations", "ContentTypeField", field_id], links, ("Annotation",)))
    errors: list[Detail] = []
    for path, links, link_types in lists:
        if links is None:
            continue
        if not isinstance(links, list):
            errors.append(_type_error("Array", links, ["metadata", *path]))
            continue
        errors += [
            _type_error("Link", link, ["metadata", *path, index])
            for index, link in enumerate(links)
            if not is_link(link, link_types)
        ]
    return errors


def _link_errors(raw: Mapping[str, Any], path: list[Any]) -> list[Detail]:
    if raw.get("type") != "Link" or raw.get("linkType") in _LINK_TYPES:
        return []
    return [_in_error(_LINK_TYPES, raw.get("linkType"), [*path, "linkType"])]


def _in_error(expected: Sequence[str], value: Any, path: list[Any]) -> Detail:
    return {"name": "in", "path": path, "value": value, "expected": list(expected)}


def _required_error(key: str, path: Sequence[Any]) -> Detail:
    return {
        "name": "required",
        "path": [*path, key],
        "details": f'The property "{key}" is required here',
    }


def _type_error(expected: str, value: Any, path: Sequence[Any]) -> Detail:
    return {
        "name": "type",
        "type": expected,
        "value": value,
        "path": list(path),
        "details": f'The type of "value" is incorrect, expected type: {expected}',
    }


def check_definition(body: Mapping[str, Any], *, is_exported: bool = False) -> None:
    """Refuse a content type body that the service would refuse.

    Args:
        body: The content type.
        is_exported: It comes from an export, so the service knows its validations, whether they
            are known here or not.

    Raises:
        ApiError: 422 with every fault found.
    """
    check_keys(body, _KEYS, "ValidationFailed")
    errors: list[Detail] = []
    if not isinstance(body.get("name"), str) or not body["name"]:
        errors.append(_required_error("name", ()))
    fields = body.get("fields", [])
    if not isinstance(fields, list):
        raise validation_error([_type_error("Array", fields, ["fields"])])
    for index, raw in enumerate(fields):
        errors += _field_errors(raw, ["fields", index])
    if is_exported:
        errors = [error for error in errors if error["name"] != _UNKNOWN_RULE]
    description = body.get("description")
    if not isinstance(description, (str, type(None))):
        errors.append(_type_error("String", description, ["description"]))
    errors += _metadata_errors(body.get("metadata"))
    if errors:
        raise validation_error(errors)
    kept = [raw for raw in fields if not raw.get("deleted")]
    ids = [raw.get("newId") or raw["id"] for raw in kept]
    errors += [
        {"name": "uniqueFieldIds", "path": ["fields", index, "id"], "value": field_id}
        for index, field_id in enumerate(ids)
        if field_id in ids[:index]
    ]
    if len(ids) > MAX_FIELDS:
        errors.append(
            {
                "name": "size",
                "max": MAX_FIELDS,
                "path": ["fields"],
                "details": f"Size must be at most {MAX_FIELDS}",
            }
        )
    display_field = body.get("displayField")
    known = {*ids, *(raw["id"] for raw in kept)}
    if display_field is not None and display_field not in known:
        errors.append({"name": "unknown", "path": ["displayField"], "value": display_field})
    if errors:
        raise validation_error(errors)


def check_removed_fields(
    body: Mapping[str, Any], published: Mapping[str, Any] | None, renames: Mapping[str, str]
) -> None:
    """A field may go, or change its type, only after it was omitted and the type activated.

    Args:
        body: A checked content type body.
        published: The active definition, None where there is none.
        renames: Id of a field in `body` -> its id in `published`, where they differ.

    Raises:
        ApiError: 400 with the service's text.
    """
    if published is None:
        return
    kept = {
        renames.get(raw["id"], raw["id"]): raw
        for raw in body.get("fields", [])
        if not raw.get("deleted")
    }
    for raw in published["fields"]:
        successor = kept.get(raw["id"])
        if successor is None and not raw["omitted"]:
            raise bad_request("You need to omit a field before deleting it")
        if successor is not None and successor["type"] != raw["type"]:
            raise bad_request(
                f'The type of field "{raw["id"]}" cannot be changed from {raw["type"]} to '
                f"{successor['type']}: omit it, delete it and create it anew"
            )


def normalize_definition(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as the service returns it: every flag written out, deleted fields gone."""
    answer = {
        "displayField": body.get("displayField"),
        "name": body["name"],
        "description": body.get("description", ""),
        "fields": [
            _normalize_field(raw) for raw in body.get("fields", []) if not raw.get("deleted")
        ],
    }
    if body.get("metadata") is not None:
        answer["metadata"] = body["metadata"]
    return answer


def _normalize_field(raw: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": raw["id"],
        "name": raw["name"],
        "type": raw["type"],
        "localized": bool(raw.get("localized")),
        "required": bool(raw.get("required")),
        "validations": raw.get("validations") or [],
        "disabled": bool(raw.get("disabled")),
        "omitted": bool(raw.get("omitted")),
    }
    if raw.get("defaultValue") is not None:
        answer["defaultValue"] = raw["defaultValue"]
    if raw["type"] == "Link":
        answer["linkType"] = raw["linkType"]
    elif raw["type"] == "Array":
        items = raw["items"]
        answer["items"] = {"type": items["type"], "validations": items.get("validations") or []}
        if "linkType" in items:
            answer["items"]["linkType"] = items["linkType"]
    if raw.get("allowedResources") is not None:
        answer["allowedResources"] = raw["allowedResources"]
    return answer
