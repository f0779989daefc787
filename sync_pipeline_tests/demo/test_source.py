import asyncio
import json
import urllib.request

import httpx
import pytest

from sync_pipeline.demo.source import build_app, load_airports, running_source
from sync_pipeline.errors import MissingExtraError

AIRPORTS = [{"icao": f"A{number:03d}"} for number in range(25)]


@pytest.mark.parametrize(
    ("query", "first", "count"),
    [("", 0, 25), ("?limit=10", 0, 10), ("?limit=10&offset=20", 20, 5), ("?offset=25", 25, 0)],
)
def test_pages_tell_the_total_and_hold_what_was_asked_for(query, first, count):
    async def get():
        transport = httpx.ASGITransport(build_app(AIRPORTS))
        async with httpx.AsyncClient(transport=transport, base_url="http://source") as client:
            return (await client.get(f"/airports{query}")).json()

    assert asyncio.run(get()) == {"total": 25, "items": AIRPORTS[first : first + count]}


def test_the_real_airports_have_unique_keys_in_order():
    codes = [airport["icao"] for airport in load_airports()]
    assert len(codes) > 25_000
    assert codes == sorted(set(codes))


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "airportsdata", None)
    with pytest.raises(MissingExtraError, match=r"sync_pipeline\[demo\]"):
        load_airports()


@pytest.mark.slow
def test_two_sources_at_once_take_different_ports():
    with running_source() as one, running_source() as other:
        assert one != other
        for url in (one, other):
            with urllib.request.urlopen(f"{url}/airports?limit=1", timeout=5) as answer:
                assert json.load(answer)["total"] > 25_000
