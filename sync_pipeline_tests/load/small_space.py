"""A space in memory behind real HTTP, small enough to be read, that fails on demand.

Follows the contract of the Content Management API as far as load uses it. `faults` decides per
request what goes wrong, before or after the request was carried out.
"""

from __future__ import annotations

import copy
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PRODUCT_FIELDS = [
    {"id": "sku", "name": "SKU", "type": "Symbol", "required": True},
    {"id": "title", "name": "Title", "type": "Symbol", "localized": True},
    {"id": "price", "name": "Price", "type": "Number"},
    {"id": "tags", "name": "Tags", "type": "Array", "items": {"type": "Symbol"}},
    {"id": "related", "name": "Related", "type": "Link", "linkType": "Entry"},
    {"id": "body", "name": "Body", "type": "Text"},
    {"id": "released", "name": "Released", "type": "Date"},
]


@dataclass
class Request:
    method: str
    #: Below the environment, or the whole path.
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass
class Fault:
    """What happens to one request instead of a plain answer."""

    #: 0: the connection is reset.
    status: int = 0
    #: Whether the request was carried out all the same.
    after: bool = False
    error_id: str = "ServerError"
    headers: dict[str, str] = field(default_factory=dict)
    #: None: an error body; else these bytes.
    raw: bytes | None = None
    #: Makes what is sent of the answer that the request deserves; then status 0 is that answer's.
    mangle: Callable[[bytes], bytes] | None = None
    #: The connection ends in the middle of the body.
    is_cut: bool = False


