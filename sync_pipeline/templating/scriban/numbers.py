"""Scriban's functions `math.*` and `date.*`, as filters of the same names.

Nothing stays nothing, so that a missing number does not become 0. There is no `date.now`: a mapping
that depends on the clock would change every entry in every run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from sync_pipeline.dates import parse_date
from sync_pipeline.templating.arguments import Number, read_count, read_number, tidy
from sync_pipeline.templating.bounds import template_error
from sync_pipeline.templating.text import is_nothing, to_text

_FORMAT = re.compile(r"([FfNnDd])([0-9]{0,2})")
_CUSTOM_FORMAT = re.compile(r"(#,##)?(0+)(?:\.(0+))?")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def build_number_functions() -> dict[str, Callable[..., Any]]:
    """The functions by their dotted names."""
    return {
        "math.abs": _of_one("math.abs", abs),
        "math.ceil": _of_one("math.ceil", math.ceil),
        "math.divided_by": _of_two("math.divided_by", _divide),
        "math.floor": _of_one("math.floor", math.floor),
        "math.format": format_number,
        "math.is_number": lambda value: (
            isinstance(value, int | float) and not isinstance(value, bool)
        ),
        "math.minus": _of_two("math.minus", lambda left, right: left - right),
        "math.modulo": _of_two("math.modulo", _modulo),
        "math.plus": _of_two("math.plus", lambda left, right: left + right),
        "math.round": _round,
        "math.times": _of_two("math.times", _multiply),
        "date.add_days": _adding("days"),
        "date.add_hours": _adding("hours"),
        "date.add_milliseconds": _adding("milliseconds"),
        "date.add_minutes": _adding("minutes"),
        "date.add_months": lambda value, months: _add_months(value, months, 1),
        "date.add_seconds": _adding("seconds"),
        "date.add_years": lambda value, years: _add_months(value, years, 12),
        "date.parse": _parse,
        "date.to_string": format_date,
    }


def format_number(value: Any, pattern: Any, culture: Any = "") -> str | None:
    """A number in one of .NET's formats `F2`, `N2`, `D5`, `0.00`, `#,##0.00`.

    Raises:
        RecordError: Another format, or another culture than English.
    """
    _check_culture("math.format", culture)
    number = read_number(value, "math.format")
    if number is None:
        return None
    text = to_text(pattern)
    standard, custom = _FORMAT.fullmatch(text), _CUSTOM_FORMAT.fullmatch(text)
    if custom:
        digits, decimals = len(custom[2]), len(custom[3] or "")
        if custom[1]:
            return f"{number:,.{decimals}f}"
        return f"{number:0{digits + decimals + bool(decimals) + (number < 0)}.{decimals}f}"
    if standard and standard[1] in "Dd":
        return f"{int(number):0{int(standard[2] or 0) + (number < 0)}d}"
    if standard:
        group = "," if standard[1] in "Nn" else ""
        return f"{number:{group}.{int(standard[2] or 2)}f}"
    raise template_error("math.format knows F2, N2, D5, 0.00 and #,##0.00")


def format_date(value: Any, pattern: Any = "%d %b %Y", culture: Any = "") -> str | None:
    """A date put out by a pattern such as `%Y-%m-%d`, in English.

    Args:
        value: A date, or text in ISO 8601; nothing gives nothing.
        pattern: With the letters of strftime.
        culture: Only English ones are known.

    Raises:
        RecordError: It is no date, or the pattern has an unknown letter.
    """
    _check_culture("date.to_string", culture)
    moment = _moment(value, "date.to_string")
    if moment is None:
        return None

    def put(match: re.Match[str]) -> str:
        letter = match[1]
        if letter not in _LETTERS:
            raise template_error(f'date.to_string: "%{letter}" has no meaning')
        return _LETTERS[letter](moment)

    return re.sub(r"%(.?)", put, to_text(pattern), flags=re.DOTALL)


def _check_culture(function: str, culture: Any) -> None:
    text = to_text(culture)
    if text and not text.lower().startswith("en"):
        raise template_error(f'{function}: texts are English; "{text[:20]}" is not available')


def _of_one(name: str, function: Callable[[Number], Number]) -> Callable[..., Any]:
    def compute(value: Any) -> Number | None:
        number = read_number(value, name)
        return None if number is None else tidy(function(number))

    return compute


def _of_two(name: str, function: Callable[[Number, Number], Number]) -> Callable[..., Any]:
    def compute(value: Any, operand: Any) -> Number | None:
        left, right = read_number(value, name), read_number(operand, name)
        return None if left is None or right is None else tidy(function(left, right))

    return compute


def _divide(left: Number, right: Number) -> Number:
    # Scriban: a whole divisor gives a whole result.
    return left // right if isinstance(right, int) else left / right


def _modulo(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return math.fmod(left, right)


def _multiply(left: Number, right: Number) -> Number:
    if (
        isinstance(left, int)
        and isinstance(right, int)
        and left.bit_length() + right.bit_length() > 1024
    ):
        raise template_error("math.times: the product is too large a number")
    return left * right


def _round(value: Any, digits: Any = 0) -> Number | None:
    number = read_number(value, "math.round")
    if number is None:
        return None
    places = read_count(digits, "math.round")
    if not 0 <= places <= 15:
        raise template_error("math.round: 0 to 15 decimals")
    return tidy(round(number, places))


def _moment(value: Any, function: str) -> datetime | None:
    if is_nothing(value):
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = parse_date(value)
        except (ValueError, OverflowError):
            raise template_error(
                f'{function}: "{value[:40]}" is not a date in ISO 8601;'
                ' for others use date.parse("%d/%m/%Y")'
            ) from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=timezone.utc)
    raise template_error(f"{function}: a date is needed")


def _parse(text: Any, pattern: Any = None) -> datetime | None:
    if isinstance(text, datetime | date) or pattern is None:
        return _moment(text, "date.parse")
    written = to_text(text).strip()
    if not written:
        return None
    try:
        moment = datetime.strptime(written, to_text(pattern))  # noqa: DTZ007  # aware below
    except (ValueError, re.error):
        raise template_error(
            f'date.parse: "{written[:40]}" is not of the form "{to_text(pattern)[:40]}"'
        ) from None
    return _moment(moment, "date.parse")


def _adding(unit: str) -> Callable[..., Any]:
    def add(value: Any, amount: Any) -> datetime | None:
        moment = _moment(value, f"date.add_{unit}")
        number = read_number(amount, f"date.add_{unit}")
        if moment is None or number is None:
            return None
        return moment + timedelta(**{unit: number})

    return add


def _add_months(value: Any, amount: Any, factor: int) -> datetime | None:
    moment = _moment(value, "date.add_months")
    if moment is None:
        return None
    months = moment.month - 1 + factor * read_count(amount, "date.add_months")
    year, month = moment.year + months // 12, months % 12 + 1
    first_of_next = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=timezone.utc)
    last_day = (first_of_next - timedelta(days=1)).day
    return moment.replace(year=year, month=month, day=min(moment.day, last_day))


def _offset(moment: datetime) -> str:
    text = moment.strftime("%z") or "+0000"
    return f"{text[:3]}:{text[3:5]}"


_LETTERS: dict[str, Callable[[datetime], str]] = {
    "a": lambda d: _DAYS[d.weekday()][:3],
    "A": lambda d: _DAYS[d.weekday()],
    "b": lambda d: _MONTHS[d.month - 1][:3],
    "B": lambda d: _MONTHS[d.month - 1],
    "c": lambda d: format_date(d, "%a %b %e %H:%M:%S %Y") or "",
    "C": lambda d: f"{d.year // 100:02}",
    "d": lambda d: f"{d.day:02}",
    "D": lambda d: f"{d.month:02}/{d.day:02}/{d.year % 100:02}",
    "e": lambda d: f"{d.day:2}",
    "F": lambda d: d.date().isoformat(),
    "h": lambda d: _MONTHS[d.month - 1][:3],
    "H": lambda d: f"{d.hour:02}",
    "I": lambda d: f"{d.hour % 12 or 12:02}",
    "j": lambda d: f"{d.timetuple().tm_yday:03}",
    "k": lambda d: f"{d.hour:2}",
    "l": lambda d: f"{d.hour % 12 or 12:2}",
    "L": lambda d: f"{d.microsecond // 1000:03}",
    "m": lambda d: f"{d.month:02}",
    "M": lambda d: f"{d.minute:02}",
    "n": lambda _: "\n",
    "N": lambda d: f"{d.microsecond * 1000:09}",
    "p": lambda d: "AM" if d.hour < 12 else "PM",
    "P": lambda d: "am" if d.hour < 12 else "pm",
    "r": lambda d: format_date(d, "%I:%M:%S %p") or "",
    "R": lambda d: f"{d.hour:02}:{d.minute:02}",
    "s": lambda d: str(int(d.timestamp())),
    "S": lambda d: f"{d.second:02}",
    "t": lambda _: "\t",
    "T": lambda d: f"{d.hour:02}:{d.minute:02}:{d.second:02}",
    "u": lambda d: str(d.isoweekday()),
    "U": lambda d: f"{(d.timetuple().tm_yday + 6 - (d.weekday() + 1) % 7) // 7:02}",
    "v": lambda d: f"{d.day:2}-{_MONTHS[d.month - 1][:3].upper()}-{d.year:04}",
    "V": lambda d: f"{d.isocalendar()[1]:02}",
    "w": lambda d: str(d.isoweekday() % 7),
    "W": lambda d: f"{(d.timetuple().tm_yday + 6 - d.weekday()) // 7:02}",
    "x": lambda d: f"{d.month:02}/{d.day:02}/{d.year % 100:02}",
    "X": lambda d: f"{d.hour:02}:{d.minute:02}:{d.second:02}",
    "y": lambda d: f"{d.year % 100:02}",
    "Y": lambda d: f"{d.year:04}",
    "z": _offset,
    "Z": _offset,
    "%": lambda _: "%",
}
