"""The five ops of a sync: each a thin skin over its stage in `sync_pipeline.stages`.

Mapped steps start when the fan-out op has ended, so `fetch_batches` emits handles. By priorities
the index comes first, and then each batch is finished before the next is begun. No op hooks: they
would keep every output in memory (measured with Dagster 1.13; see docs/decisions).
"""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from sync_pipeline.batches.housekeeping import clean_spools
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import (
    FETCH,
    BatchProgress,
    partition_key,
    read_batch_progress,
    unfinished_batches,
    waiting_batches,
)
from sync_pipeline.errors import SpoolError
from sync_pipeline.memory import rss_mb
from sync_pipeline.model import BatchRef
from sync_pipeline.orchestration.claims import live_claims
from sync_pipeline.orchestration.failed_batches import partitions_name, reconcile_failed_batches
from sync_pipeline.orchestration.handles import LeftOut
from sync_pipeline.orchestration.reporting import (
    counts_metadata,
    failed_entries_table,
    figures,
    summary_metadata,
    summary_values,
)
from sync_pipeline.orchestration.steps import LOCATION, Step, failure, open_step, refuse_if_stopped
from sync_pipeline.stages.drafts import publish_left_drafts
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import IndexRef, find_indexes, index
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.summary import summarize, summarize_replay, supersede_older_batches
from sync_pipeline.stages.transform import Transformed, transform
from sync_pipeline.stages.upsert import LETTERS_SHOWN, Upserted, upsert

_CONFIG = dg.Field(dict, is_required=False, default_value={})


@dg.op(
    out={"batches": dg.DynamicOut(dg.Any), "extraction": dg.Out(dg.Any)},
    required_resource_keys={"sync"},
    config_schema=_CONFIG,
)
def fetch_batches(context: dg.OpExecutionContext) -> Iterator[Any]:
    """Fetch the pages that are not yet spooled and hand out one small handle per batch.

    Goes on after the last finished page when it is retried, re-executed or resumed.
    """
    started = time.monotonic()
    with open_step(context) as step, _failed_partition(context, step, FETCH):
        setting = step.setting
        if step.replay is None:
            reconcile_failed_batches(context.instance, setting.storage_dir, setting.config.key)
        applies = str(setting.options.apply).lower()
        context.instance.add_run_tags(context.run_id, {"sync/apply": applies})
        fetched = fetch(setting)
        _settle_partition(context, step, FETCH)
        waiting = [
            ref
            for ref in unfinished_batches(setting.spool, fetched.manifest)
            if step.replay in (None, FETCH, ref.key)
        ]
        _show_progress(context, step)
        context.instance.add_run_tags(context.run_id, {"sync/mode": fetched.mode})
        for ref in waiting:
            yield dg.DynamicOutput(
                ref, ref.key, "batches", metadata={"records": ref.records, "digest": ref.digest}
            )
        seconds = time.monotonic() - started
        yield dg.Output(
            waiting,
            "extraction",
            metadata={
                **figures(fetched.manifest.records, seconds),
                "requests": fetched.space_requests,
                "pages": fetched.manifest.pages,
                "source_requests": fetched.manifest.requests,
                "batches": len(fetched.manifest.batches),
                "batches_to_do": len(waiting),
                "mode": fetched.mode,
            },
        )


@dg.op(required_resource_keys={"sync"}, config_schema=_CONFIG, tags={"dagster/priority": "3"})
def index_target(context: dg.OpExecutionContext, extraction: list[BatchRef]) -> dg.Output[IndexRef]:
    """Read the entries that the target already holds, in as few requests as possible."""
    started = time.monotonic()
    with open_step(context) as step:
        reference = index(step.setting, extraction)
        return dg.Output(
            reference,
            metadata={
                **figures(reference.entries, time.monotonic() - started),
                "requests": reference.requests,
                "strategy": reference.strategy,
            },
        )


@dg.op(required_resource_keys={"sync"}, config_schema=_CONFIG, tags={"dagster/priority": "1"})
def transform_batch(context: dg.OpExecutionContext, batch: BatchRef) -> dg.Output[Transformed]:
    """Map the records of one batch to desired entries; what cannot be mapped is a dead letter."""
    started = time.monotonic()
    with open_step(context) as step, _failed_partition(context, step, batch.key):
        transformed = transform(step.setting, batch)
        return dg.Output(
            transformed,
            metadata={
                **figures(transformed.records, time.monotonic() - started),
                "failed": transformed.failed,
                "filtered": transformed.filtered,
                "duplicates": transformed.duplicates,
                "conflicts": transformed.conflicts,
                "requests": transformed.space_requests,
            },
        )


