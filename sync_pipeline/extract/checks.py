"""What can be wrong with the templates and paths of a source, found without asking it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination, places_in_body, resolve_pagination
from sync_pipeline.config.problems import Place, Problem, config_error
from sync_pipeline.errors import ConfigError, MappingError
from sync_pipeline.extract.formats import check_json_path
from sync_pipeline.extract.rest.requesting import PAGING_NAMES
from sync_pipeline.templating import compile_text
from sync_pipeline.templating.checking import constant_problem

#: The keys of `auth` that are templates, by their names in files.
_CREDENTIALS = {
    "token": "token",
    "username": "username",
    "password": "password",
    "value": "value",
    "token_url": "tokenUrl",
    "client_id": "clientId",
    "client_secret": "clientSecret",
}


class _Template(NamedTuple):
    key: str
    source: str
    #: What it may use besides `config` and the enumerated entries.
    more: tuple[str, ...] = ()


def check_source(config: SyncConfig) -> None:
    """Check the templates and paths of a source, whatever the environment variables are.

    Raises:
        ConfigError: With all that is wrong.
    """
    problems = []
    entries = [level.variable for level in config.enumerate_for_content_types]
    for template in _templates(config):
        names = ("config", *entries, *template.more)
        try:
            compile_text(template.source, names=names)
        except MappingError as err:
            problems.append(Problem(Place(template.key), err.message))
    for key, source in _filters(config):
        problem = constant_problem(source)
        if problem:
            problems.append(Problem(Place(key), problem))
    if config.source_type == "restapi":
        try:
            check_paths(config, resolve_pagination(config))
        except ConfigError as err:
            problems.append(Problem(Place(err.key), err.message))
    if problems:
        raise config_error(problems, config.path)


def check_paths(config: SyncConfig, plan: Pagination) -> None:
    """Raise `ConfigError` where a path has no JSON to be read in, or the records' is none.

    The other paths may be names of the document as they stand, such as `@odata.nextLink`.
    """
    for key in places_in_body(plan):
        if config.results_format != "json":
            raise ConfigError(
                f"is read in a JSON body, but resultsFormat is {config.results_format}; take it "
                f"out, or page by offset, page, link_header or continuationTokenHeader",
                file=config.path,
                key=key,
            )
    if config.results_json_path is not None:
        try:
            check_json_path(config.results_json_path)
        except ConfigError as err:
            raise ConfigError(err.message, file=config.path, key=err.key) from err


def _templates(config: SyncConfig) -> Iterator[_Template]:
    yield from _rest_templates(config)
    for name, key in _CREDENTIALS.items():
        source = getattr(config.auth, name, None)
        if source is not None:
            yield _Template(f"auth.{key}", source)
    for key, source in _filters(config):
        yield _Template(key, source)
    yield _Template("connectionString", config.connection_string or "")
    yield _Template("query", config.query or "", _paging_variables(config))
    if config.sensor is not None:
        yield _Template("sensor.url", config.sensor.url)
        for name, source in config.sensor.headers.items():
            yield _Template(f"sensor.headers.{name}", source)


def _filters(config: SyncConfig) -> Iterator[tuple[str, str]]:
    for i, level in enumerate(config.enumerate_for_content_types):
        yield f"enumerateForContentTypes[{i}].filter", level.filter


def _rest_templates(config: SyncConfig) -> Iterator[_Template]:
    yield _Template("endPoint", config.end_point or "", PAGING_NAMES)
    for key, sources in (
        ("headers", config.headers),
        ("queryParameters", config.query_parameters),
        ("formUrlEncodedContent", config.form_url_encoded_content),
    ):
        for name, source in sources.items():
            yield _Template(f"{key}.{name}", source, PAGING_NAMES)
    for key, source in _texts("jsonBody", config.json_body):
        yield _Template(key, source, PAGING_NAMES)
    yield _Template("resultsSecret", config.results_secret or "")


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """The texts of a JSON value, each a template, and where they stand."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(f"{key}.{name}", member)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _texts(f"{key}[{i}]", item)


def _paging_variables(config: SyncConfig) -> tuple[str, ...]:
    """The variables of a query, named by the file."""
    paging = config.pagination
    names = (paging.limit_key, paging.skip_key) if paging else ()
    return tuple(name for name in names if name)
