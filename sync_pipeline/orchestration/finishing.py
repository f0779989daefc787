"""What is left to do when all mapped steps have ended, before a run is summed up."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import dagster as dg

from sync_pipeline.batches.housekeeping import clean_spools
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import unfinished_batches, waiting_batches
from sync_pipeline.model import BatchRef
from sync_pipeline.orchestration.batch_steps import (
    failed_partition,
    log_batch,
    remedy_of,
    settle,
    show_progress,
)
from sync_pipeline.orchestration.claims import live_claims
from sync_pipeline.orchestration.reporting import failed_entries_table
from sync_pipeline.orchestration.steps import Step, failure
from sync_pipeline.stages.index import find_indexes
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import LETTERS_SHOWN, Upserted, upsert


def write_left_out(context: dg.OpExecutionContext, step: Step) -> None:
    """Write the batches that a re-execution left out; in any other run there is none.

    Of a run that was killed, "from failure" repeats the step that was in flight and what depends on
    it. Mapped steps that had not begun are not in its plan (dagster#20925), so without this the
    run would end green and not whole. `resume` has no need of it.
    """
    setting = step.setting
    manifest = read_manifest(setting.spool)
    if manifest is None:
        return
    waiting = {ref.key for ref in waiting_batches(setting.spool, manifest)}
    left_out = [
        ref for ref in unfinished_batches(setting.spool, manifest) if ref.key not in waiting
    ]
    if not left_out:
        return
    setting.log.warning(
        "%s: the plan of this re-execution leaves out %d batches that the interrupted run had not "
        "finished; they are written here",
        setting.config.key, len(left_out),
    )  # fmt: skip
    _write_here(context, step, left_out)


def publish_put_off(
    context: dg.OpExecutionContext, step: Step, batches: Collection[str] | None = None
) -> list[Upserted]:
    """Publish what links to entries of other batches, now that all of them are written.

    Args:
        context: Of the step.
        step: The step.
        batches: Those that a backfill replayed; None: all of the extraction.
    """
    setting = step.setting
    manifest = read_manifest(setting.spool)
    waiting = waiting_batches(setting.spool, manifest) if manifest else []
    chosen = [ref for ref in waiting if batches is None or ref.key in batches]
    if not chosen:
        return []
    setting.log.info(
        "%s: publishing entries of %d batches that link to entries of other batches",
        setting.config.key, len(chosen),
    )  # fmt: skip
    return _write_here(context, step, chosen, are_others_written=True)


def _write_here(
    context: dg.OpExecutionContext,
    step: Step,
    refs: Sequence[BatchRef],
    *,
    are_others_written: bool = False,
) -> list[Upserted]:
    """Write batches within this step; red when one fails, after all were tried."""
    setting = step.setting
    targets = find_indexes(setting, refs)
    done: list[Upserted] = []
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
        done.append(upserted)
    failures = [upserted for upserted in done if upserted.failure]
    if failures:
        letters = [letter for upserted in failures for letter in upserted.dead_letters]
        raise failure(
            step.redactor.redact("; ".join(f"{item.batch}: {item.failure}" for item in failures)),
            exit_code=1,
            metadata={"failed_entries": failed_entries_table(letters[:LETTERS_SHOWN])}
            | remedy_of(step, failures[0].batch),
        )
    return done


def clean_up(instance: dg.DagsterInstance, setting: Setting) -> None:
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
