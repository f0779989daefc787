"""The rich text document schema, with the error texts of the service's validator.

The rules (which node may hold which) are those of `@contentful/rich-text-types`, whose validator
the service runs on save: https://github.com/contentful/rich-text/tree/master/packages/rich-text-types
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync_pipeline.local_space.api_error import Detail

_HEADINGS = tuple(f"heading-{level}" for level in range(1, 7))
_LIST_ITEM = (
    "paragraph", *_HEADINGS, "ordered-list", "unordered-list", "hr", "blockquote",
    "embedded-entry-block", "embedded-asset-block", "embedded-resource-block",
)  # fmt: skip
_INLINES = (
    "asset-hyperlink", "embedded-entry-inline", "embedded-resource-inline", "entry-hyperlink",
    "hyperlink", "resource-hyperlink", "text",
)  # fmt: skip
_CELLS = ("table-cell", "table-header-cell")
#: Node type -> node types that its content may hold.
_CONTENT: Mapping[str, Sequence[str]] = {
    "document": (*_LIST_ITEM, "table"),
    "paragraph": _INLINES,
    **dict.fromkeys(_HEADINGS, _INLINES),
    "blockquote": ("paragraph",),
    "ordered-list": ("list-item",),
    "unordered-list": ("list-item",),
    "list-item": _LIST_ITEM,
    "table": ("table-row",),
    "table-row": _CELLS,
    **dict.fromkeys(_CELLS, ("paragraph",)),
    "hr": (),
    "embedded-entry-block": (),
    "embedded-asset-block": (),
    "embedded-resource-block": (),
    "embedded-entry-inline": (),
    "embedded-resource-inline": (),
    "hyperlink": ("text",),
    "entry-hyperlink": ("text",),
    "asset-hyperlink": ("text",),
    "resource-hyperlink": ("text",),
}
_NOT_EMPTY = frozenset({"table", "table-row", *_CELLS})
_TARGETS = {
    "embedded-entry-block": "Entry",
    "embedded-entry-inline": "Entry",
    "entry-hyperlink": "Entry",
    "embedded-asset-block": "Asset",
    "asset-hyperlink": "Asset",
    "embedded-resource-block": "Contentful:Entry",
    "embedded-resource-inline": "Contentful:Entry",
    "resource-hyperlink": "Contentful:Entry",
}
#: Deeper documents are refused instead of exhausting the stack.
_MAX_DEPTH = 100

Path = tuple[str | int, ...]


def document_errors(document: Any, path: Path) -> list[Detail]:
    """What is wrong with a document; `path` is put before the path of each fault."""
    if not isinstance(document, Mapping):
        return [_type_error("Object", "value", document, path)]
    if document.get("nodeType") != "document":
        return [_enum_error(("document",), document.get("nodeType"), (*path, "nodeType"))]
    return list(_node_errors(document, path, 0))


def nodes(document: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Every node of a valid document with its path, parents first."""
    pending: list[tuple[Any, Path]] = [(document, path)]
    while pending:
        node, where = pending.pop()
        yield node, where
        content = node.get("content", ())
        pending += [
            (content[index], (*where, "content", index))
            for index in range(len(content) - 1, -1, -1)
        ]


