"""Records with one key become one entry: the first wins, later ones fill only what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sync_pipeline.model import Conflict, DesiredEntry, canonical_date

#: Conflicts kept for one entry; more of the same say nothing new.
MAX_CONFLICTS = 20


#: Shared by all records without any: most have neither, and every list costs memory and time.
_NO_PAIRS: tuple[tuple[str, str], ...] = ()
_NO_CONFLICTS: tuple[Conflict, ...] = ()


@dataclass(slots=True)
class MappedRecord:
    """What one record says; while a batch is merged, also what later ones add to it."""

    fields: dict[str, dict[str, Any]]
    key: str = ""
    #: Pairs to clear, in the order of the mapping.
    cleared: tuple[tuple[str, str], ...] = _NO_PAIRS
    entry_id: str | None = None
    ordinal: int = -1
    merged: int = 0
    conflicts: tuple[Conflict, ...] = _NO_CONFLICTS

    def add_conflict(self, name: str, locale: str, ordinal: int) -> None:
        """Remember that a later record says something else."""
        if len(self.conflicts) < MAX_CONFLICTS:
            conflict = Conflict(self.key, name, locale, self.ordinal, ordinal)
            self.conflicts = (*self.conflicts, conflict)

    def desired(self) -> DesiredEntry:
        """The entry that this record and those merged into it ask for."""
        cleared = self.cleared
        if cleared:  # a later record may have filled what this one would clear
            cleared = tuple(
                (name, locale)
                for name, locale in cleared
                if locale not in self.fields.get(name, _NO_PAIRS)
            )
        return DesiredEntry(
            self.key, self.ordinal, self.fields, cleared, self.entry_id, self.merged, self.conflicts
        )


class Merger:
    """Collects the mapped records of a batch, in the order of their ordinals."""

    def __init__(self, date_fields: frozenset[str]) -> None:
        self._date_fields = date_fields
        self._entries: dict[str, MappedRecord] = {}

    def add(self, ordinal: int, record: MappedRecord) -> None:
        """Take a record in."""
        record.ordinal = ordinal
        first = self._entries.setdefault(record.key, record)
        if first is not record:
            self._merge(first, record)

    def desired(self) -> Iterator[DesiredEntry]:
        """The entries, in the order of their first records. Lets go of each once it is taken."""
        entries = self._entries
        self._entries = {}
        for key in list(entries):
            yield entries.pop(key).desired()

    def _merge(self, first: MappedRecord, later: MappedRecord) -> None:
        first.merged += 1
        for name, locales in later.fields.items():
            held = first.fields.setdefault(name, {})
            for locale, value in locales.items():
                if locale not in held:
                    held[locale] = value
                elif not self._is_same(name, held[locale], value):
                    first.add_conflict(name, locale, later.ordinal)
        if later.cleared:
            first.cleared = tuple(dict.fromkeys(first.cleared + later.cleared))
        if first.entry_id is None:
            first.entry_id = later.entry_id
        elif later.entry_id not in {None, first.entry_id}:
            first.add_conflict("sys.id", "", later.ordinal)

    def _is_same(self, name: str, left: Any, right: Any) -> bool:
        if name in self._date_fields:
            return canonical_date(left) == canonical_date(right)
        return bool(left == right)
