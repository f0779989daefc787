"""From the templates of a config to a request: URL, query string, headers, body, credentials.

Templates see `config`, one variable per enumerated content type, and `skip`, `limit`, `cursor` of
the page that is asked for. A paging value that a template uses is not put into the query string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from jinja2.meta import find_undeclared_variables

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination
from sync_pipeline.config.sources import ApiKeyAuth, BasicAuth, BearerAuth, OAuth2Auth
from sync_pipeline.errors import ConfigError, RecordError
from sync_pipeline.extract.http.auth import (
    Authenticator,
    NoAuth,
    api_key,
    basic,
    basic_value,
    bearer,
    secret_pairs,
    with_query,
)
from sync_pipeline.extract.http.client import HttpRequest
from sync_pipeline.extract.http.oauth2 import ClientCredentials
from sync_pipeline.extract.http.sessions import is_http_url
from sync_pipeline.extract.rest.paging.state import PageRequest
from sync_pipeline.redaction import redact_url
from sync_pipeline.templating import build_environment, compile_text

Render = Callable[[Mapping[str, Any]], str]

#: Names of the paging values in templates.
PAGING_NAMES = ("skip", "limit", "cursor")
#: The cursor where it is an array; no name that a template could use.
_CURSOR_VALUE = "cursor value"
_ONLY_PAGING = re.compile(r"\s*\{\{-?\s*(skip|limit|cursor)\s*-?\}\}\s*")
_ACCEPT = {
    "json": "application/json, */*;q=0.5",
    "jsonl": "application/x-ndjson, application/jsonl, */*;q=0.5",
    "csv": "text/csv, */*;q=0.5",
    "zippedCsv": "application/zip, */*;q=0.5",
}
_USER_AGENT = "sync-pipeline"


@dataclass(frozen=True, slots=True)
class RequestTemplates:
    """The compiled templates of one source."""

    config: SyncConfig
    url: Render
    headers: Mapping[str, Render]
    query: Mapping[str, Render]
    form: Mapping[str, Render]
    #: Gives the JSON value of the body; None: no JSON body.
    json_body: Callable[[Mapping[str, Any]], Any] | None
    #: Paging values that templates use.
    used: frozenset[str]
    #: Values that must not get to the disk.
    secrets: frozenset[str] = frozenset()

    def build(
        self, plan: Pagination, page: PageRequest, context: Mapping[str, Any]
    ) -> tuple[HttpRequest, str]:
        """A request for a page.

        Args:
            plan: The source's style of paging.
            page: What it says about this page.
            context: `config` and the enumerated entries.

        Returns:
            The request without credentials, and the URL whose host may have them.

        Raises:
            ConfigError: A template cannot be rendered, or gives no URL.
        """
        # An enumerated content type called `limit` is what its user means by that name.
        values = {
            "skip": page.skip, "limit": page.limit, "cursor": page.cursor,
            _CURSOR_VALUE: page.cursor_value, **context,
        }  # fmt: skip
        url = self.url(values).strip()
        self._check_url(url)
        home, user = _split_user(url)
        headers = {"User-Agent": _USER_AGENT, "Accept": _ACCEPT[self.config.results_format]}
        body: bytes | None = None
        if self.config.http_method == "post":
            body = self._body(values, headers)
        if user is not None:
            headers["Authorization"] = user
        own = {name: _one_line(render(values), name, self.config) for name, render in
               self.headers.items()}  # fmt: skip
        names = {name.lower() for name in own} | {name.lower() for name in page.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in names}
        headers |= {
            name: value
            for name, value in own.items()
            if name.lower() not in {other.lower() for other in page.headers}
        } | dict(page.headers)
        query = {name: render(values) for name, render in self.query.items()}
        method = self.config.http_method.upper()
        if page.url is not None:
            # Taken out of the URL before that got to the disk.
            secret = secret_pairs(with_query(home, query), self.secrets)
            return HttpRequest(method, page.url, headers, body, secret, key=""), home
        url = with_query(home, query | self._paging_query(plan, page))
        return HttpRequest(method, url, headers, body), home

    def _paging_query(self, plan: Pagination, page: PageRequest) -> dict[str, str]:
        in_templates = {
            key
            for key, name in (
                (plan.skip_key, "skip"), (plan.limit_key, "limit"), (plan.cursor_key, "cursor"),
            )
            if name in self.used
        }  # fmt: skip
        return {key: value for key, value in page.query.items() if key not in in_templates}

    def _body(self, values: Mapping[str, Any], headers: dict[str, str]) -> bytes | None:
        if self.json_body is not None:
            headers["Content-Type"] = "application/json"
            return json.dumps(self.json_body(values), ensure_ascii=False).encode("utf-8")
        if self.form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            pairs = {name: render(values) for name, render in self.form.items()}
            return urlencode(pairs).encode("ascii")
        return None

    def _check_url(self, url: str) -> None:
        if not is_http_url(url):
            raise ConfigError(
                f"gives {redact_url(url)!r}, which is no absolute http or https URL; check the "
                f"environment variables that it names",
                file=self.config.path,
                key="endPoint",
            )


def compile_requests(
    config: SyncConfig, secrets: Collection[str] = frozenset()
) -> RequestTemplates:
    """Compile everything that goes into a request.

    Args:
        config: The sync.
        secrets: Values that must not get to the disk.

    Raises:
        ConfigError: There is no endPoint.
        MappingError: A template does not compile; the message names file and key.
    """
    if not config.end_point:
        raise ConfigError(
            "is missing; add the absolute URL of the source", file=config.path, key="endPoint"
        )
    used: set[str] = set()
    entries = {level.variable for level in config.enumerate_for_content_types}

    def compiled(source: str, key: str) -> Render:
        used.update(_paging_names(source))
        return compile_template(config, source, key, extra=PAGING_NAMES)

    def compiled_all(sources: Mapping[str, str], key: str) -> dict[str, Render]:
        return {name: compiled(source, f"{key}.{name}") for name, source in sources.items()}

    return RequestTemplates(
        config=config,
        url=compiled(config.end_point, "endPoint"),
        headers=compiled_all(config.headers, "headers"),
        query=compiled_all(config.query_parameters, "queryParameters"),
        form=compiled_all(config.form_url_encoded_content, "formUrlEncodedContent"),
        json_body=(
            None if config.json_body is None else _compile_json(config.json_body, compiled, config)
        ),
        used=frozenset(used - entries),
        secrets=frozenset(secrets),
    )


def compile_template(
    config: SyncConfig, source: str, key: str, *, extra: tuple[str, ...] = ()
) -> Render:
    """Compile one template of the source's side; what fails to render names file and key."""
    entries = tuple(level.variable for level in config.enumerate_for_content_types)
    render = compile_text(source, names=("config", *entries, *extra), file=config.path, key=key)

    def rendered(values: Mapping[str, Any]) -> str:
        try:
            return render(values)
        except RecordError as err:
            raise ConfigError(str(err), file=config.path, key=key) from err

    return rendered


