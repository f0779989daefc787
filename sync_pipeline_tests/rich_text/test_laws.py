"""Laws of HTML, Markdown and rich text, whatever is in them."""

from __future__ import annotations

import html as entities
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sync_pipeline.errors import RecordError
from sync_pipeline.local_space.checks.rich_text import document_errors
from sync_pipeline.rich_text.html_reading import read_html
from sync_pipeline.rich_text.links import normalize_uri
from sync_pipeline.rich_text.markdown_reading import read_markdown, read_text
from sync_pipeline.rich_text.markdown_writing import write_markdown
from sync_pipeline.rich_text.nodes import Node, marks_of, paragraph_of
from sync_pipeline.rich_text.shaping import build_document
from sync_pipeline_tests.rich_text.outlines import text_of

_NASTY = st.text("ab1.) \n\u00a0#>-+*_`[]()!|\\<u/>&;:=~é\u3000x?{}\"'9^$%@", max_size=12)
_PHRASES = st.sampled_from(
    ["1999. x", "- a", "# t", "> q", "**b**", "_i_", "\\*", "&amp;", "<u>", "`c`", "|-|", "---",
     "===", "+ x", "![a](b)", "[l]: u", "http://x.y", "~~s~~", "5*3", "snake_case", "a & b", "```",
     "~~~", " ", "x", "Note:", "(y)"]
)  # fmt: skip
_TEXT = (_NASTY | _PHRASES).map(entities.escape)


def _element(tag: str, children: list[str], attributes: str = "") -> str:
    return f"<{tag}{attributes}>{''.join(children)}</{tag}>"


