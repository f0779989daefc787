"""The frozen model of one config file, whatever dialect it was written in.

Python names are snake_case; in YAML both `snake_case` and `camelCase` are taken. Texts marked
*template* are Jinja2.
This module knows nothing of files or dialects; `config.loading` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Mode = Literal["regular", "streaming", "auto"]
Publish = Literal["changed", "all", "none"]
BatchSize = Annotated[int, Field(ge=1, le=10_000)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class MappingRule(_Model):
    """One line of the mapping."""

    field_name: str
    """`<field>[.<locale>]`, `<field>.<locale>[]`, `<field>.<locale>.lat|lon`, `sys.Id`; itself a
    template."""
    expression: str
    """Template of the value; a blank result means "absent"."""
    overwrite_null: bool = False
    """Clear the field and locale when the result is blank."""


class PreMapping(_Model):
    """A variable computed before the mapping, available as `var.<name>`."""

    var_name: str
    expression: str


class Enumeration(_Model):
    """Repeat the extraction for every entry of a content type."""

    content_type: str
    query_parameters: str = ""
    """Appended to the query for the entries, e.g. `fields.active=true`."""
    filter: str = ""
    """Template; an entry is used when it renders to `true`."""


class Pagination(_Model):
    """How to get from one page to the next. See `docs/sources.md` for one example a style."""

    type: (
        Literal[
            "offset", "page", "cursor", "next_url", "link_header", "continuation_header", "none"
        ]
        | None
    ) = None
    """Stated style; without it inferred: `pageSize` means page, `limitMax` means offset."""
    limit_key: str | None = None
    """Query parameter (database: template variable) that carries the page size."""
    skip_key: str | None = None
    """Query parameter (database: template variable) that carries the offset or page index."""
    limit_max: int | None = Field(default=None, ge=1)
    """Records per page, offset style and others."""
    page_size: int | None = Field(default=None, ge=1)
    """Records per page, page style."""
    first_page: int | None = None
    """Number of the first page; 0 where the style is inferred from `pageSize`, 1 where `type: page`
    is stated."""
    cursor_path: str | None = None
    """JSON path of the next cursor in the body."""
    cursor_key: str | None = None
    """Query parameter that carries the cursor."""
    next_url_path: str | None = None
    """JSON path of the next URL in the body; relative URLs are resolved."""
    header: str | None = None
    """Continuation header (same as `continuationTokenHeader`)."""
    total_path: str | None = None
    """JSON path of the number of records in all."""
    total_pages_path: str | None = None
    """JSON path of the number of pages in all (same as `resultsTotalPagesPath`)."""
    has_more_path: str | None = None
    """JSON path of a boolean: false ends the extraction."""


class BearerAuth(_Model):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    token: str
    """Template."""


class BasicAuth(_Model):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: str
    """Template."""
    password: str
    """Template."""


class ApiKeyAuth(_Model):
    """An API key in a header or a query parameter."""

    type: Literal["api_key"]
    name: str
    value: str
    """Template."""
    location: Literal["header", "query"] = Field(default="header", alias="in")


class OAuth2Auth(_Model):
    """OAuth 2.0 client credentials; the token is refreshed before it expires and after a 401."""

    type: Literal["oauth2_client_credentials"]
    token_url: str
    """Template."""
    client_id: str
    """Template."""
    client_secret: str
    """Template."""
    scope: str | None = None
    audience: str | None = None
    client_authentication: Literal["basic", "body"] = "basic"


Auth = Annotated[BearerAuth | BasicAuth | ApiKeyAuth | OAuth2Auth, Field(discriminator="type")]


class CsvFormat(_Model):
    """How to read CSV; what is not stated is detected from the first bytes and logged."""

    delimiter: str | None = None
    encoding: str | None = None
    """Else: byte order mark, charset of the response, UTF-8, then cp1252 with a warning."""
    quote_char: str = '"'
    has_header: bool = True
    column_names: tuple[str, ...] | None = None
    """Needed without a header line."""
    file_name: str | None = None
    """Member of the zip to read; needed only if it holds several files."""


class Schedule(_Model):
    """When Dagster launches the sync by itself. The other keys are run config of the launched
    run.
    """

    cron: str
    timezone: str = "UTC"
    apply: bool = True
    mode: Mode | None = None
    batch_size: BatchSize | Literal["auto"] | None = None
    publish: Publish | None = None
    use_file_cache: bool | None = None
    limit: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1, le=32)
    max_failed_entries: int | None = Field(default=None, ge=0)
    executor: Literal["in_process", "multiprocess"] | None = None
    enabled: bool = True
    """Whether the schedule is on when the code location is loaded for the first time."""


class Sensor(_Model):
    """Launch when something changes at a URL: its ETag, Last-Modified, or a value at a JSON
    path.
    """

    type: Literal["http_change"]
    url: str
    """Template."""
    json_path: str | None = None
    """Watch the value at this path instead of the validators of the response."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Templates."""
    minimum_interval_seconds: int = Field(default=60, ge=5)
    apply: bool = True
    mode: Mode | None = None
    batch_size: BatchSize | Literal["auto"] | None = None
    publish: Publish | None = None
    use_file_cache: bool | None = None
    limit: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1, le=32)
    max_failed_entries: int | None = Field(default=None, ge=0)
    executor: Literal["in_process", "multiprocess"] | None = None
    enabled: bool = True


