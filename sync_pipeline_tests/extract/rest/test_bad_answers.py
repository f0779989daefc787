"""Answers that are not what was declared: a clear error that names file, URL, status and the fix."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import gzip
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline_tests.extract.api import Catalogue, Reply, Request, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of
from sync_pipeline_tests.test_deadline import Ticks, read_head, server

PAGED = [None, "offset"]
HTML = Reply(b"<!doctype html><title>Log in s3cret</title>", headers={"Content-Type": "text/html"})


def fail(reply, style, **values):
    block = pagination_of(style) if style else None
    with serve(lambda _r: reply) as api, pytest.raises(SourceDataError) as caught:
        fetch_all(config_of(api.url + "/x?key=s3cret", pagination=block, **values))
    assert len(api.requests) == 1, "what cannot help was tried again"
    return str(caught.value), caught.value


@pytest.mark.parametrize("style", PAGED)
@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (HTML, "answered HTML.*check endPoint, headers and auth"),
        (Reply(b"<?xml version='1.0'?><a/>", headers={"Content-Type": "text/xml"}), "XML"),
        (Reply(b""), "the answer is empty.*Check endPoint"),
        (Reply(b"   "), "the answer is empty.*Check endPoint"),
        (Reply(b'{"items": [{"id": 1}, {"id"'), "no valid JSON"),
        (Reply(b'{"items": [{"id": NaN}]}'), "no valid JSON"),
        (Reply({"data": []}), "nothing at resultsJsonPath 'items'.*the keys data|there is nothing"),
        (Reply({"items": [1, 2]}), "record 0.*is a number, not an object"),
        (Reply({"items": "none"}), "is a text, neither an array"),
        (Reply(b"\xff\xfe\xfa{"), "utf|JSON"),
        (Reply(b'{"items": ["\xe9"]}', headers={"Content-Type": "application/json; charset=klingon"}),
         "no UTF-8.*resultsEncoding"),
    ],
    ids=["html", "xml", "empty", "blank", "truncated", "nan", "path", "rows", "scalar", "utf",
         "charset"],
)  # fmt: skip
def test_an_answer_that_is_not_what_was_declared(style, reply, text):
    message, error = fail(reply, style)
    assert message.startswith("configs/things.yaml: ")
    assert "http://127.0.0.1" in message
    assert "(status 200, Content-Type " in message
    assert error.status == 200
    assert "s3cret" not in message
    with pytest.raises(SourceDataError, match=text):
        raise error


@pytest.mark.parametrize("style", PAGED)
def test_html_instead_of_csv(style):
    message, _ = fail(HTML, style, resultsFormat="csv", resultsJsonPath=None)
    assert "resultsFormat is csv, but the source answered HTML" in message


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("totalPath", {"items": [{}], "count": 3}, "nothing at 'total'.*the keys items, count"),
        ("totalPath", {"items": [{}], "total": "many"}, "totalPath is no whole number"),
        ("totalPath", {"items": [{}], "total": True}, "totalPath is no whole number"),
        ("totalPath", {"items": [{}], "total": -1}, "totalPath is no whole number"),
        ("totalPath", {"items": [{}], "total": 1.5}, "totalPath is no whole number"),
        ("totalPath", {"items": [{}], "total": [1]}, "totalPath is no whole number"),
        ("totalPagesPath", {"items": [{}]}, "nothing at 'total'.*resultsTotalPagesPath"),
        ("hasMorePath", {"items": [{}], "total": "perhaps"}, "hasMorePath is no boolean"),
        ("hasMorePath", {"items": [{}], "total": {}}, "hasMorePath is no boolean"),
    ],
)
def test_declared_values_that_make_no_sense(path, body, text):
    block = {**pagination_of("offset"), path: "total"}
    with serve(lambda _r: Reply(body)) as api:
        with pytest.raises(SourceDataError, match=rf"configs/things\.yaml: GET .*{text}"):
            fetch_all(config_of(api.url, pagination=block))


@pytest.mark.parametrize("total", [25, "25", 25.0])
def test_a_total_may_be_spelled_as_text(total):
    catalogue = Catalogue(numbered(25))

    def route(request):
        reply = catalogue(request)
        return Reply({**reply.body, "total": total})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("total",)))
        assert fetch_all(config) == numbered(25)
    assert len(api.requests) == 3


def test_a_cursor_that_is_an_object_is_an_error():
    with serve(lambda _r: Reply({"items": [{}], "meta": {"next": {"a": 1}}})) as api:
        with pytest.raises(SourceDataError, match="cursorPath is neither a text nor a number"):
            fetch_all(config_of(api.url, pagination=pagination_of("cursor")))


NO_URLS = ["http://[", "http://127.0.0.1:99999/x", "ftp://127.0.0.1/x", "javascript:alert(1)"]


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("style", ["next_url", "link_header"])
def test_a_next_page_that_is_no_url_is_an_error(style, url):
    reply = Reply({"items": numbered(2), "next": url}, headers={"Link": f'<{url}>; rel="next"'})
    assert "names as the URL of the next page is none" in fail(reply, style)[0]


@pytest.mark.parametrize("url", NO_URLS[:2])
def test_a_redirect_to_no_url_is_an_error(url):
    with serve(lambda _r: Reply(status=302, headers={"Location": url})) as api:
        with pytest.raises(SourceError, match=r"things\.yaml: GET .*a redirect leads to no URL"):
            fetch_all(config_of(api.url))
    assert len(api.requests) == 1


@pytest.mark.parametrize("end", [None, "", False])
def test_a_cursor_may_end_as_null_as_empty_text_or_as_false(end):
    with serve(lambda _r: Reply({"items": [{"id": 1}], "meta": {"next": end}})) as api:
        assert fetch_all(config_of(api.url, pagination=pagination_of("cursor"))) == [{"id": 1}]


@pytest.mark.parametrize("cursor", [17, -1, 1.5, 2**70, 10**400], ids=lambda value: str(value)[:25])
def test_numeric_cursors_are_sent_as_they_are_written(cursor):
    def route(request):
        at = request.query.get("cursor")
        return Reply({"items": [{"at": at}], "meta": {"next": cursor if at is None else None}})

    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=pagination_of("cursor")))
    assert records == [{"at": None}, {"at": str(cursor)}]


@pytest.mark.parametrize("style", PAGED)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_answer_longer_than_its_bound_is_an_error(style, packed):
    data = json.dumps({"items": [{"id": 1, "text": "x" * 5000}]}).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    reply = Reply(gzip.compress(data) if packed else data, headers=headers)
    message, _ = fail(reply, style, maxResponseBytes=2000)
    assert "maxResponseBytes (2,000 bytes)" in message


@pytest.mark.parametrize("style", PAGED)
@pytest.mark.parametrize("how", ["encoding", "file"])
def test_gzip_is_unpacked(style, how):
    headers = (
        {"Content-Encoding": "gzip"} if how == "encoding" else {"Content-Type": "application/gzip"}
    )
    body = gzip.compress(json.dumps({"items": numbered(3)}).encode())
    block = pagination_of(style) if style else None
    with serve(lambda _r: Reply(body, headers=headers)) as api:
        assert fetch_all(config_of(api.url, pagination=block)) == numbered(3)


@pytest.mark.parametrize(
    "body",
    [b"", b" \r\n", b"\n", gzip.compress(b"", mtime=0), b"\t"],
    ids=["", "blank", "line", "gzip", "tab"],
)
@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
@pytest.mark.parametrize("style", ["offset", "page"])
def test_a_later_page_without_a_byte_is_the_end(tmp_path, style, is_cached, body):
    catalogue = Catalogue(numbered(20), style)
    packed = {"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {}

    def route(request):
        reply = catalogue(request)
        return reply if reply.body["items"] else Reply(body, headers=packed)

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of(style))
        for _ in range(2):
            cache_dir = tmp_path if is_cached else None
            assert fetch_all(config, cache_dir=cache_dir) == numbered(20)
    assert len(api.requests) == (3 if is_cached else 6)


@pytest.mark.parametrize(
    ("style", "declared"), [("offset", "total"), ("page", "totalPages"), ("offset", "hasMore")]
)
def test_a_page_without_a_byte_before_the_declared_end_is_an_error(style, declared):
    catalogue = Catalogue(numbered(20), style, declares=(declared,))

    def route(request):
        first = request.query[style if style == "page" else "offset"] == "0"
        return catalogue(request) if first else Reply(b"")

    with serve(route) as api:
        block = pagination_of(style, (declared,))
        with pytest.raises(SourceDataError):
            fetch_all(config_of(api.url, pagination=block))


def test_a_page_without_a_byte_may_be_cut_off_where_its_length_is_not_known():
    catalogue = Catalogue(numbered(20))

    def speaks(conn, _tick):
        line = read_head(conn).decode().split(" ")[1]
        query = {k: v[0] for k, v in parse_qs(urlsplit(line).query).items()}
        reply = catalogue(Request("GET", "/", query, {}, b"", line))
        body = reply.data() if reply.body["items"] else b""
        conn.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    with server(speaks, Ticks()) as host:
        config = config_of(f"http://{host}/", pagination=pagination_of("offset"))
        with pytest.raises(SourceDataError, match="the answer is empty"):
            fetch_all(config)


def test_a_bad_page_later_on_names_that_page():
    catalogue = Catalogue(numbered(30))

    def route(request):
        return HTML if request.query["offset"] == "20" else catalogue(request)

    with serve(route) as api:
        with pytest.raises(SourceDataError, match=r"limit=10&offset=20.*answered HTML"):
            fetch_all(config_of(api.url, pagination=pagination_of("offset")))


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["items", "total", "meta", "next", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["offset", "cursor", "next_url", None]),
)
def test_law_whatever_the_body_there_is_no_traceback(body, style):
    block = pagination_of(style, ("total",)) if style else None
    calls = {"n": 0}

    def route(_request):
        calls["n"] += 1
        return Reply(body) if calls["n"] < 3 else Reply({"items": [], "total": 0})

    with serve(route) as api:
        message = "configs/things.yaml"
        try:
            fetch_all(config_of(api.url, retries=0, pagination=block))
        except SourceError as err:
            message = str(err)
    assert "configs/things.yaml" in message
