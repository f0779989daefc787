"""Opening REST sources for tests: no pauses, no chance, what was slept is kept."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.extract import SourceSetting, open_source

PAGINATIONS: dict[str, dict[str, Any]] = {
    "offset": {"limitKey": "limit", "skipKey": "offset", "limitMax": 10},
    "page": {"limitKey": "limit", "skipKey": "page", "pageSize": 10},
    "cursor": {
        "type": "cursor", "cursorPath": "meta.next", "cursorKey": "cursor", "limitKey": "limit",
        "limitMax": 10,
    },
    "next_url": {"type": "next_url", "nextUrlPath": "next", "limitKey": "limit", "limitMax": 10},
    "link_header": {"type": "link_header", "limitKey": "limit", "limitMax": 10},
    "continuation_header": {
        "type": "continuation_header", "header": "X-Next", "limitKey": "limit", "limitMax": 10,
    },
}  # fmt: skip
DECLARED = {
    "total": ("totalPath", "total"),
    "totalPages": ("totalPagesPath", "totalPages"),
    "hasMore": ("hasMorePath", "hasMore"),
    "isLast": ("isLastPath", "isLast"),
    "totalHeader": ("totalHeader", "X-Total-Count"),
    "totalPagesHeader": ("totalPagesHeader", "X-Pages"),
}


def pagination_of(
    style: str, declares: tuple[str, ...] = (), size: int | None = None
) -> dict[str, Any]:
    block = {**PAGINATIONS[style], **dict(DECLARED[name] for name in declares)}
    if size is not None:
        block["pageSize" if style == "page" else "limitMax"] = size
    return block


def config_of(url: str, **values: Any) -> SyncConfig:
    values = {
        "key": "things",
        "path": "configs/things.yaml",
        "contentType": "thing",
        "contentKeyField": "id",
        "mapping": [{"fieldName": "id", "expression": "{{ row.id }}"}],
        "endPoint": url,
        "resultsJsonPath": "items",
        **values,
    }
    return SyncConfig.model_validate({k: v for k, v in values.items() if v is not None})


@contextmanager
def opened(config: SyncConfig, **options: Any) -> Iterator[Any]:
    options = {
        "variables": {},
        "sleep": lambda _s: None,
        "jitter": lambda: 0.5,
        "log": logging.getLogger("test.source"),
        "on_warning": options.pop("warn", None),
        **options,
    }
    source = open_source(config, SourceSetting(**options))
    try:
        yield source
    finally:
        source.close()


def records_of(pages: Any) -> list[Any]:
    return [dict(record) for page in pages for record in page.records]


def fetch_all(config: SyncConfig, *, resume_from: Any = None, **options: Any) -> list[Any]:
    with opened(config, **options) as source:
        return records_of(source.fetch_pages(resume_from))
