"""Names under which a local space may be asked for.

A web page may point a name of its own at 127.0.0.1 (DNS rebinding) and would then be of one origin
with the space: the browser lets it read and write. An address, or a name that no stranger can point
anywhere, cannot be had that way.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

#: Of Contentful: where a proxy or a hosts file leads its clients here.
_TRUSTED = ("localhost", "contentful.com")


def is_own_host(header: str | None, allowed: Collection[str]) -> bool:
    """Whether a `Host` header names this machine; without one it is no browser that asks."""
    return header is None or _is_own_name(_hostname(f"//{header}"), allowed)


def is_own_origin(header: str | None, allowed: Collection[str]) -> bool:
    """Whether an `Origin` header, which browsers send, is of a page that may ask."""
    return header is None or _is_own_name(_hostname(header), allowed)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_own_name(name: str | None, allowed: Collection[str]) -> bool:
    if not name:
        return False
    name = name.removesuffix(".")
    if name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return any(name == trusted or name.endswith(f".{trusted}") for trusted in _TRUSTED)
    return True
