"""What can be wrong with the templates of a database."""

from __future__ import annotations

from collections.abc import Iterator

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract.templates import Template


def templates(config: SyncConfig) -> Iterator[Template]:
    """The templates that only such a source has."""
    yield Template("connectionString", config.connection_string or "")
    yield Template("query", config.query or "", _paging_variables(config))


def check(_config: SyncConfig) -> None:
    """Nothing is left to look at: `config.pagination` knows what a query can be paged by."""


def _paging_variables(config: SyncConfig) -> tuple[str, ...]:
    """The variables of a query, named by the file."""
    paging = config.pagination
    names = (paging.limit_key, paging.skip_key) if paging else ()
    return tuple(name for name in names if name)
