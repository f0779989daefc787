"""Where the small outputs between steps lie, without a log line for each.

Dagster's own filesystem manager logs every file it writes and reads, and each line is a synchronous
commit in the event log: 8 of 30 events a batch, for handles of a few hundred bytes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Stands for the output of a step that no run made.

    "Re-execute from failure" of a killed run repeats the steps that were in flight and what depends
    on them. A mapped step that had not begun is not in its plan, but the step after it may be: then
    its input was never made (dagster#30248, dagster#30972). The step has to make up for it.
    """

    step_key: str


class HandleIOManager(dg.IOManager):
    """Pickles outputs below the storage folder of the instance: `<run id>/<step>/<output>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write an output so that it is there whole or not at all."""
        path = self._path(context)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_bytes(pickle.dumps(obj, protocol=5))
        temporary.replace(path)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the output of an upstream step, of this run or of the one it goes on with.

        `LeftOut` where there is none; only `upsert_batch` takes that, others fail its type check.
        """
        upstream = context.upstream_output
        if upstream is None:
            raise dg.DagsterInvariantViolationError("Only outputs of steps are handled here.")
        try:
            upstream.run_id  # noqa: B018 - raises where no run of the chain made the output
        except dg.DagsterInvariantViolationError:
            return LeftOut(upstream.step_key)
        return pickle.loads(self._path(upstream).read_bytes())  # noqa: S301 - our own handles

    def _path(self, context: dg.OutputContext) -> Path:
        return self._folder.joinpath(*context.get_identifier())


@dg.io_manager(description="Small handles between steps, on disk.")
def handle_io_manager(context: dg.InitResourceContext) -> HandleIOManager:
    """The manager of all sync jobs; takes its folder from the instance, as Dagster's own does."""
    instance = context.instance
    if instance is None:
        raise dg.DagsterInvariantViolationError("Jobs of a sync run in a Dagster instance.")
    return HandleIOManager(Path(instance.storage_directory()))
