"""What the command line shows: a progress display while a run goes, a table at its end."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sync_pipeline.batches.extraction import read_progress
from sync_pipeline.batches.layout import Spool
from sync_pipeline.batches.results import read_batch_progress
from sync_pipeline.errors import SyncPipelineError
from sync_pipeline.memory import rss_mb

RUN_LOGGER = "sync_pipeline.run"
_ROWS = ("records", "created", "updated", "unchanged", "published", "failed", "requests")
_OPTIONAL_ROWS = (
    "deleted", "filtered", "duplicates", "superseded", "publish_skipped", "locales_left",
)  # fmt: skip


class _ConsoleHandler(logging.Handler):
    """Prints a run's lines above the progress display."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line; colours say how bad it is."""
        style = {"WARNING": "yellow", "ERROR": "red", "DEBUG": "dim"}.get(record.levelname)
        self._console.print(record.getMessage(), style=style, markup=False, highlight=False)


@contextmanager
def progress_display(
    spool_of_run: Callable[[], Spool | None], *, level: int = logging.INFO
) -> Iterator[None]:
    """Show the lines of a run and how far it is, both on stderr, until the block ends."""
    console = Console(file=sys.stderr, soft_wrap=True, emoji=False)
    logger = logging.getLogger(RUN_LOGGER)
    handler = _ConsoleHandler(console, level)
    before = logger.handlers[:]
    logger.handlers[:] = [handler]
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[memory]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(progress, spool_of_run, stop), daemon=True)
    with progress:
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            logger.handlers[:] = before


def _watch(
    progress: Progress, spool_of_run: Callable[[], Spool | None], stop: threading.Event
) -> None:
    """Read how far the run is from its spool: that holds for every executor."""
    if progress.disable:
        return
    fetching = progress.add_task("fetching records", total=None, memory="")
    writing = progress.add_task("writing batches", total=None, visible=False, memory="")
    while not stop.wait(0.5):
        spool = spool_of_run()
        if spool is None or not spool.root.exists():
            continue
        with suppress(SyncPipelineError, OSError):
            fetched, batches = read_progress(spool), read_batch_progress(spool)
            memory = f"{rss_mb():.0f} MB"
            progress.update(fetching, completed=fetched.records, total=fetched.total, memory=memory)
            if batches.batches:
                progress.update(fetching, visible=False)
                progress.update(
                    writing,
                    completed=batches.ended,
                    total=batches.batches,
                    visible=True,
                    memory=memory,
                )


def print_summary(values: Mapping[str, Any], *, as_json: bool) -> None:
    """The end of a run on stdout: one JSON object, or a table."""
    if as_json:
        sys.stdout.write(json.dumps(values, sort_keys=True) + "\n")
        return
    title = "dry run: what would happen" if values["dry_run"] else "what was done"
    Console().print(f"{values['sync']}: {title}", highlight=False)
    table = Table(show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name in (*_ROWS, *_OPTIONAL_ROWS):
        if name in _ROWS or values[name]:
            table.add_row(name, f"{values[name]:,}")
    table.add_row("seconds", f"{values['duration_s']:,.1f}")
    table.add_row("records per second", f"{values['records_per_s']:,.0f}")
    table.add_row("peak memory", f"{values['peak_rss_mb']:,.0f} MB")
    table.add_row("batches", f"{values['batches']:,}")
    Console().print(table)
    for warning in values["warnings"]:
        print_problem(f"Warning: {warning}", style="yellow")
    if values["failed_batches"]:
        print_problem(
            f"{len(values['failed_batches'])} failed batches: "
            f"{', '.join(values['failed_batches'][:10])}. "
            f"`sync-pipeline failed {values['sync']}` lists the entries and reasons, "
            f"`sync-pipeline backfill {values['sync']}` runs them again."
        )


def print_problem(text: str, *, style: str = "red") -> None:
    """An error or warning for people, on stderr, without a traceback."""
    console = Console(file=sys.stderr, soft_wrap=True, emoji=False)
    console.print(text, style=style, markup=False, highlight=False)
