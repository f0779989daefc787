"""Call the command line in this process, as a shell would: arguments in, code and texts out."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from sync_pipeline.cli import main


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that a user sees."""
        return self.out + self.err


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """`sync-pipeline ...`; starts from an empty screen."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sync-pipeline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out, err)
