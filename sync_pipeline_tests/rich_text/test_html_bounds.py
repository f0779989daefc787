"""HTML that would take time or memory out of proportion is refused before it is parsed."""

from __future__ import annotations

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.html_bounds import Glance, check_bounds
from sync_pipeline.rich_text.html_reading import read_html


def marks(count: int) -> str:
    return "".join(f"<b id={number}>" for number in range(count))


BOMBS = {
    "marks that every paragraph opens again": f"<p>{marks(3000)}</p>{'<p>x' * 3000}",
    "marks around blocks": f"{''.join(f'<b id={n}><div>' for n in range(5000))}{'</b>' * 5000}",
    "marks in paragraphs that end themselves": f"<p>{marks(2000)}{'<p>x' * 2000}",
    "deep divs": "<div>" * 200_000,
    "deep lists": "<ul><li>" * 60_000,
    "ends of nothing": f"{'<div>' * 30_000}{'</p>' * 30_000}",
    "attributes": "<a " + " ".join(f"x{number}" for number in range(100_000)) + ">t</a>",
    "attributes behind a quoted end": '<a t=">" '
    + " ".join(f"x{n}=1" for n in range(50_000))
    + ">t",
    "pieces of text": "<b>x</b>y" * 100_000,
    "tags": "<p></p>" * 100_001,
    "line breaks": "<br>" * 100_001,
    "pictures": "<img src=i>" * 100_001,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("html", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused(html: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_html(html + ">")
    assert caught.value.error_id == "TooLong"
    assert len(str(caught.value)) < 200


SOUND = {
    "a large table": "<table>" + ("<tr>" + "<td><b>x</b></td>" * 8 + "</tr>") * 1000 + "</table>",
    "a table without end tags": "<table>" + ("<tr>" + "<td>x" * 8) * 1000,
    "a list without end tags": "<ul>" + "<li>x" * 10_000,
    "paragraphs without end tags": "<p>x" * 10_000,
    "bold that nobody ends": "<p><b>x</p>" * 2000,
    "bold that overlaps": "<p><b>x</p>y</b>" * 1000,
    "links that nobody ends": "".join(f'<p><a href="/{n}">x</p>' for n in range(500)),
    "spans that nobody ends": "<div><span>x</div>" * 2000,
    "a picture in the text": f'<p>x<img src="data:image/png;base64,{"A" * 500_000}"></p>',
}


@pytest.mark.parametrize("html", SOUND.values(), ids=SOUND)
def test_large_and_careless_html_is_read(html: str) -> None:
    check_bounds(html)
    assert read_html(html)


def test_what_the_tags_can_come_to_is_never_too_little() -> None:
    found = Glance("<p><b id=1><b id=2><i><p>x</i></b></p><td><br><a href=1>x<a href=2>y")
    assert (found.tags, found.marks) == (12, 5)
    assert found.depth >= 6
