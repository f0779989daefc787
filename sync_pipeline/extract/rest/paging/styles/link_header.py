"""A `Link` header with `rel="next"` has the URL of the next page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.link_header import UnreadableLinkError, find_next
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle, join_url


class _LinkHeader(PagingStyle):
    pointer = "the Link header"
    is_url = True
    to_check = "what the source sends in its Link header"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        return page if state.token is None else replace(page, url=state.token, query={}, cursor="")

    def header(self, plan: Pagination) -> str:
        return "Link"

    def read_next(self, plan: Pagination, answer: Answer, values: Mapping[str, Any]) -> NextPage:
        try:
            found = find_next(answer.headers.get("Link", ""), answer.url)
        except UnreadableLinkError as err:
            raise SourceDataError(
                f"{answer.name}: {err}. Whether more records follow cannot be told: mend the "
                f"source, or page by another style"
            ) from err
        if found.url is None:
            return NextPage(None, found.notice)
        return NextPage(join_url(answer, found.url), found.notice)

    def noun(self, plan: Pagination) -> str:
        return "Link header"


STYLE = _LinkHeader()
