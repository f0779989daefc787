"""Which way of paging a config means, with every parameter spelled out.

Two styles are inferred, as in the history of the original; the others are stated::

    pagination: {skipKey: offset, limitKey: limit, limitMax: 1000}    offset: skip += 1000
    pagination: {skipKey: page, limitKey: size, pageSize: 100}        page: 0, 1, 2, ...
    continuationTokenHeader: X-Next                                   continuation_header
    pagination: {type: cursor, cursorPath: meta.next, cursorKey: cursor}

A style is declared here by the keys that it has. What it does with them is one object, in the
module of its name in `extract.rest.paging.styles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field

from sync_pipeline.config.frozen import FrozenModel
from sync_pipeline.config.sources import KINDS
from sync_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from sync_pipeline.config.model import SyncConfig

_SIZE_KEYS = ("limit_key", "limit_max", "page_size")
_STOP_KEYS = (
    "total_path", "total_pages_path", "has_more_path", "is_last_path",
    "total_header", "total_pages_header",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StyleKeys:
    """The keys of the block that a style has."""

    #: What it cannot do without.
    needs: tuple[str, ...] = ()
    #: What it can use on top.
    uses: tuple[str, ...] = _SIZE_KEYS + _STOP_KEYS
    #: Whether it goes on by the size of a page, which then must be stated.
    needs_size: bool = False


#: All styles. Of a key that several have, the first one is proposed where `type` is missing.
STYLES = {
    "offset": StyleKeys(needs=("skip_key",), needs_size=True),
    "page": StyleKeys(needs=("skip_key",), uses=(*_SIZE_KEYS, *_STOP_KEYS, "first_page")),
    "cursor": StyleKeys(needs=("cursor_path", "cursor_key")),
    "next_url": StyleKeys(
        needs=("next_url_path",), uses=(*_SIZE_KEYS, *_STOP_KEYS, "next_url_base_path")
    ),
    "link_header": StyleKeys(),
    "continuation_header": StyleKeys(needs=("header",)),
    "none": StyleKeys(uses=("total_path",)),
}

if TYPE_CHECKING:
    StyleName: TypeAlias = str
else:
    StyleName = Literal[tuple(STYLES)]


Fact: TypeAlias = Literal["total", "total_pages", "has_more"]


class Says(NamedTuple):
    """Marks a key that names a place where answers say something about all records.

    Whether that is in the body or the headers, the end of its name tells: `_path` or `_header`.
    """

    fact: Fact
    #: A flag that says the opposite: true at the end.
    is_opposite: bool = False


class Pagination(FrozenModel):
    """How to get from one page to the next. See `docs/sources.md` for one example a style."""

    type: StyleName | None = None
    """Stated style; without it inferred: `pageSize` means page, `limitMax` means offset."""
    limit_key: str | None = None
    """Query parameter (database: template variable) that carries the page size."""
    skip_key: str | None = None
    """Query parameter (database: template variable) that carries the offset or page index."""
    limit_max: int | None = Field(default=None, ge=1)
    """Records per page, offset style and others."""
    page_size: int | None = Field(default=None, ge=1)
    """Records per page, page style."""
    first_page: int | None = Field(default=None, ge=0)
    """Number of the first page; 0 where the style is inferred from `pageSize`, 1 where `type: page`
    is stated."""
    cursor_path: str | None = None
    """JSON path of the next cursor in the body."""
    cursor_key: str | None = None
    """Query parameter that carries the cursor."""
    next_url_path: str | None = None
    """JSON path of the next URL in the body; relative URLs are resolved."""
    next_url_base_path: str | None = None
    """JSON path of the URL that next URLs are appended to, where the body has one."""
    header: str | None = None
    """Continuation header (same as `continuationTokenHeader`)."""
    total_path: Annotated[str | None, Says("total")] = None
    """JSON path of the number of records in all."""
    total_pages_path: Annotated[str | None, Says("total_pages")] = None
    """JSON path of the number of pages in all (same as `resultsTotalPagesPath`)."""
    has_more_path: Annotated[str | None, Says("has_more")] = None
    """JSON path of a boolean: false ends the extraction."""
    is_last_path: Annotated[str | None, Says("has_more", is_opposite=True)] = None
    """JSON path of a boolean: true ends the extraction."""
    total_header: Annotated[str | None, Says("total")] = None
    """Response header with the number of records in all."""
    total_pages_header: Annotated[str | None, Says("total_pages")] = None
    """Response header with the number of pages in all."""

    @property
    def style(self) -> str:
        """The stated style: of a resolved block the style."""
        return self.type or "none"


def label_of(name: str) -> str:
    """What messages call a key of the block."""
    return "resultsTotalPagesPath" if name == "total_pages_path" else f"pagination.{_camel(name)}"


def _camel(name: str) -> str:
    return Pagination.model_fields[name].alias or name


#: What is said about all records at which place, by the name of the place in messages.
FACTS = {
    label_of(name): mark
    for name, info in Pagination.model_fields.items()
    for mark in info.metadata
    if isinstance(mark, Says)
}

#: Keys that may stand outside of the block, by the name of the top-level key.
_OUTSIDE = {"header": "continuation_token_header", "total_pages_path": "results_total_pages_path"}
#: Keys that give a style away where `type` is missing, for the message.
_HINTS = {
    key: name
    for name, keys in reversed(STYLES.items())
    for key in (*keys.needs, *keys.uses)
    if key not in {*_SIZE_KEYS, *_STOP_KEYS, *STYLES["offset"].needs}
}


def resolve_pagination(config: SyncConfig) -> Pagination:
    """The way of paging that a config means, with nothing left to be inferred. Pure.

    Its `page_size` holds the records of a full page, whichever key stated them; None: not known, so
    a short page says nothing.

    Raises:
        ConfigError: The keys of `pagination` contradict each other or leave the style open; a
            config from `load_config` has been checked already.
    """
    for key, message in pagination_problems(config):
        raise ConfigError(message, file=config.path, key=f"pagination.{key}".rstrip("."))
    style = _style(config) or "none"
    stated = config.pagination or Pagination()
    is_by_header = "header" in STYLES[style].needs
    first, size = None, stated.limit_max or stated.page_size
    if "first_page" in STYLES[style].uses:
        inferred = 0 if stated.type is None else 1
        first = inferred if stated.first_page is None else stated.first_page
        size = stated.page_size or stated.limit_max
    return stated.model_copy(
        update={
            "type": style,
            "page_size": size,
            "limit_max": None,
            "first_page": first,
            "header": (stated.header or config.continuation_token_header if is_by_header else None),
            "total_pages_path": stated.total_pages_path or config.results_total_pages_path,
        }
    )


def places_in_body(plan: Pagination) -> dict[str, str]:
    """The JSON paths at which answers are read, by the key that states each."""
    return _stated(plan, "_path")


def places_in_headers(plan: Pagination) -> dict[str, str]:
    """The headers that say something about all records, by the key that states each."""
    return _stated(plan, "_header")


def _stated(plan: Pagination, ending: str) -> dict[str, str]:
    return {
        label_of(name): place
        for name in Pagination.model_fields
        if name.endswith(ending) and (place := getattr(plan, name)) is not None
    }


def keys_that_say(plan: Pagination, *facts: Fact) -> list[str]:
    """The stated keys whose places say one of the facts, or any where none is given."""
    stated = (*places_in_body(plan), *places_in_headers(plan))
    return [key for key in stated if key in FACTS and (not facts or FACTS[key].fact in facts)]


def pagination_problems(config: SyncConfig) -> Iterator[tuple[str, str]]:
    """What is wrong with the block, as (key of the block by the model's name or "", message)."""
    stated = config.pagination
    if stated is None:
        return
    style = _style(config)
    present = {name for name in Pagination.model_fields if getattr(stated, name) is not None}
    present.discard("type")
    if KINDS[config.source_type].pages_by_variables:
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
    keys = STYLES[style]
    present.update(
        name for name in keys.needs if name in _OUTSIDE and getattr(config, _OUTSIDE[name])
    )
    for name in keys.needs:
        if name not in present:
            yield "", f"style {style} needs `{_camel(name)}`; add it"
    for name in sorted(present.difference(keys.needs, keys.uses)):
        hint = f"; for that style state `type: {_HINTS[name]}`" if name in _HINTS else ""
        yield name, f"is not used by style {style}; remove it{hint}"
    if keys.needs_size and not present & {"limit_max", "page_size"}:
        yield "", f"style {style} needs `limitMax`, the records per page and step of the offset"
    if (
        stated.type is not None
        and {"limit_max", "page_size"} <= present
        and stated.limit_max != stated.page_size
    ):
        yield "page_size", "contradicts `limitMax`; keep one of them"
    if "limit_key" in present and not present & {"limit_max", "page_size"}:
        yield "limit_key", "has no value to send; add `limitMax`, the records per page"
    sent = (stated.limit_key, stated.skip_key, stated.cursor_key)
    named_keys = [key for key in sent if key is not None]
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


def _style(config: SyncConfig) -> str | None:
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
