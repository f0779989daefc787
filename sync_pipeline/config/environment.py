"""The environment variables that configure this package, read once into a frozen value.

Reads no `.env` file: Dagster and the shell do that where it is wanted. Nothing here is required to
load definitions; `require_contentful` says what a run against Contentful lacks.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from sync_pipeline.errors import EnvironmentVariableError
from sync_pipeline.model import RESOURCE_ID

#: Variables with these prefixes are seen by templates as `config.NAME`.
TEMPLATE_PREFIXES = ("SYNC_", "Cute__")
#: These configure us and are not for templates.
OWN_VARIABLES = frozenset(
    {"SYNC_CONFIGS_DIR", "SYNC_STORAGE_DIR", "SYNC_MAX_MEMORY_MB", "SYNC_LEASE_SECONDS"}
)

DEFAULT_RATE_LIMIT = 7.0
DEFAULT_MAX_SECONDS = 120.0
DEFAULT_LEASE_S = 30.0
#: Less, and a machine that is busy for a moment would lose its runs.
SHORTEST_LEASE_S = 3.0
WORKSPACE_FILE = "workspace.yaml"


@dataclass(frozen=True)
class Environment:
    """What the environment says; its `repr` shows no secret."""

    management_token: SecretStr | None
    space_id: str | None
    environment_id: str
    #: Base URL of the Content Management API, without a trailing slash.
    cma_url: str
    #: Base URL for uploads, without a trailing slash.
    upload_url: str
    #: Requests per second over all processes of this machine; 0: no limit of our own.
    rate_limit: float
    #: Longest time of one request to the space as a whole.
    max_seconds: float
    configs_dir: Path
    #: Spool, checkpoints, dead letters, index, response cache. Absolute; may not exist yet.
    storage_dir: Path
    #: Bound on the memory of a run in megabytes, None: no bound.
    max_memory_mb: int | None
    #: Seconds without a sign of life after which a run counts as dead.
    lease_s: float
    #: What templates see as `config.NAME`. May hold secrets, so it is not shown.
    template_variables: dict[str, str] = field(repr=False)
    #: Folder that holds `workspace.yaml`.
    project_dir: Path


def read_environment(
    environ: Mapping[str, str] = os.environ, project_dir: Path | None = None
) -> Environment:
    """Read the variables of the environment; blank ones count as not set.

    Args:
        environ: The variables.
        project_dir: Folder that the default directories, and relative ones, start from; by default
            the one that holds `workspace.yaml`, looked for from the current directory upwards, else
            the current directory.

    Raises:
        EnvironmentVariableError: A variable has a value that cannot be used; names it.
    """
    project = (project_dir or find_project_dir(Path.cwd())).absolute()
    token = _stated(environ, "CONTENTFUL_MANAGEMENT_TOKEN")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise EnvironmentVariableError(
            "CONTENTFUL_MANAGEMENT_TOKEN holds a blank or a character that no token has; "
            "copy the token again"
        )
    return Environment(
        management_token=None if token is None else SecretStr(token),
        space_id=_resource_id(environ, "CONTENTFUL_SPACE_ID"),
        environment_id=_resource_id(environ, "CONTENTFUL_ENVIRONMENT_ID") or "master",
        cma_url=_url(environ, "CONTENTFUL_CMA_URL", "https://api.contentful.com"),
        upload_url=_url(environ, "CONTENTFUL_UPLOAD_URL", "https://upload.contentful.com"),
        rate_limit=_rate_limit(environ),
        max_seconds=_max_seconds(environ),
        configs_dir=_directory(environ, "SYNC_CONFIGS_DIR", project, project / "configs"),
        storage_dir=_directory(environ, "SYNC_STORAGE_DIR", project, _storage(environ, project)),
        max_memory_mb=_max_memory(environ),
        lease_s=_lease(environ),
        template_variables={
            name: value for name, value in environ.items() if is_template_variable(name)
        },
        project_dir=project,
    )


def is_template_variable(name: str) -> bool:
    """Whether templates may see the variable as `config.NAME`."""
    return name.startswith(TEMPLATE_PREFIXES) and name not in OWN_VARIABLES


def require_contentful(environment: Environment) -> tuple[SecretStr, str]:
    """The management token and the space id.

    Raises:
        EnvironmentVariableError: One or both are missing; names each and says how to set it.
    """
    token, space_id = environment.management_token, environment.space_id
    missing = []
    if token is None:
        missing.append(
            "CONTENTFUL_MANAGEMENT_TOKEN is not set: create a personal access token in Contentful "
            "(Settings, CMA tokens), then `export CONTENTFUL_MANAGEMENT_TOKEN=<token>`"
        )
    if space_id is None:
        missing.append(
            "CONTENTFUL_SPACE_ID is not set: it stands in the address of the space "
            "(app.contentful.com/spaces/<id>), then `export CONTENTFUL_SPACE_ID=<id>`"
        )
    if token is None or space_id is None:
        missing.append("or write `target: {space: local}` in the config file for a rehearsal")
        raise EnvironmentVariableError("; ".join(missing))
    return token, space_id


def find_project_dir(start: Path) -> Path:
    """The nearest folder upwards that holds `workspace.yaml`, else `start`."""
    for folder in (start, *start.parents):
        if (folder / WORKSPACE_FILE).is_file():
            return folder
    return start


def _stated(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _resource_id(environ: Mapping[str, str], name: str) -> str | None:
    value = _stated(environ, name)
    if value is not None and not RESOURCE_ID.fullmatch(value):
        raise EnvironmentVariableError(
            f"{name} is not an id: 1 to 64 letters, digits, `-`, `_` or `.`, without the rest of "
            "the address"
        )
    return value


def _url(environ: Mapping[str, str], name: str, default: str) -> str:
    value = _stated(environ, name) or default
    message = f"{name} must be an absolute URL without query, such as {default}"
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_usable = is_usable and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is not a number, a bracket left open
        is_usable = False
    else:
        is_usable = is_usable and not (parts.query or parts.fragment or re.search(r"\s", value))
    if not is_usable:
        raise EnvironmentVariableError(message)
    return value.rstrip("/")


def _rate_limit(environ: Mapping[str, str]) -> float:
    value = _stated(environ, "CONTENTFUL_RATE_LIMIT")
    if value is None:
        return DEFAULT_RATE_LIMIT
    try:
        limit = float(value)
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit >= 0):
        raise EnvironmentVariableError(
            f"CONTENTFUL_RATE_LIMIT={value!r} must be a number of requests per second, such as 7; "
            "0 for no limit of our own"
        )
    return limit


def _max_seconds(environ: Mapping[str, str]) -> float:
    value = _stated(environ, "CONTENTFUL_MAX_SECONDS")
    if value is None:
        return DEFAULT_MAX_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise EnvironmentVariableError(
            f"CONTENTFUL_MAX_SECONDS={value!r} must be a number of seconds above 0, such as "
            f"{DEFAULT_MAX_SECONDS:g}: the longest time of one request to the space"
        )
    return seconds


def _max_memory(environ: Mapping[str, str]) -> int | None:
    value = _stated(environ, "SYNC_MAX_MEMORY_MB")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise EnvironmentVariableError(
            f"SYNC_MAX_MEMORY_MB={value!r} must be a whole number of megabytes, such as 500; "
            "unset it for no bound"
        )
    return int(value)


def _lease(environ: Mapping[str, str]) -> float:
    value = _stated(environ, "SYNC_LEASE_SECONDS")
    if value is None:
        return DEFAULT_LEASE_S
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= SHORTEST_LEASE_S):
        raise EnvironmentVariableError(
            f"SYNC_LEASE_SECONDS={value!r} must be a number of seconds, {SHORTEST_LEASE_S:g} or "
            f"more, such as {DEFAULT_LEASE_S:g}: a run that gives no sign of life for so long is "
            "taken for dead"
        )
    return seconds


def _directory(environ: Mapping[str, str], name: str, project: Path, default: Path) -> Path:
    value = _stated(environ, name)
    if value is None:
        return default
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", value)
    if scheme is not None:
        raise EnvironmentVariableError(
            f"{name} names a {scheme[1]}:// URL, which is not yet supported; "
            "set it to a directory of this machine"
        )
    return project / Path(value).expanduser()


def _storage(environ: Mapping[str, str], project: Path) -> Path:
    dagster_home = _stated(environ, "DAGSTER_HOME")
    if dagster_home is None:
        return project / ".sync_pipeline"
    return project / Path(dagster_home).expanduser() / "storage" / "sync_pipeline"
