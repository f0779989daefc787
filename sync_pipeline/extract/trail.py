"""Whether a response that is asked for again goes on where it was left.

To resume in the middle of one, the records that were kept are passed over by their number. If the
source has one more or one fewer by then, or another order, that number leads to another place:
records would be lost in silence. So the last ones that are passed over are compared with those
that were kept; if they differ, the response is read from its first record, for a record that comes
twice is merged, and one that never comes is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final, TypeAlias

import orjson

from sync_pipeline.model import Row

#: Digests of the last records that were kept, in order.
Trail: TypeAlias = tuple[str, ...]

#: Records that are compared.
LENGTH: Final = 8


def trail_of(records: Sequence[Row]) -> Trail:
    """The trail that these records leave."""
    return tuple(digest_records([record]) for record in records[-LENGTH:])


def follows(rows: Iterator[Row], trail: Trail) -> bool:
    """Take the records of a trail from rows; whether they are those that left it."""
    return trail_of(list(islice(rows, len(trail)))) == trail


def digest_records(records: Sequence[Row]) -> str:
    """Digest of records by their values, whatever the order of their keys."""
    try:
        data = orjson.dumps(records, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        data = json.dumps(records, sort_keys=True).encode("ascii")
    return digest_bytes(data)


def digest_bytes(data: bytes) -> str:
    """Digest by which pages are compared."""
    return blake2b(data, digest_size=8).hexdigest()
