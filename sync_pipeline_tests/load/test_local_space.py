"""Load against the embedded local space: another implementation of the contract than our own."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
import uvicorn
from pydantic import SecretStr

from sync_pipeline.errors import SpaceError
from sync_pipeline.load.client import SpaceClient, SpaceSettings
from sync_pipeline.load.drafts import publish_drafts
from sync_pipeline.load.index import build_index, open_index
from sync_pipeline.load.ledger import Ledger
from sync_pipeline.load.lookup import SpaceLookup
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.plan import derive_entry_id
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.local_space.server.asgi import Fault
from sync_pipeline.local_space.server.process import build_app
from sync_pipeline.local_space.store.index_lag import IndexDelay
from sync_pipeline.local_space.store.store import open_store
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline.model import DesiredEntry
from sync_pipeline_tests.load.conftest import MAPPED, desired_product, products
from sync_pipeline_tests.load.small_space import PRODUCT_FIELDS


class Served:
    """A local space in a thread of this process."""

    def __init__(self) -> None:
        self.url = ""
        self.faults: Callable[[Any], Any] = lambda _: None
        self.requests: list[tuple[str, str]] = []

    def hook(self, request: Any) -> Any:
        self.requests.append((request.method, request.path))
        return self.faults(request)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if method != "GET"]


@contextmanager
def serve(path: Path, **options: Any) -> Iterator[Served]:
    served = Served()
    started = threading.Event()
    servers: list[uvicorn.Server] = []
    rate_limit = options.pop("rate_limit", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def run() -> None:
        with open_store(path, **options) as store:
            app = build_app(store, faults=served.hook, rate_limit=rate_limit)
            config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            servers.append(server)
            started.set()
            asyncio.run(server.serve(sockets=[listener]))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    try:
        yield served
    finally:
        servers[0].should_exit = True
        thread.join()
        listener.close()


def settings(served: Served, **changes: Any) -> SpaceSettings:
    values: dict[str, Any] = {
        "cma_url": served.url, "space_id": "local", "token": SecretStr("t"), "rate_limit": 0,
    }  # fmt: skip
    return SpaceSettings(**{**values, **changes})


@contextmanager
def connect(served: Served, **changes: Any) -> Iterator[SpaceClient]:
    """Sleeps are cut short, so that faults don't cost real seconds."""
    with SpaceClient(
        settings(served, **changes), sleep=lambda seconds: time.sleep(min(seconds, 0.01))
    ) as client:
        yield client


def prepare(client: SpaceClient) -> None:
    locale = {"name": "German", "code": "de-DE", "fallbackCode": "en-US", "optional": True}
    assert client.request("POST", "/locales", json=locale).is_ok
    fields = [{"name": field["id"], "required": False, **field} for field in PRODUCT_FIELDS]
    model = {"name": "Product", "displayField": "title", "fields": fields}
    for field in fields:
        if field["id"] == "title":
            field["validations"] = [{"size": {"max": 40}}]
    assert client.request("PUT", "/content_types/product", json=model).is_ok
    activated = client.request(
        "PUT", "/content_types/product/published", headers={"X-Contentful-Version": "1"}
    )
    assert activated.is_ok


class Run:
    def __init__(self, served: Served, directory: Path) -> None:
        self.served = served
        self.directory = directory
        self.count = 0

    def sync(
        self,
        client: SpaceClient,
        entries: list[DesiredEntry],
        *,
        apply: bool = True,
        **options: Any,
    ) -> list[Outcome]:
        self.count += 1
        target = fetch_target_model(client, "product")
        path = self.directory / f"{self.count}.sqlite"
        build_index(client, target, MAPPED, "sku", path)
        with Ledger(self.directory / "ledger.sqlite") as ledger, open_index(path) as index:
            extraction = ledger.next_extraction(str(self.count))
            chosen = UpsertOptions(apply=apply, extraction=extraction, **options)
            return list(upsert_entries(client, index, entries, chosen, ledger))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "space.sqlite") as opened, connect(opened) as client:
        prepare(client)
        opened.requests.clear()
        yield opened


@pytest.fixture
def run(served: Served, tmp_path: Path) -> Run:
    return Run(served, tmp_path)


def actions(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.action for outcome in outcomes)


def read_space(served: Served) -> dict[str, Any]:
    """All entries, the plain way: `{id: (fields, is it published as it is?)}`."""
    faults, served.faults = served.faults, lambda _: None
    found: dict[str, Any] = {}
    with connect(served) as client:
        skip = 0
        while True:
            page = client.request(
                "GET", "/entries", params={"limit": 1000, "skip": skip, "order": "sys.id"}
            ).mapping
            for item in page["items"]:
                sys = item["sys"]
                clean = sys.get("publishedVersion") == sys["version"] - 1
                found[sys["id"]] = (item["fields"], clean)
            skip += 1000
            if skip >= page["total"]:
                break
    served.faults = faults
    return found


