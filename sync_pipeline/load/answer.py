"""What the space answered, read defensively.

A proxy in front of the service answers with HTML or nothing; a 409 has neither `message` nor
`details`. So every accessor gives an empty value instead of failing, and decisions key on status
and error id, never on texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipeline.load.fate import Fate

#: Longest text of an error that is passed on; a server may quote a whole value.
MAX_MESSAGE_CHARS = 300


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One entry of `details.errors` of a refused write, without the value."""

    #: `name.en-US`, `name`, or "" where the error does not point at a field.
    field: str
    #: `required`, `size`, `notResolvable`, ...
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a request: an HTTP answer, or a write whose fate is unknown."""

    #: HTTP status; 0 where the connection broke and nothing came back.
    status: int
    #: Parsed JSON; None where the body is empty or not JSON.
    body: Any = None
    request_id: str = ""
    fate: Fate = "certain"
    #: What went wrong with the connection, or is wrong with the body of a 2xx; else "".
    trouble: str = ""
    #: Failed attempts that it counts as: one that used up its time has cost minutes.
    weight: int = 1

    @property
    def is_ok(self) -> bool:
        """Whether the space carried the request out, and says so in a way that can be read."""
        return 200 <= self.status < 300 and not self.trouble

    @property
    def is_broken(self) -> bool:
        """A 2xx whose body is not what was asked for."""
        return 200 <= self.status < 300 and bool(self.trouble)

    @property
    def is_ambiguous(self) -> bool:
        """A write that may or may not have been carried out: read back by id and compare."""
        return self.fate == "ambiguous"

    @property
    def is_from_api(self) -> bool:
        """Whether it is a word of the API: sound, or an error in its own manner."""
        return self.is_ok or self._api_error_id != ""

    @property
    def error_id(self) -> str:
        """`sys.id` of an error body, or `HTTP <status>`, `BrokenAnswer`, `ConnectionBroken`."""
        if self.is_broken:
            return "BrokenAnswer"
        plain = f"HTTP {self.status}" if self.status else "ConnectionBroken"
        return self._api_error_id or plain

    @property
    def _api_error_id(self) -> str:
        sys = self.mapping.get("sys")
        if isinstance(sys, Mapping) and sys.get("type") == "Error" and sys.get("id"):
            return str(sys["id"])
        return ""

    @property
    def message(self) -> str:
        """The server's own sentence, cut to a line; else the trouble; "" where there is none."""
        text = self.mapping.get("message")
        return " ".join(text.split())[:MAX_MESSAGE_CHARS] if isinstance(text, str) else self.trouble

    @property
    def details(self) -> Mapping[str, Any]:
        """`details` of an error body, {} where there is none."""
        details = self.mapping.get("details")
        return details if isinstance(details, Mapping) else {}

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The body if it is a JSON object, else {}."""
        return self.body if isinstance(self.body, Mapping) else {}

    @property
    def problems(self) -> tuple[FieldProblem, ...]:
        """The errors in `details.errors`, in the order of the server."""
        return read_problems(self.details)


def encode_body(value: Any) -> bytes:
    """JSON as the API takes it.

    Raises:
        ValueError: The value holds what JSON cannot (NaN, a lone surrogate).
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def parse_body(content: bytes) -> Any:
    """The JSON of a body, None where it is empty or something else (HTML of a proxy)."""
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # RecursionError: a thousand brackets
        return None


def describe_broken(content: bytes, body: Any) -> str:
    """What is wrong with the body of a 2xx, without quoting it."""
    if not content.strip():
        return "an empty body"
    if content.lstrip()[:1] == b"<":
        return "HTML instead of JSON"
    if body is None:
        return f"{len(content):,} bytes that are no whole JSON"
    return "JSON, but not what was asked for"


def read_problems(details: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    """The field errors in the `details` of an error body; items of another shape are left out."""
    errors = details.get("errors")
    if not isinstance(errors, list):
        return ()
    return tuple(_read_problem(error) for error in errors if isinstance(error, Mapping))


def describe_error(answer: Answer) -> str:
    """One line for a dead letter: what was refused, per field, without any value."""
    parts = [
        f"{problem.field}: {problem.text}" if problem.field else problem.text
        for problem in answer.problems[:3]
    ]
    if len(answer.problems) > len(parts):
        parts.append(f"and {len(answer.problems) - len(parts)} more")
    text = "; ".join(part for part in parts if part)
    if text and answer.message:
        return f"{answer.message}: {text}"[: 2 * MAX_MESSAGE_CHARS]
    return text or answer.message or f"The space answered {answer.error_id} without a reason"


def _read_problem(error: Mapping[str, Any]) -> FieldProblem:
    name = str(error.get("name") or "")
    return FieldProblem(_field_of(error.get("path")), name, _text_of(error, name))


def _field_of(path: object) -> str:
    if isinstance(path, str):
        path = path.split(".")
    if not isinstance(path, list):
        return ""
    parts = [str(part) for part in path]
    if parts[:1] == ["fields"]:
        parts = parts[1:3]
    return ".".join(parts[:2])


def _text_of(error: Mapping[str, Any], name: str) -> str:
    text = error.get("details")
    if not isinstance(text, str) or not text.strip():
        expected = error.get("type")
        return f"{name} ({expected})" if isinstance(expected, str) and expected else name
    text = " ".join(text.split())
    value = error.get("value")
    # Some details quote the refused value; values do not belong into reports.
    if isinstance(value, str) and len(value) > 1:
        text = text.replace(value, "…")
    return text[:MAX_MESSAGE_CHARS]
