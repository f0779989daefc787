"""The content type and the locales: what must be known before the first record is mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sync_pipeline.errors import UsageError
from sync_pipeline.load.answer import Answer
from sync_pipeline.load.client import SpaceClient, raise_unexpected
from sync_pipeline.load.shapes import (
    Shape,
    collection_of,
    content_type_of,
    is_content_type,
    is_locale,
)
from sync_pipeline.model import ContentType, Field, Locale, TargetModel
from sync_pipeline.suggestions import nearest

_PAGE_LIMIT = 1000


def fetch_target_model(client: SpaceClient, content_type_id: str) -> TargetModel:
    """Read an activated content type and the locales of the environment: two requests.

    Raises:
        UsageError: There is no such content type, or it is not activated; says which there are.
        SpaceError: The space refuses us or cannot be reached.
    """
    answer = client.request(
        "GET", f"/content_types/{content_type_id}", expects=content_type_of(content_type_id)
    )
    if answer.status == 404:
        raise _unknown_content_type(client, content_type_id)
    if not answer.is_ok:
        raise_unexpected(client, answer, f"Reading the content type {content_type_id!r}")
    content_type = _activated(client, content_type_id, answer)
    return TargetModel(content_type, fetch_locales(client))


def read_content_type(body: Mapping[str, Any]) -> ContentType:
    """A content type from the JSON of the API."""
    return ContentType(
        id=str(body["sys"]["id"]),
        name=str(body.get("name") or body["sys"]["id"]),
        fields=tuple(
            _read_field(field) for field in body.get("fields") or () if not field.get("deleted")
        ),
        display_field=body.get("displayField"),
    )


def fetch_content_types(client: SpaceClient) -> Iterator[Mapping[str, Any]]:
    """The JSON of all content types of the environment."""
    yield from _fetch_collection(
        client, "/content_types", "Listing the content types", is_content_type
    )


def suggest_content_type(client: SpaceClient, content_type_id: str) -> str:
    """A sentence that names what the user may have meant; one request."""
    ids = [str(body["sys"]["id"]) for body in fetch_content_types(client)]
    if not ids:
        return "It has no content types at all: create and activate the content type first."
    guess = nearest(content_type_id, ids)
    if guess is not None:
        return f"Did you mean {guess!r}?"
    shown = ", ".join(repr(known) for known in sorted(ids)[:10])
    return f"It has {shown}{', ...' if len(ids) > 10 else ''}."


def _unknown_content_type(client: SpaceClient, content_type_id: str) -> UsageError:
    return UsageError(
        f"contentType: there is no content type {content_type_id!r} in the {client.space_text}. "
        f"{suggest_content_type(client, content_type_id)} Correct `contentType` in the config "
        "file, or CONTENTFUL_SPACE_ID and CONTENTFUL_ENVIRONMENT_ID; for the local space, its "
        "`target.model`."
    )


def _activated(client: SpaceClient, content_type_id: str, answer: Answer) -> ContentType:
    """What entries are checked against: the type as it was last activated."""
    body = answer.mapping
    sys = body["sys"]
    published = sys.get("publishedVersion")
    if published is None:
        raise UsageError(
            f"contentType: {content_type_id!r} exists in the {client.space_text}, but was never "
            "activated. Activate (publish) the content type, then run again."
        )
    if sys.get("version", 0) > published + 1:
        # Edited since: the collection of activated types has the older, valid state.
        for activated in _fetch_collection(
            client,
            "/public/content_types",
            "Reading the activated content types",
            is_content_type,
        ):
            if activated["sys"]["id"] == content_type_id:
                client.log.warning(
                    "The content type %r has changes that are not activated; they don't count yet",
                    content_type_id,
                )
                return read_content_type(activated)
        client.log.warning(
            "The content type %r has changes that are not activated, and the space does not show "
            "the activated state; going on with the changed one",
            content_type_id,
        )
    return read_content_type(body)


def fetch_locales(client: SpaceClient) -> tuple[Locale, ...]:
    """The locales of the environment, in its order."""
    return tuple(
        Locale(
            code=str(body["code"]),
            default=bool(body.get("default")),
            fallback_code=body.get("fallbackCode"),
            optional=bool(body.get("optional")),
        )
        for body in _fetch_collection(client, "/locales", "Reading the locales", is_locale)
    )


def _fetch_collection(
    client: SpaceClient, path: str, doing: str, item: Shape
) -> Iterator[Mapping[str, Any]]:
    skip = 0
    while True:
        answer = client.request(
            "GET",
            path,
            params={"limit": _PAGE_LIMIT, "skip": skip},
            expects=collection_of(item, skip=skip),
        )
        if answer.status == 404 and path.startswith("/public/"):
            return  # compatible servers may lack it
        if not answer.is_ok:
            raise_unexpected(client, answer, doing)
        items = answer.mapping["items"]
        yield from items
        skip += len(items)
        if not items or skip >= int(answer.mapping["total"]):
            return


def _read_field(body: Mapping[str, Any]) -> Field:
    items = body.get("items") or {}
    return Field(
        id=str(body["id"]),
        type=str(body["type"]),
        localized=bool(body.get("localized")),
        required=bool(body.get("required")),
        link_type=body.get("linkType") or items.get("linkType"),
        items_type=items.get("type"),
        disabled=bool(body.get("disabled")),
        omitted=bool(body.get("omitted")),
        validations=tuple(body.get("validations") or ()) if body["type"] == "RichText" else (),
    )
