"""What goes out: URL, query string, headers, body, and to whom."""

# the outer `with` is the server, the inner one the claim

import json
import logging
from urllib.parse import parse_qsl

import pytest

from sync_pipeline.errors import ConfigError, MappingError, SourceError, UsageError
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.extract.http.auth import with_query, without_query
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import (
    config_of,
    fetch_all,
    opened,
    pagination_of,
    records_of,
)


def items(_request):
    return Reply({"items": [{"id": 1}]})


def asked(config_values=None, *, path="/x", variables=None, handler=items):
    with serve(handler) as api:
        fetch_all(config_of(api.url + path, **(config_values or {})), variables=variables or {})
    return api.requests


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/x", "http://h/x?limit=10&q=a%20b"),
        ("http://h", "http://h?limit=10&q=a%20b"),
        ("http://h/x?", "http://h/x?limit=10&q=a%20b"),
        ("http://h/x?a=1", "http://h/x?a=1&limit=10&q=a%20b"),
        ("http://h/x?a=1&", "http://h/x?a=1&limit=10&q=a%20b"),
        ("http://h/x?limit=5&a=1", "http://h/x?a=1&limit=10&q=a%20b"),
        ("http://h/x?flag&a=%2F", "http://h/x?flag&a=%2F&limit=10&q=a%20b"),
        ("http://h/x#top", "http://h/x?limit=10&q=a%20b"),
        ("http://h/x?a=1#top", "http://h/x?a=1&limit=10&q=a%20b"),
    ],
)
def test_parameters_join_any_query_string(url, expected):
    assert with_query(url, {"limit": "10", "q": "a b"}) == expected


@pytest.mark.parametrize(
    ("value", "sent"),
    [("Color eq 'red' and Price gt 5", "Color%20eq%20%27red%27%20and%20Price%20gt%205"),
     ("a+b", "a%2Bb"), ("ü / ?&=#", "%C3%BC%20%2F%20%3F%26%3D%23"), ("100%", "100%25"),
     ("tab\there", "tab%09here"), ("", ""), ("~-._", "~-._"), ("\U0001f600", "%F0%9F%98%80")],
)  # fmt: skip
@pytest.mark.parametrize("where", ["queryParameters", "auth", "pagination"])
def test_every_server_understands_what_is_in_a_query(value, sent, where):
    """A blank is %20: for some servers a plus is a plus (RFC 3986)."""
    block = {"type": "cursor", "cursorPath": "next", "cursorKey": "$q"}
    values = {
        "queryParameters": {"queryParameters": {"$q": value}},
        "auth": {"auth": {"type": "api_key", "name": "$q", "in": "query", "value": value}},
        "pagination": {"pagination": block},
    }[where]
    if not value and where != "queryParameters":
        return

    def route(request):
        is_next = where == "pagination" and not request.query
        return Reply({"items": [], "next": value if is_next else None})

    url = asked(values, handler=route)[-1].url
    assert url == f"/x?%24q={sent}"


def test_parameters_are_taken_out_by_name():
    assert without_query("http://h/x?a=1&key=s&key=t", frozenset({"key"})) == "http://h/x?a=1"


def test_url_query_and_headers_are_templates():
    [request] = asked(
        {
            "queryParameters": {"since": "{{ config.SYNC_SINCE }}", "q": "a&b=c"},
            "headers": {"X-Tenant": "{{ config.SYNC_TENANT }}", "Content-Type": "text/x-own"},
        },
        path="/{{ config.SYNC_TENANT }}/things?a=1",
        variables={"SYNC_TENANT": "blue", "SYNC_SINCE": "2024-01-01"},
    )
    assert request.path == "/blue/things"
    assert request.query == {"a": "1", "since": "2024-01-01", "q": "a&b=c"}
    assert request.headers["x-tenant"] == "blue"
    assert request.headers["content-type"] == "text/x-own"


def test_accept_is_sent_by_format_unless_the_config_says_otherwise():
    assert asked()[0].headers["accept"].startswith("application/json")
    assert asked({"headers": {"accept": "x/y"}})[0].headers["accept"] == "x/y"


def test_a_form_is_posted():
    [request] = asked(
        {
            "httpMethod": "post",
            "formUrlEncodedContent": {"user": "{{ config.SYNC_USER }}", "q": "a b&c"},
        },
        variables={"SYNC_USER": "jo"},
    )
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(request.body.decode())) == {"user": "jo", "q": "a b&c"}


def test_json_is_posted_with_every_text_a_template():
    [request] = asked(
        {
            "httpMethod": "post",
            "jsonBody": {"a": ["{{ config.SYNC_A }}", 1, None], "b": {"c": True, "d": "ü"}},
        },
        variables={"SYNC_A": "x"},
    )
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"a": ["x", 1, None], "b": {"c": True, "d": "ü"}}


