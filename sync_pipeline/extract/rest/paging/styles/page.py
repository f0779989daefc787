"""`?page=3&size=100`: pages of one size have numbers."""

from __future__ import annotations

from dataclasses import replace

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import PagingStyle


class _Page(PagingStyle):
    counts = "pages"

    def first(self, plan: Pagination) -> int:
        return plan.first_page or 0

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        number = {plan.skip_key: str(state.position)} if plan.skip_key else {}
        return replace(page, query={**page.query, **number})


STYLE = _Page()
