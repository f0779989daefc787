"""What templates and enumerations ask of the space, asked once a run and not once a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_pipeline.batches.reading import read_lines, write_lines
from sync_pipeline.load.lookup import SpaceLookup
from sync_pipeline.model import ContentType, TargetModel
from sync_pipeline.stages.setting import Setting, open_client, read_target_model
from sync_pipeline.transform import Mapper, compile_mapping


class RunLookup:
    """`model.EntryLookup` that keeps its answers beside the spool, for all steps of the run.

    Opens a connection only when something is asked that no step has asked before.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._content_types: dict[str, ContentType] = {}
        #: Requests to the space so far.
        self.requests = 0

    def work_for(self, setting: Setting) -> None:
        """Ask from here on for this step: with its options, into its log."""
        self._setting = setting

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield entries as `{"id": sys.id, field: {locale: value}}`; see `SpaceLookup.entries`."""
        path = self._path(f"{content_type}\n{query}")
        if not path.exists():
            with self._open_space() as space:
                write_lines(path, (dict(entry) for entry in space.entries(content_type, query)))
        yield from read_lines(path)

    def field_ids(self, content_type: str) -> tuple[str, ...]:
        """The fields of a content type, in its order."""
        path = self._path(f"{content_type}\n\nfields")
        if not path.exists():
            with self._open_space() as space:
                write_lines(path, ({"id": name} for name in space.field_ids(content_type)))
        return tuple(line["id"] for line in read_lines(path))

    def _path(self, question: str) -> Path:
        digest = hashlib.sha256(question.encode()).hexdigest()[:16]
        return self._setting.spool.root / f"lookup.{self._setting.run_id}.{digest}.jsonl"

    @contextmanager
    def _open_space(self) -> Iterator[SpaceLookup]:
        with open_client(self._setting) as client:
            try:
                yield SpaceLookup(client, self._content_types)
            finally:
                self.requests += client.requests


@dataclass(frozen=True, slots=True)
class RunMapping:
    """The mapping of a run, compiled, with what it asks of the space."""

    mapper: Mapper
    lookup: RunLookup


def compile_run_mapping(setting: Setting, target: TargetModel) -> RunMapping:
    """Compile the mapping against a content type.

    Raises:
        UsageError: The mapping does not fit the content type, or a variable is missing.
    """
    lookup = RunLookup(setting)
    variables = setting.environment.template_variables
    mapper = compile_mapping(setting.config, target, variables=variables, lookup=lookup)
    return RunMapping(mapper, lookup)


def run_mapping(setting: Setting) -> RunMapping:
    """The mapping of a run whose target was read; compiled once in this process, not once a batch.

    So is what it has found in the space: the batches of a run share it. What it asks now it asks,
    and logs, for the step that is at work.
    """
    shared = setting.shared
    if shared.mapping is None or shared.run != (setting.run_id, setting.spool.root):
        shared.mapping = compile_run_mapping(setting, read_target_model(setting))
        shared.run = setting.run_id, setting.spool.root
    shared.mapping.lookup.work_for(setting)
    return shared.mapping
