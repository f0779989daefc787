"""Whether a space is up, and is one at all: when a client stops asking, and what it says then.

What ends a client ends it for all of its threads: every further request raises the same error.
"""

from __future__ import annotations

import threading

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.answer import Answer

#: Attempts of one request before the space counts as down: 0.5 to 4 s apart, 16 s in all.
MAX_ATTEMPTS = 9
#: Server errors in a row, over all threads, after which the space counts as down; more with many
#: requests in flight, so that an outage must outlast two rounds of their attempts.
MAX_FAILURES_IN_A_ROW = 60
_ROUNDS = 2
#: Broken answers before the first sound one, after which the address counts as wrong.
MAX_BROKEN_AT_FIRST = 5


class SpaceHealth:
    """What the answers so far say about the space. Safe for many threads.

    Args:
        space: How messages name the space.
        host: How they name the server.
        in_flight: Requests that may be under way at once.
    """

    def __init__(self, space: str, host: str, in_flight: int) -> None:
        self._space = space
        self._host = host
        self._max_in_a_row = max(MAX_FAILURES_IN_A_ROW, _ROUNDS * MAX_ATTEMPTS * in_flight)
        self._lock = threading.Lock()
        #: Reads and writes apart: a space that takes no writes may well answer reads.
        self._in_a_row = {"read": 0, "write": 0}
        self._fatal: SpaceError | None = None
        self._is_api_known = False
        self._broken_at_first = 0

    def raise_if_given_up(self) -> None:
        """Send nothing more after an error that concerns every request.

        Raises:
            SpaceError: The one that ended this client.
        """
        if self._fatal is not None:
            raise self._fatal

    def note(self, method: str, answer: Answer) -> None:
        """Take an answer into account.

        Raises:
            SpaceError: The space counts as down, or the address as wrong.
        """
        if answer.is_from_api:
            self._is_api_known = True
        elif answer.is_broken and not self._is_api_known:
            self._note_broken(answer)
        kind = "read" if method == "GET" else "write"
        if answer.fate in {"certain", "fatal"}:
            self._in_a_row[kind] = 0
        elif answer.status != 429:
            self._note_failure(kind, answer)

    def give_up(self, message: str, answer: Answer) -> SpaceError:
        """The error that ends this client."""
        error = SpaceError(
            message,
            status=answer.status or None,
            error_id=answer.error_id,
            request_id=answer.request_id,
        )
        with self._lock:
            self._fatal = self._fatal or error
        return error

    def _note_broken(self, answer: Answer) -> None:
        """One broken answer is an accident; when the first ones all are, the address is wrong."""
        with self._lock:
            self._broken_at_first += 1
            count = self._broken_at_first
        if count >= MAX_BROKEN_AT_FIRST:
            raise self.give_up(
                f"{self._host} gave {count} answers such as this: status {answer.status}, "
                f"{answer.trouble}. That is not a Content Management API. "
                "Check CONTENTFUL_CMA_URL.",
                answer,
            )

    def _note_failure(self, kind: str, answer: Answer) -> None:
        with self._lock:
            self._in_a_row[kind] += answer.weight
            failures = self._in_a_row[kind]
        if failures >= self._max_in_a_row:
            raise self.give_up(
                f"The {self._space} failed {failures} times in a row to {kind} "
                f"(last: {answer.error_id}). Start the run again once it is up; what was written "
                "stays and is not written twice.",
                answer,
            )
