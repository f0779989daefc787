"""Cursors that are arrays of JSON."""

import json

import pytest

from sync_pipeline.errors import SourceDataError
from sync_pipeline_tests.extract.api import Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, records_of

CURSORS = {
    "sort values": [1714550400000, 7],
    "one text": ["key-7"],
    "null among them": [None, 7],
    "a large number": [2**70, -1.5],
    "letters of all kinds": ['Ärger & \u2028 \\ "quoted"', "%20+"],
    "objects among them": [{"id": "a/7"}, {"at": {"N": 12}}],
    "nested": [[1, [True]], {"a": []}],
}
TEXT = '{"size": 2{% if cursor %}, "after": {{ cursor }}{% endif %}}'
WAYS = {
    "the value": {"httpMethod": "post", "jsonBody": {"after": "{{ cursor }}"}},
    "in a list": {"httpMethod": "post", "jsonBody": {"keys": [{"after": "{{cursor}}"}]}},
    "a body that is one text": {"httpMethod": "post", "jsonBody": TEXT},
    "the query string": {},
}
BLOCK = {"type": "cursor", "cursorPath": "meta.next", "cursorKey": "after"}


def asked(request):
    if not request.body:
        return json.loads(request.query["after"]) if "after" in request.query else None
    body = json.loads(request.body)
    return body["keys"][0]["after"] if "keys" in body else body.get("after")


def source(cursor):
    def route(request):
        found = asked(request)
        if found not in (None, cursor):
            return Reply({"message": f"not mine: {found}"}, status=400)
        items = numbered(4)[2:] if found else numbered(4)[:2]
        return Reply({"items": items, "meta": {"next": None if found else cursor}})

    return route


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
def test_a_cursor_comes_back_as_the_json_that_it_was(cursor, way):
    with serve(source(cursor)) as api:
        assert fetch_all(config_of(api.url, pagination=BLOCK, **way)) == numbered(4)
    assert [asked(request) for request in api.requests] == [None, cursor]


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
def test_a_cursor_survives_a_checkpoint(cursor):
    with serve(source(cursor)) as api:
        config = config_of(api.url, pagination=BLOCK, **WAYS["the value"])
        with opened(config) as opened_source:
            first = next(opened_source.fetch_pages())
        rest = fetch_all(config, resume_from=json.loads(json.dumps(first.checkpoint)))
    assert records_of([first]) + rest == numbered(4)


@pytest.mark.parametrize("text", ["[1,2]", '{"a": 1}', "null", "7", '"quoted"'])
def test_a_text_that_looks_like_json_stays_a_text(text):
    with serve(source(text)) as api:
        config = config_of(api.url, pagination=BLOCK, **WAYS["the value"])
        assert fetch_all(config) == numbered(4)
    assert asked(api.requests[1]) == text


@pytest.mark.parametrize("nothing", [[], None, ""])
def test_an_empty_cursor_is_the_end(nothing):
    with serve(lambda _r: Reply({"items": numbered(2), "meta": {"next": nothing}})) as api:
        assert fetch_all(config_of(api.url, pagination=BLOCK)) == numbered(2)


def test_a_cursor_that_repeats_is_an_error():
    rows = iter(numbered(9))
    claim = pytest.raises(SourceDataError, match="was already read")
    with serve(lambda _r: Reply({"items": [next(rows)], "meta": {"next": [1]}})) as api, claim:
        fetch_all(config_of(api.url, pagination=BLOCK))


def test_the_sort_values_of_the_last_hit_lead_on_until_there_is_none():
    hits = [{"_source": {"id": n}, "sort": [1714550400000, n]} for n in range(5)]

    def route(request):
        after = json.loads(request.body)["search_after"]
        start = after[1] + 1 if after else 0
        return Reply({"hits": {"total": {"value": 5}, "hits": hits[start : start + 2]}})

    with serve(route) as api:
        config = config_of(
            api.url,
            httpMethod="post",
            jsonBody={"size": 2, "search_after": "{{ cursor }}"},
            resultsJsonPath="hits.hits[*]._source",
            pagination={**BLOCK, "cursorPath": "hits.hits[-1].sort"},
        )
        assert [record["id"] for record in fetch_all(config)] == [0, 1, 2, 3, 4]
