"""The kinds of sources: a table of all that is to be said of a kind.

A new kind is a class of its keys and an entry in `KINDS` here, and its package in `extract`. What
is only about one source (inferring the kind, keys of another one, secrets, the JSON Schema) derives
from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, field_validator

from sync_pipeline.config.frozen import FrozenModel
from sync_pipeline.config.secrecy import Secret

if TYPE_CHECKING:
    from sync_pipeline.config.model import SyncConfig

#: Of SQLAlchemy URLs, by what stands before `://` or `+`.
_PROVIDERS = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "sqlserver",
    "sqlite": "sqlite",
}


class BearerAuth(FrozenModel):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    """`bearer`."""
    token: Annotated[str, Secret.WHOLE]
    """Template of the token."""


class BasicAuth(FrozenModel):
    """HTTP basic authentication."""

    type: Literal["basic"]
    """`basic`."""
    username: Annotated[str, Secret.VARIABLES]
    """Template of the user's name."""
    password: Annotated[str, Secret.WHOLE]
    """Template of the password."""


class ApiKeyAuth(FrozenModel):
    """An API key in a header or a query parameter."""

    type: Literal["api_key"]
    """`api_key`."""
    name: str = Field(min_length=1)
    """Of the header or query parameter."""
    value: Annotated[str, Secret.WHOLE]
    """Template of the key."""
    location: Literal["header", "query"] = Field(default="header", alias="in")
    """Where the key is sent."""


class OAuth2Auth(FrozenModel):
    """OAuth 2.0 client credentials; the token is refreshed before it expires and after a 401."""

    type: Literal["oauth2_client_credentials"]
    """`oauth2_client_credentials`."""
    token_url: Annotated[str, Secret.VARIABLES, Secret.URL] = Field(min_length=1)
    """Template of the absolute URL that hands out tokens."""
    client_id: Annotated[str, Secret.VARIABLES]
    """Template of the client's id."""
    client_secret: Annotated[str, Secret.WHOLE]
    """Template of the client's secret."""
    scope: str | None = None
    """Scopes to ask for, separated by blanks."""
    audience: str | None = None
    """Audience to ask for, where the server wants one."""
    client_authentication: Literal["basic", "body"] = "basic"
    """How the client shows itself to `tokenUrl`: HTTP basic authentication, or in the form."""


Auth = Annotated[BearerAuth | BasicAuth | ApiKeyAuth | OAuth2Auth, Field(discriminator="type")]


class CsvFormat(FrozenModel):
    """How to read CSV; what is not stated is detected from the first bytes and logged."""

    delimiter: str | None = None
    """One character between the cells; `\\t` or `tab` for a tab. Else detected."""
    encoding: str | None = None
    """Such as `cp1252`. Else: byte order mark, UTF-8 where the bytes are, charset of the response,
    then cp1252 with a warning."""
    quote_char: str = '"'
    """The character around cells that hold the delimiter or a line break; empty for none."""
    escape_char: str | None = None
    """The character that takes its meaning from a quote or delimiter after it, such as `\\`."""
    has_header: bool = True
    """Whether the first line names the columns."""
    column_names: tuple[str, ...] | None = None
    """Names of the columns, in order; needed without a header line."""
    skip_lines: int = Field(default=0, ge=0)
    """Lines above the header line that are not read."""
    skip_last_lines: int = Field(default=0, ge=0, le=1000)
    """Records at the end that are not read, such as totals; blank lines are not counted."""
    short_rows: Literal["fill", "fail"] | None = None
    """Records with fewer cells than columns: blank at their end (`fill`), or an error. Else filled
    with a warning that counts them, but for a last line without end."""
    file_name: str | None = None
    """Member of the zip to read; needed only if it holds several files."""

    @field_validator("delimiter")
    @classmethod
    def _name_a_tab(cls, delimiter: str | None) -> str | None:
        return "\t" if delimiter in ("tab", "\\t") else delimiter


