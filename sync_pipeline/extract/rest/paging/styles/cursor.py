"""The body has a cursor, which a parameter of the next request carries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle, read_text


class _Cursor(PagingStyle):
    pointer = "pagination.cursorPath"
    to_check = "pagination.cursorPath and pagination.cursorKey"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        if state.token is None or not plan.cursor_key:
            return page
        return replace(page, query={**page.query, plan.cursor_key: state.token})

    def read_next(self, plan: Pagination, answer: Answer, value: Any) -> NextPage:
        return NextPage(read_text(value, self.pointer, answer.name))

    def noun(self, plan: Pagination) -> str:
        return "cursor"


STYLE = _Cursor()
