"""Ways in which a 2xx answer can be worthless, and statuses that leave open what was done."""

from __future__ import annotations

import json
from collections.abc import Callable

#: What is sent in the place of the answer that the request deserves.
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "blank": lambda _: b" \r\n",
    "cut off": lambda answer: answer[: len(answer) // 2],
    "cut off by a byte": lambda answer: answer[:-1],
    "HTML": lambda _: b"<!doctype html><html><body>Just a moment...</body></html>",
    "HTML after a blank line": lambda _: b"\n<html></html>",
    "text": lambda _: b"OK",
    "null": lambda _: b"null",
    "a number": lambda _: b"200",
    "a list": lambda answer: b"[" + answer + b"]",
    "a text": lambda answer: json.dumps(answer.decode()).encode(),
    "an empty object": lambda _: b"{}",
    "an envelope": lambda answer: b'{"data":' + answer + b"}",
    "another API": lambda _: b'{"status":"ok","result":[]}',
    "an error": lambda _: b'{"sys":{"type":"Error","id":"ServerError"}}',
    "sys without a version": lambda _: b'{"sys":{"id":"e1","type":"Entry"},"items":{}}',
    "sys is a list": lambda _: b'{"sys":[],"items":null,"total":"2"}',
    "twice": lambda answer: answer + answer,
    "a byte that is no UTF-8": lambda answer: b"\xff\xfe\x00" + answer,
    "brackets without end": lambda _: b"[" * 100_000,
}

#: After these nobody knows whether a write was carried out.
UNKNOWN_STATUSES = (
    *(0, 300, 304, 402, 408, 418, 420, 425, 444, 451, 460, 499),
    *(500, 501, 502, 503, 504, 505, 507, 508, 509, 511),
    *range(520, 531),
    *(598, 599, 999),
)
