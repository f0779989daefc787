"""A request to the space and an answer, free of the HTTP server's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sync_pipeline.local_space.api_error import bad_request

#: Fewer cannot nest deeper than can be stored.
_MANY_BRACKETS = 200


def json_text(value: Any) -> str:
    """Compact JSON as it is stored.

    Raises:
        ApiError: 400 for more than some 250 levels.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise bad_request(f"The JSON cannot be stored: {error}") from error


@dataclass(slots=True)
class Request:
    """One request; what a fault hook sees too."""

    method: str
    #: Decoded, without the query string.
    path: str
    query_string: str = ""
    #: Names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Cut off at 1 MB for uploads, whose contents are not kept.
    body: bytes = b""
    #: Bytes received.
    body_size: int = 0

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query string, in order."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    @property
    def version(self) -> int | None:
        """`X-Contentful-Version`; -1, which no resource has, where it is no number."""
        text = self.headers.get("x-contentful-version")
        if text is None:
            return None
        return int(text) if text.isascii() and text.isdigit() else -1

    @property
    def content_type(self) -> str | None:
        """`X-Contentful-Content-Type`."""
        return self.headers.get("x-contentful-content-type")

    def json(self) -> Any:
        """The body, None where it is empty.

        Raises:
            ApiError: 400 where it is not JSON.
        """
        if not self.body:
            return None
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            text = self.body.decode(errors="replace")
            raise bad_request(f"Invalid JSON in request body: {text}") from error
        if self.body.count(b"[") + self.body.count(b"{") > _MANY_BRACKETS:
            json_text(value)
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; `body` is JSON text or empty."""

    status: int
    body: bytes = b""


def ok(body: Any) -> Answer:
    """200 with this JSON."""
    return Answer(200, orjson.dumps(body))


def saved(body: Any, *, created: bool) -> Answer:
    """201 or 200 with this JSON."""
    return Answer(201 if created else 200, orjson.dumps(body))


def no_content() -> Answer:
    """204."""
    return Answer(204)
