"""The beginning of a JSON text that was not read to its end."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import Any

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.fast_json import UNSURE, load_fast
from sync_pipeline.extract.formats.json_events import BrokenJsonError, parse_events, to_number


def load_beginning(text: bytes) -> Any:
    """What the first part of a JSON text holds, without the record in which it is cut off.

    Raises:
        SourceDataError: Not even the beginning is JSON.
    """
    document = load_fast(text)
    if document is not UNSURE:
        return document
    outside: list[Any] = []
    still_open: list[Any] = [outside]
    names: list[str] = [""]

    def close() -> None:
        done = still_open.pop()
        names.pop()
        _put(still_open[-1], names[-1], done)

    with suppress(BrokenJsonError):
        for event, value in chain.from_iterable(parse_events(iter((text,)))):
            if event == "map_key":
                names[-1] = value
            elif event in ("start_map", "start_array"):
                still_open.append({} if event == "start_map" else [])
                names.append("")
            elif event in ("end_map", "end_array"):
                close()
            else:
                _put(still_open[-1], names[-1], to_number(value) if event == "number" else value)
    rows = next((at for at, part in enumerate(still_open) if at and _holds_objects(part)), None)
    if rows is not None:
        del still_open[rows + 1 :], names[rows + 1 :]  # the record that is cut off
    while len(still_open) > 1:
        close()
    if not outside:
        raise SourceDataError("the answer begins like JSON, but is none")
    return outside[0]


def _put(container: Any, name: str, value: Any) -> None:
    if type(container) is dict:
        container[name] = value
    else:
        container.append(value)


def _holds_objects(container: Any) -> bool:
    return type(container) is list and bool(container) and type(container[0]) is dict
