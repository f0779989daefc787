"""The kinds of sources, and the keys that only one kind has."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sync_pipeline.config.frozen import FrozenModel

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
    token: str
    """Template of the token."""


class BasicAuth(FrozenModel):
    """HTTP basic authentication."""

    type: Literal["basic"]
    """`basic`."""
    username: str
    """Template of the user's name."""
    password: str
    """Template of the password."""


class ApiKeyAuth(FrozenModel):
    """An API key in a header or a query parameter."""

    type: Literal["api_key"]
    """`api_key`."""
    name: str = Field(min_length=1)
    """Of the header or query parameter."""
    value: str
    """Template of the key."""
    location: Literal["header", "query"] = Field(default="header", alias="in")
    """Where the key is sent."""


class OAuth2Auth(FrozenModel):
    """OAuth 2.0 client credentials; the token is refreshed before it expires and after a 401."""

    type: Literal["oauth2_client_credentials"]
    """`oauth2_client_credentials`."""
    token_url: str = Field(min_length=1)
    """Template of the absolute URL that hands out tokens."""
    client_id: str
    """Template of the client's id."""
    client_secret: str
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

    end_point: str | None = None
    """Template of an absolute URL."""
    http_method: Literal["get", "post"] = "get"
    """Of the requests for records."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Templates of request headers."""
    query_parameters: dict[str, str] = Field(default_factory=dict)
    """Templates, joined to the query string that `endPoint` may already have."""
    form_url_encoded_content: dict[str, str] = Field(default_factory=dict)
    """Templates of a form; POST."""
    json_body: Any = None
    """POST; every text in it is a template."""
    continuation_token_header: str | None = None
    """The value of this response header is sent as the request header of the same name, until it
    is absent."""
    results_format: Literal["json", "jsonl", "csv", "zippedCsv"] = "json"
    """What the source answers with."""
    results_encoding: str | None = None
    """Encoding of JSON and JSON Lines, such as `cp1252`. Else: byte order mark, UTF-8 where the
    bytes are, charset of the response. CSV has `csv.encoding`."""
    results_secret: str | None = None
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
    connection_string: str | None = None
    """Template; ADO.NET style or an SQLAlchemy URL."""
    query: str | None = None
    """Template of the SQL."""


def provider_of(connection_string: str) -> str | None:
    """The kind of database that an SQLAlchemy URL names, None for other connection strings."""
    match = re.match(r"\s*([a-zA-Z0-9]+)(?:\+\w+)?://", connection_string)
    return _PROVIDERS.get(match[1].lower()) if match else None
