"""Paths and headers of `pagination` that lead nowhere: the end of the pages, or a mistake."""

import json

import pytest

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.rest import reading
from sync_pipeline_tests.extract.api import Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, pagination_of

ROWS = numbered(6)


@pytest.fixture(params=["read whole", "read in chunks"])
def any_size(request, monkeypatch):
    """Answers of every size are told apart alike."""
    if request.param == "read in chunks":
        monkeypatch.setattr(reading, "MEMORY_BYTES", 1)


def paged(declare, *, size=3, rows=ROWS, headers=lambda _page: {}):
    """A route of pages 1, 2, ... beside what `declare(page, is_last)` says."""

    def route(request):
        query = request.query
        at = query.get("cursor") or query.get("page") or request.headers.get("x-next") or 1
        page = int(at)
        items = rows[(page - 1) * size : page * size]
        is_last = page * size >= len(rows)
        return Reply({"items": items, **declare(page, is_last)}, headers=headers(page))

    return route


def read(route, block, **values):
    """The records, and the warnings."""
    told = []
    with serve(route) as api:
        config = config_of(api.url, pagination=block, **values)
        return fetch_all(config, warn=told.append), told


def cursor(path, **more):
    return {"type": "cursor", "cursorPath": path, "cursorKey": "cursor", **more}


def next_url(path, **more):
    return {"type": "next_url", "nextUrlPath": path, **more}


def snake(page, is_last):
    following = None if is_last else page + 1
    return {
        "paging": {
            "next_cursor": following and str(following),
            "next_link": following and f"/?page={following}",
            "has_more": not is_last,
            "pages": ["x"],
        }
    }


LEADS_NOWHERE = {
    "another spelling": (cursor("paging.nextCursor"), "'paging.next_cursor'"),
    "another case": (cursor("paging.Next_Cursor"), "'paging.next_cursor'"),
    "a letter too few": (cursor("paging.next_curser"), "'paging.next_cursor'"),
    "brackets": (cursor("$['paging']['nextCursor']"), "'paging.next_cursor'"),
    "another parent": (cursor("pagging.next_cursor"), "'paging.next_cursor'"),
    "a URL": (next_url("paging.nextLink"), "'paging.next_link'"),
    "of another name": (cursor("paging.after"), None),
    "into an array": (cursor("paging.pages.after"), None),
    "into the records": (cursor("items.next"), None),
    "by a name that is no path": (cursor("@paging.next"), None),
    "by an index": (cursor("items[9].next"), None),
    "by a filter": (cursor("items[?(@.id == 99)].next"), None),
}


@pytest.mark.parametrize(("block", "meant"), LEADS_NOWHERE.values(), ids=LEADS_NOWHERE)
def test_a_path_that_leads_nowhere_is_a_warning_that_names_what_is_there(block, meant):
    records, told = read(paged(snake), block)
    assert records == ROWS[:3]
    (text,) = told
    path = block.get("cursorPath") or block["nextUrlPath"]
    key = "pagination.cursorPath" if "cursorPath" in block else "pagination.nextUrlPath"
    assert text.startswith("configs/things.yaml: GET http://127.0.0.1")
    assert f"nothing at {path!r} ({key}): $" in text
    assert "no page after it was asked for" in text
    assert (f"did you mean {meant}?" in text) if meant else ("did you mean" not in text)


@pytest.mark.usefixtures("any_size")
def test_a_name_that_is_no_path_is_looked_for_among_names():
    declare = facts(**{"@odata.nextLink": "/?page=2"})
    _, told = read(paged(declare), next_url("@odata.nextlink"))
    assert "did you mean" in told[0]
    assert "@odata.nextLink" in told[0].split("did you mean")[1]


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("paging.nextCursor", "$.paging is an object with the keys next_cursor, next_link"),
        ("meta.next", "$ is an object with the keys items, paging"),
        ("paging.pages.next", "$.paging.pages is an array"),
        ("paging.has_more.next", "$.paging.has_more is a boolean"),
        ("items.next", "$.items is an array"),
    ],
)
def test_what_is_there_is_named_in_answers_of_every_size(path, text):
    _, told = read(paged(snake), cursor(path))
    assert len(told) == 1
    assert text in told[0]


@pytest.mark.parametrize(
    ("block", "sent", "text"),
    [
        ({"type": "link_header"}, {"X-Links": "</?page=2>; rel=next"}, "headers are X-Links"),
        (
            {"type": "continuation_header", "header": "X-Next"},
            {"Xnext": "2", "X-Total": "6"},
            "no header 'X-Next': its headers are Xnext, X-Total; did you mean 'Xnext'?",
        ),
        (
            {"type": "continuation_header", "header": "X-Next"},
            {},
            "its headers are none but the usual ones",
        ),
    ],
)
def test_a_header_that_no_answer_has_is_a_warning_that_names_what_came(block, sent, text):
    records, told = read(paged(lambda *_: {}, headers=lambda _page: sent), block)
    assert records == ROWS[:3]
    assert len(told) == 1
    assert text in told[0]


