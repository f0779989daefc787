"""How APIs say that a page is the last one although it names a next one."""

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


def export(pages, ends):
    """An export by time: a page begins with the last records of the one before it."""

    def route(request):
        at = request.query.get("from") or request.headers.get("x-next") or "0"
        following = ends[at]
        body = {
            "items": [{"id": number} for number in pages[at]],
            "next": f"/?from={following}",
            "meta": {"next": following},
        }
        link = f'</?from={following}>; rel="next"'
        return Reply(body, headers={"X-Next": following, "Link": link})

    return route


EXPORTS = {
    "one record at the border": ({"0": [1, 2, 3], "3": [3, 4, 5], "5": [5]}, 5),
    "two records at the border": ({"0": [1, 2, 3], "3": [2, 3, 4, 5], "5": [4, 5]}, 5),
    "after the first page": ({"0": [1, 2, 3], "3": [3]}, 3),
    "eight records at the border": ({"0": list(range(1, 11)), "10": list(range(3, 11))}, 10),
    "a page without overlap before": ({"0": [1], "1": [2, 3], "3": [3]}, 3),
}
SELF_NAMING = ["next_url", "link_header", "continuation_header", "cursor"]


def ends_of(pages):
    starts = list(pages)
    return dict(zip(starts, [*starts[1:], starts[-1]], strict=True))


def block_of(style):
    block = {key: value for key, value in pagination_of(style).items() if "limit" not in key}
    return {**block, "cursorKey": "from"} if style == "cursor" else block


@pytest.mark.parametrize("style", SELF_NAMING)
@pytest.mark.parametrize(("pages", "count"), EXPORTS.values(), ids=EXPORTS)
def test_a_page_of_records_that_came_and_that_names_itself_is_the_end(pages, count, style):
    with serve(export(pages, ends_of(pages))) as api:
        records = fetch_all(config_of(api.url, pagination=block_of(style)))
    assert sorted({record["id"] for record in records}) == list(range(1, count + 1))
    assert records[-1]["id"] == count
    assert len(api.requests) == len(pages)


LOOPS = {
    "it brings a new record": {"0": [1, 2, 3], "3": [3, 4]},
    "it repeats the whole page": {"0": [1, 2, 3], "3": [1, 2, 3]},
    "it has the first records": {"0": [1, 2, 3], "3": [1, 2]},
    "it has none of the records": {"0": [1, 2, 3], "3": [7]},
    "more records than are compared": {"0": list(range(11)), "10": list(range(1, 11))},
}


@pytest.mark.parametrize("style", SELF_NAMING)
@pytest.mark.parametrize("pages", LOOPS.values(), ids=LOOPS)
def test_any_other_page_that_names_itself_is_an_error(pages, style):
    claim = pytest.raises(SourceDataError, match=r"was already read|repeats an earlier page")
    with serve(export(pages, ends_of(pages))) as api, claim:
        fetch_all(config_of(api.url, pagination=block_of(style)))
    assert len(api.requests) == 2


def test_a_page_that_names_itself_before_the_declared_total_has_come_is_an_error():
    def route(request):
        page = {"0": [1, 2, 3], "3": [3]}[request.query.get("from", "0")]
        return Reply({"items": [{"id": n} for n in page], "next": "/?from=3", "total": 9})

    with serve(route) as api:
        block = {"type": "next_url", "nextUrlPath": "next", "totalPath": "total"}
        with pytest.raises(SourceDataError, match="declares 9 records"):
            fetch_all(config_of(api.url, pagination=block))
