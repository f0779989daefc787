"""Real PostgreSQL and MariaDB servers for tests: started from Debian's binaries on loopback, with
their data in a temporary directory, and ended by the process that started them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

PASSWORD = "s3cret;p'w d"
_PATIENCE_S = 60


@dataclass
class Server:
    """A running server with a database `sync` and a user `reader` who may do everything in it."""

    provider: str
    port: int
    process: subprocess.Popen[bytes]
    admin: URL

    @property
    def connection_string(self) -> str:
        return (
            f"Server=127.0.0.1;Port={self.port};Database=sync;User Id=reader;"
            "Password={{ config.SYNC_PASSWORD }}"
        )

    def run(self, *statements: str) -> None:
        """Run statements as the owner of the server."""
        engine = create_engine(self.admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execution_options(no_parameters=True).exec_driver_sql(statement)
        engine.dispose()

    def kill(self) -> None:
        """End the server as a power failure would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def postgresql_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def find_mariadb() -> tuple[str, str] | None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"
    server = shutil.which("mariadbd", path=path)
    install = shutil.which("mariadb-install-db", path=path)
    return (server, install) if server and install else None


@contextmanager
def running_postgresql() -> Iterator[Server]:
    pytest.importorskip("psycopg")
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    with _directory_for("postgres") as (directory, user):
        run_as = _as_user(user)
        secret = directory / "password"
        secret.write_text(PASSWORD)
        _give(secret, user)
        subprocess.run(
            [binaries / "initdb", "-D", directory / "data", "-U", "reader", f"--pwfile={secret}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--locale=C.UTF-8"],
            check=True, capture_output=True, cwd=directory, **run_as,
        )  # fmt: skip
        port = _unused_port()
        process = subprocess.Popen(
            [binaries / "postgres", "-D", directory / "data", "-p", str(port), "-k", directory,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off",
             "-c", "synchronous_commit=off", "-c", "logging_collector=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory,
            start_new_session=True, **run_as,
        )  # fmt: skip
        admin = URL.create("postgresql+psycopg", "reader", PASSWORD, "127.0.0.1", port, "postgres")
        server = Server("postgresql", port, process, admin)
        with _ending(process, signal.SIGINT):
            _wait_until(lambda: server.run("CREATE DATABASE sync"))
            server.admin = admin.set(database="sync")
            yield server


@contextmanager
def running_mariadb() -> Iterator[Server]:
    pytest.importorskip("pymysql")
    binaries = find_mariadb()
    if binaries is None:
        pytest.skip("no MariaDB server is installed (Debian: apt-get install mariadb-server)")
    with _directory_for("mysql") as (directory, user):
        run_as = _as_user(user)
        data, sock = directory / "data", directory / "s"
        subprocess.run(
            [binaries[1], "--no-defaults", f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, capture_output=True, cwd=directory, **run_as,
        )  # fmt: skip
        port = _unused_port()
        process = subprocess.Popen(
            [binaries[0], "--no-defaults", f"--datadir={data}", f"--socket={sock}", f"--port={port}",
             "--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
             "--innodb-buffer-pool-size=64M"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory,
            start_new_session=True, **run_as,
        )  # fmt: skip
        admin = URL.create(
            "mysql+pymysql", "root", query={"unix_socket": str(sock), "charset": "utf8mb4"}
        )
        server = Server("mysql", port, process, admin)
        quoted = PASSWORD.replace("'", "''")
        with _ending(process, signal.SIGTERM):
            # PyMySQL leaves a socket open when it cannot connect: wait with one of our own.
            _wait_until(lambda: _knock(sock))
            _wait_until(
                lambda: server.run(
                    "CREATE DATABASE sync CHARACTER SET utf8mb4",
                    f"CREATE USER 'reader'@'%' IDENTIFIED BY '{quoted}'",
                    "GRANT ALL ON sync.* TO 'reader'@'%'",
                )
            )
            server.admin = admin.set(database="sync")
            yield server


@contextmanager
def _directory_for(user: str) -> Iterator[tuple[Path, str | None]]:
    """A temporary directory; as root, it belongs to the server's user, for servers refuse root."""
    directory = Path(tempfile.mkdtemp(prefix="sync-db-"))
    try:
        name = None
        if os.geteuid() == 0:
            try:
                pwd.getpwnam(user)
            except KeyError:
                pytest.skip(f"servers do not run as root, and there is no user {user!r}")
            name = user
        _give(directory, name)
        yield directory, name
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _give(path: Path, user: str | None) -> None:
    if user is not None:
        shutil.chown(path, user, user)


def _as_user(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _unused_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def _knock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(path))


def _wait_until(works: Callable[[], None]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            works()
        except (SQLAlchemyError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # a server has no other way to say that it listens
        else:
            return


@contextmanager
def _ending(process: subprocess.Popen[bytes], how: signal.Signals) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