COUNTED = {"skipKey": "page", "type": "page", "limitKey": "limit", "pageSize": 3}


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("block", [COUNTED, cursor("paging.next_cursor")], ids=["page", "cursor"])
def test_a_has_more_that_is_not_there_is_a_warning_once_and_loses_nothing(block):
    records, told = read(paged(snake), {**block, "hasMorePath": "paging.hasMore"})
    assert records == ROWS
    (text,) = told
    assert "nothing at 'paging.hasMore' (pagination.hasMorePath)" in text
    assert "has_more" in text
    assert text.endswith("Correct it, or take it out")


def test_a_has_more_that_capped_pages_do_not_have_is_a_warning():
    block = {"skipKey": "offset", "limitKey": "limit", "limitMax": 100, "hasMorePath": "more"}

    def route(request):
        return Reply({"items": ROWS[int(request.query["offset"]) :][:2]})

    records, told = read(route, block)
    assert records == ROWS
    assert len(told) == 1


# ---------------------------------------------------------------- what stays quiet


def left_out(name="next", inside=None):
    """An API that leaves a cursor, or all that is around it, out of its last page."""

    def declare(page, is_last):
        if is_last:
            return {} if inside else {"meta": {}}
        return {"meta": {name: str(page + 1)} if inside is None else {inside: {name: page + 1}}}

    return declare


def facts(**values):
    """The same beside each page; a function is called with the page and whether it is the last."""
    return lambda page, is_last: {
        name: value(page, is_last) if callable(value) else value for name, value in values.items()
    }


def last_says(value):
    return lambda page, is_last: value if is_last else str(page + 1)


QUIET = {
    "left out of the last page": (left_out(), cursor("meta.next"), 6),
    "left out with its parent": (left_out("after", "next"), cursor("meta.next.after"), 6),
    "null": (facts(next=last_says(None)), cursor("next"), 6),
    "an empty text": (facts(next=last_says("")), cursor("next"), 6),
    "false": (facts(next=last_says(False)), cursor("next"), 6),
    "null on the only page": (facts(next=None), cursor("next"), 3),
    "its parent is null on the last page": (
        facts(meta=lambda page, is_last: None if is_last else {"next": str(page + 1)}),
        cursor("meta.next"),
        6,
    ),
    "its parent is an empty array on the last page, as PHP has it": (
        facts(meta=lambda page, is_last: [] if is_last else {"next": str(page + 1)}),
        cursor("meta.next"),
        6,
    ),
    "one page that says that no more follow": (
        facts(more=False), cursor("meta.next", hasMorePath="more"), 3,
    ),
    "one page that is all of the total": (
        facts(total=3), cursor("meta.next", totalPath="total"), 3,
    ),
    "one page of one": (facts(pages=1), cursor("meta.next", totalPagesPath="pages"), 3),
    "the total is reached by the last page": (
        facts(total=6, next=lambda page, is_last: None if is_last else str(page + 1)),
        cursor("next", totalPath="total"),
        6,
    ),
    "the total is on the first page only": (
        lambda page, is_last: {"next": last_says(None)(page, is_last), **({"total": 6} if page == 1 else {})},
        cursor("next", totalPath="total"),
        6,
    ),
    "no records at all": (facts(), cursor("meta.next"), 0),
    "no records at all, by a header": (facts(), {"type": "link_header"}, 0),
    "no records at all, by a count": (facts(), {**COUNTED, "hasMorePath": "more"}, 0),
    "a count, and a flag that is left out when false": (
        lambda _page, is_last: {} if is_last else {"more": True},
        {**COUNTED, "hasMorePath": "more"},
        5,
    ),
    "a count, one full page, and a flag that is left out when false": (
        facts(), {**COUNTED, "hasMorePath": "more"}, 3,
    ),
    "a count, one short page, and a flag that is left out when false": (
        facts(), {**COUNTED, "hasMorePath": "more"}, 2,
    ),
}  # fmt: skip


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(("declare", "block", "count"), QUIET.values(), ids=QUIET)
def test_an_end_that_was_read_is_no_warning(declare, block, count):
    assert read(paged(declare, rows=ROWS[:count]), block) == (ROWS[:count], [])


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        ({"type": "link_header"}, lambda page: {"Link": "</?page=1>; rel=first"}),
        (
            {"type": "link_header"},
            lambda page: {"Link": "</?page=2>; rel=next"} if page == 1 else {},
        ),
        (
            {"type": "continuation_header", "header": "X-Next"},
            lambda page: {"x-next": "2"} if page == 1 else {},
        ),
        ({"type": "continuation_header", "header": "X-Next"}, lambda _page: {"x-next": ""}),
    ],
)
def test_a_header_that_was_there_or_says_nothing_of_a_next_page_is_no_warning(block, sent):
    _, told = read(paged(lambda *_: {}, headers=sent), block)
    assert told == []


