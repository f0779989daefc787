"""The local space on loopback in this process: one server, an environment of its own for each test.

A test sees every request, may answer it with a fault, and reads the entries as the API shows them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import uvicorn

from sync_pipeline.local_space.request import Request
from sync_pipeline.local_space.server.asgi import Fault, FaultHook
from sync_pipeline.local_space.server.process import build_app
from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline.local_space.store.store import open_store

SPACE_ID = "local"
TOKEN = "CFPAT-tested-token-0123456789"
_MANAGEMENT_JSON = "application/vnd.contentful.management.v1+json"
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")

PRODUCT: dict[str, Any] = {
    "name": "Product",
    "displayField": "name",
    "fields": [
        {"id": "sku", "name": "SKU", "type": "Symbol", "required": True},
        {"id": "name", "name": "Name", "type": "Symbol", "localized": True, "required": True},
        {"id": "stock", "name": "Stock", "type": "Integer"},
        {
            "id": "grade",
            "name": "Grade",
            "type": "Symbol",
            "validations": [{"in": ["A", "B", "C"]}],
        },
        {"id": "tags", "name": "Tags", "type": "Array", "items": {"type": "Symbol"}},
        {"id": "parent", "name": "Parent", "type": "Link", "linkType": "Entry"},
    ],
}


@dataclass
class TestedSpace:
    """One environment, empty but for the content type `product` and the locales en-US, de-DE."""

    __test__ = False

    url: str
    environment_id: str
    session: requests.Session
    requests: list[Request] = field(default_factory=list)
    #: Answers a request with a fault; see `local_space.server.process.build_app`.
    fault: FaultHook = lambda _request: None

    @property
    def changing_requests(self) -> list[str]:
        """`PUT /entries/x` and so on, of all requests so far that may change the space."""
        return [
            f"{request.method} {self.short(request)}"
            for request in self.requests
            if request.method in _CHANGING
        ]

    def short(self, request: Request) -> str:
        """The path below the environment."""
        return request.path.partition(f"/environments/{self.environment_id}")[2]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call the API as somebody else would; not noted in `requests`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.url}/spaces/{SPACE_ID}/environments/{self.environment_id}{path}"
        answer = self.session.request(
            method,
            url,
            json=body,
            headers={"Content-Type": _MANAGEMENT_JSON, "X-Test": "1", **named},
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def raw_entries(self) -> list[dict[str, Any]]:
        """All entries as the API shows them, by id."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", f"/entries?limit=1000&order=sys.id&skip={len(found)}")
            found += page["items"]
            if len(found) >= page["total"] or not page["items"]:
                return found

    def entries(self) -> dict[str, tuple[dict[str, Any], str]]:
        """`{sku: (fields, "draft" | "published" | "changed")}`; two entries of a sku fail."""
        found: dict[str, tuple[dict[str, Any], str]] = {}
        for entry in self.raw_entries():
            key = entry["fields"]["sku"]["en-US"]
            assert key not in found, f"two entries hold {key}"
            found[key] = (entry["fields"], state_of(entry))
        return found

    def versions(self) -> dict[str, int]:
        """`{entry id: sys.version}`: the same afterwards means that nothing was written."""
        return {entry["sys"]["id"]: entry["sys"]["version"] for entry in self.raw_entries()}

    def put_entry(self, entry_id: str, fields: dict[str, Any], *, publish: bool = False) -> None:
        """Create a product; values belong to en-US."""
        keyed = {name: {"en-US": value} for name, value in fields.items()}
        self.call(
            "PUT", f"/entries/{entry_id}", {"fields": keyed}, X_Contentful_Content_Type="product"
        )
        if publish:
            self.call("PUT", f"/entries/{entry_id}/published", X_Contentful_Version="1")

    def add_field(self, definition: dict[str, Any]) -> None:
        """Give the content type `product` a further field, and activate it."""
        path = "/content_types/product"
        held = self.call("GET", path)
        body = {name: held[name] for name in ("name", "displayField", "fields")}
        body["fields"] = [*body["fields"], definition]
        saved = self.call("PUT", path, body, X_Contentful_Version=str(held["sys"]["version"]))
        self.call("PUT", f"{path}/published", X_Contentful_Version=str(saved["sys"]["version"]))


def state_of(entry: dict[str, Any]) -> str:
    """draft, published or changed."""
    published = entry["sys"].get("publishedVersion")
    if published is None:
        return "draft"
    return "published" if entry["sys"]["version"] == published + 1 else "changed"


@dataclass
class SpaceServer:
    """The server of all tests of a session."""

    url: str
    session: requests.Session
    _count: int = 0
    by_environment: dict[str, TestedSpace] = field(default_factory=dict)

    def new_space(self) -> TestedSpace:
        """A fresh environment."""
        self._count += 1
        space = TestedSpace(self.url, f"test-{self._count}", self.session)
        self.by_environment[space.environment_id] = space
        space.call("PUT", "", {"name": space.environment_id})
        return space

    def on_request(self, request: Request) -> Fault | None:
        """The fault hook of the application: finds the test that the request belongs to."""
        if "x-test" in request.headers:
            return None
        _, _, rest = request.path.partition("/environments/")
        space = self.by_environment.get(rest.split("/", 1)[0])
        if space is None:
            return None
        space.requests.append(request)
        return space.fault(request)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the test run."""
        yield


@contextmanager
def space_server(path: Path, *, index_delay: IndexDelay | None = None) -> Iterator[SpaceServer]:
    """Serve a space with the content type `product` from a thread."""
    with requests.Session() as session, socket.create_server(("127.0.0.1", 0), backlog=256) as sock:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        server = SpaceServer(f"http://127.0.0.1:{sock.getsockname()[1]}", session)
        ready = threading.Event()
        stop: list[Callable[[], None]] = []
        thread = threading.Thread(
            target=_serve, args=(path, index_delay, sock, server, ready, stop)
        )
        thread.start()
        assert ready.wait(20)
        master = TestedSpace(server.url, "master", session)
        master.call(
            "POST",
            "/locales",
            {"name": "German", "code": "de-DE", "fallbackCode": "en-US", "optional": True},
        )
        master.call("PUT", "/content_types/product", PRODUCT)
        master.call("PUT", "/content_types/product/published", X_Contentful_Version="1")
        try:
            yield server
        finally:
            for end in stop:
                end()
            thread.join()


def _serve(
    path: Path,
    index_delay: IndexDelay | None,
    sock: socket.socket,
    server: SpaceServer,
    ready: threading.Event,
    stop: list[Callable[[], None]],
) -> None:
    loop = asyncio.new_event_loop()
    with open_store(path, index_delay=index_delay) as store:
        app = build_app(store, faults=server.on_request)
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_keep_alive=75
        )
        http = _Server(config)

        def end() -> None:
            http.should_exit = http.force_exit = True

        stop.append(end)
        task = loop.create_task(http.serve(sockets=[sock]))
        task.add_done_callback(lambda _: ready.set())
        loop.call_soon(ready.set)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()
