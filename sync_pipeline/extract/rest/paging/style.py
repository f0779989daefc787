"""What a style of paging is: how it asks for a page, and reads where the next one is.

When the pages end is no style's own affair: `ending` decides for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urljoin

from sync_pipeline.config.pagination import Pagination
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.http.sessions import is_http_url
from sync_pipeline.extract.rest.paging.state import PageRequest, PagingState


@dataclass(frozen=True, slots=True)
class NextPage:
    """Where an answer says that the next page is."""

    #: Cursor, absolute URL or value of a header; None: there is none.
    token: str | None = None
    #: Worth a warning; "" mostly.
    notice: str = ""


class PagingStyle:
    """One way of paging; `STYLE` of each module in `styles` is one.

    The keys that it has in a config are declared in `config.pagination`.
    """

    #: What the next request is counted by; None: answers name the next page, or there is none.
    counts: ClassVar[Literal["records", "pages"] | None] = None
    #: Where answers name the next page, in the words of messages: a key of the config, or a header.
    pointer: ClassVar[str] = ""
    #: Whether what they name is a URL, which says all that a request has to.
    is_url: ClassVar[bool] = False
    #: What to look at where paging goes in circles.
    to_check: ClassVar[str] = ""

    def first(self, plan: Pagination) -> int:
        """Offset or page number of the first request."""
        return 0

    def ask(
        self,
        plan: Pagination,
        state: PagingState,
        page: PageRequest,
    ) -> PageRequest:
        """Add to a request, which has its size, the page that it is for."""
        return page

    def header(self, plan: Pagination) -> str | None:
        """The response header that names the next page; None: the body does, or nothing."""
        return None

    def read_next(self, plan: Pagination, answer: Answer, values: Mapping[str, Any]) -> NextPage:
        """Where the next page is.

        Args:
            plan: The source's block.
            answer: Its headers count.
            values: What the body has at its declared places, by their keys.

        Raises:
            SourceDataError: It cannot be told.
        """
        return NextPage()

    def noun(self, plan: Pagination) -> str:
        """What names the next page, for messages."""
        return ""


def read_text(value: Any, key: str, where: str) -> str | None:
    """The text or number at a place of the body; None, false and "" are none."""
    if value is None or value is False or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else str(value)
    raise SourceDataError(
        f"{where}: the value at {key} is neither a text nor a number. Correct the path"
    )


def join_url(answer: Answer, target: str) -> str:
    """The URL of the next page, which may be relative."""
    try:
        url = urljoin(answer.url, target)
    except ValueError:
        url = ""
    if not is_http_url(url):
        raise SourceDataError(
            f"{answer.name}: what it names as the URL of the next page is none. Check `pagination`"
        )
    return url
