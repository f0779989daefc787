"""What the templates of one record may use up: turns, characters, processor time, size of a value.

Each bound is far above what a mapping needs and far below what harms the machine: a template that
meets one fails its record and no other. They are counted for all templates of a record together,
in a place of each thread's own, as filters do not know for whom they work::

    begin() ─► {% for %}, macros: turn()
               text that grows:   checked_size()
               [a, b], filters:   measured()

A value is measured where it is made, since sharing makes small ones huge: `[a, a]` thirty times
over holds a billion items when it is written out, compared or counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from sync_pipeline.errors import RecordError

#: Longest text that a template may build, in characters: 50 times the largest field of Contentful.
#: Text that a row brings along may be longer; only what makes text grow is bounded.
MAX_TEXT = 10_000_000
#: Characters that the templates of one record may build in all, what they throw away included.
MAX_BUILT = 2 * MAX_TEXT
#: Most items that `range`, a repeated list or padding may produce, and the widest padding.
MAX_ITEMS = 100_000
#: Turns of all `for` loops, and calls of macros.
MAX_TURNS = 1_000_000
#: Processor seconds of all loops and macros; a record takes 20 microseconds.
MAX_SECONDS = 0.5
#: Values within values that a template may put together, each counted wherever it stands.
MAX_NODES = 500_000
MAX_DEPTH = 200
#: Seconds between two looks at the processor time, which costs more than a turn.
_LOOK_S = 0.02
_CONTAINERS = (list, tuple, dict)
#: Values, characters and levels of a container.
_Weight = tuple[int, int, int]

Value = TypeVar("Value")


class _Work(threading.local):
    """What the templates of the record in hand have used up, in this thread."""

    turns = 0
    characters = 0
    #: Processor seconds of the thread at the first look, and when (monotonic) the next one is due.
    began: float | None = None
    look_at = 0.0


_work = _Work()


def template_error(message: str) -> RecordError:
    """The error of a template that compiles but cannot be rendered with this record."""
    return RecordError(message, error_id="TemplateError")


def begin() -> None:
    """Start counting anew: the next record."""
    _work.turns = _work.characters = 0
    _work.began, _work.look_at = None, 0.0


def turn() -> None:
    """Count a turn of a loop or a call of a macro.

    Raises:
        RecordError: They were too many, or took too long.
    """
    _work.turns += 1
    if _work.turns > MAX_TURNS:
        raise template_error(
            f"the loops and macros of the template take more than {MAX_TURNS:,} turns"
        )
    if time.monotonic() >= _work.look_at:
        _check_time()


def _check_time() -> None:
    used = time.thread_time()  # not the clock: a look-up waits for the space, and the machine may
    _work.look_at = time.monotonic() + _LOOK_S
    if _work.began is None:
        _work.began = used
    elif used - _work.began > MAX_SECONDS:
        raise template_error(f"the template takes more than {MAX_SECONDS} s for this record")


def checked_size(characters: int) -> None:
    """Refuse to build a text longer than `MAX_TEXT`, or ever more of shorter ones."""
    _work.characters += characters
    if characters > MAX_TEXT or _work.characters > MAX_BUILT:
        raise template_error(
            f"the template would build a text of more than {MAX_TEXT:,} characters"
        )


def checked_count(items: int) -> None:
    """Refuse to build a list longer than `MAX_ITEMS`."""
    if items > MAX_ITEMS:
        raise template_error(f"a list of more than {MAX_ITEMS:,} items")


def measured(value: Value) -> Value:
    """The value, if it is no larger than a template may put together.

    Raises:
        RecordError: It holds too many values, too much text, or is nested too deep.
    """
    if isinstance(value, _CONTAINERS):
        nodes, *_ = _weigh(value, 1, {})
        if nodes > MAX_ITEMS // 100:  # to weigh fewer costs less than a turn
            turn()
    return value


def _weigh(container: Any, depth: int, known: dict[int, _Weight]) -> _Weight:
    """How many values a container holds, how many characters, and how many levels."""
    nodes = characters = below = 0
    for item in (*container, *container.values()) if isinstance(container, dict) else container:
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, _CONTAINERS):
            weight = known.get(id(item)) or _weigh(item, depth + 1, known)
            nodes, characters = nodes + weight[0], characters + weight[1]
            below = max(below, weight[2])
    nodes, levels = nodes + len(container), below + 1
    if nodes > MAX_NODES or characters > MAX_TEXT or depth + below > MAX_DEPTH:
        raise template_error(
            f"a list or object of more than {MAX_NODES:,} values, {MAX_DEPTH} levels or "
            f"{MAX_TEXT:,} characters"
        )
    known[id(container)] = nodes, characters, levels
    return nodes, characters, levels


def bounded_dict(*pairs: Iterable[Any] | Mapping[Any, Any], **named: Any) -> dict[Any, Any]:
    """`dict`, measured."""
    return measured(dict(*pairs, **named))
