"""Where the server of a storage directory is found: `<storage>/local_space/server.json`."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sync_pipeline.local_space.server.asgi import HEALTH_PATH

_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Registration:
    """A server as it registered itself."""

    url: str
    pid: int
    storage_id: str
    #: Seconds without a request after which it ends; None: never.
    idle_exit_s: float | None

    @classmethod
    def of_this_process(cls, url: str, storage_id: str, idle_exit_s: float | None) -> Registration:
        """The registration of a server in this process."""
        return cls(url, os.getpid(), storage_id, idle_exit_s)

    def write(self, storage: Path) -> None:
        """Make it known; replaces the registration of a server that is gone."""
        path = registration_path(storage)
        partial = path.with_name(f"{path.name}.{self.pid}")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        partial.replace(path)

    def remove(self, storage: Path) -> None:
        """Take it back, unless another server has registered since."""
        if read_registration(storage) == self:
            registration_path(storage).unlink(missing_ok=True)

    def is_alive(self) -> bool:
        """Whether a server answers there that serves this storage."""
        return ping(self.url) == self.storage_id


def store_path(storage: Path) -> Path:
    """The SQLite file of a storage directory."""
    return storage / "local_space" / "space.sqlite"


def registration_path(storage: Path) -> Path:
    """The file in which a server registers itself."""
    return storage / "local_space" / "server.json"


def read_registration(storage: Path) -> Registration | None:
    """What is registered, whether it lives or not; None where nothing is."""
    try:
        return Registration(**json.loads(registration_path(storage).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def find_server(storage: Path) -> Registration | None:
    """The live server of a storage directory, or None."""
    registration = read_registration(storage)
    return registration if registration is not None and registration.is_alive() else None


def ping(url: str) -> str | None:
    """The storage id that a server answers with; None where none answers. Keeps it from idling
    out.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=_HEALTH_TIMEOUT_S
    )
    try:
        connection.request("GET", HEALTH_PATH)
        body = json.loads(connection.getresponse().read())
        return str(body["storageId"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
