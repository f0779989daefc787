"""The query of a database source as a template: its text for any page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError, RecordError
from sync_pipeline.templating import compile_text


@dataclass(frozen=True, slots=True)
class Query:
    """The SQL of a config, for any page of it."""

    config: SyncConfig
    variables: Mapping[str, str]
    #: Names of the template variables; "" where the query has none.
    limit_name: str
    skip_name: str
    #: `limitMax`; None: one query for everything.
    page_size: int | None

    @classmethod
    def compile(cls, config: SyncConfig, variables: Mapping[str, str]) -> Query:
        """Check what can be checked before the database is asked.

        Raises:
            ConfigError: No query, or paging that could not end.
        """
        if not (config.query or "").strip():
            raise ConfigError("a database source needs it", file=config.path, key="query")
        paging = config.pagination
        if paging is None or paging.type == "none":
            query = cls(config, variables, "", "", None)
            query.text(0)
            return query
        if not paging.skip_key or not (paging.limit_max or paging.page_size):
            raise ConfigError(
                "a query is paged by skipKey and limitMax; without pagination it is streamed",
                file=config.path, key="pagination",
            )  # fmt: skip
        size = paging.limit_max or paging.page_size
        query = cls(config, variables, paging.limit_key or "", paging.skip_key, size)
        if query.text(0) == query.text(size or 0):
            raise ConfigError(
                f"does not use {{{{ {paging.skip_key} }}}}: every page would be the first",
                file=config.path, key="query",
            )  # fmt: skip
        return query

    def text(self, skip: int) -> str:
        """The SQL of the page that begins after `skip` records."""
        values: dict[str, Any] = {"config": self.variables}
        if self.page_size is not None:
            values[self.skip_name] = skip
            if self.limit_name:
                values[self.limit_name] = self.page_size
        return render_text(self.config, self.config.query or "", values, "query")


def render_text(config: SyncConfig, template: str, values: Mapping[str, Any], key: str) -> str:
    """A template of a database source, filled in; errors name file and key."""
    render = compile_text(template, names=tuple(values), file=config.path, key=key)
    try:
        return render(values)
    except RecordError as err:
        raise ConfigError(str(err), file=config.path, key=key) from err
