"""JSON paths: compiled once, walked over loaded documents.

Plain paths (`$.data.items`, `data[0]['odd name'].rows[*]`) are compiled by a small parser of our
own to a tuple of steps, which the streaming reader can follow too. Everything else of the language
(filters, slices, recursive descent) goes to jsonpath-ng and needs the whole document in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeAlias

from sync_pipeline.errors import ConfigError, SourceDataError
from sync_pipeline.model import Row
from sync_pipeline.suggestions import fold, nearest


class NothingAtPathError(SourceDataError):
    """An answer has nothing at resultsJsonPath, not even null."""


class Each(Enum):
    """The step `[*]`: every element of an array."""

    ITEM = "*"


#: A name, an index (0 or more) or every element.
Step: TypeAlias = str | int | Each
Steps: TypeAlias = tuple[Step, ...]

#: Containers within containers in which a path that leads nowhere is looked for elsewhere.
_LOOKED_INTO: Final = 4
#: Names that are compared with one that leads nowhere: an object may have one for each record.
_NAMES_TRIED: Final = 1000

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.\[\]'"*?()@$,:][^\s.\[\]'"*?()$,]*)"""
    r"""|\[\s*(?:(?P<index>\d+)|(?P<each>\*)|'(?P<single>[^'\\]*)'|"(?P<double>[^"\\]*)")\s*\]"""
)
#: How many of a document's keys an error names.
_KEYS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What is at the end of a path."""

    #: Whether anything is, if only null.
    is_there: bool
    value: Any = None
    #: Where the path ends otherwise, and what is there: names of keys, never values.
    miss: str = ""
    #: What is there can hold nothing: a text, a number, an array with elements.
    is_blocked: bool = False


@lru_cache(maxsize=256)
def compile_steps(path: str | None) -> Steps | None:
    """The steps of a plain path; `()` for the root, None for a path that only jsonpath-ng reads.

    `$.` is prepended where it is missing.
    """
    text = (path or "").strip()
    if text in ("", "$"):
        return ()
    text = _rooted(text)[1:]
    steps: list[Step] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if not found:
            return None
        position = found.end()
        if found["index"] is not None:
            steps.append(int(found["index"]))
        elif found["each"] is not None:
            steps.append(Each.ITEM)
        else:
            names = found.group("name", "single", "double")
            steps.append(next(name for name in names if name is not None))
    return tuple(steps)


def check_json_path(path: str, *, key: str = "resultsJsonPath") -> None:
    """Raise `ConfigError` where the path cannot be compiled."""
    if compile_steps(path) is None:
        _compile_query(path, key)


def value_at(document: Any, path: str) -> Any:
    """The first value at a JSON path, None where there is none.

    See `look_up`.
    """
    return look_up(document, path).value


def look_up(document: Any, path: str) -> Found:
    """The first value at a JSON path, and where the path ends if there is none.

    A key of the document that is literally called like the path wins, so that
    `@odata.nextLink` needs no brackets.

    Raises:
        ConfigError: The path cannot be compiled.
    """
    if isinstance(document, Mapping) and path in document:
        return Found(True, document[path])
    for value in matches(document, path):
        return Found(True, value)
    place = _walk_as_far_as_it_goes(document, path)
    meant = _suggest(document, place)
    if compile_steps(path) is None and isinstance(document, Mapping):
        members = islice(document.items(), _NAMES_TRIED)
        scalars = (str(name) for name, value in members if not isinstance(value, (Mapping, list)))
        meant = nearest(path, scalars) or ""
    hint = f"; did you mean {meant!r}?" if meant else ""
    return Found(False, miss=place.describe() + hint, is_blocked=place.is_blocked)


def select_rows(document: Any, results_json_path: str | None, *, where: str = "") -> list[Row]:
    """The rows of a loaded JSON document.

    An array at the path gives its elements, an object gives one row, `null` gives none; a path
    that matches several times gives the rows of all matches in order.

    Args:
        document: What `json.loads` gave.
        results_json_path: `$.` may be missing; None or "" is the root.
        where: Put before the text of errors (file, redacted URL).

    Raises:
        SourceDataError: Nothing at the path (the text names the keys that exist), or something
            that is no row (the text names its index).
        ConfigError: The path cannot be compiled.
    """
    path = results_json_path or "$"
    found = list(matches(document, path))
    if not found and not _may_be_empty(document, path):
        raise NothingAtPathError(
            f"{where}nothing at resultsJsonPath {path!r}: {describe_miss(document, path)}. "
            "Correct resultsJsonPath."
        )
    rows: list[Row] = []
    for value in found:
        if isinstance(value, list):
            rows.extend(value)
        elif isinstance(value, Mapping):
            rows.append(value)
        elif value is not None:
            came, fix = wrong_value(path, value)
            raise SourceDataError(f"{where}{came}. {fix}")
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            came, fix = wrong_row(path, index, row)
            raise SourceDataError(f"{where}{came}. {fix}")
    return rows


def matches(document: Any, path: str) -> Iterator[Any]:
    """Every value at the path, in document order."""
    steps = compile_steps(path)
    if steps is None:
        return iter(_find(document, path))
    return _walk(document, steps)


def _find(document: Any, path: str) -> list[Any]:
    query = _compile_query(path, "resultsJsonPath")
    try:
        return [match.value for match in query.find(document)]
    except Exception as err:  # whatever jsonpath-ng's filters raise on values they do not expect
        raise SourceDataError(
            f"the path {path!r} cannot be followed in the answer ({type(err).__name__}). Write a "
            f"simpler one"
        ) from err


def wrong_value(path: str, value: Any) -> tuple[str, str]:
    """What came and what to do, for a scalar where rows were declared."""
    came = f"the value at resultsJsonPath {path!r} is {kind_of(value)}, "
    return came + "neither an array of objects nor an object", "Correct resultsJsonPath."


def wrong_row(path: str, index: int, row: Any) -> tuple[str, str]:
    """What came and what to do, for an element that is no object."""
    came = f"record {index} (counted from 0) at resultsJsonPath {path!r} is {kind_of(row)}, "
    return came + "not an object", "Correct resultsJsonPath, or mend the source."


def describe_miss(document: Any, path: str) -> str:
    """How far a path leads into a document, and which keys exist there."""
    return _walk_as_far_as_it_goes(document, path).describe()


@dataclass(frozen=True, slots=True)
class _Place:
    """The last place of a document to which a path leads."""

    value: Any
    walked: Steps
    #: Steps that lead nowhere from here.
    left: Steps

    @property
    def is_blocked(self) -> bool:
        """Whether the place could not hold what was looked for, whatever the source adds."""
        is_empty = self.value is None or self.value in (False, "", [])
        return not is_empty and bool(self.left) and not isinstance(self.value, Mapping)

    def describe(self) -> str:
        return describe_place(self.value, "$" + "".join(map(spell_step, self.walked)))


def _walk_as_far_as_it_goes(document: Any, path: str) -> _Place:
    steps = compile_steps(path) or ()
    value = document
    for at, step in enumerate(steps):
        following = next(_walk(value, (step,)), _MISSING)
        if following is _MISSING:
            return _Place(value, steps[:at], steps[at:])
        value = following
    return _Place(value, steps, ())


def _suggest(document: Any, place: _Place) -> str:
    """A path of the document that was probably meant; "" for none."""
    if not place.left or not isinstance(place.left[-1], str):
        return ""
    step, rest = place.left[0], place.left[1:]
    if isinstance(place.value, Mapping) and isinstance(step, str):
        near = nearest(step, map(str, islice(place.value, _NAMES_TRIED)))
        meant = (*place.walked, near, *rest) if near is not None else ()
        if meant and next(_walk(document, meant), _MISSING) is not _MISSING:
            return spell_path(meant)
    wanted = fold(place.left[-1])
    members = islice(_members(document), _NAMES_TRIED)
    elsewhere = (steps for steps in members if fold(str(steps[-1])) == wanted)
    return spell_path(next(elsewhere, ()))


def _members(document: Any, walked: Steps = ()) -> Iterator[Steps]:
    """Every member outside of arrays, those of the root first."""
    if not isinstance(document, Mapping) or len(walked) >= _LOOKED_INTO:
        return
    for name in document:
        yield (*walked, str(name))
    for name, value in document.items():
        yield from _members(value, (*walked, str(name)))


def spell_path(steps: Steps) -> str:
    """The path as a config states it."""
    return "".join(map(spell_step, steps)).removeprefix(".")


def describe_place(value: Any, walked: str) -> str:
    """What is at a place of a document, with the names of its keys, never its values."""
    if isinstance(value, Mapping):
        return f"{walked} is an object with {list_keys(value)}"
    if isinstance(value, list):
        return f"{walked} is an array of {len(value)}"
    return f"{walked} is {kind_of(value)}"


def list_keys(keys: Mapping[str, Any] | list[str]) -> str:
    """`the keys a, b, c`, cut after the first twenty."""
    names = list(keys)
    shown = ", ".join(str(name)[:60] for name in names[:_KEYS_SHOWN])
    more = f" and {len(names) - _KEYS_SHOWN} more" if len(names) > _KEYS_SHOWN else ""
    return f"the keys {shown}{more}" if names else "no keys"


def spell_step(step: Step) -> str:
    """A step as it is written in a path."""
    if isinstance(step, str):
        return f".{step}" if _STEP.fullmatch(f".{step}") else f"['{step}']"
    return "[*]" if isinstance(step, Each) else f"[{step}]"


def kind_of(value: Any) -> str:
    """`a number`, `an array`, ...: JSON's word for a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, list) else "a number"


