"""Credentials for a source: bearer, basic, API key, OAuth 2.0 client credentials.

Knows nothing of pages. Templates are rendered before they come here. Tokens are kept in memory
only, and their requests never go through the response cache.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

#: A token is renewed this long before it expires, in seconds (or a tenth of its life, if less).
_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is put to a request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


class Authenticator(Protocol):
    """Where the credentials of a request come from."""

    def credentials(self) -> Credentials:
        """The credentials for a request that is made now; may have to fetch a token."""
        ...

    def renew(self) -> bool:
        """After a 401: whether another try has credentials that the first one had not."""
        ...

    def secrets(self) -> Iterable[str]:
        """What must not appear in any text."""
        ...

    def query_names(self) -> frozenset[str]:
        """Query parameters that carry a secret: never kept in a checkpoint."""
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...


class FixedAuth:
    """Credentials that stay the same.

    Args:
        credentials: Put to every request.
        secrets: What must not appear in any text.
    """

    def __init__(self, credentials: Credentials, secrets: Iterable[str] = ()) -> None:
        self._credentials = credentials
        self._secrets = tuple(secret for secret in secrets if secret)

    def credentials(self) -> Credentials:
        """Always the same."""
        return self._credentials

    def renew(self) -> bool:
        """Nothing can be renewed."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """As given."""
        return self._secrets

    def query_names(self) -> frozenset[str]:
        """The parameters put to every request."""
        return frozenset(self._credentials.query)

    def close(self) -> None:
        """Nothing to release."""


class NoAuth(FixedAuth):
    """No credentials but what the headers of the config hold."""

    def __init__(self) -> None:
        super().__init__(Credentials())


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as its server gave it."""

    text: str
    #: Seconds from when it was asked for; None: not said.
    lifetime_s: float | None


class TokenAuth:
    """`Authorization: Bearer` with a token that is fetched, and renewed before it expires.

    Args:
        fetch_token: Asks the token server; raises SourceError.
        secrets: Known from the start (client secret).
        close: Releases what `fetch_token` uses.
        clock: Unix time.
    """

    def __init__(
        self,
        fetch_token: Callable[[], AccessToken],
        *,
        secrets: Iterable[str] = (),
        close: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch_token = fetch_token
        self._close = close
        self._clock = clock
        self._lock = threading.Lock()
        self._secrets = [secret for secret in secrets if secret]
        self._token = ""
        self._renew_at = float("inf")

    def credentials(self) -> Credentials:
        """The token, a new one if it is about to expire.

        Raises:
            SourceError: The token server gives none.
        """
        with self._lock:
            if not self._token or self._clock() >= self._renew_at:
                self._renew()
            return Credentials({"Authorization": f"Bearer {self._token}"})

    def renew(self) -> bool:
        """Forget the token: the next request fetches another."""
        with self._lock:
            self._token = ""
        return True

    def _renew(self) -> None:
        asked_at = self._clock()
        token = self._fetch_token()
        self._token = token.text
        # The last few are enough: they may still stand in a message that is being made.
        self._secrets = [*self._secrets[-8:], token.text]
        self._renew_at = float("inf")
        if token.lifetime_s is not None:
            margin = min(_MARGIN_S, token.lifetime_s / 10)
            self._renew_at = asked_at + token.lifetime_s - margin

    def secrets(self) -> tuple[str, ...]:
        """Client secret and tokens."""
        return tuple(self._secrets)

    def query_names(self) -> frozenset[str]:
        """None: the token goes in a header."""
        return frozenset()

    def close(self) -> None:
        """Release the connection to the token server."""
        self._close()


def bearer(token: str) -> FixedAuth:
    """`Authorization: Bearer <token>`."""
    return FixedAuth(Credentials({"Authorization": f"Bearer {token}"}), [token])


def basic(username: str, password: str) -> FixedAuth:
    """HTTP basic authentication, in UTF-8 (RFC 7617)."""
    value = basic_value(username, password)
    return FixedAuth(Credentials({"Authorization": value}), [password, value.split(" ", 1)[1]])


def basic_value(username: str, password: str) -> str:
    """The header value of HTTP basic authentication."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    return f"Basic {encoded}"


def api_key(name: str, value: str, *, is_in_query: bool) -> FixedAuth:
    """A key in a header or a query parameter."""
    pair = {name: value}
    credentials = Credentials(query=pair) if is_in_query else Credentials(headers=pair)
    return FixedAuth(credentials, [value])


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with parameters put to its query string; they replace those of the same name.

    What is already in the query string stays as it is spelled; the fragment, which is never
    sent, goes.
    """
    parts = urlsplit(url)
    query = "&".join(
        piece
        for piece in parts.query.split("&")
        if piece and not any(name in parameters for name, _ in _pairs(piece))
    )
    # %20 and not +: a plus is a plus for servers that go by RFC 3986 (OData), and all know %20.
    added = urlencode(parameters, quote_via=quote, safe="")
    joined = "&".join(piece for piece in (query, added) if piece)
    return urlunsplit(parts._replace(query=joined, fragment=""))


def secret_pairs(url: str, secrets: Collection[str]) -> dict[str, str]:
    """The parameters of a URL whose values hold a secret."""
    return {
        name: value
        for name, value in _pairs(urlsplit(url).query)
        if any(secret in value for secret in secrets)
    }


def without_query(url: str, names: frozenset[str]) -> str:
    """The URL without the parameters of these names."""
    if not names:
        return url
    parts = urlsplit(url)
    kept = [
        piece
        for piece in parts.query.split("&")
        if piece and not any(name in names for name, _ in _pairs(piece))
    ]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _pairs(piece: str) -> list[tuple[str, str]]:
    return parse_qsl(piece, keep_blank_values=True)
