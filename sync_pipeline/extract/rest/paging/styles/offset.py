"""`?offset=200&limit=100`: a page begins after so many records."""

from __future__ import annotations

from dataclasses import replace

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import PagingStyle


class _Offset(PagingStyle):
    counts = "records"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        position = {plan.skip_key: str(state.position)} if plan.skip_key else {}
        return replace(page, query={**page.query, **position})


STYLE = _Offset()
