"""ijson's events of a JSON text, with its errors and numbers made safe."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TypeAlias

import ijson

Event: TypeAlias = tuple[str, Any]

#: Bytes that are given to the parser at once at most.
MOST_JOINED: Final = 16 * 1024 * 1024
#: A SystemError is how the C extension reports an integer with more digits than Python converts.
_PARSER_ERRORS: Final = (ijson.JSONError, ValueError, ArithmeticError, SystemError, StopIteration)


class BrokenJsonError(ValueError):
    """The text is no JSON; becomes a `SourceDataError` once the number of good records is known."""


class NotUtf8Error(BrokenJsonError):
    """The text is in another encoding, or has a damaged character."""


def parse_events(chunks: Iterable[bytes]) -> Iterator[list[Event]]:
    """Parse chunk by chunk; the events before a mistake come before its error.

    Raises:
        BrokenJsonError: The text is no JSON, or ends too early.
    """
    events: Any = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events)
    waiting: list[bytes] = []
    size = unfinished = 0
    try:
        for chunk in chain(chunks, (b"",)):
            waiting.append(chunk)
            size += len(chunk)
            # With each piece yajl reads a text that does not end from its beginning, which takes
            # minutes for 100 MB: so each piece is as long as what it has read of that text.
            if not size or (chunk and size < min(unfinished, MOST_JOINED)):
                continue
            piece = b"".join(waiting)
            waiting, size = [], 0
            try:
                parser.send(piece)
            except _PARSER_ERRORS as err:
                yield _sound_events(events, err)
                raise _broken(err) from err
            unfinished = 0 if events else unfinished + len(piece)
            yield list(events)
            del events[:]
        try:
            parser.close()
        except _PARSER_ERRORS as err:
            yield _sound_events(events, err)
            is_number = not isinstance(err, ijson.JSONError)
            raise _broken(err) if is_number else BrokenJsonError("it ends too early") from err
        yield list(events)  # a number at the very end is only known here
    finally:
        _close_quietly(parser)


def _sound_events(events: list[Event], err: Exception) -> list[Event]:
    """The events before an error. When a number cannot be converted, ijson 3.6 leaves an event
    without a value behind, and whoever touches that value crashes the interpreter.
    """
    if not isinstance(err, ijson.JSONError) and events and events[-1][0] == "number":
        return events[:-1]
    return list(events)


def _close_quietly(parser: Any) -> None:
    """Closing a parser before its end reports the missing rest, which nobody asked for here."""
    try:
        parser.close()
    except _PARSER_ERRORS:
        return


def _broken(err: Exception) -> BrokenJsonError:
    # The first line only: the others repeat a piece of the payload.
    text = str(err.args[0] if err.args else err)
    lines = text.replace("\\n", "\n").splitlines() or [""]
    if re.search(r"\b(?:NaN|Infinity)\b", text) and "invalid char" in lines[0]:
        return BrokenJsonError("it has NaN or Infinity, which are no JSON")
    if "malformed number" in lines[0] and "Inf" in text:
        return BrokenJsonError("it has NaN or Infinity, which are no JSON")
    if "UTF8" in lines[0]:
        return NotUtf8Error("its bytes are no UTF-8")
    if not isinstance(err, ijson.JSONError):
        return BrokenJsonError("it has a number that is too long")
    return BrokenJsonError(lines[0].removeprefix("b'").rstrip(".'\" "))


def to_number(value: Any) -> int | float:
    """What `json.loads` makes of a number: an exact int or the nearest double.

    Raises:
        BrokenJsonError: It is beyond the range of a double.
    """
    if type(value) is not Decimal:
        return int(value)
    number = float(value)
    if math.isinf(number):
        raise BrokenJsonError("it has a number beyond the range of a double")
    return number
