"""Collections of entries and assets: a query string to SQL, a page to JSON.

Rows are read one by one and counted against the response bound, so a page never needs more memory
than the largest answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from sync_pipeline.local_space.api_error import ApiError, bad_request, invalid_query
from sync_pipeline.local_space.checks.publishing import mime_group
from sync_pipeline.local_space.queries.filters import (
    OPERATORS,
    Condition,
    build_condition,
    full_text_condition,
    link_condition,
    near_order,
    order_expression,
)
from sync_pipeline.local_space.queries.paths import resolve_path, unknown_path
from sync_pipeline.local_space.queries.selection import Selection, read_selection
from sync_pipeline.local_space.store.database import RECORD_COLUMNS
from sync_pipeline.local_space.store.records import Kind, Record, render
from sync_pipeline.local_space.store.store import Scope
from sync_pipeline.local_space.store.value_index import ensure_index, text_literal

MAX_RESPONSE_BYTES = 7_340_032
MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
#: Fewer entries are read through faster than an index on their values is made.
_INDEX_FROM = 500

_PUBLISHED_COLUMNS = ", ".join(
    {
        "fields": "coalesce(published_fields, fields) AS fields",
        "published_fields": "NULL AS published_fields",
    }.get(column, column)
    for column in RECORD_COLUMNS.split(", ")
)
_PARAMETER = re.compile(r"(?P<path>[^\[\]]+)(?:\[(?P<operator>[^\]]*)\])?\Z")
#: Accepted and without effect on the CMA.
_WITHOUT_EFFECT = frozenset({"include", "locale", "access_token"})

Parameters = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Query:
    """A parsed query."""

    kind: Kind
    #: Only what is published, as it was published.
    is_published: bool = False
    content_type: str | None = None
    skip: int = 0
    limit: int = DEFAULT_LIMIT
    conditions: list[Condition] = field(default_factory=list)
    order: list[Condition] = field(default_factory=list)
    selection: Selection | None = None
    #: True where the client pages by cursor.
    cursor: bool = False
    #: What `pageNext` or `pagePrev` said.
    position: tuple[str, str] | None = None


def parse_query(
    scope: Scope, kind: Kind, parameters: Parameters, *, is_published: bool = False
) -> Query:
    """The query string of a collection request.

    Raises:
        ApiError: 400 `InvalidQuery`.
    """
    query = Query(kind, is_published)
    given = dict(parameters)
    if "content_type" in given and kind == "Entry":
        query.content_type = given["content_type"]
        if query.content_type not in scope.model.types:
            raise invalid_query([{"name": "unknownContentType", "value": query.content_type}])
    orders: list[str] = []
    for name, value in parameters:
        if name in ("skip", "limit"):
            number = read_number(name, value)
            setattr(query, name, number)
        elif name in _WITHOUT_EFFECT or (name == "content_type" and kind == "Entry"):
            continue
        elif name == "order" or name.startswith("order["):
            orders += [part for part in value.split(",") if part]
        elif name == "select" or name.startswith("select["):
            selected = read_selection(scope, kind, query.content_type, value)
            query.selection = (
                selected if query.selection is None else query.selection.joined(selected)
            )
        elif name == "query":
            query.conditions.append(full_text_condition(value))
        elif name in ("links_to_entry", "links_to_asset"):
            link_type = "Entry" if name == "links_to_entry" else "Asset"
            query.conditions.append(link_condition(link_type, value))
        elif name == "mimetype_group" and kind == "Asset":
            query.conditions.append(_mime_condition(scope, value))
        elif name == "cursor":
            query.cursor = value == "true"
        elif name in ("pageNext", "pagePrev"):
            query.cursor = True
            query.position = (name, value)
        else:
            _add_filter(scope, query, name, value)
    for part in orders:
        path = resolve_path(scope, kind, query.content_type, part.lstrip("-"))
        direction = "DESC" if part.startswith("-") else "ASC"
        nulls = " NULLS LAST" if path.is_nullable else ""
        query.order.append(Condition(f"{order_expression(path)} {direction}{nulls}"))
    if query.limit > MAX_LIMIT:
        raise invalid_limit(query.limit)
    return query


def invalid_limit(limit: int) -> ApiError:
    """400 for more than 1000 items a page."""
    return invalid_query(
        [
            {
                "name": "range",
                "path": ["limit"],
                "max": MAX_LIMIT,
                "value": limit,
                "details": f"limit must be at most {MAX_LIMIT}",
            }
        ]
    )


def read_number(name: str, value: str) -> int:
    """`skip` or `limit`.

    Raises:
        ApiError: 400 `InvalidQuery` for anything but a whole number that is not negative.
    """
    if not re.fullmatch(r"\d{1,18}", value):
        raise invalid_query(
            [], f'The value provided for "{name}" is invalid. Please provide a valid number value'
        )
    return int(value)


def _add_filter(scope: Scope, query: Query, name: str, value: str) -> None:
    match = _PARAMETER.match(name)
    if match is None:
        raise unknown_path(name)
    path = resolve_path(scope, query.kind, query.content_type, match["path"])
    operator = match["operator"]
    if operator is not None and operator not in OPERATORS:
        return  # the service ignores operators that it does not know, and returns everything
    query.conditions.append(build_condition(path, operator or "", value))
    if operator == "near":
        query.order.append(near_order(path, value))


def _mime_condition(scope: Scope, group: str) -> Condition:
    path = resolve_path(scope, "Asset", None, "fields.file.contentType")
    types = {
        row[0]
        for row in scope.store.execute(
            f"SELECT DISTINCT {path.sql} FROM entries WHERE env = ? AND kind = 'Asset'",
            (scope.env,),
        )
        if isinstance(row[0], str) and mime_group(row[0]) == group
    }
    return Condition(f"{path.sql} IN ({', '.join('?' * len(types))})", tuple(types))


def _table(scope: Scope, query: Query) -> str:
    """What to read from: a table, or a subquery that shows what is published as current."""
    table = "entries" if scope.store.index_delay is None else "entries_shown"
    if not query.is_published:
        return table
    return f"(SELECT {_PUBLISHED_COLUMNS} FROM {table} WHERE published_version IS NOT NULL)"


def _source(scope: Scope, query: Query) -> tuple[str, str, list[Any]]:
    """FROM (with the index to use), WHERE, and its bound values."""
    table = _table(scope, query)
    where = [f"env = {scope.env}", f"kind = '{query.kind}'"]
    if query.content_type is not None:
        where.append(f"content_type = {text_literal(query.content_type)}")
    source = table
    for condition in query.conditions:
        if query.is_published or not (condition.index and query.content_type):
            continue
        if _is_large(scope, table, query.content_type):
            field_id, locale, tail = condition.index
            index = ensure_index(
                scope.store,
                table,
                env=scope.env,
                content_type=query.content_type,
                field_id=field_id,
                locale=locale,
                tail=tail,
            )
            source = f'{table} INDEXED BY "{index.name}"'
            break
    values: list[Any] = []
    for condition in query.conditions:
        where.append(f"({condition.sql})")
        values += condition.values
    return source, " AND ".join(where), values


def _is_large(scope: Scope, table: str, content_type: str) -> bool:
    (count,) = scope.store.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE env = {scope.env} AND kind = 'Entry' "
        f"AND content_type = {text_literal(content_type)} LIMIT {_INDEX_FROM})"
    ).fetchone()
    return bool(count == _INDEX_FROM)


def read_collection(
    scope: Scope, kind: Kind, parameters: Parameters, *, is_published: bool = False
) -> bytes:
    """The answer to a collection request, as JSON; `is_published`: of what is published.

    Raises:
        ApiError: 400 `InvalidQuery`, or 400 `BadRequest` when the answer would pass 7 MB.
    """
    query = parse_query(scope, kind, parameters, is_published=is_published)
    if query.cursor:
        return _cursor_page(scope, query, parameters)
    source, where, values = _source(scope, query)
    (total,) = scope.store.execute(
        f"SELECT count(*) FROM {source} WHERE {where}", values
    ).fetchone()
    order = query.order or [Condition("updated_at DESC")]
    by = ", ".join(part.sql for part in order) + ", id"
    order_values = [value for part in order for value in part.values]
    # The page is picked from an index alone where there is one, so that what `skip` passes over is
    # not read; CROSS JOIN keeps SQLite from walking all rows in order and asking for each.
    rows = scope.store.execute(
        f"SELECT {RECORD_COLUMNS} FROM (SELECT row AS chosen FROM {source} "
        f"WHERE {where} ORDER BY {by} LIMIT ? OFFSET ?) CROSS JOIN {_table(scope, query)} "
        f"ON row = chosen ORDER BY {by}",
        [*values, *order_values, query.limit, query.skip, *order_values],
    )
    items = list(_rendered(scope, query, rows))
    answer = {
        "sys": {"type": "Array"},
        "total": total,
        "skip": query.skip,
        "limit": query.limit,
        "items": items,
    }
    return within_bound(orjson.dumps(answer))


def within_bound(body: bytes) -> bytes:
    """The body, if it may be sent.

    Raises:
        ApiError: 400 `BadRequest` past 7 MB.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise response_too_big()
    return body


