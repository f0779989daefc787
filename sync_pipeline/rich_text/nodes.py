"""The nodes of rich text, and those that only the blocks in between have.

`preformatted` is a block of text with its white space, `image` an inline; a list may have a
`start`, a hyperlink a `title`. `shaping` turns them into nodes that Contentful knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from sync_pipeline.errors import RecordError

Node: TypeAlias = dict[str, Any]

HEADINGS = tuple(f"heading-{level}" for level in range(1, 7))
LISTS = ("unordered-list", "ordered-list")
PREFORMATTED = "preformatted"
IMAGE = "image"
#: Links around text, by what they lead to.
LINKS = {
    "hyperlink": "",
    "entry-hyperlink": "Entry",
    "asset-hyperlink": "Asset",
    "resource-hyperlink": "Contentful:Entry",
}
#: What stands for something of Contentful in its own place, by what it shows.
EMBEDS = {
    "embedded-entry-block": "Entry",
    "embedded-asset-block": "Asset",
    "embedded-resource-block": "Contentful:Entry",
    "embedded-entry-inline": "Entry",
    "embedded-resource-inline": "Contentful:Entry",
}
#: Lists, quotes and tables in one another; what is nested deeper is kept in the last of them.
MAX_LEVELS = 15
_ID = re.compile(r"[a-zA-Z0-9\-_.]{1,64}")
_URN = re.compile(r"crn:[^\s/]*:::content:spaces/[^\s/]+(?:/environments/[^\s/]+)?/entries/[^\s/]+")
_TARGET = re.compile(r"contentful:(entry|asset)/([a-zA-Z0-9\-_.]{1,64})")


def node(kind: str, content: Iterable[Node] = (), **data: Any) -> Node:
    """A node that holds others."""
    return {"nodeType": kind, "data": data, "content": list(content)}


def text_node(value: str, marks: Iterable[str] = ()) -> Node:
    """A text; marks from the outermost to the innermost, each once, `code` as the last."""
    kinds = dict.fromkeys(marks)
    if "code" in kinds:
        kinds["code"] = kinds.pop("code")
    return {
        "nodeType": "text",
        "value": value,
        "marks": [{"type": kind} for kind in kinds],
        "data": {},
    }


def paragraph_of(text: str) -> Node:
    """A paragraph of one plain text."""
    return node("paragraph", [text_node(text)])


def marks_of(leaf: Node) -> list[str]:
    """The names of a leaf's marks."""
    return [mark["type"] for mark in leaf.get("marks", ())]


def target_data(link_type: str, target: str) -> dict[str, Any]:
    """The `data` of a node that points to an entry, an asset, or an entry of another space.

    Raises:
        RecordError: That cannot be the id or the URN of one.
    """
    is_urn = link_type not in ("Entry", "Asset")
    if not (_URN if is_urn else _ID).fullmatch(target):
        shown = target if len(target) <= 40 else f"{target[:37]}..."
        wanted = "a URN of an entry (crn:...)" if is_urn else "an id"
        raise RecordError(
            f'rich text points to "{shown}", which is not {wanted}', error_id="InvalidId"
        )
    sys = (
        {"type": "ResourceLink", "linkType": link_type, "urn": target}
        if is_urn
        else {"type": "Link", "linkType": link_type, "id": target}
    )
    return {"target": {"sys": sys}}


def parse_target(uri: str) -> tuple[str, str] | None:
    """What a link to `contentful:entry/ID`, `contentful:asset/ID` or a URN points to."""
    match = _TARGET.fullmatch(uri)
    if match:
        return match[1].capitalize(), match[2]
    return ("Contentful:Entry", uri) if _URN.fullmatch(uri) else None


def uri_of(target_node: Node) -> str:
    """The address of what a link or an embedded node points to, as `parse_target` reads it."""
    data = target_node["data"]
    if "target" not in data:
        return str(data["uri"])
    sys = data["target"]["sys"]
    return str(sys.get("urn") or f"contentful:{sys['linkType'].lower()}/{sys['id']}")


def link_node(uri: str, content: Sequence[Node] = (), title: str = "") -> Node:
    """A link around text, to an address or to something of Contentful."""
    target = parse_target(uri)
    if target is None:
        return node("hyperlink", content, uri=uri, **({"title": title} if title else {}))
    kind = next(kind for kind, link_type in LINKS.items() if link_type == target[0])
    return node(kind, content, **target_data(*target))


def image_node(uri: str, alt: str, title: str = "", marks: Iterable[str] = ()) -> Node:
    """An image in the text."""
    return {
        "nodeType": IMAGE,
        "data": {"uri": uri, "alt": alt, "title": title},
        "marks": text_node("", marks)["marks"],
    }


def merged(nodes: Iterable[Node]) -> list[Node]:
    """Neighbouring texts with the same marks become one, as the service's editor stores them."""
    found: list[Node] = []
    for kind, group in groupby(nodes, _merging_key):
        items = list(group)
        if kind is None:
            found += items
        elif value := "".join(item["value"] for item in items):
            found.append({**items[0], "value": value})
    return found


def _merging_key(item: Node) -> Any:
    return item["marks"] if item["nodeType"] == "text" else None
