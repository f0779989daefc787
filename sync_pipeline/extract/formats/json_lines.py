"""JSON Lines: one JSON document a line."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Final, cast

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, Body
from sync_pipeline.extract.formats.json_path import kind_of, select_rows
from sync_pipeline.extract.formats.json_stream import load_text
from sync_pipeline.extract.formats.text import open_text
from sync_pipeline.model import Row

#: Bytes of one line: what a record may be, and what is held at once.
MAX_LINE: Final = 64 * 1024 * 1024


def read_json_lines(body: Body, answer: Answer, path: str | None, skip: int = 0) -> Iterator[Row]:
    """Yield the rows of each line; blank lines are passed over.

    Raises:
        SourceDataError: A line is no JSON object; the text names the line.
    """
    lines = io.BufferedReader(open_text(body, answer), CHUNK)
    done = 0
    number = 0
    while line := lines.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise answer.error(
                f"line {number} is longer than {MAX_LINE:,} bytes",
                "If the answer is one JSON document, set resultsFormat: json.",
            )
        if not line.strip():
            continue
        for row in _rows_of(line, answer, path, number):
            done += 1
            if done > skip:
                yield row


def _rows_of(line: bytes, answer: Answer, path: str | None, number: int) -> list[Row]:
    try:
        document = load_text(line, answer)
    except SourceDataError as err:
        raise answer.error(
            f"line {number} is no JSON" + ("" if line.endswith(b"\n") else " (the last one: cut?)"),
            "If the answer is one JSON document, set resultsFormat: json; else mend the source.",
        ) from err
    if path:
        return select_rows(document, path, where=f"line {number}: ")
    if not isinstance(document, Mapping):
        raise answer.error(
            f"line {number} is {kind_of(document)}, not an object",
            "If the answer is one JSON document, set resultsFormat: json.",
        )
    return [cast("Row", document)]
