import pytest

from sync_pipeline.config.loading import parse_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination, resolve_pagination
from sync_pipeline.errors import ConfigError

REST = """
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping: {id: x}
"""
DATABASE = """
contentType: product
contentKeyField: id
connectionString: sqlite:///x.db
query: select * from t limit {{ limit }} offset {{ skip }}
mapping: {id: x}
"""


def resolve(text: str, base: str = REST) -> Pagination:
    config, _ = parse_config(base + text, key="products")
    return resolve_pagination(config)


CASES = {
    "nothing": ("", Pagination(type="none")),
    "type none": ("pagination: {type: none, totalPath: t}", Pagination(type="none", total_path="t")),
    "in a block": (
        "pagination: {limitKey: limit, skipKey: offset, limitMax: 1000}",
        Pagination(type="offset", limit_key="limit", skip_key="offset", page_size=1000),
    ),
    "offset without limit key": (
        "pagination: {skipKey: offset, limitMax: 10}",
        Pagination(type="offset", skip_key="offset", page_size=10),
    ),
    "offset stated, size as pageSize": (
        "pagination: {type: offset, skipKey: o, pageSize: 10}",
        Pagination(type="offset", skip_key="o", page_size=10),
    ),
    "page size means pages from zero": (
        "pagination: {limitKey: size, skipKey: page, pageSize: 50}\nresultsTotalPagesPath: meta.pages",
        Pagination(
            type="page", limit_key="size", skip_key="page", page_size=50, total_pages_path="meta.pages",
            first_page=0,
        ),
    ),
    "page size wins over limitMax": (
        "pagination: {skipKey: page, pageSize: 50, limitMax: 1000}",
        Pagination(type="page", skip_key="page", page_size=50, first_page=0),
    ),
    "inferred pages from another first": (
        "pagination: {skipKey: page, pageSize: 50, firstPage: 3}",
        Pagination(type="page", skip_key="page", page_size=50, first_page=3),
    ),
    "stated pages from one": (
        "pagination: {type: page, skipKey: page, limitMax: 50, hasMorePath: more}",
        Pagination(type="page", skip_key="page", page_size=50, first_page=1, has_more_path="more"),
    ),
    "stated pages from zero": (
        "pagination: {type: page, skipKey: page, firstPage: 0}",
        Pagination(type="page", skip_key="page", first_page=0),
    ),
    "cursor": (
        "pagination: {type: cursor, cursorPath: next, cursorKey: after, limitKey: n, limitMax: 5}",
        Pagination(
            type="cursor", cursor_path="next", cursor_key="after", limit_key="n", page_size=5
        ),
    ),
    "next url": (
        "pagination: {type: nextUrl, nextUrlPath: links.next}",
        Pagination(type="next_url", next_url_path="links.next"),
    ),
    "link header": ("pagination: {type: link_header}", Pagination(type="link_header")),
    "the original's continuation": (
        "continuationTokenHeader: X-Next",
        Pagination(type="continuation_header", header="X-Next"),
    ),
    "stated continuation": (
        "pagination: {type: continuation_header, header: X-Next}",
        Pagination(type="continuation_header", header="X-Next"),
    ),
    "continuation named outside": (
        "continuationTokenHeader: X-Next\npagination: {type: continuation_header}",
        Pagination(type="continuation_header", header="X-Next"),
    ),
    "pagination comes before continuation": (
        "continuationTokenHeader: X-Next\npagination: {skipKey: o, limitMax: 5}",
        Pagination(type="offset", skip_key="o", page_size=5),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_paging_is_resolved(text: str, expected: Pagination) -> None:
    assert resolve(text) == expected


def test_a_database_names_limit_and_offset_in_its_query() -> None:
    paging = resolve("pagination: {limitKey: limit, skipKey: skip, limitMax: 500}", DATABASE)
    assert paging == Pagination(type="offset", limit_key="limit", skip_key="skip", page_size=500)


def test_a_database_without_pagination_runs_its_query_once() -> None:
    assert resolve("", DATABASE) == Pagination(type="none")


def test_a_config_that_was_not_loaded_is_refused_rather_than_guessed() -> None:
    config = SyncConfig.model_validate({
        "key": "a", "content_type": "a", "content_key_field": "id", "end_point": "https://x/",
        "mapping": [{"field_name": "id", "expression": "x"}],
        "pagination": Pagination(type="cursor"),
    })  # fmt: skip
    with pytest.raises(ConfigError, match="cursorPath"):
        resolve_pagination(config)
