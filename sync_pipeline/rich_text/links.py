"""Addresses of links and images, the same from HTML and from Markdown."""

from __future__ import annotations

import re

import mdurl
from markdown_it.common.normalize_url import normalizeLink

#: What URLs lose wherever they stand: https://url.spec.whatwg.org/#concept-basic-url-parser
_REMOVED = re.compile(r"[\t\n\r]")
#: `http://[::1]`, the only place where brackets stay.
_NUMBERED_HOST = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//\[[0-9a-fA-F:.]+\]")
_EDGES = "".join(map(chr, range(0x21)))
#: Nothing that a reader of the text could open, or should.
_REFUSED = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)


def normalize_uri(address: str) -> str:
    """The address as it is stored, percent-encoded where a URI has to be; "" for none.

    Scripts and `data:` are no addresses.
    """
    uri = _REMOVED.sub("", address.strip(_EDGES))
    return encode_uri(uri) if is_link(uri) else ""


def encode_uri(uri: str) -> str:
    """The address in ASCII; hosts of other letters by Punycode, as browsers ask for them."""
    if not uri.isascii():
        # It takes URLs apart and puts them together, which changes those that are none.
        normal = normalizeLink(uri)
        if normal.isascii() and encode_uri(normal) == normal:
            return normal
    match = _NUMBERED_HOST.match(uri)
    host = match[0] if match else ""
    return host + mdurl.encode(uri[len(host) :])


def is_link(uri: str) -> bool:
    """Whether something may be linked."""
    return bool(uri) and not _REFUSED.match(uri)
