"""Every style of paging against a real API on loopback: each record once, or a clear error."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.rest.paging import ending
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import (
    DECLARED,
    PAGINATIONS,
    config_of,
    fetch_all,
    opened,
    pagination_of,
    records_of,
)

STYLES = list(PAGINATIONS)
TOKEN_STYLES = [style for style in STYLES if style not in ("offset", "page")]
DECLARATIONS = [
    (), ("total",), ("totalPages",), ("hasMore",), ("isLast",),
    ("totalHeader",), ("totalPagesHeader",), ("total", "hasMore"),
]  # fmt: skip


def sync(catalogue, style, declares=(), *, size=None, **options):
    """All records, and the queries that were made."""
    with serve(catalogue) as api:
        config = config_of(f"{api.url}/things?a=1", pagination=pagination_of(style, declares, size))
        return fetch_all(config, **options), api.queries()


@pytest.mark.parametrize("declares", DECLARATIONS, ids="+".join)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 100, 105])
@pytest.mark.parametrize("style", STYLES)
def test_every_record_comes_exactly_once(style, count, declares):
    rows = numbered(count)
    records, queries = sync(Catalogue(rows, style, declares=declares), style, declares)
    assert records == rows
    positions = [(q.get("offset"), q.get("page"), q.get("cursor"), q.get("from")) for q in queries]
    if style != "continuation_header":
        assert len(set(positions)) == len(positions), "a page was asked for twice"


@pytest.mark.parametrize("first", [0, 1, 5])
def test_pages_are_counted_from_any_first_page(first):
    with serve(Catalogue(numbered(25), "page", first=first)) as api:
        block = {**PAGINATIONS["page"], "type": "page", "firstPage": first}
        assert fetch_all(config_of(api.url, pagination=block)) == numbered(25)
    assert api.queries()[0]["page"] == str(first)


def test_a_config_without_pagination_makes_one_request():
    with serve(lambda _r: Reply({"items": numbered(2500)})) as api:
        assert fetch_all(config_of(api.url)) == numbered(2500)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("count", "declares", "requests"),
    [
        (25, ("total",), 3),
        (25, ("hasMore",), 3),
        (20, ("hasMore",), 2),
        (25, ("isLast",), 3),
        (20, ("isLast",), 2),
        (25, ("totalPages",), 3),
        (20, ("total", "totalPages"), 2),
        (20, ("totalHeader", "totalPagesHeader"), 2),
        (25, ("totalHeader",), 3),
        # A full last page: the declared total might be too low, one request makes sure.
        (20, ("total",), 3),
        # A short page might be the cap of the server, one request makes sure.
        (25, (), 4),
        (20, (), 3),
        (0, (), 1),
    ],
)
def test_no_more_requests_are_made_than_it_takes_to_be_sure(count, declares, requests):
    _, queries = sync(Catalogue(numbered(count), declares=declares), "offset", declares)
    assert len(queries) == requests


@pytest.mark.parametrize("declares", DECLARATIONS[:-1], ids="+".join)
@pytest.mark.parametrize("count", [1, 3, 4, 8, 30])
@pytest.mark.parametrize("style", STYLES)
def test_a_server_that_caps_the_limit_loses_no_record(style, count, declares):
    rows = numbered(count)
    records, _ = sync(Catalogue(rows, style, cap=4, declares=declares), style, declares)
    assert records == rows


def test_a_server_that_caps_the_page_but_skips_by_what_was_asked_loses_no_record():
    def route(request):
        size, page = int(request.query["limit"]), int(request.query["page"])
        return Reply({"items": numbered(30)[page * size : page * size + min(size, 4)]})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("page"))
        assert fetch_all(config) == numbered(30)


@pytest.mark.parametrize("short", [0, 1, 2])
def test_a_page_that_shrinks_in_the_middle_loses_no_record(short):
    rows = numbered(35)

    def route(request):
        offset = int(request.query["offset"])
        size = 7 if offset == short * 10 else 10
        return Reply({"items": rows[offset : offset + size]})

    with serve(route) as api:
        assert fetch_all(config_of(api.url, pagination=pagination_of("offset"))) == rows


def test_a_source_that_hides_records_of_a_page_is_a_clear_error():
    """Positions count hidden records: going on by the number received would read some twice."""
    rows = numbered(40)

    def route(request):
        offset = int(request.query["offset"])
        page = rows[offset : offset + 10]
        return Reply({"items": [row for row in page if row["id"] != 12]})

    with serve(route) as api:
        with pytest.raises(SourceDataError, match="begins with records of the page before"):
            fetch_all(config_of(api.url, pagination=pagination_of("offset")))


def test_a_source_that_hides_records_of_its_last_page_ends_there():
    rows = numbered(17)

    def route(request):
        offset = int(request.query["offset"])
        return Reply({"items": [r for r in rows[offset : offset + 10] if r["id"] != 12]})

    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=pagination_of("offset")))
    assert records == [row for row in rows if row["id"] != 12]


@pytest.mark.parametrize("style", ["offset", "page"])
def test_a_server_that_ignores_paging_and_gives_few_records_is_read_once(style):
    with serve(lambda _r: Reply({"items": numbered(3)})) as api:
        assert fetch_all(config_of(api.url, pagination=pagination_of(style))) == numbered(3)


@pytest.mark.parametrize("count", [10, 15])
@pytest.mark.parametrize("style", ["offset", "page"])
def test_a_full_page_that_repeats_is_an_error(style, count):
    with serve(lambda _r: Reply({"items": numbered(count)})) as api:
        with pytest.raises(SourceDataError, match=r"things\.yaml.*repeats an earlier page"):
            fetch_all(config_of(api.url, pagination=pagination_of(style)))
    assert len(api.requests) == 2


def test_a_page_that_repeats_one_before_the_last_is_an_error():
    def route(request):
        turn = int(request.query["offset"]) // 10 % 3
        return Reply({"items": [{"id": f"{turn}-{i}"} for i in range(10)]})

    with serve(route) as api:
        with pytest.raises(SourceDataError, match="repeats an earlier page"):
            fetch_all(config_of(api.url, pagination=pagination_of("offset")))


@pytest.mark.parametrize("period", [1, 2, 40])
@pytest.mark.parametrize("style", TOKEN_STYLES)
def test_a_cursor_that_repeats_is_an_error(style, period):
    state = {"n": 0}

    def route(_request):
        state["n"] += 1
        token = str(state["n"] % period)
        body = {"items": [{"id": state["n"]}], "meta": {"next": token}, "next": f"/?from={token}"}
        return Reply(body, headers={"X-Next": token, "Link": f'</?from={token}>; rel="next"'})

    with serve(route) as api:
        with pytest.raises(SourceDataError, match="was already read"):
            fetch_all(config_of(api.url, pagination=pagination_of(style)))
    assert len(api.requests) < 4 * period + 4


@pytest.mark.parametrize("style", TOKEN_STYLES)
def test_a_cursor_that_repeats_on_an_empty_page_is_the_end(style):
    rows = numbered(20)

    def route(request):
        query = request.query
        offset = int(query.get("cursor") or query.get("from") or request.headers.get("x-next") or 0)
        token = str(min(offset + 10, 20))
        body = {
            "items": rows[offset : offset + 10],
            "meta": {"next": token},
            "next": f"/?from={token}",
        }
        return Reply(body, headers={"X-Next": token, "Link": f'</?from={token}>; rel="next"'})

    with serve(route) as api:
        assert fetch_all(config_of(api.url, pagination=pagination_of(style))) == rows
    assert len(api.requests) == 3


@pytest.mark.parametrize("start", ["0", "2"])
def test_a_cursor_that_begins_again_behind_the_declared_total_ends_there(start):
    """It is never empty. https://github.com/open-metadata/OpenMetadata/issues/23210"""
    rows = numbered(6)

    def route(request):
        at = int(request.query.get("cursor", start))
        page = [rows[(at + step) % 6] for step in range(2)]
        return Reply({"items": page, "total": 6, "meta": {"next": str(at + 2)}})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("cursor", ("total",)))
        records = fetch_all(config)
    assert sorted(record["id"] for record in records) == list(range(6))
    assert len(api.requests) == 4


