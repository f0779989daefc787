"""Functions that SQL conditions of collection queries use."""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from typing import Any

import orjson

from sync_pipeline.local_space.checks.definitions import is_date, microseconds_of

_WORD = re.compile(r"\w+")
_EARTH_RADIUS_KM = 6371.0088


def add_functions(connection: sqlite3.Connection) -> None:
    """The functions that conditions use."""
    connection.create_function("text_matches", 2, _text_matches, deterministic=True)
    connection.create_function("instant_of", 1, instant_of, deterministic=True)
    connection.create_function("distance_km", 4, _distance_km, deterministic=True)
    connection.create_function("has_link", 3, _has_link, deterministic=True)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def _text_matches(stored: Any, words: str) -> bool:
    if stored is None:
        return False
    texts = [str(stored)]
    if isinstance(stored, str) and stored[:1] in "{[":
        with contextlib.suppress(orjson.JSONDecodeError):  # a text that only looks like JSON
            texts = _texts(orjson.loads(stored))
    found = {word for text in texts for word in words_of(text)}
    return all(any(word.startswith(wanted) for word in found) for wanted in words.split())


def instant_of(text: Any) -> int | None:
    """Microseconds since 1970 of an ISO 8601 date, None for anything else."""
    return microseconds_of(text) if isinstance(text, str) and is_date(text) else None


def _distance_km(lat: Any, lon: Any, other_lat: float, other_lon: float) -> float | None:
    if lat is None or lon is None:
        return None
    first, second = math.radians(lat), math.radians(other_lat)
    half = (
        math.sin((second - first) / 2) ** 2
        + math.cos(first) * math.cos(second) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(half))


def _has_link(fields: str, link_type: str, resource_id: str) -> bool:
    pending = [orjson.loads(fields)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if (
                value.get("type") == "Link"
                and value.get("id") == resource_id
                and value.get("linkType") == link_type
            ):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False
