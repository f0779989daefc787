"""The body has the URL of the next page, whole or relative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle, join_url, read_text

_BASE = "pagination.nextUrlBasePath"


class _NextUrl(PagingStyle):
    pointer = "pagination.nextUrlPath"
    is_url = True
    to_check = "pagination.nextUrlPath"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        return page if state.token is None else replace(page, url=state.token, query={}, cursor="")

    def read_next(self, plan: Pagination, answer: Answer, values: Mapping[str, Any]) -> NextPage:
        text = (read_text(values.get(self.pointer), self.pointer, answer.name) or "").strip()
        if not text:
            return NextPage()
        if plan.next_url_base_path and "://" not in text:
            base = read_text(values.get(_BASE), _BASE, answer.name)
            if base is None:
                raise SourceDataError(
                    f"{answer.name}: names a next page, but nothing is at "
                    f"{plan.next_url_base_path!r} ({_BASE}) to append it to. Correct the path, or "
                    f"take it out"
                )
            text = _append(base.strip(), text)
        return NextPage(join_url(answer, text))

    def noun(self, plan: Pagination) -> str:
        return "URL in the body"


def _append(base: str, target: str) -> str:
    """Such bases have a path of their own, which a target that begins with `/` goes behind."""
    if target.startswith("?"):
        return f"{base}{target}"
    return f"{base.rstrip('/')}/{target.lstrip('/')}"


STYLE = _NextUrl()
