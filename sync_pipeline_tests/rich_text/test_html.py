"""HTML becomes the rich text it says, and Markdown that says the same."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.html_reading import read_html
from sync_pipeline.rich_text.markdown_reading import read_markdown
from sync_pipeline.rich_text.markdown_writing import write_markdown
from sync_pipeline.rich_text.shaping import build_document
from sync_pipeline_tests.rich_text.outlines import (
    LI,
    OL,
    QUOTE,
    TABLE,
    TD,
    TH,
    TR,
    UL,
    P,
    blocks_of,
    text_of,
)  # fmt: skip

NBSP = "\u00a0"
URN = "crn:contentful:::content:spaces/other/entries/e9"

#: What Markdown can say as well: both ways must lead to these blocks.
SAID_BY_BOTH = [
    # punctuation beside marks
    ("<p><b>Price:</b>12</p>", [(P, "Price:/bold", "12")]),
    ("<p>un<em>believ</em>able<strong>!</strong>x</p>", [(P, "un", "believ/italic", "able", "!/bold", "x")]),
    ("<p>(<i>a</i>)<b>(b)</b>c</p>", [(P, "(", "a/italic", ")", "(b)/bold", "c")]),
    ("<p>a<b> b </b>c</p>", [(P, "a", " b /bold", "c")]),
    ("<p><b>a</b><i>b</i><b><i>c</i></b></p>", [(P, "a/bold", "b/italic", "c/bold/italic")]),
    ("<p><i><b>x</b></i><s>y</s><del>z</del></p>", [(P, "x/italic/bold", "yz/strikethrough")]),
    ("<p>H<sub>2</sub>O, m<sup>2</sup>, <u>x</u></p>", [(P, "H", "2/subscript", "O, m", "2/superscript", ", ", "x/underline")]),
    ("<b>x<p>y</b>z</p>", [(P, "x/bold"), (P, "y/bold", "z")]),
    ("<p><code>a`b *c*</code></p>", [(P, "a`b *c*/code")]),
    ("<p><b><code>x</code></b> <code><b>y</b></code></p>", [(P, "x/bold/code", " ", "y/bold/code")]),
    # what Markdown would read
    ("<p>2024) was good</p>", [(P, "2024) was good")]),
    ("<p>7. of 9.<br>8) x</p>", [(P, "7. of 9.\n8) x")]),
    ("<p>###### six</p><p>#hash</p>", [(P, "###### six"), (P, "#hash")]),
    ("<h2># C #</h2>", [("heading-2", "# C #")]),
    ("<p>+ 49 89</p><p>* = required</p><p>- 5 °C</p>", [(P, "+ 49 89"), (P, "* = required"), (P, "- 5 °C")]),
    ("<p>---</p><p>***</p><p>_ _ _</p>", [(P, "---"), (P, "***"), (P, "_ _ _")]),
    ("<p>Title<br>=====</p><p>Other<br>-</p>", [(P, "Title\n====="), (P, "Other\n-")]),
    ("<p>a | b<br>--|--</p>", [(P, "a | b\n--|--")]),
    ("<p>```js</p><p>~~~</p>", [(P, "```js"), (P, "~~~")]),
    ("<p>*not* _em_ **b** ~~s~~ `c`</p>", [(P, "*not* _em_ **b** ~~s~~ `c`")]),
    ("<p>[a](b) ![c](d) [e]: f &lt;http://x.y&gt;</p>", [(P, "[a](b) ![c](d) [e]: f <http://x.y>")]),
    ("<p>&amp;amp; &amp;#65; &amp;copy; AT&amp;T</p>", [(P, "&amp; &#65; &copy; AT&T")]),
    ("<p>&lt;br&gt;&lt;b&gt;x&lt;/b&gt;&lt;!-- --&gt;</p>", [(P, "<br><b>x</b><!-- -->")]),
    (r"<p>C:\*\new\</p>", [(P, "C:\\*\\new\\")]),
    ("<p><b><code>1</code> * &nbsp;</b>* _ *&nbsp;<i>* </i>_</p>", [(P, "1/bold/code", f" * {NBSP}/bold", f"* _ *{NBSP}", "* /italic", "_")]),
    ("<p>snake_case_name 5 * 3 * 2</p>", [(P, "snake_case_name 5 * 3 * 2")]),
    # white space
    ("<p>\n a\n  b\t c </p>", [(P, "a b c")]),
    (f"<p>&nbsp;a{NBSP}b&nbsp;</p>", [(P, f"{NBSP}a{NBSP}b{NBSP}")]),
    ("<p>\u3000日本<b>\u3000x</b></p>", [(P, "\u3000日本", "\u3000x/bold")]),
    ("<p>a<br><br/>b<br></p>", [(P, "a\n\nb")]),
    ("<p></p><p> <br></p><div><span></span></div><h1></h1><ul></ul>x", [(P, "x")]),
    ("a <i>b</i>\n<p>c", [(P, "a ", "b/italic"), (P, "c")]),
    ("<pre>\n  a\n\n b `x` ~~~\n</pre>", [(P, "  a\n\n b `x` ~~~/code")]),
    # links and pictures
    ('<p><a href=" http://x/a b|c.pdf ">t</a></p>', [(P, ("hyperlink http://x/a%20b%7Cc.pdf", "t"))]),
    ('<p>Hi!<a href="/p(1)?a=1&amp;copy;=2#f">[x] <b>b</b></a></p>', [(P, "Hi!", ("hyperlink /p(1)?a=1&copy;=2#f", "[x] ", "b/bold"))]),
    ('<p><b>see <a href="u">this</a></b></p>', [(P, "see /bold", ("hyperlink u", "this/bold"))]),
    ('<p><a href="https://x.y">https://x.y</a></p>', [(P, ("hyperlink https://x.y", "https://x.y"))]),
    ('<p><a href="mailto:a@b.c">write</a> <a name=x>no</a> <a href="">link</a></p>', [(P, ("hyperlink mailto:a@b.c", "write"), " no link")]),
    ('<p><a href="JavaScript:alert(1)">x</a><a href="java\nscript:y()">y</a><a href="data:text/html,z">z</a></p>', [(P, "xyz")]),
    ('<a href="u"><h2>T</h2><p>t</p></a>', [("heading-2", ("hyperlink u", "T")), (P, ("hyperlink u", "t"))]),
    ('<p><a href="u"></a>x</p>', [(P, "x")]),
    ('<p>a <img src="i 1.png" alt=" A *b* " title="T"> b <img src=j.png></p>', [(P, "a ", ("hyperlink i%201.png", "A *b*"), " b ", ("hyperlink j.png", "j.png"))]),
    ('<a href="u"><img src=i.png alt=logo></a>', [(P, ("hyperlink u", "logo"))]),
    ('<p><img src="data:image/png;base64,xx" alt=chart>!<img alt=only></p>', [(P, "chart!only")]),
    ('<iframe src="https://v.x/1" title="A film"></iframe>', [(P, ("hyperlink https://v.x/1", "A film"))]),
    ('<video><source src="v.mp4">Too old</video><audio src=a.mp3></audio>', [(P, ("hyperlink v.mp4", "v.mp4"), ("hyperlink a.mp3", "a.mp3"))]),
    # blocks
    ("<h1>a</h1><h6>b<br>c</h6><hr>", [("heading-1", "a"), ("heading-6", "b\nc"), ("hr",)]),
    ("<div>a<div>b</div>c</div><section><p>d</section>", [(P, "a"), (P, "b"), (P, "c"), (P, "d")]),
    ("<ul><li>a<ul><li>b</ul><li><p>c<p>d</ul>", [(UL, (LI, (P, "a"), (UL, (LI, (P, "b")))), (LI, (P, "c"), (P, "d")))]),
    ("<ul><li>a</li><ul><li>b</li></ul></ul>", [(UL, (LI, (P, "a"), (UL, (LI, (P, "b")))))]),
    ("<ol><li>a<li></li></ol><ol><li>b</ol><ul><li>c</ul>", [(OL, (LI, (P, "a")), (LI, (P, ""))), (OL, (LI, (P, "b"))), (UL, (LI, (P, "c")))]),
    ("<ul><li><ul><li><ul><li></li></ul></li></ul></li></ul>", [(UL, (LI, (UL, (LI, (UL, (LI, (P, "")))))))]),
    ("<li>a<li>b", [(UL, (LI, (P, "a")), (LI, (P, "b")))]),
    ("<ul><li><h3>a</h3><hr><blockquote>b</blockquote></ul>", [(UL, (LI, ("heading-3", "a"), ("hr",), (QUOTE, (P, "b"))))]),
    ("<blockquote><p>a</p><h2>b</h2><ul><li>c</ul>d</blockquote>", [(QUOTE, (P, "a"), (P, "b")), (UL, (LI, (P, "c"))), (QUOTE, (P, "d"))]),
    ("<blockquote>a</blockquote><blockquote>b</blockquote>", [(QUOTE, (P, "a")), (QUOTE, (P, "b"))]),
    ("<dl><dt>a<dd>b</dl><address>c</address>", [(P, "a"), (P, "b"), (P, "c")]),
    ("<table><tr><th>a<th>b|c<tr><td>1<td><b>2</b><br>3</table>", [(TABLE, (TR, (TH, (P, "a")), (TH, (P, "b|c"))), (TR, (TD, (P, "1")), (TD, (P, "2/bold", "\n3"))))]),
    ("<table><tr><td>|<td>\\<td></table>", [(TABLE, (TR, (TD, (P, "|")), (TD, (P, "\\")), (TD, (P, ""))))]),
    ("<table><caption>C</caption><tr><td>a<td><code>x|y</code></table>", [(P, "C"), (TABLE, (TR, (TD, (P, "a")), (TD, (P, "x|y/code"))))]),
    ("<ul><li>x<table><tr><td>a<td>b<tr><td>c<td>d</table></ul>", [(UL, (LI, (P, "x"), (P, "a\tb"), (P, "c\td")))]),
    # what is not shown, and what means nothing here
    ("<style>p{}</style><p>a<script>1 < 2</script>b<!-- c --></p><title>t</title><template>u</template>", [(P, "ab")]),
    ("<html><head><title>t</title></head><body><p>a</p></body></html>", [(P, "a")]),
    ("<h7>a</h7><h0>b</h0><hx>c</hx>", [(P, "abc")]),
    ("<p><a href='http://xn--mnchen-3ya.de/'>http://xn--mnchen-3ya.de/</a></p>", [(P, ("hyperlink http://xn--mnchen-3ya.de/", "http://xn--mnchen-3ya.de/"))]),
    ("<x-y><font color=red>a</font></x-y><mark>b</mark><small>c</small><noscript>d</noscript>", [(P, "abcd")]),
    # embedded
    ("<p>a</p><div data-entity-type=Entry data-entity-id=e1>x</div>", [(P, "a"), ("embedded-entry-block e1",)]),
    ("<div data-entity-type=Asset data-entity-id=a1></div>", [("embedded-asset-block a1",)]),
    (f"<div data-entity-type='Contentful:Entry' data-entity-id='{URN}'></div>", [(f"embedded-resource-block {URN}",)]),
    ("<p>a <span data-embedded-entity-inline-id=e1></span> b</p>", [(P, "a ", ("embedded-entry-inline e1",), " b")]),
    ("<p><span data-embedded-entity-inline-id=e1></span></p>", [(P, ("embedded-entry-inline e1",))]),
    ("<a data-link-type=Entry data-link-id=e1>t</a>, <a data-link-type=Asset data-link-id=a1>u</a>", [(P, ("entry-hyperlink e1", "t"), ", ", ("asset-hyperlink a1", "u"))]),
    (f"<a data-resource-link-type='Contentful:Entry' data-resource-link-urn='{URN}'>t</a>", [(P, (f"resource-hyperlink {URN}", "t"))]),
    ('<p><a href="contentful:entry/e1">t</a><img src="contentful:asset/a1">u</p>', [(P, ("entry-hyperlink e1", "t")), ("embedded-asset-block a1",), (P, "u")]),
    ('<div data-entity-type=entry data-entity-id="1">of another program</div>', [(P, "of another program")]),
    # no HTML at all
    ("1999. A good year", [(P, "1999. A good year")]),
    ("1 < 2 & 3 > 2", [(P, "1 < 2 & 3 > 2")]),
    ("a\nb\n\n- c", [(P, "a\nb"), (P, "- c")]),
    ("a <b x", [(P, "a <b x")]),
    ("<p>x</p>a <b", [(P, "x"), (P, "a <b")]),
]  # fmt: skip

#: What is lost in Markdown, which has no words for it.
SAID_BY_HTML = [
    ("<table><tr><th>a<td>b</table>", [(TABLE, (TR, (TH, (P, "a")), (TD, (P, "b"))))]),
    ("<table><tr><td colspan=2 rowspan=x>a<tr><td>b<td>c</table>", [(TABLE, (TR, (f"{TD} 2", (P, "a"))), (TR, (TD, (P, "b")), (TD, (P, "c"))))]),
    ("<table><tr><td><h2>a</h2><ul><li>b<li>c</ul><hr><blockquote>d</blockquote></table>", [(TABLE, (TR, (TD, (P, "a"), (P, "b"), (P, "c"), (P, "d"))))]),
    ("<table><tr><td><table><tr><td>a<td>b</table></table>", [(TABLE, (TR, (TD, (P, "a\tb"))))]),
    ("<table><tr><td><div data-entity-type=Asset data-entity-id=a1></div></table>", [(TABLE, (TR, (TD, (P, ("asset-hyperlink a1", "a1")))))]),
    ("<table><tr><td><div data-entity-type=Entry data-entity-id=e1></div></table>", [(TABLE, (TR, (TD, (P, ("embedded-entry-inline e1",)))))]),
    ("<pre>a <b>b</b>\n c</pre>", [(P, "a /code", "b/bold/code", "\n c/code")]),
]  # fmt: skip


def rich_text(html: str) -> dict[str, Any]:
    return build_document(read_html(html))


@pytest.mark.parametrize(("html", "blocks"), SAID_BY_BOTH + SAID_BY_HTML)
def test_html_becomes_the_rich_text_it_says(html: str, blocks: list[Any]) -> None:
    assert blocks_of(rich_text(html)) == blocks


@pytest.mark.parametrize(("html", "blocks"), SAID_BY_BOTH)
def test_markdown_of_html_says_the_same(html: str, blocks: list[Any]) -> None:
    markdown = write_markdown(read_html(html))
    assert blocks_of(build_document(read_markdown(markdown))) == blocks, markdown


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p><strong>Note:</strong> text</p>", "**Note:** text"),
        ("<p><strong>Note:</strong>text</p>", "**Note:**&#116;ext"),
        ("<h1>A &amp; B</h1><p>one <b>two</b> <a href='https://x.y'>z</a></p><ul><li>i</ul>", "# A & B\n\none **two** [z](https://x.y)\n\n- i"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c"),
        ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
        ("<blockquote><p>a<p>b</blockquote>", "> a\n>\n> b"),
        ("<pre>x = 1</pre>", "```\nx = 1\n```"),
        ("<p><img src=i.png alt=A title=T></p>", '![A](i.png "T")'),
        ("<p><a href=u title='say &quot;x&quot;'>t</a></p>", '[t](u "say \\"x\\"")'),
        ("<p>a<br>b</p><hr>", "a  \nb\n\n---"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "|  |  |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |"),
        ("snake_case 5 * 3 *", "snake_case 5 * 3 *"),
    ],
)  # fmt: skip
def test_markdown_is_written_as_people_write_it(html: str, markdown: str) -> None:
    assert write_markdown(read_html(html)) == markdown


#: Without tables, which get an empty header, and what only we read.
SAID_BY_ALL = [
    (html, blocks)
    for html, blocks in SAID_BY_BOTH
    if not any(ours in html for ours in ("<table", "data-e", "data-link", "data-r", "contentful:"))
]


@pytest.mark.parametrize(("html", "blocks"), SAID_BY_ALL)
def test_other_readers_of_markdown_see_the_same(html: str, blocks: list[Any]) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable("strikethrough")
    rendered = parser.render(write_markdown(read_html(html)))
    assert blocks_of(rich_text(rendered)) == blocks, rendered


@pytest.mark.parametrize(
    "html",
    [
        "<div data-entity-type=Entry data-entity-id='a b'></div>",
        "<span data-embedded-entity-inline-id=''></span>",
        "<a data-link-type=Asset data-link-id='#'>x</a>",
        "<div data-entity-type='Contentful:Entry' data-entity-id=e1></div>",
    ],
)
def test_what_cannot_be_an_id_is_an_error_of_the_record(html: str) -> None:
    with pytest.raises(RecordError, match="rich text points to") as caught:
        read_html(html)
    assert caught.value.error_id == "InvalidId"


@pytest.mark.parametrize("nested", ["<ul><li>x", "<ol><li>x<blockquote>", "<li>x<table><tr><td>"])
def test_what_is_nested_deeper_than_documents_go_is_kept_in_the_last(nested: str) -> None:
    blocks = read_html(nested * 200)
    for document in (build_document(blocks), build_document(read_markdown(write_markdown(blocks)))):
        blocks_of(document)
        assert text_of(document).count("x") == 200


def test_fifteen_levels_are_kept() -> None:
    (block,) = blocks_of(rich_text("<ul><li>x" * 15))
    assert str(block).count("unordered-list") == 15
