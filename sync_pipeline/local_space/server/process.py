"""The local space as a process: `python -m sync_pipeline.local_space.server.process --storage DIR`.

The process registers itself in `<storage>/local_space/server.json`, so that others find it, and
takes its entry out again when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from sync_pipeline.local_space.server.asgi import FaultHook, LocalSpaceApp
from sync_pipeline.local_space.server.connections import BoundedProtocol, ServerConfig
from sync_pipeline.local_space.server.rate_limit import RateLimit
from sync_pipeline.local_space.server.registration import Registration, store_path
from sync_pipeline.local_space.store.store import Store, open_store

#: How often bulk actions, idleness and the registration are looked after.
_TICK_S = 0.2
#: For requests that are on their way when the server ends; answering takes none of it.
_SHUTDOWN_S = 3


def build_app(
    store: Store,
    *,
    rate_limit: int = 0,
    token: str | None = None,
    faults: FaultHook | None = None,
    clock: Callable[[], float] = time.monotonic,
    allowed_hosts: Iterable[str] = (),
) -> LocalSpaceApp:
    """The ASGI application of a local space.

    For a rehearsal of trouble, tests give `open_store` and this function:

    - `faults`: called with each authorized `request.Request` (`.method`, `.path`,
      `.query_string`, `.headers`, `.body`) before it is answered. It returns None, or
      `"429"`, `"500"`, `"502"`, `"503"`, `"409"`: that answer, and nothing is done;
      `"reset_before"`: the connection breaks, and nothing is done;
      `"reset_after"`: the request is carried out, then the connection breaks without an answer.
      Under a test client a reset raises `ConnectionResetError`.
    - `open_store(index_delay=IndexDelay(seconds=..., writes=...))`: collections lag behind writes,
      while a GET by id is current.
    - `open_store(bulk_delay_s=...)`: bulk actions stay `created` for that long.

    Args:
        store: Open storage; the caller closes it after the application's last request.
        rate_limit: Requests per second, over any second; 0 for no limit.
        token: The only bearer token that is accepted; None accepts any that is not empty.
        faults: See above.
        clock: Seconds, for the rate limit.
        allowed_hosts: Names under which it may be asked for, beside addresses and `localhost`.
    """
    return LocalSpaceApp(
        store,
        RateLimit(rate_limit, clock),
        token=token,
        faults=faults,
        allowed_hosts=frozenset(name.lower() for name in allowed_hosts),
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_serve`: uvicorn raises them again before we could clean up."""
        yield


def run_server(
    storage: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    rate_limit: int = 0,
    token: str | None = None,
    idle_exit_s: float | None = None,
    allowed_hosts: Iterable[str] = (),
    announce: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve the space of a storage directory until SIGINT, SIGTERM or idleness.

    Args:
        storage: The storage directory; data is in `local_space/space.sqlite` below it.
        host: Address to listen on; loopback unless the user wants it otherwise.
        port: 0 for a free one.
        rate_limit: Requests per second; 0 for no limit.
        token: The only accepted bearer token; None for any.
        idle_exit_s: End after so many seconds without a request; None: never.
        allowed_hosts: Names under which it may be asked for, beside addresses, `localhost` and
            the one that it listens on.
        announce: Called with the base URL once requests are answered.

    Raises:
        OSError: The port cannot be listened on.
        AccessError: The storage cannot be opened.
    """
    with (
        open_store(store_path(storage)) as store,
        socket.create_server((host, port), backlog=512) as listener,
    ):
        app = build_app(
            store, rate_limit=rate_limit, token=token, allowed_hosts=(host, *allowed_hosts)
        )
        config = ServerConfig(
            app,
            http=BoundedProtocol,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        url = f"http://{_host_in_url(host)}:{listener.getsockname()[1]}"
        registration = Registration.of_this_process(url, store.storage_id, idle_exit_s)

        def on_start() -> None:
            registration.write(storage)
            announce(url)

        loop = _new_event_loop()
        try:
            loop.run_until_complete(
                _serve(
                    _Server(config),
                    app,
                    listener,
                    idle_exit_s=idle_exit_s,
                    on_start=on_start,
                )
            )
        finally:
            registration.remove(storage)
            loop.close()


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - optional, not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def _serve(
    server: uvicorn.Server,
    app: LocalSpaceApp,
    listener: socket.socket,
    *,
    idle_exit_s: float | None,
    on_start: Callable[[], None],
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        # Not possible outside of the main thread (tests) and on Windows.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop)
    watcher = asyncio.create_task(_watch(server, app, idle_exit_s, on_start))
    try:
        await server.serve(sockets=[listener])
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def _watch(
    server: uvicorn.Server,
    app: LocalSpaceApp,
    idle_exit_s: float | None,
    on_start: Callable[[], None],
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.005)
    on_start()
    while not server.should_exit:
        await asyncio.sleep(_TICK_S)
        app.run_timers()
        if idle_exit_s is not None and time.monotonic() - app.last_request > idle_exit_s:
            server.should_exit = True


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the background process."""
    parser = argparse.ArgumentParser(prog="python -m sync_pipeline.local_space.server.process")
    parser.add_argument("--storage", type=Path, required=True, help="storage directory")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate-limit", type=int, default=0, help="requests per second; 0: none")
    parser.add_argument("--idle-exit", type=float, default=None, help="seconds without a request")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logger = logging.getLogger(__name__)
    run_server(
        options.storage,
        host=options.host,
        port=options.port,
        rate_limit=options.rate_limit,
        idle_exit_s=options.idle_exit,
        announce=lambda url: logger.info("serving %s at %s", options.storage, url),
    )
    logger.info("stopped serving %s", options.storage)


if __name__ == "__main__":
    main()
