"""How a command that fails ends: in words, with an exit code, without a secret."""

from __future__ import annotations

import pytest

from sync_pipeline.cli import main
from sync_pipeline_tests.harness.project import Project

SECRET = "sekret-0123456789"


@pytest.fixture
def unreachable(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A source at which nothing listens, with a key in its URL."""
    monkeypatch.setenv("SYNC_API_KEY", SECRET)
    project.write_config(
        endPoint="http://127.0.0.1:9/rows?api_key={{ config.SYNC_API_KEY }}", resultsJsonPath=None
    )
    return project


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["sync-pipeline", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(str(ended.value.code))


def test_an_unreachable_source_is_told_in_a_line(
    unreachable: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "preview", unreachable.key) == 3
    told = capsys.readouterr().err
    assert "nothing listens there" in told
    assert "Traceback" not in told
    assert SECRET not in told


def test_a_traceback_at_debug_shows_no_key_of_the_urls_in_it(
    unreachable: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "preview", unreachable.key, "--verbosity", "Debug") == 3
    told = capsys.readouterr().err
    assert "Max retries exceeded with url" in told, "the text that holds the URL is there"
    assert SECRET not in told


def test_an_unexpected_error_is_a_line_that_says_how_to_see_more(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "file").write_text("", encoding="ascii")
    monkeypatch.setenv("SYNC_STORAGE_DIR", str(project.root / "file"))
    assert call(monkeypatch, "preview", project.key) == 3
    told = capsys.readouterr().err
    assert "FileExistsError" in told
    assert "--verbosity Debug" in told
    assert "Traceback" not in told