def test_a_json_body_may_be_one_text_of_json():
    [request] = asked({"httpMethod": "post", "jsonBody": '{"n": {{ limit or 5 }} }'})
    assert json.loads(request.body) == {"n": 5}


def test_paging_in_a_posted_body_is_not_repeated_in_the_query_string():
    rows = numbered(25)

    def route(request):
        body = json.loads(request.body)
        return Reply({"items": rows[body["from"] :][: body["size"]]})

    with serve(route) as api:
        config = config_of(
            api.url,
            httpMethod="post",
            jsonBody={"from": "{{ skip }}", "size": "{{ limit }}", "note": "at {{ skip }}"},
            pagination={"skipKey": "from", "limitKey": "size", "limitMax": 10},
        )
        assert fetch_all(config) == rows
    assert [json.loads(r.body)["note"] for r in api.requests][:2] == ["at 0", "at 10"]
    assert api.queries() == [{}] * 4


def test_a_cursor_in_a_posted_body_is_null_at_first():
    def route(request):
        body = json.loads(request.body)
        return Reply({"items": [body], "meta": {"next": "c" if body["after"] is None else None}})

    with serve(route) as api:
        config = config_of(
            api.url,
            httpMethod="post",
            jsonBody={"after": "{{ cursor }}"},
            pagination={"type": "cursor", "cursorPath": "meta.next", "cursorKey": "after"},
        )
        assert fetch_all(config) == [{"after": None}, {"after": "c"}]


@pytest.mark.parametrize(
    ("values", "variables", "error", "text"),
    [
        ({"endPoint": "{{ config.SYNC_API }}/x"}, {}, ConfigError, "endPoint.*SYNC_API is not set"),
        ({"endPoint": "/x"}, {}, ConfigError, "endPoint.*no absolute http or https URL"),
        ({"endPoint": "ftp://h/x"}, {}, ConfigError, "endPoint.*no absolute"),
        ({"endPoint": "http://h:port/x"}, {}, ConfigError, "endPoint.*no absolute"),
        ({"endPoint": "http://[h/x"}, {}, ConfigError, "endPoint.*no absolute"),
        ({"endPoint": "http://h/{{ row.id }}"}, {}, MappingError, 'endPoint.*"row"'),
        ({"headers": {"X-A": "a\nb"}}, {}, ConfigError, r"headers\.X-A.*one line"),
        ({"auth": {"type": "bearer", "token": "{{ config.SYNC_T }}"}}, {"SYNC_T": ""}, ConfigError,
         r"auth\.token.*is empty"),
        ({"httpMethod": "post", "jsonBody": "{oops"}, {}, ConfigError, "jsonBody.*no JSON"),
    ],
    ids=["unset variable", "relative", "scheme", "port", "bracket", "row", "two lines", "empty token", "body"],
)  # fmt: skip
def test_what_cannot_be_asked_names_file_and_key(values, variables, error, text):
    with pytest.raises(UsageError, match=rf"configs/things\.yaml: {text}") as caught:
        fetch_all(config_of("http://127.0.0.1:9", **values), variables=variables)
    assert isinstance(caught.value, error)


def test_body_paths_with_a_format_without_paths_are_refused():
    config = config_of(
        "http://127.0.0.1:9",
        resultsFormat="csv",
        resultsJsonPath=None,
        pagination=pagination_of("offset", ("total",)),
    )
    with pytest.raises(ConfigError, match=r"pagination\.totalPath"):
        fetch_all(config)


def test_open_source_asks_nothing_before_the_first_page():
    with serve(items) as api:
        source = open_source(config_of(api.url), SourceSetting(variables={}))
        pages = source.fetch_pages()
        assert not api.requests
        assert records_of(pages) == [{"id": 1}]
        source.close()
        source.close()


# ---------------------------------------------------------------- to whom

SECRET_HEADERS = {"X-API-Key": "{{ config.SYNC_KEY }}", "Cookie": "sid={{ config.SYNC_KEY }}"}


def secrets_in(request):
    return "s3cret" in json.dumps([request.headers, request.url, request.body.decode()])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "values",
    [
        {"headers": SECRET_HEADERS},
        {"auth": {"type": "bearer", "token": "{{ config.SYNC_KEY }}"}},
        {"auth": {"type": "api_key", "name": "X-Key", "value": "{{ config.SYNC_KEY }}"}},
        {"auth": {"type": "api_key", "name": "k", "in": "query", "value": "{{ config.SYNC_KEY }}"}},
    ],
    ids=["headers", "bearer", "key in header", "key in query"],
)
def test_a_redirect_to_another_host_drops_credentials(values, status):
    with serve(items) as other:
        target = other.url.replace("127.0.0.1", "localhost")

        def route(_request):
            return Reply(status=status, headers={"Location": target, "Set-Cookie": "c=s3cret"})

        with serve(route) as api:
            fetch_all(config_of(api.url, **values), variables={"SYNC_KEY": "s3cret"})
    assert secrets_in(api.requests[0])
    assert not secrets_in(other.requests[0])


