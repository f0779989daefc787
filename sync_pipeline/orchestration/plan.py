"""Which batches a run has steps for, and when the last of these steps has ended.

`summarize_run` hangs on no step of a batch, for Dagster leaves out what hangs on a step that
failed. With the lowest priority it is the last step where steps run one after the other; where they
run in processes of their own it may be begun beside the last of them, and waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import dagster as dg
from dagster import DagsterEventType

from sync_pipeline.model import BatchRef
from sync_pipeline.orchestration.steps import Step

#: Seconds between two looks at the steps that are still going.
LOOK_S = 0.5
#: Events that are read at a time.
_PAGE = 1_000
_ENDS = {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE}


def planned_batches(run: dg.DagsterRun, extraction: Sequence[BatchRef]) -> list[BatchRef]:
    """Those of the batches to do that are written by steps of their own in this run."""
    return [ref for ref in extraction if _is_planned(run, "upsert_batch", ref.key)]


def _is_planned(run: dg.DagsterRun, op: str, batch: str) -> bool:
    """A re-execution has a list of steps, some of which stand for all batches: `[?]`."""
    keys = run.step_keys_to_execute
    return keys is None or f"{op}[{batch}]" in keys or f"{op}[?]" in keys


def wait_for_batches(
    context: dg.OpExecutionContext,
    step: Step,
    batches: Sequence[BatchRef],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when no step of these batches is going, or yet to be begun.

    Asked of Dagster, for a step whose process was killed tells nobody else.

    Raises:
        LeaseLostError: The run has been ended from outside: its own process was killed, say.
    """
    if step.setting.options.executor == "in_process" or step.replay is not None:
        return
    steps = _Steps(context.run)
    while True:
        steps.read(context.instance)
        if all(steps.has_ended(ref.key) for ref in batches):
            return
        step.setting.guard()  # the run's own process may have been killed
        sleep(LOOK_S)


class _Steps:
    """The steps of a run that have ended, read on from where the last look has come to."""

    def __init__(self, run: dg.DagsterRun) -> None:
        self._run = run
        self._is_success: dict[str, bool] = {}
        self._cursor: str | None = None

    def read(self, instance: dg.DagsterInstance) -> None:
        while True:
            found = instance.get_records_for_run(
                self._run.run_id, self._cursor, of_type=_ENDS, limit=_PAGE
            )
            for record in found.records:
                event = record.event_log_entry.dagster_event
                if event is not None and event.step_key is not None:
                    self._is_success[event.step_key] = event.is_step_success
            self._cursor = found.cursor
            if not found.has_more:
                return

    def has_ended(self, batch: str) -> bool:
        """Whether no step of a batch will do anything more.

        Dagster begins no upsert after a transform or an index that failed, and says so in no event.
        """
        if f"upsert_batch[{batch}]" in self._is_success:
            return True
        step = f"transform_batch[{batch}]"
        if step not in self._is_success and _is_planned(self._run, "transform_batch", batch):
            return False
        return not (self._is_success.get(step, True) and self._is_success.get("index_target", True))
