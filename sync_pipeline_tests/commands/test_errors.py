"""What a user meets when something is wrong: an exit code, and a message with file, key and fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipeline_tests.extract.api import Reply, Request
from sync_pipeline_tests.harness.cli import call
from sync_pipeline_tests.harness.project import MAPPING, Project
from sync_pipeline_tests.harness.rows import DOWN, HTML

Arrange = Callable[[Project, pytest.MonkeyPatch], None]


def config(**changes: Any) -> Arrange:
    return lambda project, _: project.write_config(**changes) and None


def text(yaml: str) -> Arrange:
    return lambda project, _: project.write_file(project.key, yaml) and None


def mapping(field: str, template: str) -> Arrange:
    return config(mapping={**MAPPING, field: template})


def without(name: str) -> Arrange:
    return lambda _, patch: patch.delenv(name)


def variable(name: str, value: str) -> Arrange:
    return lambda _, patch: patch.setenv(name, value)


def answer(reply: Reply) -> Arrange:
    def arrange(project: Project, _: pytest.MonkeyPatch) -> None:
        def fault(_request: Request, _page: int) -> Reply | None:
            return reply

        project.source.fault = fault

    return arrange


def space_down(project: Project, patch: pytest.MonkeyPatch) -> None:
    project.space.fault = lambda _request: None
    patch.setenv("CONTENTFUL_CMA_URL", "https://127.0.0.1:9/elsewhere?x=1")


#: What is wrong; the exit code; what the message must name: file or variable, key, fix.
CASES = [
    pytest.param(config(endPont="x"), 2, ["{file}", "endPont", "endPoint"], id="unknown key"),
    pytest.param(
        config(batchSize="big"),
        2,
        ["{file}", "batchSize", "line 16", "whole number or auto"],
        id="wrong type",
    ),
    pytest.param(config(contentType=None), 2, ["{file}", "contentType"], id="missing key"),
    pytest.param(text("a: [1"), 2, ["{file}", "line"], id="broken YAML"),
    pytest.param(mapping("name", "{{ row.name"), 2, ["{file}", "name"], id="template syntax"),
    pytest.param(
        mapping("name", "{{ rwo.name }}"), 2, ["{file}", "rwo", "row"], id="unknown variable"
    ),
    pytest.param(
        mapping("name", "{{ row.name | upcase }}"),
        2,
        ["{file}", "upcase", "string.upcase"],
        id="filter",
    ),
    pytest.param(mapping("nam", "x"), 2, ["{file}", "nam", "name"], id="unknown field"),
    pytest.param(mapping("name.en-GB", "x"), 2, ["{file}", "en-GB", "en-US"], id="unknown locale"),
    pytest.param(
        mapping("stock.de-DE", "1"), 2, ["{file}", "stock", "de-DE"], id="field not localized"
    ),
    pytest.param(
        config(endPoint="{{ config.SYNC_NO_URL }}/rows"),
        2,
        ["{file}", "endPoint", "SYNC_NO_URL"],
        id="missing variable",
    ),
    pytest.param(
        without("CONTENTFUL_MANAGEMENT_TOKEN"),
        2,
        ["CONTENTFUL_MANAGEMENT_TOKEN", "export"],
        id="missing token",
    ),
    pytest.param(without("CONTENTFUL_SPACE_ID"), 2, ["CONTENTFUL_SPACE_ID"], id="missing space"),
    pytest.param(
        variable("CONTENTFUL_CMA_URL", "contentful"), 2, ["CONTENTFUL_CMA_URL"], id="bad base URL"
    ),
    pytest.param(
        variable("CONTENTFUL_SPACE_ID", "elsewhere"),
        3,
        ["elsewhere", "CONTENTFUL_SPACE_ID"],
        id="wrong space",
    ),
    pytest.param(
        variable("CONTENTFUL_ENVIRONMENT_ID", "staging"),
        3,
        ["staging", "CONTENTFUL_ENVIRONMENT_ID"],
        id="wrong environment",
    ),
    pytest.param(
        config(contentType="prodct"), 2, ["{file}", "prodct", "product"], id="content type"
    ),
    pytest.param(
        config(endPoint="http://127.0.0.1:9/rows"), 3, ["127.0.0.1:9"], id="unreachable source"
    ),
    pytest.param(answer(DOWN), 3, ["500", "/rows"], id="source down"),
    pytest.param(answer(Reply({}, status=404)), 3, ["404", "/rows", "endPoint"], id="no such URL"),
    pytest.param(answer(Reply({}, status=401)), 3, ["401", "auth"], id="source refuses"),
    pytest.param(answer(HTML), 3, ["HTML", "/rows"], id="HTML"),
    pytest.param(answer(Reply(b'{"items": [{"a": ')), 3, ["/rows"], id="truncated JSON"),
    pytest.param(
        answer(Reply({"data": []})), 3, ["resultsJsonPath", "items", "data"], id="wrong path"
    ),
]


@pytest.mark.parametrize(("arrange", "code", "named"), CASES)
def test_a_run_that_cannot_be_says_why_and_what_to_do(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arrange: Arrange,
    code: int,
    named: list[str],
) -> None:
    arrange(project, monkeypatch)
    ended = call(capsys, "run", project.key, "--apply")
    assert ended.code == code, ended.text
    file = str(project.configs / f"{project.key}.yaml")
    for name in named:
        assert name.format(file=file) in ended.err, ended.err
    assert "Traceback" not in ended.text
    assert "dagster" not in ended.err.lower(), ended.err
    assert len(ended.err.splitlines()) <= 12, ended.err
    assert project.space.changing_requests == []


def test_an_unknown_sync_names_those_that_are_there(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = call(capsys, "run", "prodcts")
    assert ended.code == 2
    assert "prodcts.yaml" in ended.err
    assert project.key in ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "x", "--batch-size", "0"), "1 to 10,000"),
        (("run", "x", "--batch-size", "many"), "1 to 10,000"),
        (("run", "x", "--concurrency", "33"), "1<=x<=32"),
        (("run", "x", "--limit", "0"), "x>=1"),
        (("run", "x", "--mode", "stream"), "streaming"),
        (("run", "x", "--streaming", "--mode", "regular"), "contradicts"),
        (("run", "x", "--no-publish", "--publish", "all"), "contradicts"),
        (("run",), "KEY"),
        (("rnu", "x"), "rnu"),
        (("resume", "nothing"), "sync-pipeline failed"),
        (("backfill", "nothing"), "nothing.yaml"),
        (("preview", "nothing"), "nothing.yaml"),
        (("check", "nothing"), "nothing"),
        (("clean", "nothing"), "nothing.yaml"),
        (("clean", "--older-than-days", "nan"), "not a number of days"),
        (("clean", "--older-than-days", "inf"), "x<=36500"),
        (("clean", "--older-than-days", "1e308"), "x<=36500"),
        (("space", "serve", "--port", "70000"), "x<=65535"),
        (("space", "serve", "--port", "-1"), "x<=65535"),
        (("space", "serve", "--token", ""), "is empty"),
        (("space", "serve", "--token="), "is empty"),
        (("run", "x", "--batch-size", "²"), "1 to 10,000"),
        (("probe", "http://127.0.0.1:9", "--header", "x"), "Name: value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2_and_says_what_is_allowed(
    project: Project,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    named: str,
) -> None:
    ended = call(capsys, *arguments)
    assert ended.code == 2, ended.text
    assert named in ended.err
    assert "Traceback" not in ended.text
    assert project.run_ids() == []


@pytest.mark.parametrize("variable", ["DAGSTER_HOME", "SYNC_STORAGE_DIR"])
def test_a_place_that_cannot_be_written_is_named(
    project: Project,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "/proc/nowhere")
    ended = call(capsys, "preview" if variable == "SYNC_STORAGE_DIR" else "run", project.key)
    assert ended.code in {2, 3}
    assert "/proc/nowhere" in ended.err
    assert variable in ended.err
    assert "Traceback" not in ended.err
    assert "report this" not in ended.err


def test_debug_shows_where_an_error_came_from(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = call(capsys, "run", "nothing", "--verbosity", "Debug")
    assert ended.code == 2
    assert "Traceback" in ended.err