@dg.op(required_resource_keys={"sync"}, config_schema=_CONFIG, tags={"dagster/priority": "2"})
def upsert_batch(
    context: dg.OpExecutionContext,
    transformed: Any,  # Transformed | LeftOut, which Dagster cannot check
    target: Any,  # IndexRef | LeftOut
) -> dg.Output[Upserted]:
    """Create, patch and publish what differs; red when more entries failed than tolerated."""
    batch = str(context.get_mapping_key())
    with open_step(context) as step, _failed_partition(context, step, batch):
        if isinstance(transformed, LeftOut):
            step.setting.log.warning(
                "%s: the plan of this re-execution leaves out %s; it is done here",
                step.setting.config.key, transformed.step_key,
            )  # fmt: skip
            transformed = transform(step.setting, _batch_ref(step, batch))
        if isinstance(target, LeftOut):
            target = index(step.setting, [transformed.batch], name=batch)
        upserted = upsert(step.setting, transformed, target)
        metadata = {
            **counts_metadata(upserted.counts, upserted.duration_s),
            "publish_skipped": upserted.publish_skipped,
        }
        if upserted.dead_letters:  # first, as the event log shows the first seven rows
            metadata = {"failed_entries": failed_entries_table(upserted.dead_letters)} | metadata
        _log_batch(step, upserted)
        if upserted.failure:
            raise failure(
                step.redactor.redact(f"{batch}: {upserted.failure}"),
                exit_code=1,
                metadata=_remedy(step, batch) | metadata,
            )
        _settle(context, step, upserted)
        _show_progress(context, step)
        return dg.Output(upserted, metadata=metadata)


@dg.op(required_resource_keys={"sync"}, config_schema=_CONFIG)
def summarize_run(
    context: dg.OpExecutionContext,
    upserted: list[Upserted],
    extraction: list[BatchRef],  # noqa: ARG001 - an empty source has no batch to wait for
) -> dg.Output[dict[str, Any]]:
    """Add the figures up, check that no record was lost, and show the run on one page."""
    with open_step(context) as step:
        setting, instance = step.setting, context.instance
        key = setting.config.key
        if step.replay is None:
            _write_left_out(context, step)
            _publish_put_off(context, step)
            publish_left_drafts(setting)
            summary = summarize(setting)
            for settled in supersede_older_batches(setting):
                setting.log.info("%s: superseded by this run: %s", key, settled)
        else:
            again = _publish_put_off(context, step, {item.batch for item in upserted})
            summary = summarize_replay(setting, upserted, again)
        metadata = summary_metadata(summary)
        if not summary.dry_run:
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=["contentful", setting.config.content_type],
                    description=f"{key}, run {context.run_id}",
                    metadata=metadata,
                )
            )
        instance.add_run_tags(context.run_id, {"sync/failed": str(summary.counts.failed)})
        # The claim stays: were it released here, a kill before Dagster has ended the run would
        # leave one that goes on for ever in Dagster's eyes. Claims of ended runs count for nothing.
        reconcile_failed_batches(instance, setting.storage_dir, key, ending_run=context.run_id)
        _clean_up(instance, setting)
        return dg.Output(summary_values(summary), metadata=metadata)


def _write_left_out(context: dg.OpExecutionContext, step: Step) -> None:
    """Write the batches that a re-execution left out; in any other run there is none.

    Of a run that was killed, "from failure" repeats the step that was in flight and what depends on
    it. Mapped steps that had not begun are not in its plan (dagster#20925), so without this the
    run would end green and not whole. `resume` has no need of it.
    """
    setting = step.setting
    manifest = read_manifest(setting.spool)
    if manifest is None:
        return
    waiting = waiting_batches(setting.spool, manifest)
    left_out = [ref for ref in unfinished_batches(setting.spool, manifest) if ref not in waiting]
    if not left_out:
        return
    setting.log.warning(
        "%s: the plan of this re-execution leaves out %d batches that the interrupted run had not "
        "finished; they are written here",
        setting.config.key, len(left_out),
    )  # fmt: skip
    _write_here(context, step, left_out)


