"""Single values of a JSON text that is too large to be held: a total, a cursor, a next URL.

Read by the same parser as the records, so that whatever that one takes (long integers, UTF-16, a
byte order mark) hides no cursor: a cursor that is missed ends a sync too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final, TypeAlias

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import Body, read_chunks
from sync_pipeline.extract.formats.json_events import BrokenJsonError, Event, parse_events
from sync_pipeline.extract.formats.json_path import (
    Found,
    compile_steps,
    describe_place,
    list_keys,
    spell_path,
    spell_step,
)
from sync_pipeline.extract.formats.text import open_json_text
from sync_pipeline.suggestions import nearest

#: Names of members from the root to a value.
_Place: TypeAlias = tuple[str, ...]

_OPENING: Final = ("start_map", "start_array")
_CLOSING: Final = ("end_map", "end_array")
#: Keys of one object that are remembered; a message names fewer.
_KEYS_KEPT: Final = 100


def find_values(body: Body, answer: Answer, paths: Sequence[str]) -> dict[str, Found]:
    """What is at each path, in memory for nothing but these. An object or array stands empty.

    A damaged text gives what stands before: the reader of its records says what is wrong.

    Args:
        body: The text.
        answer: For its charset.
        paths: Plain ones (`is_plain`).
    """
    places = {place: path for path in paths for place in _places_of(path)}
    way = _Way(places)
    with suppress(BrokenJsonError, SourceDataError):
        way.follow(chain.from_iterable(parse_events(read_chunks(open_json_text(body, answer)))))
    return {path: way.found(path) for path in paths}


def is_plain(path: str) -> bool:
    """Whether `find_values` can follow a path: names only, or what only a name can begin with."""
    return len(_places_of(path)) > 1 or path.startswith("@")  # `@odata.nextLink`


def _places_of(path: str) -> list[_Place]:
    # A member of the root that is literally called like the path comes first, as `look_up` has it.
    places: list[_Place] = [(path,)]
    steps = compile_steps(path)
    if steps is not None and all(isinstance(step, str) for step in steps):
        places.append(tuple(str(step) for step in steps))
    return places


class _Way:
    """Follows some paths through a document, and remembers what is on their way."""

    def __init__(self, places: dict[_Place, str]) -> None:
        self._places = places
        self._prefixes = {place[:length] for place in places for length in range(len(place))}
        self._values: dict[str, Any] = {}
        self._nulls: set[str] = set()
        #: Of the objects on the way, their keys; of all else there, what it is.
        self._keys: dict[_Place, list[str]] = {}
        self._others: dict[_Place, Any] = {}

    def follow(self, events: Iterable[Event]) -> None:
        """Read a document to its end."""
        on_way: list[_Place] = []
        member = ""
        place: _Place = ()
        #: Containers that are open and off the way.
        outside = 0
        before = ""
        for event, value in events:
            if outside:
                outside += (event in _OPENING) - (event in _CLOSING)
                is_empty = before == "start_array" and event == "end_array" and not outside
                if is_empty and place in self._others:
                    self._others[place] = []
            elif event == "map_key":
                member = value
                keys = self._keys[on_way[-1]]
                if len(keys) < _KEYS_KEPT:
                    keys.append(value)
            elif event in _CLOSING:
                on_way.pop()
            else:
                place = (*on_way[-1], member) if on_way else ()
                if event == "start_map" and place in self._prefixes:
                    on_way.append(place)
                    self._keys.setdefault(place, [])
                elif event in _OPENING:
                    outside = 1
                self._note(place, event, value)
            before = event

    def _note(self, place: _Place, event: str, value: Any) -> None:
        if event == "number":
            value = value if isinstance(value, int) else float(value)
        elif event in _OPENING:
            # What is in it is not kept; for a message it is enough that something is.
            value = {} if event == "start_map" else [None]
        if place in self._prefixes and event != "start_map":
            self._others[place] = value
        path = self._places.get(place)
        if path is None:
            return
        if value is None:
            self._nulls.add(path)
        else:
            self._values.setdefault(path, value)

    def found(self, path: str) -> Found:
        """What was at the end of a path."""
        if path in self._values or path in self._nulls:
            return Found(True, self._values.get(path))
        place = _places_of(path)[-1]
        for length in range(len(place) - 1, -1, -1):
            if place[:length] in self._keys:
                return self._miss(place, length)
            if place[:length] in self._others:
                value = self._others[place[:length]]
                is_empty = value in (None, False, "", [])
                return Found(False, miss=_describe(place[:length], value), is_blocked=not is_empty)
        return Found(False, miss="the document cannot be read so far")

    def _miss(self, place: _Place, length: int) -> Found:
        keys = self._keys[place[:length]]
        near = nearest(place[length], keys)
        meant = spell_path((*place[:length], near)) if near else ""
        hint = f"; did you mean {meant!r}?" if meant and length == len(place) - 1 else ""
        what = f"{_spell(place[:length])} is an object with {list_keys(keys)}"
        return Found(is_there=False, miss=what + hint)


def _describe(place: _Place, value: Any) -> str:
    walked = _spell(place)
    return f"{walked} is an array" if value == [None] else describe_place(value, walked)


def _spell(place: _Place) -> str:
    return "$" + "".join(map(spell_step, place))
