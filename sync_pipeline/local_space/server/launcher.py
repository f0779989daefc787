"""Find or start the local space of a storage directory, for as long as it is needed.

Any number of processes may use one space: the first starts a server in the background, the others
find it by its registration, and it ends by itself some time after the last has gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sync_pipeline.errors import AccessError, BusyError
from sync_pipeline.local_space.server.process import run_server
from sync_pipeline.local_space.server.registration import (
    Registration,
    find_server,
    ping,
    read_registration,
    store_path,
)
from sync_pipeline.local_space.store.store import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_SPACE,
    create_environment,
    create_space,
    open_store,
)
from sync_pipeline.local_space.transfer.importing import import_file

DEFAULT_PORT = 8766
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02
#: Lines of the server's log that an error quotes.
_QUOTED_LINES = 5


@contextmanager
def running_space(
    storage_dir: Path, *, model: Path | None = None, idle_exit_s: float = 30.0
) -> Iterator[str]:
    """The base URL of the space of a storage directory, served while the context is open.

    A live server is used, else one is started as a process of its own; two callers at once get
    the same. It is not stopped on leaving, as others may use it, but ends after `idle_exit_s`
    without a request. Its log is `<storage_dir>/local_space.log`.

    Args:
        storage_dir: Created where absent.
        model: A file whose content (types and locales) the space must have.
        idle_exit_s: For a server that is started here.

    Raises:
        AccessError: The server does not start; quotes its log.
        UsageError: The model cannot be read, or does not fit the space.
    """
    storage = storage_dir.absolute()
    _make_folder(storage)
    with FileLock(storage / "local_space" / "start.lock", timeout=_START_TIMEOUT_S * 2):
        if model is not None:
            with open_store(store_path(storage)) as store:
                import_file(store, model)
        registration = find_server(storage) or _start(storage, idle_exit_s)
    done = threading.Event()
    keeper = threading.Thread(
        target=_keep_alive, args=(registration, done), name="local-space-keep-alive", daemon=True
    )
    keeper.start()
    try:
        yield registration.url
    finally:
        done.set()
        keeper.join()


def _keep_alive(registration: Registration, done: threading.Event) -> None:
    if registration.idle_exit_s is None:
        return
    while not done.wait(registration.idle_exit_s / 3):
        ping(registration.url)


def _start(storage: Path, idle_exit_s: float) -> Registration:
    log_path = storage / "local_space.log"
    command = [sys.executable, "-m", "sync_pipeline.local_space.server.process"]
    command += ["--storage", str(storage), "--port", "0", "--idle-exit", str(idle_exit_s)]
    with open(log_path, "ab", opener=_for_this_user) as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # outlives this process, and its terminal's Ctrl-C
        )
    # Reaps the process when it ends, however long this one lives.
    threading.Thread(target=process.wait, name="local-space-reaper", daemon=True).start()
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        registration = read_registration(storage)
        if registration is not None and registration.pid == process.pid and registration.is_alive():
            return registration
        if process.poll() is not None:
            break
        time.sleep(_POLL_S)
    raise AccessError(
        f"The local space in {storage} did not start. Its log, {log_path}, ends with: "
        f"{_tail(log_path)}"
    )


def _make_folder(storage: Path) -> None:
    """The folder of the space, for this user alone: it holds a copy of somebody's content."""
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    (storage / "local_space").mkdir(mode=0o700, exist_ok=True)


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return " / ".join(lines[-_QUOTED_LINES:])


def stop_space(storage_dir: Path) -> bool:
    """End the server of a storage directory; False where none is running.

    Raises:
        AccessError: It does not end.
    """
    storage = storage_dir.absolute()
    registration = find_server(storage)
    if registration is None:
        return False
    os.kill(registration.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if read_registration(storage) != registration:
            return True
        time.sleep(_POLL_S)
    raise AccessError(
        f"The local space of {storage} (process {registration.pid}) does not end; "
        f"see {storage / 'local_space.log'}."
    )


def serve(
    storage: Path,
    *,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    rate_limit: int = 0,
    model: Path | None = None,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    space_id: str = DEFAULT_SPACE,
    environment_id: str = DEFAULT_ENVIRONMENT,
    echo: Callable[[str], None] = print,
) -> None:
    """Serve a space in the foreground until Ctrl-C (`sync-pipeline space serve`).

    Args:
        storage: Storage directory, created where absent.
        port: 0 for a free one.
        host: Address to listen on.
        rate_limit: Requests per second; 0 for no limit.
        model: A file to import first.
        token: The only accepted bearer token; None accepts any.
        allowed_hosts: Names under which it may be asked for, beside addresses and `localhost`.
        space_id: Created where absent; those that were imported before are served too.
        environment_id: Of that space; created where absent.
        echo: Prints a line.

    Raises:
        BusyError: The storage is being served already; names the URL.
        AccessError: The port cannot be listened on.
        UsageError: The model cannot be read, or does not fit the space.
    """
    storage = storage.absolute()
    _make_folder(storage)
    with FileLock(storage / "local_space" / "start.lock", timeout=_START_TIMEOUT_S * 2):
        running = find_server(storage)
        if running is not None:
            raise BusyError(
                f"The local space of {storage} is being served already, at {running.url} "
                f"(process {running.pid}): use that, or end it first."
            )
        with open_store(store_path(storage)) as store:
            create_space(store, space_id, space_id)
            create_environment(store, space_id, environment_id)
            if model is not None:
                import_file(store, model, space_id=space_id, environment_id=environment_id)

    def announce(url: str) -> None:
        echo(f"Local space at {url} (data in {store_path(storage)}). Ctrl-C ends it.")
        echo("To sync into it instead of Contentful, set:")
        echo(f"  export CONTENTFUL_CMA_URL={url}")
        echo(f"  export CONTENTFUL_SPACE_ID={space_id}")
        if environment_id != DEFAULT_ENVIRONMENT:
            echo(f"  export CONTENTFUL_ENVIRONMENT_ID={environment_id}")
        echo(
            "  export CONTENTFUL_MANAGEMENT_TOKEN="
            + ("any-text" if token is None else "<the token you chose>")
        )
        echo("  export CONTENTFUL_RATE_LIMIT=" + str(rate_limit))

    try:
        run_server(
            storage,
            host=host,
            port=port,
            rate_limit=rate_limit,
            token=token,
            allowed_hosts=allowed_hosts,
            announce=announce,
        )
    except OSError as error:
        raise AccessError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another --port."
        ) from error
