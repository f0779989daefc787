"""The response cache behind `use_file_cache`: answers of a source on disk, bodies as files.

::

    <cache_dir>/<sync>/<key>.json    what requests-cache writes of a response, without its body
    <cache_dir>/<sync>/<key>.body    the body, `Content-Encoding` undone

requests-cache itself reads every body into memory, `stream=True` or not
(https://github.com/requests-cache/requests-cache/issues/878), and CacheControl stores only what
the server's headers allow. So requests-cache keeps the record of a response, and an adapter lets
bodies flow through a file: however large an answer is, only a chunk of it is in memory.

No secret gets into a file: keys are digests, requests are not stored, headers that may hold
secrets are dropped, and an answer that repeats a secret of its request is not kept at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests_cache.backends.filesystem import FileDict
from requests_cache.models.response import CachedResponse

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.sources import ApiKeyAuth, OAuth2Auth
from sync_pipeline.deadline import BoundedAdapter
from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.http.content_encoding import LIE_HEADER, Unpacked, is_length_known
from sync_pipeline.model import utc_now
from sync_pipeline.private_files import make_private_folder

_log = logging.getLogger(__name__)

_CHUNK: Final = 256 * 1024
_DIGEST_HEADER: Final = "X-Sync-Body-Digest"
#: Differ between runs, or are set by requests, without changing the answer.
_IRRELEVANT: Final = frozenset(
    {"user-agent", "accept-encoding", "connection", "content-length", "host", "cookie", "date",
     "traceparent", "tracestate", "x-request-id"}
)  # fmt: skip
#: No longer true of the stored body.
_TRANSPORT: Final = frozenset(
    {"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive",
     "trailer", "upgrade"}
)  # fmt: skip
_SECRET_NAME: Final = re.compile(
    r"auth|cookie|token|secret|api[-_]?key|passw|session|credential|signature|^(?:key|sig|pwd|code)$",
    re.IGNORECASE,
)
#: Tokens of pagination, which are no secrets.
_PAGING_NAME: Final = re.compile(r"(?:page|next|skip|continuation|sync)[-_]?token", re.IGNORECASE)
#: Shorter values would be found by chance.
_SHORTEST_SECRET: Final = 6


def open_cached_session(
    cache_dir: Path,
    config: SyncConfig,
    *,
    secret_header_names: Collection[str] = (),
    session: requests.Session | None = None,
    before_request: Callable[[], None] = lambda: None,
    clock: Callable[[], datetime] = utc_now,
) -> requests.Session:
    """A session that answers from the cache what it holds, and fills it otherwise.

    Only answers with status 200 are kept, for `cache_hours`. The body is on disk before `send`
    returns, so a transfer that breaks is an error of the request. `stream=True`, `response.raw` and
    `iter_content` work; close the response as ever. Never use it for token requests.

    Args:
        cache_dir: Directory of all syncs' caches; made if need be.
        config: Its `key`, `auth`, `cache_hours` and `max_response_bytes` count.
        secret_header_names: Request headers whose values must not get to the disk.
        session: Gets the adapter mounted (as it is, with its redirect rules); else a new one.
        before_request: Called before each request that really goes to the source.
        clock: For tests.
    """
    adapter = CachingAdapter(
        cache_dir,
        config,
        secret_header_names=secret_header_names,
        before_request=before_request,
        clock=clock,
    )
    session = session or requests.Session()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def forget_answer(response: requests.Response) -> None:
    """Take an answer out of the cache, because it turned out to be unusable."""
    adapter = getattr(response, "connection", None)
    if isinstance(adapter, CachingAdapter) and response.request is not None:
        adapter.forget(response.request)


class CachingAdapter(BoundedAdapter):
    """Transport with a cache in front; any number of them, in any process, may share a directory.

    Args:
        cache_dir: As in `open_cached_session`, and so the other arguments.
    """

    def __init__(
        self,
        cache_dir: Path,
        config: SyncConfig,
        *,
        secret_header_names: Collection[str] = (),
        before_request: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__()
        self._before_request = before_request
        self._config = config
        self._dir = cache_dir / config.key
        self._clock = clock
        self._lifetime = timedelta(hours=config.cache_hours)
        self._secret_headers = {name.lower() for name in secret_header_names}
        self._kept_headers = _continuation_headers(config)
        self._own_cookie = any(name.lower() == "cookie" for name in config.headers)
        self._warned = False
        try:
            make_private_folder(self._dir)
            self._records = FileDict(self._dir, serializer="json")
            self._prune()
        except OSError as err:
            raise self._disk_error(err) from err

    def send(  # noqa: PLR0917 - requests' own signature
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the body goes through a file either way
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer from the cache, or send and keep.

        Raises:
            SourceDataError: The answer is larger than `max_response_bytes`.
            SourceError: The cache cannot be written.
        """
        key = self._key(request)
        cached = self._open(key, request)
        if cached is not None:
            return cached
        self._before_request()
        response = super().send(
            request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies
        )
        if response.status_code != requests.codes.ok or request.method not in ("GET", "POST"):
            return response
        return self._keep(key, request, response)

    def forget(self, request: requests.PreparedRequest) -> None:
        """Drop the answer to a request, if it is there."""
        key = self._key(request)
        for path in (self._record_path(key), self._body_path(key)):
            path.unlink(missing_ok=True)

    def _key(self, request: requests.PreparedRequest) -> str:
        """A digest of all that the answer may depend on; of secrets too, so that two accounts
        never share an answer. Tokens of OAuth differ at every run and are left out.
        """
        irrelevant = set(_IRRELEVANT)
        if self._own_cookie:
            irrelevant.discard("cookie")
        if isinstance(self._config.auth, OAuth2Auth):
            irrelevant.add("authorization")
        headers = sorted(
            (name.lower(), _text(value))
            for name, value in request.headers.items()
            if name.lower() not in irrelevant
        )
        parts = [request.method, request.url, _text(request.body), headers]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()

    def _open(self, key: str, request: requests.PreparedRequest) -> requests.Response | None:
        """The kept answer; None where there is none, or an expired or damaged one."""
        record = self._read_record(key)
        if record is None or self._clock() - record.created_at >= self._lifetime:
            return None
        try:
            body = self._body_path(key).open("rb")
        except OSError:
            return None
        with _closing_on_error(body):
            if _digest_of(body) != record.headers.get(_DIGEST_HEADER):
                _log.warning("a damaged answer in the response cache is asked for again")
                body.close()
                return None
            body.seek(0)
            return self._respond(request, body, record.headers)

    def _read_record(self, key: str) -> CachedResponse | None:
        try:
            record = self._records[key]
        except KeyError:
            return None
        except Exception as err:  # noqa: BLE001 - whatever a damaged file does is a miss
            _log.warning("a damaged record in the response cache: %s", type(err).__name__)
            return None
        usable = isinstance(record, CachedResponse) and record.created_at.tzinfo is not None
        return record if usable else None

    def _keep(
        self, key: str, request: requests.PreparedRequest, response: requests.Response
    ) -> requests.Response:
        secrets = self._secrets_of(request)
        headers = self._storable_headers(response.headers)
        leaks = any(secret in value for secret in secrets for value in headers.values())
        try:
            descriptor, name = tempfile.mkstemp(dir=self._dir, prefix="new-", suffix=".body")
        except OSError as err:
            response.close()
            raise self._disk_error(err) from err
        temporary, file = Path(name), os.fdopen(descriptor, "w+b")
        kept = False
        try:
            with _closing_on_error(file):
                received = self._receive(response, file, secrets)
                if received.lie:
                    headers[LIE_HEADER] = response.headers[LIE_HEADER] = received.lie
                served = self._served_headers(response.headers)
                if is_length_known(response.headers):
                    headers["Content-Length"] = served["Content-Length"] = str(file.tell())
                if received.has_secret or leaks:
                    self._warn_of_secret()
                else:
                    temporary.replace(self._body_path(key))
                    kept = True
                    self._write_record(key, response, headers, received.digest)
                file.seek(0)
                return self._respond(request, file, served)
        except OSError as err:
            if isinstance(err, requests.RequestException):
                raise  # the transfer broke: the caller's to retry
            raise self._disk_error(err) from err
        finally:
            response.close()
            if not kept:
                # The open file stays readable to its end (as on every POSIX system).
                temporary.unlink(missing_ok=True)

    def _receive(
        self, response: requests.Response, file: BinaryIO, secrets: tuple[str, ...]
    ) -> _Received:
        digest = hashlib.sha256()
        needles = [secret.encode() for secret in secrets]
        overlap = max((len(needle) for needle in needles), default=1) - 1
        tail, size, has_secret = b"", 0, False
        body = Unpacked(response)
        for chunk in body.chunks(_CHUNK):
            size += len(chunk)
            if size > self._config.max_response_bytes:
                raise SourceDataError(
                    f"{self._config.path or self._config.key}: the answer is more than "
                    f"maxResponseBytes ({self._config.max_response_bytes:,} bytes). Raise "
                    "maxResponseBytes if the source is to be trusted with that much."
                )
            window = tail + chunk
            has_secret = has_secret or any(needle in window for needle in needles)
            tail = window[-overlap:] if overlap else b""
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        return _Received(digest.hexdigest(), has_secret, body.lie)

    def _write_record(
        self, key: str, response: requests.Response, headers: Mapping[str, str], digest: str
    ) -> None:
        # Without body, request and URL: nothing else is fit to be stored.
        self._records[key] = CachedResponse(
            content=b"",
            created_at=self._clock(),
            headers=CaseInsensitiveDict({**headers, _DIGEST_HEADER: digest}),
            reason=response.reason,
            status_code=response.status_code,
            url="",
        )

    def _respond(
        self, request: requests.PreparedRequest, body: BinaryIO, headers: Mapping[str, str]
    ) -> requests.Response:
        served = {name: value for name, value in headers.items() if name != _DIGEST_HEADER}
        raw = urllib3.HTTPResponse(
            body=body, headers=served, status=200, reason="OK", preload_content=False,
            decode_content=False, request_method=request.method,
        )  # fmt: skip
        return self.build_response(request, raw)

    def _storable_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in self._served_headers(headers).items()
            if name.lower() in self._kept_headers
            or not (_SECRET_NAME.search(name) or name.lower() in self._secret_headers)
        }

    @staticmethod
    def _served_headers(headers: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name.lower() not in _TRANSPORT}

    def _secrets_of(self, request: requests.PreparedRequest) -> tuple[str, ...]:
        """Texts that must not be stored, of the headers and the query of a request."""
        found: set[str] = set()
        for name, value in request.headers.items():
            if name.lower() in self._secret_headers or _SECRET_NAME.search(name):
                text = _text(value)
                found |= {text, text.partition(" ")[2]}
        auth = self._config.auth
        own_name = auth.name.lower() if isinstance(auth, ApiKeyAuth) else ""
        for name, value in parse_qsl(urlsplit(request.url or "").query):
            if name.lower() == own_name or (
                _SECRET_NAME.search(name) and not _PAGING_NAME.search(name)
            ):
                found.add(value)
        continuation = {_text(request.headers.get(name, "")) for name in self._kept_headers}
        return tuple(sorted(text for text in found - continuation if len(text) >= _SHORTEST_SECRET))

    def _warn_of_secret(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "an answer of the source repeats a secret of its request (often in the next URL): "
                "such answers are not kept in the response cache"
            )

    def _prune(self) -> None:
        """Remove what has expired, leftovers of killed runs included."""
        oldest = time.time() - self._lifetime.total_seconds()
        for path in self._dir.iterdir():
            with suppress(FileNotFoundError):  # another run was faster
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _record_path(self, key: str) -> Path:
        return self._dir / f"{key}.json"

    def _body_path(self, key: str) -> Path:
        return self._dir / f"{key}.body"

    def _disk_error(self, err: OSError) -> SourceError:
        return SourceError(
            f"the response cache {self._dir} cannot be written ({err.strerror or err}). Free space "
            "or mend its rights, or run without the file cache."
        )


@dataclass(frozen=True, slots=True)
class _Received:
    """What is known of a body once it is on disk."""

    #: SHA-256, hexadecimal.
    digest: str
    has_secret: bool
    #: The Content-Encoding that it was said to have, and had not.
    lie: str


class _closing_on_error:  # noqa: N801 - reads as the function it would be
    """Closes a file unless the block ends well: then it belongs to the response."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._file.close()


def _continuation_headers(config: SyncConfig) -> frozenset[str]:
    """Response headers without which the next page could not be asked for."""
    names = {config.continuation_token_header or "", "link"}
    if config.pagination:
        names.add(config.pagination.header or "")
    return frozenset(name.lower() for name in names if name)


def _digest_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _text(value: Any) -> str:
    """A header or body as text, one to one."""
    if value is None:
        return ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
