"""What a response declares about paging, in its body and its headers.

A value that is there and says "no more" (`null`, `""`, `false`, a `Link` header without `next`) is
a fact. One that is not there at all is `missing`, and what that means depends on the pages before:
`path_watch` decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipeline.config.pagination import FACTS, Pagination, places_in_body, places_in_headers
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats import Found
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.styles import style_of
from sync_pipeline.suggestions import nearest

#: Headers that no API pages by, left out of messages.
_COMMON_HEADERS = re.compile(
    r"accept-ranges|age|allow|alt-svc|cache-control|connection|content-.*|cross-origin-.*|date|etag"
    r"|expires|keep-alive|last-modified|location|nel|pragma|referrer-policy|report.*|retry-after"
    r"|server|server-timing|set-cookie|strict-transport-security|trailer|transfer-encoding|upgrade"
    r"|vary|via|warning|www-authenticate|x-content-type-options|x-frame-options|x-powered-by"
    r"|x-request-id|x-xss-protection",
    re.IGNORECASE,
)
_HEADERS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Missing:
    """A declared place at which an answer has nothing."""

    #: `nothing at pagination.cursorPath 'meta.next': $ is an object with the keys a, b`.
    text: str
    #: See `Found.is_blocked`.
    is_blocked: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """The values that a response declares about paging, as far as the plan asks for them."""

    total: int | None = None
    total_pages: int | None = None
    has_more: bool | None = None
    token: str | None = None
    #: Worth a warning; "" mostly.
    notice: str = ""
    #: Keys of the config whose places the answer has.
    seen: frozenset[str] = frozenset()
    #: And those that it has not.
    missing: Mapping[str, Missing] = field(default_factory=dict)
    #: The one of them that leads to the next page; "" where none does.
    pointer: str = ""
    #: Whether the body has any of them.
    is_in_body: bool = False


def read_declared(answer: Answer, plan: Pagination, look_up: Callable[[str], Found]) -> Declared:
    """Read what the plan asks for.

    Args:
        answer: Its headers count.
        plan: The source's style.
        look_up: What is at a JSON path of the body.

    Raises:
        SourceDataError: A value is there and cannot be what it is declared to be.
    """
    style = style_of(plan)
    paths = places_in_body(plan)
    found = {key: look_up(path) for key, path in paths.items()}
    missing = {
        key: Missing(f"nothing at {path!r} ({key}): {found[key].miss}", found[key].is_blocked)
        for key, path in paths.items()
        if not found[key].is_there
    }
    seen = found.keys() - missing.keys()
    is_in_body = bool(seen)
    values: dict[str, Any] = {key: place.value for key, place in found.items()}
    following = style.read_next(plan, answer, values)
    headers: dict[str, str | None] = {**places_in_headers(plan), style.pointer: style.header(plan)}
    for key, header in headers.items():
        if header is not None and header in answer.headers:
            seen.add(key)
            values[key] = answer.headers[header]
        elif header is not None:
            missing[key] = _missing_header(answer, header)
    return Declared(
        **_read_facts(values, answer.name),
        token=following.token,
        notice=following.notice,
        seen=frozenset(seen),
        missing=missing,
        pointer=style.pointer,
        is_in_body=is_in_body,
    )


def _read_facts(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What the places say about all records, by the names that `Declared` has for it.

    Of two that say the same, more records count: better one request too many than records lost.
    """
    facts: dict[str, Any] = {}
    for key, says in FACTS.items():
        read = _read_flag if says.fact == "has_more" else _read_count
        value = read(values.get(key), key, where)
        if value is None:
            continue
        value = not value if says.is_opposite else value
        facts[says.fact] = max(value, facts.get(says.fact, value))
    return facts


def _missing_header(answer: Answer, wanted: str) -> Missing:
    names = [name for name in answer.headers if not _COMMON_HEADERS.fullmatch(name)]
    near = nearest(wanted, names)
    hint = f"; did you mean {near!r}?" if near else ""
    shown = ", ".join(name[:60] for name in names[:_HEADERS_SHOWN]) or "none but the usual ones"
    return Missing(f"no header {wanted!r}: its headers are {shown}{hint}")


def _read_count(value: Any, key: str, where: str) -> int | None:
    if value is None:
        return None
    number = value
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        number = int(value)
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    is_whole = is_number and (isinstance(number, int) or number.is_integer())
    if not is_whole or number < 0:
        raise SourceDataError(
            f"{where}: the value at {key} is no whole number, 0 or more. Correct the path, or take "
            f"it out"
        )
    return int(number)


def _read_flag(value: Any, key: str, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, str)) and str(value).strip().lower() in _FLAGS:
        return _FLAGS[str(value).strip().lower()]
    raise SourceDataError(f"{where}: the value at {key} is no boolean. Correct the path")


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
