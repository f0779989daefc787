"""The one way to the Content Management API: sessions, pacing, retries, and who gives up when.

What may be repeated blindly is repeated here: reads, and writes that certainly were not carried out
(429, no connection). A write whose fate is unknown (reset, timeout, 5xx) comes back as an
ambiguous `Answer`: the caller reads the entry by id and compares before it decides.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import requests
from pydantic import SecretStr
from typing_extensions import Self

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.answer import Answer, encode_body, parse_body
from sync_pipeline.load.connections import (
    SessionPool,
    check_base_url,
    host_of,
    may_have_arrived,
    trouble_text,
    wait_asked_for,
)
from sync_pipeline.load.rate_limit import RateLimit, open_rate_limit

#: A text, because Python 3.10 cannot subscribe LoggerAdapter.
LoggerLike: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"
_LOG = logging.getLogger("sync_pipeline.load")

MANAGEMENT_JSON = "application/vnd.contentful.management.v1+json"
PATCH_JSON = "application/json-patch+json"

#: Attempts of one request before the space counts as down: 0.5 to 4 s apart, 16 s in all.
MAX_ATTEMPTS = 9
#: Attempts of one request that the rate limit refuses; each waits as long as the space says.
MAX_RATE_LIMITED = 30
#: Attempts of one that may be refused for another reason, as when too many bulk actions are going.
MAX_BUSY = 10
#: Server errors in a row, over all threads, after which the space counts as down; more with many
#: requests in flight, so that an outage must outlast two rounds of their attempts.
MAX_FAILURES_IN_A_ROW = 60
_ROUNDS = 2
_MAX_BACKOFF_S = 4.0
_CONNECT_TIMEOUT_S = 10.0
_TRANSIENT = frozenset({500, 502, 503, 504})


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
    ) -> None:
        check_base_url(settings.cma_url)
        self.settings = settings
        self.log = log
        self.sleep = sleep
        self._jitter = jitter
        self._limiter = limiter or open_rate_limit(
            settings.cma_url,
            settings.space_id,
            settings.rate_limit,
            directory=settings.state_dir,
        )
        self._sessions = SessionPool(settings.cma_url, settings.token)
        self._lock = threading.Lock()
        self._requests = 0
        #: Reads and writes apart: a space that takes no writes may well answer reads.
        self._failures_in_a_row = {"read": 0, "write": 0}
        self._fatal: SpaceError | None = None
        self._is_space_known = False
        self._is_limit_told = False

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
        is_repeatable: bool | None = None,
        tolerate: Collection[int] = (),
    ) -> Answer:
        """Send one request, repeated as long as that is safe and can help.

        Args:
            method: GET, PUT, ...
            path: Below the environment: `/entries/x`; or from the root: `/spaces/x`.
            params: Query parameters, encoded here.
            json: Body, sent in the API's own media type (PATCH: as JSON Patch).
            headers: Further headers, `X-Contentful-Version` and the like.
            is_repeatable: Whether a request whose fate is unknown may be sent again blindly; by
                default only a GET.
            tolerate: Of 401, 403 and 404: statuses that are an answer like others here; 429: after
                ten attempts.

        Returns:
            Any answer but those below. `is_ambiguous` marks a write that may have been done.

        Raises:
            SpaceError: Wrong token, no permission, unknown space or environment; or the space
                stays unreachable. All further requests of this client raise it again.
            ValueError: The body holds what JSON cannot (NaN, a lone surrogate).
        """
        repeat = method == "GET" if is_repeatable is None else is_repeatable
        body = None if json is None else encode_body(json)
        failures = limited = 0
        while True:
            answer, wait_s = self._send(method, path, params, body, headers)
            if answer.status == 429:
                limited += 1
                if 429 in tolerate and limited >= MAX_BUSY:
                    return answer
                if limited >= MAX_RATE_LIMITED:
                    raise self._give_up(
                        f"The {self.space_text} kept refusing requests because of its rate limit "
                        f"({limited} times for one request). Lower CONTENTFUL_RATE_LIMIT, or wait.",
                        answer,
                    )
                wait_s = wait_s or self._backoff_s(limited - 1)
                self._tell_of_rate_limit(wait_s)
                self._limiter.push_back(wait_s)
                self.sleep(wait_s + 0.2 * self._jitter())
                continue
            if answer.status and answer.status not in _TRANSIENT:
                self._failures_in_a_row[_kind_of(method)] = 0
                return self._check(method, path, answer, tolerate)
            self._count_failure(_kind_of(method), answer)
            if answer.is_ambiguous and not repeat:
                return answer
            failures += 1
            if failures >= MAX_ATTEMPTS:
                raise self._give_up(self._down_text(method, path, answer, failures), answer)
            self.back_off(failures - 1)

    def _tell_of_rate_limit(self, wait_s: float) -> None:
        if not self._is_limit_told:  # two threads may both tell; no harm
            self._is_limit_told = True
            self.log.info(
                "The %s answers 429, its rate limit: it is asked again in %.1f s, and so on. "
                "CONTENTFUL_RATE_LIMIT is %g a second (0: no limit of our own)",
                self.space_text, wait_s, self.settings.rate_limit,
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
    ) -> tuple[Answer, float]:
        """One attempt; also the seconds that the space asks to wait, 0 where it says nothing."""
        if self._fatal is not None:
            raise self._fatal
        self._limiter.acquire()
        all_headers = dict(headers or {})
        if body is not None:
            all_headers["Content-Type"] = PATCH_JSON if method == "PATCH" else MANAGEMENT_JSON
        with self._lock:
            self._requests += 1
        started = time.perf_counter()
        try:
            with self._sessions.borrow() as session:
                response = session.request(
                    method,
                    self._url(path),
                    params=params,
                    data=body,
                    headers=all_headers,
                    timeout=(
                        min(_CONNECT_TIMEOUT_S, self.settings.timeout_s),
                        self.settings.timeout_s,
                    ),
                    allow_redirects=False,
                )
                content = response.content
        except requests.exceptions.RequestException as err:
            answer = Answer(0, is_ambiguous=may_have_arrived(err), trouble=trouble_text(err))
            self._log_request(method, path, params, answer, started)
            return answer, 0.0
        answer = Answer(
            response.status_code,
            parse_body(content),
            response.headers.get("X-Contentful-Request-Id", ""),
            is_ambiguous=response.status_code in _TRANSIENT,
        )
        self._log_request(method, path, params, answer, started)
        return answer, wait_asked_for(response.headers)

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
        started: float,
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
                1000 * (time.perf_counter() - started),
            )

    def _check(self, method: str, path: str, answer: Answer, tolerate: Collection[int]) -> Answer:
        """Tell what concerns the whole run from what concerns this request."""
        if answer.status in tolerate:
            return answer
        if answer.status == 401:
            raise self._give_up(
                f"The {self.space_text} does not accept the token (401 {answer.error_id}). Set "
                "CONTENTFUL_MANAGEMENT_TOKEN to a valid Content Management API token.",
                answer,
            )
        if answer.status == 403:
            said = f" It says: {answer.message}." if answer.message else ""
            raise self._give_up(
                f"The {self.space_text} forbids {method} {path} (403 {answer.error_id}).{said} "
                "Give the owner of CONTENTFUL_MANAGEMENT_TOKEN the permission, or use the token of "
                "somebody who has it; a plan limit answers in the same way.",
                answer,
            )
        if answer.status == 404 and answer.error_id != "UnknownRoute":
            self._check_space(answer)
        if answer.is_ok and answer.status != 204 and answer.body is None:
            raise self._give_up(
                f"{method} {path} at {host_of(self.settings.cma_url)} answered {answer.status} "
                "without JSON: that is not a Content Management API. Check CONTENTFUL_CMA_URL.",
                answer,
            )
        if 300 <= answer.status < 400:
            raise self._give_up(
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
            if found.status == 404 and found.error_id != "UnknownRoute":
                raise self._give_up(
                    f"There is no {what} {value!r} at {host_of(self.settings.cma_url)} that this "
                    f"token may see (404). Correct {variable}, or CONTENTFUL_MANAGEMENT_TOKEN.",
                    found,
                )
        self._is_space_known = True

    def _count_failure(self, kind: str, answer: Answer) -> None:
        with self._lock:
            self._failures_in_a_row[kind] += 1
            failures = self._failures_in_a_row[kind]
        in_flight = self.settings.concurrency
        if failures >= max(MAX_FAILURES_IN_A_ROW, _ROUNDS * MAX_ATTEMPTS * in_flight):
            raise self._give_up(
                f"The {self.space_text} failed {failures} times in a row to {kind} "
                f"(last: {answer.error_id}). Start the run again once it is up; what was written "
                "stays and is not written twice.",
                answer,
            )

    def _down_text(self, method: str, path: str, answer: Answer, failures: int) -> str:
        came_back = answer.trouble or f"{answer.status} {answer.error_id}"
        return (
            f"The {self.space_text} cannot be reached: {method} {path} failed {failures} times "
            f"({came_back}). Check CONTENTFUL_CMA_URL and the network, and start the run again; "
            "what was written stays and is not written twice."
        )

    def _give_up(self, message: str, answer: Answer) -> SpaceError:
        """The error that ends this client: every further request raises it too."""
        error = SpaceError(
            message,
            status=answer.status or None,
            error_id=answer.error_id,
            request_id=answer.request_id,
        )
        with self._lock:
            self._fatal = self._fatal or error
        return error


def _kind_of(method: str) -> str:
    return "read" if method == "GET" else "write"


def raise_unexpected(client: SpaceClient, answer: Answer, doing: str) -> None:
    """Turn an answer that nothing can be made of into an error for the whole run."""
    raise SpaceError(
        f"{doing} in {client.space_text} was refused: {answer.status} {answer.error_id}"
        f"{': ' + answer.message if answer.message else ''} (request {answer.request_id or '-'}).",
        status=answer.status,
        error_id=answer.error_id,
        request_id=answer.request_id,
    )