class SpaceState:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.actions: dict[str, dict[str, Any]] = {}
        self.faults: Callable[[Request], Fault | None] = lambda _: None
        #: Called before a request is carried out, under the lock: editors at work.
        self.meanwhile: Callable[[Request], None] = lambda _: None
        #: Called with (entry) when it is published; returns the body of an error.
        self.publish_error: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None
        #: Called with the fields that are saved; returns the body of an error.
        self.save_error: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None
        self.polls_needed = 1
        self.has_bulk = True
        self.names_culprits = True
        self.max_response_bytes = 7_340_032
        self.defaults: dict[str, Any] = {}
        self.content_types: dict[str, dict[str, Any]] = {}
        self.locales = [
            {"code": "en-US", "default": True, "fallbackCode": None, "optional": False},
            {"code": "de-DE", "default": False, "fallbackCode": "en-US", "optional": True},
        ]
        self.clock = 0
        self.url = ""
        self.add_content_type("product", PRODUCT_FIELDS, display="title")

    # ------------------------------------------------------------ for tests

    def add_content_type(
        self, type_id: str, fields: list[dict[str, Any]], *, display: str | None = None
    ) -> dict[str, Any]:
        self.content_types[type_id] = {
            "sys": {"id": type_id, "type": "ContentType", "version": 2, "publishedVersion": 1},
            "name": type_id.title(),
            "displayField": display,
            "fields": copy.deepcopy(fields),
        }
        return self.content_types[type_id]

    def add_entry(
        self,
        entry_id: str,
        fields: dict[str, Any],
        *,
        version: int = 2,
        published: int | None = 1,
        archived: bool = False,
        content_type: str = "product",
    ) -> dict[str, Any]:
        with self.lock:
            self.clock += 1
            sys = {
                "id": entry_id,
                "type": "Entry",
                "version": version,
                "createdAt": f"2024-01-01T00:00:{self.clock:09.3f}Z",
                "contentType": {
                    "sys": {"type": "Link", "linkType": "ContentType", "id": content_type}
                },
            }
            if published is not None:
                sys["publishedVersion"] = published
            if archived:
                sys["archivedVersion"] = version - 1
            self.entries[entry_id] = {"sys": sys, "fields": fields}
            return self.entries[entry_id]

    def edit(self, entry_id: str, fields: dict[str, Any]) -> None:
        """What an editor does: a new version with other values."""
        with self.lock:
            self.entries[entry_id]["fields"].update(fields)
            self.entries[entry_id]["sys"]["version"] += 1

    def fields_of(self, entry_id: str) -> dict[str, Any]:
        return self.entries[entry_id]["fields"]

    def is_published(self, entry_id: str) -> bool:
        sys = self.entries[entry_id]["sys"]
        return sys.get("publishedVersion") == sys["version"] - 1

    def count(self, method: str = "", pattern: str = "") -> int:
        with self.lock:
            return sum(
                1
                for r in self.requests
                if (not method or r.method == method) and re.search(pattern, r.path)
            )

    @property
    def writes(self) -> list[Request]:
        return [r for r in self.requests if r.is_write]

    # ------------------------------------------------------------ the API

    def answer(self, request: Request) -> tuple[int, Any]:
        path, method = request.path, request.method
        if path in {"/spaces/s1", "/spaces/s1/environments/master"}:
            return 200, {"sys": {"type": "Space", "id": "s1"}}
        if path.startswith("/spaces/"):
            return 404, error("NotFound")
        if path == "/locales":
            return 200, collection(self.locales, request.params)
        if path in {"/content_types", "/public/content_types"}:
            return 200, collection(list(self.content_types.values()), request.params)
        if match := re.fullmatch(r"/content_types/([^/]+)", path):
            found = self.content_types.get(match[1])
            return (200, found) if found else (404, not_found("ContentType", match[1]))
        if path == "/entries" and method == "GET":
            return self._query(request.params)
        if match := re.fullmatch(r"/entries/([^/]+)", path):
            return self._entry(request, match[1])
        if match := re.fullmatch(r"/entries/([^/]+)/published", path):
            return self._publish_one(request, match[1])
        if self.has_bulk and path == "/bulk_actions/publish":
            return self._publish_many(request.body)
        if match := re.fullmatch(r"/bulk_actions/actions/([^/]+)", path):
            return self._poll(match[1])
        return 404, error("UnknownRoute")

    def _entry(self, request: Request, entry_id: str) -> tuple[int, Any]:
        entry = self.entries.get(entry_id)
        version = request.headers.get("x-contentful-version")
        if request.method == "GET":
            return (200, entry) if entry else (404, not_found("Entry", entry_id))
        if request.method == "PUT" and entry is None:
            fields = {**copy.deepcopy(self.defaults), **request.body["fields"]}
            if problem := self.save_error(fields):
                return 422, problem
            return 201, self.add_entry(
                entry_id,
                fields,
                version=1,
                published=None,
                content_type=request.headers["x-contentful-content-type"],
            )
        if entry is None:
            return 404, not_found("Entry", entry_id)
        if version != str(entry["sys"]["version"]):
            return 409, {"sys": {"type": "Error", "id": "VersionMismatch"}, "requestId": "r409"}
        assert request.method == "PATCH"
        if "archivedVersion" in entry["sys"]:
            return 400, error("BadRequest", "Cannot edit archived")
        fields = copy.deepcopy(entry["fields"])
        for op in request.body:
            parts = op["path"].split("/")[2:]
            target = fields
            for part in parts[:-1]:
                if part not in target:
                    return 422, error("ValidationFailed", "Cannot perform the operation")
                target = target[part]
            if op["op"] == "remove":
                del target[parts[-1]]
            else:
                assert op["op"] == "add" or parts[-1] in target
                target[parts[-1]] = op["value"]
        if problem := self.save_error(fields):
            return 422, problem
        entry["fields"] = {k: v for k, v in fields.items() if v != {}}
        entry["sys"]["version"] += 1
        return 200, entry

    def _publish(self, entry: dict[str, Any]) -> None:
        entry["sys"]["publishedVersion"] = entry["sys"]["version"]
        entry["sys"]["version"] += 1

    def _publish_one(self, request: Request, entry_id: str) -> tuple[int, Any]:
        entry = self.entries.get(entry_id)
        if entry is None:
            return 404, not_found("Entry", entry_id)
        if request.headers.get("x-contentful-version") != str(entry["sys"]["version"]):
            return 409, {"sys": {"type": "Error", "id": "VersionMismatch"}}
        if problem := self.publish_error(entry):
            return 422, problem
        self._publish(entry)
        return 200, entry

    def _publish_many(self, body: Any) -> tuple[int, Any]:
        items = [item["sys"] for item in body["entities"]["items"]]
        if len(items) > 200 or len({i["id"] for i in items}) < len(items):
            return 422, error("ValidationFailed")
        for item in items:
            entry = self.entries.get(item["id"])
            if entry is None or entry["sys"]["version"] != item["version"]:
                return 400, error("BadRequest", "wrong version")
        action_id = f"a{len(self.actions)}"
        problems = [
            {"entity": {"sys": item}, "error": problem}
            for item in items
            if (problem := self.publish_error(self.entries[item["id"]]))
        ]
        action: dict[str, Any] = {
            "sys": {"type": "BulkAction", "id": action_id, "status": "created"},
            "polls": 0,
            "items": items,
        }
        if problems:
            action["error"] = {"sys": {"type": "Error", "id": "BulkActionFailed"}}
            if self.names_culprits:
                action["error"]["details"] = {"errors": problems}
        self.actions[action_id] = action
        return 200, {"sys": dict(action["sys"])}

    def _poll(self, action_id: str) -> tuple[int, Any]:
        action = self.actions.get(action_id)
        if action is None:
            return 404, not_found("BulkAction", action_id)
        action["polls"] += 1
        if action["polls"] < self.polls_needed:
            action["sys"]["status"] = "inProgress"
        elif action["sys"]["status"] not in {"succeeded", "failed"}:
            if "error" in action:
                action["sys"]["status"] = "failed"
            else:
                for item in action["items"]:
                    self._publish(self.entries[item["id"]])
                action["sys"]["status"] = "succeeded"
        return 200, {"sys": action["sys"], "error": action.get("error")}

    def _query(self, params: dict[str, str]) -> tuple[int, Any]:
        unknown = params.get("content_type")
        if unknown and unknown not in self.content_types:
            return 400, error("InvalidQuery", "unknownContentType")
        items = [
            e for e in self.entries.values() if all(matches(e, k, v) for k, v in params.items())
        ]
        for path in reversed((params.get("order") or "sys.id").split(",")):
            items.sort(key=lambda e, p=path: str(value_at(e, p)))
        found = collection(items, params)
        if "select" in params:
            found["items"] = [cut(e, params["select"].split(",")) for e in found["items"]]
        if len(json.dumps(found)) > self.max_response_bytes:
            return 400, error(
                "BadRequest", "Response size too big. Maximum allowed response size: 7340032B."
            )
        return 200, found


