"""What a content type allows in a RichText field, checked before anything is written.

Contentful checks it when an entry is published: one that breaks a rule would be left as a draft.
https://www.contentful.com/developers/docs/references/content-management-api/content-types
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync_pipeline.errors import RecordError

#: In every field, whatever is enabled.
_ALWAYS = frozenset({"document", "paragraph", "text", "list-item"})
_TABLE_PARTS = frozenset({"table-row", "table-cell", "table-header-cell"})
_SHOWN = 5


def check_rules(document: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> None:
    """Check a well-formed document against the validations of its field.

    What an entry that is linked is of, only the space can say.

    Raises:
        RecordError: `NotEnabled`, `OutOfRange`.
    """
    if not rules:
        return
    kinds, marks, characters = _count(document)
    for rule in rules:
        message = f": {rule['message']}" if isinstance(rule.get("message"), str) else ""
        for name, found in (("enabledNodeTypes", kinds), ("enabledMarks", marks)):
            if isinstance(rule.get(name), list):
                _check_enabled(name, rule[name], found, message)
        _check_size("characters of text", characters, rule.get("size"), message)
        for kind, nodes_rules in (rule.get("nodes") or {}).items():
            for size, own_message in _sizes(nodes_rules):
                _check_size(f"nodes {kind}", kinds[kind], size, own_message or message)


def _count(document: Mapping[str, Any]) -> tuple[Counter[str], Counter[str], int]:
    kinds: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    characters = 0
    pending: list[Mapping[str, Any]] = [document]
    while pending:
        node = pending.pop()
        kinds[node["nodeType"]] += 1
        if node["nodeType"] == "text":
            characters += len(node["value"])
            marks.update(
                str(mark.get("type")) for mark in node["marks"] if isinstance(mark, Mapping)
            )
        else:
            pending += node["content"]
    return kinds, marks, characters


def _check_enabled(name: str, enabled: list[Any], found: Counter[str], message: str) -> None:
    allowed = {str(kind) for kind in enabled}
    if name == "enabledNodeTypes":
        allowed |= _ALWAYS | (_TABLE_PARTS if "table" in allowed else frozenset())
    refused = sorted(found.keys() - allowed)
    if refused:
        shown = ", ".join(refused[:_SHOWN]) + (", ..." if len(refused) > _SHOWN else "")
        raise RecordError(
            f"the field does not take {shown} ({name}: {', '.join(map(str, enabled)) or 'none'})"
            f"{message}",
            error_id="NotEnabled",
        )


def _sizes(rules: Any) -> Iterator[tuple[Any, str]]:
    """The sizes in the rules of one kind of node; those of resources lie in an object."""
    for rule in (rules.get("validations") or ()) if isinstance(rules, Mapping) else rules or ():
        if isinstance(rule, Mapping) and "size" in rule:
            message = rule.get("message")
            yield rule["size"], f": {message}" if isinstance(message, str) else ""


def _check_size(what: str, number: int, size: Any, message: str) -> None:
    if not isinstance(size, Mapping):
        return
    least, most = size.get("min"), size.get("max")
    if (least is not None and number < least) or (most is not None and number > most):
        bounds = " and ".join(
            f"{word} {bound:,}" for word, bound in (("at least", least), ("at most", most))
            if bound is not None
        )  # fmt: skip
        raise RecordError(
            f"{number:,} {what}; the field takes {bounds}{message}", error_id="OutOfRange"
        )
