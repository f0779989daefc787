"""Page numbers that begin at 0 here and at 1 there."""

import json

import pytest

from sync_pipeline.errors import SourceDataError
from sync_pipeline_tests.extract.api import Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, records_of


def from_one(count, *, cap=10, status_beyond=200, **declared):
    """A source that counts its pages from 1 and takes 0 for 1."""

    def route(request):
        size = min(int(request.query.get("limit", cap)), cap)
        start = (max(1, int(request.query["page"])) - 1) * size
        rows = numbered(count)[start : start + size]
        status = 200 if rows else status_beyond
        return Reply({"items": rows, **declared}, status=status)

    return route


def block(**more):
    return {"limitKey": "limit", "skipKey": "page", "pageSize": 10, **more}


LOST = {
    "full pages": (25, 10),
    "one full page and one record": (11, 10),
    "a cap": (25, 4),
    "a cap, and a second page of one record": (5, 4),
    "a cap of one record": (3, 1),
    "a cap, and full pages": (8, 4),
}


@pytest.mark.parametrize(("count", "cap"), LOST.values(), ids=LOST)
def test_pages_from_0_at_a_source_that_counts_from_1_are_an_error_that_tells_it(count, cap):
    claim = pytest.raises(SourceDataError, match=r"from 1.*`firstPage: 1`")
    with serve(from_one(count, cap=cap)) as api, claim:
        fetch_all(config_of(api.url, pagination=block()))


@pytest.mark.parametrize(("count", "cap"), LOST.values(), ids=LOST)
def test_what_the_error_tells_to_state_reads_all(count, cap):
    with serve(from_one(count, cap=cap)) as api:
        records = fetch_all(config_of(api.url, pagination=block(firstPage=1)))
    assert records == numbered(count)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_a_source_of_one_short_page_is_read_whichever_way_it_counts(count, status):
    with serve(from_one(count, status_beyond=status)) as api:
        assert fetch_all(config_of(api.url, pagination=block())) == numbered(count)
    assert len(api.requests) == 3


def test_no_further_request_is_made_where_a_total_says_that_all_has_come():
    with serve(from_one(3, total=3)) as api:
        records = fetch_all(config_of(api.url, pagination=block(totalPath="total")))
    assert records == numbered(3)
    assert len(api.requests) == 1


def test_a_run_that_is_resumed_in_doubt_still_tells():
    with serve(from_one(9, cap=4)) as api:
        config = config_of(api.url, pagination=block())
        with opened(config) as source:
            pages = source.fetch_pages()
            kept = [next(pages), next(pages)]
        checkpoint = json.loads(json.dumps(kept[-1].checkpoint))
        assert records_of(kept) == numbered(4)
        with pytest.raises(SourceDataError, match="firstPage: 1"):
            fetch_all(config, resume_from=checkpoint)


def test_an_offset_that_is_ignored_is_not_told_to_count_pages():
    claim = pytest.raises(SourceDataError, match=r"repeats an earlier page \(asked.*\): the source")
    with serve(lambda _r: Reply({"items": numbered(10)})) as api, claim:
        offset = {"limitKey": "limit", "skipKey": "offset", "limitMax": 10}
        fetch_all(config_of(api.url, pagination=offset))
