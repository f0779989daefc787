"""The body has a cursor, which a parameter of the next request carries.

Most are texts. An array (`search_after` of Elasticsearch) is sent as the JSON that it was. An
object is rather the one around the cursor, and refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState
from sync_pipeline.extract.rest.paging.style import NextPage, PagingStyle, read_text

#: Before the JSON of a cursor that is no text, among the tokens of a checkpoint.
_JSON = "\0"


class _Cursor(PagingStyle):
    pointer = "pagination.cursorPath"
    to_check = "pagination.cursorPath and pagination.cursorKey"

    def ask(self, plan: Pagination, state: PagingState, page: PageRequest) -> PageRequest:
        if state.token is None or not plan.cursor_key:
            return page
        text, value = state.token, None
        if text.startswith(_JSON):
            text = text.removeprefix(_JSON)
            value = json.loads(text)
        query = {**page.query, plan.cursor_key: text}
        return replace(page, query=query, cursor=text, cursor_value=value)

    def read_next(self, plan: Pagination, answer: Answer, values: Mapping[str, Any]) -> NextPage:
        value = values.get(self.pointer)
        if isinstance(value, list):
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            return NextPage(f"{_JSON}{text}" if value else None)
        return NextPage(read_text(value, self.pointer, answer.name))

    def noun(self, plan: Pagination) -> str:
        return "cursor"


STYLE = _Cursor()
