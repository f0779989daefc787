"""What is checked when an entry or asset is saved: shape and type of values, nothing else.

`required`, `unique`, `regexp` and the other validations wait for publishing (`publishing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sync_pipeline.local_space.api_error import Detail, bad_request, validation_error
from sync_pipeline.local_space.checks import rich_text
from sync_pipeline.local_space.checks.definitions import FieldDefinition, TypeDefinition, is_date

#: Limits of the service: https://www.contentful.com/developers/docs/technical-limits/ - the
#: reference says 256 characters for a Symbol, the limits page 255; the laxer one is taken.
MAX_SYMBOL = 256
MAX_TEXT = 50_000
MAX_RICH_TEXT = 200_000
MAX_LIST = 1000
MAX_INTEGER = 2**53

Path = tuple[str | int, ...]
#: Top-level keys of an entry or asset.
RECORD_KEYS = frozenset({"sys", "fields", "metadata"})


def check_fields(
    fields: Any, definition: TypeDefinition, locales: Sequence[str], default_locale: str
) -> dict[str, dict[str, Any]]:
    """The fields as they are stored; empty lists and empty fields are dropped, null is kept.

    Args:
        fields: `{field: {locale: value}}` as it came; None counts as no fields.
        definition: The activated content type.
        locales: Codes of all locales of the environment.
        default_locale: The only locale of a field that is not localized.

    Raises:
        ApiError: 422 `UnknownField`, else 422 `InvalidEntry` with every fault found.
    """
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise validation_error([_type_error("Object", fields, ("fields",))], "InvalidEntry")
    unknown = [key for key in fields if key not in definition.fields]
    if unknown:
        raise validation_error(
            [{"name": "unknown", "path": ["fields", key]} for key in unknown],
            "UnknownField",
            f'No field with id "{unknown[0]}" found.',
        )
    errors: list[Detail] = []
    kept: dict[str, dict[str, Any]] = {}
    for field_id, by_locale in fields.items():
        if not isinstance(by_locale, dict):
            errors.append(_type_error("Object", by_locale, ("fields", field_id)))
            continue
        field = definition.fields[field_id]
        known = locales if field.localized else (default_locale,)
        values: dict[str, Any] = {}
        for locale, value in by_locale.items():
            path = ("fields", field_id, locale)
            if locale not in known:
                errors.append({"name": "unknown", "path": list(path), "value": value})
            elif value is None:
                values[locale] = value
            else:
                errors += value_errors(value, field, path)
                if value != []:
                    values[locale] = value
        if values:
            kept[field_id] = values
    if errors:
        raise validation_error(errors, "InvalidEntry")
    return kept


def check_metadata(metadata: Any) -> dict[str, Any] | None:
    """The metadata as stored; None where there is none.

    Raises:
        ApiError: 422 when it is an object without `tags`, or of another shape.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise validation_error([_type_error("Object", metadata, ("metadata",))], "InvalidEntry")
    # The path starts at the metadata: contentful-management.py#97.
    if "tags" not in metadata:
        raise validation_error(
            [
                {
                    "name": "required",
                    "path": ["tags"],
                    "details": 'The property "tags" is required here',
                }
            ],
            "InvalidEntry",
        )
    for key, link_type in (("tags", "Tag"), ("concepts", "TaxonomyConcept")):
        links = metadata.get(key, [])
        if not isinstance(links, list) or not all(is_link(link, (link_type,)) for link in links):
            raise validation_error([_type_error("Array", links, (key,))], "InvalidEntry")
    return {"tags": metadata["tags"], "concepts": metadata.get("concepts", [])}


def check_keys(body: Mapping[str, Any], known: frozenset[str], error_id: str) -> None:
    """Refuse top-level keys that the service does not know.

    Raises:
        ApiError: 422 with every fault found.
    """
    unexpected = [key for key in body if key not in known]
    if unexpected:
        raise validation_error(
            [
                {
                    "name": "unexpected",
                    "path": [key],
                    "details": f'The property "{key}" is not expected',
                }
                for key in unexpected
            ],
            error_id,
        )


def body_object(body: Any) -> dict[str, Any]:
    """The request body, which must be a JSON object.

    Raises:
        ApiError: 400 without a body, 422 when it is another JSON value.
    """
    if body is None:
        raise bad_request("Missing object")
    if not isinstance(body, dict):
        raise validation_error([_type_error("Object", body, ())], "InvalidEntry")
    return body