def wanted(entries: list[DesiredEntry]) -> dict[str, Any]:
    return {derive_entry_id("product", e.key): (dict(e.fields), True) for e in entries}


@pytest.mark.slow
def test_a_sync_and_its_figures(served: Served, run: Run) -> None:
    with connect(served) as client:
        outcomes = run.sync(client, products(1000))
        assert actions(outcomes) == {"created": 1000}
        assert all(outcome.published for outcome in outcomes)
        assert client.requests <= 1030
        before = client.requests
        served.requests.clear()
        assert actions(run.sync(client, products(1000))) == {"unchanged": 1000}
        assert served.writes == []
        assert client.requests - before <= 11
        changed = products(1000, "!")
        assert actions(run.sync(client, changed)) == {"updated": 1000}
    assert read_space(served) == wanted(changed)


def test_what_was_created_is_unchanged_and_then_updated(served: Served, run: Run) -> None:
    with connect(served) as client:
        assert actions(run.sync(client, products(205))) == {"created": 205}
        served.requests.clear()
        assert actions(run.sync(client, products(205))) == {"unchanged": 205}
        assert served.writes == []
        assert len(served.requests) == 3
        changed = products(205, "!")
        assert actions(run.sync(client, changed)) == {"updated": 205}
    assert read_space(served) == wanted(changed)


def test_every_type_of_field_stays_unchanged_after_it_was_written(served: Served, run: Run) -> None:
    entry = desired_product(
        1,
        fields={
            "title": {"en-US": " A ", "de-DE": "Ä"},
            "price": {"en-US": 7.0},
            "tags": {"en-US": ["a,b", "c"]},
            "related": {"en-US": {"sys": {"type": "Link", "linkType": "Entry", "id": "x"}}},
            "released": {"en-US": "2024-05-01T10:00:00+02:00"},
        },
        cleared=(("tags", "de-DE"),),
    )
    with connect(served) as client:
        first = run.sync(client, [entry], publish="none")
        second = run.sync(client, [entry], publish="none")
    assert actions(first) == {"created": 1}
    assert actions(second) == {"unchanged": 1}


def test_a_value_the_content_type_refuses_fails_alone(served: Served, run: Run) -> None:
    entries = products(30)
    entries[7] = desired_product(7, "x" * 50)
    entries[8] = desired_product(8, fields={"price": {"en-US": "not a number"}})
    with connect(served) as client:
        outcomes = run.sync(client, entries)
    assert actions(outcomes) == {"created": 28, "failed": 2}
    on_publish, on_save = outcomes[7].dead_letter, outcomes[8].dead_letter
    assert on_publish is not None
    assert on_save is not None
    assert (on_publish.stage, on_publish.field) == ("publish", "title.en-US")
    assert (on_save.stage, on_save.field) == ("load", "price.en-US")
    assert "xxxxx" not in on_publish.message
    assert sum(outcome.published for outcome in outcomes) == 28


def test_a_dry_run_changes_nothing(served: Served, run: Run) -> None:
    with connect(served) as client:
        outcomes = run.sync(client, products(20), apply=False)
    assert actions(outcomes) == {"created": 20}
    assert served.writes == []


def test_drafts_of_editors_stay_drafts_until_everything_is_to_be_published(
    served: Served, run: Run
) -> None:
    with connect(served) as client:
        for name in ("draft", "unrelated"):
            client.request(
                "PUT", f"/entries/{name}", headers={"X-Contentful-Content-Type": "product"},
                json={"fields": {"sku": {"en-US": "SKU-00001" if name == "draft" else "Z"}}},
            )  # fmt: skip
        outcomes = run.sync(client, products(3))
        assert [o.published for o in outcomes] == [True, False, True]
        assert read_space(served)["draft"][1] is False
        results = list(publish_drafts(client, fetch_target_model(client, "product"), apply=True))
    assert {result.entry_id for result in results} == {"draft", "unrelated"}
    assert all(clean for _, clean in read_space(served).values())


@pytest.mark.parametrize("kind", get_args(Fault))
def test_faults_lose_nothing_and_write_nothing_twice(served: Served, run: Run, kind: str) -> None:
    dice = random.Random(kind)
    failed: Counter[tuple[str, str]] = Counter()

    def fail(request: Any) -> str | None:
        if kind == "409" and request.method not in {"PUT", "PATCH"}:
            return None
        asked = (request.method, request.path)
        if dice.random() >= 0.2 or failed[asked] >= 4:
            failed[asked] = 0
            return None
        failed[asked] += 1
        return kind

    served.faults = fail
    changed = products(30, " changed")
    with connect(served) as client:
        assert actions(run.sync(client, products(30))) == {"created": 30}
        assert read_space(served) == wanted(products(30))
        assert actions(run.sync(client, changed)) == {"updated": 30}
        assert read_space(served) == wanted(changed)
        served.faults = lambda _: None
        served.requests.clear()
        assert actions(run.sync(client, changed)) == {"unchanged": 30}
    assert served.writes == []


