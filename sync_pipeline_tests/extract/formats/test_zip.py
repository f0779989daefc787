"""Zipped CSV: passwords, members, bombs and damage."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import pyzipper
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.extract.formats import read_records
from sync_pipeline_tests.extract.format_bodies import config, rows, rows_and_error

CSV = b"id,name\n1,a\n2,b\n"
ROWS = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def aes(content: bytes, password: bytes, bits: int = 256) -> bytes:
    file = io.BytesIO()
    with pyzipper.AESZipFile(file, "w", compression=pyzipper.ZIP_DEFLATED) as archive:
        archive.setencryption(pyzipper.WZ_AES, nbits=bits)
        archive.setpassword(password)
        archive.writestr("data.csv", content)
    return file.getvalue()


def zip_crypto(content: bytes, password: bytes) -> bytes:
    """A stored member in PKWARE's old encryption, which Python can only read: APPNOTE 6.1.

    https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
    """

    def crc(byte: int, state: int) -> int:
        # One step of CRC-32 without its inversions.
        return (zlib.crc32(bytes([byte]), state ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF

    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = crc(byte, keys[0])
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[1] >> 24, keys[2])

    def encrypt(byte: int) -> int:
        mixed = (keys[2] | 2) & 0xFFFF
        result = byte ^ (((mixed * (mixed ^ 1)) >> 8) & 0xFF)
        update(byte)
        return result

    for byte in password:
        update(byte)
    checksum = zlib.crc32(content)
    header = bytes(11) + bytes([checksum >> 24])
    body = bytes(encrypt(byte) for byte in header + content)
    plain = bytearray(zipped({"data.csv": content}, zipfile.ZIP_STORED))
    # Patch flags, sizes and the body of the plain archive.
    name_end = 30 + len("data.csv")
    local, rest = plain[:name_end], plain[name_end + len(content) :]
    local[6] |= 1
    local[18:22] = len(body).to_bytes(4, "little")
    rest[8] |= 1
    rest[20:24] = len(body).to_bytes(4, "little")
    end = rest.index(b"PK\x05\x06")
    rest[end + 16 : end + 20] = (len(local) + len(body)).to_bytes(4, "little")
    return bytes(local + body + rest)


def read(body: bytes, **keys: Any) -> list[Any]:
    return rows(body, results_format="zippedCsv", **keys)


def error_of(body: bytes, **keys: Any) -> str:
    return rows_and_error(body, results_format="zippedCsv", **keys)[1]


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        pytest.param(zipped({"data.csv": CSV}), {}, id="deflated"),
        pytest.param(zipped({"data.csv": CSV}, zipfile.ZIP_STORED), {}, id="stored"),
        pytest.param(zipped({"data.csv": CSV}, zipfile.ZIP_BZIP2), {}, id="bzip2"),
        pytest.param(zipped({"data.csv": CSV}, zipfile.ZIP_LZMA), {}, id="lzma"),
        pytest.param(zipped({"sub/": b"", "sub/data.txt": CSV}), {}, id="in a directory"),
        pytest.param(
            zipped({"__MACOSX/._data.csv": b"x", ".DS_Store": b"x", "data.csv": CSV}),
            {},
            id="clutter",
        ),
        pytest.param(
            zipped({"a.csv": b"x", "b/data.csv": CSV}),
            {"csv": {"file_name": "b/data.csv"}},
            id="by path",
        ),
        pytest.param(
            zipped({"a.csv": b"x", "b/data.csv": CSV}),
            {"csv": {"file_name": "data.csv"}},
            id="by name",
        ),
        pytest.param(aes(CSV, b"s3cret"), {"secret": "s3cret"}, id="AES-256"),
        pytest.param(aes(CSV, b"s3cret", 128), {"secret": "s3cret"}, id="AES-128"),
        pytest.param(aes(CSV, "pässword".encode()), {"secret": "pässword"}, id="AES, not ASCII"),
        pytest.param(zip_crypto(CSV, b"s3cret"), {"secret": "s3cret"}, id="ZipCrypto"),
        pytest.param(zipped({"data.csv": CSV}), {"secret": "needless"}, id="needless password"),
        pytest.param(
            zipped({"data.csv": CSV.decode().replace(",", ";").encode("utf-16")}), {}, id="UTF-16"
        ),
    ],
)
def test_the_one_csv_file_of_a_zip_is_read(body: bytes, keys: dict[str, Any]) -> None:
    assert read(body, **keys) == ROWS
    assert read(body, step=7, **keys) == ROWS
    assert read(body, skip=1, **keys) == ROWS[1:]


@pytest.mark.parametrize(
    ("body", "keys", "message"),
    [
        pytest.param(
            zipped({"a.csv": CSV, "b.csv": CSV}), {}, "has 2 files: a.csv, b.csv. Name the one", id="several"
        ),
        pytest.param(
            zipped({"a.csv": CSV}), {"csv": {"file_name": "c.csv"}}, "no file 'c.csv'; it has a.csv", id="not there"
        ),
        pytest.param(zipped({}), {}, "no file in it", id="empty zip"),
        pytest.param(aes(CSV, b"s3cret"), {}, "is encrypted. Set resultsSecret", id="AES, no password"),
        pytest.param(aes(CSV, b"s3cret"), {"secret": "wr0ng"}, "resultsSecret", id="AES, wrong password"),
        pytest.param(zip_crypto(CSV, b"s3cret"), {}, "Set resultsSecret", id="ZipCrypto, no password"),
        pytest.param(
            zip_crypto(CSV, b"s3cret"), {"secret": "wr0ng"}, "resultsSecret", id="ZipCrypto, wrong password"
        ),
        pytest.param(b"", {}, "is empty", id="empty"),
        pytest.param(CSV, {}, "is no zip archive. Set resultsFormat: csv", id="plain CSV"),
        pytest.param(b"<html>", {}, "answered HTML", id="HTML"),
        pytest.param(zipped({"data.csv": CSV})[:-30], {}, "damaged or cut off", id="cut"),
        pytest.param(
            zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), {}, "Excel workbook", id="xlsx"
        ),
        pytest.param(zipped({"data.csv": b"a,b\n1,2,3\n"}), {}, "line 2", id="a ragged row"),
        pytest.param(zipped({"data.csv": b"<html>"}), {}, "HTML", id="HTML in the zip"),
    ],
)  # fmt: skip
def test_a_zip_that_cannot_be_read_is_a_clear_error(
    body: bytes, keys: dict[str, Any], message: str
) -> None:
    error = error_of(body, **keys)
    assert message in error
    assert "s3cret" not in error
    assert "wr0ng" not in error


def test_a_wrong_password_that_passes_the_first_check_is_still_told() -> None:
    # ZipCrypto checks one byte only: one wrong password in 256 gets through to the checksum.
    body = zip_crypto(CSV * 50, b"s3cret")
    errors = [error_of(body, secret=f"wrong-{at}") for at in range(600)]
    assert all(
        "resultsSecret" in error or "the text" in error or "NUL" in error for error in errors
    )
    assert any("password is wrong or the file is damaged" in error for error in errors)


@pytest.mark.parametrize("lies", [False, True], ids=["honest", "size in the directory lies"])
def test_a_zip_bomb_is_bounded_by_what_it_unpacks_to(lies: bool) -> None:
    body = bytearray(zipped({"data.csv": b"a\n" + b"x\n" * 2_000_000}))
    if lies:
        at = body.index(b"PK\x01\x02")
        body[at + 24 : at + 28] = (100).to_bytes(4, "little")
        body[22:26] = (100).to_bytes(4, "little")
    found, error = rows_and_error(
        bytes(body), results_format="zippedCsv", max_response_bytes=100_000
    )
    assert "maxResponseBytes" in error or "damaged" in error
    assert len(found) <= 50_000


def test_a_gzip_within_a_zip_is_unpacked_and_bounded_too() -> None:
    assert read(zipped({"data.csv.gz": gzip.compress(CSV)})) == ROWS
    bomb = zipped({"data.csv.gz": gzip.compress(b"a\n" + b"x\n" * 2_000_000)})
    assert "maxResponseBytes" in error_of(bomb, max_response_bytes=100_000)


def test_an_aes_archive_whose_salt_is_cut_off_is_damaged() -> None:
    body = bytearray(aes(CSV, b"p"))
    size = body.index(b"PK\x01\x02") + 20
    body[size : size + 4] = (3).to_bytes(4, "little")
    assert "damaged" in error_of(bytes(body), secret="p")


def test_damage_in_the_member_comes_after_the_good_rows() -> None:
    content = b"id,name\n" + b"".join(b"%d,name\n" % at for at in range(100_000))
    body = bytearray(zipped({"data.csv": content}))
    body[len(body) // 2] ^= 0xFF
    found, error = rows_and_error(bytes(body), results_format="zippedCsv")
    assert error
    assert found[:1000] == [{"id": str(at), "name": "name"} for at in range(1000)]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(
    st.integers(0, 400),
    st.binary(max_size=20),
    st.sampled_from(["plain", "lzma", "bzip2", "aes", "crypto"]),
)
def test_a_damaged_archive_gives_rows_or_a_source_data_error(
    at: int, junk: bytes, kind: str
) -> None:
    whole = {
        "plain": zipped({"data.csv": CSV}),
        "lzma": zipped({"data.csv": CSV}, zipfile.ZIP_LZMA),
        "bzip2": zipped({"data.csv": CSV}, zipfile.ZIP_BZIP2),
        "aes": aes(CSV, b"p"),
        "crypto": zip_crypto(CSV, b"p"),
    }[kind]
    for body in (
        whole[:at],
        whole[:at] + junk + whole[at:],
        whole[:at] + junk + whole[at + len(junk) :],
    ):
        rows_and_error(body, results_format="zippedCsv", secret="p", max_response_bytes=10**6)


def test_the_zip_is_put_where_it_was_asked_to_and_leaves_nothing(tmp_path: Path) -> None:
    assert read(zipped({"data.csv": CSV}), spool_dir=tmp_path) == ROWS
    assert list(tmp_path.iterdir()) == []


def test_memory_depends_neither_on_the_zip_nor_on_what_it_unpacks_to() -> None:
    def peak_of(count: int) -> int:
        content = b"id,name\n" + b"".join(
            b"%d,some name that takes room\n" % at for at in range(count)
        )
        body = zipped({"data.csv": content})
        del content
        tracemalloc.start()
        try:
            found = rows_count(body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found == count
        return peak

    assert peak_of(40_000) < 1.15 * peak_of(10_000)


def rows_count(body: bytes) -> int:
    stream: Any = io.BytesIO(body)
    sync = config(results_format="zippedCsv")
    return sum(1 for _ in read_records(stream, sync, content_type_header="application/zip"))
