"""OAuth 2.0 client credentials: asks the token server (https://www.rfc-editor.org/rfc/rfc6749#section-4.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.formats.encoding import decode_beginning
from sync_pipeline.extract.http.auth import AccessToken, basic_value
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.http.client import HttpRequest, SourceHttp

#: A token answer is small; what is longer is none.
_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who asks for a token, and where; rendered."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None
    #: Send id and secret in the body instead of by HTTP basic authentication.
    is_in_body: bool = False


def token_fetcher(credentials: ClientCredentials, http: SourceHttp) -> Callable[[], AccessToken]:
    """A function that asks for a token.

    Args:
        credentials: Who asks.
        http: Makes the request; not the one whose requests the token is for, and without a cache.

    Returns:
        The function; it raises SourceError where the server gives no token.
    """

    def read(answer: Answer) -> AccessToken:
        body = decode_beginning(answer.stream.read(_MAX_BYTES), answer.content_type)
        client = BackendApplicationClient(credentials.client_id)
        try:
            token = client.parse_request_body_response(body)
        except (OAuth2Error, ValueError, TypeError, AttributeError) as err:
            reason = err.error if isinstance(err, OAuth2Error) else "not a JSON object"
            raise SourceDataError(
                f"{answer.name}: the token server gives no access token ({reason}). "
                f"Check auth.tokenUrl",
                status=answer.status,
            ) from None
        return AccessToken(str(token["access_token"]), _lifetime_s(token.get("expires_in")))

    def fetch() -> AccessToken:
        try:
            return http.fetch(_token_request(credentials), read)
        except SourceError as err:
            if err.status in (400, 401, 403):
                raise SourceError(
                    f"{err}. Asked for an access token: check auth.clientId, auth.clientSecret, "
                    f"auth.scope and auth.clientAuthentication",
                    status=err.status,
                ) from err
            raise

    return fetch


def _token_request(credentials: ClientCredentials) -> HttpRequest:
    client = BackendApplicationClient(credentials.client_id)
    extra: dict[str, Any] = {"audience": credentials.audience} if credentials.audience else {}
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    if credentials.is_in_body:
        body = client.prepare_request_body(
            scope=credentials.scope,
            include_client_id=True,
            client_secret=credentials.client_secret,
            **extra,
        )
    else:
        body = client.prepare_request_body(scope=credentials.scope, **extra)
        headers["Authorization"] = basic_value(credentials.client_id, credentials.client_secret)
    return HttpRequest(
        "POST", credentials.token_url, headers, body.encode("utf-8"), key="auth.tokenUrl"
    )


def _lifetime_s(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]  # checked by trying
    except (TypeError, ValueError):
        return None