def value_errors(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    """What is wrong with the type of one value that is not null."""
    return _CHECKS[field.type](value, field, path)


def is_link(value: Any, link_types: Sequence[str] = ("Entry", "Asset")) -> bool:
    """Whether the value is a link to one of these types."""
    sys = value.get("sys") if isinstance(value, dict) else None
    return (
        isinstance(sys, dict)
        and sys.get("type") == "Link"
        and sys.get("linkType") in link_types
        and isinstance(sys.get("id"), str)
    )


def _type_error(expected: str, value: Any, path: Path) -> Detail:
    return {
        "name": "type",
        "type": expected,
        "value": value,
        "path": list(path),
        "details": f'The type of "value" is incorrect, expected type: {expected}',
    }


def _size_error(maximum: int, value: Any, path: Path) -> Detail:
    return {
        "name": "size",
        "max": maximum,
        "value": value,
        "path": list(path),
        "details": f"Size must be at most {maximum}",
    }


def _text_check(maximum: int) -> Callable[[Any, FieldDefinition, Path], list[Detail]]:
    def check(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
        if not isinstance(value, str):
            return [_type_error(field.type, value, path)]
        return [_size_error(maximum, value, path)] if len(value) > maximum else []

    return check


def _integer(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, float) and not value.is_integer())
    ):
        return [_type_error(field.type, value, path)]
    if abs(value) > MAX_INTEGER:
        return [
            {
                "name": "range",
                "min": -MAX_INTEGER,
                "max": MAX_INTEGER,
                "value": value,
                "path": list(path),
                "details": f"Value must be between {-MAX_INTEGER} and {MAX_INTEGER}",
            }
        ]
    return []


def _number(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return [] if is_number else [_type_error(field.type, value, path)]


def _boolean(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    return [] if isinstance(value, bool) else [_type_error(field.type, value, path)]


def _date(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    return [] if is_date(value) else [_type_error(field.type, value, path)]


def _object(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    return [] if isinstance(value, (dict, list)) else [_type_error(field.type, value, path)]


def _location(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    if not isinstance(value, dict) or set(value) != {"lat", "lon"}:
        return [_type_error(field.type, value, path)]
    errors: list[Detail] = []
    for key, bound in (("lat", 90), ("lon", 180)):
        number = value[key]
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            errors.append(_type_error("Number", number, (*path, key)))
        elif abs(number) > bound:
            errors.append(
                {
                    "name": "range",
                    "min": -bound,
                    "max": bound,
                    "value": number,
                    "path": [*path, key],
                    "details": f"Value must be between {-bound} and {bound}",
                }
            )
    return errors


def _link(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    return [] if is_link(value, (field.link_type or "",)) else [_type_error("Link", value, path)]


def _resource_link(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    sys = value.get("sys") if isinstance(value, dict) else None
    is_resource = (
        isinstance(sys, dict)
        and sys.get("type") == "ResourceLink"
        and isinstance(sys.get("urn"), str)
    )
    return [] if is_resource else [_type_error(field.type, value, path)]


def _array(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    if not isinstance(value, list):
        return [_type_error("Array", value, path)]
    if len(value) > MAX_LIST:
        return [_size_error(MAX_LIST, value, path)]
    items = field.items
    if items is None:
        raise AssertionError(f"an Array field without items was stored: {field.id}")
    check = _CHECKS[items.type]
    errors: list[Detail] = []
    for index, item in enumerate(value):
        errors += check(item, items, (*path, index))
    return errors


def _rich_text(value: Any, field: FieldDefinition, path: Path) -> list[Detail]:
    if not isinstance(value, dict):
        return [_type_error(field.type, value, path)]
    errors = rich_text.document_errors(value, path)
    if not errors and rich_text.text_length(value) > MAX_RICH_TEXT:
        return [_size_error(MAX_RICH_TEXT, None, path)]
    return errors


_CHECKS: Mapping[str, Callable[[Any, FieldDefinition, Path], list[Detail]]] = {
    "Symbol": _text_check(MAX_SYMBOL),
    "Text": _text_check(MAX_TEXT),
    "Integer": _integer,
    "Number": _number,
    "Boolean": _boolean,
    "Date": _date,
    "Object": _object,
    "Location": _location,
    "Link": _link,
    "ResourceLink": _resource_link,
    "Array": _array,
    "RichText": _rich_text,
}
