"""Requests to a source: sent, retried, bounded, logged; answers that are streams of bytes.

Knows nothing of pages, formats or templates::

    HttpRequest ─► SourceHttp.fetch(request, read) ─► what `read(Answer)` made of the body
                      │ rate limit, credentials, redirects, Retry-After, backoff
                      └ one attempt: SourceHttp.open(request)
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import requests
import urllib3

from sync_pipeline.deadline import LEAST_BYTES_PER_S, TimeBudget
from sync_pipeline.errors import ConfigError, SourceDataError, SourceError
from sync_pipeline.extract.formats import TextMemory
from sync_pipeline.extract.http.auth import Authenticator, NoAuth, with_query
from sync_pipeline.extract.http.bodies import Answer, BodyStream, not_undone, too_long
from sync_pipeline.extract.http.content_encoding import NotUndoneError
from sync_pipeline.extract.http.failures import describe_failure, is_final_tls_failure
from sync_pipeline.extract.http.redirects import MOST_REDIRECTS, leave, loses_body, redirect_target
from sync_pipeline.extract.http.retrying import Attempts, RateLimit, RetryPolicy, TransientFailure
from sync_pipeline.extract.http.sessions import SAFE_HEADERS, SessionPerThread, is_same_origin
from sync_pipeline.extract.http.statuses import check_status
from sync_pipeline.redaction import Redactor, redact_url

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request before credentials are put to it."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    #: Parameters that are secret, and so not in `url`; for the host that may have credentials.
    secret_query: Mapping[str, str] = field(default_factory=dict)
    #: Key of the file that says the address; "" where the source itself named it.
    key: str = "endPoint"


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds on one request."""

    #: Of connecting, and of waiting for the next bytes.
    timeout_s: float = 60
    #: Of waiting for an answer in all, redirects included; its body buys further time.
    max_s: float = 300
    #: A body that comes slower uses the time up.
    least_bytes_per_s: float = LEAST_BYTES_PER_S
    #: On the wire and unpacked.
    max_response_bytes: int = 8 * 1024**3