def _publish_put_off(
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
        with _failed_partition(context, step, ref.key):
            upserted = upsert(
                setting,
                transform(setting, ref),
                targets[ref.key],
                are_others_written=are_others_written,
            )
        _log_batch(step, upserted)
        _settle(context, step, upserted)
        _show_progress(context, step)
        done.append(upserted)
    failures = [upserted for upserted in done if upserted.failure]
    if failures:
        letters = [letter for upserted in failures for letter in upserted.dead_letters]
        raise failure(
            step.redactor.redact("; ".join(f"{item.batch}: {item.failure}" for item in failures)),
            exit_code=1,
            metadata={"failed_entries": failed_entries_table(letters[:LETTERS_SHOWN])}
            | _remedy(step, failures[0].batch),
        )
    return done


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


def _batch_ref(step: Step, batch: str) -> BatchRef:
    """The handle of a batch, from the spool."""
    manifest = read_manifest(step.setting.spool)
    found = [ref for ref in (manifest.batches if manifest else ()) if ref.key == batch]
    if not found:
        raise SpoolError(f"{step.setting.spool.root} has no {batch}. Run the sync anew.")
    return found[0]


@contextmanager
def _failed_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> Iterator[None]:
    """Add the batch to the failed ones when its step fails; dry runs leave no keys."""
    try:
        refuse_if_stopped(step)
        yield
    except Exception:
        _add_partition(context, step, batch)
        _show_progress(context, step)
        raise


def _add_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> None:
    spool = step.setting.spool
    is_fetched = batch == FETCH and read_manifest(spool) is not None
    if step.setting.options.apply and spool.facts.exists() and not is_fetched:
        name = partitions_name(step.setting.config.key)
        context.instance.add_dynamic_partitions(name, [partition_key(spool.spool_id, batch)])


def _settle(context: dg.OpExecutionContext, step: Step, upserted: Upserted) -> None:
    """Show as failed or not how a batch ended; one that waits for others stays as it is shown."""
    if upserted.failure:
        _add_partition(context, step, upserted.batch)
    elif not upserted.put_off:
        _settle_partition(context, step, upserted.batch)


def _settle_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> None:
    """Take a batch out of the failed ones. Idempotent."""
    name = partitions_name(step.setting.config.key)
    key = partition_key(step.setting.spool.spool_id, batch)
    if context.instance.has_dynamic_partition(name, key):
        context.instance.delete_dynamic_partition(name, key)


def _progress(step: Step) -> BatchProgress:
    """Of what this run is about: all batches of the spool, or the one that a backfill replays."""
    setting = step.setting
    batch = None if step.replay == FETCH else step.replay
    return read_batch_progress(setting.spool, setting.run_id, batch)


def _show_progress(context: dg.OpExecutionContext, step: Step) -> None:
    """`sync/progress` (batches that ended, of all) and `sync/failed` on the Runs page."""
    progress = _progress(step)
    context.instance.add_run_tags(
        context.run_id,
        {
            "sync/progress": f"{progress.ended}/{progress.batches}",
            "sync/failed": str(progress.failed_entries),
        },
    )


def _remedy(step: Step, batch: str) -> dict[str, Any]:
    """What to do about a failed batch, with a link to the job that replays it."""
    setting = step.setting
    if not setting.options.apply:
        return {}
    key = setting.config.key
    partition = partition_key(setting.spool.spool_id, batch)
    return {
        "remedy": (
            f"Is the config wrong? Correct it and backfill the partition {partition} of "
            f"backfill_{key}, or `sync-pipeline backfill {key}`. Is the source wrong? Correct it "
            f"and launch sync_{key} again."
        ),
        "backfill": dg.MetadataValue.job(f"backfill_{key}", LOCATION),
    }


def _log_batch(step: Step, upserted: Upserted) -> None:
    progress = _progress(step)
    seconds = max(upserted.duration_s, 1e-6)
    left_s = (progress.batches - progress.ended) * (progress.seconds_per_batch or 0.0)
    wrote = step.setting.options.apply
    shown = {
        "created": "created" if wrote else "to create",
        "updated": "updated" if wrote else "to update",
        "unchanged": "unchanged",
        "failed": "failed",
    }
    counts = ", ".join(f"{getattr(upserted.counts, name):,} {text}" for name, text in shown.items())
    if upserted.put_off:
        counts += f", {upserted.put_off:,} to publish when the others are written"
    step.setting.log.info(
        "%s: %s, %d of %d batches: %s, %.0f records/s, %.0f MB%s",
        step.setting.config.key, upserted.batch, progress.ended, progress.batches,
        counts, upserted.counts.records / seconds, rss_mb(),
        f", about {left_s:.0f} s left" if left_s else "",
    )  # fmt: skip
