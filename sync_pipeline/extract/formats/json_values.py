"""Single values of a JSON text that is too large to be held: a total, a cursor, a next URL.

Read by the same parser as the records, so that whatever that one takes (long integers, UTF-16, a
byte order mark) hides no cursor: a cursor that is missed ends a sync too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import Body, read_chunks
from sync_pipeline.extract.formats.json_events import BrokenJsonError, Event, parse_events
from sync_pipeline.extract.formats.json_stream import open_json_text

_OPENING: Final = ("start_map", "start_array")
_CLOSING: Final = ("end_map", "end_array")


def find_values(
    body: Body, answer: Answer, places: Mapping[tuple[str, ...], str]
) -> dict[str, Any]:
    """The first scalar at each place, in memory for nothing but these.

    A damaged text gives what stands before: the reader of its records says what is wrong.

    Args:
        body: The text.
        answer: For its charset.
        places: Names of members from the root to a value, and what the value is to be called.
    """
    found: dict[str, Any] = {}
    try:
        events = chain.from_iterable(parse_events(read_chunks(open_json_text(body, answer))))
        _collect(events, places, found)
    except (BrokenJsonError, SourceDataError):
        pass
    return found


def _collect(
    events: Iterable[Event], places: Mapping[tuple[str, ...], str], found: dict[str, Any]
) -> None:
    deepest = max(map(len, places))
    depth = 0
    #: Current member of each open container, as deep as any place goes; None in an array.
    walked: list[str | None] = []
    for event, value in events:
        if event == "map_key":
            if depth <= deepest:
                walked[-1] = value
        elif event in _OPENING:
            depth += 1
            if depth <= deepest:
                walked.append(None)
        elif event in _CLOSING:
            if depth <= deepest:
                walked.pop()
            depth -= 1
        elif depth <= deepest and event != "null":
            name = places.get(tuple(walked))  # type: ignore[arg-type]  # None is in no place
            if name is not None:
                is_whole = event != "number" or isinstance(value, int)
                found.setdefault(name, value if is_whole else float(value))