@pytest.mark.parametrize("style", ["cursor", "next_url", "link_header", "continuation_header"])
def test_an_answer_without_content_is_an_end_without_warning(style):
    assert read(lambda _r: Reply(status=204), pagination_of(style, ("hasMore",))) == ([], [])


def test_a_page_that_only_repeats_the_one_before_it_tells_nothing():
    """So answer servers that ignore the offset."""
    block = {"skipKey": "offset", "limitKey": "limit", "limitMax": 10, "hasMorePath": "more"}
    assert read(lambda _r: Reply({"items": ROWS}), block) == (ROWS, [])


# ---------------------------------------------------------------- what is an error


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    ("declare", "more", "text"),
    [
        (
            facts(paging={"next_cursor": "2"}, more=True),
            {"hasMorePath": "more"},
            r"more records follow.*nothing at 'paging\.nextCursor'.*next_cursor",
        ),
        (
            facts(paging={"next_cursor": "2"}, total=6),
            {"totalPath": "total"},
            r"declares 6 records.*nothing at 'paging\.nextCursor'.*next_cursor",
        ),
    ],
)
def test_more_that_is_declared_and_not_led_to_is_an_error_that_names_the_path(declare, more, text):
    with pytest.raises(SourceDataError, match=text):
        read(paged(declare), cursor("paging.nextCursor", **more))


@pytest.mark.usefixtures("any_size")
def test_an_end_of_which_the_declared_flag_says_nothing_any_more_is_an_error():
    def declare(page, _is_last):
        return {"meta": {"next": "2", "more": True}} if page == 1 else {"meta": {}}

    rows = numbered(9)
    with pytest.raises(SourceDataError, match=r"page 2 neither names.*take hasMorePath out"):
        read(paged(declare, rows=rows), cursor("meta.next", hasMorePath="meta.more"))


def test_an_empty_page_after_more_is_an_end_though_the_flag_is_left_out():
    def declare(page, _is_last):
        return {"next": str(page + 1), "more": True} if page <= 2 else {}

    assert read(paged(declare), cursor("next", hasMorePath="more")) == (ROWS, [])


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("instead", ["c2", 17, ["c2"], True])
def test_a_cursor_that_moved_while_paging_is_an_error(instead):
    """What stands in its way holds something, and nothing can be below it."""

    def declare(page, _is_last):
        return {"meta": {"next": {"token": "2"} if page == 1 else instead}}

    with pytest.raises(SourceDataError, match="where earlier pages named the next one"):
        read(paged(declare, rows=numbered(9)), cursor("meta.next.token"))


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("key", ["totalPath", "totalPagesPath"])
def test_a_declared_total_that_is_not_there_is_an_error_in_answers_of_every_size(key):
    with pytest.raises(SourceDataError, match=r"nothing at 'total'.*did you mean 'Total'"):
        read(paged(facts(Total=6)), {**COUNTED, key: "total"})


@pytest.mark.parametrize("block", [None, cursor("next")], ids=["one answer", "pages"])
@pytest.mark.parametrize("path", ["$..rows[*]", "items[?(@.id == 99)]", "rows[0:2]"])
def test_a_path_of_the_records_that_may_lead_nowhere_and_did_is_a_warning(block, path):
    records, told = read(paged(facts(next=None)), block, resultsJsonPath=path)
    assert records == []
    (text,) = told
    assert text.startswith(f"configs/things.yaml: nothing at resultsJsonPath {path!r} in any ")
    assert read(paged(facts(next=None)), block, resultsJsonPath="$..items[*]") == (ROWS[:3], [])


# ---------------------------------------------------------------- records that are left out


@pytest.mark.parametrize(
    ("block", "last"),
    [
        (cursor("next"), {}),
        (cursor("next"), {"next": None}),
        (cursor("next"), {"next": ""}),
        (cursor("next", hasMorePath="more"), {"more": False}),
        (cursor("next", totalPath="total"), {"total": 6}),
        ({**COUNTED, "hasMorePath": "more"}, {"more": False}),
        (COUNTED, {}),
    ],
)
def test_a_last_page_that_leaves_the_records_out_is_empty(block, last):
    def route(request):
        page = int(request.query.get("page") or request.query.get("cursor") or 1)
        if page == 3:
            return Reply(last)
        items = ROWS[(page - 1) * 3 : page * 3]
        return Reply({"items": items, "next": str(page + 1), "more": True, "total": 6})

    assert read(route, block) == (ROWS, [])


