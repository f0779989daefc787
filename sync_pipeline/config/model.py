"""The frozen model of one config file, whatever dialect it was written in.

Python names are snake_case; in YAML both `snake_case` and `camelCase` are taken. Texts marked
*template* are Jinja2.
This module knows nothing of files or dialects; `config.loading` does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sync_pipeline.config.frozen import FrozenModel
from sync_pipeline.config.pagination import Pagination
from sync_pipeline.config.run_options import FileOptions, Unattended


class MappingRule(FrozenModel):
    """One line of the mapping."""

    field_name: str = Field(min_length=1)
    """`<field>[.<locale>]`, `<field>.<locale>[]`, `<field>.<locale>.lat|lon`, `sys.Id`; itself a
    template."""
    expression: str
    """Template of the value; a blank result means "absent"."""
    overwrite_null: bool = False
    """Clear the field and locale when the result is blank."""


class PreMapping(FrozenModel):
    """A variable computed before the mapping, available as `var.<name>`."""

    var_name: str = Field(min_length=1)
    """Name of the variable; unique in the file."""
    expression: str
    """Template of the text; does not see the other variables."""


class Enumeration(FrozenModel):
    """Repeat the extraction for every entry of a content type."""

    content_type: str = Field(min_length=1)
    """Id of the content type; the entry is a template variable of this name, `-` and `.` as `_`."""
    query_parameters: str = ""
    """Appended to the query for the entries, e.g. `fields.active=true`."""
    filter: str = ""
    """Template; an entry is used when it renders to `true`."""

    @property
    def variable(self) -> str:
        """The entry's name in templates: the id, with `_` for what no name may hold."""
        name = re.sub(r"\W", "_", self.content_type)
        return f"_{name}" if name[:1].isdigit() else name


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
    """The character around cells that hold the delimiter or a line break."""
    has_header: bool = True
    """Whether the first line names the columns."""
    column_names: tuple[str, ...] | None = None
    """Names of the columns, in order; needed without a header line."""
    file_name: str | None = None
    """Member of the zip to read; needed only if it holds several files."""

    @field_validator("delimiter")
    @classmethod
    def _name_a_tab(cls, delimiter: str | None) -> str | None:
        return "\t" if delimiter in ("tab", "\\t") else delimiter


class _Launch(Unattended):
    """What launches runs by itself; what of the run config is not stated is the file's."""

    enabled: bool = True
    """Whether it is switched on when the code location is loaded for the first time."""


class Schedule(_Launch):
    """When Dagster launches the sync by itself. The other keys are run config of the launched
    run.
    """

    cron: str = Field(min_length=1)
    """Five fields (minute, hour, day, month, weekday), or `@hourly`, `@daily`, ..."""
    timezone: str = "UTC"
    """IANA name in which `cron` is read, e.g. `Europe/London`."""


class Sensor(_Launch):
    """Launch when something changes at a URL: its ETag, Last-Modified, or a value at a JSON
    path.
    """

    type: Literal["http_change"]
    """`http_change`."""
    url: str = Field(min_length=1)
    """Template of the absolute URL that is watched."""
    json_path: str | None = None
    """Watch the value at this path instead of the validators of the response."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Templates of request headers."""
    minimum_interval_seconds: int = Field(default=60, ge=5)
    """Between two looks at the URL."""


class Target(FrozenModel):
    """Which space the sync writes to."""

    space: Literal["contentful", "local"] = "contentful"
    """`contentful`: the space of the environment variables; `local`: the embedded local space."""
    model: str | None = None
    """Local space only: file with content types and locales (contentful-export shape), relative to
    the config file."""


class SampleTest(FrozenModel):
    """A sample row and the fields it must give; run by `sync-pipeline check --online`,
    since the content type decides what a text becomes.
    """

    name: str = ""
    """For the report of `check`."""
    row: dict[str, Any]
    """A row as the source would give it."""
    expect: dict[str, Any]
    """`{"name.en": value}`; fields not named are not compared."""


#: What `maxSeconds` is at least, if it is not stated.
DEFAULT_MAX_SECONDS = 300.0


class SyncConfig(FileOptions):
    """One sync: where records come from, how they map, where and when they go."""

    key: str
    """The file's stem."""
    path: Path | None = None
    """The file, for messages."""
    source_type: Literal["restapi", "database"] = "restapi"
    """Kind of source; inferred from `connectionString`, `query` or `provider` where missing."""
    content_type: str = Field(min_length=1)
    """Id of the content type whose entries are written."""
    content_key_field: str = Field(min_length=1)
    """`id` or `id.en`: the field by whose value in the default locale entries are matched."""
    content_display_field: str | None = None
    """Of the original; kept, not used."""
    order: int | None = None
    """Of the original's entries (1 to 999); kept, not used."""
    mapping: tuple[MappingRule, ...] = Field(min_length=1)
    """What goes into which field."""
    pre_mapping: tuple[PreMapping, ...] = ()
    """Variables computed per row, before the mapping."""
    enumerate_for_content_types: tuple[Enumeration, ...] = ()
    """Nested loops over entries of the space, in this order; the extraction runs once for each."""
    filter_expression: str | None = None
    """Template; a record is kept when it renders to `true`."""

    end_point: str | None = None
    """Template of an absolute URL."""
    http_method: Literal["get", "post"] = "get"
    """Of the requests for records."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Templates of request headers."""
    public_variables: tuple[str, ...] = ()
    """Environment variables in URLs and headers whose values logs and messages may show."""
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
    pagination: Pagination | None = None
    """How to get from one page to the next."""
    auth: Auth | None = None
    """How requests to the source are authorized."""
    csv: CsvFormat = CsvFormat()
    """How to read CSV."""
    timeout_s: float = Field(default=60, gt=0)
    """Seconds, of connecting and of waiting for the next bytes."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Seconds that one request may wait in all, redirects included; 300 by default, or five times
    `timeoutS` if that is more. Each KiB of the answer's body buys a second more."""
    retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after a connection error, 429 or 5xx."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """Rate limit towards the source; none by default."""
    max_response_bytes: int = Field(default=8 * 1024**3, ge=1)
    """Bound on one response, and on what a zip or gzip unpacks to."""
    cache_hours: float = Field(default=24, gt=0)
    """Age at which an answer in the response cache (`use_file_cache`) is asked for again."""

    provider: Literal["sqlserver", "mysql", "postgresql", "sqlite"] | None = None
    """Kind of database; inferred where `connectionString` is an SQLAlchemy URL."""
    connection_string: str | None = None
    """Template; ADO.NET style or an SQLAlchemy URL."""
    query: str | None = None
    """Template of the SQL."""
    stream: bool = True
    """False: the source cannot be streamed; streaming mode falls back to regular with a warning."""

    schedule: Schedule | None = None
    """When to launch by time."""
    sensor: Sensor | None = None
    """When to launch by a change of the source."""
    target: Target = Target()
    """Where entries are written."""
    tests: tuple[SampleTest, ...] = ()
    """Sample rows for `sync-pipeline check --online`."""

    @property
    def whole_request_s(self) -> float:
        """What `max_seconds` is, or means by default."""
        return self.max_seconds or max(DEFAULT_MAX_SECONDS, 5 * self.timeout_s)

    @property
    def key_field_id(self) -> str:
        """Id of the key field, without locale."""
        return self.content_key_field.split(".", 1)[0]
