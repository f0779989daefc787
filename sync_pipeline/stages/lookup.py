"""What templates and enumerations ask of the space, asked once a run and not once a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from sync_pipeline.batches.reading import read_lines, write_lines
from sync_pipeline.load.lookup import SpaceLookup
from sync_pipeline.stages.setting import Setting, open_client


class RunLookup:
    """`model.EntryLookup` that keeps its answers beside the spool, for all steps of the run.

    Opens a connection only when something is asked that no step has asked before.
    """

    def __init__(self, setting: Setting, stack: ExitStack) -> None:
        self._setting = setting
        self._stack = stack
        self._lookup: SpaceLookup | None = None
        #: Requests to the space so far.
        self.requests = 0

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield entries as `{"id": sys.id, field: {locale: value}}`; see `SpaceLookup.entries`."""
        digest = hashlib.sha256(f"{content_type}\n{query}".encode()).hexdigest()[:16]
        path = self._setting.spool.root / f"lookup.{self._setting.run_id}.{digest}.jsonl"
        if not path.exists():
            found = self._space().entries(content_type, query)
            write_lines(path, (dict(entry) for entry in found))
        yield from read_lines(path)

    def ids_by_value(self, content_type: str, field_id: str) -> Mapping[str, str]:
        """`{value of the field in the default locale: entry id}` over all entries."""
        return self._space().ids_by_value(content_type, field_id)

    def _space(self) -> SpaceLookup:
        if self._lookup is None:
            client = self._stack.enter_context(open_client(self._setting))
            self._stack.callback(lambda: setattr(self, "requests", client.requests))
            self._lookup = SpaceLookup(client)
        return self._lookup


@contextmanager
def open_lookup(setting: Setting) -> Iterator[RunLookup]:
    """A lookup for one step; its `requests` are counted when the block has ended."""
    with ExitStack() as stack:
        yield RunLookup(setting, stack)
