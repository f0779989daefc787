"""JSON Lines: one JSON document a line."""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import BinaryIO, Final, cast

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, Body
from sync_pipeline.extract.formats.checked_rows import checked_rows, judge_record
from sync_pipeline.extract.formats.fast_json import UNSURE, load_fast
from sync_pipeline.extract.formats.json_path import kind_of
from sync_pipeline.extract.formats.json_stream import load_text
from sync_pipeline.extract.formats.text import open_text
from sync_pipeline.extract.own_words import explain_nothing, quote_words
from sync_pipeline.model import Row

#: Bytes of one line: what a record may be, and what is held at once.
MAX_LINE: Final = 64 * 1024 * 1024
#: Bytes of a document over several lines in which the source's own words are looked for.
_DOCUMENT: Final = 64 * 1024
_ONE_DOCUMENT: Final = "If the answer is one JSON document, set resultsFormat: json"


def read_json_lines(body: Body, answer: Answer, path: str | None, skip: int = 0) -> Iterator[Row]:
    """Yield the rows of each line; blank lines are passed over.

    Raises:
        SourceDataError: A line is no JSON object, or an error of the source's instead of a record;
            the text names the line.
    """
    lines = cast("BinaryIO", io.BufferedReader(open_text(body, answer), CHUNK))
    rows = _rows(lines, answer, path)
    return islice(rows if path else _refuse_lone_error(rows, answer), skip, None)


def _rows(lines: BinaryIO, answer: Answer, path: str | None) -> Iterator[Row]:
    for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE + 1), b""), start=1):
        if len(line) > MAX_LINE:
            raise answer.error(
                f"line {number} is longer than {MAX_LINE:,} bytes", f"{_ONE_DOCUMENT}."
            )
        # Files that were joined have the byte order mark of each.
        line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901
        if not line.strip():
            continue
        try:
            document = load_text(line, answer)
        except SourceDataError as err:
            is_cut = "" if line.endswith(b"\n") else " (the last one: cut?)"
            words = _words_over_lines(line, lines) if number == 1 else ""
            raise answer.error(
                f"line {number} is no JSON{is_cut}{quote_words(words)}",
                f"{_ONE_DOCUMENT}; else mend the source.",
            ) from err
        where = f"{answer.where}line {number}: "
        if path:
            yield from checked_rows(document, path, answer, where=where)
        elif isinstance(document, Mapping):
            judge_record(document, answer, where=where, alone=False)
            yield cast("Row", document)
        else:
            words = quote_words(explain_nothing(document, ()))
            raise answer.error(
                f"line {number} is {kind_of(document)}, not an object{words}", f"{_ONE_DOCUMENT}."
            )


def _refuse_lone_error(rows: Iterator[Row], answer: Answer) -> Iterator[Row]:
    """What may be a record among others is an error where it is all that came."""
    for first in rows:
        try:
            following = list(islice(rows, 1))
        except SourceDataError:
            yield first
            raise
        if not following:
            judge_record(first, answer, where=answer.where, alone=True)
        yield from chain((first, *following), rows)


def _words_over_lines(line: bytes, rest: BinaryIO) -> str:
    """What a document says that is not JSON Lines but JSON, written over several lines."""
    document = load_fast(line + (rest.read(_DOCUMENT) or b""))
    return "" if document is UNSURE else explain_nothing(document, ())
