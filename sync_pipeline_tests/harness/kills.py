"""Moments at which a run is killed: at a request of the source or the space, or when a file appears.

A run's process group gets SIGKILL, which nothing can catch, so what is on disk and in the space at
that moment is all that recovery has.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sync_pipeline.local_space.request import Request as SpaceRequest
from sync_pipeline_tests.extract.api import Reply, Request
from sync_pipeline_tests.harness.project import Project, kill_group

#: Of a run that is about to be killed; generous, as the machine may be busy.
TIMEOUT_S = 200.0
_POLL_S = 0.002

FILES = (
    "run.json",
    "target.json",
    "extraction.sqlite",
    "batch_000002.jsonl",
    "manifest.json",
    "index.*.sqlite",
    "batch_000001.desired.jsonl",
    "batch_000001.outcomes.jsonl",
    "batch_000001.dead.jsonl",
    "results.sqlite",
    "batch_000003.desired.jsonl",
    "batch_000004.dead.jsonl",
    "batch_000005.dead.jsonl",
)
STEPS = (
    "fetch_batches/extraction",
    "index_target",
    "transform_batch?batch_000002?",
    "upsert_batch?batch_000001?",
    "upsert_batch?batch_000003?",
    "upsert_batch?batch_000005?",  # the summary is next
    "upsert_batch?batch_000005?",
    "summarize_run",
)


@dataclass(frozen=True)
class Moment:
    """When to kill."""

    #: page: the source is asked for it; request: the space gets its n-th; file, step: it is there.
    kind: str
    number: int = 0
    #: Of a request to the space: it is carried out, but nobody hears of it.
    is_carried_out: bool = False
    #: Pattern of a file in the spool, or of a step's stored output.
    name: str = ""
    delay_s: float = 0.0

    def __str__(self) -> str:
        if self.kind == "page":
            return f"page {self.number}"
        if self.kind == "request":
            return f"request {self.number}{' done' if self.is_carried_out else ''}"
        return f"{self.kind} {self.name} + {1000 * self.delay_s:.0f} ms"


def choose_moment(seed: int, *, pages: int, requests: int) -> Moment:
    """The moment of a seed; kinds take turns, so that any 4 seeds cover all of them."""
    dice = random.Random(seed)
    kind = ("page", "request", "file", "step")[seed % 4]
    if kind == "page":
        return Moment(kind, dice.randint(1, pages))
    if kind == "request":
        return Moment(kind, dice.randint(1, requests), is_carried_out=dice.random() < 0.5)
    name = dice.choice(FILES if kind == "file" else STEPS)
    return Moment(kind, name=name, delay_s=dice.choice((0.0, dice.uniform(0, 0.2))))


def run_until_killed(project: Project, moment: Moment, *arguments: str) -> int:
    """Start `sync-pipeline run ...` and kill it; returns its code, -9 unless it was too quick."""
    started = threading.Event()
    process: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        started.wait()
        with suppress(ProcessLookupError):
            os.killpg(process[0].pid, signal.SIGKILL)

    _arm(project, moment, kill)
    process.append(project.start("run", project.key, *arguments))
    started.set()
    try:
        if moment.kind in ("file", "step"):
            _kill_when_there(project, moment, process[0], kill)
        code = process[0].wait(TIMEOUT_S)
    finally:
        kill_group(process[0])
        project.source.fault = lambda _request, _page: None
        project.space.fault = lambda _request: None
    return code


def _arm(project: Project, moment: Moment, kill: Callable[[], None]) -> None:
    if moment.kind == "page":

        def on_page(_: Request, page: int) -> Reply | None:
            if page == moment.number:
                kill()
            return None

        project.source.fault = on_page
    elif moment.kind == "request":

        def on_request(_: SpaceRequest) -> str | None:
            if len(project.space.requests) != moment.number:
                return None
            kill()
            return None if moment.is_carried_out else "reset_before"

        project.space.fault = on_request  # type: ignore[assignment] # of the faults' names


def _kill_when_there(
    project: Project, moment: Moment, process: subprocess.Popen[bytes], kill: Callable[[], None]
) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _is_there(project, moment):
            time.sleep(moment.delay_s)
            kill()
            return
        time.sleep(_POLL_S)


def _is_there(project: Project, moment: Moment) -> bool:
    for folder in (project.storage / "spool" / project.key).glob("*"):
        found = folder if moment.kind == "file" else folder / "handles" / folder.name
        if _matches(found, moment.name):
            return True
    return False


def _matches(folder: Path, pattern: str) -> bool:
    return any(True for _ in folder.glob(pattern))