def response_too_big() -> ApiError:
    """400 for an answer of more than 7 MB; a smaller `limit` helps."""
    return bad_request(
        f"Response size too big. Maximum allowed response size: {MAX_RESPONSE_BYTES}B."
    )


def _rendered(scope: Scope, query: Query, rows: Iterator[Any]) -> Iterator[orjson.Fragment]:
    show: Callable[[Record, Scope], dict[str, Any]] = (
        render if query.selection is None else query.selection.render
    )
    size = 0
    for row in rows:
        item = orjson.dumps(show(Record(*row), scope))
        size += len(item) + 1
        if size > MAX_RESPONSE_BYTES:
            raise response_too_big()
        yield orjson.Fragment(item)


def _cursor_page(scope: Scope, query: Query, parameters: Parameters) -> bytes:
    """A page by cursor: no total; without `order` in the order of creation, which later writes
    cannot disturb.
    """
    source, where, values = _source(scope, query)
    direction, start = _read_position(query)
    skip = 0
    if query.order:
        skip = start if direction == "pageNext" else max(start - query.limit, 0)
        by = ", ".join(part.sql for part in query.order) + ", id"
        values += [value for part in query.order for value in part.values]
    elif direction == "pagePrev":
        where += f" AND row < {start}"
        by = "row DESC"
    else:
        where += f" AND row > {start}"
        by = "row"
    rows = scope.store.execute(
        f"SELECT {RECORD_COLUMNS} FROM {source} WHERE {where} ORDER BY {by} LIMIT ? OFFSET ?",
        [*values, query.limit + 1, skip],
    ).fetchmany(query.limit + 1)
    has_more = len(rows) > query.limit
    rows = rows[: query.limit]
    backwards = by == "row DESC"
    if backwards:
        rows.reverse()
    pages: dict[str, str] = {}
    if rows and (has_more or backwards):
        after = skip + len(rows) if query.order else rows[-1][0]
        pages["next"] = _page_link(scope, query, parameters, "pageNext", after)
    if rows and (has_more if backwards else start > 0):
        before = skip if query.order else rows[0][0]
        pages["prev"] = _page_link(scope, query, parameters, "pagePrev", before)
    answer = {
        "sys": {"type": "Array"},
        "limit": query.limit,
        "pages": pages,
        "items": list(_rendered(scope, query, iter(rows))),
    }
    return within_bound(orjson.dumps(answer))