def test_a_redirect_on_the_same_host_keeps_credentials():
    def route(request):
        if request.path == "/old":
            return Reply(status=302, headers={"Location": "/new"})
        return items(request)

    requests = asked(
        {"headers": SECRET_HEADERS}, path="/old", variables={"SYNC_KEY": "s3cret"}, handler=route
    )
    assert [secrets_in(request) for request in requests] == [True, True]


def test_a_next_url_on_another_host_is_asked_without_credentials(caplog):
    with serve(items) as other:
        target = other.url.replace("127.0.0.1", "localhost")
        with serve(lambda _r: Reply({"items": [{"id": 0}], "next": target})) as api:
            config = config_of(
                api.url,
                headers=SECRET_HEADERS,
                auth={"type": "bearer", "token": "{{ config.SYNC_KEY }}"},
                pagination={"type": "next_url", "nextUrlPath": "next"},
            )
            assert fetch_all(config, variables={"SYNC_KEY": "s3cret"}) == [{"id": 0}, {"id": 1}]
    assert not secrets_in(other.requests[0])
    assert "asked without credentials" in caplog.text


def test_the_body_of_a_post_does_not_follow_a_next_url_to_another_host():
    with serve(items) as other:
        target = other.url.replace("127.0.0.1", "localhost")
        with serve(lambda _r: Reply({"items": [{"id": 0}], "next": target})) as api:
            config = config_of(
                api.url,
                httpMethod="post",
                jsonBody={"password": "p"},
                pagination={"type": "next_url", "nextUrlPath": "next"},
            )
            with pytest.raises(SourceError, match=r"another host.*refused"):
                fetch_all(config)
    assert other.requests == []


KEY = "{{ config.SYNC_API_KEY }}"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("", {"auth": {"type": "api_key", "name": "key", "in": "query", "value": KEY}}),
        ("", {"query_parameters": {"key": KEY}}),
        (f"?key={KEY}", {}),
    ],
    ids=["auth", "queryParameters", "endPoint"],
)
def test_a_next_url_gets_the_key_in_the_query_that_its_checkpoint_does_not_hold(path, values):
    def route(request):
        catalogue = Catalogue(numbered(25), "next_url")
        reply = catalogue(request)
        if reply.body["next"]:
            reply.body["next"] += "&key=" + request.query["key"]
        return reply

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("next_url"), **values)
        config = config.model_copy(update={"end_point": config.end_point + path})
        with opened(config, variables={"SYNC_API_KEY": "s3cret"}) as source:
            pages = list(source.fetch_pages())
            with opened(config, variables={"SYNC_API_KEY": "s3cret"}) as resumed:
                rest = list(resumed.fetch_pages(pages[0].checkpoint))
    assert records_of(pages) == numbered(25)
    assert records_of(rest) == numbered(25)[10:]
    assert [query["key"] for query in api.queries()] == ["s3cret"] * 5
    assert "s3cret" not in json.dumps([page.checkpoint for page in pages])


def test_user_and_password_in_the_url_become_basic_authentication():
    with serve(items) as api:
        url = api.url.replace("http://", "http://jo:p%40ss@")
        fetch_all(config_of(url))
    assert api.requests[0].headers["authorization"] == "Basic am86cEBzcw=="


def test_netrc_does_not_replace_credentials(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    [request] = asked({"headers": {"Authorization": "Token t0ken"}})
    assert request.headers["authorization"] == "Token t0ken"


def test_cookies_of_the_source_come_back():
    def route(request):
        reply = Catalogue(numbered(15))(request)
        reply.headers["Set-Cookie"] = "sid=1"
        return reply

    requests = asked({"pagination": pagination_of("offset", size=10)}, handler=route)
    assert "cookie" not in requests[0].headers
    assert requests[1].headers["cookie"] == "sid=1"


def test_each_request_is_one_debug_line_without_secrets(caplog):
    caplog.set_level(logging.DEBUG)
    with serve(Catalogue(numbered(15))) as api:
        config = config_of(
            api.url + "/p?key=s3cret",
            headers={"X-API-Key": "{{ config.SYNC_KEY }}"},
            pagination=pagination_of("offset"),
        )
        fetch_all(config, variables={"SYNC_KEY": "s3cret"})
    lines = [r.getMessage() for r in caplog.records if r.name == "test.source"]
    assert len(lines) == len(api.requests)
    assert "GET" in lines[0]
    assert "limit=10&offset=0: 200 in" in lines[0]
    assert "bytes" in lines[0]
    assert "s3cret" not in caplog.text
