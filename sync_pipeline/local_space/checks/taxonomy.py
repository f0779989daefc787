"""What concepts and concept schemes of a taxonomy may hold.

https://www.contentful.com/developers/docs/references/content-management-api/taxonomy
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync_pipeline.local_space.api_error import Detail, validation_error
from sync_pipeline.local_space.checks.saving import is_link


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_nullable_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_localized(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return value is None or (
            isinstance(value, Mapping) and all(is_valid(item) for item in value.values())
        )

    return check


def _are_concepts(value: Any) -> bool:
    return isinstance(value, list) and all(is_link(item, ("TaxonomyConcept",)) for item in value)


_LOCALIZED_TEXT = (_is_localized(_is_nullable_text), None)
_LOCALIZED_TEXTS: tuple[Callable[[Any], bool], Any] = (_is_localized(_is_texts), {})
_LABEL = (_is_localized(_is_text), None)
#: Key -> whether a value fits, and what stands where the client names none.
CONCEPT: Mapping[str, tuple[Callable[[Any], bool], Any]] = {
    "uri": (_is_nullable_text, None),
    "prefLabel": _LABEL,
    "altLabels": _LOCALIZED_TEXTS,
    "hiddenLabels": _LOCALIZED_TEXTS,
    "notations": (_is_texts, []),
    "note": _LOCALIZED_TEXT,
    "changeNote": _LOCALIZED_TEXT,
    "definition": _LOCALIZED_TEXT,
    "editorialNote": _LOCALIZED_TEXT,
    "example": _LOCALIZED_TEXT,
    "historyNote": _LOCALIZED_TEXT,
    "scopeNote": _LOCALIZED_TEXT,
    "broader": (_are_concepts, []),
    "related": (_are_concepts, []),
}
SCHEME: Mapping[str, tuple[Callable[[Any], bool], Any]] = {
    "uri": (_is_nullable_text, None),
    "prefLabel": _LABEL,
    "definition": _LOCALIZED_TEXT,
    "topConcepts": (_are_concepts, []),
    "concepts": (_are_concepts, []),
}
#: In answers, and not writable.
_READ_ONLY = frozenset({"sys", "conceptSchemes", "totalConcepts"})


def check_taxonomy(
    body: Mapping[str, Any], keys: Mapping[str, tuple[Callable[[Any], bool], Any]]
) -> dict[str, Any]:
    """The body as it is stored, every key written out.

    Raises:
        ApiError: 422 with every fault found.
    """
    errors: list[Detail] = [
        {"name": "unknown", "path": [key], "value": body[key]}
        for key in body
        if key not in keys and key not in _READ_ONLY
    ]
    answer: dict[str, Any] = {}
    for key, (fits, default) in keys.items():
        value = body.get(key)
        if value is None:
            value = default
        elif not fits(value):
            errors.append({"name": "type", "path": [key], "value": value})
        answer[key] = value
    label = answer["prefLabel"]
    if not (isinstance(label, Mapping) and any(label.values())):
        errors.append(
            {
                "name": "required",
                "path": ["prefLabel"],
                "details": 'The property "prefLabel" is required here',
            }
        )
    if errors:
        raise validation_error(errors)
    return answer
