"""What filters make of the values they are given: text, numbers, lists; nothing stays nothing."""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

from sync_pipeline.templating.bounds import MAX_ITEMS, template_error
from sync_pipeline.templating.text import is_nothing, to_text

Number: TypeAlias = int | float

_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def read_number(value: Any, function: str) -> Number | None:
    """A number, or the number written in a text (CSV rows are all text); None for nothing.

    Raises:
        RecordError: It is none.
    """
    if is_nothing(value):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = to_text(value).strip()
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    raise template_error(f'{function}: "{text[:40]}" is not a number')


def read_count(value: Any, function: str) -> int:
    """A whole number that says how many or where; bounded, so that nothing is built without end.

    Raises:
        RecordError: It is none, or too large.
    """
    number = read_number(value, function)
    if number is None or not math.isfinite(number) or number != int(number):
        raise template_error(f"{function}: a whole number is needed")
    if abs(number) > MAX_ITEMS:
        raise template_error(f"{function}: a size of more than {MAX_ITEMS:,}")
    return int(number)


def read_list(value: Any, function: str) -> list[Any]:
    """A list; nothing is the empty one.

    Raises:
        RecordError: It is no list.
    """
    if is_nothing(value):
        return []
    if isinstance(value, list | tuple | range):
        return list(value)
    if isinstance(value, str | dict) or not hasattr(value, "__iter__"):
        raise template_error(f"{function}: a list is needed")
    return list(value)


def tidy(number: Number) -> Number:
    """A whole float as an integer, so that it does not put out `.0`."""
    if isinstance(number, float) and number.is_integer() and abs(number) <= 2**53:
        return int(number)
    return number
