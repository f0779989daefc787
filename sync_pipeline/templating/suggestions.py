"""The nearest known name for one that does not exist: "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A phrase to append to a message: ` (did you mean "x"?)`, or what exists if little does.

    Args:
        name: What was written.
        known: What may be written, in any order.
    """
    names = sorted({candidate for candidate in known if candidate})
    by_folded: dict[str, str] = {}
    for candidate in names:
        by_folded.setdefault(candidate.casefold(), candidate)
    close = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.55)
    if close:
        return f' (did you mean "{by_folded[close[0]]}"?)'
    if names and len(names) <= 12:
        return f" (there is: {', '.join(names)})"
    return ""
