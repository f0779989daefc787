"""HTTP sessions towards a source: one per thread, never shared with the space."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import requests

from sync_pipeline.deadline import BoundedAdapter

#: Headers that may follow a redirect, or a next link, to another host; all others may carry a
#: secret. Proxy-Authorization is set per hop by requests and is meant for the proxy.
SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "user-agent",
     "proxy-authorization"}
)  # fmt: skip


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


# urllib3 logs whole URLs at DEBUG, API keys in their query strings included. Our own line for each
# request says the same, redacted.
logging.getLogger("urllib3.connectionpool").addFilter(_is_above_debug)


def _send_as_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class SourceSession(requests.Session):
    """A session that sends what it is told to, where it is told to, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        # Without an `auth` of its own, requests overwrites Authorization from ~/.netrc.
        self.auth = _send_as_is
        for scheme in ("https://", "http://"):
            self.mount(scheme, BoundedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        """None, always: see `redirects`, which also knows what may go to another host."""
        return


def is_http_url(url: str) -> bool:
    """Whether a text is an absolute http or https URL with a host and a sound port."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)


def is_same_origin(session: requests.Session, old: str, new: str) -> bool:
    """Whether credentials for one URL may be sent to another."""
    return not session.should_strip_auth(old, new)  # type: ignore[no-untyped-call]  # its stubs


class SessionPerThread:
    """Gives each thread a session of its own, and closes them all.

    Args:
        build: Makes a session.
    """

    def __init__(self, build: Callable[[], requests.Session]) -> None:
        self._build = build
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []

    def get(self) -> requests.Session:
        """The session of the calling thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._build()
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close all sessions. Idempotent; a later `get` opens a new one."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()
