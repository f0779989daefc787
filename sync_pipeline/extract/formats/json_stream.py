"""JSON, parsed while it is read: rows at any plain path in memory for one record.

ijson's parser (yajl, in C) gives events; a small state machine follows the path and builds the
rows. Numbers are taken as text and made into what `json.loads` makes of them, because yajl's own
numbers end at 64 bits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, Final, NoReturn

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import CHUNK, HEAD, Body, read_chunks
from sync_pipeline.extract.formats.checked_rows import checked_rows, judge_answer, way_to_records
from sync_pipeline.extract.formats.fast_json import UNSURE, load_fast
from sync_pipeline.extract.formats.json_building import (
    Surroundings,
    build_container,
    build_value,
    skip_value,
)
from sync_pipeline.extract.formats.json_events import (
    BrokenJsonError,
    Event,
    NotUtf8Error,
    parse_events,
)
from sync_pipeline.extract.formats.json_path import (
    Each,
    Steps,
    compile_steps,
    describe_place,
    list_keys,
    spell_step,
    wrong_row,
    wrong_value,
)
from sync_pipeline.extract.formats.text import open_json_text
from sync_pipeline.model import Row

#: A body up to this size is parsed in one go, which is twice as fast.
SMALL: Final = 1024 * 1024


def read_json(body: Body, answer: Answer, path: str | None, skip: int = 0) -> Iterator[Row]:
    """Yield the rows at the path; good records come before the error that ends them.

    Raises:
        SourceDataError: No JSON, nothing at the path, or an element that is no object.
    """
    source = open_json_text(body, answer)
    start = source.peek_bytes(HEAD)
    if len(start) < HEAD and not start.strip():
        raise _empty(answer)
    steps = compile_steps(path)
    if steps is None:
        # jsonpath-ng's paths need the whole document, whatever its size.
        document = load_text(b"".join(read_chunks(source)), answer)
    else:
        head = source.peek_bytes(SMALL)
        document = load_fast(head) if len(head) < SMALL else UNSURE
    if document is UNSURE:
        yield from _stream_rows(source, answer, steps or (), path or "$", skip)
    else:
        yield from islice(checked_rows(document, path, answer), skip, None)


def load_json(body: Body, answer: Answer) -> Any:
    """The whole document, in memory."""
    return load_text(b"".join(read_chunks(open_json_text(body, answer))), answer)


def load_text(text: bytes, answer: Answer) -> Any:
    """What `json.loads` gives, but strict: no NaN, nothing beyond a double.

    Raises:
        SourceDataError: The text is no JSON.
    """
    document = load_fast(text)
    if document is not UNSURE:
        return document
    if not text.strip():
        raise _empty(answer)
    try:
        events = chain.from_iterable(parse_events(iter((text,))))
        return build_value(events, next(events))
    except BrokenJsonError as err:
        _raise_broken(err, answer, None)


def _stream_rows(
    source: io.RawIOBase, answer: Answer, steps: Steps, path: str, skip: int
) -> Iterator[Row]:
    done = 0
    try:
        events = chain.from_iterable(parse_events(read_chunks(source, CHUNK)))
        for row in _rows(events, answer, steps, path):
            done += 1
            if done > skip:
                yield row
    except BrokenJsonError as err:
        _raise_broken(err, answer, done)


def _rows(events: Iterator[Event], answer: Answer, steps: Steps, path: str) -> Iterator[Row]:
    """Follow the path through the document and yield what is there."""
    many = Each.ITEM in steps
    found = False
    index = 0
    #: One entry for each open container on the path: the current key, or index.
    place: list[str | int] = []
    arrays: list[bool] = []
    seen_keys: dict[int, list[str]] = {}
    deepest = (-1, "")
    around = Surroundings()
    for event, value in events:
        if event == "map_key":
            place[-1] = value
            keys = seen_keys.setdefault(len(place), [])
            if len(keys) <= 20:
                keys.append(value)
            continue
        if event in ("end_map", "end_array"):
            place.pop()
            arrays.pop()
            continue
        if arrays and arrays[-1]:
            place[-1] = int(place[-1]) + 1
        level = len(place)
        if level and steps[level - 1] is not Each.ITEM and steps[level - 1] != place[-1]:
            around.take(place, (event, value), events)
            continue
        if level < len(steps):
            opens_array = not isinstance(steps[level], str)
            if event == ("start_array" if opens_array else "start_map"):
                place.append(-1 if opens_array else "")
                arrays.append(opens_array)
                seen_keys.pop(level + 1, None)
                deepest = max(deepest, (level, ""))
            else:
                deepest = max(deepest, (level, _word(event)))
                skip_value(events, event)
            continue
        if found and not many:
            raise answer.error(
                f"the document has something at {path!r} twice", "Mend the source: keys are unique."
            )
        found = True
        if event == "start_array":
            for element in events:
                if element[0] == "end_array":
                    break
                if element[0] != "start_map":
                    shown = build_value(events, element)
                    raise answer.error(*wrong_row(path, index, shown))
                index += 1
                yield build_container(events, {})
        elif event == "start_map":
            index += 1
            yield build_container(events, {})
        elif event != "null":
            raise answer.error(*wrong_value(path, value))
    miss = None
    if not found and not (many and deepest[0] >= steps.index(Each.ITEM)):
        miss = _missing(answer, steps, path, deepest, seen_keys)
    way = way_to_records(path)
    judge_answer(around.document, way, index, answer, where=answer.where, miss=miss)


def _empty(answer: Answer) -> SourceDataError:
    return answer.error("the answer is empty", "Check endPoint, queryParameters and headers.")


def _raise_broken(err: BrokenJsonError, answer: Answer, done: int | None) -> NoReturn:
    after = f" after {done} good records" if done else ""
    came = answer.content_type or "no Content-Type"
    if isinstance(err, NotUtf8Error):
        raise answer.error(
            f"the answer ({came}) is no UTF-8{after}",
            f"Set {answer.key} to the encoding of the source (such as cp1252), or mend its text.",
        ) from err
    raise answer.error(
        f"the answer ({came}) is no valid JSON{after}: {err}",
        "Mend the source, or set resultsFormat to what it answers (json, jsonl, csv, zippedCsv).",
    ) from err


def _missing(
    answer: Answer,
    steps: Steps,
    path: str,
    deepest: tuple[int, str],
    seen_keys: dict[int, list[str]],
) -> SourceDataError:
    level, other = deepest
    walked = "$" + "".join(spell_step(step) for step in steps[: max(level, 0)])
    if other:
        place = f"{walked} is {other}"
    elif level >= 0 and isinstance(steps[level], str):
        place = f"{walked} is an object with {list_keys(seen_keys.get(level + 1, []))}"
    else:
        place = describe_place([], walked).replace(" of 0", " too short for it")
    return answer.error(
        f"there is nothing at resultsJsonPath {path!r}: {place}", "Correct resultsJsonPath."
    )


def _word(event: str) -> str:
    return {
        "start_array": "an array", "start_map": "an object", "string": "a text", "null": "null",
        "boolean": "a boolean", "number": "a number",
    }[event]  # fmt: skip
