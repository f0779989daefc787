"""What the texts of one source have shown about their encoding, over all of its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


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

    def warn_once(self, text: str) -> None:
        """Say what holds for the source, not for one answer."""
        if text not in self.told:
            self.told.add(text)
            self.warn(text)
