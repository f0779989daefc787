"""Next URLs that are to be appended to a base, which the body has, too."""

import pytest

from sync_pipeline.errors import ConfigError, SourceDataError
from sync_pipeline_tests.extract.api import Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all

BLOCK = {"type": "next_url", "nextUrlPath": "_links.next", "nextUrlBasePath": "_links.base"}
#: Base behind the host, the next URL, where the second page is.
PLACES = {
    "Confluence": ("/wiki", "/rest/api/content?start=2", "/wiki/rest/api/content"),
    "slashes on both sides": ("/wiki/", "/rest/content?start=2", "/wiki/rest/content"),
    "slashes on none": ("/wiki", "rest/content?start=2", "/wiki/rest/content"),
    "no path of its own": ("", "/rest/content?start=2", "/rest/content"),
    "a query alone": ("/wiki/content", "?start=2", "/wiki/content"),
    "a longer base": ("/a/b/c", "/d?start=2&x=%2F", "/a/b/c/d"),
}


def site(base, following, *, links=None):
    hosts = []

    def route(request):
        hosts.append(f"http://{request.headers['host']}")
        if "start" in request.query:
            return Reply({"items": numbered(4)[2:], "_links": {"base": f"{hosts[0]}{base}"}})
        named = {"base": f"{hosts[0]}{base}", "next": following} if links is None else links
        return Reply({"items": numbered(4)[:2], "_links": named})

    return route


@pytest.mark.parametrize(("base", "following", "path"), PLACES.values(), ids=PLACES)
def test_a_next_url_goes_behind_the_base(base, following, path):
    with serve(site(base, following)) as api:
        assert fetch_all(config_of(f"{api.url}/wiki/first", pagination=BLOCK)) == numbered(4)
    assert api.requests[1].path == path


def test_a_next_url_that_is_whole_needs_no_base():
    with serve(lambda r: site("/wiki", f"http://{r.headers['host']}/x?start=2")(r)) as api:
        assert fetch_all(config_of(api.url, pagination=BLOCK)) == numbered(4)
    assert api.requests[1].path == "/x"


def test_a_next_url_without_its_base_is_an_error_that_names_the_key():
    claim = pytest.raises(SourceDataError, match=r"_links.base.*nextUrlBasePath")
    with serve(site("", "", links={"next": "/x?start=2"})) as api, claim:
        fetch_all(config_of(api.url, pagination=BLOCK))


def test_a_base_that_is_no_url_is_an_error():
    claim = pytest.raises(SourceDataError, match="URL of the next page is none")
    with serve(site("", "", links={"next": "/x", "base": "ftp://host"})) as api, claim:
        fetch_all(config_of(api.url, pagination=BLOCK))


@pytest.mark.parametrize("links", [{}, {"next": None}, {"base": None, "next": ""}])
def test_where_there_is_no_next_page_no_base_is_missed(links, caplog):
    with serve(site("", "", links={"next": None, **links})) as api:
        assert fetch_all(config_of(api.url, pagination=BLOCK)) == numbered(2)
    assert "_links.base" not in caplog.text


def test_no_other_style_takes_a_base():
    block = {"type": "cursor", "cursorPath": "a", "cursorKey": "b", "nextUrlBasePath": "c"}
    with pytest.raises(ConfigError, match=r"not used by style cursor.*type: next_url"):
        fetch_all(config_of("http://127.0.0.1:9/", pagination=block))
