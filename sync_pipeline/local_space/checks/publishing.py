"""What is checked when an entry is published: required fields, validations, resolvable links.

What needs the database (other entries' values, link targets) comes in as functions, so that the
rules can be tested without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipeline.local_space.api_error import Detail, validation_error
from sync_pipeline.local_space.checks import rich_text
from sync_pipeline.local_space.checks.asset_files import seen_details
from sync_pipeline.local_space.checks.definitions import (
    FieldDefinition,
    TypeDefinition,
    compile_pattern,
    microseconds_of,
)
from sync_pipeline.local_space.checks.saving import is_link, value_errors

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of a link's target."""

    content_type: str
    #: Of an asset's file in the default locale, where it has one.
    file: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks may ask about the rest of the environment."""

    locales: Sequence[str]
    default_locale: str
    #: Locales whose `optional` is false; always holds the default locale.
    required_locales: Sequence[str]
    #: (linkType, id) -> the target, or None where it does not exist.
    target: Callable[[str, str], Target | None]
    #: (field, locale, value) -> ids of other published entries with that value.
    holders: Callable[[str, str, Any], Sequence[str]]


def check_publishable(
    fields: Mapping[str, Mapping[str, Any]],
    definition: TypeDefinition,
    around: Surroundings,
    only_locales: Sequence[str] | None = None,
) -> None:
    """Refuse what the service would refuse to publish.

    Args:
        fields: As stored, so of the right types.
        definition: The activated content type.
        around: The rest of the environment.
        only_locales: Locales to publish; None: all.

    Raises:
        ApiError: 422 `InvalidEntry` with every fault found, else 422 `UnresolvedLinks`.
    """
    locales = around.locales if only_locales is None else only_locales
    errors: list[Detail] = []
    unresolved: list[Detail] = []
    for field in definition.fields.values():
        values = fields.get(field.id, {})
        for locale in locales if field.localized else (around.default_locale,):
            value = values.get(locale)
            path: Path = ("fields", field.id, locale)
            if value is None or value == "":
                if field.required and locale in around.required_locales:
                    errors.append(_required_error(field.id, path))
                    continue
                if value is None:
                    continue
            # A content type may have changed since the value was saved.
            wrong = value_errors(value, field, path)
            if wrong:
                errors += wrong
                continue
            errors += _rule_errors(value, field, path, around)
            for link, where in _links(value, field, path):
                if around.target(link["linkType"], link["id"]) is None:
                    unresolved.append(
                        {"name": "notResolvable", "link": dict(link), "path": list(where)}
                    )
    if errors:
        raise validation_error(errors, "InvalidEntry")
    if unresolved:
        raise validation_error(unresolved, "UnresolvedLinks")


def _links(
    value: Any, field: FieldDefinition, path: Path
) -> Iterator[tuple[Mapping[str, Any], Path]]:
    if field.type == "Link" and is_link(value):
        yield value["sys"], path
    elif field.type == "Array":
        for index, item in enumerate(value):
            if is_link(item):
                yield item["sys"], (*path, index)
    elif field.type == "RichText":
        for node, where in rich_text.nodes(value, path):
            link = rich_text.node_link(node)
            if link is not None:
                yield link, where


def _required_error(field_id: str, path: Path) -> Detail:
    return {
        "name": "required",
        "path": list(path),
        "details": f'The property "{field_id}" is required here',
    }


def _rule_errors(
    value: Any, field: FieldDefinition, path: Path, around: Surroundings
) -> Iterator[Detail]:
    for validation in field.validations:
        yield from _validation_errors(value, field, validation, path, around)
    if field.items is not None:
        for index, item in enumerate(value):
            for validation in field.items.validations:
                where = (*path, index)
                yield from _validation_errors(item, field.items, validation, where, around)


def _validation_errors(
    value: Any,
    field: FieldDefinition,
    validation: Mapping[str, Any],
    path: Path,
    around: Surroundings,
) -> Iterator[Detail]:
    for name, rule in validation.items():
        check = _RULES.get(name)
        # `message` and the web app's own keys; a rule that means nothing for this type.
        if check is None or rule is None or field.type not in _TYPES[name]:
            continue
        for error in check(value, rule, _Place(field, path, around)):
            answer = {"name": name, "value": value, "path": list(path), **error}
            if isinstance(validation.get("message"), str):
                answer["customMessage"] = validation["message"]
            yield answer


@dataclass(frozen=True, slots=True)
class _Place:
    field: FieldDefinition
    path: Path
    around: Surroundings


_Check = Callable[[Any, Any, _Place], Iterator[dict[str, Any]]]


def _in(value: Any, rule: Any, _place: _Place) -> Iterator[dict[str, Any]]:
    if value not in rule:
        yield {"expected": list(rule), "details": "Value must be one of expected values"}


def _bounds(number: float, rule: Mapping[str, Any], noun: str) -> Iterator[dict[str, Any]]:
    minimum, maximum = rule.get("min"), rule.get("max")
    if minimum is not None and number < minimum:
        yield {"min": minimum, "details": f"{noun} must be at least {minimum}"}
    if maximum is not None and number > maximum:
        yield {"max": maximum, "details": f"{noun} must be at most {maximum}"}


def _size(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    length = rich_text.text_length(value) if place.field.type == "RichText" else len(value)
    yield from _bounds(length, rule, "Size")


def _range(value: Any, rule: Any, _place: _Place) -> Iterator[dict[str, Any]]:
    yield from _bounds(value, rule, "Value")


def _matches(rule: Mapping[str, Any], value: str) -> bool:
    # A pattern that is no pattern was refused with its content type.
    return compile_pattern(rule["pattern"], rule.get("flags") or "").find(value) is not None


def _regexp(value: Any, rule: Any, _place: _Place) -> Iterator[dict[str, Any]]:
    if not _matches(rule, value):
        flags = rule.get("flags") or ""
        yield {
            "pattern": rule["pattern"],
            "flags": rule.get("flags"),
            "details": f"Does not match /{rule['pattern']}/{flags}",
        }


def _prohibit_regexp(value: Any, rule: Any, _place: _Place) -> Iterator[dict[str, Any]]:
    if _matches(rule, value):
        flags = rule.get("flags") or ""
        yield {
            "pattern": rule["pattern"],
            "flags": rule.get("flags"),
            "details": f"Should not match /{rule['pattern']}/{flags}",
        }


def _unique(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    if rule is not True:
        return
    holders = place.around.holders(place.field.id, str(place.path[2]), value)
    if holders:
        yield {
            "conflicting": [
                {"sys": {"type": "Link", "linkType": "Entry", "id": holder}} for holder in holders
            ],
            "details": "Same field value present in other entry",
        }


def _link_content_type(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    allowed = [rule] if isinstance(rule, str) else rule
    target = place.around.target("Entry", value["sys"]["id"])
    if target is not None and target.content_type not in allowed:
        yield {"contentTypeId": list(allowed), "details": "Invalid content type"}


def _date_range(value: Any, rule: Any, _place: _Place) -> Iterator[dict[str, Any]]:
    minimum, maximum = rule.get("min"), rule.get("max")
    if minimum and microseconds_of(value) < microseconds_of(minimum):
        yield {"min": minimum, "details": f"Date must be at or after {minimum}"}
    if maximum and microseconds_of(value) > microseconds_of(maximum):
        yield {"max": maximum, "details": f"Date must be at or before {maximum}"}


#: Group of a MIME type, as far as its first half decides it.
_MIME_GROUPS = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "text/plain": "plaintext",
    "text/html": "markup",
    "text/css": "code",
    "application/pdf": "pdfdocument",
    "application/zip": "archive",
    "application/json": "code",
}


def mime_group(content_type: str) -> str:
    """The `mimetype_group` of a file."""
    return _MIME_GROUPS.get(content_type) or _MIME_GROUPS.get(
        content_type.partition("/")[0], "attachment"
    )


def _file_of(value: Any, place: _Place) -> Mapping[str, Any]:
    target = place.around.target("Asset", value["sys"]["id"])
    return (target.file if target else None) or {}


def _mime_group(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    allowed = [rule] if isinstance(rule, str) else rule
    content_type = _file_of(value, place).get("contentType")
    if content_type is not None and mime_group(content_type) not in allowed:
        yield {"mimetypeGroupName": list(allowed), "details": "Invalid MIME type group"}


def _file_size(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    size = seen_details(_file_of(value, place)).get("size")
    if size is not None:
        yield from _bounds(size, rule, "Size")


def _image_dimensions(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    image = seen_details(_file_of(value, place)).get("image") or {}
    for side in ("width", "height"):
        if side in image and rule.get(side):
            yield from _bounds(image[side], rule[side], side.capitalize())


def _enabled_node_types(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    allowed = {*rule, "document", "paragraph", "text", "list-item"}
    allowed |= {"table-row", "table-cell", "table-header-cell"} if "table" in allowed else set()
    for node, path in rich_text.nodes(value, place.path):
        if node["nodeType"] not in allowed:
            yield {
                "path": [*path, "nodeType"],
                "value": node["nodeType"],
                "expected": list(rule),
                "details": "Value must be one of expected values",
            }


def _enabled_marks(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    for node, path in rich_text.nodes(value, place.path):
        for index, mark in enumerate(node.get("marks", ())):
            if mark["type"] not in rule:
                yield {
                    "path": [*path, "marks", index, "type"],
                    "value": mark["type"],
                    "expected": list(rule),
                    "details": "Value must be one of expected values",
                }


def _nodes(value: Any, rule: Any, place: _Place) -> Iterator[dict[str, Any]]:
    counts: dict[str, int] = {}
    for node, path in rich_text.nodes(value, place.path):
        node_type = node["nodeType"]
        counts[node_type] = counts.get(node_type, 0) + 1
        link = rich_text.node_link(node)
        for validation in rule.get(node_type, ()):
            if link is None or not isinstance(validation, Mapping):
                continue
            where = _Place(place.field, path, place.around)
            for name in ("linkContentType", "linkMimetypeGroup"):
                if name in validation:
                    for error in _RULES[name]({"sys": link}, validation[name], where):
                        yield {"name": name, "path": list(path), "value": dict(link), **error}
    for node_type, validations in rule.items():
        for validation in validations:
            if isinstance(validation, Mapping) and "size" in validation:
                for error in _bounds(counts.get(node_type, 0), validation["size"], "Size"):
                    yield {"name": "size", "nodeType": node_type, **error}


_RULES: Mapping[str, _Check] = {
    "in": _in,
    "size": _size,
    "range": _range,
    "regexp": _regexp,
    "prohibitRegexp": _prohibit_regexp,
    "unique": _unique,
    "linkContentType": _link_content_type,
    "linkMimetypeGroup": _mime_group,
    "assetFileSize": _file_size,
    "assetImageDimensions": _image_dimensions,
    "dateRange": _date_range,
    "enabledNodeTypes": _enabled_node_types,
    "enabledMarks": _enabled_marks,
    "nodes": _nodes,
}
_SIMPLE_TYPES = frozenset(["Symbol", "Text", "Integer", "Number", "Boolean", "Date"])
#: Field types to which a validation applies.
_TYPES: Mapping[str, frozenset[str]] = {
    "in": _SIMPLE_TYPES,
    "size": frozenset(["Symbol", "Text", "Array", "RichText", "Object"]),
    "range": frozenset({"Integer", "Number"}),
    "regexp": frozenset({"Symbol", "Text"}),
    "prohibitRegexp": frozenset({"Symbol", "Text"}),
    "unique": frozenset({"Symbol", "Integer", "Number"}),
    "dateRange": frozenset({"Date"}),
    **dict.fromkeys(
        ("linkContentType", "linkMimetypeGroup", "assetFileSize", "assetImageDimensions"),
        frozenset({"Link"}),
    ),
    **dict.fromkeys(("enabledNodeTypes", "enabledMarks", "nodes"), frozenset({"RichText"})),
}
