"""A small REST API over loopback for the tests of sources.

Routes are functions from a `Request` to a `Reply`; `serve` runs one and keeps what was asked.
`Catalogue` is a real page calculator: it answers in any style of paging, honestly or not.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    url: str


@dataclass(frozen=True)
class Reply:
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes after which the connection is cut without ceremony; None: all are sent.
    cut_after: int | None = None

    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if self.body is None:
            return b""
        return json.dumps(self.body).encode()


Handler = Callable[[Request], Reply]


@dataclass
class RunningApi:
    url: str
    requests: list[Request]

    def queries(self) -> list[dict[str, str]]:
        return [request.query for request in self.requests]


@contextmanager
def serve(handler: Handler) -> Iterator[RunningApi]:
    api = RunningApi("", [])

    class HttpHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            request = Request(
                method=self.command,
                path=parts.path,
                query={k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()},
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
                url=self.path,
            )
            api.requests.append(request)
            reply = handler(request)
            data = reply.data()
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", **reply.headers}
            for name, value in headers.items():
                if value is not None:
                    self.send_header(name, value)
            if reply.status not in (204, 304):
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if reply.cut_after is not None:
                self.wfile.write(data[: reply.cut_after])
                self.wfile.flush()
                self.close_connection = True
            else:
                self.wfile.write(data)

        do_GET = answer  # noqa: N815  # as http.server names it
        do_POST = answer  # noqa: N815

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), HttpHandler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Catalogue:
    """Rows behind any style of paging; the fields after `rows` make it less than honest."""

    rows: list[dict[str, Any]]
    style: str = "offset"
    #: Number of the first page, page style.
    first: int = 0
    #: No page is larger than this, whatever is asked.
    cap: int | None = None
    #: What is declared beside the rows: total, totalPages, hasMore, isLast, totalHeader,
    #: totalPagesHeader.
    declares: tuple[str, ...] = ()
    #: Added to the declared total.
    lie: int = 0
    #: Page size of styles that are not asked for one.
    size: int = 10

    def __call__(self, request: Request) -> Reply:
        size = int(request.query.get("limit", self.size))
        if self.cap is not None:
            size = min(size, self.cap)
        offset = self._offset(request, size)
        rows = self.rows[offset : offset + size]
        following = offset + size
        has_more = following < len(self.rows)
        body: dict[str, Any] = {"items": rows}
        headers: dict[str, str] = {}
        if "total" in self.declares:
            body["total"] = len(self.rows) + self.lie
        if "totalPages" in self.declares:
            body["totalPages"] = -(-len(self.rows) // size) + self.lie
        if "totalHeader" in self.declares:
            headers["X-Total-Count"] = str(len(self.rows) + self.lie)
        if "totalPagesHeader" in self.declares:
            headers["X-Pages"] = str(-(-len(self.rows) // size) + self.lie)
        if "hasMore" in self.declares:
            body["hasMore"] = has_more
        if "isLast" in self.declares:
            body["isLast"] = not has_more
        if self.style == "cursor":
            body["meta"] = {"next": f"c{following}" if has_more else None}
        query = urlencode(
            {"from": following, **{k: v for k, v in request.query.items() if k == "limit"}}
        )
        if self.style == "next_url":
            body["next"] = f"{request.path}?{query}" if has_more else None
        if self.style == "link_header" and has_more:
            headers["Link"] = f'<{request.path}?{query}>; rel="next", </>; rel="first"'
        if self.style == "continuation_header" and has_more:
            headers["X-Next"] = str(following)
        return Reply(body, headers=headers)

    def _offset(self, request: Request, size: int) -> int:
        query = request.query
        if self.style == "offset":
            return int(query.get("offset", 0))
        if self.style == "page":
            return (int(query.get("page", self.first)) - self.first) * size
        if self.style == "cursor":
            return int(query.get("cursor", "c0")[1:])
        if self.style in ("next_url", "link_header"):
            return int(query.get("from", 0))
        if self.style == "continuation_header":
            return int(request.headers.get("x-next", 0))
        return 0


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"id": i, "name": f"row {i}"} for i in range(count)]