def test_empty_pages_in_the_middle_of_a_cursor_are_passed():
    def route(request):
        at = int(request.query.get("cursor") or 0)
        items = [{"id": at}] if at in (0, 5) else []
        return Reply({"items": items, "meta": {"next": str(at + 1) if at < 5 else None}})

    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=pagination_of("cursor")))
    assert records == [{"id": 0}, {"id": 5}]


def test_a_cursor_over_empty_pages_without_end_ends(caplog):
    def route(request):
        at = int(request.query.get("cursor") or 0)
        return Reply({"items": numbered(3) if not at else [], "meta": {"next": str(at + 1)}})

    with serve(route) as api:
        records = fetch_all(config_of(api.url, pagination=pagination_of("cursor")))
    assert records == numbered(3)
    assert len(api.requests) < 15
    assert "taken for the end" in caplog.text


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [0, 7, 20, 25])
def test_a_declared_total_that_is_not_reached_is_an_error(style, count):
    catalogue = Catalogue(numbered(count), style, declares=("total",), lie=5)
    with pytest.raises(SourceDataError, match=rf"declares {count + 5} records .* after {count}"):
        sync(catalogue, style, ("total",))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("lie", [-1, -5, -10, -15])
def test_a_declared_total_that_is_too_low_loses_no_record(style, lie, caplog):
    rows = numbered(25)
    records, _ = sync(Catalogue(rows, style, declares=("total",), lie=lie), style, ("total",))
    assert records == rows
    assert "is not used any more" in caplog.text


