"""Large responses: cut into chunks, resumed by record, re-read where they break."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import gzip
import io
import itertools
import json
import tracemalloc
import zipfile

import pytest

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.http.client import HttpRequest, SourceHttp
from sync_pipeline.extract.http.sessions import SessionPerThread, SourceSession
from sync_pipeline.extract.rest.reading import CHUNK_RECORDS, MEMORY_BYTES
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import (
    config_of,
    fetch_all,
    opened,
    pagination_of,
    records_of,
)

COUNT = 3500


def csv_of(rows):
    return "".join(["id,name\n", *(f"{row['id']},{row['name']}\n" for row in rows)]).encode()


def zip_of(rows):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", csv_of(rows))
    return file.getvalue()


FORMATS = {
    "json": lambda rows: json.dumps({"items": rows}).encode(),
    "jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "csv": csv_of,
    "zippedCsv": zip_of,
}


def as_read(rows, kind):
    if kind in ("csv", "zippedCsv"):
        return [{name: str(value) for name, value in row.items()} for row in rows]
    return rows


def config(api, kind, **values):
    path = "items" if kind == "json" else None
    return config_of(api.url, **{"resultsFormat": kind, "resultsJsonPath": path, **values})


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000, COUNT])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_single_response_comes_in_chunks(kind, count):
    body = FORMATS[kind](numbered(count))
    with serve(lambda _r: Reply(body)) as api, opened(config(api, kind)) as source:
        pages = list(source.fetch_pages())
    assert records_of(pages) == as_read(numbered(count), kind)
    assert [len(page.records) for page in pages[:-1]] == [CHUNK_RECORDS] * (len(pages) - 1)
    assert [page.requests for page in pages] == [1] + [0] * (len(pages) - 1)
    assert pages[-1].checkpoint is None
    assert all(page.checkpoint["record"] for page in pages[:-1])


@pytest.mark.parametrize("kind", FORMATS)
def test_resuming_within_a_response_passes_over_what_was_kept(kind):
    body = FORMATS[kind](numbered(COUNT))
    with serve(lambda _r: Reply(body)) as api:
        with opened(config(api, kind)) as source:
            pages = list(itertools.islice(source.fetch_pages(), 2))
        with opened(config(api, kind)) as source:
            rest = list(source.fetch_pages(json.loads(json.dumps(pages[-1].checkpoint))))
    assert records_of(pages) + records_of(rest) == as_read(numbered(COUNT), kind)
    assert [page.number for page in rest] == [3, 4]
    assert len(api.requests) == 2


CHANGES = {
    "one more": lambda rows: [{"id": -1, "name": "new"}, *rows],
    "one fewer": lambda rows: rows[1:],
    "the last kept one gone": lambda rows: rows[:1999] + rows[2000:],
    "another order": lambda rows: rows[::-1],
    "fewer than were kept": lambda rows: rows[:500],
}


def paged(kind):
    """One large page of CSV, and a last one after it."""
    return {"pagination": pagination_of("link_header")} if kind == "paged csv" else {}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("kind", [*FORMATS, "paged csv"])
def test_resuming_within_a_response_that_has_changed_loses_no_record(kind, change, caplog):
    """The number of a record says nothing any more; what comes twice is merged."""
    bodies = itertools.chain([numbered(COUNT)], itertools.repeat(change(numbered(COUNT))))
    format_ = kind.removeprefix("paged ")
    with serve(lambda _r: Reply(FORMATS[format_](next(bodies)))) as api:
        config_ = config(api, format_, **paged(kind))
        with opened(config_) as source:
            pages = list(itertools.islice(source.fetch_pages(), 2))
        with opened(config_) as source:
            rest = list(source.fetch_pages(json.loads(json.dumps(pages[-1].checkpoint))))
    assert records_of(rest) == as_read(change(numbered(COUNT)), format_)
    assert "has changed since its first 2000 records were kept" in caplog.text
    assert rest[-1].checkpoint is None


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_a_stream_that_breaks_and_has_changed_is_read_from_its_first_record(kind, change, caplog):
    rows = [{"id": i, "name": "x" * 400} for i in range(6000)]
    body, changed = FORMATS[kind](rows), FORMATS[kind](change(rows))
    replies = iter([Reply(body, cut_after=1_400_000), Reply(changed), Reply(changed)])
    with serve(lambda _r: next(replies)) as api:
        records = fetch_all(config(api, kind))
    assert records[-len(change(rows)) :] == as_read(change(rows), kind)
    assert records[: -len(change(rows))] == as_read(rows, kind)[:3000]
    assert "has changed since its first 3000 records were kept" in caplog.text


def test_a_stream_that_breaks_and_is_another_one_each_time_is_an_error():
    numbers = itertools.count()

    def route(_request):
        first = next(numbers)
        rows = [{"id": i, "name": "x" * 400} for i in range(first, first + 6000)]
        return Reply(FORMATS["csv"](rows), cut_after=1_000_000)

    with serve(route) as api, pytest.raises(SourceDataError, match="is another one each time"):
        fetch_all(config(api, "csv"))
    assert len(api.requests) < 10


@pytest.mark.parametrize("limit", [1, 1000, 1001, 5000])
def test_a_limit_cuts_the_last_chunk(limit):
    body = FORMATS["json"](numbered(COUNT))
    with serve(lambda _r: Reply(body)) as api:
        assert fetch_all(config(api, "json"), limit=limit) == numbered(COUNT)[:limit]


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_a_stream_that_breaks_goes_on_after_the_records_that_were_read(kind):
    """Every answer is cut a little later than the one before; no attempts are used up by it."""
    rows = [{"id": i, "name": "x" * 400} for i in range(6000)]
    body = FORMATS[kind](rows)
    cuts = iter([100, 500_000, 1_100_000, 1_700_000, 2_300_000, None])
    slept = []
    with serve(lambda _r: Reply(body, cut_after=next(cuts))) as api:
        records = fetch_all(config(api, kind, retries=2), sleep=slept.append)
    assert records == as_read(rows, kind)
    assert len(api.requests) == 6
    assert len(slept) == 5


@pytest.mark.parametrize("style", ["offset", "cursor"])
def test_pages_larger_than_memory_come_in_chunks_with_their_paging(style):
    text = "x" * 6000
    rows = [{"id": i, "text": text} for i in range(3200)]
    assert len(json.dumps(rows[:1500])) > MEMORY_BYTES
    catalogue = Catalogue(rows, style, declares=("total", "hasMore"))
    with serve(catalogue) as api:
        block = pagination_of(style, ("total", "hasMore"), 1500)
        config = config_of(api.url, pagination=block)
        with opened(config) as source:
            pages = list(source.fetch_pages())
        assert [page.records[0]["id"] for page in pages] == [0, 1000, 1500, 2500, 3000]
        assert sum(len(page.records) for page in pages) == 3200
        assert {page.total for page in pages} == {3200}
        for kept in (1, 2):
            rest = fetch_all(config, resume_from=json.loads(json.dumps(pages[kept - 1].checkpoint)))
            assert [r["id"] for r in rest] == list(range(pages[kept].records[0]["id"], 3200))


ODD_TEXTS = {
    "a long integer": (str(2**70), str.encode),
    "UTF-16": ("1", lambda text: text.encode("utf-16")),
    "a byte order mark": ("1", lambda text: text.encode("utf-8-sig")),
    "latin-1": ('"\xe9"', lambda text: text.encode("latin-1")),
    "gzip": ("1", lambda text: gzip.compress(text.encode(), 1)),
}


@pytest.mark.parametrize(("value", "encode"), ODD_TEXTS.values(), ids=list(ODD_TEXTS))
def test_the_cursor_after_the_records_of_a_large_page_is_found_in_any_text(value, encode):
    rows = [{"id": i, "text": "x" * 6000} for i in range(1500)]
    text = json.dumps({"items": [{"id": "@"}, *rows], "meta": {"next": "c1"}})
    body = encode(text.replace('"@"', value))
    headers = {"Content-Type": "application/json; charset=iso-8859-1"}

    def route(request):
        if "cursor" in request.query:
            return Reply({"items": [{"id": "last"}], "meta": {"next": None}})
        return Reply(body, headers=headers if "xe9" in ascii(value) else {})

    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=pagination_of("cursor")))
    assert [record["id"] for record in records] == [json.loads(value), *range(1500), "last"]


def test_a_large_page_names_the_next_one_under_a_name_that_is_no_path():
    rows = [{"id": i, "text": "x" * 6000} for i in range(1500)]

    def route(request):
        if "after" in request.query:
            return Reply({"items": [{"id": "last"}]})
        return Reply({"items": rows, "@odata.nextLink": "?after=1"})

    block = {"type": "next_url", "nextUrlPath": "@odata.nextLink"}
    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=block))
    assert [record["id"] for record in records] == [*range(1500), "last"]


def test_a_small_page_that_unpacks_to_a_large_one_is_not_held_whole():
    """A gzip stream of 40 KB may hold gigabytes."""
    count = 40_000
    page = {"items": [{"id": i, "text": "x" * 1000} for i in range(count)], "hasMore": False}
    body = gzip.compress(json.dumps(page).encode())
    config = {"pagination": pagination_of("offset", ("hasMore",), count)}
    with (
        serve(lambda _r: Reply(body)) as api,
        opened(config_of(api.url, **config)) as source,
    ):
        tracemalloc.start()
        records = sum(len(page.records) for page in source.fetch_pages())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert records == count
    assert peak < 5 * MEMORY_BYTES


@pytest.mark.parametrize("kept", [1, 2, 3])
@pytest.mark.parametrize("style", ["offset", "page", "continuation_header"])
def test_a_limit_holds_for_a_resume_within_a_page(style, kept):
    def route(request):
        reply = Catalogue(numbered(6000), style)(request)
        return Reply(csv_of(reply.body["items"]), headers=reply.headers)

    with serve(route) as api:
        config_ = config(api, "csv", pagination=pagination_of(style, size=5000))
        with opened(config_, limit=3500) as source:
            pages = list(itertools.islice(source.fetch_pages(), kept))
        rest = fetch_all(config_, limit=3500, resume_from=pages[-1].checkpoint)
    assert records_of(pages) + rest == as_read(numbered(3500), "csv")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("style", ["offset", "page", "link_header", "continuation_header"])
def test_formats_without_a_body_to_look_into_can_be_paged(style, kind):
    def route(request):
        reply = Catalogue(numbered(2500), style)(request)
        return Reply(FORMATS[kind](reply.body["items"]), headers=reply.headers)

    with serve(route) as api:
        config_ = config(api, kind, pagination=pagination_of(style, size=1100))
        with opened(config_) as source:
            pages = list(source.fetch_pages())
        assert records_of(pages) == as_read(numbered(2500), kind)
        for kept, page in enumerate(pages, 1):
            if page.checkpoint is not None:
                rest = fetch_all(config_, resume_from=json.loads(json.dumps(page.checkpoint)))
                assert records_of(pages[:kept]) + rest == as_read(numbered(2500), kind)


@pytest.mark.parametrize(("size", "is_error"), [(10, True), (1000, False)])
def test_csv_that_ignores_paging_is_read_once_or_an_error(size, is_error):
    with serve(lambda _r: Reply(csv_of(numbered(30)))) as api:
        config_ = config(api, "csv", pagination=pagination_of("offset", size=size))
        if is_error:
            with pytest.raises(SourceDataError, match="repeats an earlier page"):
                fetch_all(config_)
        else:
            assert fetch_all(config_) == as_read(numbered(30), "csv")


def test_truncated_rows_give_the_good_ones_and_then_a_clear_error():
    body = FORMATS["jsonl"](numbered(1500)) + b'{"id": '
    with serve(lambda _r: Reply(body)) as api, opened(config(api, "jsonl")) as source:
        pages = source.fetch_pages()
        assert len(next(pages).records) == 1000
        with pytest.raises(SourceDataError, match=r"configs/things\.yaml.*status 200"):
            next(pages)


def test_a_single_response_with_a_declared_total_that_is_not_reached_is_an_error():
    block = {"type": "none", "totalPath": "total"}
    with serve(lambda _r: Reply({"items": numbered(3), "total": 4})) as api:
        with pytest.raises(SourceDataError, match="declares 4 records"):
            fetch_all(config_of(api.url, pagination=block))
    with serve(lambda _r: Reply({"items": numbered(3), "total": 3})) as api:
        assert fetch_all(config_of(api.url, pagination=block)) == numbered(3)


def test_closing_the_pages_in_the_middle_leaves_nothing_open():
    body = FORMATS["json"](numbered(200_000))
    with serve(lambda _r: Reply(body)) as api, opened(config(api, "json")) as source:
        pages = source.fetch_pages()
        next(pages)
        pages.close()
        assert len(next(source.fetch_pages()).records) == 1000


@pytest.mark.slow
def test_memory_does_not_grow_with_the_response():
    body = FORMATS["json"]([{"id": i, "name": "x" * 500} for i in range(60_000)])

    def peak(limit):
        with (
            serve(lambda _r: Reply(body)) as api,
            opened(config(api, "json"), limit=limit) as source,
        ):
            tracemalloc.start()
            for _page in source.fetch_pages():
                pass
            _, high = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return high

    assert peak(60_000) < peak(6_000) * 1.5 + 2_000_000
    assert peak(60_000) < len(body) / 2


# ---------------------------------------------------------------- response cache


def test_the_response_cache_answers_the_second_run(tmp_path):
    with serve(Catalogue(numbered(25))) as api:
        config_ = config_of(api.url, pagination=pagination_of("offset"))
        first = fetch_all(config_, cache_dir=tmp_path)
        asked = len(api.requests)
        assert fetch_all(config_, cache_dir=tmp_path) == first == numbered(25)
    assert len(api.requests) == asked


def test_an_unusable_answer_does_not_stay_in_the_response_cache(tmp_path):
    replies = iter([Reply(b"<html>"), Reply({"items": numbered(3)})])
    with serve(lambda _r: next(replies)) as api:
        config_ = config_of(api.url)
        with pytest.raises(SourceDataError):
            fetch_all(config_, cache_dir=tmp_path)
        assert fetch_all(config_, cache_dir=tmp_path) == numbered(3)


def test_access_tokens_are_never_cached(tmp_path):
    tokens = itertools.count(1)

    def route(request):
        if request.path == "/token":
            return Reply({"access_token": f"token-{next(tokens)}", "token_type": "Bearer"})
        return Reply({"items": numbered(2)})

    with serve(route) as api:
        auth = {
            "type": "oauth2_client_credentials",
            "tokenUrl": api.url + "/token",
            "clientId": "a",
            "clientSecret": "b",
        }
        for _run in range(2):
            fetch_all(config_of(api.url, auth=auth), cache_dir=tmp_path)
    assert [request.path for request in api.requests] == ["/token", "/", "/token"]
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not any(b"token-" in data for data in files)


def test_answers_from_the_cache_are_no_requests_and_wait_for_no_rate_limit(tmp_path):
    time = {"now": 100.0}

    def sleep(seconds):
        time["now"] += seconds

    with serve(Catalogue(numbered(25))) as api:
        config_ = config_of(api.url, requestsPerSecond=1, pagination=pagination_of("offset"))
        options = {"cache_dir": tmp_path, "sleep": sleep, "monotonic": lambda: time["now"]}
        for requests in (1, 0):
            before = time["now"]
            with opened(config_, **options) as source:
                pages = list(source.fetch_pages())
            assert [page.requests for page in pages] == [requests] * 4
            assert time["now"] - before == 3 * requests


def test_a_body_reads_like_any_raw_stream():
    with serve(lambda _r: Reply(b"0123456789")) as api:
        http = SourceHttp(SessionPerThread(SourceSession))
        with http.open(HttpRequest("GET", api.url)) as answer:
            assert answer.stream.readable()
            assert answer.stream.read(0) == b""
            assert io.BufferedReader(answer.stream, 4).read(3) == b"012"
            assert answer.stream.read() == b"456789"
            assert answer.stream.read() == b""
        http.close()
