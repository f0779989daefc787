"""CSV to rows of text: nothing is converted, cut or guessed to be empty.

The standard library's reader, in its strict mode; why not pandas:
docs/decisions/0006-csv-by-the-standard-library.md
"""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

from sync_pipeline.config.sources import CsvFormat
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, Body
from sync_pipeline.extract.formats.csv_lines import skip_lines
from sync_pipeline.extract.formats.text import open_text
from sync_pipeline.model import Row

_log = logging.getLogger(__name__)

#: Characters of one cell and of one line; more is a quote that was never closed.
MAX_CELL: Final = 16 * 1024 * 1024
_DELIMITERS: Final = (",", ";", "\t", "|")
_SPELLED: Final = {"\\t": "\t", "tab": "\t"}
#: Bytes by which the delimiter is found out, and records of them that are counted.
_SAMPLE: Final = 64 * 1024
_SAMPLE_ROWS: Final = 20


def read_csv(body: Body, answer: Answer, config: CsvFormat, skip: int = 0) -> Iterator[Row]:
    """Yield `{column: text}` for each record; an empty file or a lone header yields nothing.

    Raises:
        SourceDataError: A record with too many cells, or a last one that may be cut off, a quote
            that is never closed, NUL bytes, bytes that are not of the encoding; the text names the
            line.
        ConfigError: The `csv` block cannot work.
    """
    # Interpreter-wide, and only ever raised: the default of 128 KiB refuses long descriptions.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    text = open_text(body, answer)
    skipped, delimiter = skip_lines(text, answer, config.skip_lines)
    options = _options(text, answer, config, delimiter)
    wrapper = io.TextIOWrapper(io.BufferedReader(text, CHUNK), "utf-8", newline="")
    lines = _Lines(wrapper, answer, skipped)
    reader = csv.reader(lines, **options)
    with _broken_records(lines, answer):
        names = _names(reader, answer, config)
    if names is None:
        _log.warning("%sthe CSV is empty, without even a header line", _prefix(answer))
        return
    records: Iterator[list[str]] = reader
    if config.skip_last_lines:
        records = _without_last(reader, config.skip_last_lines)
    width = len(names)
    done = 0
    ended = _broken_records(lines, answer)
    with ended:
        for record in records:
            ended.line = lines.number
            if len(record) != width:
                if not record:
                    continue  # a blank line
                record = _fitted(record, width, answer, config, lines)  # noqa: PLW2901
            done += 1
            if done > skip:
                yield dict(zip(names, record))  # noqa: B905 - of one length, and this is hot


def _without_last(records: Iterator[list[str]], count: int) -> Iterator[list[str]]:
    """All but the last so many records, blank lines not counted."""
    ahead: deque[list[str]] = deque()
    for record in filter(None, records):
        ahead.append(record)
        if len(ahead) > count:
            yield ahead.popleft()