def error(error_id: str, message: str = "", **details: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"sys": {"type": "Error", "id": error_id}, "requestId": "r1"}
    if message:
        body["message"] = message
    if details:
        body["details"] = details
    return body


def invalid(
    field_id: str, name: str = "size", text: str = "Size must be at most 3"
) -> dict[str, Any]:
    return error(
        "InvalidEntry",
        "Validation error",
        errors=[{"name": name, "details": text, "path": ["fields", field_id, "en-US"]}],
    )


def not_found(kind: str, entry_id: str) -> dict[str, Any]:
    return error("NotFound", "The resource could not be found.", type=kind, id=entry_id)


def collection(items: list[Any], params: dict[str, str]) -> dict[str, Any]:
    skip, limit = int(params.get("skip", 0)), int(params.get("limit", 100))
    assert limit <= 1000
    return {
        "sys": {"type": "Array"},
        "total": len(items),
        "skip": skip,
        "limit": limit,
        "items": items[skip : skip + limit],
    }


def value_at(entry: dict[str, Any], path: str) -> Any:
    value: Any = entry
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict) and path.startswith("fields."):
        value = value.get("en-US")
    return value


def matches(entry: dict[str, Any], key: str, wanted: str) -> bool:
    if key == "content_type":
        return bool(entry["sys"]["contentType"]["sys"]["id"] == wanted)
    if key in {"skip", "limit", "order", "select"}:
        return True
    path, _, operator = key.partition("[")
    value = value_at(entry, path)
    text = "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)
    if operator == "in]":
        return text in wanted.split(",")
    assert not operator
    return text == wanted


def cut(entry: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"sys": {}, "fields": {}}
    for path in paths:
        top, _, name = path.partition(".")
        if not name:
            shown[top] = entry[top]
        elif name in entry.get(top, {}):
            shown[top][name] = entry[top][name]
    return shown


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: SpaceState
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        path = url.path.removeprefix("/spaces/s1/environments/master") or url.path
        request = Request(
            self.command,
            path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {k.lower(): v for k, v in self.headers.items()},
            json.loads(raw) if raw else None,
        )
        state = self.state
        with state.lock:
            state.requests.append(request)
            fault = state.faults(request)
            if fault is None or fault.after:
                state.meanwhile(request)
                status, body = state.answer(request)
                payload = json.dumps(body).encode()
        if fault is not None and fault.status == 0 and fault.mangle is None:
            # A reset instead of an orderly end, as a proxy that dies would give.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        headers = {"X-Contentful-Request-Id": f"req-{len(state.requests)}"}
        if fault is not None and fault.mangle is not None:
            assert fault.after, "there is an answer to be mangled only to what was carried out"
            status, payload = fault.status or status, fault.mangle(payload)
        elif fault is not None:
            status, headers = fault.status, {**headers, **fault.headers}
            payload = (
                fault.raw if fault.raw is not None else json.dumps(error(fault.error_id)).encode()
            )
        if status in {204, 304}:
            payload = b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if fault is not None and fault.is_cut:
            self.close_connection = True
            payload = payload[: len(payload) // 2]
        self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Resets that a test asks for are no news."""


@contextmanager
def small_space() -> Iterator[SpaceState]:
    state = SpaceState()
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
