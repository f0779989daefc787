"""`Link` headers by RFC 8288: what is a link to the next page, and what cannot be read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.rest.paging.link_header import (
    Link,
    UnreadableLinkError,
    find_next,
    parse_link_header,
)
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

BASE = "https://api.example.com/v1/items?page=1"
SECOND = "https://api.example.com/v1/items?page=2"

NAMES_THE_SECOND = {
    "plain": f'<{SECOND}>; rel="next"',
    "equals sign in a parameter before": f'<{SECOND}>; title="page=2"; rel="next"',
    "equals sign in a parameter behind": f'<{SECOND}>; rel="next"; q="a=b=c"',
    "comma in quotes": f'</p>; rel="prev"; title="first, of many", <{SECOND}>; rel="next"',
    "semicolon in quotes": f'<{SECOND}>; title="a; rel=prev"; rel="next"',
    "link within quotes": f'</p>; rel=prev; title="<x>; rel=next", <{SECOND}>; rel=next',
    "quote within quotes": f'<{SECOND}>; title="the \\"second\\", page"; rel="next"',
    "backslash at the end of quotes": f'<{SECOND}>; title="C:\\\\"; rel="next"',
    "angle bracket in quotes": f'<{SECOND}>; title="a > b, <c>"; rel="next"',
    "no quotes": f"<{SECOND}>; rel=next",
    "single quotes": f"<{SECOND}>; rel='next'",
    "single quotes around several": f"<{SECOND}>; rel='last next'",
    "no blanks": f'</p>;rel="prev",<{SECOND}>;rel="next"',
    "blanks everywhere": f' , <{SECOND}>  ;\trel =  "next" ; ,, ',
    "folded lines": f'</p>; rel="prev",\r\n <{SECOND}>;\r\n rel="next"',
    "name in capitals": f'<{SECOND}>; Rel="next"',
    "relation in capitals": f'<{SECOND}>; REL="NEXT"',
    "flag before": f'<{SECOND}>; nofollow; rel="next"',
    "flag behind": f'<{SECOND}>; rel="next"; crossorigin',
    "empty parameters": f'<{SECOND}>;; ;rel="next";',
    "several relations": f'<{SECOND}>; rel="last  next"',
    "relations with a URI": f'<{SECOND}>; rel="https://example.com/rels#more next"',
    "later rel does not count": f'<{SECOND}>; rel="next"; rel="prev"',
    "extended parameter": f"<{SECOND}>; title*=UTF-8'de'n%c3%a4chste; rel=\"next\"",
    "relative to the host": '</v1/items?page=2>; rel="next"',
    "relative to the path": '<items?page=2>; rel="next"',
    "query only": '<?page=2>; rel="next"',
    "without scheme": '<//api.example.com/v1/items?page=2>; rel="next"',
    "with a fragment elsewhere": f'<{SECOND}>; rel="next", </docs#next>; rel="help"',
    "the same link twice": f'<{SECOND}>; rel="next", <?page=2>; rel="next"; type="text/html"',
    "anchor at itself": f'<{SECOND}>; rel="next"; anchor="?page=1"',
    "empty anchor": f'<{SECOND}>; rel="next"; anchor=""',
    "anchor elsewhere beside it": f'</o?2>; rel=next; anchor="/o", <{SECOND}>; rel="next"',
    "after something else": f'nonsense, <{SECOND}>; rel="next"',
    "before something else": f'<{SECOND}>; rel="next", https://example.com; rel="prev"',
    "a semicolon is missing": f'<{SECOND}>; rel="next" title="x"',
    "a comma is missing": f'</p>; rel="prev" <{SECOND}>; rel="next"',
    "a comma is missing, and the link before has no relation": f'</p>; x="1" <{SECOND}>; rel=next',
    "its quotes are not closed": f'<{SECOND}>; rel="next',
}


@pytest.mark.parametrize("header", NAMES_THE_SECOND.values(), ids=NAMES_THE_SECOND)
def test_the_next_page_is_found(header):
    assert find_next(header, BASE).url == SECOND


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("?fields=id;name&page=2", "https://api.example.com/v1/items?fields=id;name&page=2"),
        ("?ids=1,2,3&page=2", "https://api.example.com/v1/items?ids=1,2,3&page=2"),
        ("?filter=a='b'&after=x==", "https://api.example.com/v1/items?filter=a='b'&after=x=="),
        ('?filter="a"&page=2', 'https://api.example.com/v1/items?filter="a"&page=2'),
        (" ?page=2 ", SECOND),
        ("../v2/items", "https://api.example.com/v2/items"),
        # http.client reads the bytes of a header as ISO-8859-1.
        ("?q=m\u00c3\u00bcller", "https://api.example.com/v1/items?q=m\u00fcller"),
        ("?q=m\u00fcller", "https://api.example.com/v1/items?q=m\u00fcller"),
    ],
)
def test_a_target_may_hold_what_separates_links_and_parameters(target, url):
    header = f'</v1/items?page=9,8;7>; rel="last", <{target}>; rel="next"'
    assert find_next(header, BASE).url == url


NAMES_NONE = {
    "no header": "",
    "nothing but commas": " , ,",
    "other relations": '</a>; rel="prev", </b>; rel="last"; title="the last, not the next"',
    "next in a URL": '</next?rel=next>; rel="prev"',
    "next in a title": '</a>; rel="prev"; title="next"',
    "another way round": '</a>; rel="prev"; rev="next"',
    "a URI": '<https://api.w.org/>; rel="https://api.w.org/"',
    "without relation": "</style.css>; as=style; nopush",
    "empty relation": '</style.css>; rel=""',
    "what is no link, beside those that are": '</style.css>; rel=preload; as="style"; x="a,b"',
}


@pytest.mark.parametrize("header", NAMES_NONE.values(), ids=NAMES_NONE)
def test_a_header_that_was_read_whole_and_names_none_is_the_end(header):
    found = find_next(header, BASE)
    assert (found.url, found.notice) == (None, "")


UNCLEAR = {
    "no brackets": f'{SECOND}; rel="next"',
    "bracket not closed": f'<{SECOND}; rel="next"',
    "bracket not opened": f'{SECOND}>; rel="next"',
    "not a link": "next",
    "cut off": "<https://api.example.com/v1/it",
    "a semicolon is missing": f'<{SECOND}>; title="2" rel="next"',
    "a comma is missing after a token": f"</p>; rel=prev <{SECOND}>; rel=next",
    "an earlier quote is not closed": f'</p>; rel="prev, <{SECOND}>; rel="next"',
    "typographic quotes": f"<{SECOND}>; rel=\u201cnext\u201d",
    "extended relation": f"<{SECOND}>; rel*=UTF-8''next",
    "a comma in the relation": f'<{SECOND}>; rel="next,last"',
    "a second rel": f'<{SECOND}>; rel="self"; rel="next"',
    "a flag": f"<{SECOND}>; next",
    "another parameter": f'<{SECOND}>; relation="next"',
    "no address": '<>; rel="next"',
    "two addresses": f'<{SECOND}>; rel="next", <?page=3>; rel="next"',
    "of another page": f'<{SECOND}>; rel="next"; anchor="?page=0"',
}


@pytest.mark.parametrize("header", UNCLEAR.values(), ids=UNCLEAR)
def test_a_header_that_may_name_a_next_page_and_yields_none_is_an_error(header):
    with pytest.raises(UnreadableLinkError, match="its Link header"):
        find_next(header, BASE)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (f'<{SECOND}>; rel="next_page"', "no rel='next', but 'next_page'"),
        (f'<{SECOND}>; rel="http://www.w3.org/ns/hydra/core#next"', "but 'http://www.w3.org/"),
        ('</other?2>; rel="next"; anchor="/other"', "of another resource"),
    ],
)
def test_what_is_nearly_a_next_page_ends_with_a_warning(header, text):
    found = find_next(header, BASE)
    assert found.url is None
    assert text in found.notice


def reply_of(header):
    return Reply({"items": [{"id": 1}]}, headers={"Link": header})


def test_a_header_that_cannot_be_read_ends_a_sync_with_an_error_that_shows_no_value():
    with serve(lambda _r: reply_of('</p>; token="s3cret", ?key=s3cret; rel="next"')) as api:
        config = config_of(api.url, pagination=pagination_of("link_header"))
        with pytest.raises(SourceDataError, match=r"things\.yaml: GET .*from character 23") as err:
            fetch_all(config)
    assert "s3cret" not in str(err.value)
    assert len(api.requests) == 1


def test_a_link_that_nearly_names_the_next_page_is_a_warning_of_the_run():
    told = []
    with serve(lambda _r: reply_of('</?page=2>; rel="next-page"')) as api:
        config = config_of(api.url, pagination=pagination_of("link_header"))
        assert fetch_all(config, warn=told.append) == [{"id": 1}]
    (text,) = told
    assert text.startswith("configs/things.yaml: GET http://127.0.0.1")
    assert "no rel='next', but 'next-page'" in text


def test_lines_of_several_link_headers_are_one_header():
    """A `Reply` has one value for a name, so the second line stands behind the first."""
    pages = [["</?page=1>; rel=self", "</?page=2>; rel=next"], ["</?page=1>; rel=prev"]]

    def route(request):
        page = int(request.query.get("page", 1))
        lines = "\r\nLink: ".join(pages[page - 1])
        return Reply({"items": [{"id": page}]}, headers={"Link": lines})

    with serve(route) as api:
        config = config_of(api.url, pagination=pagination_of("link_header"))
        assert fetch_all(config) == [{"id": 1}, {"id": 2}]


# ---------------------------------------------------------------- laws

TOKENS = st.text("abcXYZ019!#$&+.^_`|~*'-", min_size=1, max_size=8)
TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="<>"))
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)) | st.sampled_from(
    ["", "next", 'a"b', "\\", "a, b", "; rel=next", "<x>; rel=next", '\\"']
)
PARAMETERS = st.lists(st.tuples(TOKENS, VALUES | st.none()), max_size=4)
LINKS = st.lists(st.tuples(TARGETS, PARAMETERS), max_size=4)


def spell(links, chance):
    """One of the spellings that RFC 8288 allows for links."""

    def blank():
        return chance.choice(["", "", " ", "\t "])

    def spell_parameter(name, value):
        if value is None:
            return name
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}{blank()}={blank()}"{escaped}"'

    def spell_link(target, parameters):
        parts = [f"{blank()};{blank()}{spell_parameter(*each)}" for each in parameters]
        return f"<{target}>{''.join(parts)}{chance.choice(['', ';'])}"

    separator = chance.choice([",", ", ", " ,\t, "])
    return blank() + separator.join(spell_link(*each) for each in links) + blank()


@given(LINKS, st.randoms(use_true_random=False))
def test_law_what_was_written_is_read(links, chance):
    read = parse_link_header(spell(links, chance))
    expected = [
        Link(target, tuple((name.lower(), value or "") for name, value in parameters))
        for target, parameters in links
    ]
    assert read.links == tuple(expected)
    garbled = any(name.lower() == "rel*" for _, each in links for name, _ in each)
    assert garbled or read.unread == ()


@given(st.text("<>;,=\"' \\relnxt*/?1\t\r\n") | st.text())
def test_law_no_header_is_a_traceback(header):
    read = parse_link_header(header)
    assert all(0 <= at <= len(header) for at in read.unread)
    with suppress(UnreadableLinkError):
        assert find_next(header, BASE).url != ""


@given(LINKS, st.integers(0, 4), st.integers(min_value=1), st.randoms(use_true_random=False))
def test_law_a_header_that_is_cut_off_never_hides_the_next_page(links, at, cut, chance):
    """Whatever is left of it: the page, an error, or nothing of the link any more."""
    others = [
        (target, [pair for pair in parameters if pair[0].lower() not in ("rel", "anchor")])
        for target, parameters in links
    ]
    others = [(target, [*parameters, ("rel", "prev")]) for target, parameters in others]
    header = spell([*others[:at], (SECOND, [("rel", "next")]), *others[at:]], chance)
    assert find_next(header, BASE).url == SECOND
    begin = header.index(f"<{SECOND}>")
    cut = begin + 1 + cut % (len(header) - begin)
    try:
        url = find_next(header[:cut], BASE).url
    except UnreadableLinkError:
        return
    assert url == SECOND or "next" not in header[begin:cut], header[:cut]