def build_authenticator(
    config: SyncConfig,
    context: Mapping[str, Any],
    open_token_auth: Callable[[ClientCredentials], Authenticator],
) -> Authenticator:
    """The credentials that the `auth` block describes.

    Args:
        config: Its `auth`.
        context: `config` for templates; credentials do not depend on enumerated entries.
        open_token_auth: Makes the authenticator of OAuth 2.0.

    Raises:
        ConfigError: A template cannot be rendered, or gives nothing.
    """
    auth = config.auth

    def text(source: str, key: str) -> str:
        value = compile_template(config, source, f"auth.{key}")(context).strip()
        if not value:
            raise ConfigError(
                "is empty; set the environment variable that it names",
                file=config.path,
                key=f"auth.{key}",
            )
        return _one_line(value, f"auth.{key}", config)

    if isinstance(auth, BearerAuth):
        return bearer(text(auth.token, "token"))
    if isinstance(auth, BasicAuth):
        password = compile_template(config, auth.password, "auth.password")(context)
        return basic(text(auth.username, "username"), password)
    if isinstance(auth, ApiKeyAuth):
        return api_key(auth.name, text(auth.value, "value"), is_in_query=auth.location == "query")
    if isinstance(auth, OAuth2Auth):
        return open_token_auth(
            ClientCredentials(
                token_url=text(auth.token_url, "tokenUrl"),
                client_id=text(auth.client_id, "clientId"),
                client_secret=text(auth.client_secret, "clientSecret"),
                scope=auth.scope,
                audience=auth.audience,
                is_in_body=auth.client_authentication == "body",
            )
        )
    return NoAuth()


def _compile_json(
    value: Any, compiled: Callable[[str, str], Render], config: SyncConfig
) -> Callable[[Mapping[str, Any]], Any]:
    if isinstance(value, str):
        # The whole body as one text of JSON.
        render = compiled(value, "jsonBody")

        def parse(values: Mapping[str, Any]) -> Any:
            try:
                return json.loads(render(values))
            except ValueError as err:
                raise ConfigError(
                    f"gives no JSON: {err}", file=config.path, key="jsonBody"
                ) from None

        return parse
    return _compile_value(value, "jsonBody", compiled)


def _compile_value(
    value: Any, key: str, compiled: Callable[[str, str], Render]
) -> Callable[[Mapping[str, Any]], Any]:
    if isinstance(value, str):
        render = compiled(value, key)
        only = _ONLY_PAGING.fullmatch(value)
        if only:
            # A number or array of its own, and null where there is no cursor yet.
            name = only.group(1)
            return lambda values: _own_value(values, name)
        return render
    if isinstance(value, Mapping):
        members = {
            name: _compile_value(member, f"{key}.{name}", compiled)
            for name, member in value.items()
        }
        return lambda values: {name: member(values) for name, member in members.items()}
    if isinstance(value, (list, tuple)):
        items = [_compile_value(item, f"{key}[{i}]", compiled) for i, item in enumerate(value)]
        return lambda values: [item(values) for item in items]
    return lambda _values: value


def _own_value(values: Mapping[str, Any], name: str) -> Any:
    if name == "cursor" and values[_CURSOR_VALUE] is not None:
        return values[_CURSOR_VALUE]
    return None if values[name] == "" else values[name]


def _paging_names(source: str) -> frozenset[str]:
    if "{" not in source:
        return frozenset()
    # `compile_template` has the last word on what does not parse.
    try:
        tree = build_environment().parse(source)
    except Exception:  # noqa: BLE001  # whatever it is, compiling says it better
        return frozenset()
    return frozenset(find_undeclared_variables(tree).intersection(PAGING_NAMES))


def _one_line(value: str, name: str, config: SyncConfig) -> str:
    text = value.strip()
    if "\n" in text or "\r" in text or "\0" in text:
        raise ConfigError(
            "gives several lines; a header is one line",
            file=config.path,
            key=name if name.startswith("auth.") else f"headers.{name}",
        )
    return text


def _split_user(url: str) -> tuple[str, str | None]:
    """Take `user:password@` out of a URL, as the value of an Authorization header."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), basic_value(unquote(name), unquote(password))
