"""What the tests of the formats share: a config, and a reader that keeps what came before an
error.
"""

from __future__ import annotations

import io
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats import read_records


def config(**keys: Any) -> SyncConfig:
    base = {
        "key": "items",
        "path": "configs/items.yaml",
        "content_type": "item",
        "content_key_field": "id",
        "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
    }
    return SyncConfig.model_validate({**base, **keys})


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a slow network does."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._inner.read(self._step if size < 0 else min(size, self._step))


def rows(body: bytes, header: str | None = None, *, step: int = 2**20, **keys: Any) -> list[Any]:
    """All rows; an error is raised as it comes."""
    options = {
        name: keys.pop(name) for name in ("skip", "secret", "spool_dir", "memory") if name in keys
    }
    stream: Any = Trickle(body, step)
    return list(read_records(stream, config(**keys), content_type_header=header, **options))


def rows_and_error(
    body: bytes, header: str | None = None, *, step: int = 2**20, **keys: Any
) -> tuple[list[Any], str]:
    """The rows before the `SourceDataError`, and its text; "" where there was none."""
    options = {
        name: keys.pop(name) for name in ("skip", "secret", "spool_dir", "memory") if name in keys
    }
    stream: Any = Trickle(body, step)
    found: list[Any] = []
    try:
        found.extend(
            read_records(
                stream,
                config(**keys),
                content_type_header=header,
                url="http://api/items",
                **options,
            )
        )
    except SourceDataError as err:
        return found, str(err)
    return found, ""