def _read_position(query: Query) -> tuple[str, int]:
    if query.position is None:
        return "pageNext", 0
    return query.position[0], read_position(*query.position)


def read_position(name: str, token: str) -> int:
    """What `page_link` put into `pageNext` or `pagePrev`.

    Raises:
        ApiError: 400 `InvalidQuery` for anything else.
    """
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
        position = int(text)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise invalid_query([{"name": "value", "path": [name], "value": token}]) from error
    if not 0 <= position < 2**63:
        raise invalid_query([{"name": "value", "path": [name], "value": token}])
    return position


def _page_link(scope: Scope, query: Query, parameters: Parameters, name: str, position: int) -> str:
    path = "entries" if query.kind == "Entry" else "assets"
    if query.is_published:
        path = f"public/{path}"
    return page_link(f"{scope.path}/{path}", parameters, name, position)


def page_link(path: str, parameters: Parameters, name: str, position: int) -> str:
    """The address of the next (`pageNext`) or previous (`pagePrev`) page."""
    token = base64.urlsafe_b64encode(str(position).encode()).decode()
    kept = [
        (key, value)
        for key, value in parameters
        if key not in ("pageNext", "pagePrev", "cursor", "access_token")
    ]
    return f"{path}?{urlencode([*kept, (name, token)])}"
