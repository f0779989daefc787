"""Opening the Dagster instance of a home that nobody has opened before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from sync_pipeline.errors import BusyError
from sync_pipeline.orchestration import launching
from sync_pipeline.orchestration.launching import open_instance, prepare_dagster_home

AT_ONCE = 4
#: Imports first and says so; opens the instance when all are ready.
OPEN = """
import sys
from sync_pipeline.orchestration.launching import open_instance
print("ready", flush=True)
sys.stdin.readline()
with open_instance() as instance:
    print(instance.get_runs_count())
"""


def test_a_process_that_is_paused_while_it_opens_a_home_is_told_of_and_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(launching, "OPENING_TIMEOUT_S", 0.01)
    with (
        FileLock(tmp_path / ".opening.lock"),
        pytest.raises(BusyError, match=r"\.opening\.lock"),
        open_instance(),
    ):
        pass


@pytest.mark.slow
def test_commands_that_open_a_new_home_at_the_same_moment_all_succeed(tmp_path: Path) -> None:
    """Dagster alone fails in some of them: "table alembic_version already exists"."""
    prepare_dagster_home(tmp_path, {"DAGSTER_HOME": str(tmp_path)})
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN],
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(AT_ONCE)
    ]
    for command in commands:
        assert command.stdout is not None
        assert command.stdout.readline() == "ready\n"
    for command in commands:
        assert command.stdin is not None
        command.stdin.write("go\n")
        command.stdin.flush()
    ended = [command.communicate(timeout=60) for command in commands]
    assert [out for out, _ in ended] == ["0\n"] * AT_ONCE, [err[-300:] for _, err in ended]
