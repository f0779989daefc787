"""Addresses of links and images, the same from HTML and from Markdown."""

from __future__ import annotations

import re

from markdown_it.common.normalize_url import normalizeLink

#: What URLs lose wherever they stand: https://url.spec.whatwg.org/#concept-basic-url-parser
_REMOVED = re.compile(r"[\t\n\r]")
_EDGES = "".join(map(chr, range(0x21)))
#: Nothing that a reader of the text could open, or should.
_REFUSED = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)


def normalize_uri(address: str) -> str:
    """The address as it is stored, percent-encoded where a URI has to be; "" for none.

    Scripts and `data:` are no addresses.
    """
    uri = _REMOVED.sub("", address.strip(_EDGES))
    return normalizeLink(uri) if is_link(uri) else ""


def is_link(uri: str) -> bool:
    """Whether something may be linked."""
    return bool(uri) and not _REFUSED.match(uri)
