"""The server as a process: found, shared, ended, killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sync_pipeline import demo
from sync_pipeline.errors import AccessError, BusyError, UsageError
from sync_pipeline.local_space.request import Request
from sync_pipeline.local_space.server import launcher
from sync_pipeline.local_space.server.asgi import LocalSpaceApp
from sync_pipeline.local_space.server.launcher import running_space, serve, stop_space
from sync_pipeline.local_space.server.process import build_app, run_server
from sync_pipeline.local_space.server.registration import (
    Registration,
    find_server,
    ping,
    read_registration,
    store_path,
)
from sync_pipeline.local_space.store.store import open_store

MODEL = Path(demo.__file__).parent / "airport_space.json"
ENTRIES = "/spaces/local/environments/master/entries"


@contextmanager
def connection(url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    opened = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        yield opened
    finally:
        opened.close()


def send(
    opened: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    sent = {"Authorization": "Bearer x"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    opened.request(method, path, None if body is None else json.dumps(body), sent)
    answer = opened.getresponse()
    raw = answer.read()
    return answer.status, json.loads(raw) if raw else None


def create(opened: http.client.HTTPConnection, number: int) -> int:
    body = {"fields": {"icao": {"en-US": f"K{number:06d}"}, "name": {"en-US": "n"}}}
    path = f"{ENTRIES}/e{number:06d}"
    return send(opened, "PUT", path, body, X_Contentful_Content_Type="airport")[0]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop_space(tmp_path)


@contextmanager
def threaded_server(storage: Path, **options: Any) -> Iterator[str]:
    """A real server in a thread of this process; ends by idling out."""
    ready = threading.Event()
    urls: list[str] = []

    def announce(url: str) -> None:
        urls.append(url)
        ready.set()

    options = {"idle_exit_s": 0.3, "announce": announce, **options}
    thread = threading.Thread(target=run_server, args=(storage,), kwargs=options)
    thread.start()
    assert ready.wait(20)
    try:
        yield urls[0]
    finally:
        thread.join()


def test_a_real_server_answers_over_one_connection_and_idles_out(tmp_path: Path) -> None:
    with threaded_server(tmp_path) as url, connection(url) as opened:
        assert send(opened, "GET", "/spaces/local")[0] == 200
        assert send(opened, "GET", ENTRIES)[1]["total"] == 0
        registration = find_server(tmp_path)
        assert registration is not None
        assert (registration.url, registration.pid) == (url, os.getpid())
    assert read_registration(tmp_path) is None, "the server has taken its entry out"


def test_a_server_of_another_storage_at_the_registered_address_is_not_taken(
    tmp_path: Path,
) -> None:
    with threaded_server(tmp_path / "one") as url:
        (tmp_path / "two" / "local_space").mkdir(parents=True)
        Registration(url, os.getpid(), "another-storage", 1.0).write(tmp_path / "two")
        assert find_server(tmp_path / "two") is None
        assert find_server(tmp_path / "one") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}'])
def test_a_damaged_registration_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "local_space").mkdir()
    (tmp_path / "local_space" / "server.json").write_text(text)
    assert find_server(tmp_path) is None
    assert stop_space(tmp_path) is False


def test_a_storage_is_served_once(tmp_path: Path) -> None:
    with threaded_server(tmp_path) as url, pytest.raises(BusyError, match=url):
        serve(tmp_path, port=0)


def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AccessError, match=rf"{port}.*--port"):
            serve(tmp_path, port=port)


def test_a_model_that_does_not_fit_is_a_usage_error(tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text('{"contentTypes": [{"id": "t", "fields": [{"id": "f", "type": "X"}]}]}')
    with (
        pytest.raises(UsageError, match="content type 't'"),
        running_space(tmp_path / "storage", model=model),
    ):
        pytest.fail("no server may be started for it")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "space.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(AccessError, match=r"space\.sqlite"), open_store(path):
        pytest.fail("it cannot be opened")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "space.sqlite"
    with open_store(path) as store:
        store.execute("PRAGMA user_version=99")
    with pytest.raises(AccessError, match="schema 99"), open_store(path):
        pytest.fail("it cannot be read")


@pytest.mark.parametrize(("fault", "written"), [("reset_before", 404), ("reset_after", 200)])
def test_an_injected_reset_breaks_a_real_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, written: int
) -> None:
    def faults(request: Request) -> Any:
        return fault if request.method == "PUT" else None

    def build(store: Any, **options: Any) -> LocalSpaceApp:
        return build_app(store, **{**options, "faults": faults})

    with open_store(store_path(tmp_path)) as store:
        launcher.import_file(store, MODEL)
    monkeypatch.setattr("sync_pipeline.local_space.server.process.build_app", build)
    with threaded_server(tmp_path) as url, connection(url) as opened:
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            create(opened, 1)
        opened.close()
        assert send(opened, "GET", f"{ENTRIES}/e000001")[0] == written


# ---------------------------------------------------------------- processes


@pytest.mark.slow
def test_two_callers_at_once_get_one_server(storage: Path) -> None:
    def use() -> tuple[str, int]:
        with running_space(storage, model=MODEL) as url, connection(url) as opened:
            status, _ = send(
                opened, "GET", "/spaces/local/environments/master/content_types/airport"
            )
            return url, status

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(lambda _: use(), range(4)))
    assert len(answers) == 1
    assert next(iter(answers))[1] == 200


@pytest.mark.slow
def test_a_server_outlives_its_context_then_ends_by_itself(storage: Path) -> None:
    with running_space(storage, idle_exit_s=0.5) as url:
        registration = read_registration(storage)
        # Longer than the idle time: the open context keeps it alive.
        for _ in range(4):
            time.sleep(0.4)
            assert registration is not None
        assert find_server(storage) == registration
    deadline = time.monotonic() + 20
    while read_registration(storage) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert read_registration(storage) is None
    assert ping(url) is None
    log = storage / "local_space.log"  # its last line comes after the registration is taken back
    while "stopped serving" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "stopped serving" in log.read_text()


@pytest.mark.slow
def test_a_stopped_space_can_be_started_again_with_its_data(storage: Path) -> None:
    with running_space(storage, model=MODEL) as url, connection(url) as opened:
        assert create(opened, 1) == 201
    assert stop_space(storage) is True
    assert stop_space(storage) is False
    with running_space(storage) as url, connection(url) as opened:
        assert send(opened, "GET", f"{ENTRIES}/e000001")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [1, 57, 400])
def test_a_killed_server_loses_no_acknowledged_write(storage: Path, kill_after: int) -> None:
    with running_space(storage, model=MODEL) as url:
        registration = read_registration(storage)
        assert registration is not None
        acknowledged: list[int] = []
        with connection(url) as opened:
            killer = threading.Thread(target=lambda: None)
            try:
                for number in range(100_000):
                    if len(acknowledged) == kill_after:
                        # Not between two requests only: the kill comes while others are under way.
                        killer = threading.Thread(
                            target=os.kill, args=(registration.pid, signal.SIGKILL)
                        )
                        killer.start()
                    if create(opened, number) == 201:
                        acknowledged.append(number)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                if killer.ident is not None:
                    killer.join()
        assert len(acknowledged) >= kill_after
    with running_space(storage) as url, connection(url) as opened:
        total = send(opened, "GET", f"{ENTRIES}?limit=0")[1]["total"]
        assert total in (len(acknowledged), len(acknowledged) + 1)
        for number in acknowledged[-5:]:
            assert send(opened, "GET", f"{ENTRIES}/e{number:06d}")[0] == 200


@pytest.mark.slow
def test_a_server_that_cannot_start_quotes_its_log(tmp_path: Path) -> None:
    path = store_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 100)
    with (
        pytest.raises(AccessError, match=r"did not start.*not a database"),
        running_space(tmp_path),
    ):
        pytest.fail("it cannot start")


@pytest.mark.slow
def test_serving_in_the_foreground_prints_how_to_use_it_and_ends_on_interrupt(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from sync_pipeline.local_space.server.launcher import serve;"
        "serve(Path(sys.argv[1]), port=0, model=Path(sys.argv[2]), token='s3cret')"
    )
    command = [sys.executable, "-u", "-c", code, str(tmp_path), str(MODEL)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        url = next(line.partition("=")[2].strip() for line in lines if "CMA_URL" in line)
        with connection(url) as opened:
            assert send(opened, "GET", "/spaces/local")[0] == 401, (
                "another token than the chosen one"
            )
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert "s3cret" not in "".join(lines) + rest
    assert "  export CONTENTFUL_SPACE_ID=local\n" in lines
    assert read_registration(tmp_path) is None


@pytest.mark.slow
def test_a_copy_keeps_the_id_of_its_space(tmp_path: Path) -> None:
    environ = {**os.environ, "SYNC_STORAGE_DIR": str(tmp_path)}
    command = [sys.executable, "-u", "-m", "sync_pipeline.cli", "space"]
    named = ["--space", "cfexampleapi", "--environment", "staging"]
    done = subprocess.run(
        [*command, "import", str(MODEL), *named], env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with subprocess.Popen(
        [*command, "serve", "--port", "0", *named], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
        url = next(line.partition("=")[2].strip() for line in lines if "CMA_URL" in line)
        with connection(url) as opened:
            base = "/spaces/cfexampleapi/environments/staging"
            assert send(opened, "GET", f"{base}/content_types")[1]["total"] > 0
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert "  export CONTENTFUL_SPACE_ID=cfexampleapi\n" in lines
    assert "  export CONTENTFUL_ENVIRONMENT_ID=staging\n" in lines
    path = tmp_path / "after.json"
    done = subprocess.run(
        [*command, "export", str(path), *named], env=environ, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["contentTypes"]


@pytest.mark.slow
def test_the_server_does_not_keep_entries_in_memory(storage: Path) -> None:
    psutil = pytest.importorskip("psutil")
    with running_space(storage, model=MODEL) as url:
        registration = read_registration(storage)
        assert registration is not None
        process = psutil.Process(registration.pid)
        sizes = []
        with connection(url) as opened:
            for number in range(12_000):
                create(opened, number)
                if number in (2000, 11_999):
                    send(opened, "GET", f"{ENTRIES}?limit=1000")
                    sizes.append(process.memory_info().rss)
        assert sizes[1] < sizes[0] + 24e6, "the page cache is bounded, entries are not kept"
