"""Which answers have data, which may have them a little later, and which never will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import requests

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.http.bodies import BodyStream
from sync_pipeline.extract.http.failures import explain_status, words_of_head
from sync_pipeline.extract.http.retrying import TransientFailure, is_transient, read_pause
from sync_pipeline.extract.own_words import quote_words

_WITH_DATA: Final = frozenset({200, 201, 203, 204, 205})
#: Bytes of an error's body that are looked at for its message.
_ERROR_BYTES: Final = 16 * 1024


def check_status(
    response: requests.Response,
    stream: BodyStream,
    *,
    name: str,
    now: float,
    redact: Callable[[str], str],
) -> None:
    """Raise where an answer has no data.

    Args:
        response: The answer.
        stream: Its body.
        name: The request, for messages.
        now: Unix time.
        redact: Takes secrets out of what the source says.

    Raises:
        TransientFailure: Another attempt may get them.
        SourceError: None can.
    """
    status = response.status_code
    # A part of the whole for who has asked for one; else some say so that there are more pages.
    is_page = status == requests.codes.partial and "Range" not in response.request.headers
    if is_page or status in _WITH_DATA:
        return
    try:
        head = stream.read(_ERROR_BYTES)
    except (TransientFailure, SourceDataError):
        head = b""
    content_type = response.headers.get("Content-Type")
    pause_s = read_pause(response.headers, now)
    if is_transient(status, pause_s):
        words = quote_words(words_of_head(head, content_type))
        raise TransientFailure(
            redact(f"{name} answered status {status}{words}"),
            status=status,
            retry_after_s=pause_s,
        )
    why = explain_status(status, head, content_type)
    raise SourceError(redact(f"{name} answered status {status}{why}"), status=status)
