"""Keep a lease while a step is at work, and notice before a write that it was lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sync_pipeline.errors import LeaseLostError, SpoolError
from sync_pipeline.orchestration.leases import Claim, LeaseStore

#: Renewals in the time after which a lease is dead: some may fail, or come late.
BEATS = 6
#: Runs whose steps are at work in this process.
_at_work: set[str] = set()


def is_at_work_here(run_id: str) -> bool:
    """Whether a step of the run is at work in this very process."""
    return run_id in _at_work


class Keeper:
    """Renews a lease every few seconds, from a thread; paused and killed with its process.

    Args:
        store: Where the lease is.
        sync_key: The sync.
        claim: The lease, which was entered just now.
        clock: Monotonic.
    """

    def __init__(
        self,
        store: LeaseStore,
        sync_key: str,
        claim: Claim,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._sync_key, self._claim, self._clock = store, sync_key, claim, clock
        self._renewed_at = clock()
        self._is_lost = self._is_done = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """Before a write: go on only if nobody can have taken the lease since it was renewed.

        Costs a look at the clock. A process that was paused, or could not renew for another reason,
        asks the store first.

        Raises:
            LeaseLostError: The lease is lost. It stays so.
            SpoolError: It may be: it cannot be renewed.
        """
        if not self._is_lost and self._clock() - self._renewed_at >= self._claim.lease_s / 2:
            self.renew()
        if self._is_lost:
            raise LeaseLostError(
                f"This run has lost its hold on {self._sync_key}: it was ended from outside, or "
                f"not heard of for {self._claim.lease_s:.0f} s (paused, or cut off from the "
                "storage), and another may be at work. It writes nothing more. Nothing is lost: "
                f"`sync-pipeline resume {self._claim.run_id}` goes on with what is not done."
            )

    def renew(self) -> None:
        """Renew the lease, or learn that it is lost.

        Raises:
            SpoolError: It cannot be renewed, and is past its time.
        """
        with self._lock:
            began = self._clock()
            try:
                is_held = self._store.renew(
                    self._sync_key, self._claim.run_id, is_done=self._is_done
                )
            except SpoolError:
                if began - self._renewed_at >= self._claim.lease_s:
                    raise
                return
            if is_held:
                self._renewed_at = began
            else:
                self._is_lost = True

    def finish(self) -> None:
        """Tell that the run has done all its work, though Dagster has not ended it yet.

        Raises:
            SpoolError: The lease is past its time and cannot be renewed.
        """
        self._is_done = True
        self.renew()


@contextmanager
def keep(store: LeaseStore, sync_key: str, claim: Claim, log: logging.Logger) -> Iterator[Keeper]:
    """Renew a lease as long as the block goes; `check` is to be called before every write."""
    keeper, done = Keeper(store, sync_key, claim), threading.Event()

    def beat() -> None:
        while not done.wait(claim.lease_s / BEATS):
            try:
                keeper.renew()
            except SpoolError as error:
                log.warning("%s: the lease of this run cannot be renewed: %s", sync_key, error)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    _at_work.add(claim.run_id)
    thread.start()
    try:
        yield keeper
    finally:
        done.set()
        thread.join()
        _at_work.discard(claim.run_id)
