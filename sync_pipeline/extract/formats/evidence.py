"""What the texts of one source have shown over all of its answers: encoding, short records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Different warnings of one source: a server may name another charset in every answer.
_MOST_TOLD: Final = 100


@dataclass(slots=True)
class Evidence:
    """What the texts of one source have shown about a charset that it declares."""

    #: Runs of bytes above 127 that are UTF-8, and that are not.
    good: int = 0
    bad: int = 0
    was_utf8: bool = False
    #: What was counted last: the same answer may be read twice.
    last: bytes = b""


@dataclass(slots=True)
class TextMemory:
    """What is known of the texts of one source; hand in the same for all of its answers."""

    warn: Callable[[str], None]
    told: set[str] = field(default_factory=set)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    #: Records of CSV that had fewer cells than columns, and where the first of them stands.
    filled: int = 0
    first_filled: str = ""

    def warn_once(self, text: str) -> None:
        """Say what holds for the source, not for one answer."""
        if text not in self.told and len(self.told) < _MOST_TOLD:
            self.told.add(text)
            self.warn(text)

    def note_filled(self, place: str) -> None:
        """Count a record whose blank cells at the end were left out."""
        self.first_filled = self.first_filled or place
        self.filled += 1

    def tell_counts(self) -> None:
        """Warn of what was counted; to be called at the end of the source. Idempotent."""
        if self.filled:
            count = f"{self.filled:,} record{'s' if self.filled > 1 else ''}"
            self.warn(
                f"{count} of the CSV (the first: {self.first_filled}) had fewer cells than "
                f"columns: those at the end are taken as blank. State csv.shortRows: fill if that "
                f"is right, or fail"
            )
        self.filled, self.first_filled = 0, ""