def _options(text: Body, answer: Answer, config: CsvFormat, said: str | None) -> dict[str, Any]:
    quote = config.quote_char
    if len(quote) > 1:
        raise ConfigError(
            "quoteChar must be one character, or empty for none",
            file=answer.file or None, key="csv.quoteChar",
        )  # fmt: skip
    options: dict[str, Any] = {"strict": True}
    options |= {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    if config.escape_char:
        options["escapechar"] = config.escape_char
    delimiter = _SPELLED.get(config.delimiter or "", config.delimiter) or said
    if delimiter is None:
        delimiter = _find_delimiter(text, options)
        _log.info("%sdelimiter of the CSV: %r (found out)", _prefix(answer), delimiter)
    if len(delimiter) != 1 or delimiter in ("\n", "\r", quote):
        raise ConfigError(
            "delimiter must be one character, and not the quote",
            file=answer.file or None, key="csv.delimiter",
        )  # fmt: skip
    return options | {"delimiter": delimiter}


def _find_delimiter(text: Body, options: dict[str, Any]) -> str:
    """The delimiter that splits the first records most evenly, then into most cells."""
    sample = text.peek_bytes(_SAMPLE).decode("utf-8", errors="ignore")
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        widths: list[int] = []
        lines = io.StringIO(sample, newline="")
        try:
            for record in csv.reader(lines, **options, delimiter=delimiter):
                if record:
                    widths.append(len(record))
                if len(widths) > _SAMPLE_ROWS:
                    break
        except csv.Error:
            pass  # the sample ends within quotes, or this delimiter is wrong: what was read counts
        if len(sample) >= _SAMPLE - 4 and len(widths) > 1:
            widths.pop()  # cut off by the end of the sample
        if not widths or widths[0] < 2:
            continue
        even = sum(width == widths[0] for width in widths) / len(widths)
        best, best_score = max(
            (best, best_score), (delimiter, (even, widths[0])), key=lambda found: found[1]
        )
    return best


class _Lines:
    """The lines of a text, counted.

    Args:
        text: Its line ends as they are.
        answer: For texts of errors.
        number: Lines above the first.
    """

    def __init__(self, text: io.TextIOWrapper, answer: Answer, number: int) -> None:
        self._text = text
        self._answer = answer
        #: Of the last line, counted from 1.
        self.number = number
        #: Nothing follows the last line, not even the end of a line.
        self.is_cut = False

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(MAX_CELL):
            self.number += 1
            if "\0" in line:
                raise self._answer.error(
                    f"line {self.number} has NUL bytes",
                    "The file is binary or in another encoding: set csv.encoding (utf-16?).",
                )
            if len(line) >= MAX_CELL:
                raise self._answer.error(
                    f"line {self.number} is longer than {MAX_CELL:,} characters",
                    "Check csv.delimiter and that the file is CSV at all.",
                )
            self.is_cut = line[-1] not in "\r\n"
            # Files that were joined have the byte order mark of each.
            yield line.lstrip("\ufeff") if line[0] == "\ufeff" else line


class _broken_records:  # noqa: N801 - reads as the function it would be
    """Gives errors of the reader as ours, naming the line in which the broken record begins."""

    def __init__(self, lines: _Lines, answer: Answer) -> None:
        self.line = lines.number
        self._answer = answer

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, err: BaseException | None, __: object) -> None:
        if isinstance(err, csv.Error):
            raise self._answer.error(
                f"the record that begins in line {self.line + 1} is broken ({err})",
                "Often a quote that is never closed, or one within a cell that is not doubled: "
                "mend the source, or set csv.quoteChar.",
            ) from err


def _names(
    records: Iterator[list[str]], answer: Answer, config: CsvFormat
) -> tuple[str, ...] | None:
    """Column names; None for an empty file."""
    if not config.has_header:
        if not config.column_names:
            raise ConfigError(
                "hasHeader: false needs the names of the columns",
                file=answer.file or None, key="csv.columnNames",
            )  # fmt: skip
        return _unique(config.column_names, answer)
    header = next((record for record in records if record), None)
    if header is None:
        return None
    if config.column_names:
        if len(config.column_names) != len(header):
            raise answer.error(
                f"its header line has {len(header)} cells and csv.columnNames "
                f"{len(config.column_names)} names",
                "Name every column, in order.",
            )
        return _unique(config.column_names, answer)
    return _unique(
        tuple(name.strip() or f"column_{at}" for at, name in enumerate(header, start=1)), answer
    )


def _unique(names: tuple[str, ...], answer: Answer) -> tuple[str, ...]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise answer.error(
            f"several columns are called {', '.join(repr(name[:60]) for name in twice[:10])}",
            "Give every column its own name with csv.columnNames (they replace the header line).",
        )
    return names


def _fitted(
    record: list[str], width: int, answer: Answer, config: CsvFormat, lines: _Lines
) -> list[str]:
    """A record of the width of the others, where it differs by blank cells at its end only.

    Outlook, Google Docs and others leave those out; some have delimiters too many.
    """
    if len(record) > width and not any(record[width:]):
        return record[:width]
    hint = "Check csv.delimiter" if config.delimiter else "Declare csv.delimiter"
    fix = f"{hint}, and that cells with delimiters are quoted."
    if len(record) > width:
        fix += " Lines above the header line are passed over with csv.skipLines."
    elif len(record) == 1 and any(other in record[0] for other in _DELIMITERS):
        pass  # the whole line, with other delimiters
    elif config.short_rows == "fill" or (config.short_rows is None and not lines.is_cut):
        if config.short_rows is None:
            answer.memory.note_filled(f"line {lines.number}")
        return record + [""] * (width - len(record))
    elif config.short_rows is None:
        fix = "The file may be cut off. If it is whole, set csv.shortRows: fill."
    raise answer.error(
        f"the record that ends in line {lines.number} has {len(record)} cells instead of {width}",
        fix,
    )


def _prefix(answer: Answer) -> str:
    return f"{answer.url}: " if answer.url else ""
