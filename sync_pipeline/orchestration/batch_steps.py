"""What the steps of a batch show: partitions of failed batches, progress, one line, the remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg

from sync_pipeline.batches.extraction import Progress
from sync_pipeline.batches.manifest import read_manifest
from sync_pipeline.batches.results import (
    FETCH,
    BatchProgress,
    note_failure,
    partition_key,
    read_batch_progress,
)
from sync_pipeline.errors import LeaseLostError, SpoolError
from sync_pipeline.memory import rss_mb
from sync_pipeline.orchestration.failed_batches import partitions_name
from sync_pipeline.orchestration.steps import LOCATION, Step, refuse_if_stopped
from sync_pipeline.stages.settling import settle_older_fetches
from sync_pipeline.stages.upsert import Upserted

#: Seconds between two changes of a tag that follows the pages; each is a commit of Dagster's.
TELLING_S = 2.0


@contextmanager
def failed_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> Iterator[None]:
    """Add the batch to the failed ones when its step fails; dry runs leave no keys."""
    try:
        refuse_if_stopped(step)
        yield
    except LeaseLostError:
        raise  # what became of the batch is for others to say by now
    except Exception as error:
        if batch == FETCH:
            _settle_older_fetches(context, step)
        else:
            _note_failure(step, batch, error)
        add_partition(context, step, batch)
        show_progress(context, step)
        raise


def _settle_older_fetches(context: dg.OpExecutionContext, step: Step) -> None:
    """A source that stays down is one failure, however many runs have tried to read it."""
    key = step.setting.config.key
    with suppress(SpoolError):  # a full disk, say, which is the error to be told
        for spool_id in settle_older_fetches(step.setting):
            step.setting.log.info("%s: superseded by this run: %s/fetch", key, spool_id)
            _take_out(context, key, partition_key(spool_id, FETCH))


def _note_failure(step: Step, batch: str, error: Exception) -> None:
    """Keep the reason of a step that came to no result, as when it could not be begun."""
    setting = step.setting
    said = error.description if isinstance(error, dg.Failure) else str(error)
    reason = step.redactor.redact(said or type(error).__name__)
    at = setting.clock().isoformat(timespec="milliseconds")
    with suppress(SpoolError):  # a full disk, say, which is the error to be told
        note_failure(setting.spool, batch, setting.run_id, reason, at)


def add_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> None:
    """Show a batch as failed, or an extraction (`fetch`) that is not whole. Idempotent."""
    spool = step.setting.spool
    is_fetched = batch == FETCH and read_manifest(spool) is not None
    if step.setting.options.apply and spool.facts.exists() and not is_fetched:
        name = partitions_name(step.setting.config.key)
        context.instance.add_dynamic_partitions(name, [partition_key(spool.spool_id, batch)])


def settle(context: dg.OpExecutionContext, step: Step, upserted: Upserted) -> None:
    """Show as failed or not how a batch ended; one that waits for others stays as it is shown."""
    if upserted.failure:
        add_partition(context, step, upserted.batch)
    elif not upserted.put_off:
        settle_partition(context, step, upserted.batch)


def settle_partition(context: dg.OpExecutionContext, step: Step, batch: str) -> None:
    """Take a batch out of the failed ones. Idempotent."""
    _take_out(context, step.setting.config.key, partition_key(step.setting.spool.spool_id, batch))


def _take_out(context: dg.OpExecutionContext, sync_key: str, key: str) -> None:
    name = partitions_name(sync_key)
    if context.instance.has_dynamic_partition(name, key):
        context.instance.delete_dynamic_partition(name, key)


def _progress(step: Step) -> BatchProgress:
    """Of what this run is about: all batches of the spool, or the one that a backfill replays."""
    setting = step.setting
    batch = None if step.replay == FETCH else step.replay
    return read_batch_progress(setting.spool, setting.run_id, batch)


def show_progress(context: dg.OpExecutionContext, step: Step) -> None:
    """`sync/progress` (batches that ended, of all) and `sync/failed` on the Runs page."""
    progress = _progress(step)
    context.instance.add_run_tags(
        context.run_id,
        {
            "sync/progress": f"{progress.ended}/{progress.batches}",
            "sync/failed": str(progress.failed_entries),
        },
    )


def build_fetch_teller(context: dg.OpExecutionContext) -> Callable[[Progress], None]:
    """Shows on the Runs page how far the extraction is: `sync/fetched`, records and their total."""
    told_at = -TELLING_S

    def tell(progress: Progress) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < TELLING_S:
            return
        told_at = time.monotonic()
        of_total = f"/{progress.total}" if progress.total is not None else ""
        tags = {"sync/fetched": f"{progress.records}{of_total}"}
        context.instance.add_run_tags(context.run_id, tags)

    return tell


def remedy_of(step: Step, batch: str | None = None) -> dict[str, Any]:
    """What to do about a failed batch (None: about all of them), with a link to what replays it."""
    setting = step.setting
    if not setting.options.apply:
        return {}
    key = setting.config.key
    which = f"partition {partition_key(setting.spool.spool_id, batch)}" if batch else "partitions"
    return {
        "remedy": (
            f"Is the config wrong? Correct it and backfill the {which} of "
            f"backfill_{key}, or `sync-pipeline backfill {key}`. Is the source wrong? Correct it "
            f"and launch sync_{key} again."
        ),
        "backfill": dg.MetadataValue.job(f"backfill_{key}", LOCATION),
    }


def log_batch(step: Step, upserted: Upserted) -> None:
    """One line: what became of a batch, how far the run is, how fast, and how long it will take."""
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
