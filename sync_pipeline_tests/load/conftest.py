from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sync_pipeline.load.client import SpaceClient, SpaceSettings
from sync_pipeline.load.index import TargetIndex, build_index, open_index
from sync_pipeline.load.ledger import Ledger
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.model import DesiredEntry
from sync_pipeline_tests.load.small_space import SpaceState, small_space

MAPPED = frozenset(
    {
        ("sku", "en-US"),
        ("title", "en-US"),
        ("title", "de-DE"),
        ("price", "en-US"),
        ("tags", "en-US"),
        ("related", "en-US"),
        ("released", "en-US"),
    }
)


class FakeTime:
    """Sleeps of many threads: added up, not slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def space() -> Iterator[SpaceState]:
    with small_space() as state:
        yield state


def settings_for(url: str, **changes: Any) -> SpaceSettings:
    values: dict[str, Any] = {
        "cma_url": url,
        "space_id": "s1",
        "token": SecretStr("token-secret"),
        "rate_limit": 0,
        "timeout_s": 5,
    }
    return SpaceSettings(**{**values, **changes})


@pytest.fixture
def client(space: SpaceState, fake_time: FakeTime) -> Iterator[SpaceClient]:
    with SpaceClient(settings_for(space.url), sleep=fake_time.sleep, jitter=lambda: 0.0) as opened:
        yield opened


class Sync:
    """A whole load as a run does it: read the model, index, upsert."""

    def __init__(self, client: SpaceClient, space: SpaceState, directory: Path) -> None:
        self.client = client
        self.space = space
        self.directory = directory
        self.ledger = Ledger(directory / "ledger.sqlite")
        self.runs = 0

    def index(self, *, in_memory: bool = False) -> TargetIndex:
        target = fetch_target_model(self.client, "product")
        path = self.directory / f"index-{self.runs}.sqlite"
        build_index(self.client, target, MAPPED, "sku", path)
        return open_index(path, in_memory=in_memory)

    def run(
        self,
        desired: list[DesiredEntry],
        *,
        index: TargetIndex | None = None,
        extraction: int | None = None,
        **options: Any,
    ) -> list[Outcome]:
        self.runs += 1
        opened = index or self.index()
        if extraction is None:
            extraction = self.ledger.next_extraction(f"run-{self.runs}")
        values: dict[str, Any] = {"apply": True, "concurrency": 4, "extraction": extraction}
        try:
            return list(
                upsert_entries(
                    self.client,
                    opened,
                    desired,
                    UpsertOptions(**{**values, **options}),
                    self.ledger,
                )
            )
        finally:
            opened.close()


@pytest.fixture
def sync(client: SpaceClient, space: SpaceState, tmp_path: Path) -> Iterator[Sync]:
    opened = Sync(client, space, tmp_path)
    yield opened
    opened.ledger.close()


@pytest.fixture
def desire() -> Callable[..., DesiredEntry]:
    return desired_product


def desired_product(
    number: int, title: str | None = None, *, key: str | None = None, **changes: Any
) -> DesiredEntry:
    sku = key if key is not None else f"SKU-{number:05d}"
    fields: dict[str, dict[str, Any]] = {
        "sku": {"en-US": sku},
        "title": {"en-US": title or f"Product {number}"},
        "price": {"en-US": number + 0.5},
        **changes.pop("fields", {}),
    }
    return DesiredEntry(key=sku, ordinal=number, fields=fields, **changes)


def products(count: int, suffix: str = "") -> list[DesiredEntry]:
    return [desired_product(number, f"Product {number}{suffix}") for number in range(count)]
