"""Text becomes rich text: as Markdown where it is said to be, with care where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.markdown_reading import read_markdown, read_text
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
)  # fmt: skip

#: Read alike whether or not somebody said that it is Markdown.
MARKDOWN = [
    ("plain text, nothing else", [(P, "plain text, nothing else")]),
    ("5 * 3 > 2 & a_b_c <b>", [(P, "5 * 3 > 2 & a_b_c <b>")]),
    ("line\nline\r\nline", [(P, "line\nline\nline")]),
    ("one\n\ntwo", [(P, "one"), (P, "two")]),
    ("    indented is no code", [(P, "indented is no code")]),
    ("# A\n\n###### F\n\nS\n==", [("heading-1", "A"), ("heading-6", "F"), ("heading-1", "S")]),
    ("a **b** *c* ***d*** ~~e~~", [(P, "a ", "b/bold", " ", "c/italic", " ", "d/italic/bold", " ", "e/strikethrough")]),
    ("`x` <u>y **z**</u> w", [(P, "x/code", " ", "y /underline", "z/underline/bold", " w")]),
    ("H<sub>2</sub>O<br>x<SUP>2</SUP> <s>y</s>", [(P, "H", "2/subscript", "O\nx", "2/superscript", " ", "y/strikethrough")]),
    ("<u> alone </sup> <i>i</i>", [(P, "<u> alone </sup> <i>i</i>")]),
    ("\\<u>x\\</u>", [(P, "<u>x</u>")]),
    ("**a <u>b** c</u>", [(P, "a /bold", "b/bold/underline", " c/underline")]),
    ("[a **b**](https://x.y 'title')", [(P, ("hyperlink https://x.y", "a ", "b/bold"))]),
    ("[a](<http://x/a b>) <http://y.z>", [(P, ("hyperlink http://x/a%20b", "a"), " ", ("hyperlink http://y.z", "http://y.z"))]),
    ("[a](file:///x) [b](javascript:y) [c]()", [(P, ("hyperlink file:///x", "a"), " [b](javascript:y) c")]),
    ("![a\\*](https://x.y/i.png)", [(P, ("hyperlink https://x.y/i.png", "a*"))]),
    ("[![alt](i.png)](https://x.y)", [(P, ("hyperlink https://x.y", "alt"))]),
    ("a  \nb\\\nc", [(P, "a\nb\nc")]),
    ("x\n\n---", [(P, "x"), ("hr",)]),
    ("```py\nx = 1\n\ny\n```", [(P, "x = 1\n\ny/code")]),
    ("- a\n- b\n  - c", [(UL, (LI, (P, "a")), (LI, (P, "b"), (UL, (LI, (P, "c")))))]),
    ("1. a\n2. b\n10. c", [(OL, (LI, (P, "a")), (LI, (P, "b")), (LI, (P, "c")))]),
    ("> a\n>\n> b", [(QUOTE, (P, "a"), (P, "b"))]),
    ("> # a\n> - b\n>\n> c", [(QUOTE, (P, "a")), (UL, (LI, (P, "b"))), (QUOTE, (P, "c"))]),
    ("> a\n>> b", [(QUOTE, (P, "a"), (P, "b"))]),
    ("|a|b|\n|-|-|\n|c|**d**|", [(TABLE, (TR, (TH, (P, "a")), (TH, (P, "b"))), (TR, (TD, (P, "c")), (TD, (P, "d/bold"))))]),
    ("| | |\n|-|-|\n|c|d|", [(TABLE, (TR, (TD, (P, "c")), (TD, (P, "d"))))]),
    ("> |a|b|\n> |-|-|\n> |c|d|e\\|f|", [(TABLE, (TR, (TH, (P, "a")), (TH, (P, "b"))), (TR, (TD, (P, "c")), (TD, (P, "d")), (TD, (P, "e|f"))))]),
    ("- x\n\n  |a|b|\n  |-|-|\n  |c|d|", [(UL, (LI, (P, "x"), (P, "a\tb"), (P, "c\td")))]),
    ("\\* &amp; \\\\", [(P, "* & \\")]),
    ("[x]: http://y\n\nsee [x]", [(P, "see ", ("hyperlink http://y", "x"))]),
    ("[x]: http://y\n\nsee", [(P, "[x]: http://y"), (P, "see")]),
    ("\u00a0a\u3000\n\u3000**b**\n\n\u2003", [(P, "\u00a0a\u3000\n\u3000", "b/bold"), (P, "\u2003")]),
    ("see ![](contentful:entry/e1) and [it](contentful:asset/a1)", [(P, "see ", ("embedded-entry-inline e1",), " and ", ("asset-hyperlink a1", "it"))]),
    ("![](contentful:asset/a1)", [("embedded-asset-block a1",)]),
    ("a\n![](contentful:asset/a1)\nb", [(P, "a"), ("embedded-asset-block a1",), (P, "b")]),
    ('![](contentful:entry/e1 "inline")', [(P, ("embedded-entry-inline e1",))]),
    ("![](contentful:entry/e1)", [("embedded-entry-block e1",)]),
]  # fmt: skip

#: What plain text may mean otherwise: the text, with care, as Markdown.
AMBIGUOUS = [
    ("1999. A good year", [(P, "1999. A good year")], [(OL, (LI, (P, "A good year")))]),
    ("1999. A good year\n2001. A better one", [(P, "1999. A good year\n2001. A better one")], [(OL, (LI, (P, "A good year")), (LI, (P, "A better one")))]),
    ("- 5 °C", [(P, "- 5 °C")], [(UL, (LI, (P, "5 °C")))]),
    ("> 18 years", [(P, "> 18 years")], [(QUOTE, (P, "18 years"))]),
    ("# 1 in sales", [(P, "# 1 in sales")], [("heading-1", "1 in sales")]),
    ("---", [(P, "---")], [("hr",)]),
    ("+ **49** 89", [(P, "+ ", "49/bold", " 89")], [(UL, (LI, (P, "49/bold", " 89")))]),
    ("2*3*4 and 2**8**1", [(P, "2*3*4 and 2**8**1")], [(P, "2", "3/italic", "4 and 2", "8/bold", "1")]),
    (r"\\server\share\*", [(P, r"\\server\share\*")], [(P, r"\server\share*")]),
    ("[l]: u", [(P, "[l]: u")], [(P, "[l]: u")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "blocks"), MARKDOWN)
def test_markdown_becomes_the_rich_text_it_says(text: str, blocks: list[Any]) -> None:
    assert blocks_of(build_document(read_markdown(text))) == blocks
    assert blocks_of(build_document(read_text(text))) == blocks


@pytest.mark.parametrize(("text", "careful", "markdown"), AMBIGUOUS)
def test_text_that_nobody_called_markdown_is_rather_kept_than_read(
    text: str, careful: list[Any], markdown: list[Any]
) -> None:
    assert blocks_of(build_document(read_text(text))) == careful
    assert blocks_of(build_document(read_markdown(text))) == markdown


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("b\n" + ">" * 5000 + " a", id="nested too deep"),
        pytest.param("b\n\n" + ">" * 60 + " a", id="nested too deep after text"),
        pytest.param("*" * 5000 + "a", id="many stars"),
        pytest.param("[" * 10_001, id="many brackets"),
        pytest.param("[label]: https://only.a.definition", id="definitions only"),
    ],
)
def test_what_markdown_would_leave_out_is_kept_as_plain_text(text: str) -> None:
    for read in (read_text, read_markdown):
        assert blocks_of(build_document(read(text))) == [(P, text)]


@pytest.mark.parametrize("read", [read_text, read_markdown])
@pytest.mark.parametrize("piece", ["a\n", "*a ", "|", "&amp;", "\\*"])
def test_more_markup_than_memory_has_room_for_is_refused(read: Any, piece: str) -> None:
    with pytest.raises(RecordError, match="signs of markup") as caught:
        read(f"x\n{piece * 100_002}")
    assert caught.value.error_id == "TooLong"


@pytest.mark.timeout(20)
def test_marks_nested_as_deep_as_the_text_is_long_are_read() -> None:
    (block,) = blocks_of(build_document(read_markdown("*a " * 2000 + "b*" * 2000)))
    assert str(block).count("a") >= 2000


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["<u>", "<br>", "&amp;", "`", "**a", "~~", "\\", "![", "<http://", "|", "\u3000", "- ", "a\n"],
)
def test_markup_that_never_ends_takes_no_time_without_end(piece: str) -> None:
    text = piece * 20_000
    assert blocks_of(build_document(read_text(f"x\n{text}")))
