"""A paginated REST API over loopback that serves the airports of the package `airportsdata`.

``GET /airports?limit=1000&offset=0`` answers ``{"total": 28264, "items": [{"icao": "00AA"}]}``.
Run as a process of its own (``python -m sync_pipeline.demo.source --port 8765``), so that the
memory of the sync is the memory of the sync.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sync_pipeline.errors import AccessError, MissingExtraError

DEFAULT_PORT = 8765
MAX_LIMIT = 1000


def load_airports() -> list[dict[str, Any]]:
    """All airports, ordered by ICAO code.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        import airportsdata  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise MissingExtraError(
            "The demo needs the package airportsdata: pip install 'sync_pipeline[demo]'"
        ) from None
    airports = airportsdata.load("ICAO")
    return [dict(airports[code]) for code in sorted(airports)]


def build_app(airports: Sequence[Mapping[str, Any]]) -> Any:
    """The API as an ASGI application."""
    from starlette.applications import Starlette  # noqa: PLC0415 - only the server needs it
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def page(request: Request) -> Response:
        limit = min(int(request.query_params.get("limit", MAX_LIMIT)), MAX_LIMIT)
        offset = int(request.query_params.get("offset", 0))
        body = {"total": len(airports), "items": list(airports[offset : offset + limit])}
        return Response(json.dumps(body), media_type="application/json")

    return Starlette(routes=[Route("/airports", page)])


@contextmanager
def running_source(port: int = DEFAULT_PORT) -> Iterator[str]:
    """Serve the airports from a process of its own; yields the base URL, stops it at the end.

    Takes another port if the wanted one is taken.
    """
    load_airports()  # a missing package is reported here, not by a process that dies
    port = _free_port(port)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", __name__, "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:  # noqa: S603 - our module
        try:
            _wait_until_ready(f"{url}/airports?limit=1", process)
            yield url
        finally:
            process.terminate()


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As the server will: a port whose last owner has just gone is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AccessError("There is no free port on 127.0.0.1 for the demo's source.")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own loopback URL
                return
        except OSError:
            time.sleep(0.1)
    raise AccessError(f"The demo's source did not start (exit code {process.poll()}).")


def main() -> None:
    """Serve until terminated."""
    import uvicorn  # noqa: PLC0415 - only the server needs it

    parser = argparse.ArgumentParser(description="Serve the airports over loopback.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    app = build_app(load_airports())
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
