"""The response cache: what it answers, what it keeps, and what it must never keep."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.http.cache import forget_answer, open_cached_session
from sync_pipeline_tests.extract.answering_server import Answer, serving


def config(**keys: Any) -> SyncConfig:
    base = {
        "key": "products",
        "content_type": "product",
        "content_key_field": "id",
        "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
    }
    return SyncConfig.model_validate({**base, **keys})


def files_of(cache_dir: Path) -> list[Path]:
    return [path for path in cache_dir.rglob("*") if path.is_file()]


def echo_path(path: str, headers: dict[str, str], body: bytes) -> Answer:
    return 200, {"X-Extra": "yes"}, f"{path} {body.decode()}".encode()


def test_the_second_request_is_answered_from_disk_by_another_session(tmp_path: Path) -> None:
    with serving(echo_path) as api:
        for _ in range(2):
            with (
                open_cached_session(tmp_path, config()) as session,
                session.get(api.url + "/a?x=1", stream=True) as response,
            ):
                assert response.raw.read() == b"/a?x=1 "
                assert response.headers["X-Extra"] == "yes"
                assert response.status_code == 200
        assert api.asked == ["/a?x=1"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"url": "/a"}, {"url": "/b"}, id="path"),
        pytest.param({"url": "/a?x=1"}, {"url": "/a?x=2"}, id="query"),
        pytest.param({"url": "/a", "method": "POST"}, {"url": "/a"}, id="method"),
        pytest.param(
            {"url": "/a", "method": "POST", "data": {"p": "1"}},
            {"url": "/a", "method": "POST", "data": {"p": "2"}},
            id="body",
        ),
        pytest.param(
            {"url": "/a", "headers": {"X-Tenant": "1"}},
            {"url": "/a", "headers": {"X-Tenant": "2"}},
            id="header",
        ),
        pytest.param(
            {"url": "/a", "headers": {"X-Key": "account-one"}},
            {"url": "/a", "headers": {"X-Key": "account-two"}},
            id="secret header: two accounts share nothing",
        ),
    ],
)
def test_requests_that_differ_have_answers_of_their_own(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    with (
        serving(echo_path) as api,
        open_cached_session(tmp_path, config(), secret_header_names=["X-Key"]) as session,
    ):
        for _ in range(2):
            for request in (first, second):
                options = dict(request)
                method = options.pop("method", "GET")
                session.request(method, api.url + options.pop("url"), **options)
        assert len(api.asked) == 2


def test_an_answer_is_asked_for_again_after_cache_hours(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    later = [timedelta(0)]
    with (
        serving(echo_path) as api,
        open_cached_session(
            tmp_path, config(cache_hours=2), clock=lambda: now + later[0]
        ) as session,
    ):
        for hours, requests_so_far in ((0, 1), (1.9, 1), (2, 2), (3, 2)):
            later[0] = timedelta(hours=hours)
            session.get(api.url + "/a")
            assert len(api.asked) == requests_so_far


@pytest.mark.parametrize("status", [201, 204, 301, 404, 429, 500])
def test_only_status_200_is_kept(tmp_path: Path, status: int) -> None:
    with (
        serving(lambda *_: (status, {}, b"")) as api,
        open_cached_session(tmp_path, config()) as session,
    ):
        for _ in range(2):
            session.get(api.url + "/a", allow_redirects=False)
        assert len(api.asked) == 2
    assert files_of(tmp_path) == []


@pytest.mark.parametrize("suffix", [".json", ".body"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda old: b"", id="empty"),
        pytest.param(lambda old: old[: len(old) // 2], id="cut"),
        pytest.param(lambda old: old[:-1] + bytes([old[-1] ^ 1]), id="one bit"),
        pytest.param(lambda old: b"\xff\xfe\x00", id="garbage"),
        pytest.param(lambda old: b'{"headers": 5, "created_at": []}', id="other JSON"),
        pytest.param(lambda old: b"[]", id="array"),
        pytest.param(None, id="gone"),
    ],
)
def test_a_damaged_file_is_a_miss(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes] | None
) -> None:
    with serving(echo_path) as api, open_cached_session(tmp_path, config()) as session:
        assert session.get(api.url + "/abc").content == b"/abc "
        (path,) = tmp_path.rglob(f"*{suffix}")
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage(path.read_bytes()))
        assert session.get(api.url + "/abc").content == b"/abc "
        assert session.get(api.url + "/abc").content == b"/abc "
        assert len(api.asked) == 2


def test_no_secret_gets_into_a_file_or_its_name(tmp_path: Path) -> None:
    secrets = ["Bearer-s3cret-token", "k3y-in-header", "k3y-in-query", "s3t-cookie-value"]

    def answer(*_: object) -> Answer:
        return 200, {"Set-Cookie": f"id={secrets[3]}", "X-Auth-Token": secrets[0]}, b"[]"

    with (
        serving(answer) as api,
        open_cached_session(tmp_path, config(), secret_header_names=["X-Own"]) as session,
    ):
        for _ in range(2):
            session.get(
                f"{api.url}/a?api_key={secrets[2]}",
                headers={"Authorization": f"Bearer {secrets[0]}", "X-Own": secrets[1]},
            )
        assert len(api.asked) == 1
    stored = b"".join(path.name.encode() + path.read_bytes() for path in files_of(tmp_path))
    assert stored
    assert [secret for secret in secrets if secret.encode() in stored] == []


@pytest.mark.parametrize("where", ["body", "header"])
def test_an_answer_that_repeats_a_secret_is_served_but_not_kept(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        following = f"http://next{path}&page=2"
        padding = b"x" * 300_000
        return (
            200,
            {"Link": following} if where == "header" else {},
            padding + following.encode() if where == "body" else padding,
        )

    with serving(answer) as api, open_cached_session(tmp_path, config()) as session:
        for _ in range(2):
            response = session.get(f"{api.url}/a?token=very-secret")
            assert len(response.content) >= 300_000
        assert len(api.asked) == 2
    assert files_of(tmp_path) == []
    assert sum("not kept" in message for message in caplog.messages) == 1


def test_the_token_of_oauth_may_change_without_losing_the_cache(tmp_path: Path) -> None:
    auth = {
        "type": "oauth2_client_credentials",
        "token_url": "https://id.example/token",
        "client_id": "i",
        "client_secret": "s",
    }
    with serving(echo_path) as api, open_cached_session(tmp_path, config(auth=auth)) as session:
        for token in ("token-of-today", "token-of-tomorrow"):
            session.get(api.url + "/a", headers={"Authorization": f"Bearer {token}"})
        assert len(api.asked) == 1


def test_headers_that_pagination_needs_are_kept_and_pages_follow_from_disk(tmp_path: Path) -> None:
    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        token = headers.get("X-Continuation-Token", "")
        following = {"": "page-two-token", "page-two-token": "page-three-token"}.get(token)
        return 200, {"X-Continuation-Token": following} if following else {}, token.encode()

    sync = config(continuation_token_header="X-Continuation-Token")
    for _ in range(2):
        with serving(answer) as api, open_cached_session(tmp_path, sync) as session:
            session.get(api.url + "/warm")
    with serving(answer) as api:
        for requests_made in (3, 3):
            with open_cached_session(tmp_path, sync) as session:
                token: str | None = None
                bodies = []
                while True:
                    headers = {"X-Continuation-Token": token} if token else {}
                    response = session.get(api.url + "/pages", headers=headers)
                    bodies.append(response.text)
                    token = response.headers.get("X-Continuation-Token")
                    if not token:
                        break
            assert bodies == ["", "page-two-token", "page-three-token"]
            assert len(api.asked) == requests_made


def test_a_gzipped_answer_is_kept_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(b"[1, 2, 3]" * 100)
    with (
        serving(lambda *_: (200, {"Content-Encoding": "gzip"}, packed)) as api,
        open_cached_session(tmp_path, config()) as session,
    ):
        for _ in range(2):
            with session.get(api.url, stream=True) as response:
                assert response.raw.read(9, decode_content=True) == b"[1, 2, 3]"
                assert "Content-Encoding" not in response.headers
        assert len(api.asked) == 1


def test_a_transfer_that_breaks_is_an_error_of_the_request_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with (
        serving(lambda *_: (200, {"Content-Length": "100", "Connection": "close"}, b"half")) as api,
        open_cached_session(tmp_path, config()) as session,
        pytest.raises(requests.RequestException),
    ):
        session.get(api.url)
    assert files_of(tmp_path) == []


def test_an_answer_over_the_bound_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(3_000_000))
    with (
        serving(lambda *_: (200, {"Content-Encoding": "gzip"}, bomb)) as api,
        open_cached_session(tmp_path, config(max_response_bytes=1_000_000)) as session,
        pytest.raises(SourceDataError, match="maxResponseBytes"),
    ):
        session.get(api.url)
    assert files_of(tmp_path) == []


def test_an_unusable_answer_can_be_forgotten(tmp_path: Path) -> None:
    with serving(echo_path) as api, open_cached_session(tmp_path, config()) as session:
        forget_answer(session.get(api.url))
        assert files_of(tmp_path) == []
        forget_answer(session.get(api.url))
        assert len(api.asked) == 2
    forget_answer(requests.Response())


def test_expired_files_go_when_the_cache_is_opened(tmp_path: Path) -> None:
    with serving(echo_path) as api, open_cached_session(tmp_path, config()) as session:
        session.get(api.url)
    assert len(files_of(tmp_path)) == 2
    open_cached_session(tmp_path, config(cache_hours=1e-9)).close()
    assert files_of(tmp_path) == []


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "products").write_text("a file where the directory should be")
    with pytest.raises(SourceError, match="cannot be written"):
        open_cached_session(tmp_path, config())


def test_a_huge_answer_flows_through_a_file(tmp_path: Path) -> None:
    piece = b"0123456789abcdef" * 4096
    size = 40 * 1024 * 1024
    payload = piece * (size // len(piece))
    with serving(lambda *_: (200, {}, payload)) as api:
        tracemalloc.start()
        try:
            for _ in range(2):
                with (
                    open_cached_session(tmp_path, config()) as session,
                    session.get(api.url, stream=True) as response,
                ):
                    read = 0
                    while chunk := response.raw.read(64 * 1024):
                        read += len(chunk)
                    assert read == size
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(api.asked) == 1
    assert peak < 8 * 1024 * 1024
