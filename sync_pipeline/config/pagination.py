"""Which way of paging a config means, with every parameter spelled out.

Two styles are inferred, as in the history of the original; the others are stated::

    pagination: {skipKey: offset, limitKey: limit, limitMax: 1000}    offset: skip += 1000
    pagination: {skipKey: page, limitKey: size, pageSize: 100}        page: 0, 1, 2, ...
    continuationTokenHeader: X-Next                                   continuation_header
    pagination: {type: cursor, cursorPath: meta.next, cursorKey: cursor}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sync_pipeline.config.model import Pagination, SyncConfig
from sync_pipeline.errors import ConfigError

Style: TypeAlias = Literal[
    "offset", "page", "cursor", "next_url", "link_header", "continuation_header", "none"
]


@dataclass(frozen=True, slots=True)
class ResolvedPagination:
    """How to get from one page to the next; nothing is left to be inferred."""

    style: Style
    #: Query parameter (database: template variable) that carries the page size; None: not sent.
    limit_key: str | None = None
    #: Query parameter (database: template variable) that carries the offset or the page's number.
    skip_key: str | None = None
    #: Records that a full page holds and the step of the offset; None: not known, so a short page
    #: says nothing.
    page_size: int | None = None
    #: First value of `skip_key`: 0 for offsets, the number of the first page for pages.
    first: int = 0
    #: JSON path of the next cursor in the body.
    cursor_path: str | None = None
    #: Query parameter that carries the cursor.
    cursor_key: str | None = None
    #: JSON path of the next URL in the body.
    next_url_path: str | None = None
    #: Response header whose value is sent back as a request header of the same name.
    header: str | None = None
    #: JSON path of the number of records in all.
    total_path: str | None = None
    #: JSON path of the number of pages in all.
    total_pages_path: str | None = None
    #: JSON path of a boolean; false ends the extraction.
    has_more_path: str | None = None


_SIZE_KEYS = ("limit_key", "limit_max", "page_size")
_STOP_KEYS = ("total_path", "total_pages_path", "has_more_path")

#: What each style needs, and what it can use on top.
_NEEDED: dict[str, tuple[str, ...]] = {
    "offset": ("skip_key",),
    "page": ("skip_key",),
    "cursor": ("cursor_path", "cursor_key"),
    "next_url": ("next_url_path",),
    "link_header": (),
    "continuation_header": ("header",),
    "none": (),
}
_USED: dict[str, tuple[str, ...]] = {
    "offset": _SIZE_KEYS + _STOP_KEYS,
    "page": (*_SIZE_KEYS, *_STOP_KEYS, "first_page"),
    "cursor": _SIZE_KEYS + _STOP_KEYS,
    "next_url": _SIZE_KEYS + _STOP_KEYS,
    "link_header": _SIZE_KEYS + _STOP_KEYS,
    "continuation_header": _SIZE_KEYS + _STOP_KEYS,
    "none": ("total_path",),
}
#: Keys that give a style away where `type` is missing, for the message.
_HINTS = {
    "cursor_path": "cursor",
    "cursor_key": "cursor",
    "next_url_path": "next_url",
    "header": "continuation_header",
    "first_page": "page",
}


def resolve_pagination(config: SyncConfig) -> ResolvedPagination:
    """The way of paging that a config means. Pure.

    Raises:
        ConfigError: The keys of `pagination` contradict each other or leave the style open; a
            config from `load_config` has been checked already.
    """
    for key, message in pagination_problems(config):
        raise ConfigError(message, file=config.path, key=f"pagination.{key}".rstrip("."))
    stated = config.pagination
    style = _style(config) or "none"
    if stated is None:
        return ResolvedPagination(
            style,
            header=config.continuation_token_header if style == "continuation_header" else None,
            total_pages_path=config.results_total_pages_path,
        )
    first = 0
    if style == "page":
        inferred = 0 if stated.type is None else 1
        first = inferred if stated.first_page is None else stated.first_page
    if style == "page":
        page_size = stated.page_size or stated.limit_max
    else:
        page_size = stated.limit_max or stated.page_size
    return ResolvedPagination(
        style=style,
        limit_key=stated.limit_key,
        skip_key=stated.skip_key,
        page_size=page_size,
        first=first,
        cursor_path=stated.cursor_path,
        cursor_key=stated.cursor_key,
        next_url_path=stated.next_url_path,
        header=(
            (stated.header or config.continuation_token_header)
            if style == "continuation_header"
            else None
        ),
        total_path=stated.total_path,
        total_pages_path=stated.total_pages_path or config.results_total_pages_path,
        has_more_path=stated.has_more_path,
    )


def pagination_problems(config: SyncConfig) -> Iterator[tuple[str, str]]:
    """What is wrong with the block, as (key of the block by the model's name or "", message)."""
    stated = config.pagination
    if stated is None:
        return
    style = _style(config)
    present = {name for name in Pagination.model_fields if getattr(stated, name) is not None}
    present.discard("type")
    if config.source_type == "database":
        yield from _database_problems(stated, present)
        return
    if style is None:
        named = sorted({_HINTS[name] for name in present & _HINTS.keys()})
        fix = (
            f"add `type: {named[0]}`"
            if len(named) == 1
            else "add `limitMax` (offset style) or `pageSize` (page style), or state `type`"
        )
        yield "", f"does not say how to page; {fix}"
        return
    if style == "continuation_header" and config.continuation_token_header and not stated.header:
        present.add("header")
    for name in _NEEDED[style]:
        if name not in present:
            yield "", f"style {style} needs `{_camel(name)}`; add it"
    usable = {*_NEEDED[style], *_USED[style]}
    if style == "continuation_header":
        usable.add("header")
    for name in sorted(present - usable):
        hint = f"; for that style state `type: {_HINTS[name]}`" if name in _HINTS else ""
        yield name, f"is not used by style {style}; remove it{hint}"
    if style == "offset" and not present & {"limit_max", "page_size"}:
        yield "", "style offset needs `limitMax`, the records per page and step of the offset"
    if (
        stated.type is not None
        and {"limit_max", "page_size"} <= present
        and stated.limit_max != stated.page_size
    ):
        yield "page_size", "contradicts `limitMax`; keep one of them"
    if "limit_key" in present and not present & {"limit_max", "page_size"}:
        yield "limit_key", "has no value to send; add `limitMax`, the records per page"
    keys = [stated.limit_key, stated.skip_key, stated.cursor_key]
    named_keys = [key for key in keys if key is not None]
    if len(set(named_keys)) < len(named_keys):
        yield "", "sends two values in one query parameter; give the keys different names"
    if (
        stated.header is not None
        and config.continuation_token_header is not None
        and stated.header.casefold() != config.continuation_token_header.casefold()
    ):
        yield "header", "contradicts `continuationTokenHeader`; keep one of them"
    total_pages = config.results_total_pages_path
    if stated.total_pages_path and total_pages and stated.total_pages_path != total_pages:
        yield "total_pages_path", "contradicts `resultsTotalPagesPath`; keep one of them"


#: Names that templates already have.
_NOT_VARIABLES = frozenset({"row", "var", "config", "cute"})


def _database_problems(stated: Pagination, present: set[str]) -> Iterator[tuple[str, str]]:
    if stated.type not in (None, "offset", "none"):
        yield "type", f"{stated.type} is not for databases; use offset"
        return
    for name in sorted(present - {"limit_key", "skip_key", "limit_max"}):
        yield name, "is not used by databases; remove it"
    missing = [name for name in ("limit_key", "skip_key", "limit_max") if name not in present]
    if stated.type == "none":
        for name in sorted(present & {"limit_key", "skip_key", "limit_max"}):
            yield name, "is not used by style none; remove it"
        return
    for name in ("limit_key", "skip_key"):
        variable = getattr(stated, name)
        if variable is not None and (not variable.isidentifier() or variable in _NOT_VARIABLES):
            yield name, "must be a name that the query can use as variable, such as limit"
    if missing:
        names = ", ".join(f"`{_camel(name)}`" for name in missing)
        message = (
            f"needs {names}: the query names limit and offset by these variables; "
            "without `pagination` the query runs once and is streamed"
        )
        yield "", message


def _style(config: SyncConfig) -> Style | None:
    """The stated style, else the inferred one; None where the block leaves it open."""
    stated = config.pagination
    if stated is None:
        return "continuation_header" if config.continuation_token_header else "none"
    if stated.type is not None:
        return stated.type
    if stated.page_size is not None:
        return "page"
    if stated.limit_max is not None:
        return "offset"
    return None


def _camel(name: str) -> str:
    return Pagination.model_fields[name].alias or name
