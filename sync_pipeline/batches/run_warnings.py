"""What a run has to say beside its figures: kept with its spool, for its summary and the command
line.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sync_pipeline.batches.layout import Spool, disk_errors
from sync_pipeline.batches.results import BUSY_TIMEOUT_S

#: Texts that are kept, and characters of each: one for each of a million records helps nobody.
MOST_KEPT = 50
LONGEST = 1000
_SCHEMA = "CREATE TABLE IF NOT EXISTS warnings (text TEXT PRIMARY KEY, times INTEGER NOT NULL)"
#: Stands for all that came after the last that was kept.
_FURTHER = ""


def add_warning(spool: Spool, text: str) -> None:
    """Keep a warning, which must be redacted already; one that was there before is only counted.

    Steps may do so at the same time in several processes.
    """
    with disk_errors(spool.results), closing(_open(spool)) as database:
        database.execute(_SCHEMA)
        database.execute("BEGIN IMMEDIATE")
        text = text[:LONGEST]
        known = database.execute("SELECT 1 FROM warnings WHERE text = ?", (text,)).fetchone()
        (kept,) = database.execute("SELECT count(*) FROM warnings").fetchone()
        if known is None and kept >= MOST_KEPT:
            text = _FURTHER
        database.execute(
            "INSERT INTO warnings VALUES (?, 1) ON CONFLICT (text) DO UPDATE SET times = times + 1",
            (text,),
        )
        database.execute("COMMIT")


def read_warnings(spool: Spool) -> tuple[str, ...]:
    """The warnings of a spool in the order in which they first came."""
    if not spool.results.exists():
        return ()
    with closing(_open(spool)) as database:
        database.execute(_SCHEMA)
        rows = database.execute("SELECT text, times FROM warnings ORDER BY rowid").fetchall()
    shown = [f"{text} ({times} times)" if times > 1 else text for text, times in rows if text]
    further = sum(times for text, times in rows if not text)
    return (*shown, f"{further} further warnings are in the log") if further else tuple(shown)


def _open(spool: Spool) -> sqlite3.Connection:
    return sqlite3.connect(spool.results, timeout=BUSY_TIMEOUT_S, isolation_level=None)
