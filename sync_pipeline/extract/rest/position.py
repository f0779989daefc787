"""Where an extraction is: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.rest.paging.state import PagingState
from sync_pipeline.extract.trail import Trail

#: Of the checkpoint's shape.
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Position:
    """After which page, record and enumerated entries to go on."""

    #: Pages so far.
    pages: int = 0
    #: Records so far, over all leaves.
    records: int = 0
    #: Ids of the enumerated entries of the current leaf; None before the first leaf.
    leaf: tuple[str, ...] | None = None
    #: Next page of that leaf; None: the leaf is done, go on with the one after it.
    paging: PagingState | None = None
    #: Leading records of that page that were kept already.
    record: int = 0
    #: Of those records, to notice that the page is another one by now.
    trail: Trail = ()
    #: See `PagingState.last_below`.
    last_below: int = 0
    #: See `PathWatch.to_json`.
    watched: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, style: str) -> dict[str, Any]:
        """JSON-able; `style` is kept to notice a config that pages otherwise by now."""
        return {
            "version": _VERSION,
            "style": style,
            "pages": self.pages,
            "records": self.records,
            "leaf": None if self.leaf is None else list(self.leaf),
            "paging": None if self.paging is None else self.paging.to_json(),
            "record": self.record,
            "trail": list(self.trail),
            "last_below": self.last_below,
            "watched": self.watched,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], style: str) -> Position:
        """What `to_json` wrote.

        Raises:
            SourceDataError: The checkpoint is of another shape, or of another style of paging.
        """
        if value.get("version") != _VERSION or value.get("style") != style:
            raise SourceDataError(
                "cannot go on where the extraction stopped: the pagination of the config has "
                "changed since. Start a new run"
            )
        leaf, paging = value["leaf"], value["paging"]
        return cls(
            pages=value["pages"],
            records=value["records"],
            leaf=None if leaf is None else tuple(leaf),
            paging=None if paging is None else PagingState.from_json(paging),
            record=value["record"],
            trail=tuple(value["trail"]),
            last_below=value["last_below"],
            watched=value.get("watched", {}),
        )
