"""The known name that one which is not known was probably meant to be ("did you mean")."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: More names than a reader of a message would look through.
MAX_LISTED = 20
#: How alike two names must be, from 0 to 1.
_ALIKE = 0.6


def fold(name: str) -> str:
    """The name without case and separators: `zipped_csv`, `ZippedCsv` and `zippedCsv` are one."""
    return re.sub(r"[-_. ]", "", name).casefold()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None if none is near."""
    by_fold: dict[str, str] = {}
    for candidate in known:
        by_fold.setdefault(fold(candidate), candidate)
    if fold(name) in by_fold:
        return by_fold[fold(name)]
    close = difflib.get_close_matches(fold(name), by_fold, n=1, cutoff=_ALIKE)
    return by_fold[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], *, quote: str = "`") -> str:
    """`did you mean `x`?`, else what is known, if that is little, else ""."""
    candidates = sorted({candidate for candidate in known if candidate})
    guess = nearest(name, candidates)
    if guess is not None:
        return f"did you mean {quote}{guess}{quote}?"
    if not candidates or len(candidates) > MAX_LISTED:
        return ""
    return f"known here: {', '.join(f'{quote}{candidate}{quote}' for candidate in candidates)}"


def remark_meant(name: str, known: Iterable[str]) -> str:
    """The same to append to a message: ` (did you mean "x"?)`."""
    hint = did_you_mean(name, known, quote='"')
    return f" ({hint})" if hint else ""
