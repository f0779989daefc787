"""The rate limit of a local space: never more than N requests within any second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

#: What the headers say where there is no limit.
UNLIMITED = 1_000_000
HOUR_LIMIT = 36_000


@dataclass(slots=True)
class RateLimit:
    """A sliding window of one second; `per_second` 0 means no limit."""

    per_second: int
    clock: Callable[[], float]
    _times: deque[float] = field(default_factory=deque)

    def admit(self) -> bool:
        """Whether the request that arrives now may be answered; a refused one does not count."""
        if not self.per_second:
            return True
        now = self.clock()
        while self._times and self._times[0] <= now - 1.0:
            self._times.popleft()
        if len(self._times) >= self.per_second:
            return False
        self._times.append(now)
        return True

    def headers(self, *, limited: bool) -> list[tuple[bytes, bytes]]:
        """The headers that every answer carries; Reset is seconds until the next may succeed."""
        limit = self.per_second or UNLIMITED
        remaining = max(limit - len(self._times), 0)
        return [
            (b"x-contentful-ratelimit-second-limit", b"%d" % limit),
            (b"x-contentful-ratelimit-second-remaining", b"%d" % remaining),
            (b"x-contentful-ratelimit-hour-limit", b"%d" % HOUR_LIMIT),
            (b"x-contentful-ratelimit-hour-remaining", b"%d" % HOUR_LIMIT),
            (b"x-contentful-ratelimit-reset", b"1" if limited else b"0"),
        ]
