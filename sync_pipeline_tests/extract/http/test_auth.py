"""Credentials, and tokens that are renewed."""

# the outer `with` is the server, the inner one the claim

import base64

import pytest

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

VARIABLES = {"SYNC_ID": "client", "SYNC_SECRET": "s3cret-value"}


def sent(auth, variables=None):
    with serve(lambda _r: Reply({"items": []})) as api:
        fetch_all(config_of(api.url + "/x?a=1", auth=auth), variables=variables or VARIABLES)
    return api.requests[0]


def test_bearer():
    request = sent({"type": "bearer", "token": "{{ config.SYNC_SECRET }}"})
    assert request.headers["authorization"] == "Bearer s3cret-value"


def test_basic_in_utf8():
    request = sent({"type": "basic", "username": "jö", "password": "{{ config.SYNC_SECRET }}"})
    encoded = request.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "jö:s3cret-value"


def test_api_key_in_a_header_replaces_one_of_the_config():
    auth = {"type": "api_key", "name": "X-Key", "value": "{{ config.SYNC_SECRET }}"}
    assert sent(auth).headers["x-key"] == "s3cret-value"


def test_api_key_in_the_query():
    auth = {"type": "api_key", "name": "key", "in": "query", "value": "{{ config.SYNC_SECRET }}"}
    assert sent(auth).query == {"a": "1", "key": "s3cret-value"}


class TokenServer:
    """Gives tokens t1, t2, ...; the API behind it takes only the newest `valid` ones."""

    def __init__(self, rows=(), *, expires_in=3600, refuse=frozenset()):
        self.catalogue = Catalogue(list(rows))
        self.expires_in = expires_in
        self.refuse = refuse
        self.given = 0

    def __call__(self, request):
        if request.path == "/token":
            self.given += 1
            token = {"access_token": f"t{self.given}", "token_type": "Bearer"}
            if self.expires_in is not None:
                token["expires_in"] = self.expires_in
            return Reply(token)
        if request.headers.get("authorization") in {f"Bearer {t}" for t in self.refuse}:
            return Reply({"message": "expired"}, status=401)
        return self.catalogue(request)


def oauth_config(api, **auth):
    return config_of(
        api.url + "/data",
        pagination=pagination_of("offset"),
        auth={
            "type": "oauth2_client_credentials",
            "tokenUrl": api.url + "/token",
            "clientId": "{{ config.SYNC_ID }}",
            "clientSecret": "{{ config.SYNC_SECRET }}",
            **auth,
        },
    )


@pytest.mark.parametrize("how", ["basic", "body"])
def test_a_token_is_fetched_once_and_sent_with_every_page(how):
    server = TokenServer(numbered(35))
    with serve(server) as api:
        config = oauth_config(api, clientAuthentication=how, scope="read all", audience="shop")
        assert fetch_all(config, variables=VARIABLES) == numbered(35)
    token, *pages = api.requests
    body = token.body.decode()
    assert "grant_type=client_credentials" in body
    assert "scope=read+all" in body
    assert "audience=shop" in body
    assert ("client_secret=s3cret-value" in body) is (how == "body")
    assert ("authorization" in token.headers) is (how == "basic")
    assert {page.headers["authorization"] for page in pages} == {"Bearer t1"}


def test_a_token_is_renewed_before_it_expires():
    server = TokenServer(numbered(45), expires_in=100)
    times = iter(range(0, 10_000, 20))
    with serve(server) as api:
        records = fetch_all(oauth_config(api), variables=VARIABLES, clock=lambda: next(times))
    assert records == numbered(45)
    assert server.given > 1
    used = [r.headers["authorization"] for r in api.requests if r.path == "/data"]
    assert used == sorted(used)


@pytest.mark.parametrize("expires_in", [None, 3600])
def test_a_refused_token_is_renewed_once(expires_in):
    server = TokenServer(numbered(5), expires_in=expires_in, refuse={"t1"})
    with serve(server) as api:
        assert fetch_all(oauth_config(api), variables=VARIABLES) == numbered(5)
    assert server.given == 2


def test_a_token_that_is_refused_again_is_final():
    server = TokenServer(numbered(5), refuse={"t1", "t2", "t3"})
    with serve(server) as api, pytest.raises(SourceError, match="status 401") as caught:
        fetch_all(oauth_config(api), variables=VARIABLES)
    assert server.given == 2
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (Reply({"error": "invalid_client"}, status=401), SourceError, "auth.clientSecret"),
        (Reply({"error": "invalid_scope"}, status=400), SourceError, "auth.scope"),
        (Reply(b"<html>", headers={"Content-Type": "text/html"}), SourceDataError, "tokenUrl"),
        (Reply({"token": "x"}), SourceDataError, "missing_token.*tokenUrl"),
        (Reply(b"[]"), SourceDataError, "tokenUrl"),
        (Reply(b"null"), SourceDataError, "tokenUrl"),
    ],
    ids=["client", "scope", "html", "no token", "array", "null"],
)
def test_a_token_server_that_gives_no_token_is_a_clear_error(reply, error, text):
    with serve(lambda _r: reply) as api, pytest.raises(error, match=text) as caught:
        fetch_all(oauth_config(api), variables=VARIABLES)
    assert "s3cret-value" not in str(caught.value)
    assert len(api.requests) == 1


def test_a_token_that_the_source_repeats_in_its_error_is_not_shown():
    def route(request):
        if request.path == "/token":
            return Reply({"access_token": "very-long-token", "token_type": "Bearer"})
        return Reply({"message": "bad token very-long-token"}, status=403)

    with serve(route) as api, pytest.raises(SourceError, match="bad token") as caught:
        fetch_all(oauth_config(api), variables=VARIABLES)
    assert "very-long-token" not in str(caught.value)
