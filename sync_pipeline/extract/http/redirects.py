"""Redirects: where they lead, and which of them are followed.

`requests` would make a POST that is answered with 301, 302 or 303 a GET without its body, as
browsers do (https://www.rfc-editor.org/rfc/rfc9110#section-15.4): a search would answer everything.
It would also read the whole body of the redirect, however long. So its sessions follow none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import requote_uri

from sync_pipeline.extract.http.sessions import is_http_url

#: Redirects of one request that are followed; the last of them must be answered otherwise.
MOST_REDIRECTS: Final = 30
#: Those that keep method and body; the others turn all but GET and HEAD into a GET.
_KEEPING: Final = frozenset({307, 308})
_FOLLOWED: Final = frozenset({301, 302, 303}) | _KEEPING
#: A body of a redirect up to this size is read, so that its connection can be used again.
_READ_BYTES: Final = 4096


def redirect_target(response: requests.Response) -> str | None:
    """The absolute URL that a response redirects to; None where it redirects to nowhere.

    Raises:
        ValueError: What it names is no http or https URL.
    """
    location = response.headers.get("Location")
    if response.status_code not in _FOLLOWED or not location:
        return None
    # Header values come as Latin-1; URLs in them are UTF-8, if they are not ASCII.
    named = location.encode("latin-1").decode("utf-8")
    target = urljoin(response.url, requote_uri(named.strip()))
    if not is_http_url(target):
        raise ValueError("no http or https URL")
    return target.partition("#")[0]


def loses_body(method: str, status: int) -> bool:
    """Whether to follow the redirect would turn the request into a GET without a body."""
    return method not in ("GET", "HEAD") and status not in _KEEPING


def leave(response: requests.Response) -> None:
    """Be done with a redirect, and keep its connection where that is cheap."""
    length = response.headers.get("Content-Length", "")
    with suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
        if length.isdecimal() and int(length) <= _READ_BYTES:
            response.raw.read(_READ_BYTES + 1)
    response.close()
