"""What templates and enumerations may ask of the space: whole content types, never one record."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from sync_pipeline.errors import SpaceError, UsageError
from sync_pipeline.load.client import SpaceClient, raise_unexpected
from sync_pipeline.load.model_reader import read_content_type, suggest_content_type
from sync_pipeline.load.paging import read_entries
from sync_pipeline.load.shapes import content_type_of
from sync_pipeline.model import ContentType

_ORDERABLE = frozenset({"Symbol", "Integer", "Number", "Date", "Boolean"})
_OURS = frozenset({"skip", "limit", "content_type", "order", "select"})


class SpaceLookup:
    """`model.EntryLookup` over a space. Safe for many threads; what it caches lives as long as it.

    Args:
        client: The space; stays the caller's to close.
        content_types: Those that were read before, by id; more are added.
    """

    def __init__(
        self, client: SpaceClient, content_types: dict[str, ContentType] | None = None
    ) -> None:
        self._client = client
        self._lock = threading.RLock()
        self._content_types = {} if content_types is None else content_types

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield entries as `{"id": sys.id, field: {locale: value}}`, page by page.

        Ordered by display field, then id; by id alone where the display field cannot be ordered by.

        Args:
            content_type: Id.
            query: Further query parameters as in a URL: `fields.active=true&sys.id[ne]=x`.

        Raises:
            UsageError: There is no such content type, or the query is refused.
            SpaceError: The space refuses us or cannot be reached.
        """
        model = self._content_type(content_type)
        display = model.field(model.display_field) if model.display_field else None
        order = (
            f"fields.{display.id},sys.id" if display and display.type in _ORDERABLE else "sys.id"
        )
        params = {"content_type": content_type, "order": order, **_read_query(query)}
        for body in self._read(params, content_type):
            yield {"id": str(body["sys"]["id"]), **(body.get("fields") or {})}

    def field_ids(self, content_type: str) -> tuple[str, ...]:
        """The fields of a content type, in its order.

        Raises:
            UsageError: There is no such content type.
            SpaceError: The space refuses us or cannot be reached.
        """
        return tuple(field.id for field in self._content_type(content_type).fields)

    def _read(
        self, params: Mapping[str, str | int], content_type: str
    ) -> Iterator[Mapping[str, Any]]:
        try:
            yield from read_entries(self._client, params)
        except SpaceError as err:
            if err.status == 400:
                raise UsageError(
                    f"The space refuses the query for entries of {content_type!r} "
                    f"({err.error_id}). Correct `queryParameters` in the config file: {err}"
                ) from err
            raise

    def _content_type(self, content_type_id: str) -> ContentType:
        with self._lock:
            known = self._content_types.get(content_type_id)
            if known is not None:
                return known
            answer = self._client.request(
                "GET", f"/content_types/{content_type_id}", expects=content_type_of(content_type_id)
            )
            if answer.status == 404:
                raise UsageError(
                    f"There is no content type {content_type_id!r} in the "
                    f"{self._client.space_text}. "
                    f"{suggest_content_type(self._client, content_type_id)}"
                )
            if not answer.is_ok:
                raise_unexpected(
                    self._client, answer, f"Reading the content type {content_type_id!r}"
                )
            known = read_content_type(answer.mapping)
            self._content_types[content_type_id] = known
            return known


def _read_query(query: str) -> dict[str, str]:
    """The parameters of an appended query; what pages and selects stays ours."""
    parameters = dict(parse_qsl(query.lstrip("?&"), keep_blank_values=True))
    taken = sorted(_OURS & parameters.keys() - {"order"})
    if taken:
        raise UsageError(
            f"queryParameters: {taken[0]!r} is set by the sync itself; remove it from the query."
        )
    return parameters
