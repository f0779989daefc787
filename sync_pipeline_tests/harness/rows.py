"""A paginated REST source whose rows and faults a test sets, and which notes what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sync_pipeline_tests.extract.api import Reply, Request, RunningApi, serve

Row = dict[str, Any]
PAGE_SIZE = 10
#: What to answer instead of a page; None: the page. Called with the page's 1-based number.
Fault = Callable[[Request, int], Reply | None]

HTML = Reply(b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"})
RESET = Reply({"items": []}, cut_after=0)
DOWN = Reply({"error": "down"}, status=500)


@dataclass
class RowSource:
    """`GET /rows?limit=&offset=` answers `{"total": n, "items": [...]}`."""

    rows: Sequence[Row]
    api: RunningApi = field(default_factory=lambda: RunningApi("", []))
    fault: Fault = lambda _request, _page: None
    #: Of `GET /state`, which sensors watch.
    etag: str = '"1"'

    @property
    def url(self) -> str:
        """Base URL."""
        return self.api.url

    @property
    def pages(self) -> list[int]:
        """1-based numbers of the pages that were asked for, in order."""
        return [_page(request) for request in self.api.requests if request.path == "/rows"]

    def answer(self, request: Request) -> Reply:
        if request.path == "/state":
            fault = self.fault(request, 0)
            return fault or Reply({"etag": self.etag}, headers={"ETag": self.etag})
        fault = self.fault(request, _page(request))
        if fault is not None:
            return fault
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        return Reply({"total": len(self.rows), "items": list(self.rows[offset : offset + limit])})


def _page(request: Request) -> int:
    return int(request.query.get("offset", 0)) // PAGE_SIZE + 1


@contextmanager
def row_source(rows: Sequence[Row] = ()) -> Iterator[RowSource]:
    """Serve rows until the block ends."""
    source = RowSource(list(rows))
    with serve(source.answer) as api:
        source.api = api
        yield source


def product_rows(count: int, *, start: int = 0, **more: Any) -> list[Row]:
    """Rows of the content type `product` of `harness.space`."""
    return [
        {"sku": f"P{number:04d}", "name": f"Product {number}", "stock": number % 7, **more}
        for number in range(start, start + count)
    ]
