"""Content-Encoding: undone, strictly, and only where it is true."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import gzip
import io
import json
import random
import zlib

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.http.content_encoding import Unpacked, encodings_of
from sync_pipeline.extract.probe.config_file import render_yaml
from sync_pipeline.extract.probe.probing import probe
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

ROWS = [{"id": str(i), "name": f"Zürich {i}"} for i in range(20)]
TEXTS = {
    "json": json.dumps({"items": ROWS}, ensure_ascii=False).encode(),
    "jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
    "csv": b"id,name\n" + "".join(f"{r['id']},{r['name']}\n" for r in ROWS).encode(),
}
UTF16 = {"csv": TEXTS["csv"].decode().encode("utf-16"), "json": TEXTS["json"].decode().encode("utf-16")}  # fmt: skip


def deflated(data, wbits=zlib.MAX_WBITS):
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


def read(body, encoding, shape="csv", *, cache_dir=None, paged=False, said=None, **values):
    path = {"json": "items"}.get(shape)
    block = pagination_of("offset", size=100) if paged else None
    headers = {"Content-Encoding": encoding} if encoding else {}
    with serve(lambda _r: Reply(body, headers=headers)) as api:
        config = config_of(
            api.url,
            resultsFormat=shape,
            resultsJsonPath=path,
            retries=1,
            pagination=block,
            **values,
        )
        warn = said.append if said is not None else lambda _text: None
        rows = fetch_all(config, cache_dir=cache_dir, warn=warn)
        if cache_dir is not None:
            assert fetch_all(config, cache_dir=cache_dir, warn=warn) == rows
    return rows, len(api.requests)


@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip"]
)
@pytest.mark.parametrize("shape", TEXTS)
def test_plain_text_that_is_said_to_be_packed_is_read_as_it_is(
    tmp_path, is_cached, encoding, shape
):
    said = []
    rows, requests_made = read(
        TEXTS[shape], encoding, shape, said=said, cache_dir=tmp_path if is_cached else None
    )
    assert rows == ROWS
    assert requests_made == 1
    # Also by who reads the answer from the cache.
    assert len(said) == (2 if is_cached else 1)
    assert f"Content-Encoding says {encoding.lower()}" in said[0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("shape", UTF16)
def test_text_that_does_not_look_like_text_is_read_as_it_is_too(encoding, shape):
    assert read(UTF16[shape], encoding, shape)[0] == ROWS


PACKED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": deflated,
    "deflate, gzip": lambda data: gzip.compress(deflated(data)),
    "gzip, gzip": lambda data: gzip.compress(gzip.compress(data)),
    "identity": lambda data: data,
    "utf-8": lambda data: data,
    "none": lambda data: data,
    "": lambda data: data,
}


@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
@pytest.mark.parametrize("encoding", PACKED)
def test_what_is_packed_as_it_is_said_is_undone_without_a_word(tmp_path, encoding, is_cached):
    said = []
    cache_dir = tmp_path if is_cached else None
    body = PACKED[encoding](TEXTS["csv"])
    assert read(body, encoding, said=said, cache_dir=cache_dir)[0] == ROWS
    assert said == []


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS], ids=["zlib", "raw"])
def test_both_kinds_of_deflate_are_undone(wbits):
    assert read(deflated(TEXTS["csv"], wbits), "deflate")[0] == ROWS


@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
@pytest.mark.parametrize("paged", [False, True], ids=["streamed", "paged"])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
@pytest.mark.parametrize("cut", [1, 8, 9, 100, 4000])
def test_gzip_that_is_cut_off_loses_no_row_in_silence(tmp_path, is_cached, paged, encoding, cut):
    noise = random.Random(1)
    lines = [f"{i},{noise.random()}" for i in range(500)]
    body = gzip.compress("\n".join(["id,name", *lines, ""]).encode())[:-cut]
    with pytest.raises(SourceError, match=r"Content-Encoding \(gzip\) ends too early") as caught:
        read(body, encoding, cache_dir=tmp_path if is_cached else None, paged=paged)
    assert caught.value.retryable


@pytest.mark.parametrize("at", [3, 12, 200, -6])
def test_gzip_that_is_damaged_is_a_clear_error(at):
    noise = random.Random(2)
    lines = "".join(f"{i},{noise.random()}\n" for i in range(500))
    body = bytearray(gzip.compress(f"id,name\n{lines}".encode()))
    body[at] ^= 0xFF
    with pytest.raises(SourceError, match="Content-Encoding"):
        read(bytes(body), "gzip")


@pytest.mark.parametrize("at", [0, 14, -5])
def test_a_second_member_that_is_damaged_is_not_passed_over(at):
    second = bytearray(gzip.compress(b"20,more\n" * 50))
    second[at or 12] ^= 0xFF
    with pytest.raises(SourceError, match="Content-Encoding"):
        read(gzip.compress(TEXTS["csv"]) + bytes(second), "gzip")


@pytest.mark.parametrize("trailing", [b"\0", b"\0" * 1000, b"junk", b"\x1f"])
def test_what_follows_gzip_and_is_no_member_is_passed_over(trailing):
    whole = gzip.compress(TEXTS["csv"][:100]) + gzip.compress(TEXTS["csv"][100:])
    assert read(whole + trailing, "gzip")[0] == ROWS


@pytest.mark.parametrize("is_cached", [False, True], ids=["", "cached"])
@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "br, gzip"])
def test_an_encoding_that_nobody_asked_for_is_named_at_once(tmp_path, encoding, is_cached):
    body = bytes([0x8B, 0x0F, 0x80, 1, 2, 3, 0xFF, 0xFE, 0, 9])
    with pytest.raises(SourceDataError, match=r"Content-Encoding says \w+,.*Accept-Encoding: gzip"):
        read(body, encoding, cache_dir=tmp_path if is_cached else None)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_words_of_an_error_are_read_through_a_lie_too(status):
    body = json.dumps({"message": "no such field"}).encode()
    with serve(lambda _r: Reply(body, status=status, headers={"Content-Encoding": "gzip"})) as api:
        with pytest.raises(SourceError, match="no such field"):
            fetch_all(config_of(api.url, retries=0))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-gzip"])
def test_a_proposal_is_made_in_spite_of_a_lie_and_tells_it(encoding):
    body = json.dumps(ROWS).encode()
    with serve(lambda _r: Reply(body, headers={"Content-Encoding": encoding})) as api:
        found = probe(api.url)
    assert found.sampled == len(ROWS)
    assert f"Content-Encoding says {encoding}" in render_yaml(found)


def test_a_proposal_names_an_encoding_that_is_not_understood():
    reply = Reply(bytes([0x8B, 0x0F, 0x80, 1, 2, 3, 0xFF]), headers={"Content-Encoding": "br"})
    with serve(lambda _r: reply) as api, pytest.raises(SourceDataError, match="says br"):
        probe(api.url)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_an_empty_body_is_empty_whatever_it_is_said_to_be(encoding):
    assert read(b"", encoding, "jsonl")[0] == []


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        (" GZip , identity", ["gzip"]),
        ("UTF-8", []),
        ("aws-chunked", []),
    ],
)
def test_only_what_changes_a_body_is_an_encoding(header, names):
    assert encodings_of(header) == names


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.binary(max_size=3000) | st.integers(1, 300_000).map(lambda n: b"ab" * n), max_size=4
    ),
    st.integers(1, 70_000),
    st.sampled_from([1, 7, 1000, 10**6]),
)
def test_law_any_members_in_any_pieces_are_unpacked_whole(parts, size, step):
    raw = urllib3.HTTPResponse(
        body=_Slow(b"".join(map(gzip.compress, parts)), step),
        headers={"Content-Encoding": "gzip"}, preload_content=False, decode_content=False,
    )  # fmt: skip
    response = requests.Response()
    response.raw = raw
    response.headers.update(raw.headers)
    body = Unpacked(response)
    pieces = list(iter(lambda: body.read(size), b""))
    assert b"".join(pieces) == b"".join(parts)
    assert max(map(len, pieces), default=0) <= size


class _Slow(io.BytesIO):
    def __init__(self, data, step):
        super().__init__(data)
        self._step = step

    def read(self, size=-1, /):
        return super().read(self._step if size is None or size < 0 else min(size, self._step))
