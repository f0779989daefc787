"""What the command line says of runs that hold a sync: going, silent, or killed a while ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipeline.commands.display import print_problem
from sync_pipeline.config.environment import Environment


@dataclass(frozen=True, slots=True)
class AtWork:
    """What is known of the runs of a sync."""

    sync_key: str
    #: Ids of runs that were found dead just now.
    ended: Sequence[str]
    #: `orchestration.claims.Standing`s of those that are going, or silent.
    standing: Sequence[Any]

    @property
    def is_well(self) -> bool:
        """Whether no run was killed, as far as can be known now."""
        return not self.ended and all(one.state == "going" for one in self.standing)


def look(environment: Environment, instance: Any, sync_key: str) -> AtWork:
    """End the runs of a sync that are dead, in Dagster's eyes too, and look at the others."""
    from sync_pipeline.orchestration import claims  # noqa: PLC0415 - dagster takes a second

    storage_dir = environment.storage_dir
    ended = claims.report_killed_runs(instance, storage_dir, sync_key)
    return AtWork(sync_key, ended, claims.claims_at_work(instance, storage_dir, sync_key))


def wait_for_verdicts(environment: Environment, instance: Any, sync_key: str) -> AtWork:
    """As `look`, after waiting until each run is known to be going, or dead."""
    from sync_pipeline.orchestration import claims  # noqa: PLC0415

    storage_dir = environment.storage_dir
    ended = claims.wait_for_verdicts(
        instance, storage_dir, sync_key, tell=lambda text: print_problem(f"{sync_key}: {text}")
    )
    return AtWork(sync_key, ended, claims.claims_at_work(instance, storage_dir, sync_key))


def leased_keys(environment: Environment) -> set[str]:
    """Syncs that a run holds, or held when it was killed; it may have left no spool."""
    from sync_pipeline.orchestration import claims  # noqa: PLC0415

    return set(claims.lease_store(environment.storage_dir).sync_keys())


def tell(at_work: AtWork) -> None:
    """Say on stderr who holds a sync: what it has not done is in no list yet."""
    key = at_work.sync_key
    for run_id in at_work.ended:
        print_problem(
            f"{key}: run {run_id} was killed; Dagster shows it as failed now. "
            f"`sync-pipeline resume {run_id}` goes on with it."
        )
    for one in at_work.standing:
        if one.state == "going":
            print_problem(f"{key}: {one.text} is going; what it leaves undone is listed then.")
            continue
        print_problem(
            f"{key}: {one.text} gives no sign of life. It counts as killed in "
            f"{one.verdict_in_s:.0f} s, and what it left is listed then; the next run, backfill or "
            f"`sync-pipeline resume {one.claim.run_id}` waits for that, and takes over by itself."
        )
