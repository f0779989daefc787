"""Blocks to Markdown that says the same: what Markdown would read in a text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sync_pipeline.rich_text.markdown_inlines import inline_markdown, write_link
from sync_pipeline.rich_text.nodes import (
    HEADINGS,
    LISTS,
    PREFORMATTED,
    Node,
    marks_of,
    merged,
    uri_of,
)

_MAX_NUMBER = 999_999_999
_BACKTICKS = re.compile("`+")
_RULE = re.compile(r"(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}")
#: What would begin a block, where a line of text begins with it.
_BEGINS_BLOCK = re.compile(
    r"(?P<number>[0-9]{1,9})[.)](?=\s|$)|#{1,6}(?=\s|$)|[-+*](?=\s|$)|>|[=-]+[ \t]*$|~~~"
    r"|[|:-][-:|\s]*$|(?:-[ \t]*){3,}$|(?:\*[ \t]*){3,}$|(?:_[ \t]*){3,}$"
)


def write_markdown(blocks: Sequence[Node]) -> str:
    """The Markdown of blocks; `markdown_reading` makes the same document of it."""
    return "\n".join(_lines(blocks, in_list=False))


def _lines(blocks: Sequence[Node], *, in_list: bool) -> list[str]:
    lines: list[str] = []
    before: Node | None = None
    alternates = False
    for block in blocks:
        alternates = not alternates if _continues(before, block) else False
        written = list(_block(block, in_list=in_list, alternates=alternates))
        if before is not None and not (in_list and _may_follow(before, written, block)):
            lines.append("")
        lines += written
        before = block
    return lines


def _continues(before: Node | None, block: Node) -> bool:
    """Whether two lists would become one."""
    return (
        before is not None
        and block["nodeType"] in LISTS
        and (before["nodeType"] == block["nodeType"])
    )


def _may_follow(before: Node, written: list[str], block: Node) -> bool:
    """Whether a list can follow a paragraph without an empty line, as people write it."""
    if before["nodeType"] != "paragraph" or block["nodeType"] not in LISTS:
        return False
    return bool(re.match(r"[-*] .|1[.)] .", written[0])) and not written[0].startswith("- ---")


def _block(block: Node, *, in_list: bool, alternates: bool) -> Iterator[str]:
    kind = block["nodeType"]
    if kind == "paragraph":
        yield from _paragraph(inline_markdown(block["content"]))
    elif kind in HEADINGS:
        yield _heading(block)
    elif kind == PREFORMATTED:
        yield from _preformatted(block)
    elif kind in LISTS:
        yield from _list(block, alternates=alternates)
    elif kind == "blockquote":
        yield from (
            f"> {line}" if line else ">" for line in _lines(block["content"], in_list=False)
        )
    elif kind == "table":
        yield from _table(block)
    elif kind == "hr":
        yield "___" if in_list else "---"  # `- ---` would be no list
    else:
        yield "!" + write_link("", uri_of(block))


def _paragraph(text: str) -> Iterator[str]:
    return (_escape_line(line) for line in text.split("\n"))


def _escape_line(line: str) -> str:
    match = _BEGINS_BLOCK.match(line)
    if match is None:
        return line
    at = match.end("number") if match["number"] else 0
    return f"{line[:at]}\\{line[at:]}"


def _heading(block: Node) -> str:
    text = inline_markdown(block["content"], is_one_line=True)
    # Number signs at the end would be taken for the end of the heading.
    text = re.sub(r"(^|[ \t])(#+)$", r"\1\\\2", text)
    return f"{'#' * int(block['nodeType'][-1])} {text}"


def _preformatted(block: Node) -> Iterator[str]:
    content = merged(block["content"])
    if len(content) != 1 or content[0]["nodeType"] != "text" or marks_of(content[0]) != ["code"]:
        yield from _paragraph(inline_markdown(content))
        return
    text = content[0]["value"]
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence
    yield from text.split("\n")
    yield fence


def _list(block: Node, *, alternates: bool) -> Iterator[str]:
    first = block["data"].get("start", 1)
    number = first if 0 <= first <= _MAX_NUMBER - len(block["content"]) else 1
    items: list[list[str]] = []
    for item in block["content"]:
        if block["nodeType"] == "ordered-list":
            marker = f"{number}{')' if alternates else '.'}"
            number += 1
        else:
            marker = "*" if alternates else "-"
        items.append(list(_item(item, marker)))
    is_loose = any("" in lines for lines in items)
    for index, lines in enumerate(items):
        if index and is_loose:
            yield ""
        yield from lines


def _item(item: Node, marker: str) -> Iterator[str]:
    indent = " " * (len(marker) + 1)
    first, *lines = _lines(item["content"], in_list=True) or [""]
    if _RULE.fullmatch(f"{marker} {first}"):  # `- - -` would be no list
        first, lines = "", [first, *lines]
    yield f"{marker} {first}" if first else marker
    for line in lines:
        yield indent + line if line else ""


def _table(block: Node) -> Iterator[str]:
    rows = block["content"]
    columns = max(len(row["content"]) for row in rows)
    has_header = all(cell["nodeType"] == "table-header-cell" for cell in rows[0]["content"])
    header = _row(rows[0], columns) if has_header else "|" + "  |" * columns
    yield header
    yield "|" + " --- |" * columns
    for row in rows[1:] if has_header else rows:
        yield _row(row, columns)


def _row(row: Node, columns: int) -> str:
    cells = [_cell(cell) for cell in row["content"]]
    cells += [""] * (columns - len(cells))
    return "|" + "".join(f" {cell} |" for cell in cells)


def _cell(cell: Node) -> str:
    lines = [inline_markdown(inlines, is_one_line=True) for inlines in _inlines_of(cell)]
    return "<br>".join(lines).replace("|", "\\|")


def _inlines_of(block: Node) -> Iterator[list[Node]]:
    """What a cell holds, a line a paragraph: Markdown has no blocks in cells."""
    for inner in block["content"]:
        if inner["nodeType"] in ("paragraph", PREFORMATTED, *HEADINGS):
            yield inner["content"]
        elif "target" in inner["data"]:
            yield [inner]
        else:
            yield from _inlines_of(inner)
