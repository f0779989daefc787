"""The nearest known name to one that is not known ("did you mean")."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

#: More names than a reader of a message would look through.
MAX_LISTED = 20

#: Names that other tools use for what has another name here.
OTHER_NAMES: Mapping[str, str] = {
    "url": "endPoint",
    "uri": "endPoint",
    "method": "httpMethod",
    "verb": "httpMethod",
    "params": "queryParameters",
    "query_params": "queryParameters",
    "body": "jsonBody",
    "form": "formUrlEncodedContent",
    "fields": "mapping",
    "mappings": "mapping",
    "filter": "filterExpression",
    "timeout": "timeoutS",
    "sql": "query",
    "key_field": "contentKeyField",
    "cron": "schedule.cron",
    "space": "target.space",
}


def fold(name: str) -> str:
    """The name without case and separators: `zipped_csv`, `ZippedCsv` and `zippedCsv` are one."""
    return re.sub(r"[-_. ]", "", name).casefold()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None if none is near."""
    by_fold = {fold(candidate): candidate for candidate in known}
    if fold(name) in by_fold:
        return by_fold[fold(name)]
    close = difflib.get_close_matches(fold(name), by_fold, n=1, cutoff=0.7)
    return by_fold[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean `x`?`, or the list of what is known."""
    candidates = list(known)
    guess = nearest(name, candidates)
    if guess is not None:
        return f"did you mean `{guess}`?"
    if len(candidates) > MAX_LISTED:
        return "docs/configuration.md lists the keys"
    return f"known here: {', '.join(f'`{candidate}`' for candidate in candidates)}"


def shorten(value: object, limit: int = 40) -> str:
    """The value as it can stand in a message: one line, not long."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
