"""The code of a kind of sources: a package here, named by the table in `config.sources`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.sources import KINDS


def module_of(config: SyncConfig, name: str) -> Any:
    """A module of the package; loaded when it is asked for, since database drivers are heavy."""
    package = KINDS[config.source_type].package
    return import_module(f"sync_pipeline.extract.{package}.{name}")
