from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from sync_pipeline.errors import SpoolError
from sync_pipeline.load.ledger import Ledger, PendingPublish, open_ledger


@pytest.fixture
def ledger(tmp_path: Path):
    with open_ledger(tmp_path / "deep" / "ledger.sqlite") as opened:
        yield opened


def test_extractions_are_numbered_upwards_and_once_per_run(ledger: Ledger) -> None:
    assert [ledger.next_extraction(run) for run in ("a", "b", "a", "c", "b")] == [1, 2, 1, 3, 2]


def test_only_newer_extractions_supersede(ledger: Ledger) -> None:
    ledger.mark_applied(["x", "y"], 5)
    assert ledger.newer_than(["x", "y", "z"], 4) == {"x", "y"}
    assert ledger.newer_than(["x", "y", "z"], 5) == set()


def test_an_older_extraction_does_not_take_a_key_back(ledger: Ledger) -> None:
    ledger.mark_applied(["x"], 5)
    ledger.mark_applied(["x", "y"], 3)
    assert ledger.newer_than(["x", "y"], 2) == {"x", "y"}
    assert ledger.newer_than(["x", "y"], 3) == {"x"}


def test_many_keys_are_asked_for_at_once(ledger: Ledger) -> None:
    keys = [f"key-{number}" for number in range(5000)]
    ledger.mark_applied(keys, 2)
    assert ledger.newer_than([*keys, "other", "\ud800", ""], 1) == set(keys)


def test_notes_are_kept_replaced_and_dropped(ledger: Ledger) -> None:
    first, second = PendingPublish("a", 0, 1), PendingPublish("b", 4, 5, is_wanted=False)
    ledger.record_pending([first, second])
    assert ledger.pending(["a", "b", "c"]) == {"a": first, "b": second}
    confirmed = PendingPublish("a", 0, 1, is_confirmed=True)
    ledger.record_pending([confirmed])
    ledger.forget_pending(["b", "never"])
    assert ledger.all_pending() == (confirmed,)


def test_a_note_keeps_its_locales_and_what_they_hold(ledger: Ledger) -> None:
    sent = PendingPublish(
        "a", 4, 5, locales=frozenset({"en-US", "de-DE"}), unverified=frozenset({"de-DE"})
    )
    answered = PendingPublish(
        "b", 4, 5, is_confirmed=True, locales=frozenset({"en-US"}), digests={"en-US": "d1"}
    )
    nothing = PendingPublish("c", 4, 5, locales=frozenset())
    whole = PendingPublish("d", 4, 5)
    meant = PendingPublish("e", 4, 5, intended="d2")
    ledger.record_pending([sent, answered, nothing, whole, meant])
    assert ledger.all_pending() == (sent, answered, nothing, whole, meant)


@pytest.mark.parametrize("later", ["", ", locales TEXT"])
def test_a_file_of_an_earlier_version_goes_on_being_used(tmp_path: Path, later: str) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE pending (entry_id TEXT PRIMARY KEY, base_version INTEGER NOT NULL, "
            f"version INTEGER NOT NULL, wanted INTEGER NOT NULL, confirmed INTEGER NOT NULL{later})"
            " WITHOUT ROWID"
        )
        columns = "entry_id, base_version, version, wanted, confirmed"
        connection.execute(f"INSERT INTO pending ({columns}) VALUES ('a', 4, 5, 1, 0)")
    new = PendingPublish("b", 0, 1, locales=frozenset({"de-DE"}), intended="d")
    for _ in range(2):
        with Ledger(path) as ledger:
            ledger.record_pending([new])
            assert ledger.all_pending() == (PendingPublish("a", 4, 5), new)


@pytest.mark.parametrize(
    ("version", "is_unchanged", "is_confirmed", "covered"),
    [
        pytest.param(4, False, False, True, id="not written"),
        pytest.param(5, False, True, True, id="written"),
        pytest.param(5, True, False, True, id="written but not confirmed"),
        pytest.param(5, False, False, False, id="somebody else made that version"),
        pytest.param(6, True, True, False, id="edited since"),
        pytest.param(3, True, True, False, id="older"),
    ],
)
def test_a_note_covers_our_own_versions_only(
    version: int, is_unchanged: bool, is_confirmed: bool, covered: bool
) -> None:
    note = PendingPublish("a", 4, 5, is_confirmed=is_confirmed)
    assert note.covers(version, is_unchanged=is_unchanged) == covered


def test_what_is_noted_outlives_the_process_that_noted_it(tmp_path: Path) -> None:
    """Killed by its own hand in the middle: nothing is flushed on the way out."""
    path = tmp_path / "ledger.sqlite"
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sync_pipeline.load.ledger import Ledger, PendingPublish\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "ledger.record_pending([PendingPublish('a', 0, 1)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    with Ledger(path) as ledger:
        assert set(ledger.pending(["a"])) == {"a"}


def test_threads_and_connections_do_not_lose_each_others_notes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as first, Ledger(path) as second:

        def work(ledger: Ledger, name: str) -> None:
            for number in range(20):
                ledger.record_pending([PendingPublish(f"{name}-{number}", 0, 1)])
                ledger.mark_applied([f"{name}-{number}"], 1)
                ledger.next_extraction(f"{name}-{number}")

        threads = [
            threading.Thread(target=work, args=(ledger, f"{index}"))
            for index, ledger in enumerate([first, first, second, second])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(first.all_pending()) == 80
        assert second.next_extraction("new") == 81


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(SpoolError, match=r"ledger\.sqlite"):
        Ledger(path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be opened"):
        Ledger(tmp_path / "file" / "ledger.sqlite")


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record_pending([PendingPublish("a", 0, 1), PendingPublish("b", None, 1)])  # type: ignore[arg-type]
    assert ledger.all_pending() == ()
    ledger.record_pending([PendingPublish("a", 0, 1)])
