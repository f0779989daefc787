"""How a command that fails ends: in words, with an exit code, without a secret."""

from __future__ import annotations

import json

import pytest

from sync_pipeline.cli import main
from sync_pipeline_tests.extract.answering_server import Answer, serving
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


def test_a_storage_that_is_a_file_is_told_in_a_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "file").write_text("", encoding="ascii")
    monkeypatch.setenv("SYNC_STORAGE_DIR", str(project.root / "file"))
    assert call(monkeypatch, "preview", project.key) == 3
    told = capsys.readouterr().err
    assert f"{project.root / 'file'}: File exists" in told
    assert "SYNC_STORAGE_DIR" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        pytest.param("cute-users", 1, id="the key as its file spells it"),
        pytest.param("cute_users", 1, id="the key as Dagster spells it"),
        pytest.param("cute-user", 2, id="a slip of the pen"),
    ],
)
def test_failed_is_silent_about_no_sync_that_it_does_not_know(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argument: str,
    code: int,
) -> None:
    project.key = "cute_users"
    project.write_config("cute-users")
    project.source.rows[5]["stock"] = "many"
    assert not project.apply().is_success
    assert call(monkeypatch, "failed", argument) == code
    told = capsys.readouterr()
    assert ("There is no sync cute-user:" in told.err) is (code == 2)
    assert ("batch_000001" in told.out) is (code == 1)


def test_a_key_in_a_path_is_not_told_whatever_its_variable_is_called(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNC_TENANT", SECRET)
    project.write_config(
        endPoint="http://127.0.0.1:9/{{ config.SYNC_TENANT }}/rows", resultsJsonPath=None
    )
    assert call(monkeypatch, "preview", project.key) == 3
    told = capsys.readouterr().err
    assert "127.0.0.1:9/***/rows" in told
    assert SECRET not in told


def test_probe_prints_no_key_that_the_server_echoes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(path: str, headers: dict[str, str], _: bytes) -> Answer:
        echoed = {"id": 1, f"asked {headers['X-Api-Key']}": path}
        body = {"items": [echoed], "next": f"http://x{path}&at={SECRET}"}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    with serving(answer) as api:
        url = f"{api.url}/items?access_token={SECRET}"
        assert call(monkeypatch, "probe", url, "--header", f"X-Api-Key: {SECRET}") == 0
    told = capsys.readouterr()
    assert "contentKeyField" in told.out
    assert SECRET not in told.out + told.err
