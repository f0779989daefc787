"""Sources: a page of records is a value, and every source yields pages it can go on from."""

from __future__ import annotations

from typing import cast

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract.kinds import module_of
from sync_pipeline.extract.setting import SourceSetting
from sync_pipeline.model import Source

__all__ = ["SourceSetting", "open_source"]


def open_source(config: SyncConfig, setting: SourceSetting) -> Source:
    """Open the source that a config describes; nothing is requested before `fetch_pages`.

    Returns:
        The source; the caller closes it.

    Raises:
        ConfigError: Templates, pagination, credentials or connection string cannot work.
        MissingExtraError: A database driver is not installed.
    """
    return cast("Source", module_of(config, "opening").open_source(config, setting))