class RestKeys(FrozenModel):
    """What only a source behind HTTP has."""

    end_point: Annotated[str | None, Secret.URL] = None
    """Template of an absolute URL."""
    http_method: Literal["get", "post"] = "get"
    """Of the requests for records."""
    headers: Annotated[dict[str, str], Secret.HEADERS] = Field(default_factory=dict)
    """Templates of request headers."""
    query_parameters: Annotated[dict[str, str], Secret.NAMED, Secret.PARAMETERS] = Field(
        default_factory=dict
    )
    """Templates, joined to the query string that `endPoint` may already have."""
    form_url_encoded_content: Annotated[dict[str, str], Secret.NAMED] = Field(default_factory=dict)
    """Templates of a form; POST."""
    json_body: Annotated[Any, Secret.NAMED] = None
    """POST; every text in it is a template."""
    continuation_token_header: str | None = None
    """The value of this response header is sent as the request header of the same name, until it
    is absent."""
    results_format: Literal["json", "jsonl", "csv", "zippedCsv"] = "json"
    """What the source answers with."""
    results_encoding: str | None = None
    """Encoding of JSON and JSON Lines, such as `cp1252`. Else: byte order mark, UTF-8 where the
    bytes are, charset of the response. CSV has `csv.encoding`."""
    results_secret: Annotated[str | None, Secret.WHOLE] = None
    """Template of the password of the zip."""
    results_json_path: str | None = None
    """JSON path of the records; `$.` is prepended where missing."""
    results_total_pages_path: str | None = None
    """JSON path of the number of pages in all."""
    partial_errors: Literal["fail", "warn"] = "fail"
    """An answer that brings records and says that something went wrong, such as `errors` beside
    `data` in GraphQL: `warn` takes the records, with a warning in the run's summary."""
    auth: Auth | None = None
    """How requests to the source are authorized."""
    csv: CsvFormat = CsvFormat()
    """How to read CSV."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Seconds that one request may wait in all, redirects included; 300 by default, or five times
    `timeoutS` if that is more. Each KiB of the answer's body buys a second more."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """Rate limit towards the source; none by default."""
    max_response_bytes: int = Field(default=8 * 1024**3, ge=1)
    """Bound on one response, and on what a zip or gzip unpacks to."""
    cache_hours: float = Field(default=24, gt=0)
    """Age at which an answer in the response cache (`use_file_cache`) is asked for again."""


class DatabaseKeys(FrozenModel):
    """What only a database has."""

    provider: Literal["sqlserver", "mysql", "postgresql", "sqlite"] | None = None
    """Kind of database; inferred where `connectionString` is an SQLAlchemy URL."""
    connection_string: Annotated[str | None, Secret.VARIABLES, Secret.PASSWORDS, Secret.URL] = None
    """Template; ADO.NET style or an SQLAlchemy URL."""
    query: str | None = None
    """Template of the SQL."""


def provider_of(connection_string: str) -> str | None:
    """The kind of database that an SQLAlchemy URL names, None for other connection strings."""
    match = re.match(r"\s*([a-zA-Z0-9]+)(?:\+\w+)?://", connection_string)
    return _PROVIDERS.get(match[1].lower()) if match else None


def _check_database(config: SyncConfig) -> Iterator[tuple[str, str]]:
    if config.connection_string and config.provider is None:
        message = (
            "required, because `connectionString` is not an SQLAlchemy URL that tells it; "
            "add `provider: sqlserver`, mysql, postgresql or sqlite"
        )
        yield "provider", message
    if config.connection_string and config.provider is not None:
        told = provider_of(config.connection_string)
        if told not in (None, config.provider):
            yield "provider", f"contradicts `connectionString`, which is a URL for {told}"


@dataclass(frozen=True, slots=True)
class SourceKind:
    """What is to be said of a kind of sources."""

    #: The keys that no other kind has, each with its secrets.
    keys: type[FrozenModel]
    #: Package of `extract`: its `opening.open_source` opens such a source, its `checks` look at
    #: what the file says of it.
    package: str
    #: Keys that must be stated, with what to write.
    required: Mapping[str, str]
    #: What else these keys must be to each other, as (key by the model's name, message).
    check: Callable[[SyncConfig], Iterator[tuple[str, str]]] = field(default=lambda _: iter(()))
    #: Whether `limitKey` and `skipKey` are variables of the query, not parameters of requests.
    pages_by_variables: bool = False


#: All kinds; the first is meant where a file has no key of another one.
KINDS: Final = {
    "restapi": SourceKind(RestKeys, "rest", {"end_point": "https://..."}),
    "database": SourceKind(
        DatabaseKeys,
        "database",
        {"connection_string": "...", "query": "..."},
        _check_database,
        pages_by_variables=True,
    ),
}

if TYPE_CHECKING:
    SourceType: TypeAlias = str
else:
    SourceType = Literal[tuple(KINDS)]


class SourceKeys(RestKeys, DatabaseKeys):
    """The keys of all kinds."""


def infer_kind(keys: set[str]) -> str:
    """The kind that the keys of a file give away."""
    default, *others = KINDS
    found = (name for name in others if keys & KINDS[name].keys.model_fields.keys())
    return next(found, default)
