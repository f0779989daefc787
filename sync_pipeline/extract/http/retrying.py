"""When a failed request is made again, and after how long.

Retried is only what another attempt can mend: broken connections, 408, 425, 429 and 5xx, and a 403
or 413 that says when to come back. All else, and all that is unknown, is final.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from logging import Logger

from sync_pipeline.errors import SourceError

#: Request Timeout, Too Early, Too Many Requests.
_TRANSIENT_BELOW_500 = frozenset({408, 425, 429})
#: Final, unless the server says how long: GitHub's limits, and a WAF's, are 403.
_TRANSIENT_WITH_PAUSE = frozenset({403, 413})
#: Not Implemented, HTTP Version Not Supported, Loop Detected, Not Extended, Network Authentication
#: Required: the same request gets the same answer.
_FINAL_FROM_500 = frozenset({501, 505, 508, 510, 511})


#: More is a moment in Unix time: as seconds to wait it would be decades.
_UNIX_TIME = 1e9


class TransientFailure(Exception):  # noqa: N818  # internal: becomes a SourceError or a new attempt
    """An attempt failed in a way that another one may mend.

    Args:
        message: Fit to be shown: what failed, without secrets.
        status: HTTP status, where there was an answer.
        retry_after_s: Seconds the server asks to wait, where it does.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long between attempts."""

    #: Further attempts after the first.
    retries: int = 5
    #: Longest pause before the first further attempt, in seconds; doubled for each one after it.
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    #: A server that asks to wait longer than this is given up instead, in seconds.
    longest_retry_after_s: float = 900.0


class Attempts:
    """Counts the attempts at one page, and pauses between them.

    Args:
        policy: How often and how long.
        sleep: Pauses for seconds.
        jitter: A number in [0, 1) that spreads the pauses of many clients ("full jitter").
        log: Told of every pause.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        log: Logger,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._log = log
        self._sleep = sleep
        self._jitter = jitter
        self._failed = 0

    def note_progress(self) -> None:
        """Something new was read: the count of failures begins again."""
        self._failed = 0

    def wait(self, failure: TransientFailure) -> None:
        """Pause before the next attempt.

        Raises:
            SourceError: All attempts are used up, or the server asks to wait too long.
        """
        self._failed += 1
        pause = failure.retry_after_s
        if self._failed > self._policy.retries:
            tries = f"{self._failed} attempts" if self._failed > 1 else "1 attempt"
            raise SourceError(
                f"{failure} ({tries}). Nothing that was read is lost: try again when the source "
                "is back",
                status=failure.status,
                retryable=True,
            ) from failure
        if pause is not None and pause > self._policy.longest_retry_after_s:
            raise SourceError(
                f"{failure}, and asks to wait {pause:.0f} s: try again after that",
                status=failure.status,
                retryable=True,
            ) from failure
        if pause is None:
            bound = self._policy.first_pause_s * 2.0 ** (self._failed - 1)
            pause = self._jitter() * min(self._policy.longest_pause_s, bound)
        self._log.warning("%s; attempt %d follows in %.1f s", failure, self._failed + 1, pause)
        self._sleep(pause)


class RateLimit:
    """Spaces requests evenly: at most so many a second, none in bursts.

    Args:
        per_second: None: no limit.
        sleep: Pauses for seconds.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        per_second: float | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = 1 / per_second if per_second else 0.0
        self._sleep = sleep
        self._monotonic = monotonic
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may be made."""
        if not self._interval_s:
            return
        now = self._monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._interval_s


def is_transient(status: int, pause_s: float | None = None) -> bool:
    """Whether the same request may be answered otherwise a little later.

    Args:
        status: Of the answer.
        pause_s: See `read_pause`.
    """
    if status in _TRANSIENT_WITH_PAUSE:
        return pause_s is not None
    return status in _TRANSIENT_BELOW_500 or (status >= 500 and status not in _FINAL_FROM_500)


def read_pause(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait: by Retry-After, or until its used up limit begins anew.

    Args:
        headers: Names in any case.
        now: Unix time.
    """
    pause = read_retry_after(headers.get("Retry-After"), now)
    if pause is not None:
        return pause
    for prefix in ("X-RateLimit-", "X-Rate-Limit-", "RateLimit-"):
        if headers.get(f"{prefix}Remaining", "").strip() == "0":
            return _until_reset(headers.get(f"{prefix}Reset", ""), now)
    # https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    limit = headers.get("RateLimit", "")
    reset = re.search(r"\b(?:t|reset)=(\d+)", limit)
    is_used_up = re.search(r"\b(?:r|remaining)=0\b", limit)
    return _until_reset(reset.group(1), now) if reset and is_used_up else None


def _until_reset(value: str, now: float) -> float | None:
    """Some send seconds to wait, some the moment in Unix time, some that in milliseconds."""
    try:
        seconds = float(value.strip())
    except ValueError:
        return read_retry_after(value, now) or None
    if seconds > _UNIX_TIME:
        seconds = (seconds / 1000 if seconds > 1000 * _UNIX_TIME else seconds) - now
    return seconds if 0 < seconds < float("inf") else None


def read_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header; None where there is none or it makes no sense.

    Args:
        value: Seconds, or an HTTP date.
        now: Unix time.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = moment.timestamp() - now
    return max(0.0, seconds) if seconds < float("inf") else None
