"""What a response declares about paging, in its body and its headers.

A value that is there and says "no more" (`null`, `""`, `false`, a `Link` header without `next`) is
a fact. One that is not there at all is `missing`, and what that means depends on the pages before:
`extract.path_watch` decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from sync_pipeline.config.pagination import ResolvedPagination
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats import Found
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.http.sessions import is_http_url
from sync_pipeline.extract.rest.paging.link_header import NextLink, UnreadableLinkError, find_next
from sync_pipeline.suggestions import nearest

#: The keys of a config whose places in an answer are read.
TOTAL = "pagination.totalPath"
TOTAL_PAGES = "resultsTotalPagesPath"
HAS_MORE = "pagination.hasMorePath"
CURSOR = "pagination.cursorPath"
NEXT_URL = "pagination.nextUrlPath"
HEADER = "continuationTokenHeader"
LINK = "the Link header"
#: Those that lead to the next page.
POINTERS = frozenset({CURSOR, NEXT_URL, HEADER, LINK})

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


def paths_of(plan: ResolvedPagination) -> tuple[str, ...]:
    """The JSON paths that a plan reads in a body."""
    return tuple(dict.fromkeys(path for _, path in _paths(plan)))


def read_declared(
    answer: Answer, plan: ResolvedPagination, look_up: Callable[[str], Found]
) -> Declared:
    """Read what the plan asks for.

    Args:
        answer: Its headers count.
        plan: The source's style.
        look_up: What is at a JSON path of the body.

    Raises:
        SourceDataError: A value is there and cannot be what it is declared to be.
    """
    found = {key: look_up(path) for key, path in _paths(plan)}
    missing = {
        key: Missing(f"nothing at {path!r} ({key}): {found[key].miss}", found[key].is_blocked)
        for key, path in _paths(plan)
        if not found[key].is_there
    }
    values = {key: place.value for key, place in found.items()}
    where = answer.name
    token, notice = _read_token(answer, plan, values)
    by_header = _missing_header(answer, plan)
    header = LINK if plan.style == "link_header" else HEADER
    if plan.style in ("link_header", "continuation_header") and by_header is None:
        found[header] = Found(True)
    elif by_header is not None:
        missing[header] = by_header
    return Declared(
        total=_read_count(values.get(TOTAL), TOTAL, where),
        total_pages=_read_count(values.get(TOTAL_PAGES), TOTAL_PAGES, where),
        has_more=_read_flag(values.get(HAS_MORE), where),
        token=token,
        notice=notice,
        seen=frozenset(found).difference(missing),
        missing=missing,
    )


def _paths(plan: ResolvedPagination) -> Iterator[tuple[str, str]]:
    places = {
        TOTAL: plan.total_path,
        TOTAL_PAGES: plan.total_pages_path,
        HAS_MORE: plan.has_more_path,
        CURSOR: plan.cursor_path if plan.style == "cursor" else None,
        NEXT_URL: plan.next_url_path if plan.style == "next_url" else None,
    }
    for key, path in places.items():
        if path:
            yield key, path


def _missing_header(answer: Answer, plan: ResolvedPagination) -> Missing | None:
    wanted = {"link_header": "Link", "continuation_header": plan.header or ""}.get(plan.style)
    if wanted is None or wanted in answer.headers:
        return None
    names = [name for name in answer.headers if not _COMMON_HEADERS.fullmatch(name)]
    near = nearest(wanted, names)
    hint = f"; did you mean {near!r}?" if near else ""
    shown = ", ".join(name[:60] for name in names[:_HEADERS_SHOWN]) or "none but the usual ones"
    return Missing(f"no header {wanted!r}: its headers are {shown}{hint}")


def _read_token(
    answer: Answer, plan: ResolvedPagination, values: Mapping[str, Any]
) -> tuple[str | None, str]:
    """Cursor, URL or header value of the next page, and what is worth a warning."""
    if plan.style == "cursor":
        return _read_text(values.get(CURSOR), CURSOR, answer.name), ""
    if plan.style == "next_url":
        text = _read_text(values.get(NEXT_URL), NEXT_URL, answer.name)
        return _join(answer, text.strip()) if text and text.strip() else None, ""
    if plan.style == "link_header":
        link = _read_link(answer)
        return link.url, link.notice
    if plan.style == "continuation_header" and plan.header:
        return answer.headers.get(plan.header) or None, ""
    return None, ""


def _read_link(answer: Answer) -> NextLink:
    try:
        found = find_next(answer.headers.get("Link", ""), answer.url)
    except UnreadableLinkError as err:
        raise SourceDataError(
            f"{answer.name}: {err}. Whether more records follow cannot be told: mend the source, "
            f"or page by another style"
        ) from err
    return found if found.url is None else NextLink(_join(answer, found.url))


def _join(answer: Answer, target: str) -> str:
    """The URL of the next page, which may be relative."""
    try:
        url = urljoin(answer.url, target)
    except ValueError:
        url = ""
    if not is_http_url(url):
        raise SourceDataError(
            f"{answer.name}: what it names as the URL of the next page is none. Check `pagination`"
        )
    return url


def _read_text(value: Any, key: str, where: str) -> str | None:
    if value is None or value is False or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
    raise SourceDataError(
        f"{where}: the value at {key} is neither a text nor a number. Correct the path"
    )


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


def _read_flag(value: Any, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, str)) and str(value).strip().lower() in _FLAGS:
        return _FLAGS[str(value).strip().lower()]
    raise SourceDataError(
        f"{where}: the value at pagination.hasMorePath is no boolean. Correct the path"
    )


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
