"""An open store, its application, and a client that calls it without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from sync_pipeline.local_space.server.asgi import LocalSpaceApp
from sync_pipeline.local_space.server.process import build_app
from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline.local_space.store.store import Store, open_store

MASTER = "/spaces/local/environments/master"


@dataclass
class Clock:
    """Time that moves only when a test says so, but for one millisecond per reading."""

    seconds: float = 0.0
    readings: int = 0

    def now(self) -> datetime:
        self.readings += 1
        start = datetime(2026, 1, 1, tzinfo=timezone.utc)
        return start + timedelta(seconds=self.seconds, milliseconds=self.readings)

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: dict[str, str]
    raw: bytes

    @property
    def error(self) -> tuple[int, str, str | None]:
        """Status, `sys.id` and message of an error."""
        return self.status, self.body["sys"]["id"], self.body.get("message")

    @property
    def faults(self) -> list[dict[str, Any]]:
        """`details.errors`."""
        errors: list[dict[str, Any]] = self.body["details"]["errors"]
        return errors


@dataclass
class Api:
    """Calls an application in this thread; paths are relative to `master` of `local`."""

    app: LocalSpaceApp
    prefix: str = MASTER
    token: str | None = "any"
    headers: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: int | str | None = None,
        content_type: str | None = None,
        query: dict[str, Any] | str = "",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        sent = dict(self.headers)
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        if version is not None:
            sent["x-contentful-version"] = str(version)
        if content_type is not None:
            sent["x-contentful-content-type"] = content_type
        sent |= headers or {}
        payload = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        text = query if isinstance(query, str) else urlencode(query, safe="[]", quote_via=quote)
        full = path[1:] if path.startswith("!") else self.prefix + path
        return asyncio.run(_exchange(self.app, method, full, text, sent, payload))

    def get(self, path: str, **query: Any) -> Reply:
        return self.call("GET", path, query=query)

    def put_type(self, type_id: str, fields: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Create and activate a content type."""
        named = [{"name": item["id"], **item} for item in fields]
        created = self.call(
            "PUT", f"/content_types/{type_id}", {"name": type_id, "fields": named, **more}
        )
        assert created.status == 201, created.body
        active = self.call("PUT", f"/content_types/{type_id}/published", version=1)
        assert active.status == 200, active.body
        body: dict[str, Any] = active.body
        return body

    def put_entry(
        self,
        entry_id: str,
        fields: dict[str, Any],
        *,
        type_id: str = "thing",
        publish: bool = False,
    ) -> dict[str, Any]:
        """Create an entry; values that are no `{locale: value}` belong to `en-US`."""
        keyed = {
            key: value if isinstance(value, dict) and "en-US" in value else {"en-US": value}
            for key, value in fields.items()
        }
        reply = self.call("PUT", f"/entries/{entry_id}", {"fields": keyed}, content_type=type_id)
        assert reply.status == 201, reply.body
        if publish:
            reply = self.call("PUT", f"/entries/{entry_id}/published", version=1)
            assert reply.status == 200, reply.body
        body: dict[str, Any] = reply.body
        return body

    def ids(self, **query: Any) -> list[str]:
        reply = self.get("/entries", **query)
        assert reply.status == 200, reply.body
        return [item["sys"]["id"] for item in reply.body["items"]]


async def _exchange(
    app: LocalSpaceApp, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Reply:
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
    }
    await app(scope, receive, send)
    start, end = messages
    raw = end["body"]
    answered = {key.decode(): value.decode() for key, value in start["headers"]}
    return Reply(start["status"], json.loads(raw) if raw else None, answered, raw)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_space(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Api]]:
    """Opens a space with options; its ids are `id-1`, `id-2`, ..."""
    opened: list[Any] = []
    count = iter(range(1, 1_000_000))

    def build(
        *,
        index_delay: IndexDelay | None = None,
        bulk_delay_s: float = 0.0,
        path: Path | None = None,
        **options: Any,
    ) -> Api:
        context = open_store(
            path or tmp_path / "space.sqlite",
            clock=clock.now,
            monotonic=clock.monotonic,
            new_id=lambda: f"id-{next(count)}",
            index_delay=index_delay,
            bulk_delay_s=bulk_delay_s,
        )
        store = context.__enter__()
        opened.append(context)
        return Api(build_app(store, clock=clock.monotonic, **options))

    yield build
    for context in reversed(opened):
        context.__exit__(None, None, None)


@pytest.fixture
def api(open_space: Callable[..., Api]) -> Api:
    """A space with the locales en-US (default) and de-DE, and no content type."""
    api = open_space()
    german = {"name": "German", "code": "de-DE", "fallbackCode": "en-US", "optional": True}
    assert api.call("POST", "/locales", german).status == 201
    return api


@pytest.fixture
def store(api: Api) -> Store:
    return api.app.store


@pytest.fixture
def things(api: Api) -> Api:
    """With a content type `thing` that has a field of every type."""
    api.put_type("thing", THING_FIELDS, displayField="name")
    return api


THING_FIELDS: list[dict[str, Any]] = [
    {"id": "name", "type": "Symbol", "localized": True},
    {"id": "sku", "type": "Symbol"},
    {"id": "text", "type": "Text"},
    {"id": "body", "type": "RichText"},
    {"id": "count", "type": "Integer"},
    {"id": "price", "type": "Number"},
    {"id": "flag", "type": "Boolean"},
    {"id": "day", "type": "Date"},
    {"id": "data", "type": "Object"},
    {"id": "place", "type": "Location"},
    {"id": "other", "type": "Link", "linkType": "Entry"},
    {"id": "image", "type": "Link", "linkType": "Asset"},
    {"id": "tags", "type": "Array", "items": {"type": "Symbol"}},
    {"id": "others", "type": "Array", "items": {"type": "Link", "linkType": "Entry"}},
]
