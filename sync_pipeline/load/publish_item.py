"""One entry on its way to the public: which version, which locales, and how that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sync_pipeline.load.bulk_action import BY_LOCALE, WHOLE, BulkStyle
from sync_pipeline.load.entry_body import digest_locales, find_untouched, read_locale_states

MOVED = "somebody else changed it after it was written"
GONE = "it was deleted after it was written"


@dataclass(frozen=True, slots=True)
class PublishItem:
    """An entry, and the version of it that is to be published."""

    entry_id: str
    version: int
    #: Locales that go out; None: the entry as a whole.
    locales: tuple[str, ...] | None = None
    #: What the locales that are meant hold, `{locale: digest}`, where that is known: if somebody
    #: gets in between, those that still hold it go out all the same.
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishResult:
    """How publishing one entry ended."""

    entry_id: str
    status: Literal["published", "skipped", "failed"]
    #: Version that is published now.
    published_version: int | None = None
    #: Locales that went out; None: the entry as a whole.
    locales: tuple[str, ...] | None = None
    #: Locales that were to go out too, but that somebody has changed meanwhile.
    moved: tuple[str, ...] = ()
    #: Of a failure, as in a dead letter.
    error_id: str = ""
    field: str = ""
    #: Of a failure, or why it was skipped.
    message: str = ""
    request_id: str = ""
    #: Of a failure: the target of a link is missing, and may be made later.
    is_unresolved: bool = False


def style_of(item: PublishItem) -> BulkStyle:
    """The kind of bulk action that can publish it."""
    return WHOLE if item.locales is None else BY_LOCALE


def added(locales: Sequence[str]) -> dict[str, Any]:
    """How the API is told which locales to publish."""
    return {"add": {"fields": {"*": list(locales)}}}


def bulk_payload(items: Sequence[PublishItem], style: BulkStyle) -> dict[str, Any]:
    """The body of a bulk action that publishes these, all of one style."""
    links = [
        {
            "sys": {
                "type": "Link",
                "linkType": "Entry",
                "id": item.entry_id,
                "version": item.version,
            }
        }
        for item in items
    ]
    if style is WHOLE:
        return {"entities": {"sys": {"type": "Array"}, "items": links}}
    return {
        "action": "publish",
        "entities": [
            {"entity": link, **added(item.locales or ())}
            for link, item in zip(links, items, strict=True)
        ],
    }


def is_out(sys: Mapping[str, Any], item: PublishItem, *, needs_clean: bool) -> bool:
    """Whether what was to be published is, be it by a request whose answer was lost.

    Args:
        sys: Of the entry as it is now.
        item: What was to be published.
        needs_clean: Not if somebody has changed the entry after that. Where each locale has its
            state, a changed one never counts: who has published another locale at that very
            version has left ours as it is.
    """
    published = sys.get("publishedVersion") or -1
    if published < item.version:
        return False
    states = read_locale_states(sys)
    if states is None:
        return not needs_clean or bool(sys.get("version") == published + 1)
    meant = item.locales or item.digests or states
    return all(states.get(locale) == "published" for locale in meant)


def keep_untouched(item: PublishItem, body: Mapping[str, Any]) -> PublishItem | None:
    """What of an item still holds what was written, though the entry was changed since."""
    sys = body.get("sys") or {}
    if read_locale_states(sys) is None or sys.get("archivedVersion") is not None:
        return None
    kept = find_untouched(item.digests, digest_locales(body))
    going = tuple(sorted(kept if item.locales is None else kept.intersection(item.locales)))
    return replace(item, locales=going) if going else None


def missing_locales(item: PublishItem, published: PublishItem) -> tuple[str, ...]:
    """Locales that were meant, and were left out as somebody had changed them."""
    if published.locales is None:
        return ()
    meant = item.digests if item.locales is None else item.locales
    return tuple(locale for locale in meant if locale not in published.locales)
