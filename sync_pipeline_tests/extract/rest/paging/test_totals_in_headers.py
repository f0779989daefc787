"""Totals that headers declare, by the names that well-known APIs have for them."""

import pytest

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline_tests.extract.api import Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all

#: The key, the header as the file spells it, the header as the server sends it, its value for 20
#: records in pages of 10.
HEADERS = {
    "WordPress": ({"totalHeader": "X-WP-Total"}, {"X-WP-Total": "20"}),
    "WordPress, pages": ({"totalPagesHeader": "x-wp-totalpages"}, {"X-WP-TotalPages": "2"}),
    "json-server": ({"totalHeader": "X-Total-Count"}, {"x-total-count": "20"}),
    "GitLab": (
        {"totalHeader": "X-Total", "totalPagesHeader": "X-Total-Pages"},
        {"X-Total": "20", "X-Total-Pages": "2"},
    ),
    "Harvest": ({"totalHeader": "Total"}, {"Total": " 20 "}),
    "Greenhouse": ({"totalPagesHeader": "X-Pages"}, {"X-Pages": "2"}),
}


def shop(declared, count=20):
    """Behind its last page is an error, as in WordPress."""

    def route(request):
        start = 10 * (int(request.query["page"]) - 1)
        rows = numbered(count)[start : start + 10]
        if not rows:
            return Reply({"code": "rest_post_invalid_page_number"}, status=400, headers=declared)
        return Reply({"items": rows}, headers=declared)

    return route


def block(**more):
    return {"type": "page", "skipKey": "page", "limitKey": "limit", "pageSize": 10, **more}


@pytest.mark.parametrize(("keys", "declared"), HEADERS.values(), ids=HEADERS)
def test_a_total_in_a_header_ends_a_source_that_refuses_the_page_behind_its_last(keys, declared):
    with serve(shop(declared)) as api:
        assert fetch_all(config_of(api.url, pagination=block(**keys))) == numbered(20)


@pytest.mark.parametrize(
    ("keys", "declared"),
    [
        ({"totalHeader": "X-WP-Total"}, {"X-WP-Total": "25"}),
        ({"totalPagesHeader": "X-WP-TotalPages"}, {"X-WP-TotalPages": "4"}),
    ],
)
def test_a_total_in_a_header_that_is_not_reached_is_an_error(keys, declared):
    def route(request):
        return shop(declared)(request) if request.query["page"] != "3" else Reply({"items": []})

    (key,) = keys
    with serve(route) as api, pytest.raises(SourceDataError, match=rf"pagination\.{key}\)"):
        fetch_all(config_of(api.url, pagination=block(**keys)))


@pytest.mark.parametrize("value", ["many", "-1", "2.5", "1e3", "0x14"])
def test_a_header_that_is_no_number_is_an_error_that_names_its_key(value):
    claim = pytest.raises(SourceDataError, match=r"pagination\.totalHeader is no whole number")
    with serve(shop({"X-Total": value})) as api, claim:
        fetch_all(config_of(api.url, pagination=block(totalHeader="X-Total")))


def test_a_header_that_no_answer_has_is_an_error_with_the_one_that_was_meant():
    claim = pytest.raises(SourceDataError, match=r"no header 'X-Totl'.*did you mean 'X-Total'")
    with serve(shop({"X-Total": "20"})) as api, claim:
        fetch_all(config_of(api.url, pagination=block(totalHeader="X-Totl")))


def test_without_a_total_the_error_names_the_keys_for_headers():
    claim = pytest.raises(SourceError, match="totalHeader or totalPagesHeader")
    with serve(shop({"X-Total": "20"})) as api, claim:
        fetch_all(config_of(api.url, pagination=block()))
