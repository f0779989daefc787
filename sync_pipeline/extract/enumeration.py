"""Repeat an extraction for entries of the space: nested loops, one leaf per combination."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sync_pipeline.config.model import Enumeration
from sync_pipeline.errors import SourceDataError
from sync_pipeline.model import EntryLookup


@dataclass(frozen=True, slots=True)
class Leaf:
    """One combination of enumerated entries; a source without enumeration has one, empty."""

    #: `sys.id` of the entry of each level: the position kept in a checkpoint.
    ids: tuple[str, ...] = ()
    #: The entries by variable, as templates see them.
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Level:
    """One loop: the entries of a content type that pass the filter."""

    content_type: str
    #: The entry's name in templates.
    variable: str
    query: str
    #: Whether the entry is used, given the entries of all levels down to this one.
    is_wanted: Callable[[Mapping[str, Any]], bool]


def build_levels(
    enumerations: Sequence[Enumeration],
    compile_filter: Callable[[str, str], Callable[[Mapping[str, Any]], str]],
    context: Mapping[str, Any],
) -> tuple[Level, ...]:
    """The loops of a config.

    Args:
        enumerations: `enumerateForContentTypes`, outermost first.
        compile_filter: Compiles a template (source, key).
        context: What filters see besides the entries (`config`).
    """

    def wanted(source: str, key: str) -> Callable[[Mapping[str, Any]], bool]:
        if not source.strip():
            return lambda _entries: True
        render = compile_filter(source, key)
        return lambda entries: render({**context, **entries}).strip().casefold() == "true"

    return tuple(
        Level(
            enumeration.content_type,
            enumeration.variable,
            enumeration.query_parameters,
            wanted(enumeration.filter, f"enumerateForContentTypes[{index}].filter"),
        )
        for index, enumeration in enumerate(enumerations)
    )


def enumerate_leaves(levels: Sequence[Level], lookup: EntryLookup) -> Iterator[Leaf]:
    """The leaves in order; entries of an inner level are read once and kept for the run."""
    inner: dict[int, list[Mapping[str, Any]]] = {}

    def entries(depth: int) -> Iterator[Mapping[str, Any]]:
        level = levels[depth]
        if depth == 0:
            return lookup.entries(level.content_type, level.query)
        if depth not in inner:
            inner[depth] = list(lookup.entries(level.content_type, level.query))
        return iter(inner[depth])

    def descend(leaf: Leaf) -> Iterator[Leaf]:
        depth = len(leaf.ids)
        if depth == len(levels):
            yield leaf
            return
        level = levels[depth]
        for entry in entries(depth):
            variables = {**leaf.variables, level.variable: entry}
            if level.is_wanted(variables):
                yield from descend(Leaf((*leaf.ids, str(entry["id"])), variables))

    return descend(Leaf())


def leaves_from(leaves: Iterator[Leaf], ids: tuple[str, ...]) -> Iterator[Leaf]:
    """The leaves from the one with these ids on.

    Raises:
        SourceDataError: It is not there any more.
    """
    for leaf in leaves:
        if leaf.ids == ids:
            return chain((leaf,), leaves)
    raise SourceDataError(
        f"cannot go on where the extraction stopped: the enumerated entry {' / '.join(ids)} is not "
        f"there any more, or the filter leaves it out now. Start a new run"
    )
