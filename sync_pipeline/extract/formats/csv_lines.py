"""Lines above the header line of CSV: titles, and the one by which Excel is told the delimiter."""

from __future__ import annotations

import re
from typing import Final

from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, Body

#: Bytes of one line that nobody reads.
_LONGEST: Final = 16 * 1024 * 1024
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_SEP: Final = re.compile(rb"""["']?sep=([\t\x20-\x7e])["']?[ \t]*(?:[\r\n]|\Z)""", re.IGNORECASE)
#: Bytes in which it stands.
_SEP_BYTES: Final = 16


def skip_lines(text: Body, answer: Answer, count: int) -> tuple[int, str | None]:
    """Pass over so many lines of a text, and over a `sep=;` that stands there or below.

    Args:
        text: UTF-8.
        answer: For texts of errors.
        count: Lines, however long; quotes mean nothing in them.

    Returns:
        How many lines were passed over, and the delimiter that one of them tells.

    Raises:
        SourceDataError: A line does not end.
    """
    delimiter: str | None = None
    for number in range(count):
        line = _take_line(text, answer)
        if not line:
            return number, delimiter
        delimiter = _said(line) or delimiter
    if _said(text.peek_bytes(_SEP_BYTES)):
        return count + 1, _said(_take_line(text, answer))
    return count, delimiter


def _said(line: bytes) -> str | None:
    found = _SEP.match(line)
    return found.group(1).decode("ascii") if found else None


def _take_line(text: Body, answer: Answer) -> bytes:
    """The next line with its end, b"" where there is none."""
    parts: list[bytes] = []
    size = 0
    while ahead := text.peek_bytes(CHUNK):
        found = _LINE_END.search(ahead)
        # A CR at the very end may be half of a CRLF.
        is_end = found is not None and not (
            found.group() == b"\r" and found.end() == len(ahead) == CHUNK
        )
        if found is not None and is_end:
            parts.append(text.read(found.end()) or b"")
            break
        taken = text.read(max(1, len(ahead) - 1)) or b""
        parts.append(taken)
        size += len(taken)
        if size > _LONGEST:
            raise answer.error("a line above the header line does not end", "Check csv.skipLines.")
    return b"".join(parts)
