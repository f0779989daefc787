"""A project folder that writes to the local space, and `sync-pipeline dev` over it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from sync_pipeline.local_space.server.launcher import stop_space
from sync_pipeline_tests.harness.space import PRODUCT

WORKSPACE = """\
load_from:
  - python_module: {module_name: sync_pipeline.definitions, location_name: sync_pipeline}
"""
#: Services that are being started by a busy machine, and their end.
START_S, STOP_S = 120.0, 60.0


@dataclass
class DevProject:
    """A folder with workspace.yaml, configs and all that a run leaves behind."""

    root: Path
    #: Variables on top of the project's own.
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> Path:
        """SYNC_STORAGE_DIR."""
        return self.root / "storage"

    @property
    def log(self) -> Path:
        """What `sync-pipeline dev` prints."""
        return self.root / "dev.log"

    def create(self) -> None:
        """Make the folders, workspace.yaml and the content type `product` of the local space."""
        (self.root / "configs").mkdir(parents=True)
        (self.root / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
        model = {
            "locales": [{"name": "English", "code": "en-US", "default": True}],
            "contentTypes": [{"id": "product", **PRODUCT}],
        }
        self.write("model.json", json.dumps(model))

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.root / name).write_text(text, encoding="utf-8")

    def write_config(self, key: str, values: Mapping[str, Any]) -> None:
        """Write the config file of a sync."""
        self.write(f"configs/{key}.yaml", yaml.safe_dump(dict(values), sort_keys=False))

    def environ(self) -> dict[str, str]:
        """Variables of a process that works on this project, and on no other."""
        foreign = ("CONTENTFUL_", "SYNC_", "Cute__", "DAGSTER_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "DAGSTER_HOME": str(self.root / "dagster"),
            "SYNC_STORAGE_DIR": str(self.storage),
            **self.variables,
        }

    def claimed_pids(self, key: str) -> list[int]:
        """Processes that drive runs of a sync at this moment."""
        claims = (self.storage / "claims" / key).glob("*.json")
        return [json.loads(path.read_text(encoding="ascii"))["pid"] for path in claims]


@contextmanager
def running_dev(project: DevProject) -> Iterator[str]:
    """Run `sync-pipeline dev` until the block ends; yields the URL of the UI.

    Raises:
        AssertionError: It does not start, or it leaves a process behind; quotes its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sync_pipeline.cli", "dev", "-p", str(port)]
    with project.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environ(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(f"{url}/server_info", process, project)
        yield url
    finally:
        left = _end(process, project)
    assert not left, f"left behind by `sync-pipeline dev`: {left}"


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], project: DevProject) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"`sync-pipeline dev` did not start:\n{project.log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes], project: DevProject) -> list[str]:
    """End it as a service manager does; returns what it left running, which is killed."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    stop_space(project.storage)  # others may use it, so that it outlives its users for a while
    _, alive = psutil.wait_procs(family, timeout=STOP_S)
    left = [" ".join(child.cmdline()) for child in alive]
    for child in alive:
        child.kill()
    return left
