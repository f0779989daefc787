"""Flags by which APIs say that a page is the last one, although it may name a next one."""

# the outer `with` is the server, the inner one the claim

import pytest

from sync_pipeline.errors import SourceDataError
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

#: How to page, where the flag is, what it says on the first and on the last page.
FLAGS = {
    "Zendesk": ({"type": "next_url", "nextUrlPath": "next_page"}, "end_of_stream", False, True),
    "Jira": ({"type": "cursor", "cursorPath": "token", "cursorKey": "from"}, "isLast", False, True),
    "Spring": ({"type": "page", "skipKey": "page", "firstPage": 0}, "page.last", False, True),
    "texts": ({"skipKey": "from", "limitMax": 2}, "end", "false", "true"),
    "numbers": ({"skipKey": "from", "limitMax": 2}, "meta.done", 0, 1),
    "null before": ({"type": "link_header"}, "last", None, True),
}


@pytest.mark.parametrize(("block", "path", "first", "last"), FLAGS.values(), ids=FLAGS)
def test_a_flag_that_is_true_at_the_end_ends_although_a_next_page_is_named(
    block, path, first, last
):
    def route(request):
        is_last = any(value != "0" for value in request.query.values())
        flag = last if is_last else first
        for name in reversed(path.split(".")):
            flag = {name: flag}
        start = 2 if is_last else 0
        items = [{"id": start}, {"id": start + 1}]
        body = {"items": items, "next_page": "/?from=2", "token": "2", **flag}
        return Reply(body, headers={"Link": '</?from=2>; rel="next"'})

    with serve(route) as api:
        config = config_of(api.url, pagination={**block, "isLastPath": path})
        assert [record["id"] for record in fetch_all(config)] == [0, 1, 2, 3]
    assert len(api.requests) == 2


@pytest.mark.parametrize("says", [False, 0, "no"])
def test_a_flag_that_says_that_more_follows_where_nothing_does_is_an_error(says):
    with serve(lambda _r: Reply({"items": [], "isLast": says})) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("isLast",)))
        with pytest.raises(SourceDataError, match=r"more records follow \(pagination.isLastPath\)"):
            fetch_all(config)


def test_of_two_flags_that_contradict_each_other_the_one_that_says_more_counts():
    with serve(lambda _r: Reply({"items": [], "isLast": True, "hasMore": True})) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("isLast", "hasMore")))
        with pytest.raises(SourceDataError, match=r"hasMorePath or pagination.isLastPath"):
            fetch_all(config)


def test_a_flag_at_the_end_that_is_no_boolean_names_its_key():
    with serve(lambda _r: Reply({"items": [], "isLast": "perhaps"})) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("isLast",)))
        with pytest.raises(SourceDataError, match=r"at pagination.isLastPath is no boolean"):
            fetch_all(config)