_IMAGE = st.builds(lambda alt: f'<img src="i.png" alt="{entities.escape(alt)}">', _NASTY)
_CODE = st.text("ab` *|\\<>&1", min_size=1, max_size=6).map(
    lambda text: f"<code>{entities.escape(text)}</code>"
)
_LINK = st.builds(
    lambda uri, content: _element("a", content, f' href="{entities.escape(uri)}"'),
    st.sampled_from(["http://x/a b", "u?a=1&b=(2)", "#f", "contentful:entry/e1", "/p|q"]),
    st.lists(_TEXT, max_size=2),
)
_INLINE = st.recursive(
    _TEXT | st.just("<br>") | _IMAGE | _CODE | _LINK,
    lambda inner: st.builds(
        _element,
        st.sampled_from(["b", "i", "u", "s", "sup", "sub", "span", "em", "strong"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)
_CELLS = st.lists(st.lists(_INLINE, max_size=2).map("".join), min_size=2, max_size=2)
_TABLE = st.builds(
    lambda header, rows: _element(
        "table",
        [_element("tr", [_element("th", [cell]) for cell in header])] * bool(header)
        + [_element("tr", [_element("td", [cell]) for cell in row]) for row in rows],
    ),
    st.just([]) | _CELLS,
    st.lists(_CELLS, min_size=1, max_size=2),
)
_BLOCK = st.recursive(
    st.builds(_element, st.sampled_from(["p", "div", "h1", "h3"]), st.lists(_INLINE, max_size=4))
    | st.text("ab \n`-#~1.>", max_size=12).map(lambda code: f"<pre>{entities.escape(code)}</pre>")
    | st.just("<hr>")
    | _TABLE,
    lambda inner: (
        st.builds(_element, st.just("blockquote"), st.lists(inner, max_size=3))
        | st.builds(
            lambda tag, items: _element(tag, [_element("li", item) for item in items]),
            st.sampled_from(["ul", "ol"]),
            st.lists(st.lists(inner | _INLINE, max_size=3), min_size=1, max_size=3),
        )
    ),
    max_leaves=6,
)
_HTML = st.lists(_BLOCK | _INLINE, max_size=4).map("".join)
_TAGS = st.sampled_from(
    ["p", "b", "i", "a href=x", "ul", "li", "table", "tr", "td", "th", "blockquote", "h2", "pre",
     "code", "br", "img src=i", "div", "script", "span", "caption", "svg", "option", "ol"]
)  # fmt: skip
_JUNK = st.lists(
    _TAGS.map(lambda tag: f"<{tag}>") | _TAGS.map(lambda tag: f"</{tag.split()[0]}>") | _NASTY,
    max_size=25,
).map("".join)
_MARKDOWN = st.text("ab \n#>-*_`[](){}!|\\<u/>&;1.~:\u3000", max_size=80)


class _Shown(HTMLParser):
    """What HTML shows, by another parser: text, and pictures by their description."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            found = dict(attrs)
            self.texts.append((found.get("alt") or "").strip(" \n") or str(found["src"]))


def _squeezed(text: str) -> str:
    return "".join(text.split())


@settings(deadline=None)
@given(_HTML)
def test_rich_text_has_every_character_of_its_html_and_no_other(html: str) -> None:
    shown = _Shown()
    shown.feed(html)
    shown.close()
    document = build_document(read_html(html))
    assert _squeezed(text_of(document)) == _squeezed("".join(shown.texts))
    assert not document_errors(document, ())


@settings(deadline=None)
@given(_HTML)
def test_markdown_of_html_is_the_rich_text_of_it(html: str) -> None:
    blocks = read_html(html)
    assume(all(map(_can_be_said, blocks)))
    markdown = write_markdown(blocks)
    assert build_document(read_markdown(markdown)) == build_document(blocks)


@settings(deadline=None)
@given(_HTML)
def test_markdown_of_html_means_the_same_to_another_reader(html: str) -> None:
    blocks = read_html(html)
    assume(all(_can_be_said(block) and not _has_table(block) for block in blocks))
    other = MarkdownIt("commonmark", {"html": True}).enable("strikethrough")
    rendered = other.render(write_markdown(blocks))
    assert build_document(read_html(rendered)) == build_document(blocks)


def _can_be_said(block: Node) -> bool:
    """Markdown has no line breaks in code, one line in a cell, and headers in the first row only.

    A header without a text is taken for none.
    """
    if block["nodeType"] == "text":
        return not ("\n" in block["value"] and "code" in marks_of(block))
    if block["nodeType"].endswith("cell"):
        kinds = [inner["nodeType"] for inner in block["content"]]
        if kinds not in ([], ["paragraph"]):
            return False
    if block["nodeType"] == "table" and not any(cell["content"] for cell in _header(block)):
        return not _header(block)
    return all(map(_can_be_said, block.get("content", ())))


def _header(table: Node) -> list[Node]:
    first = table["content"][0]["content"]
    return [cell for cell in first if cell["nodeType"] == "table-header-cell"]


def _has_table(block: Node) -> bool:
    return block["nodeType"] == "table" or any(map(_has_table, block.get("content", ())))


@settings(deadline=None)
@given(_JUNK)
def test_any_tags_give_a_document_that_the_service_takes(html: str) -> None:
    blocks = read_html(html)
    assert not document_errors(build_document(blocks), ())
    assert not document_errors(build_document(read_markdown(write_markdown(blocks))), ())


@settings(deadline=None)
@given(_MARKDOWN)
def test_any_text_gives_a_document_that_the_service_takes(text: str) -> None:
    for read in (read_text, read_markdown):
        assert not document_errors(build_document(read(text)), ())


@settings(deadline=None)
@given(st.text("ab1 2.)\n#>-+*_[]!|\\\u3000=", max_size=60))
def test_text_that_nobody_called_markdown_loses_no_letter_and_no_number_but_of_lists(
    text: str,
) -> None:
    kept = [char for char in text_of(build_document(read_text(text))) if char.isalnum()]
    there = [char for char in text if char.isalnum()]
    lost = len(there) - len(kept)
    markers = sum(line.lstrip(" \t>*+-")[:1].isdigit() for line in text.split("\n"))
    assert kept == there or 0 < lost <= 9 * markers


@settings(deadline=None)
@given(st.text(max_size=40))
def test_one_line_is_one_paragraph(text: str) -> None:
    line = " ".join(text.split())
    document = build_document(read_text(line))
    assert [block["nodeType"] for block in document["content"]] == ["paragraph"] * bool(line)
    if line.replace(" ", "").isalnum():
        assert document["content"] == [paragraph_of(line)]


@settings(deadline=None)
@given(
    st.text(max_size=40) | st.text("ab:/?#[]@!%ü&`", max_size=12),
    st.sampled_from(["", "http://", "//", "mailto:", "?"]),
)
def test_an_address_stays_as_it_is_once_it_is_normal(text: str, scheme: str) -> None:
    uri = normalize_uri(scheme + text)
    assert normalize_uri(uri) == uri


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("http://münchen.de/ü?q=ä", "http://xn--mnchen-3ya.de/%C3%BC?q=%C3%A4"),
        ("http://[::1]:80/a[1]", "http://[::1]:80/a%5B1%5D"),
        ("//::2:`&b", "//::2:%60&b"),
        ("/100%/%41%zz", "/100%25/%41%25zz"),
        (" java\tscript:x ", ""),
        ("DATA:text/html,x", ""),
        ("file:///C:/x y", "file:///C:/x%20y"),
    ],
)
def test_an_address_is_encoded_and_nothing_else(address: str, uri: str) -> None:
    assert normalize_uri(address) == uri


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_as_html(text: str) -> None:
    html: Any = f"<p>{text}"
    try:
        blocks = read_html(html)
    except RecordError:
        return
    assert not document_errors(build_document(blocks), ())