def test_a_total_that_is_really_the_count_of_the_page_loses_no_record():
    rows = numbered(25)

    def route(request):
        page = rows[int(request.query["offset"]) :][:10]
        return Reply({"items": page, "total": len(page)})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("total",)))
        with opened(config) as source:
            pages = list(source.fetch_pages())
    assert records_of(pages) == rows
    assert [page.total for page in pages] == [10, None, None, None]


def test_declared_pages_that_are_not_reached_are_an_error():
    catalogue = Catalogue(numbered(20), "page", declares=("totalPages",), lie=3)
    with pytest.raises(SourceDataError, match="declares 5 pages"):
        sync(catalogue, "page", ("totalPages",))


def test_declared_pages_that_are_too_few_lose_no_record():
    catalogue = Catalogue(numbered(40), "page", declares=("totalPages",), lie=-2)
    assert sync(catalogue, "page", ("totalPages",))[0] == numbered(40)


def test_has_more_that_leads_nowhere_is_an_error():
    with serve(lambda _r: Reply({"items": [], "hasMore": True})) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("hasMore",)))
        with pytest.raises(SourceDataError, match="hasMorePath"):
            fetch_all(config)


@pytest.mark.parametrize("status", [400, 404, 416])
def test_an_error_in_answer_to_the_request_that_only_makes_sure_is_the_end(status):
    catalogue = Catalogue(numbered(20), declares=("total",))

    def route(request):
        beyond = int(request.query["offset"]) >= 20
        return Reply({"detail": "Invalid page."}, status=status) if beyond else catalogue(request)

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("total",)))
        assert fetch_all(config) == numbered(20)


@pytest.mark.parametrize("style", ["offset", "page"])
def test_an_error_after_a_full_page_says_what_to_declare_if_it_is_the_end(style):
    catalogue = Catalogue(numbered(20), style)

    def route(request):
        reply = catalogue(request)
        return reply if reply.body["items"] else Reply({"detail": "Invalid page."}, status=404)

    with serve(route) as api:
        block = pagination_of(style)
        with pytest.raises(SourceError, match=r"Invalid page.*declare pagination\.totalPath"):
            fetch_all(config_of(api.url, pagination=block))


