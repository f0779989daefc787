"""Redirects: what goes along, what does not, and what is an error."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import json
import threading

import pytest

from sync_pipeline.config.model import Sensor
from sync_pipeline.config.sources import BearerAuth
from sync_pipeline.errors import SourceError
from sync_pipeline.extract.probe.probing import probe
from sync_pipeline.extract.rest.change_probe import probe_change
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all

SECRET = {"SYNC_KEY": "s3cret-value"}
POSTS = {
    "JSON": {"httpMethod": "post", "jsonBody": {"filter": {"color": "red"}}},
    "form": {"httpMethod": "post", "formUrlEncodedContent": {"color": "red"}},
    "no body": {"httpMethod": "post"},
}


def moved(location, status=301, then=None):
    """A route that redirects `/old` and answers everything else."""

    def route(request):
        if request.path == "/old":
            return Reply(status=status, headers={"Location": location})
        return then(request) if then else Reply({"items": [{"id": 1}]})

    return route


def on_another_host(api):
    return api.url.replace("127.0.0.1", "localhost")


def secrets_in(request):
    return "s3cret" in json.dumps([request.headers, request.url, request.body.decode()])


@pytest.mark.parametrize("values", POSTS.values(), ids=list(POSTS))
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/new", "new/", "?page=1", "//{host}/new", "http://{host}/n"])
def test_a_post_that_is_sent_on_keeps_its_method_and_body(values, status, location):
    def route(request):
        if request.url == "/old":
            target = location.format(host=request.headers["host"])
            return Reply(status=status, headers={"Location": target})
        return Reply({"items": [{"id": 1}]})

    with serve(route) as api:
        assert fetch_all(config_of(api.url + "/old", **values)) == [{"id": 1}]
    first, second = api.requests
    assert (second.method, second.body) == ("POST", first.body)
    assert second.headers.get("content-type") == first.headers.get("content-type")


@pytest.mark.parametrize("values", POSTS.values(), ids=list(POSTS))
@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["same host", "another host"])
def test_a_post_never_becomes_a_get(values, status, is_elsewhere):
    with serve(lambda _r: Reply({"items": []})) as other:
        target = f"{on_another_host(other)}/new" if is_elsewhere else "/new"
        with serve(moved(target, status)) as api:
            with pytest.raises(SourceError) as caught:
                fetch_all(config_of(api.url + "/old", **values))
    assert len(api.requests) == 1
    assert other.requests == []
    address = target if is_elsewhere else f"{api.url}/new"
    assert f"answered status {status}, a redirect to {address}:" in str(caught.value)
    assert "Put the new address into endPoint" in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("values", POSTS.values(), ids=list(POSTS))
@pytest.mark.parametrize("status", [307, 308])
def test_a_post_is_not_sent_on_to_another_host(values, status):
    with serve(lambda _r: Reply({"items": []})) as other:
        target = on_another_host(other)
        with serve(moved(target, status)) as api:
            with pytest.raises(SourceError, match=r"another host.*refused") as caught:
                fetch_all(config_of(api.url + "/old", **values))
    assert other.requests == []
    assert target in str(caught.value)
    assert "endPoint" in str(caught.value)


def test_the_new_address_is_told_without_the_secrets_that_it_repeats():
    target = "/new?api_key=from-the-server&note=s3cret-value&page=2"
    with serve(moved(target)) as api:
        config = config_of(
            api.url + "/old", headers={"X-Key": "{{ config.SYNC_KEY }}"}, **POSTS["JSON"]
        )
        with pytest.raises(SourceError) as caught:
            fetch_all(config, variables=SECRET)
    assert "page=2" in str(caught.value)
    assert "from-the-server" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/new", "new?a=%2F&b=ü", "/new#top", " /new "])
def test_a_get_is_sent_on(status, location):
    with serve(moved(location.encode().decode("latin-1"), status)) as api:
        assert fetch_all(config_of(api.url + "/old")) == [{"id": 1}]
    assert api.requests[1].path == "/new"
    assert api.requests[1].query == ({"a": "/", "b": "ü"} if "b=" in location else {})


@pytest.mark.parametrize(
    "location",
    ["ftp://127.0.0.1/x", "javascript:alert(1)", "file:///etc/passwd", "//[", "mailto:a@b",
     "http://127.0.0.1:99999/x", b"/\xff\xfe".decode("latin-1")],
)  # fmt: skip
def test_a_redirect_to_no_web_address_is_an_error(location):
    with serve(moved(location)) as api:
        with pytest.raises(SourceError, match="status 301: a redirect leads to no URL"):
            fetch_all(config_of(api.url + "/old"))
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [300, 301, 304, 305])
def test_a_redirect_without_an_address_is_an_error(status):
    with serve(lambda _r: Reply(status=status)) as api:
        with pytest.raises(SourceError, match=f"status {status}"):
            fetch_all(config_of(api.url))


def test_who_was_on_another_host_gets_no_credentials_any_more():
    """The other host would choose what is asked with them."""
    with serve(lambda _r: Reply(status=302, headers={"Location": back})) as other:
        with serve(moved(on_another_host(other), 302)) as api:
            back = f"{api.url}/chosen"
            config = config_of(
                f"{api.url}/old",
                headers={"X-Key": "{{ config.SYNC_KEY }}"},
                auth={"type": "bearer", "token": "{{ config.SYNC_KEY }}"},
            )
            fetch_all(config, variables=SECRET)
    assert [secrets_in(request) for request in api.requests] == [True, False]
    assert not secrets_in(other.requests[0])


@pytest.mark.parametrize("status", [301, 302, 303])
def test_the_request_for_a_token_never_becomes_a_get(status):
    def route(request):
        if request.path == "/token":
            return Reply(status=status, headers={"Location": "/token/"})
        return Reply({"access_token": "t", "items": []})

    with serve(route) as api:
        with pytest.raises(SourceError, match=r"/token/: .*into auth\.tokenUrl"):
            fetch_all(config_of(api.url, auth=token_auth(api.url)), variables=SECRET)
    assert [request.url for request in api.requests] == ["/token"]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("where", ["basic", "body"])
def test_the_request_for_a_token_is_sent_on_within_its_host(status, where):
    def route(request):
        if request.path == "/token":
            return Reply(status=status, headers={"Location": "/token/"})
        return Reply({"access_token": "t", "items": []})

    with serve(route) as api:
        auth = token_auth(api.url, clientAuthentication=where)
        fetch_all(config_of(api.url, auth=auth), variables=SECRET)
    first, second = api.requests[:2]
    assert (second.method, second.url, second.body) == ("POST", "/token/", first.body)
    assert secrets_in(second) is (where == "body")
    assert second.headers.get("authorization") == first.headers.get("authorization")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["basic", "body"])
def test_the_request_for_a_token_goes_to_no_other_host(status, where):
    with serve(lambda _r: Reply({"access_token": "t"})) as other:
        with serve(moved(on_another_host(other), status)) as api:
            auth = token_auth(api.url, tokenUrl=f"{api.url}/old", clientAuthentication=where)
            with pytest.raises(SourceError, match=r"auth\.tokenUrl") as caught:
                fetch_all(config_of(api.url, auth=auth), variables=SECRET)
    assert other.requests == []
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_next_page_of_a_post_that_has_moved(status):
    def route(request):
        if request.path == "/old":
            return Reply(status=status, headers={"Location": "/new"})
        return Reply({"items": [{"id": request.path}], "next": NEXT[request.path]})

    block = {"type": "next_url", "nextUrlPath": "next"}
    with serve(route) as api:
        config = config_of(f"{api.url}/first", pagination=block, **POSTS["JSON"])
        if status in (307, 308):
            assert fetch_all(config) == [{"id": "/first"}, {"id": "/new"}]
            assert {request.body for request in api.requests} == {api.requests[0].body}
            return
        with pytest.raises(SourceError, match=f"redirect to {api.url}/new.*The source itself"):
            fetch_all(config)
    assert {request.method for request in api.requests} == {"POST"}


NEXT = {"/first": "/old", "/new": None}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_watched_url_is_followed_and_its_headers_stay_with_its_host(status):
    with serve(lambda _r: Reply({}, headers={"ETag": '"1"'})) as other:
        with serve(moved(on_another_host(other), status)) as api:
            auth = BearerAuth(type="bearer", token="{{ config.SYNC_KEY }}")
            sensor = Sensor(
                type="http_change",
                url=f"{api.url}/old",
                headers={"X-Key": "{{ config.SYNC_KEY }}"},
            )
            state = probe_change(config_of(api.url, auth=auth), sensor, variables=SECRET)
    assert json.loads(state) == {"ETag": '"1"'}
    assert secrets_in(api.requests[0])
    assert not secrets_in(other.requests[0])


def test_a_proposal_is_made_from_where_a_redirect_leads_without_the_headers_of_its_host():
    with serve(lambda _r: Reply([{"id": 1}, {"id": 2}])) as other:
        with serve(moved(on_another_host(other))) as api:
            found = probe(f"{api.url}/old", headers={"X-Key": "s3cret-value"})
    assert found.sampled == 2
    assert secrets_in(api.requests[0])
    assert not any(map(secrets_in, other.requests))


def test_the_body_of_a_redirect_is_not_waited_for():
    release = threading.Event()

    class Endless(bytes):
        def __len__(self):
            return 10**9

    def route(request):
        if request.path == "/old":
            return Reply(Endless(b"moved"), status=302, headers={"Location": "/new"})
        release.set()
        return Reply({"items": []})

    with serve(route) as api:
        assert fetch_all(config_of(f"{api.url}/old", timeoutS=20)) == []
    assert release.is_set()


def token_auth(url, **values):
    return {
        "type": "oauth2_client_credentials",
        "tokenUrl": f"{url}/token",
        "clientId": "client",
        "clientSecret": "{{ config.SYNC_KEY }}",
        **values,
    }
