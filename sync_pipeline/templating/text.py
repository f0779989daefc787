"""How a value becomes text, and the values that stand for "nothing".

None and what is missing give the empty text, booleans `true`/`false`, lists and objects JSON,
floats their shortest exact form; text goes through untouched, not trimmed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

from jinja2 import ChainableUndefined, StrictUndefined, Undefined, UndefinedError

from sync_pipeline.errors import RecordError
from sync_pipeline.templating.bounds import measured, template_error

_CONDITIONS = {"true": True, "false": False, "": None}
#: Characters of a value that a message quotes.
_SHOWN = 40


class MissingValue(ChainableUndefined):
    """What a row does not have: empty as text, equal to null, and so is everything below it.

    Rows are ragged, so `row.a.b.c` is empty when any part of the path is missing or null.
    """

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return f'"{self._undefined_name}" is missing, and this operation needs a value'

    def __eq__(self, other: object) -> bool:
        if other is None or isinstance(other, Undefined):
            return True
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        if other is None or isinstance(other, Undefined):
            return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(None)


class UnsetVariable(StrictUndefined):
    """A `config.NAME` whose environment variable is not set: an error unless `default` is used."""

    __slots__ = ()


class ConfigVariables(dict[str, Any]):
    """The environment variables that templates may read, as `config.NAME`."""

    def variable(self, name: str) -> Any:
        """The value, or an `UnsetVariable` that names the environment variable when rendered."""
        if name in self:
            return self[name]
        return UnsetVariable(
            hint=f"environment variable {name} is not set:"
            f' set it, or write `config.{name} | default("...")`',
            name=name,
            exc=UndefinedError,
        )


class EmptyValue:
    """Scriban's `empty`: equal to null, "", an empty list and an empty object."""

    def __eq__(self, other: object) -> bool:
        if other is None or isinstance(other, (Undefined, EmptyValue)):
            return True
        return isinstance(other, (str, list, tuple, Mapping)) and not other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash("")

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""


def to_text(value: Any) -> str:
    """Text of a value as a template puts it out.

    Raises:
        RecordError: The value has no text form (bytes, a function).
        UndefinedError: The value is an unset environment variable.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (str, int, Undefined, EmptyValue, UUID)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (dict, list, tuple)):
        return to_json(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return to_json(measured(list(value)))
    return _refuse(value)


def read_condition(text: str) -> bool | None:
    """What the text of a template says as a condition; None for blank text.

    Only `true` and `false` say something, trimmed and in any case: with `yes`, `1` or a value that
    stands there by mistake, "not true" would leave out records that were meant to be kept.

    Raises:
        RecordError: It is some other text.
    """
    said = text.strip().casefold()
    if said in _CONDITIONS:
        return _CONDITIONS[said]
    line = " ".join(text.split())
    shown = line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
    raise RecordError(
        f'"{shown}" is neither true nor false: compare it with what is meant, as in'
        ' {{ ... == "yes" }}',
        error_id="NotBoolean",
    )


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON of a value, in Unicode; what is missing is null."""
    if indent is None:
        return _encode(value)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_default)


def is_nothing(value: Any) -> bool:
    """Whether a value is null or missing. An unset environment variable counts as missing."""
    return value is None or isinstance(value, Undefined)


def _json_default(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime, date, time, UUID, EmptyValue)):
        return to_text(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    return _refuse(value)


def _refuse(value: Any) -> NoReturn:
    kind = "a function (call it with parentheses)" if callable(value) else type(value).__name__
    raise template_error(f"cannot put a value of this kind into text: {kind}")


#: Made once: `json.dumps` with options makes an encoder per call, which costs more than the list.
_encode = json.JSONEncoder(ensure_ascii=False, default=_json_default).encode