def test_records_that_are_left_out_in_the_middle_are_passed():
    pages = {
        None: {"items": ROWS[:3], "next": "2"},
        "2": {"next": "3"},
        "3": {"items": ROWS[3:]},
    }
    assert read(lambda r: Reply(pages[r.query.get("cursor")]), cursor("next")) == (ROWS, [])


@pytest.mark.parametrize("more", [{"totalPath": "count"}, {"totalPagesPath": "count"}])
def test_a_total_of_nought_without_the_records_is_no_records(more):
    assert read(lambda _r: Reply({"count": 0}), {**COUNTED, **more}) == ([], [])


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({}, None),
        ({"next": None}, None),
        ({"count": 3}, None),
        ({"rows": ROWS, "count": 6}, None),
        ({"items": ROWS[:3], "next": "2"}, {"rows": ROWS[3:]}),
        ({"items": ROWS[:3], "next": "2"}, {"rows": {"next": None}}),
        ({"items": ROWS[:3], "next": "2"}, []),
    ],
)
def test_records_that_are_not_where_they_should_be_are_an_error_all_the_same(first, later):
    def route(request):
        return Reply(later if "cursor" in request.query else first)

    with pytest.raises(SourceDataError, match="nothing at resultsJsonPath 'items'"):
        read(route, cursor("next", totalPath="count") if "count" in first else cursor("next"))


# ---------------------------------------------------------------- over requests and runs

ENUMERATED = [{"contentType": "country"}]


class Countries:
    def entries(self, _content_type, _query=""):
        return iter({"id": name} for name in ("de", "fr", "pt"))


def read_countries(route, **options):
    told = []
    with serve(route) as api:
        config = config_of(
            api.url + "/{{ country.id }}",
            pagination=cursor("next"),
            enumerateForContentTypes=ENUMERATED,
        )
        records = fetch_all(config, warn=told.append, lookup=Countries(), **options)
    return records, told


def test_a_cursor_that_one_of_many_requests_had_is_spelled_right():
    """Where each request may be a single page, the first one tells nothing."""

    def route(request):
        if request.path == "/fr" and not request.query:
            return Reply({"items": [{"at": "fr"}], "next": "2"})
        return Reply({"items": [{"at": request.path + str(request.query)}]})

    records, told = read_countries(route)
    assert len(records) == 4
    assert told == []


def test_a_cursor_that_none_of_many_requests_had_is_one_warning():
    records, told = read_countries(lambda request: Reply({"items": [{"at": request.path}]}))
    assert len(records) == 3
    assert len(told) == 1
    assert "/de: nothing at 'next'" in told[0]


def test_what_was_seen_or_told_before_a_run_was_resumed_counts_after_it():
    def pages_of(declare, block):
        told = []
        with serve(paged(declare)) as api:
            config = config_of(api.url, pagination=block)
            with opened(config, warn=told.append) as source:
                first = next(source.fetch_pages())
            kept = json.loads(json.dumps(first.checkpoint))
            fetch_all(config, warn=told.append, resume_from=kept)
        return told

    assert pages_of(left_out(), cursor("meta.next")) == []
    told = pages_of(snake, cursor("paging.next_cursor", hasMorePath="more"))
    assert len(told) == 1


def test_a_checkpoint_of_an_older_version_is_gone_on_with():
    with serve(paged(snake)) as api:
        config = config_of(api.url, pagination=cursor("paging.next_cursor"))
        with opened(config) as source:
            kept = dict(next(source.fetch_pages()).checkpoint)
        del kept["watched"]
        del kept["paging"]["said_more"]
        assert fetch_all(config, resume_from=kept) == ROWS[3:]


def test_a_key_of_the_source_that_is_a_secret_is_neither_shown_nor_kept():
    told = []
    with serve(paged(facts(**{"tok3n-of-ours": 1}))) as api:
        config = config_of(
            api.url,
            pagination=cursor("next"),
            auth={"type": "bearer", "token": "{{ config.SYNC_T }}"},
            enumerateForContentTypes=ENUMERATED,
        )
        options = {"variables": {"SYNC_T": "tok3n-of-ours"}, "lookup": Countries()}
        with opened(config, warn=told.append, **options) as source:
            pages = list(source.fetch_pages())
    assert len(told) == 1
    assert "keys items, ***" in told[0]
    kept = json.dumps([page.checkpoint for page in pages])
    assert "keys items, ***" in kept
    assert "tok3n" not in kept
