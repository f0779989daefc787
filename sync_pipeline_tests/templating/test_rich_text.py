"""The filters that say what a text is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.templating import compile_text
from sync_pipeline_tests.rich_text.outlines import P, blocks_of


def render(template: str, **row: Any) -> str:
    return compile_text(template, names=("row",))({"row": row})


def blocks(template: str, **row: Any) -> list[Any]:
    return blocks_of(json.loads(render(template, **row)))


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        ("{{ row.x | html }}", "<p>1. <b>a</b></p>", [(P, "1. ", "a/bold")]),
        ("{{ row.x | markdown }}", "# 1. **a**", [("heading-1", "1. ", "a/bold")]),
        ("{{ row.x | plain }}", " 1. **a** <b>\n\n\\x ", [(P, " 1. **a** <b>\n\n\\x ")]),
        ("{{ row.x | plain(paragraphs=true) }}", "- a\nb\r\n \r\nc\n", [(P, "- a\nb"), (P, "c\n")]),
        ("{{ row.x | plain(true) }}", "\n\na", [(P, "a")]),
        ("{{ row.x | plain }}", 7, [(P, "7")]),
        ("{% filter html %}<h2>{{ row.x | e }}</h2>{% endfilter %}", "a<b", [("heading-2", "a<b")]),
        ("{{ (row.x ~ '<hr>') | html }}", "a", [(P, "a"), ("hr",)]),
        ("{% set y = row.x | html %}{{ y if y else 'no' }}", "<p>a", [(P, "a")]),
    ],
)
def test_a_filter_gives_the_document_that_the_text_says(
    template: str, text: Any, expected: list[Any]
) -> None:
    assert blocks(template, x=text) == expected


@pytest.mark.parametrize("name", ["html", "markdown", "plain"])
@pytest.mark.parametrize("nothing", [None, "", " \n ", [][:]])
def test_nothing_stays_nothing(name: str, nothing: Any) -> None:
    text = render(f"{{{{ row.x | {name} }}}}{{{{ row.y | {name} }}}}", x=nothing)
    assert text in ("", render(f"{{{{ '[]' | {name} }}}}"))


def test_html_that_shows_nothing_is_nothing() -> None:
    assert render("{{ row.x | html }}", x="<p></p><script>x</script><!-- y -->") == ""


@pytest.mark.parametrize("name", ["html", "markdown", "plain", "cute.html_to_markdown"])
@pytest.mark.parametrize(
    ("text", "error_id"), [("x" * 2_000_001, "TooLong"), ("a\ud83d", "TypeMismatch")]
)
def test_what_no_field_can_hold_is_an_error_of_the_record(
    name: str, text: str, error_id: str
) -> None:
    with pytest.raises(RecordError) as caught:
        render(f"{{{{ row.x | {name} }}}}", x=text)
    assert caught.value.error_id == error_id
