"""Repeat an extraction for entries of the space: nested loops, one leaf per combination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sync_pipeline.config.model import Enumeration
from sync_pipeline.errors import RecordError, SourceDataError
from sync_pipeline.model import EntryLookup
from sync_pipeline.templating.text import read_condition


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
    #: Whether the entry is used, given the entries of all levels down to this one; None: the filter
    #: came to nothing, which counts as false.
    is_wanted: Callable[[Mapping[str, Any]], bool | None]


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

    def wanted(source: str, key: str) -> Callable[[Mapping[str, Any]], bool | None]:
        if not source.strip():
            return lambda _entries: True
        render = compile_filter(source, key)

        def is_wanted(entries: Mapping[str, Any]) -> bool | None:
            try:
                return read_condition(render({**context, **entries}))
            except RecordError as err:
                at = " / ".join(str(entry.get("id", "")) for entry in entries.values())
                raise SourceDataError(f"{key}: for the entry {at}, {err}") from err

        return is_wanted

    return tuple(
        Level(
            enumeration.content_type,
            enumeration.variable,
            enumeration.query_parameters,
            wanted(enumeration.filter, f"enumerateForContentTypes[{index}].filter"),
        )
        for index, enumeration in enumerate(enumerations)
    )


def enumerate_leaves(
    levels: Sequence[Level], lookup: EntryLookup, warn: Callable[[str], None]
) -> Iterator[Leaf]:
    """The leaves in order; entries of an inner level are read once and kept for the run.

    Args:
        levels: Outermost first.
        lookup: The entries of the space.
        warn: Told where a filter leaves out every entry, or comes to nothing.
    """
    inner: dict[int, list[Mapping[str, Any]]] = {}
    said: list[Counter[bool | None]] = [Counter() for _ in levels]

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
            is_wanted = level.is_wanted(variables)
            said[depth][is_wanted] += 1
            if is_wanted:
                yield from descend(Leaf((*leaf.ids, str(entry["id"])), variables))

    yield from descend(Leaf())
    for index, (level, answers) in enumerate(zip(levels, said, strict=True)):
        warning = _warning(answers)
        if warning:
            warn(f"enumerateForContentTypes[{index}].filter ({level.content_type}) {warning}")


def _warning(answers: Counter[bool | None]) -> str:
    entries = sum(answers.values())
    if entries and not answers[True]:
        return f"leaves out every entry, so nothing is fetched; it was asked {entries:,} times"
    if answers[None]:
        return (
            f"came to nothing for {answers[None]:,} of {entries:,} entries, which leaves them out"
            " as false does. If that is meant, let it say so, as with an {% else %}"
        )
    return ""


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