class Target(_Model):
    """Which space the sync writes to."""

    space: Literal["contentful", "local"] = "contentful"
    model: str | None = None
    """Local space only: file with content types and locales (contentful-export shape), relative to
    the config file."""


class SampleTest(_Model):
    """A sample row and the fields it must give; run by `sync-pipeline check`."""

    name: str = ""
    row: dict[str, Any]
    expect: dict[str, Any]
    """`{"name.en": value}`; fields not named are not compared."""


class SyncConfig(_Model):
    """One sync: where records come from, how they map, where and when they go."""

    key: str
    """The file's stem."""
    path: Path | None = None
    """The file, for messages."""
    source_type: Literal["restapi", "database"] = "restapi"
    content_type: str
    content_key_field: str
    """`id` or `id.en`: the field by whose value in the default locale entries are matched."""
    content_display_field: str | None = None
    order: int | None = None
    mapping: tuple[MappingRule, ...]
    pre_mapping: tuple[PreMapping, ...] = ()
    enumerate_for_content_types: tuple[Enumeration, ...] = ()
    filter_expression: str | None = None
    """Template; a record is kept when it renders to `true`."""

    end_point: str | None = None
    """Template of an absolute URL."""
    http_method: Literal["get", "post"] = "get"
    headers: dict[str, str] = Field(default_factory=dict)
    """Templates."""
    query_parameters: dict[str, str] = Field(default_factory=dict)
    """Templates, joined to the query string that `endPoint` may already have."""
    form_url_encoded_content: dict[str, str] = Field(default_factory=dict)
    """Templates; POST."""
    json_body: Any = None
    """POST; every text in it is a template."""
    continuation_token_header: str | None = None
    results_format: Literal["json", "jsonl", "csv", "zippedCsv"] = "json"
    results_secret: str | None = None
    """Template of the password of the zip."""
    results_json_path: str | None = None
    """JSON path of the records; `$.` is prepended where missing."""
    results_total_pages_path: str | None = None
    pagination: Pagination | None = None
    auth: Auth | None = None
    csv: CsvFormat = CsvFormat()
    timeout_s: float = Field(default=60, gt=0)
    """Of connecting, and of waiting for the next bytes."""
    retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after a connection error, 429 or 5xx."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """Rate limit towards the source."""
    max_response_bytes: int = Field(default=8 * 1024**3, ge=1)
    """Bound on one response, and on what a zip or gzip unpacks to."""
    cache_hours: float = Field(default=24, gt=0)
    """Age at which an answer in the response cache (`use_file_cache`) is asked for again."""

    provider: Literal["sqlserver", "mysql", "postgresql", "sqlite"] | None = None
    connection_string: str | None = None
    """Template; ADO.NET style or an SQLAlchemy URL."""
    query: str | None = None
    """Template of the SQL."""
    stream: bool = True
    """False: the source cannot be streamed; streaming mode falls back to regular with a warning."""

    mode: Mode = "regular"
    batch_size: BatchSize | Literal["auto"] = 1000
    publish: Publish = "changed"
    schedule: Schedule | None = None
    sensor: Sensor | None = None
    target: Target = Target()
    tests: tuple[SampleTest, ...] = ()

    @property
    def key_field_id(self) -> str:
        """Id of the key field, without locale."""
        return self.content_key_field.split(".", 1)[0]
