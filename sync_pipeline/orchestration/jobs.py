"""The two jobs of a sync: `sync_<key>`, and `backfill_<key>` for one failed batch."""

from __future__ import annotations

from typing import Any

import dagster as dg

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.orchestration.console import LOGGERS_CONFIG, sync_logger
from sync_pipeline.orchestration.failed_batches import partitions_name
from sync_pipeline.orchestration.handles import build_handle_io_manager
from sync_pipeline.orchestration.ops import (
    fetch_batches,
    index_target,
    summarize_run,
    transform_batch,
    upsert_batch,
)
from sync_pipeline.orchestration.run_config import build_config_mapping
from sync_pipeline.orchestration.steps import SyncResource


@dg.graph(name="sync")
def sync_graph() -> None:
    """Fetch all, index the target, then transform and upsert batch by batch, then summarize.

    The index comes after the extraction because only then it is known whether reading all entries
    or looking up the keys at hand takes fewer requests; the mapping is checked before either.
    The summary does not collect the batches: Dagster would leave it out when one of them is red.
    By its priority it comes last (docs/decisions/0018-the-end-of-a-run-hangs-on-no-batch.md).
    """
    batches, extraction = fetch_batches()
    target = index_target(extraction)

    def write(batch: Any) -> None:
        upsert_batch(transform_batch(batch), target)

    batches.map(write)
    summarize_run(extraction)


def build_sync_job(config: SyncConfig) -> dg.JobDefinition:
    """The job that the Launchpad, schedules, sensors and `sync-pipeline run` launch."""
    return sync_graph.to_job(
        name=f"sync_{config.key}",
        description=(
            f"Keep Contentful entries of type `{config.content_type}` in step with the source of "
            f"`{config.key}`. A dry run unless `apply: true`."
        ),
        config=build_config_mapping(config),
        resource_defs=_resources(config),
        logger_defs={"sync": sync_logger},
        executor_def=dg.multi_or_in_process_executor,
        tags={"sync/key": config.key},
    )


def build_backfill_job(config: SyncConfig) -> dg.JobDefinition:
    """The job that replays one failed batch with today's config; it needs no run config."""
    partitions = dg.DynamicPartitionsDefinition(name=partitions_name(config.key))
    return sync_graph.to_job(
        name=f"backfill_{config.key}",
        description=(
            f"Replay a failed batch of `{config.key}` from the spool. Its partitions are what is "
            "still failed; a success takes the partition out."
        ),
        partitions_def=partitions,
        config=dg.PartitionedConfig(
            partitions_def=partitions,
            run_config_for_partition_key_fn=lambda _: dict(LOGGERS_CONFIG),
        ),
        resource_defs=_resources(config),
        logger_defs={"sync": sync_logger},
        executor_def=dg.in_process_executor,
        tags={"sync/key": config.key},
    )


def _resources(config: SyncConfig) -> dict[str, dg.ResourceDefinition]:
    return {
        # Made for each run, so that nothing of one is left to the next in the same process.
        "sync": dg.ResourceDefinition(lambda _: SyncResource(config)),
        "io_manager": build_handle_io_manager(config.key),
    }
