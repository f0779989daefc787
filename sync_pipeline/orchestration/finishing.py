"""What is left to do when the steps of all batches have ended, whether they are green or red."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import dagster as dg

from sync_pipeline.batches.housekeeping import clean_spools
from sync_pipeline.batches.layout import Spool
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.batches.results import read_results, unfinished_batches, waiting_batches
from sync_pipeline.errors import LeaseLostError
from sync_pipeline.model import BatchRef
from sync_pipeline.orchestration.batch_steps import (
    failed_partition,
    log_batch,
    remedy_of,
    settle,
    show_progress,
)
from sync_pipeline.orchestration.claims import live_claims
from sync_pipeline.orchestration.failed_batches import reconcile_failed_batches
from sync_pipeline.orchestration.plan import planned_batches, wait_for_batches
from sync_pipeline.orchestration.reporting import summary_metadata, summary_values
from sync_pipeline.orchestration.steps import Step, failure, failure_of, is_stopped, way_on
from sync_pipeline.stages.drafts import publish_left_drafts
from sync_pipeline.stages.index import find_indexes
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.settling import settle_older_batches
from sync_pipeline.stages.summary import RunSummary, summarize, summarize_replay
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import upsert

#: Failed batches that the last step names; its table shows more of them.
NAMED = 10


def finish_run(
    context: dg.OpExecutionContext, step: Step, extraction: Sequence[BatchRef]
) -> dg.Output[dict[str, Any]]:
    """Do the work of the end of a run, then say how the run went.

    Raises:
        dagster.Failure: A batch of the run is failed, or this work is; the summary is with it.
    """
    setting = step.setting
    planned = planned_batches(context.run, extraction)
    wait_for_batches(context, step, planned)
    trouble = _write_what_is_left(context, step, planned)
    setting.guard()
    if step.is_whole:
        summary = summarize(setting)
        for settled in settle_older_batches(setting):
            setting.log.info("%s: superseded by this run: %s", setting.config.key, settled)
    else:
        summary = summarize_replay(setting, extraction)
    metadata = summary_metadata(summary, read_results(setting.spool))
    if not summary.dry_run:
        context.log_event(
            dg.AssetMaterialization(
                asset_key=["contentful", setting.config.content_type],
                description=f"{setting.config.key}, run {context.run_id}",
                metadata=metadata,
            )
        )
    context.instance.add_run_tags(context.run_id, {"sync/failed": str(summary.counts.failed)})
    # The claim stays: were it released here, a kill before Dagster has ended the run would leave
    # one that goes on for ever in Dagster's eyes. Claims of ended runs count for nothing.
    reconcile_failed_batches(
        context.instance, setting.storage_dir, setting.config.key, ending_run=context.run_id
    )
    _clean_up(context.instance, setting)
    step.keeper.finish()
    if trouble is not None:
        raise failure_of(trouble, step, step.redactor, metadata)
    if summary.failed_batches:
        raise _failed_run(step, summary, metadata)
    return dg.Output(summary_values(summary), metadata=metadata)


def _failed_run(step: Step, summary: RunSummary, metadata: dict[str, Any]) -> dg.Failure:
    failed = summary.failed_batches
    names = ", ".join(failed[:NAMED]) + (", ..." if len(failed) > NAMED else "")
    text = f"{len(failed):,} of {summary.batches:,} batches failed: {names}"
    if is_stopped(step):
        return failure(text, exit_code=3, metadata=way_on(step) | metadata)
    return failure(text, exit_code=1, metadata=remedy_of(step) | metadata)


def _write_what_is_left(
    context: dg.OpExecutionContext, step: Step, planned: Collection[BatchRef]
) -> Exception | None:
    """Write what no step of a batch has written, and publish what had to wait for all of them.

    What stops this stops neither the summary nor what else is to be done at the end of a run.

    Args:
        context: Of the step.
        step: The step.
        planned: The batches that have steps of their own in this run.

    Returns:
        What went wrong; batches that fail here are shown by the summary as others are.
    """
    if is_stopped(step):  # by a space or source that is out of reach; each batch says so
        return None
    try:
        _write_left_out(context, step, planned)
        _publish_put_off(context, step)
        if step.is_whole:
            publish_left_drafts(step.setting)
    except LeaseLostError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again when the rest is done
        return error
    return None


def _write_left_out(
    context: dg.OpExecutionContext, step: Step, planned: Collection[BatchRef]
) -> None:
    """Write the batches that a re-execution left out; in any other run there is none.

    Of a run that was killed, "from failure" repeats the step that was in flight and those that
    failed. Mapped steps that had not begun are not in its plan (dagster#20925), so without this the
    run would end green and not whole. `resume` has no need of it.
    """
    setting = step.setting
    has_step = {ref.key for ref in planned}
    waiting = {ref.key for ref in _of_this_run(step, waiting_batches)}
    left_out = [
        ref
        for ref in _of_this_run(step, unfinished_batches)
        if ref.key not in has_step and ref.key not in waiting
    ]
    if not left_out:
        return
    setting.log.warning(
        "%s: the plan of this re-execution leaves out %d batches that the interrupted run had not "
        "finished; they are written here",
        setting.config.key, len(left_out),
    )  # fmt: skip
    _write_here(context, step, left_out)


def _publish_put_off(context: dg.OpExecutionContext, step: Step) -> None:
    """Publish what links to entries of other batches, now that all of them were tried."""
    setting = step.setting
    waiting = _of_this_run(step, waiting_batches)
    if not waiting:
        return
    setting.log.info(
        "%s: publishing entries of %d batches that link to entries of other batches",
        setting.config.key, len(waiting),
    )  # fmt: skip
    _write_here(context, step, waiting, are_others_written=True)


def _of_this_run(
    step: Step, batches_of: Callable[[Spool, Manifest], Iterable[BatchRef]]
) -> list[BatchRef]:
    """Of some batches of the spool those that the run is about: a backfill is about one."""
    manifest = read_manifest(step.setting.spool)
    found = batches_of(step.setting.spool, manifest) if manifest else ()
    return [ref for ref in found if step.is_whole or ref.key == step.replay]


def _write_here(
    context: dg.OpExecutionContext,
    step: Step,
    refs: Sequence[BatchRef],
    *,
    are_others_written: bool = False,
) -> None:
    """Write batches within this step. One that fails is listed, as if it had a step of its own."""
    setting = step.setting
    targets = find_indexes(setting, refs)
    for ref in refs:
        with failed_partition(context, step, ref.key):
            upserted = upsert(
                setting,
                transform(setting, ref),
                targets[ref.key],
                are_others_written=are_others_written,
            )
        log_batch(step, upserted)
        settle(context, step, upserted)
        show_progress(context, step)


def _clean_up(instance: dg.DagsterInstance, setting: Setting) -> None:
    """Remove what finished runs of this sync left on disk longer than the retention time ago."""
    going = {
        claim.spool_id for claim in live_claims(instance, setting.storage_dir, setting.config.key)
    }
    for removed in clean_spools(
        setting.storage_dir,
        now=setting.clock(),
        is_going=going.__contains__,
        sync_key=setting.config.key,
    ):
        setting.log.info(
            "%s: removed the spool of run %s, %.1f MB",
            setting.config.key, removed.spool.spool_id, removed.bytes / 1024**2,
        )  # fmt: skip
