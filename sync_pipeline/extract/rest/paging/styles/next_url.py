"""The body has the URL of the next page, whole or relative."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle, join_url, read_text


class _NextUrl(PagingStyle):
    pointer = "pagination.nextUrlPath"
    is_url = True
    to_check = "pagination.nextUrlPath"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        return page if state.token is None else replace(page, url=state.token, query={}, cursor="")

    def read_next(self, plan: Pagination, answer: Answer, value: Any) -> NextPage:
        text = (read_text(value, self.pointer, answer.name) or "").strip()
        return NextPage(join_url(answer, text) if text else None)

    def noun(self, plan: Pagination) -> str:
        return "URL in the body"


STYLE = _NextUrl()
