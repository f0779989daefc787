"""Secrets stay secret: in logs, events, metadata, files and output, of good runs and of bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_pipeline_tests.extract.api import Reply, Request
from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.space import TOKEN

API_KEY = "k3y-of-the-source-93751"
PASSWORD = "pa55 wörd&/=of-a-login"


@pytest.fixture
def secretive(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("SYNC_API_KEY", API_KEY)
    monkeypatch.setenv("Cute__Password", PASSWORD)
    project.write_config(
        headers={"X-Api-Key": "{{ config.SYNC_API_KEY }}"},
        queryParameters={"key": "{{ config.SYNC_API_KEY }}"},
        auth={"type": "basic", "username": "me", "password": "{{ config.Cute__Password }}"},
    )
    return project


def leaks(project: Project, *texts: str) -> list[str]:
    """Where a secret, plain or encoded, stands: events, tags, files below the storage, texts."""
    found: list[str] = []
    secrets = (API_KEY, PASSWORD, TOKEN, json.dumps(PASSWORD)[1:-1], "pa55%20w", "pa55+w")
    for run_id in project.run_ids():
        for number, entry in enumerate(project.instance.all_logs(run_id)):
            found += [f"event {number}: {entry}" for s in secrets if s in str(entry)]
            found += [f"event {number}" for s in secrets if s in entry.to_json()]
        found += [f"tags {run_id}" for s in secrets if s in str(project.run(run_id).tags)]
        found += [f"run {run_id}" for s in secrets if s in str(project.run(run_id))]
    for folder in (project.storage, project.home):
        found += [str(path) for path in files(folder) if has_any(path, secrets)]
    return found + [text for text in texts for s in secrets if s in text]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def has_any(path: Path, secrets: tuple[str, ...]) -> bool:
    content = path.read_bytes()
    return any(secret.encode() in content for secret in secrets)


def test_a_good_run_at_debug_tells_no_secret(
    secretive: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    launched = secretive.apply(log_level="debug", use_file_cache=True)
    assert launched.is_success
    assert secretive.source.api.requests[0].headers["x-api-key"] == API_KEY
    assert leaks(secretive, *capfd.readouterr()) == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": f"key {API_KEY} of {PASSWORD} is blocked"}, status=403),
        Reply({"error": f"no such thing: {API_KEY}"}, status=500),
        Reply(f"<html>{API_KEY}</html>".encode(), headers={"Content-Type": "text/html"}),
        Reply({"items": f"{PASSWORD}"}),
        Reply({"items": []}, cut_after=0),
        Reply(None, status=302, headers={"Location": f"http://127.0.0.1:9/?key={API_KEY}"}),
    ],
    ids=["403", "500", "HTML", "wrong shape", "reset", "redirect"],
)
def test_a_failed_run_tells_no_secret(
    secretive: Project, reply: Reply, capfd: pytest.CaptureFixture[str]
) -> None:
    def fault(_: Request, page: int) -> Reply | None:
        return reply if page == 2 else None

    secretive.source.fault = fault
    launched = secretive.apply(log_level="debug")
    assert not launched.is_success
    assert leaks(secretive, launched.failure, *capfd.readouterr()) == []


def test_a_mapping_that_fails_over_a_secret_does_not_tell_it(
    secretive: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    secretive.write_config(
        mapping={"sku": "{{ row.sku }}", "name": "x", "stock": "{{ config.SYNC_API_KEY }}"}
    )
    launched = secretive.apply(limit=3)
    assert not launched.is_success
    assert leaks(secretive, launched.failure, *capfd.readouterr()) == []