_MISSING: Final = object()


def _walk(value: Any, steps: Steps) -> Iterator[Any]:
    for position, step in enumerate(steps):
        if isinstance(step, str):
            if not isinstance(value, Mapping) or step not in value:
                return
            value = value[step]
        elif not isinstance(value, list):
            return
        elif isinstance(step, Each):
            for element in value:
                yield from _walk(element, steps[position + 1 :])
            return
        elif step >= len(value):
            return
        else:
            value = value[step]
    yield value


def _may_be_empty(document: Any, path: str) -> bool:
    """Whether no match is an answer: `[*]` of an empty array, a filter that nothing passes."""
    steps = compile_steps(path)
    if steps is None:
        return True
    if Each.ITEM not in steps:
        return False
    at = steps.index(Each.ITEM)
    return any(isinstance(value, list) and not value for value in _walk(document, steps[:at]))


def _rooted(path: str) -> str:
    if path.startswith("$"):
        return path
    return f"${path}" if path.startswith(("[", ".")) else f"$.{path}"


@lru_cache(maxsize=64)
def _compile_query(path: str, key: str) -> Any:
    # Slow to import (it builds its grammar), and few configs need it.
    from jsonpath_ng.exceptions import JSONPathError  # noqa: PLC0415
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415

    try:
        return parse(_rooted(path.strip()))
    except (JSONPathError, ValueError, TypeError, AttributeError, re.error) as err:
        raise ConfigError(
            f"{path!r} is no JSON path. Write it like $.data.items or $['odd name'][0].rows",
            key=key,
        ) from err
