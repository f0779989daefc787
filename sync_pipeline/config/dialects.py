"""Three ways to write the same sync, brought to one shape.

::

    ours                    with a `yaml` block           the original's
    contentType: product    sourceType: restapi           contentType: product
    contentKeyField: id     contentKeyField: id           contentKeyField: id.en
    mapping:                yaml: |                       mapping:
      "id": "{{ row.id }}"    contentType: product          - fieldName: id.en
                              mapping: {...}                  expression: '{{ row.id }}'

Works on the tree of nodes, so that every part keeps its place in the file; knows nothing of types.
"""

from __future__ import annotations

import re
from pathlib import Path

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.normalizing import spellings
from sync_pipeline.config.problems import Place, Problem
from sync_pipeline.config.sources import infer_kind, provider_of
from sync_pipeline.config.yaml_reading import Broken, Node, Scalar, read_yaml

#: Of an entry of the original's content type; here the file's stem is the key.
_ENTRY_KEYS = ("key", "id")


def to_one_shape(
    root: Node, *, key: str, file: Path | str | None
) -> tuple[Node, list[Problem], list[str]]:
    """The file as if it were written in our dialect, with its problems and notices.

    Raises:
        ConfigError: The `yaml` block is not YAML.
    """
    if not isinstance(root.value, dict):
        return root, [], []
    problems: list[Problem] = []
    notices: list[str] = []
    entries = _unwrapped(dict(root.value), file, problems)
    for name in _ENTRY_KEYS:
        entry = entries.pop(name, None)
        if entry is not None and str(entry.plain()).replace("-", "_") not in {key, "None"}:
            notices.append(f"`{name}` is ignored: the file's name makes the key, `{key}`")
    for name, reshape in (("mapping", _mapping), ("preMapping", _pre_mapping)):
        for spelling in dict.fromkeys((name, _snake(name))):
            if spelling in entries:
                entries[spelling] = reshape(entries[spelling], problems, notices)
    _infer_kind(entries, root.place)
    return Node(entries, root.place), problems, list(dict.fromkeys(notices))


def _unwrapped(
    entries: dict[str, Node], file: Path | str | None, problems: list[Problem]
) -> dict[str, Node]:
    """The entries with those of the `yaml` block among them."""
    block = entries.pop("yaml", None)
    if block is None or block.value is None or isinstance(block.value, Broken):
        return entries
    inner = block
    if isinstance(block.value, str):
        # The text of a literal block begins in the line below its `|`.
        inner, found = read_yaml(
            block.value, file=file, line_offset=block.place.line, place=block.place
        )
        problems.extend(found)
    if inner.value is None:
        return entries
    if not isinstance(inner.value, dict):
        problems.append(Problem(block.place, "must hold keys and values, as text below `yaml: |`"))
        return entries
    known = spellings(SyncConfig)
    by_name = {known.get(name, name): name for name in entries}
    for name, node in inner.value.items():
        twin = by_name.get(known.get(name, name))
        if twin is None:
            entries[name] = node
        elif entries[twin].plain() != node.plain():
            line = entries[twin].place.line
            message = f"says something else than `{twin}` outside of `yaml` (line {line}); keep one"
            problems.append(Problem(node.place, message))
    return entries


def _mapping(node: Node, problems: list[Problem], notices: list[str]) -> Node:
    """The mapping as a list of rules, without `overwrite`."""
    items = _items(node, "fieldName", problems)
    if items is None:
        return node
    rules = []
    seen: dict[str, int] = {}
    for item in items:
        rule = item
        if isinstance(item.value, dict) and "overwrite" in item.value:
            notices.append(
                "`overwrite` is ignored: what the source says always replaces what was there"
            )
            rest = {name: child for name, child in item.value.items() if name != "overwrite"}
            rule = Node(rest, item.place)
        _refuse_repeats(rule, ("fieldName", "field_name"), "field", seen, problems)
        rules.append(rule)
    return Node(rules, node.place)


def _pre_mapping(node: Node, problems: list[Problem], _notices: list[str]) -> Node:
    items = _items(node, "varName", problems)
    if items is None:
        return node
    seen: dict[str, int] = {}
    for item in items:
        _refuse_repeats(item, ("varName", "var_name"), "variable", seen, problems)
    return Node(items, node.place)


def _items(node: Node, name_key: str, problems: list[Problem]) -> list[Node] | None:
    """The rules of a list, or of a dict from names to expressions; None if it is neither."""
    if isinstance(node.value, list):
        return node.value
    if not isinstance(node.value, dict):
        return None
    items = []
    for name, child in node.value.items():
        rule = {name_key: Node(name, child.place)}
        if isinstance(child.value, dict):
            problems.extend(
                Problem(child.value[twice].place, f"the name is already `{name}`; remove this")
                for twice in (name_key, _snake(name_key))
                if twice in child.value
            )
            rule = {**child.value, **rule}
            rule = {key: value for key, value in rule.items() if key != _snake(name_key)}
        elif child.value is None:
            problems.append(
                Problem(child.place, "has no expression; write '' for a value that is always blank")
            )
            rule["expression"] = Node(Broken(), child.place)
        else:
            rule["expression"] = child
        items.append(Node(rule, child.place))
    return items


def _refuse_repeats(
    rule: Node, names: tuple[str, ...], what: str, seen: dict[str, int], problems: list[Problem]
) -> None:
    if not isinstance(rule.value, dict):
        return
    for name in names:
        node = rule.value.get(name)
        text = node.value if node is not None else None
        if node is None or not isinstance(text, (str, Scalar)):
            continue
        text = text.text if isinstance(text, Scalar) else text
        if text in seen:
            message = f"the {what} `{text}` is given twice, first in line {seen[text]}; keep one"
            problems.append(Problem(node.place, message))
        seen.setdefault(text, node.place.line)


def _infer_kind(entries: dict[str, Node], place: Place) -> None:
    """State `sourceType` and `provider` where the file leaves them to be inferred."""
    stated = {spellings(SyncConfig).get(key, key): key for key in entries}
    present = {name for name, key in stated.items() if entries[key].value is not None}
    if "source_type" not in present:
        entries.pop(stated.get("source_type", ""), None)
        entries["sourceType"] = Node(infer_kind(present), place)
    if "provider" not in present and "connection_string" in present:
        found = provider_of(str(entries[stated["connection_string"]].plain()))
        if found is not None:
            entries.pop(stated.get("provider", ""), None)
            entries["provider"] = Node(found, place)


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()
