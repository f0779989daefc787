"""The frozen model of one config file, whatever dialect it was written in.

Python names are snake_case; in YAML both `snake_case` and `camelCase` are taken. Texts marked
*template* are Jinja2.
This module knows nothing of files or dialects; `config.loading` does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sync_pipeline.config.frozen import FrozenModel
from sync_pipeline.config.pagination import Pagination
from sync_pipeline.config.run_options import FileOptions, Unattended
from sync_pipeline.config.secrecy import Secret
from sync_pipeline.config.sources import SourceKeys, SourceType


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
    url: Annotated[str, Secret.URL] = Field(min_length=1)
    """Template of the absolute URL that is watched."""
    json_path: str | None = None
    """Watch the value at this path instead of the validators of the response."""
    headers: Annotated[dict[str, str], Secret.HEADERS] = Field(default_factory=dict)
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


class SyncConfig(FileOptions, SourceKeys):
    """One sync: where records come from, how they map, where and when they go."""

    key: str
    """The file's stem."""
    path: Path | None = None
    """The file, for messages."""
    source_type: SourceType = "restapi"
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

    public_variables: tuple[str, ...] = ()
    """Environment variables in URLs and headers whose values logs and messages may show."""
    pagination: Pagination | None = None
    """How to get from one page to the next."""
    timeout_s: float = Field(default=60, gt=0)
    """Seconds, of connecting and of waiting for the next bytes."""
    retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after a connection error, 429 or 5xx."""

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
