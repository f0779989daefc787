"""Where the small outputs between steps lie: in the spool they are about, and gone with it.

Dagster's own filesystem manager keeps them for ever, and logs every file it writes and reads; each
line is a synchronous commit in the event log: 8 of 30 events a batch, for handles of a few hundred
bytes.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from sync_pipeline.batches.layout import disk_errors
from sync_pipeline.config.environment import read_environment
from sync_pipeline.orchestration.steps import failure, find_spool
from sync_pipeline.private_files import make_private_folder, open_private


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Stands for the output of a step that no run made.

    "Re-execute from failure" of a killed run repeats the steps that were in flight and what depends
    on them. A mapped step that had not begun is not in its plan, but the step after it may be: then
    its input was never made (dagster#30248, dagster#30972). The step has to make up for it.
    """

    step_key: str


#: What unpickling raises for classes that have changed since, and for a file that was cut off.
_UNREADABLE = (pickle.UnpicklingError, AttributeError, TypeError, ImportError, EOFError, ValueError)


class HandleIOManager(dg.IOManager):
    """Pickles outputs below the spool of their run: `handles/<run id>/<step>/<output>`."""

    def __init__(self, instance: dg.DagsterInstance, sync_key: str) -> None:
        self._instance = instance
        self._sync_key = sync_key
        self._folders: dict[str, Path] = {}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write an output so that it is there whole or not at all."""
        path = self._path(context)
        with disk_errors(path):
            make_private_folder(path.parent)
            temporary = path.with_name(f"{path.name}.tmp")
            with open_private(temporary, "wb") as file:
                pickle.dump(obj, file, protocol=5)
            temporary.replace(path)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the output of an upstream step, of this run or of the one it goes on with.

        `LeftOut` where there is none; only `upsert_batch` takes that, others fail its type check.

        Raises:
            dagster.Failure: The spool is gone, as it was cleaned since, or of another version.
        """
        upstream = context.upstream_output
        if upstream is None:
            raise dg.DagsterInvariantViolationError("Only outputs of steps are handled here.")
        try:
            upstream.run_id  # noqa: B018 - raises where no run of the chain made the output
        except dg.DagsterInvariantViolationError:
            return LeftOut(upstream.step_key)
        try:
            return pickle.loads(self._path(upstream).read_bytes())  # noqa: S301 - our own handles
        except FileNotFoundError:
            raise failure(
                f"What {upstream.step_key} of run {upstream.run_id} left is gone: finished runs "
                f"are removed after some days. Launch sync_{self._sync_key} anew.",
                exit_code=2,
            ) from None
        except _UNREADABLE as error:
            raise failure(
                f"What {upstream.step_key} of run {upstream.run_id} left was written by another "
                "version or is damaged. The records are kept: `sync-pipeline resume "
                f"{upstream.run_id}` goes on with them.",
                exit_code=2,
            ) from error

    def _path(self, context: dg.OutputContext) -> Path:
        run_id, *names = context.get_identifier()
        return self._folder(run_id).joinpath(run_id, *names)

    def _folder(self, run_id: str) -> Path:
        if run_id not in self._folders:
            run = self._instance.get_run_by_id(run_id)
            if run is None:
                raise failure(f"The run {run_id} is gone from Dagster.", exit_code=2)
            storage_dir = read_environment(os.environ).storage_dir
            spool, _ = find_spool(self._instance, storage_dir, self._sync_key, run)
            self._folders[run_id] = spool.handles
        return self._folders[run_id]


def build_handle_io_manager(sync_key: str) -> dg.IOManagerDefinition:
    """The manager of a sync's two jobs."""

    @dg.io_manager(description="Small handles between steps, in the spool.")
    def handle_io_manager(context: dg.InitResourceContext) -> HandleIOManager:
        instance = context.instance
        if instance is None:
            raise dg.DagsterInvariantViolationError("Jobs of a sync run in a Dagster instance.")
        return HandleIOManager(instance, sync_key)

    return handle_io_manager
