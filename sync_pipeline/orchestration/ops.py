"""The five ops of a sync: each a thin skin over its stage in `sync_pipeline.stages`.

Mapped steps start when the fan-out op has ended, so `fetch_batches` emits handles. By priorities
the index comes first, and then each batch is finished before the next is begun. No op hooks: they
would keep every output in memory (measured with Dagster 1.13; see docs/decisions).
"""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import FETCH, unfinished_batches
from sync_pipeline.errors import SpoolError
from sync_pipeline.model import BatchRef
from sync_pipeline.orchestration.batch_steps import (
    build_fetch_teller,
    failed_partition,
    log_batch,
    remedy_of,
    settle,
    settle_partition,
    show_progress,
)
from sync_pipeline.orchestration.failed_batches import reconcile_failed_batches
from sync_pipeline.orchestration.finishing import finish_run
from sync_pipeline.orchestration.handles import LeftOut
from sync_pipeline.orchestration.reporting import counts_metadata, failed_entries_table, figures
from sync_pipeline.orchestration.steps import Step, failure, open_step
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import IndexRef, index
from sync_pipeline.stages.transform import Transformed, transform
from sync_pipeline.stages.upsert import Upserted, upsert

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
    with open_step(context) as step, failed_partition(context, step, FETCH):
        setting = step.setting
        if step.replay is None:
            reconcile_failed_batches(context.instance, setting.storage_dir, setting.config.key)
        applies = str(setting.options.apply).lower()
        context.instance.add_run_tags(context.run_id, {"sync/apply": applies})
        fetched = fetch(setting, build_fetch_teller(context))
        settle_partition(context, step, FETCH)
        waiting = [
            ref
            for ref in unfinished_batches(setting.spool, fetched.manifest)
            if step.replay in (None, FETCH, ref.key)
        ]
        show_progress(context, step)
        tags = {"sync/mode": fetched.mode}
        if step.replay in (None, FETCH):
            tags["sync/fetched"] = str(fetched.manifest.records)
        context.instance.add_run_tags(context.run_id, tags)
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
    with open_step(context) as step, failed_partition(context, step, batch.key):
        transformed = transform(step.setting, batch)
        return dg.Output(
            transformed,
            metadata={
                **figures(transformed.records, time.monotonic() - started),
                "failed": transformed.failed,
                "filtered": transformed.filtered,
                "filtered_blank": transformed.blank,
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
    with open_step(context) as step, failed_partition(context, step, batch):
        if isinstance(transformed, LeftOut):
            step.setting.log.warning(
                "%s: the plan of this re-execution leaves out %s; it is done here",
                step.setting.config.key, transformed.step_key,
            )  # fmt: skip
            transformed = transform(step.setting, _batch_ref(step, batch))
        if isinstance(target, LeftOut):
            target = index(step.setting, [transformed.batch], name=batch)
        upserted = upsert(step.setting, transformed, target)
        metadata = counts_metadata(upserted.counts, upserted.duration_s)
        if upserted.dead_letters:  # first, as the event log shows the first seven rows
            metadata = {"failed_entries": failed_entries_table(upserted.dead_letters)} | metadata
        log_batch(step, upserted)
        if upserted.failure:
            raise failure(
                step.redactor.redact(f"{batch}: {upserted.failure}"),
                exit_code=1,
                metadata=remedy_of(step, batch) | metadata,
            )
        settle(context, step, upserted)
        show_progress(context, step)
        return dg.Output(upserted, metadata=metadata)


@dg.op(required_resource_keys={"sync"}, config_schema=_CONFIG, tags={"dagster/priority": "-1"})
def summarize_run(
    context: dg.OpExecutionContext, extraction: list[BatchRef]
) -> dg.Output[dict[str, Any]]:
    """Finish a run whatever its batches did; show it on one page; red when a batch is failed.

    The last step, though it hangs on none of a batch: Dagster would leave it out when one is red.
    """
    with open_step(context) as step:
        return finish_run(context, step, extraction)


def _batch_ref(step: Step, batch: str) -> BatchRef:
    """The handle of a batch, from the spool."""
    manifest = read_manifest(step.setting.spool)
    found = [ref for ref in (manifest.batches if manifest else ()) if ref.key == batch]
    if not found:
        raise SpoolError(f"{step.setting.spool.root} has no {batch}. Run the sync anew.")
    return found[0]
