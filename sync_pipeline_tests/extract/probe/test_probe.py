"""What `probe` proposes for APIs of every style: a file that loads, and reads every record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.config.loading import load_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceDataError, SourceError, UsageError
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.extract.probe.config_file import render_yaml
from sync_pipeline.extract.probe.paging import PagingGuess
from sync_pipeline.extract.probe.probing import MAX_REQUESTS, ProbeResult, probe
from sync_pipeline.extract.probe.shape import guess_fields, guess_key
from sync_pipeline_tests.extract.answering_server import Answer, serving

PRODUCTS: list[dict[str, Any]] = [
    {"id": at, "name": f"product {at}", "price": at * 1.5, "active": True, "none": None,
     "tags": ["a"], "size": {"w": at, "h-x": "1"}, "parts": [{"x": 1}], "made": "2024-01-02"}
    for at in range(1, 24)
]  # fmt: skip
PAGE = 10

Api = Callable[[str, dict[str, str], dict[str, str]], Any]


def answering(api: Api) -> Callable[[str, dict[str, str], bytes], Answer]:
    """`api(path, query, headers)` gives a JSON document, or status, headers and document."""

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(path).query).items()}
        found = api(path, query, headers)
        status, further, document = found if isinstance(found, tuple) else (200, {}, found)
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        return status, {"Content-Type": "application/json", **further}, payload

    return answer


def cut(begin: int, size: int) -> list[dict[str, Any]]:
    return PRODUCTS[begin : begin + min(size, 15)]


def offset_api(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin, size = int(query.get("offset", 0)), int(query.get("limit", PAGE))
    return {"data": cut(begin, size), "total": len(PRODUCTS)}


def skip_with_echo(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin, size = int(query.get("skip", 0)), int(query.get("limit", PAGE))
    return {"products": cut(begin, size), "skip": begin, "limit": size}


def page_from_1(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    page, size = int(query.get("page", 1)), int(query.get("per_page", PAGE))
    return cut((page - 1) * size, size)


def page_from_0(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    page, size = int(query.get("page", 0)), int(query.get("size", PAGE))
    pages = -(-len(PRODUCTS) // size)
    return {"content": cut(page * size, size), "totalPages": pages, "size": size, "page": page}


def odata(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    if unknown := set(query) - {"$top", "$skip"}:
        return 400, {}, {"error": f"unknown {unknown}"}
    begin, size = int(query.get("$skip", 0)), int(query.get("$top", PAGE))
    return {"value": cut(begin, size), "@odata.count": len(PRODUCTS)}


def next_url(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin = int(query.get("from", 0))
    following = f"/products?from={begin + PAGE}" if begin + PAGE < len(PRODUCTS) else None
    return {"links": {"next": following, "self": path}, "items": cut(begin, PAGE)}


def odata_next(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin = int(query.get("from", 0))
    document: dict[str, Any] = {"value": cut(begin, PAGE)}
    if begin + PAGE < len(PRODUCTS):
        document["@odata.nextLink"] = f"http://{headers['Host']}/products?from={begin + PAGE}"
    return document


def cursor_api(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin = int(query.get("cursor", "c0")[1:])
    following = f"c{begin + PAGE}" if begin + PAGE < len(PRODUCTS) else None
    return {
        "meta": {"next_cursor": following, "has_more": following is not None},
        "data": cut(begin, PAGE),
    }


def page_token(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin = int(query.get("pageToken", "t0")[1:])
    document: dict[str, Any] = {"items": cut(begin, PAGE)}
    if begin + PAGE < len(PRODUCTS):
        document["nextPageToken"] = f"t{begin + PAGE}"
    return document


def link_header(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    page = int(query.get("p", 1))
    link = f'</products?p={page + 1}>; rel="next"' if page * PAGE < len(PRODUCTS) else ""
    return 200, {"Link": link} if link else {}, cut((page - 1) * PAGE, PAGE)


def continuation(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    begin = int(headers.get("X-Continuation-Token", "0"))
    more = begin + PAGE < len(PRODUCTS)
    return 200, {"X-Continuation-Token": str(begin + PAGE)} if more else {}, cut(begin, PAGE)


def everything(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    return PRODUCTS


def everything_counted(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
    return {"results": PRODUCTS, "total": len(PRODUCTS)}


def write(result: ProbeResult, path: Path) -> SyncConfig:
    file = path / "products.yaml"
    file.write_text(render_yaml(result), encoding="utf-8")
    return load_config(file)


def read_all(config: SyncConfig, **variables: str) -> list[Any]:
    source = open_source(config, SourceSetting(variables=variables, sleep=lambda _: None))
    try:
        return [record for page in source.fetch_pages() for record in page.records]
    finally:
        source.close()


@pytest.mark.parametrize(
    ("api", "style", "path"),
    [
        pytest.param(offset_api, "offset", "data", id="offset"),
        pytest.param(skip_with_echo, "offset", "products", id="skip, echoed"),
        pytest.param(page_from_1, "page", None, id="page from 1"),
        pytest.param(page_from_0, "page", "content", id="page from 0"),
        pytest.param(odata, "offset", "value", id="$top and $skip, strict"),
        pytest.param(next_url, "next_url", "items", id="next URL"),
        pytest.param(odata_next, "next_url", "value", id="@odata.nextLink"),
        pytest.param(cursor_api, "cursor", "data", id="cursor"),
        pytest.param(page_token, "cursor", "items", id="page token"),
        pytest.param(link_header, "link_header", None, id="Link header"),
        pytest.param(continuation, "continuation_header", None, id="continuation header"),
        pytest.param(everything, None, None, id="everything"),
        pytest.param(everything_counted, None, "results", id="everything, counted"),
    ],
)
def test_the_proposed_file_loads_and_reads_every_record(
    api: Api, style: str | None, path: str | None, tmp_path: Path
) -> None:
    with serving(answering(api)) as server:
        result = probe(f"{server.url}/products")
        assert len(server.asked) == result.requests <= MAX_REQUESTS
        config = write(result, tmp_path)
        assert (config.pagination and config.pagination.type) == style
        assert config.results_json_path == path
        assert config.content_key_field == "id"
        assert config.content_type == "product"
        assert read_all(config) == PRODUCTS


def test_fields_are_proposed_from_the_sample(tmp_path: Path) -> None:
    with serving(answering(everything)) as server:
        result = probe(f"{server.url}/products")
    config = write(result, tmp_path)
    assert {rule.field_name: rule.expression for rule in config.mapping} == {
        "id": "{{ row.id }}",
        "name": "{{ row.name }}",
        "price": "{{ row.price }}",
        "active": "{{ row.active }}",
        "none": "{{ row['none'] }}",
        "tags": "{{ row.tags }}",
        "sizeW": "{{ row.size.w }}",
        "sizeHX": "{{ row.size['h-x'] }}",
        "made": "{{ row.made }}",
    }
    text = render_yaml(result)
    assert "# date" in text
    assert "left out (lists of objects, deeper objects): parts" in text


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        pytest.param("text/csv", b"sku;name\n1;a\n2;b\n", "csv", id="CSV"),
        pytest.param("application/octet-stream", b"sku,name\n1,a\n", "csv", id="CSV, not declared"),
        pytest.param("application/x-ndjson", b'{"sku": 1}\n{"sku": 2}\n', "jsonl", id="JSON Lines"),
        pytest.param(
            "text/plain", b'{"sku": 1}\n{"sku": 2}\n', "jsonl", id="JSON Lines, not declared"
        ),
        pytest.param("application/json", b'{"sku": 1, "name": "x"}', "json", id="one record"),
    ],
)
def test_other_formats_are_told(header: str, body: bytes, expected: str, tmp_path: Path) -> None:
    with serving(lambda *_: (200, {"Content-Type": header}, body)) as server:
        config = write(probe(f"{server.url}/export"), tmp_path)
        assert config.results_format == expected
        assert config.content_key_field == "sku"
        assert read_all(config)


def test_secrets_of_url_and_headers_become_variables(tmp_path: Path) -> None:
    secrets = {"SYNC_API_KEY": "k3y-value", "SYNC_AUTHORIZATION": "s3cret-token"}
    with serving(answering(offset_api)) as server:
        result = probe(
            f"{server.url}/products?api_key=k3y-value&lang=en&limit=5",
            headers={"Authorization": "Bearer s3cret-token", "Accept": "application/json"},
        )
        text = render_yaml(result)
        assert [secret for secret in secrets.values() if secret in text] == []
        config = write(result, tmp_path)
        assert config.headers == {
            "Authorization": "Bearer {{ config.SYNC_AUTHORIZATION }}", "Accept": "application/json",
        }  # fmt: skip
        assert config.query_parameters == {"api_key": "{{ config.SYNC_API_KEY }}", "lang": "en"}
        assert config.pagination is not None
        assert config.pagination.limit_max == 5
        assert read_all(config, **secrets) == PRODUCTS
        assert "api_key=k3y-value" in server.asked[-1]


def test_a_huge_answer_is_read_to_its_bound_only(tmp_path: Path) -> None:
    body = json.dumps(
        {"meta": {"x": 1}, "data": [{"id": at, "n": "x" * 50} for at in range(20_000)]}
    )
    with serving(lambda *_: (200, {}, body.encode())) as server:
        result = probe(f"{server.url}/things", max_bytes=100_000)
    assert result.results_json_path == "data"
    assert result.key_column == "id"
    assert result.requests == 1
    text = render_yaml(result)
    assert "larger than the 100,000 bytes" in text
    assert "not read to its end" in text
    csv_body = b"id,name\n" + b"1,some name\n" * 20_000
    with serving(lambda *_: (200, {"Content-Type": "text/csv"}, csv_body)) as server:
        assert probe(f"{server.url}/things", max_bytes=10_001).sampled == 500


def test_what_is_unsure_is_said() -> None:
    def api(path: str, query: dict[str, str], headers: dict[str, str]) -> Any:
        return {"data": PRODUCTS[:10], "others": [{"a": 1}], "total": 400}

    with serving(answering(api)) as server:
        text = render_yaml(probe(f"{server.url}/x"))
    assert "other arrays of objects: others (1)" in text
    assert "has 400 records and answered 10" in text
    assert "? the id of the content type" in text
    with serving(answering(lambda *_: [{"n": 1}, {"n": 1}])) as server:
        text = render_yaml(probe(f"{server.url}/x"))
    assert re.sub(r"\n# +", " ", text).count("choose the key yourself") == 1


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        pytest.param(401, b"{}", SourceError, "401", id="401"),
        pytest.param(200, b"<html></html>", SourceDataError, "HTML", id="HTML"),
        pytest.param(200, b"<?xml version='1.0'?><a/>", SourceDataError, "XML", id="XML"),
        pytest.param(200, b"[]", SourceDataError, "no records", id="empty array"),
        pytest.param(200, b"", SourceDataError, "neither JSON nor CSV", id="nothing"),
        pytest.param(200, b"[nonsense", SourceDataError, "JSON", id="broken JSON"),
        pytest.param(200, b"just a text", SourceDataError, "neither JSON nor CSV", id="text"),
    ],
)
def test_a_source_without_records_is_a_clear_error(
    status: int, body: bytes, error: type[Exception], message: str
) -> None:
    with serving(lambda *_: (status, {}, body)) as server, pytest.raises(error, match=message):
        probe(f"{server.url}/x?token=s3cret")


def test_a_source_that_cannot_be_reached_and_a_wrong_url_are_told() -> None:
    with serving(answering(everything)) as server:
        gone = server.url
    with pytest.raises(SourceError, match="refused"):
        probe(gone)
    for url in ("products.json", "http://[", "http://127.0.0.1:99999/x"):
        with pytest.raises(UsageError, match="no URL"):
            probe(url)


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:99999/x"])
def test_a_next_page_that_is_no_url_is_not_proposed(url: str) -> None:
    body = json.dumps({"items": PRODUCTS[:3], "next": url}).encode()
    headers = {"Content-Type": "application/json", "Link": f'<{url}>; rel="next"'}
    with serving(lambda *_: (200, headers, body)) as server:
        assert probe(server.url).paging.block == {"type": "none"}


def test_a_redirect_to_no_url_is_a_clear_error() -> None:
    with (
        serving(lambda *_: (302, {"Location": "http://["}, b"")) as server,
        pytest.raises(SourceError, match="a redirect leads to no URL"),
    ):
        probe(server.url)


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ([{"name": "a", "id": 1}, {"name": "b", "id": 2}], "id"),
        ([{"name": "a", "productId": "x"}, {"name": "b", "productId": "y"}], "productId"),
        ([{"paid": 1, "country_code": "x"}, {"paid": 2, "country_code": "y"}], "country_code"),
        ([{"id": None, "sku": 1}, {"id": 2, "sku": 2}], "sku"),
        ([{"id": True}, {"id": False}], None),
        ([{"id": 1}, {"id": "1"}], None),
        ([{"id": 1.5}, {"id": 2.5}], None),
        ([{"title": "a"}, {"title": "b"}], "title"),
    ],
)
def test_the_key_is_a_unique_filled_column_called_like_one(
    rows: list[Any], key: str | None
) -> None:
    assert guess_key(rows)[0] == key


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            JSON,
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_records_give_a_file_that_loads(tmp_path_factory: Any, rows: list[Any]) -> None:
    fields, left_out = guess_fields(rows)
    key, note = guess_key(rows)
    result = ProbeResult(
        url="https://api.example/v1/all things?a=%7B%7B1&b=2&b=3", headers={"X": "{{ y }}"}, results_format="json",
        results_json_path="", paging=PagingGuess({"type": "none"}), key_column=key, fields=fields,
        left_out=left_out, sampled=len(rows), requests=1, notes={"key": [note]} if note else {},
    )  # fmt: skip
    config = write(result, tmp_path_factory.mktemp("probe"))
    assert len(config.mapping) == max(1, len(fields))