def test_a_total_that_falls_while_paging_is_a_warning(caplog):
    rows = numbered(25)

    def route(request):
        offset = int(request.query["offset"])
        return Reply({"items": rows[offset : offset + 10], "total": 26 if not offset else 25})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("total",)))
        assert fetch_all(config) == rows
    assert "fell from 26 to 25" in caplog.text


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25, 30])
@pytest.mark.parametrize("style", STYLES)
def test_a_limit_reads_the_first_records_and_asks_for_no_more(style, limit):
    rows = numbered(30)
    records, queries = sync(Catalogue(rows, style), style, limit=limit)
    assert records == rows[:limit]
    assert len(queries) == -(-limit // 10)
    assert int(queries[0]["limit"]) == min(limit, 10)


def test_the_offset_style_asks_only_for_what_a_limit_leaves():
    _, queries = sync(Catalogue(numbered(30)), "offset", limit=13)
    assert [(q["offset"], q["limit"]) for q in queries] == [("0", "10"), ("10", "3")]


def test_a_page_style_under_a_limit_that_meets_a_cap_loses_no_record():
    rows = numbered(30)
    assert sync(Catalogue(rows, "page", cap=4), "page", limit=9)[0] == rows[:9]


@pytest.mark.parametrize("declares", DECLARATIONS, ids="+".join)
@pytest.mark.parametrize("style", STYLES)
def test_resuming_after_any_page_goes_on_exactly_there(style, declares):
    rows = numbered(35)
    with serve(Catalogue(rows, style, declares=declares)) as api:
        config = config_of(api.url, pagination=pagination_of(style, declares))
        with opened(config) as source:
            pages = list(source.fetch_pages())
        asked = len(api.requests)
        for kept, page in enumerate(pages, 1):
            if page.checkpoint is None:
                assert page is pages[-1]
                continue
            checkpoint = json.loads(json.dumps(page.checkpoint))
            before = len(api.requests)
            with opened(config) as source:
                rest = list(source.fetch_pages(checkpoint))
            assert records_of(pages[:kept]) + records_of(rest) == rows
            assert [page.number for page in rest] == [p.number for p in pages[kept:]]
            assert len(api.requests) - before == asked - kept, "a finished page was fetched again"


@pytest.mark.parametrize("style", STYLES)
def test_a_resumed_limit_counts_what_was_read_before(style):
    rows = numbered(35)
    with serve(Catalogue(rows, style)) as api:
        config = config_of(api.url, pagination=pagination_of(style))
        with opened(config, limit=24) as source:
            first = next(source.fetch_pages())
        rest = fetch_all(config, limit=24, resume_from=first.checkpoint)
    assert records_of([first]) + rest == rows[:24]


def test_a_checkpoint_of_another_style_is_refused():
    with serve(Catalogue(numbered(35))) as api:
        with opened(config_of(api.url, pagination=pagination_of("offset"))) as source:
            checkpoint = next(source.fetch_pages()).checkpoint
        with pytest.raises(SourceDataError, match="Start a new run"):
            fetch_all(config_of(api.url, pagination=pagination_of("page")), resume_from=checkpoint)


def test_checkpoints_stay_small_whatever_the_number_of_pages():
    with serve(Catalogue(numbered(1000), "cursor")) as api:
        with opened(config_of(api.url, pagination=pagination_of("cursor"))) as source:
            sizes = [len(json.dumps(page.checkpoint)) for page in source.fetch_pages()]
    assert max(sizes) < 3000


def test_pages_carry_the_declared_total_and_their_requests():
    with serve(Catalogue(numbered(25), declares=("total",))) as api:
        config = config_of(api.url, pagination=pagination_of("offset", ("total",)))
        with opened(config) as source:
            pages = list(source.fetch_pages())
        with opened(config, limit=12) as source:
            limited = list(source.fetch_pages())
    assert [(p.number, p.total, p.requests) for p in pages] == [(1, 25, 1), (2, 25, 1), (3, 25, 1)]
    assert [page.total for page in limited] == [12, 12]
    assert pages[-1].checkpoint is None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    style=st.sampled_from(STYLES),
    count=st.integers(0, 40),
    size=st.integers(1, 15),
    cap=st.none() | st.integers(1, 15),
    declares=st.sets(st.sampled_from(sorted(DECLARED))),
    kept=st.integers(1, 45),
    limit=st.none() | st.integers(1, 45),
)
def test_law_each_record_once_also_when_resumed_at_any_page(
    style, count, size, cap, declares, kept, limit
):
    # Declared pages are counted by the server's own page size, which a limit changes.
    declares = declares - {"totalPages", "totalPagesHeader"} if limit else declares
    rows = numbered(count)
    named = tuple(sorted(declares))
    with serve(Catalogue(rows, style, cap=cap, declares=named)) as api:
        config = config_of(api.url, pagination=pagination_of(style, named, size))
        with opened(config, limit=limit) as source:
            pages = []
            for page in source.fetch_pages():
                pages.append(page)
                if len(pages) == kept:
                    break
        rest = []
        if pages and pages[-1].checkpoint is not None:
            rest = fetch_all(config, limit=limit, resume_from=pages[-1].checkpoint)
    assert records_of(pages) + rest == rows[:limit]


@pytest.mark.parametrize("style", ["offset", "page"])
@pytest.mark.parametrize("sizes", [(10, 10, 1), (10, 5), (10, 4, 3)])
def test_a_source_that_answers_for_any_page_is_given_up(monkeypatch, style, sizes):
    monkeypatch.setattr(ending, "MOST_LITTLE_PAGES", 20)
    asked = itertools.count()

    def route(_request):
        number = next(asked)
        size = sizes[min(number, len(sizes) - 1)]
        return Reply({"items": [{"id": f"{number}-{at}"} for at in range(size)]})

    with serve(route) as api:
        with pytest.raises(SourceDataError, match=r"answer for any page.*hasMorePath"):
            fetch_all(config_of(api.url, pagination=pagination_of(style)))
    assert len(api.requests) < 30


@pytest.mark.parametrize("sizes", [[10] + [6] * 40, [10] + [1, 2] * 30, [3] * 50, [10, 9] * 30])
def test_pages_of_any_size_are_read_on_as_long_as_they_differ_or_are_large(monkeypatch, sizes):
    monkeypatch.setattr(ending, "MOST_LITTLE_PAGES", 20)
    pages = iter([*sizes, 0, 0])
    asked = itertools.count()

    def route(_request):
        number = next(asked)
        return Reply({"items": [{"id": f"{number}-{at}"} for at in range(next(pages))]})

    with serve(route) as api:
        found = fetch_all(config_of(api.url, pagination=pagination_of("offset")))
    assert len(found) == sum(sizes)