def test_collections_that_lag_behind_make_no_duplicates(tmp_path: Path) -> None:
    """The second run's index shows nothing of the first; the third's shows old versions."""
    delay = IndexDelay(writes=100_000)
    with serve(tmp_path / "space.sqlite", index_delay=delay) as served, connect(served) as client:
        prepare(client)
        run = Run(served, tmp_path)
        entries, changed = products(12), products(12, " changed")
        assert actions(run.sync(client, entries)) == {"created": 12}
        assert actions(run.sync(client, entries)) == {"unchanged": 12}
        assert actions(run.sync(client, changed)) == {"updated": 12}
        for entry in changed:
            body = client.request(
                "GET", f"/entries/{derive_entry_id('product', entry.key)}"
            ).mapping
            assert body["fields"] == entry.fields
            assert body["sys"]["publishedVersion"] == body["sys"]["version"] - 1


def import_entries(path: Path, entries: list[DesiredEntry]) -> None:
    """As contentful-import would: far quicker than one PUT each."""
    links = {"contentType": {"sys": {"type": "Link", "linkType": "ContentType", "id": "product"}}}
    items = [
        {
            "sys": {
                "id": derive_entry_id("product", e.key),
                "type": "Entry",
                "version": 1,
                **links,
            },
            "fields": e.fields,
        }
        for e in entries
    ]
    export = path.with_suffix(".json")
    export.write_text(json.dumps({"entries": items}))
    with open_store(path) as store:
        import_file(store, export)


def test_look_ups_and_whole_read_find_the_same(served: Served, tmp_path: Path) -> None:
    keys = [f"SKU-{n:05d}" for n in range(0, 1200, 50)]
    import_entries(tmp_path / "space.sqlite", products(2100))
    with connect(served) as client:
        target = fetch_target_model(client, "product")
        whole, part = tmp_path / "whole", tmp_path / "part"
        summary = build_index(client, target, MAPPED, "sku", whole)
        assert (summary.strategy, summary.requests, summary.entries) == ("whole", 3, 2100)
        summary = build_index(client, target, MAPPED, "sku", part, keys=keys, key_count=len(keys))
    assert (summary.strategy, summary.requests, summary.entries) == ("lookups", 2, len(keys))
    with open_index(whole) as all_, open_index(part) as some:
        assert some.find_keys(keys) == all_.find_keys(keys)
        with connect(served) as client:
            some.refresh(client, keys=["SKU-00001", "SKU-00050"])
        assert some.find("SKU-00001") == all_.find("SKU-00001")


def test_entries_are_looked_up(served: Served, run: Run) -> None:
    with connect(served) as client:
        run.sync(client, products(3), publish="none")
        lookup = SpaceLookup(client)
        titles = [entry["title"]["en-US"] for entry in lookup.entries("product")]
        assert titles == ["Product 0", "Product 1", "Product 2"]
        chosen = list(lookup.entries("product", "fields.sku=SKU-00001"))
        assert [entry["id"] for entry in chosen] == [derive_entry_id("product", "SKU-00001")]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"space_id": "nope"}, "CONTENTFUL_SPACE_ID"),
        ({"environment_id": "nope"}, "CONTENTFUL_ENVIRONMENT_ID"),
    ],
    ids=["space", "environment"],
)
def test_a_wrong_space_is_named(served: Served, changes: dict[str, str], variable: str) -> None:
    with connect(served, **changes) as client, pytest.raises(SpaceError, match=variable):
        fetch_target_model(client, "product")


@pytest.mark.slow
def test_a_run_uses_at_least_95_percent_of_its_rate_limit(tmp_path: Path) -> None:
    rate = 40
    with serve(tmp_path / "space.sqlite") as served:
        with connect(served) as client:
            prepare(client)
        with SpaceClient(settings(served, rate_limit=rate, state_dir=tmp_path)) as client:
            started = time.monotonic()
            outcomes = Run(served, tmp_path).sync(client, products(600))
            seconds = time.monotonic() - started
    assert actions(outcomes) == {"created": 600}
    assert 0.95 * rate <= client.requests / seconds <= rate


@pytest.mark.slow
def test_a_server_with_a_strict_limit_refuses_hardly_anything(tmp_path: Path) -> None:
    rate = 40
    with serve(tmp_path / "space.sqlite", rate_limit=rate) as served:
        with connect(served) as client:
            prepare(client)
        with SpaceClient(settings(served, rate_limit=rate, state_dir=tmp_path)) as client:
            time.sleep(1.1)
            served.requests.clear()
            outcomes = Run(served, tmp_path).sync(client, products(400))
    assert actions(outcomes) == {"created": 400}
    assert client.requests - len(served.requests) <= 0.03 * client.requests
