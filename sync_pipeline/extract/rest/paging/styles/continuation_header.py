"""The value of a response header is the value of the next request's header of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle


class _ContinuationHeader(PagingStyle):
    pointer = "continuationTokenHeader"
    to_check = "continuationTokenHeader"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        if state.token is None or not plan.header:
            return page
        return replace(page, headers={plan.header: state.token})

    def header(self, plan: Pagination) -> str | None:
        return plan.header

    def read_next(self, plan: Pagination, answer: Answer, values: Mapping[str, Any]) -> NextPage:
        return NextPage((plan.header and answer.headers.get(plan.header)) or None)

    def noun(self, plan: Pagination) -> str:
        return f"header {plan.header}"


STYLE = _ContinuationHeader()
