"""YAML text to a tree of nodes that know their place in the file.

Not `yaml.safe_load`, because a config file needs more: keys given twice are an error, every value
keeps its line for messages, and a scalar keeps the text that was written, so that `expression: 007`
or a key `no:` is not turned into something else. Values are typed as in JSON: `true`, `false`,
`null`, numbers without leading zeros or plus sign; all else is text (no dates, no `yes`/`no`, no
octal or base-60 numbers, which YAML 1.1 has).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from sync_pipeline.config.problems import Place, Problem, config_error
from sync_pipeline.errors import ConfigError

#: A config file is written by hand; PyYAML needs about 10 s for this much.
MAX_BYTES = 1_000_000
#: Nodes after aliases are followed: a small file of nested aliases can stand for billions.
MAX_NODES = 200_000
MAX_DEPTH = 50

_TAG = "tag:yaml.org,2002:"
#: Only escapes ("\\ud800") can bring one in; no file, message or request could hold it.
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_TEXT = "holds an escape of half a character (\\ud800 to \\udfff); write the whole character"
_QUOTES = "put quotes around it: expression: '{{ row.id }}'"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain (unquoted) number or boolean: what it means, and how it was written."""

    value: float | bool
    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for a value that a problem has already been reported for."""


Value: TypeAlias = "dict[str, Node] | list[Node] | str | Scalar | Broken | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file and where it stands."""

    value: Value
    place: Place

    def plain(self) -> Any:
        """The value as JSON would hold it."""
        value = self.value
        if isinstance(value, dict):
            return {key: child.plain() for key, child in value.items()}
        if isinstance(value, list):
            return [child.plain() for child in value]
        if isinstance(value, Broken):
            return None
        return value.value if isinstance(value, Scalar) else value


