"""What the process list shows of a command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sync_pipeline.commands.process_list import without_option


@pytest.mark.parametrize(
    ("arguments", "value", "kept"),
    [
        (["python", "serve"], None, ["python", "serve"]),
        (["python", "serve", "--token", "s"], "s", ["python", "serve"]),
        (["python", "serve", "--token=s", "--port", "1"], "s", ["python", "serve", "--port", "1"]),
        (["python", "--token", "a", "x", "--token=b"], "b", ["python", "x"]),
        (["python", "--token=a=b"], "a=b", ["python"]),
        (["python", "--token="], "", ["python"]),
        (["python", "--tokens", "a"], None, ["python", "--tokens", "a"]),
        (["python", "--", "--token", "a"], None, ["python", "--", "--token", "a"]),
        (["python", "--token"], None, ["python"]),
    ],
)
def test_an_option_is_taken_out_of_a_command_line(
    arguments: list[str], value: str | None, kept: list[str]
) -> None:
    assert without_option(arguments, "--token") == (value, kept)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc")
@pytest.mark.parametrize("given", [["--token", "s3cret"], ["--token=s3cret"], []])
def test_the_token_of_a_served_space_is_not_in_the_process_list(
    tmp_path: Path, given: list[str]
) -> None:
    environ = {**os.environ, "SYNC_STORAGE_DIR": str(tmp_path)}
    if not given:
        environ["LOCAL_SPACE_TOKEN"] = "s3cret"
    command = [sys.executable, "-u", "-m", "sync_pipeline.cli", "space", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, *given], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.terminate()
        process.wait(20)
    assert "<the token you chose>" in "".join(lines)
    assert b"serve" in shown
    assert b"s3cret" not in shown
