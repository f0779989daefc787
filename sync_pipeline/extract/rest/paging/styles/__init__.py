"""The styles of paging, each in the module of its name."""

from __future__ import annotations

from importlib import import_module

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.rest.paging.style import PagingStyle


def style_of(plan: Pagination) -> PagingStyle:
    """The style that a block means; `config.pagination` declares the names."""
    style = import_module(f"{__name__}.{plan.style}").STYLE
    assert isinstance(style, PagingStyle)  # noqa: S101  # a module of ours
    return style
