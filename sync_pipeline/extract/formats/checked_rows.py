"""The rows of a document, once it is sure that it is no error that only looks like an answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.json_path import compile_steps, matches, select_rows
from sync_pipeline.extract.own_words import (
    explain_nothing,
    find_bare_complaint,
    find_complaint,
    find_message,
    quote_words,
    words_of,
)
from sync_pipeline.model import Row


def checked_rows(
    document: Any, path: str | None, answer: Answer, *, where: str | None = None
) -> list[Row]:
    """`select_rows` of an answer that does not say that it failed.

    Args:
        document: What `json.loads` gave.
        path: resultsJsonPath.
        answer: Takes warnings; and records that come with an error, for `partialErrors: warn`.
        where: Put before the text of errors; file and redacted URL by default.

    Raises:
        SourceDataError: What the source says of its error, else what `select_rows` raises.
    """
    where = answer.where if where is None else where
    rows: list[Row] = []
    miss: SourceDataError | None = None
    try:
        rows = select_rows(document, path, where=where)
    except SourceDataError as err:
        miss = err
    if len(rows) == 1 and compile_steps(path) == ():
        judge_record(rows[0], answer, where=where, alone=True)
    else:
        way = way_to_records(path)
        judge_answer(document, way, len(rows), answer, where=where, miss=miss)
    if not rows and (said := find_message(document)):
        came = "null instead of records" if None in matches(document, path or "$") else "no records"
        answer.warn(f"{came}{quote_words(said)}")
    return rows


def way_to_records(path: str | None) -> tuple[str, ...]:
    """Names of the members from the root towards the records."""
    steps = compile_steps(path) or ()
    return tuple(str(step) for step in takewhile(lambda step: isinstance(step, str), steps))


def judge_answer(
    around: Any,
    way: Sequence[str],
    count: int,
    answer: Answer,
    *,
    where: str,
    miss: SourceDataError | None = None,
) -> None:
    """Refuse an answer that says that it failed, or warn of it.

    Args:
        around: The document, or what there is of it around the records.
        way: See `way_to_records`.
        count: Records that came.
        answer: See `checked_rows`.
        where: See `checked_rows`.
        miss: Why there are no records, where that is an error.
    """
    words = _words_of_problem(around, answer) or find_complaint(around, way)
    if miss is not None:
        words = words or explain_nothing(around, way)
    if words:
        _refuse_or_warn(words, count, answer, where, miss)
    elif miss is not None:
        raise miss


def judge_record(record: Row, answer: Answer, *, where: str, alone: bool) -> None:
    """Refuse what stands where a record is declared, if it is nothing but an error, or warn.

    Args:
        record: With nothing around it.
        answer: See `checked_rows`.
        where: See `checked_rows`.
        alone: It is all that came.
    """
    words = _words_of_problem(record, answer) or find_bare_complaint(record, alone=alone)
    if words:
        _refuse_or_warn(words, 1, answer, where, None)


def _words_of_problem(document: Any, answer: Answer) -> str:
    """By https://www.rfc-editor.org/rfc/rfc9457, whatever the status is."""
    is_problem = answer.media_type == "application/problem+json"
    return (words_of(document) or "problem") if is_problem else ""


def _refuse_or_warn(
    words: str, count: int, answer: Answer, where: str, miss: SourceDataError | None
) -> None:
    if not count or not answer.takes_partial:
        raise _refused(where, count, words) from miss
    place = where.removeprefix(answer.where) if where.startswith(answer.where) else ""
    answer.warn(f"{place}{count} records came with an error{quote_words(words)}")


def _refused(where: str, count: int, words: str) -> SourceDataError:
    if count:
        return SourceDataError(
            f"{where}{count} records came with an error{quote_words(words)}. Mend what it says, or "
            f"state `partialErrors: warn` to take what came"
        )
    return SourceDataError(
        f"{where}the source answered an error instead of records{quote_words(words)}. Mend what it "
        f"says: credentials, the request, or a limit of the source"
    )
