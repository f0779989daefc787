"""The line of a spooled record, one way and back: nothing that JSON can hold is changed by it.

orjson is ten times as fast as `json`, but knows neither integers beyond 64 bits (it reads them as
floats) nor half a surrogate pair. A line that it refuses to write is written by `json`, with a
space in front that tells the reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from sync_pipeline.model import Row, SpooledRecord

_BY_JSON = b" "


def encode_record(
    ordinal: int, key: str, row: Row, variables: Mapping[str, Any], id_owner: str = ""
) -> bytes:
    """A record as one line, newline included; what is empty at its end is left out."""
    value: tuple[Any, ...] = (ordinal, key, row)
    if id_owner:
        value = (*value, variables, id_owner)
    elif variables:
        value = (*value, variables)
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # orjson.JSONEncodeError is one
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        return _BY_JSON + text.encode("ascii") + b"\n"


def decode_record(line: bytes) -> SpooledRecord:
    """The record of a line."""
    return SpooledRecord(*(json.loads(line) if line.startswith(_BY_JSON) else orjson.loads(line)))
