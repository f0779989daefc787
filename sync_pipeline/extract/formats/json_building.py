"""Values out of the events of a JSON text: whole, in part, or passed over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from sync_pipeline.extract.formats.json_events import BrokenJsonError, Event, to_number
from sync_pipeline.extract.own_words import is_telling

#: Containers within containers; json.dumps of the spool would fail not far beyond.
MAX_DEPTH: Final = 500
#: Members around the records that are remembered, and events of each.
_MOST_MEMBERS: Final = 200
_MOST_EVENTS: Final = 1000

_CLOSED_BY: Final = {"start_map": "end_map", "start_array": "end_array"}


def build_value(events: Iterator[Event], first: Event) -> Any:
    """The value that an event begins."""
    event, value = first
    if event == "start_map":
        return build_container(events, {})
    if event == "start_array":
        return build_container(events, [])
    return to_number(value) if event == "number" else value


def build_container(events: Iterator[Event], root: Any) -> Any:
    """Fill a container whose start was read already."""
    container, key = root, ""
    stack: list[Any] = []
    for event, value in events:
        if event == "map_key":
            key = value
            continue
        if event in ("end_map", "end_array"):
            if not stack:
                return root
            container = stack.pop()
            continue
        child: Any = value
        if event == "number":
            if type(value) is Decimal:
                child = to_number(value)
        elif event == "start_map":
            child = {}
        elif event == "start_array":
            child = []
        if type(container) is dict:
            container[key] = child
        else:
            container.append(child)
        if event in ("start_map", "start_array"):
            if len(stack) >= MAX_DEPTH:
                raise BrokenJsonError(f"it nests deeper than {MAX_DEPTH} levels")
            stack.append(container)
            container = child
    raise BrokenJsonError("it ends too early")


def skip_value(events: Iterator[Event], event: str) -> None:
    """Read over the value that the event begins."""
    depth = int(event in _CLOSED_BY)
    for following, _ in events if depth else ():
        depth += (following in _CLOSED_BY) - (following in _CLOSED_BY.values())
        if not depth:
            return


class Surroundings:
    """What stands around the records of a document that is too large to be held.

    Members that may speak of an error keep their beginning, all others their name.
    """

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    def take(self, place: Sequence[str | int], first: Event, events: Iterator[Event]) -> None:
        """Read a member that does not lead to the records.

        Args:
            place: Its name behind those of the objects that hold it; with an index, it is within
                records.
            first: The event that begins its value.
            events: Those that follow.
        """
        name = str(place[-1])
        here = self.document
        for outer in place[:-1]:
            here = here.setdefault(str(outer), {})
        is_around = all(isinstance(part, str) for part in place) and len(here) < _MOST_MEMBERS
        if is_around and is_telling(name):
            here[name] = _build_beginning(events, first)
        else:
            skip_value(events, first[0])
            if is_around:
                here.setdefault(name)


def _build_beginning(events: Iterator[Event], first: Event) -> Any:
    """A value, without what is beyond its first so many events."""
    if first[0] not in _CLOSED_BY:
        return build_value(events, first)
    kept: list[Event] = [first]
    still_open = [first[0]]
    closing: list[Event] = []
    for event in events:
        if event[0] in _CLOSED_BY:
            still_open.append(event[0])
        elif event[0] in _CLOSED_BY.values():
            still_open.pop()
        if not closing:
            kept.append(event)
            if len(kept) == _MOST_EVENTS:
                closing = [(_CLOSED_BY[opened], None) for opened in reversed(still_open)]
        if not still_open:
            break
    return build_value(iter([*kept[1:], *closing]), first)
