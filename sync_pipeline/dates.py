"""Dates as text: ISO 8601 in the shapes that APIs and databases write, to whole seconds."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

_COMMON_OFFSETS = {
    tail + zone: "+00:00"
    for tail in ("", ".000", ".000000", ".0000000")
    for zone in ("", "Z", "+00:00")
}
_ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:[Tt ]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"\s*(?P<offset>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_COMPACT = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:[Tt](?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:[.,][0-9]+)?)?"
    r"(?P<offset>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def parse_date(text: str) -> date | datetime:
    """A date, or an aware date and time cut to the second; without an offset it counts as UTC.

    Raises:
        ValueError: It is no ISO 8601 date, or no such day exists.
    """
    match = _ISO.fullmatch(text.strip()) or _COMPACT.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an ISO 8601 date")
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if match["hour"] is None:
        return date(year, month, day)
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    zone = timezone(_offset(match["offset"]))
    if (hour, minute, second) == (24, 0, 0):  # ISO's end of the day
        return datetime(year, month, day, tzinfo=zone) + timedelta(days=1)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone)


def normalize_date(text: str) -> str:
    """`2024-05-01`, or `2024-05-01T08:00:00+02:00`.

    Raises:
        ValueError: See `parse_date`.
    """
    # Almost every API writes one of these shapes; for them no regular expression is needed.
    offset = _COMMON_OFFSETS.get(text[19:])
    if offset and text[4:17:3] == "--T::" and text[11:13] != "24":
        try:
            datetime.fromisoformat(text[:19])
        except ValueError:
            pass  # the way below has the message
        else:
            return text[:19] + offset
    return parse_date(text).isoformat()


def _offset(text: str | None) -> timedelta:
    if not text or text in "Zz":
        return timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if minutes > 59:
        raise ValueError("not an ISO 8601 offset")
    distance = timedelta(hours=hours, minutes=minutes)
    return -distance if text[0] == "-" else distance
