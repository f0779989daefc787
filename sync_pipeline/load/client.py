"""The one way to the Content Management API: sessions, pacing, retries, and who gives up when.

What may be repeated blindly is repeated here: reads, and writes that certainly were not carried out
(429, no connection). A write whose fate is unknown (reset, timeout, 5xx, an answer that cannot be
read; `load.fate` has the table) comes back as an ambiguous `Answer`: the caller reads the entry by
id and compares before it decides.

The sessions belong to this client alone. They are never shared with a source, carry the token in
an `auth` of their own (so that no `.netrc` replaces it) and follow no redirects.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import SecretStr
from typing_extensions import Self

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.answer import Answer, describe_broken, encode_body, parse_body
from sync_pipeline.load.connections import (
    Outgoing,
    Received,
    SessionPool,
    check_base_url,
    host_of,
    wait_asked_for,
)
from sync_pipeline.load.fate import fate_of, is_refusal
from sync_pipeline.load.health import MAX_ATTEMPTS, SpaceHealth
from sync_pipeline.load.rate_limit import RateLimit, open_rate_limit
from sync_pipeline.load.shapes import Shape, is_object

#: A text, because Python 3.10 cannot subscribe LoggerAdapter.
LoggerLike: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"
_LOG = logging.getLogger("sync_pipeline.load")

MANAGEMENT_JSON = "application/vnd.contentful.management.v1+json"
PATCH_JSON = "application/json-patch+json"

#: Attempts of a read that a proxy refuses, before the refusal is taken for the answer.
MAX_REFUSED = 3
#: A request that was not answered in full within its time counts as so many failed attempts: each
#: of them costs minutes.
_TOO_SLOW_COUNTS = 3
#: Attempts of one request that the rate limit refuses; each waits as long as the space says.
MAX_RATE_LIMITED = 30
#: Attempts of one that may be refused for another reason, as when too many bulk actions are going.
MAX_BUSY = 10
_MAX_BACKOFF_S = 4.0


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """Which space, with which rights, how fast."""

    space_id: str
    token: SecretStr
    environment_id: str = "master"
    #: Base URL of the Content Management API or of a compatible server.
    cma_url: str = "https://api.contentful.com"
    #: Requests per second over all processes of this machine; 0 = no limit of our own.
    rate_limit: float = 7.0
    #: Requests in flight.
    concurrency: int = 8
    #: Of waiting for the next bytes of an answer.
    timeout_s: float = 60.0
    #: Of one request as a whole; a large body may take longer as long as it comes steadily.
    max_seconds: float = 120.0
    #: Where the shared file of the rate limit lies; None: one place for the whole machine.
    state_dir: Path | None = None


class SpaceClient:
    """A connection to one environment of a space, for many threads. To be closed.

    Args:
        settings: Where and how fast.
        limiter: Replaces the limit that all processes of this machine share.
        sleep: Waits that many seconds.
        jitter: A number in [0, 1), so that clients which failed together don't return together.
        log: Gets one DEBUG line a request, without query values, bodies or headers.
        may_write: Called before every request that may change the space; raises where that is not
            for us to do any more.

    Raises:
        EnvironmentVariableError: The base URL is none.
    """

    def __init__(
        self,
        settings: SpaceSettings,
        *,
        limiter: RateLimit | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        log: LoggerLike = _LOG,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        check_base_url(settings.cma_url)
        self.settings = settings
        self.log = log
        self.sleep = sleep
        self._jitter = jitter
        self._may_write = may_write
        self._limiter = limiter or open_rate_limit(
            settings.cma_url,
            settings.space_id,
            settings.rate_limit,
            directory=settings.state_dir,
        )
        self._sessions = SessionPool(settings.cma_url, settings.token)
        self._lock = threading.Lock()
        self._requests = 0
        self._health = SpaceHealth(self.space_text, host_of(settings.cma_url), settings.concurrency)
        self._is_space_known = False
        self._is_limit_told = self._is_broken_told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included, over all threads."""
        return self._requests

    @property
    def space_text(self) -> str:
        """How messages name the target: space, environment and host."""
        s = self.settings
        return f"space {s.space_id!r}, environment {s.environment_id!r} at {host_of(s.cma_url)}"

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._sessions.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        tolerate: Collection[int] = (),
        expects: Shape = is_object,
    ) -> Answer:
        """Send one request, repeated as long as that is safe and can help.

        Args:
            method: GET, PUT, ...
            path: Below the environment: `/entries/x`; or from the root: `/spaces/x`.
            params: Query parameters, encoded here.
            json: Body, sent in the API's own media type (PATCH: as JSON Patch).
            headers: Further headers, `X-Contentful-Version` and the like.
            tolerate: Of 401, 403 and 404: statuses that are an answer like others here; 429: after
                ten attempts.
            expects: What the body of a 2xx must look like to be believed.

        Returns:
            Any answer but those below. `is_ambiguous` marks a write that may have been done.

        Raises:
            SpaceError: Wrong token, no permission, unknown space or environment; or the space
                stays unreachable. All further requests of this client raise it again.
            ValueError: The body holds what JSON cannot (NaN, a lone surrogate).
        """
        body = None if json is None else encode_body(json)
        attempts = failures = limited = refused = 0
        while True:
            received = self._send(method, path, params, body, headers)
            answer = _read(method, received, expects)
            self._log_request(method, path, params, answer, received.duration_s)
            self._health.note(method, answer)
            if answer.status == 429:
                limited += 1
                if 429 in tolerate and limited >= MAX_BUSY:
                    return answer
                self._wait_for_rate_limit(answer, limited, wait_asked_for(received.headers))
                continue
            if answer.fate in {"certain", "fatal"}:
                return self._check(method, path, answer, tolerate)
            if answer.is_broken:
                self._tell_of_broken(method, path, answer)
            if answer.is_ambiguous:
                return answer
            attempts += 1
            failures += answer.weight
            refused += is_refusal(answer.status)
            if refused >= MAX_REFUSED:
                answer = replace(answer, fate="certain")
                self._health.note(method, answer)
                return self._check(method, path, answer, tolerate)
            if failures >= MAX_ATTEMPTS:
                raise self._health.give_up(self._down_text(method, path, answer, attempts), answer)
            self.back_off(attempts - 1)

    def _wait_for_rate_limit(self, answer: Answer, limited: int, asked_for_s: float) -> None:
        if limited >= MAX_RATE_LIMITED:
            raise self._health.give_up(
                f"The {self.space_text} kept refusing requests because of its rate limit "
                f"({limited} times for one request). Lower CONTENTFUL_RATE_LIMIT, or wait.",
                answer,
            )
        wait_s = asked_for_s or self._backoff_s(limited - 1)
        self._tell_of_rate_limit(wait_s)
        self._limiter.push_back(wait_s)
        self.sleep(wait_s + 0.2 * self._jitter())

    def _tell_of_rate_limit(self, wait_s: float) -> None:
        if not self._is_limit_told:  # two threads may both tell; no harm
            self._is_limit_told = True
            self.log.info(
                "The %s answers 429, its rate limit: it is asked again in %.1f s, and so on. "
                "CONTENTFUL_RATE_LIMIT is %g a second (0: no limit of our own)",
                self.space_text, wait_s, self.settings.rate_limit,
            )  # fmt: skip

    def _tell_of_broken(self, method: str, path: str, answer: Answer) -> None:
        if not self._is_broken_told:
            self._is_broken_told = True
            self.log.info(
                "The %s answered %s %s with status %d and %s. Such answers are asked for again, or "
                "what they hide is read back; a proxy on the way may be the reason",
                self.space_text, method, path, answer.status, answer.trouble,
            )  # fmt: skip

    def back_off(self, attempt: int) -> None:
        """Sleep before the next attempt, longer each time; `attempt` counts from 0."""
        self.sleep(self._backoff_s(attempt))

    def _backoff_s(self, attempt: int) -> float:
        return float(min(0.5 * math.sqrt(2) ** attempt, _MAX_BACKOFF_S) + 0.2 * self._jitter())

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Received:
        """One attempt."""
        self._health.raise_if_given_up()
        self._limiter.acquire()
        all_headers = dict(headers or {})
        if body is not None:
            all_headers["Content-Type"] = PATCH_JSON if method == "PATCH" else MANAGEMENT_JSON
        with self._lock:
            self._requests += 1
        if method != "GET":  # last: what is on its way when this process is paused goes on with it
            self._may_write()
        return self._sessions.exchange(
            Outgoing(
                method,
                self._url(path),
                params,
                all_headers,
                body,
                self.settings.timeout_s,
                self.settings.max_seconds,
            )
        )

    def _url(self, path: str) -> str:
        base = self.settings.cma_url.rstrip("/")
        if path.startswith("/spaces/"):
            return base + path
        return (
            f"{base}/spaces/{self.settings.space_id}"
            f"/environments/{self.settings.environment_id}{path}"
        )

    def _log_request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        answer: Answer,
        duration_s: float,
    ) -> None:
        if self.log.isEnabledFor(logging.DEBUG):
            names = ",".join(params) if params else "-"
            self.log.debug(
                "%s %s query=%s status=%s error=%s request_id=%s ms=%.0f",
                method,
                path,
                names,
                answer.status,
                "-" if answer.is_ok else answer.error_id,
                answer.request_id or "-",
                1000 * duration_s,
            )

    def _check(self, method: str, path: str, answer: Answer, tolerate: Collection[int]) -> Answer:
        """Tell what concerns the whole run from what concerns this request."""
        if answer.status in tolerate:
            return answer
        if answer.status == 401:
            raise self._health.give_up(
                f"The {self.space_text} does not accept the token (401 {answer.error_id}). Set "
                "CONTENTFUL_MANAGEMENT_TOKEN to a valid Content Management API token.",
                answer,
            )
        if answer.status == 403:
            said = f" It says: {answer.message}." if answer.message else ""
            raise self._health.give_up(
                f"The {self.space_text} forbids {method} {path} (403 {answer.error_id}).{said} "
                "Give the owner of CONTENTFUL_MANAGEMENT_TOKEN the permission, or use the token of "
                "somebody who has it; a plan limit answers in the same way.",
                answer,
            )
        if answer.status == 404 and answer.error_id != "UnknownRoute":
            self._check_space(answer)
        if answer.status == 407:
            raise self._health.give_up(
                "The proxy on the way to the space wants credentials (407). Correct HTTPS_PROXY.",
                answer,
            )
        if 300 <= answer.status < 400:
            raise self._health.give_up(
                f"{host_of(self.settings.cma_url)} redirects ({answer.status}); redirects are not "
                "followed, to keep the token where it belongs. Correct CONTENTFUL_CMA_URL.",
                answer,
            )
        return answer

    def _check_space(self, answer: Answer) -> None:
        """A 404 without details may mean that the space or environment itself is unknown."""
        if self._is_space_known or answer.details.get("type") not in (
            None,
            "Space",
            "Environment",
        ):
            return
        space_path = f"/spaces/{self.settings.space_id}"
        environment_path = f"{space_path}/environments/{self.settings.environment_id}"
        for path, what, value, variable in (
            (space_path, "space", self.settings.space_id, "CONTENTFUL_SPACE_ID"),
            (
                environment_path,
                "environment",
                self.settings.environment_id,
                "CONTENTFUL_ENVIRONMENT_ID",
            ),
        ):
            # Tolerated statuses: the questions asked here must not ask themselves again.
            found = self.request("GET", path, tolerate=(403, 404))
            if found.status == 404 and not found.is_from_api:
                raise self._health.give_up(
                    f"{host_of(self.settings.cma_url)} answers 404, and not as the Content "
                    "Management API does. Check CONTENTFUL_CMA_URL.",
                    found,
                )
            if found.status == 404 and found.error_id != "UnknownRoute":
                raise self._health.give_up(
                    f"There is no {what} {value!r} at {host_of(self.settings.cma_url)} that this "
                    f"token may see (404). Correct {variable}, or CONTENTFUL_MANAGEMENT_TOKEN.",
                    found,
                )
        self._is_space_known = True

    def _down_text(self, method: str, path: str, answer: Answer, attempts: int) -> str:
        came_back = answer.trouble or f"{answer.status} {answer.error_id}"
        return (
            f"The {self.space_text} cannot be reached: {method} {path} failed {attempts} times "
            f"({came_back}). Check CONTENTFUL_CMA_URL and the network, and start the run again; "
            "what was written stays and is not written twice."
        )


def _read(method: str, received: Received, expects: Shape) -> Answer:
    """What was received, and what it says about the fate of its request."""
    status, body = received.status, parse_body(received.content)
    is_success = 200 <= status < 300
    is_sound = expects(body) if is_success else isinstance(body, Mapping)
    return Answer(
        status,
        body,
        received.headers.get("X-Contentful-Request-Id", ""),
        fate_of(method, status, is_sound=is_sound, was_sent=received.was_sent),
        describe_broken(received.content, body)
        if is_success and not is_sound
        else received.trouble,
        _TOO_SLOW_COUNTS if received.is_too_slow else 1,
    )


def raise_unexpected(client: SpaceClient, answer: Answer, doing: str) -> None:
    """Turn an answer that nothing can be made of into an error for the whole run."""
    raise SpaceError(
        f"{doing} in {client.space_text} was refused: {answer.status} {answer.error_id}"
        f"{': ' + answer.message if answer.message else ''} (request {answer.request_id or '-'}).",
        status=answer.status,
        error_id=answer.error_id,
        request_id=answer.request_id,
    )
