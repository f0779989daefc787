"""Extractions repeated for entries of the space."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import json

import pytest

from sync_pipeline.errors import ConfigError, SourceDataError
from sync_pipeline.extract.checks import check_source
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, pagination_of

COUNTRIES = [
    {"id": "de1", "code": {"en-US": "DE"}},
    {"id": "fr1", "code": {"en-US": "FR"}},
    {"id": "xx1", "code": {"en-US": "XX"}},
]
CITIES = [{"id": "c1", "name": {"en-US": "One"}}, {"id": "c2", "name": {"en-US": "Two"}}]


class Entries:
    """The entries of a space, by content type."""

    def __init__(self, **types):
        self.types = types
        self.asked = []

    def entries(self, content_type, query=""):
        self.asked.append((content_type, query))
        return iter(self.types[content_type])


def lookup():
    return Entries(country=COUNTRIES, city=CITIES)


NESTED = [
    {
        "contentType": "country",
        "queryParameters": "fields.active=true",
        "filter": "{{ country.code['en-US'] != config.SYNC_SKIP }}",
    },
    {"contentType": "city", "filter": " {{ 'TRUE' if country.id != 'fr1' or city.id == 'c2' }} "},
]


def config(api, **values):
    return config_of(
        api.url + "/{{ country.code['en-US'] }}/{{ city.id }}",
        **{"enumerateForContentTypes": NESTED, "pagination": pagination_of("offset"), **values},
    )


VARIABLES = {"SYNC_SKIP": "XX"}


def per_leaf(count):
    def route(request):
        return Catalogue([{"at": request.path, "n": n} for n in range(count)])(request)

    return route


def test_each_combination_that_passes_the_filters_is_paged_by_itself():
    entries = lookup()
    with serve(per_leaf(15)) as api:
        with opened(config(api), variables=VARIABLES, lookup=entries) as source:
            pages = list(source.fetch_pages())
    leaves = ["/DE/c1", "/DE/c2", "/FR/c2"]
    records = [record for page in pages for record in page.records]
    assert records == [{"at": at, "n": n} for at in leaves for n in range(15)]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert entries.asked == [("country", "fields.active=true"), ("city", "")]
    assert pages[0].variables == {"country": COUNTRIES[0], "city": CITIES[0]}
    assert pages[-1].variables == {"country": COUNTRIES[1], "city": CITIES[1]}
    assert pages[-1].total is None
    assert pages[-1].checkpoint is None


def test_an_id_that_no_variable_may_have_is_named_with_underscores():
    values = {
        "enumerateForContentTypes": [{"contentType": "2-shop.x", "filter": "{{ _2_shop_x.id }}"}]
    }
    entries = Entries(**{"2-shop.x": [{"id": "true"}, {"id": "false"}]})
    with serve(per_leaf(1)) as api:
        found = config_of(api.url + "/{{ _2_shop_x.id }}", **values)
        with opened(found, lookup=entries) as source:
            (page,) = list(source.fetch_pages())
    assert page.records == [{"at": "/true", "n": 0}]
    assert page.variables == {"_2_shop_x": {"id": "true"}}


def of_sizes(sizes, **behaviour):
    def route(request):
        rows = [{"at": request.path, "n": n} for n in range(sizes[request.path])]
        return Catalogue(rows, **behaviour)(request)

    return route


def test_whether_short_pages_end_is_found_out_once_not_for_each_combination():
    with serve(of_sizes({"/DE/c1": 3, "/DE/c2": 2, "/FR/c2": 1})) as api:
        fetch_all(config(api), variables=VARIABLES, lookup=lookup())
    assert [(r.path, r.query["offset"]) for r in api.requests] == [
        ("/DE/c1", "0"), ("/DE/c1", "3"), ("/DE/c2", "0"), ("/FR/c2", "0"),
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["offset", "page"])
@pytest.mark.parametrize("first", [0, 1, 4, 5, 12])
def test_a_cap_is_noticed_though_an_earlier_combination_was_shorter(style, first):
    """Asked for 10, the server gives 5; the first combination looks like a server that gives all."""
    sizes = {"/DE/c1": first, "/DE/c2": 12, "/FR/c2": 7}
    with serve(of_sizes(sizes, style=style, cap=5)) as api:
        records = fetch_all(
            config(api, pagination=pagination_of(style)), variables=VARIABLES, lookup=lookup()
        )
    assert records == [{"at": at, "n": n} for at, count in sizes.items() for n in range(count)]


def test_short_pages_are_not_trusted_where_one_was_followed_by_more():
    """This server leaves a record out of a page that it has cut already."""

    def route(request):
        at = int(request.query["offset"])
        rows = [{"at": request.path, "n": n} for n in range(at, min(at + 10, 25))]
        hidden = 9 if request.path == "/DE/c2" else 19
        return Reply({"items": [row for row in rows if row["n"] != hidden]})

    with serve(route) as api, pytest.raises(SourceDataError, match="leaves records out"):
        fetch_all(config(api), variables=VARIABLES, lookup=lookup())


@pytest.mark.parametrize("count", [0, 3, 10, 15])
@pytest.mark.parametrize("style", ["offset", "cursor", "continuation_header", None])
def test_resuming_after_any_page_goes_on_in_the_same_combination(style, count):
    block = pagination_of(style) if style else None

    def route(request):
        rows = [{"at": request.path, "n": n} for n in range(count)]
        return Catalogue(rows, style or "offset", size=100)(request)

    with serve(route) as api:
        with opened(config(api, pagination=block), variables=VARIABLES, lookup=lookup()) as source:
            pages = list(source.fetch_pages())
        whole = [record for page in pages for record in page.records]
        assert len(whole) == 3 * count
        for kept, page in enumerate(pages[:-1], 1):
            rest = fetch_all(
                config(api, pagination=block),
                variables=VARIABLES,
                lookup=lookup(),
                resume_from=json.loads(json.dumps(page.checkpoint)),
            )
            assert [r for p in pages[:kept] for r in p.records] + rest == whole


def test_resuming_where_the_entry_is_gone_is_a_clear_error():
    with serve(per_leaf(3)) as api:
        with opened(config(api), variables=VARIABLES, lookup=lookup()) as source:
            checkpoint = next(source.fetch_pages()).checkpoint
        with pytest.raises(SourceDataError, match=r"de1 / c1.*Start a new run"):
            fetch_all(
                config(api),
                variables=VARIABLES,
                lookup=Entries(country=COUNTRIES[1:], city=CITIES),
                resume_from=checkpoint,
            )


def test_no_entries_is_no_request_and_no_record():
    with serve(per_leaf(3)) as api:
        assert (
            fetch_all(config(api), variables=VARIABLES, lookup=Entries(country=[], city=[])) == []
        )
    assert api.requests == []


def test_a_limit_ends_the_enumeration():
    with serve(per_leaf(15)) as api:
        records = fetch_all(config(api), variables=VARIABLES, lookup=lookup(), limit=17)
    assert len(records) == 17
    assert {request.path for request in api.requests} == {"/DE/c1", "/DE/c2"}


def test_the_continuation_header_works_within_each_combination():
    def route(request):
        return Catalogue([{"at": request.path, "n": n} for n in range(25)], "continuation_header")(
            request
        )

    with serve(route) as api:
        records = fetch_all(
            config(api, pagination=None, continuationTokenHeader="X-Next"),
            variables=VARIABLES,
            lookup=lookup(),
        )
    assert len(records) == 75
    assert len({(record["at"], record["n"]) for record in records}) == 75


def test_entries_are_seen_by_headers_and_bodies_too():
    with serve(lambda _r: Reply({"items": numbered(1)})) as api:
        fetch_all(
            config(
                api,
                pagination=None,
                httpMethod="post",
                headers={"X-Country": "{{ country.id }}"},
                jsonBody={"city": "{{ city.name['en-US'] }}"},
            ),
            variables=VARIABLES,
            lookup=lookup(),
        )
    assert [(r.headers["x-country"], json.loads(r.body)["city"]) for r in api.requests] == [
        ("de1", "One"), ("de1", "Two"), ("fr1", "Two"),
    ]  # fmt: skip


def test_enumeration_without_a_space_is_a_clear_error():
    with pytest.raises(ConfigError, match="enumerateForContentTypes"):
        fetch_all(config_of("http://127.0.0.1:9", enumerateForContentTypes=NESTED))


def filtered(api, *filters):
    types = ("country", "city")[: len(filters)]
    levels = [{"contentType": t, "filter": f} for t, f in zip(types, filters, strict=True)]
    return config_of(api.url + "/x", enumerateForContentTypes=levels)


@pytest.mark.parametrize("text", ["{{ country.code['en-US'] }}", "{{ 1 }}", "{{ 'yes' }}"])
def test_a_filter_that_says_neither_true_nor_false_ends_the_extraction(text):
    with serve(per_leaf(1)) as api:
        with opened(filtered(api, text), lookup=lookup()) as source:
            with pytest.raises(
                SourceDataError, match=r"\[0\]\.filter: for the entry de1, \".*\" is"
            ):
                list(source.fetch_pages())
    assert not api.requests


def test_a_filter_without_braces_is_found_before_anything_is_asked():
    wrong = config_of(
        "http://x.test", enumerateForContentTypes=[{"contentType": "a", "filter": "a.b"}]
    )
    with pytest.raises(ConfigError, match=r"\[0\]\.filter: \"a\.b\" is neither .* a template, in"):
        check_source(wrong)


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (["{{ false }}"], ["[0].filter (country) leaves out every entry", "3 times"]),
        (["", "{{ city.gone }}"], ["[1].filter (city) leaves out every entry", "6 times"]),
        (
            ["{{ true if country.id == 'de1' }}"],
            ["[0].filter (country) came to nothing for 2 of 3"],
        ),
    ],
)
def test_a_filter_that_leaves_out_all_or_says_nothing_is_warned_of(filters, said):
    told = []
    with serve(per_leaf(1)) as api:
        with opened(filtered(api, *filters), lookup=lookup(), warn=told.append) as source:
            list(source.fetch_pages())
    (warning,) = told
    assert all(text in warning for text in said)


def test_a_filter_that_keeps_some_is_not_warned_of():
    told = []
    with serve(per_leaf(1)) as api:
        one = filtered(api, "{{ country.id == 'de1' }}")
        with opened(one, lookup=lookup(), warn=told.append) as source:
            assert len(list(source.fetch_pages())) == 1
    assert told == []
