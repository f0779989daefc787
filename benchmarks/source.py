"""A source for the benchmarks: N products in pages, or one huge JSON array, over loopback.

``GET /products?limit=1000&offset=0`` and ``GET /huge?records=1000000&padding=900``.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

CHUNK = 500


def product(number: int, padding: str = "") -> dict[str, object]:
    """A record of ten small fields."""
    return {
        "id": f"P{number:08d}",
        "name": f"Product number {number}",
        "description": f"What product {number} is good for, in a sentence of length. {padding}",
        "price": round(number * 0.37, 2),
        "stock": number % 1000,
        "active": number % 3 == 0,
        "category": f"category-{number % 40}",
        "colour": ("red", "green", "blue")[number % 3],
        "updated": f"2026-01-{number % 28 + 1:02d}T10:00:00Z",
        "tags": ["new", f"t{number % 7}"],
    }


def build_app(total: int) -> Starlette:
    pages: dict[tuple[int, int], bytes] = {}

    async def page(request: Request) -> Response:
        limit = min(int(request.query_params.get("limit", 1000)), 1000)
        offset = int(request.query_params.get("offset", 0))
        if (offset, limit) not in pages:
            items = [product(n) for n in range(offset, min(offset + limit, total))]
            pages[offset, limit] = json.dumps({"total": total, "items": items}).encode()
        return Response(pages[offset, limit], media_type="application/json")

    async def huge(request: Request) -> Response:
        records = int(request.query_params["records"])
        padding = "x" * int(request.query_params.get("padding", 0))

        def body() -> Iterator[bytes]:
            yield b"["
            for start in range(0, records, CHUNK):
                rows = (product(n, padding) for n in range(start, min(start + CHUNK, records)))
                yield (b"," if start else b"") + json.dumps(list(rows)).encode()[1:-1]
            yield b"]"

        return StreamingResponse(body(), media_type="application/json")

    return Starlette(routes=[Route("/products", page), Route("/huge", huge)])


@contextmanager
def running_source(total: int) -> Iterator[str]:
    """Serve `total` products from a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--port", str(port), "--total", str(total)]
    with subprocess.Popen(command) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"{url}/products?limit=1", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--total", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(build_app(given.total), host="127.0.0.1", port=given.port, log_level="warning")