class SourceHttp:
    """Makes the requests of one source. Use it from any thread; close it.

    Args:
        sessions: One session per thread, never shared with the space.
        where: Put before messages: the config file.
        authenticator: Adds credentials.
        redactor: Takes secrets out of texts.
        limits: Bounds of one request.
        retry: How often a request is made again.
        requests_per_second: None: no limit.
        is_cached: The sessions call `before_request` by themselves, for what their cache lacks.
        warn: Told what a reader of the run must know about the answers; `log.warning` by default.
        log: One line a request at DEBUG.
        sleep: Pauses for seconds.
        clock: Unix time, to read dates in Retry-After.
        monotonic: Seconds, for the rate limit and durations.
        jitter: A number in [0, 1) that spreads the pauses.
    """

    def __init__(
        self,
        sessions: SessionPerThread,
        *,
        where: str = "",
        authenticator: Authenticator | None = None,
        redactor: Redactor | None = None,
        limits: HttpLimits | None = None,
        retry: RetryPolicy | None = None,
        requests_per_second: float | None = None,
        is_cached: bool = False,
        warn: Callable[[str], None] | None = None,
        log: logging.Logger | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sessions = sessions
        self._where = f"{where}: " if where else ""
        self._authenticator = authenticator or NoAuth()
        self._redactor = redactor or Redactor(())
        self._limits = limits or HttpLimits()
        self._retry = retry or RetryPolicy()
        self._log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._rate = RateLimit(requests_per_second, sleep=sleep, monotonic=monotonic)
        self._is_cached = is_cached
        warn = warn or (lambda text: self._log.warning("%s", text))
        self._texts = TextMemory(lambda text: warn(self.redact(f"{self._where}{text}")))
        self._own_redactor: tuple[tuple[str, ...], Redactor] | None = None
        #: Requests made so far, attempts that failed included.
        self.requests = 0

    def attempts(self) -> Attempts:
        """A new count of attempts, for one page."""
        return Attempts(self._retry, log=self._log, sleep=self._sleep, jitter=self._jitter)

    def fetch(self, request: HttpRequest, read: Callable[[Answer], T], *, home: str = "") -> T:
        """Make a request and read its answer, as one: if reading fails, both are made again.

        Args:
            request: What to ask.
            read: Reads the body; called once an attempt.
            home: See `open`.

        Raises:
            SourceError: The request failed for good, or its attempts are used up.
            ConfigError: The request cannot be made as it is configured.
        """
        attempts = self.attempts()
        while True:
            try:
                with self.open(request, home=home) as answer:
                    return read(answer)
            except TransientFailure as failure:
                attempts.wait(failure)

    @contextmanager
    def open(self, request: HttpRequest, *, home: str = "") -> Iterator[Answer]:
        """One attempt, renewing credentials once after a 401.

        Args:
            request: What to ask.
            home: URL whose host may have the credentials; "" is the request's own.

        Raises:
            TransientFailure: Another attempt may succeed.
            SourceError: None can.
            ConfigError: The request cannot be made as it is configured.
        """
        home = home or request.url
        response, started = self._send(request, home)
        if response.status_code == 401 and self._authenticator.renew():
            response.close()
            self._log.info("%sthe source refused the access token; with a new one", self._where)
            response, started = self._send(request, home)
        name = self.name(request)
        stream = BodyStream(
            response,
            name=name,
            max_bytes=self._limits.max_response_bytes,
            timeout_s=self._limits.timeout_s,
            warn=self._texts.warn_once,
        )
        try:
            check_status(response, stream, name=name, now=self._clock(), redact=self.redact)
            declared = response.headers.get("Content-Length", "")
            is_number = declared.isascii() and declared.isdigit()
            if is_number and int(declared) > self._limits.max_response_bytes:
                raise too_long(name, self._limits.max_response_bytes)
            answer = Answer(
                response.status_code,
                response.url or request.url,
                response.headers,
                stream,
                name,
                self.redact(redact_url(request.url)),
                self._texts,
                self.redact,
                response,
            )
            try:
                yield answer
            except SourceDataError as err:
                if stream.failure is not None:
                    raise stream.failure from err
                raise answer.reject(err) from err
        finally:
            response.close()
            self._log.debug(
                "%s: %d in %.3f s, %d bytes",
                name, response.status_code, self._monotonic() - started, stream.bytes_read,
            )  # fmt: skip

    def name(self, request: HttpRequest) -> str:
        """A request as messages call it: file, method, redacted URL."""
        return self.redact(f"{self._where}{request.method} {redact_url(request.url)}")

    def redact(self, text: str) -> str:
        """The text without any secret, those got at run time included."""
        secrets = tuple(self._authenticator.secrets())
        if self._own_redactor is None or self._own_redactor[0] != secrets:
            self._own_redactor = (secrets, Redactor(secrets))
        return self._own_redactor[1].redact(self._redactor.redact(text))

    def before_request(self) -> None:
        """Wait for the rate limit, and count a request that goes to the source."""
        self._rate.wait()
        self.requests += 1

    def close(self) -> None:
        """Close the connections, and tell what was counted in the answers. Idempotent."""
        self._texts.tell_counts()
        self._sessions.close()
        self._authenticator.close()

    def _send(self, request: HttpRequest, home: str) -> tuple[requests.Response, float]:
        """The first answer that is no redirect; once on another host, credentials are left out."""
        session = self._sessions.get()
        hop, is_home = request, True
        started = self._monotonic()
        limits = self._limits
        budget = TimeBudget(
            limits.max_s, least_bytes_per_s=limits.least_bytes_per_s, clock=self._monotonic
        )
        for _ in range(MOST_REDIRECTS + 1):
            is_home = is_home and is_same_origin(session, home, hop.url)
            response = self._send_once(session, hop, budget, is_home=is_home)
            target = self._redirect_target(request, response)
            if target is None:
                return response, started
            leave(response)
            # The new address has the query that the source gave it.
            hop = replace(hop, url=target, secret_query={})
        raise SourceError(
            f"{self.name(request)}: too many redirects. "
            f"{_put_address(request, 'the final address')}"
        )

    def _send_once(
        self,
        session: requests.Session,
        request: HttpRequest,
        budget: TimeBudget,
        *,
        is_home: bool,
    ) -> requests.Response:
        headers, url = dict(request.headers), request.url
        if is_home:
            credentials = self._authenticator.credentials()
            headers = _merge_headers(headers, credentials.headers)
            url = with_query(url, {**request.secret_query, **credentials.query})
        else:
            if request.method != "GET":
                raise SourceError(
                    f"{self.name(request)} leads to another host, which is refused for a POST: its "
                    f"body may hold credentials. {_put_address(request, 'the final address')}"
                )
            headers = {key: value for key, value in headers.items() if key.lower() in SAFE_HEADERS}
            self._log.warning(
                "%s leads to another host: asked without credentials", self.name(request)
            )
        if not self._is_cached:
            self.before_request()
        started = self._monotonic()
        try:
            with budget:
                return session.request(
                    request.method,
                    url,
                    headers={key: value.encode("utf-8") for key, value in headers.items()},
                    data=request.body,
                    stream=True,
                    timeout=self._limits.timeout_s,
                )
        except requests.RequestException as err:
            name = self.name(request)
            failure = self._failure(err, name)
            self._log.debug("%s: failed in %.3f s", name, self._monotonic() - started)
            raise failure from err
        except NotUndoneError as err:  # of the response cache, which reads the body at once
            raise not_undone(self.name(request), err) from err
        except (urllib3.exceptions.HTTPError, ValueError) as err:
            raise SourceError(
                self.redact(
                    f"{self.name(request)} cannot be made: {describe_failure(err, 0)}. "
                    f"Check endPoint and headers"
                )
            ) from err

    def _redirect_target(self, request: HttpRequest, response: requests.Response) -> str | None:
        status = response.status_code
        try:
            target = redirect_target(response)
        except ValueError as err:
            response.close()
            raise SourceError(
                f"{self.name(request)} answered status {status}: a redirect leads to no URL. "
                f"{_put_address(request, 'the final address')}",
                status=status,
            ) from err
        if target is not None and loses_body(request.method, status):
            response.close()
            raise SourceError(
                f"{self.name(request)} answered status {status}, a redirect to "
                f"{self.redact(redact_url(target))}: to follow it would make the {request.method} "
                f"a GET without its body. {_put_address(request, 'the new address')}",
                status=status,
            )
        return target

    def _failure(self, err: requests.RequestException, name: str) -> Exception:
        reason = self.redact(describe_failure(err, self._limits.timeout_s))
        if isinstance(err, requests.exceptions.SSLError) and is_final_tls_failure(err):
            return SourceError(
                f"{name}: no secure connection: {reason}. Check the host in endPoint and its "
                f"certificate"
            )
        if isinstance(
            err,
            requests.exceptions.InvalidURL
            | requests.exceptions.MissingSchema
            | requests.exceptions.InvalidSchema
            | requests.exceptions.InvalidHeader,
        ):
            return ConfigError(
                f"{name}: the request cannot be made ({type(err).__name__}): endPoint must give an "
                f"absolute http or https URL, and headers must be single lines"
            )
        if isinstance(
            err,
            requests.ConnectionError
            | requests.Timeout
            | requests.exceptions.ChunkedEncodingError
            | requests.exceptions.ContentDecodingError,
        ):
            return TransientFailure(f"{name} failed: {reason}")
        return SourceError(f"{name} failed: {reason}")


def _put_address(request: HttpRequest, what: str) -> str:
    if request.key:
        return f"Put {what} into {request.key}"
    return f"The source itself named this address: let it name {what}"


def _merge_headers(headers: Mapping[str, str], stronger: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in stronger}
    return {k: v for k, v in headers.items() if k.lower() not in names} | dict(stronger)
