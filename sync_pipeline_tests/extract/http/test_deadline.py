"""A source that keeps a request going, byte by byte, is given up; one that is only slow is not.

The clock ticks when it is looked at, and each tick lets the server send a piece; see
`test_deadline`.
"""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import itertools

import pytest

from sync_pipeline.config.model import Sensor
from sync_pipeline.errors import SourceError
from sync_pipeline.extract.probe import probing as probe
from sync_pipeline.extract.rest import change_probe
from sync_pipeline_tests.extract.sources import config_of, fetch_all, opened, pagination_of
from sync_pipeline_tests.test_deadline import (
    ENDLESS,
    OK,
    PATIENCE_S,
    Ticks,
    dripping,
    in_pieces,
    read_head,
    server,
)

WHOLE = {"timeoutS": PATIENCE_S, "maxSeconds": 20}
#: Those of the table whose kind of body matters to who reads it.
KINDS = [kind for kind in ENDLESS if kind != "body of a refusal"]


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("style", [None, "offset"], ids=["streamed", "paged"])
@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
def test_a_source_that_drips_is_given_up(tmp_path, kind, style, is_cached):
    ticks = Ticks()
    block = pagination_of(style) if style else None
    with server(dripping(*ENDLESS[kind]), ticks) as host:
        config = config_of(f"http://{host}/", pagination=block, retries=0, **WHOLE)
        with pytest.raises(SourceError) as caught:
            fetch_all(config, monotonic=ticks, cache_dir=tmp_path if is_cached else None)
    assert "longer than 20 s (maxSeconds) (1 attempt)" in str(caught.value) or (
        kind == "body of a refusal" and "status 503 (1 attempt)" in str(caught.value)
    )
    assert caught.value.retryable


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_tokens_that_drips_is_given_up(kind):
    ticks = Ticks()
    with server(dripping(*ENDLESS[kind]), ticks) as host:
        auth = {
            "type": "oauth2_client_credentials", "tokenUrl": f"http://{host}/token",
            "clientId": "i", "clientSecret": "s3cret-value",
        }  # fmt: skip
        with pytest.raises(SourceError, match=r"/token.*longer than 20 s \(maxSeconds\)"):
            fetch_all(config_of(f"http://{host}/", auth=auth, retries=0, **WHOLE), monotonic=ticks)


@pytest.mark.parametrize("json_path", [None, "v"], ids=["validators", "a value"])
@pytest.mark.parametrize("kind", ["status line", "one header", "headers", "chunks"])
def test_a_watched_url_that_drips_is_given_up(monkeypatch, kind, json_path):
    if kind == "chunks" and json_path is None:
        return  # its headers are all that is asked for
    ticks = Ticks()
    monkeypatch.setattr(change_probe, "RETRIES", 0)
    with server(dripping(*ENDLESS[kind]), ticks) as host:
        sensor = Sensor(type="http_change", url=f"http://{host}/", json_path=json_path)
        config = config_of(f"http://{host}/")
        with pytest.raises(SourceError, match=r"longer than 15 s \(maxSeconds\)"):
            change_probe.probe_change(config, sensor, variables={}, monotonic=ticks)


@pytest.mark.parametrize("kind", KINDS)
def test_an_api_that_drips_is_not_proposed(monkeypatch, kind):
    monkeypatch.setattr(probe, "MAX_SECONDS", 20)
    ticks = Ticks()
    with server(dripping(*ENDLESS[kind]), ticks) as host:
        with pytest.raises(SourceError, match="longer than 20 s"):
            probe.probe(f"http://{host}/", timeout_s=PATIENCE_S, monotonic=ticks)


def test_redirects_share_the_time_of_their_request():
    ticks = Ticks()

    def speaks(conn, tick):
        for number in itertools.count():
            if not read_head(conn):
                return
            for _ in range(5):
                tick()
            moved = f"HTTP/1.1 302 Found\r\nLocation: /{number}\r\nContent-Length: 0\r\n\r\n"
            conn.sendall(moved.encode())

    with server(speaks, ticks) as host:
        config = config_of(f"http://{host}/", retries=0, **WHOLE)
        with pytest.raises(SourceError, match=r"longer than 20 s \(maxSeconds\)"):
            fetch_all(config, monotonic=ticks)


@pytest.mark.parametrize("style", [None, "offset"], ids=["streamed", "paged"])
def test_a_large_answer_may_take_as_long_as_it_comes_steadily(style):
    ticks = Ticks()
    rows = [b'{"id": %d, "text": "%s"}' % (at, b"x" * 2000) for at in range(200)]
    pieces = [b'{"items": [' + rows[0], *(b"," + row for row in rows[1:]), b'], "more": false}']
    length = sum(map(len, pieces))

    def speaks(conn, tick):
        read_head(conn)
        conn.sendall(OK + b"Content-Length: %d\r\n\r\n" % length)
        for piece in pieces:
            tick()
            conn.sendall(piece)

    block = {**pagination_of("offset", size=200), "hasMorePath": "more"} if style else None
    with server(speaks, ticks) as host:
        config = config_of(f"http://{host}/", pagination=block, retries=0, **WHOLE)
        assert len(fetch_all(config, monotonic=ticks)) == 200
    assert ticks.now > 100, "it took longer than the total"


def test_records_that_came_before_the_time_was_used_up_are_kept():
    ticks = Ticks()
    lines = b"".join(b'{"id": %d}\n' % at for at in range(5000))
    with server(
        in_pieces(OK + b"Content-Length: 9000000\r\n\r\n" + lines, 500, b" "), ticks
    ) as host:
        config = config_of(
            f"http://{host}/", resultsFormat="jsonl", resultsJsonPath=None, retries=0, **WHOLE
        )
        found = []
        with opened(config, monotonic=ticks) as source, pytest.raises(SourceError) as caught:
            found.extend(page.records for page in source.fetch_pages())
    assert found == []
    assert "maxSeconds" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [({}, 300), ({"timeoutS": 10}, 300), ({"timeoutS": 900}, 4500), ({"maxSeconds": 5}, 5),
     ({"timeoutS": 900, "maxSeconds": 1000}, 1000)],
)  # fmt: skip
def test_the_whole_is_never_less_than_a_part_unless_the_file_says_so(keys, seconds):
    assert config_of("http://h", **keys).whole_request_s == seconds