def node_link(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The `sys` of the entry or asset that a node points to, or None."""
    if _TARGETS.get(node["nodeType"]) in ("Entry", "Asset"):
        link: Mapping[str, Any] = node["data"]["target"]["sys"]
        return link
    return None


def text_length(document: Any) -> int:
    """Characters of text in a valid document."""
    return sum(len(node["value"]) for node, _ in nodes(document, ()) if node["nodeType"] == "text")


def _node_errors(node: Mapping[str, Any], path: Path, depth: int) -> list[Detail]:
    if node["nodeType"] == "text":
        return _text_errors(node, path)
    node_type = node["nodeType"]
    if depth > _MAX_DEPTH:
        return [{"name": "size", "max": _MAX_DEPTH, "path": list(path), "details": "Too deep"}]
    errors = _unexpected(node, ("nodeType", "data", "content"), path)
    errors += _content_errors(node, node_type, path)
    errors += _data_errors(node, node_type, path)
    if errors:
        return errors
    for index, child in enumerate(node["content"]):
        errors = _node_errors(child, (*path, "content", index), depth + 1)
        if errors:  # like the service: the first faulty child only
            return errors
    return []


def _content_errors(node: Mapping[str, Any], node_type: str, path: Path) -> list[Detail]:
    where = (*path, "content")
    if "content" not in node:
        return [_required_error("content", where)]
    content = node["content"]
    if not isinstance(content, list):
        return [_type_error("Array", "content", content, where)]
    allowed = _CONTENT[node_type]
    if not allowed:
        return [_size_error("max", 0, content, where)] if content else []
    if node_type in _NOT_EMPTY and not content:
        return [_size_error("min", 1, content, where)]
    for index, child in enumerate(content):
        if not isinstance(child, Mapping):
            return [_type_error("Object", index, child, (*where, index))]
        if child.get("nodeType") not in allowed:
            return [_enum_error(allowed, child.get("nodeType"), (*where, index, "nodeType"))]
    return []


def _data_errors(node: Mapping[str, Any], node_type: str, path: Path) -> list[Detail]:
    where = (*path, "data")
    if "data" not in node:
        return [_required_error("data", where)]
    data = node["data"]
    if not isinstance(data, Mapping):
        return [_type_error("Object", "data", data, where)]
    if node_type in _TARGETS:
        return _target_errors(data, _TARGETS[node_type], where)
    if node_type == "hyperlink":
        return _string_errors(data, "uri", where) + _unexpected(data, ("uri",), where)
    if node_type in _CELLS:
        errors = _unexpected(data, ("colspan", "rowspan"), where)
        errors += [
            _type_error("Number", key, data[key], (*where, key))
            for key in ("colspan", "rowspan")
            if key in data
            and (isinstance(data[key], bool) or not isinstance(data[key], (int, float)))
        ]
        return errors
    return []


def _target_errors(data: Mapping[str, Any], link_type: str, path: Path) -> list[Detail]:
    errors = _unexpected(data, ("target",), path)
    if "target" not in data:
        return [_required_error("target", (*path, "target")), *errors]
    target = data["target"]
    if not isinstance(target, Mapping):
        return [_type_error("Object", "target", target, (*path, "target")), *errors]
    where = (*path, "target", "sys")
    sys = target.get("sys")
    if not isinstance(sys, Mapping):
        return [_type_error("Object", "sys", sys, where), *errors]
    kind, name = ("ResourceLink", "urn") if ":" in link_type else ("Link", "id")
    if sys.get("type") != kind:
        errors.append(_enum_error((kind,), sys.get("type"), (*where, "type")))
    if sys.get("linkType") != link_type:
        errors.append(_enum_error((link_type,), sys.get("linkType"), (*where, "linkType")))
    errors += _string_errors(sys, name, where)
    return errors + _unexpected(sys, ("type", "linkType", name), where)


def _text_errors(node: Mapping[str, Any], path: Path) -> list[Detail]:
    errors = _unexpected(node, ("nodeType", "data", "value", "marks"), path)
    if "data" not in node:
        errors.append(_required_error("data", (*path, "data")))
    elif not isinstance(node["data"], Mapping):
        errors.append(_type_error("Object", "data", node["data"], (*path, "data")))
    where = (*path, "marks")
    if "marks" not in node:
        errors.append(_required_error("marks", where))
    elif not isinstance(node["marks"], list):
        errors.append(_type_error("Array", "marks", node["marks"], where))
    else:
        for index, mark in enumerate(node["marks"]):
            if not isinstance(mark, Mapping):
                errors.append(_type_error("Object", index, mark, (*where, index)))
                break
            errors += _string_errors(mark, "type", (*where, index))
    return errors + _string_errors(node, "value", path)


def _string_errors(holder: Mapping[str, Any], key: str, path: Path) -> list[Detail]:
    if key not in holder:
        return [_required_error(key, (*path, key))]
    if not isinstance(holder[key], str):
        return [_type_error("String", key, holder[key], (*path, key))]
    return []


def _unexpected(holder: Mapping[str, Any], known: Sequence[str], path: Path) -> list[Detail]:
    return [
        {
            "details": f'The property "{key}" is not expected',
            "name": "unexpected",
            "path": [*path, key],
        }
        for key in sorted(holder)
        if key not in known
    ]


def _required_error(key: str, path: Path) -> Detail:
    return {
        "details": f'The property "{key}" is required here',
        "name": "required",
        "path": list(path),
    }


def _type_error(expected: str, key: str | int, value: Any, path: Path) -> Detail:
    return {
        "details": f'The type of "{key}" is incorrect, expected type: {expected}',
        "name": "type",
        "path": list(path),
        "type": expected,
        "value": value,
    }


def _enum_error(expected: Sequence[str], value: Any, path: Path) -> Detail:
    return {
        "details": "Value must be one of expected values",
        "name": "in",
        "expected": sorted(expected),
        "path": list(path),
        "value": value,
    }


def _size_error(bound: str, size: int, value: Any, path: Path) -> Detail:
    words = "at most" if bound == "max" else "at least"
    return {
        "name": "size",
        bound: size,
        "path": list(path),
        "details": f"Size must be {words} {size}",
        "value": value,
    }
