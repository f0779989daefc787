"""Sources: a page of records is a value, and every source yields pages it can go on from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.model import EntryLookup, Source

__all__ = ["open_source"]


def open_source(
    config: SyncConfig,
    *,
    variables: Mapping[str, str],
    cache_dir: Path | None = None,
    lookup: EntryLookup | None = None,
    limit: int | None = None,
    log: logging.Logger | None = None,
    warn: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Source:
    """Open the source that a config describes; nothing is requested before `fetch_pages`.

    Args:
        config: The sync.
        variables: What templates see as `config.NAME`.
        cache_dir: Response cache (`use_file_cache`); None: every request goes to the source.
        lookup: The entries of the space, for `enumerateForContentTypes`.
        limit: Only the first so many records.
        log: One line a request at DEBUG; `sync_pipeline.extract` by default.
        warn: Told what a reader of the run must know beside its figures; `log.warning` by default.
        sleep: Pauses for seconds between attempts, and for `requestsPerSecond`.

    Returns:
        The source; the caller closes it.

    Raises:
        ConfigError: Templates, pagination, credentials or connection string cannot work.
        MissingExtraError: A database driver is not installed.
    """
    log = log or logging.getLogger(__name__)
    if config.source_type == "database":
        from sync_pipeline.extract.database.source import open_database_source  # noqa: PLC0415  # heavy

        return open_database_source(config, variables=variables, limit=limit, log=log)
    from sync_pipeline.extract.rest.opening import open_rest_source  # noqa: PLC0415

    return open_rest_source(
        config,
        variables=variables,
        cache_dir=cache_dir,
        lookup=lookup,
        limit=limit,
        log=log,
        warn=warn,
        sleep=sleep,
    )
