"""What can be wrong with the templates and paths of a REST source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import Pagination, places_in_body, resolve_pagination
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.formats import check_json_path
from sync_pipeline.extract.rest.requesting import PAGING_NAMES
from sync_pipeline.extract.templates import Template

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


def templates(config: SyncConfig) -> Iterator[Template]:
    """The templates that only such a source has."""
    yield from _request_templates(config)
    for name, key in _CREDENTIALS.items():
        source = getattr(config.auth, name, None)
        if source is not None:
            yield Template(f"auth.{key}", source)


def check(config: SyncConfig) -> None:
    """Raise `ConfigError` where paging cannot work."""
    check_paths(config, resolve_pagination(config))


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


def _request_templates(config: SyncConfig) -> Iterator[Template]:
    yield Template("endPoint", config.end_point or "", PAGING_NAMES)
    for key, sources in (
        ("headers", config.headers),
        ("queryParameters", config.query_parameters),
        ("formUrlEncodedContent", config.form_url_encoded_content),
    ):
        for name, source in sources.items():
            yield Template(f"{key}.{name}", source, PAGING_NAMES)
    for key, source in _texts("jsonBody", config.json_body):
        yield Template(key, source, PAGING_NAMES)
    yield Template("resultsSecret", config.results_secret or "")


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
