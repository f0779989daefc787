"""One answer holds everything."""

from __future__ import annotations

from sync_pipeline.extract.rest.paging.style import PagingStyle

STYLE = PagingStyle()