class _Composer(yaml.SafeLoader):
    """Composes nodes; the resolvers below replace those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's way of a clean slate


for _name, _pattern, _first in (
    ("merge", r"<<$", "<"),
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"-?(?:0|[1-9][0-9]{0,100})$", list("-0123456789")),
    (
        "float",
        r"-?(?:0|[1-9][0-9]{0,100})(?:\.[0-9]{0,100}(?:[eE][-+]?[0-9]{1,3})?|[eE][-+]?[0-9]{1,3})$",
        list("-0123456789"),
    ),
):
    _Composer.add_implicit_resolver(f"{_TAG}{_name}", re.compile(_pattern), list(_first))


@dataclass(slots=True)
class _Reading:
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0


def read_text(path: Path) -> str:
    """The text of a config file.

    Raises:
        ConfigError: It is missing, no regular file, too large, or not UTF-8.
    """
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            kind = "a directory" if path.is_dir() else "a pipe or device"
            raise ConfigError(f"is {kind}, not a file; take it away or rename it", file=path)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("does not exist; check the name", file=path) from None
    except OSError as err:
        raise ConfigError(
            f"cannot be read ({err.strerror}); check its permissions", file=path
        ) from err
    if len(content) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES:,} bytes; is it a config file?", file=path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content[: err.start].count(b"\n") + 1
        raise ConfigError(f"line {line}: not UTF-8; save the file as UTF-8", file=path) from None


def read_yaml(
    text: str, *, file: Path | str | None, line_offset: int = 0, place: Place | None = None
) -> tuple[Node, list[Problem]]:
    """The text as a tree, with what could be told to be wrong without knowing the keys.

    Args:
        text: One YAML document.
        file: For messages.
        line_offset: Lines above the text, where it is a block inside another file.
        place: Of the text in that file.

    Raises:
        ConfigError: Not YAML at all.
    """
    root = place or Place()
    composer: yaml.SafeLoader | None = None
    try:
        composer = _Composer(text)
        composed = composer.get_single_node()
    except yaml.YAMLError as err:
        raise _syntax_error(err, text, file=file, line_offset=line_offset, place=root) from None
    except RecursionError:
        raise config_error(
            [Problem(root, "nested too deeply; is a bracket left open?")], file
        ) from None
    finally:
        if composer is not None:
            composer.dispose()
    reading = _Reading()
    if composed is None:
        return Node(None, root), reading.problems
    try:
        node = _node(composed, Place(), 0, line_offset, reading)
    except OverflowError:
        message = (
            f"holds more than {MAX_NODES:,} values once its aliases are followed; write it out"
        )
        raise config_error([Problem(root, message)], file) from None
    return node, reading.problems


def _node(composed: yaml.Node, place: Place, depth: int, offset: int, reading: _Reading) -> Node:
    reading.nodes += 1
    if reading.nodes > MAX_NODES:
        raise OverflowError
    broken = Node(Broken(), place)
    if depth > MAX_DEPTH:
        reading.problems.append(Problem(place, f"nested more than {MAX_DEPTH} levels deep"))
        return broken
    kind = composed.tag.removeprefix(_TAG)
    if isinstance(composed, yaml.ScalarNode):
        if kind not in {"str", "null", "bool", "int", "float", "merge"}:
            reading.problems.append(_foreign_tag(place, composed.tag))
            return broken
        if _SURROGATE.search(composed.value):
            reading.problems.append(Problem(place, _NO_TEXT))
            return broken
        return Node(_scalar(kind, composed), place)
    if isinstance(composed, yaml.SequenceNode) and kind == "seq":
        items = [
            _node(item, place.child(i, _line(item, offset)), depth + 1, offset, reading)
            for i, item in enumerate(composed.value)
        ]
        return Node(items, place)
    if isinstance(composed, yaml.MappingNode) and kind == "map":
        entries = _entries(composed, place, depth, offset, reading)
        return broken if entries is None else Node(entries, place)
    reading.problems.append(_foreign_tag(place, composed.tag))
    return broken


def _entries(
    composed: yaml.MappingNode, place: Place, depth: int, offset: int, reading: _Reading
) -> dict[str, Node] | None:
    entries: dict[str, Node] = {}
    merged: dict[str, Node] = {}
    for key_node, value_node in composed.value:
        line = _line(key_node, offset)
        if not isinstance(key_node, yaml.ScalarNode):
            # `{{ row.id }}` without quotes is, to YAML, a mapping whose key is a mapping.
            message = f"a template must not start a value without quotes; {_QUOTES}"
            reading.problems.append(Problem(Place(place.key, line), message))
            return None
        name = str(key_node.value)
        if _SURROGATE.search(name):
            reading.problems.append(Problem(Place(place.key, line), _NO_TEXT))
            continue
        child = place.child(name, line)
        if key_node.tag == f"{_TAG}merge":
            node = _node(value_node, child, depth + 1, offset, reading)
            sources = node.value if isinstance(node.value, list) else [node]
            for source in sources:
                if isinstance(source.value, dict):
                    merged = {**source.value, **merged}
                elif not isinstance(source.value, Broken):
                    message = "takes an alias of a mapping, such as `<<: *defaults`"
                    reading.problems.append(Problem(child, message))
            continue
        if name in entries:
            first = entries[name].place.line
            message = f"given twice, first in line {first}; remove one of them"
            reading.problems.append(Problem(child, message))
            continue
        entries[name] = _node(value_node, child, depth + 1, offset, reading)
    return {**merged, **entries} if merged else entries


def _scalar(kind: str, node: yaml.ScalarNode) -> str | Scalar | None:
    text = str(node.value)
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return Scalar(text.casefold() == "true", text)
        if kind == "int":
            return Scalar(int(text), text)
        if kind == "float" and math.isfinite(float(text)):
            return Scalar(float(text), text)
    except ValueError:  # an explicit tag on something else: `!!int abc`
        return text
    return text


def _line(node: yaml.Node, offset: int) -> int:
    return int(node.start_mark.line) + 1 + offset if node.start_mark else 0


def _foreign_tag(place: Place, tag: str) -> Problem:
    return Problem(place, f"the tag `{tag}` is not supported; write a plain value")


def _syntax_error(
    err: yaml.YAMLError, text: str, *, file: Path | str | None, line_offset: int, place: Place
) -> ConfigError:
    if isinstance(err, yaml.reader.ReaderError):
        line = text.count("\n", 0, err.position) + 1 + line_offset
        message = (
            f"not valid YAML: character #x{ord(text[err.position]):04x} is not allowed; "
            "remove it or save the file as plain UTF-8 text"
            if 0 <= err.position < len(text)
            else "not valid YAML: a character is not allowed; save the file as UTF-8 text"
        )
        return config_error([Problem(Place(place.key, line), message)], file)
    mark = getattr(err, "problem_mark", None) or getattr(err, "context_mark", None)
    problem = getattr(err, "problem", None) or "cannot be parsed"
    if "found another document" in str(err) or "expected a single document" in str(err):
        problem = "holds a second document"
    index = min(mark.line, text.count("\n")) if mark is not None else 0
    lines = text.split("\n")
    near = lines[max(0, index - 1) : index + 1]
    if problem == "holds a second document":
        fix = "one file holds one sync; remove the `---`, or make it two files"
    elif any("\t" in line[: len(line) - len(line.lstrip())] for line in near) or "\\t" in problem:
        fix = "indent with blanks, not tabs"
    elif any("{{" in line or "{%" in line for line in near):
        fix = f"if a value holds a template, {_QUOTES}"
    else:
        fix = "check quotes, colons and indentation there and in the line before"
    return config_error(
        [Problem(Place(place.key, index + 1 + line_offset), f"not valid YAML: {problem}; {fix}")],
        file,
    )
