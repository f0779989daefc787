"""Leases: who is at work on a sync, as every machine can see that shares the storage.

A lease is held by a run and renewed by whichever process has a step of it at work. One that is not
renewed any more is dead after a time that it states itself, whatever became of its host.
`LeaseStore` is the seam: files beside the spool (`leases.files`) are one home for leases, a
database is another.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sync_pipeline.batches.results import FETCH
from sync_pipeline.config.environment import DEFAULT_LEASE_S


@dataclass(frozen=True, slots=True)
class Claim:
    """A run at work on a sync."""

    run_id: str
    spool_id: str
    is_backfill: bool
    #: For people. That two hosts have one name, or one has two, means nothing.
    host: str
    pid: int
    #: Of the process (`place.started_at`): a pid alone may be somebody else's by now.
    process_started: float
    #: That a backfill replays, or `fetch`.
    batch: str = ""
    #: Where the pid means this process (`place.own_place`); "" where that cannot be told.
    place: str = ""
    #: Seconds without renewal after which the lease is dead.
    lease_s: float = DEFAULT_LEASE_S

    def gets_on_with(self, other: Claim) -> bool:
        """Whether two runs may work at the same time: only on batches that share no key.

        Batches of one extraction do not. Those of two may, and then one of the two would take what
        the other has just written for an editor's draft, and older data might be written last.
        """
        return (
            self.is_backfill
            and other.is_backfill
            and self.spool_id == other.spool_id
            and self.batch != other.batch
            and FETCH not in (self.batch, other.batch)
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as it is found."""

    claim: Claim
    #: Changes with every renewal, and means nothing else.
    beat: str
    #: Since the last renewal, by the store's own clock; negative where that was set back.
    age_s: float
    #: The run has done all its work; only Dagster has not ended it yet.
    is_done: bool = False
    #: Somebody found it dead and has begun to end its run.
    is_taken: bool = False


class LeaseStore(Protocol):
    """A home for leases. A call is whole or not done at all, over all machines that share it."""

    def lock(self, sync_key: str) -> AbstractContextManager[None]:
        """Nobody else claims the sync while this is held.

        Raises:
            BusyError: Somebody holds it for very long.
        """

    def sync_keys(self) -> list[str]:
        """Syncs that have leases."""

    def enter(self, sync_key: str, claim: Claim) -> None:
        """Begin or go on with a lease, as renewed now. Idempotent."""

    def renew(self, sync_key: str, run_id: str, *, is_done: bool = False) -> bool:
        """Renew a lease; False where it is not held any more, which renewing does not mend."""

    def held(self, sync_key: str) -> list[Held]:
        """All leases of a sync, dead ones and taken ones included."""

    def take(self, sync_key: str, held: Held) -> bool:
        """Take a lease from its holder, unless it was renewed since it was found."""

    def forget(self, sync_key: str, run_id: str) -> None:
        """Remove a lease. Idempotent."""
