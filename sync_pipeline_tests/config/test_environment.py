from pathlib import Path

import pytest

from sync_pipeline.config.environment import (
    Environment,
    find_project_dir,
    read_environment,
    require_contentful,
)
from sync_pipeline.errors import EnvironmentVariableError

PROJECT = Path("/project")


def read(**variables: str) -> Environment:
    return read_environment(variables, PROJECT)


def test_nothing_needs_to_be_set() -> None:
    environment = read()
    assert environment.management_token is None
    assert environment.space_id is None
    assert environment.environment_id == "master"
    assert environment.cma_url == "https://api.contentful.com"
    assert environment.upload_url == "https://upload.contentful.com"
    assert environment.rate_limit == 7
    assert environment.configs_dir == PROJECT / "configs"
    assert environment.storage_dir == PROJECT / ".sync_pipeline"
    assert environment.max_memory_mb is None
    assert environment.template_variables == {}


def test_blank_variables_count_as_not_set() -> None:
    names = [
        "CONTENTFUL_MANAGEMENT_TOKEN", "CONTENTFUL_SPACE_ID", "CONTENTFUL_ENVIRONMENT_ID",
        "CONTENTFUL_CMA_URL", "CONTENTFUL_UPLOAD_URL", "CONTENTFUL_RATE_LIMIT",
        "CONTENTFUL_MAX_SECONDS", "SYNC_CONFIGS_DIR", "SYNC_STORAGE_DIR", "SYNC_MAX_MEMORY_MB",
        "SYNC_LEASE_SECONDS", "DAGSTER_HOME",
    ]  # fmt: skip
    assert read(**dict.fromkeys(names, " ")) == read()


def test_every_variable_is_read() -> None:
    environment = read(
        CONTENTFUL_MANAGEMENT_TOKEN=" CFPAT-abc\n",
        CONTENTFUL_SPACE_ID="space1",
        CONTENTFUL_ENVIRONMENT_ID="staging",
        CONTENTFUL_CMA_URL="https://api.eu.contentful.com/",
        CONTENTFUL_UPLOAD_URL="http://127.0.0.1:8000/upload",
        CONTENTFUL_RATE_LIMIT="0",
        CONTENTFUL_MAX_SECONDS="7.5",
        SYNC_CONFIGS_DIR="/etc/syncs",
        SYNC_STORAGE_DIR="var/spool",
        SYNC_MAX_MEMORY_MB="500",
        SYNC_LEASE_SECONDS="90",
    )
    assert environment.management_token is not None
    assert environment.management_token.get_secret_value() == "CFPAT-abc"
    assert environment.space_id == "space1"
    assert environment.environment_id == "staging"
    assert environment.cma_url == "https://api.eu.contentful.com"
    assert environment.upload_url == "http://127.0.0.1:8000/upload"
    assert environment.rate_limit == 0
    assert environment.max_seconds == 7.5
    assert environment.configs_dir == Path("/etc/syncs")
    assert environment.storage_dir == PROJECT / "var/spool"
    assert environment.max_memory_mb == 500
    assert environment.lease_s == 90


def test_storage_is_in_the_home_of_dagster_where_there_is_one() -> None:
    environment = read(DAGSTER_HOME="/home/dagster")
    assert environment.storage_dir == Path("/home/dagster/storage/sync_pipeline")


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert read(SYNC_STORAGE_DIR="~/spool").storage_dir == Path("/home/someone/spool")


def test_templates_see_only_variables_for_them() -> None:
    environment = read(
        SYNC_PRODUCTS_URL="https://x/",
        Cute__Token="t",
        SYNC_STORAGE_DIR="/a",
        SYNC_CONFIGS_DIR="/b",
        SYNC_MAX_MEMORY_MB="9",
        SYNC_LEASE_SECONDS="60",
        CONTENTFUL_MANAGEMENT_TOKEN="CFPAT-abc",
        HOME="/home/someone",
        sync_lower="no",
    )
    assert environment.template_variables == {"SYNC_PRODUCTS_URL": "https://x/", "Cute__Token": "t"}


def test_an_environment_shows_no_secret() -> None:
    environment = read(CONTENTFUL_MANAGEMENT_TOKEN="CFPAT-abc", SYNC_API_KEY="hunter2")
    assert "CFPAT-abc" not in repr(environment)
    assert "hunter2" not in repr(environment)


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("CONTENTFUL_RATE_LIMIT", "fast", "a number of requests per second"),
        ("CONTENTFUL_RATE_LIMIT", "-1", "a number of requests per second"),
        ("CONTENTFUL_RATE_LIMIT", "nan", "a number of requests per second"),
        ("CONTENTFUL_RATE_LIMIT", "inf", "0 for no limit"),
        ("CONTENTFUL_MAX_SECONDS", "0", "above 0, such as 120"),
        ("CONTENTFUL_MAX_SECONDS", "-3", "a number of seconds"),
        ("CONTENTFUL_MAX_SECONDS", "2m", "a number of seconds"),
        ("CONTENTFUL_MAX_SECONDS", "inf", "a number of seconds"),
        ("SYNC_MAX_MEMORY_MB", "0", "a whole number of megabytes"),
        ("SYNC_MAX_MEMORY_MB", "1.5", "a whole number of megabytes"),
        ("SYNC_MAX_MEMORY_MB", "2GB", "unset it for no bound"),
        ("SYNC_LEASE_SECONDS", "2", "3 or more, such as 30"),
        ("SYNC_LEASE_SECONDS", "1m", "a number of seconds"),
        ("SYNC_LEASE_SECONDS", "inf", "a number of seconds"),
        ("SYNC_STORAGE_DIR", "s3://bucket/x", "not yet supported"),
        ("SYNC_STORAGE_DIR", "gs://bucket/x", "set it to a directory"),
        ("SYNC_CONFIGS_DIR", "file:///x", "not yet supported"),
        ("CONTENTFUL_CMA_URL", "api.contentful.com", "an absolute URL"),
        ("CONTENTFUL_CMA_URL", "https://", "such as https://api.contentful.com"),
        ("CONTENTFUL_CMA_URL", "https://x:port", "an absolute URL"),
        ("CONTENTFUL_CMA_URL", "https://[x", "an absolute URL"),
        ("CONTENTFUL_UPLOAD_URL", "https://x/?a=b", "without query"),
        ("CONTENTFUL_SPACE_ID", "https://app.contentful.com/spaces/a", "is not an id"),
        ("CONTENTFUL_ENVIRONMENT_ID", "a b", "is not an id"),
        ("CONTENTFUL_MANAGEMENT_TOKEN", "two words", "copy the token again"),
        ("CONTENTFUL_MANAGEMENT_TOKEN", "“CFPAT-abc”", "copy the token again"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_variable(
    name: str, value: str, fix: str
) -> None:
    with pytest.raises(EnvironmentVariableError, match=name) as caught:
        read(**{name: value})
    assert fix in str(caught.value)
    if name == "CONTENTFUL_MANAGEMENT_TOKEN":
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, ["CONTENTFUL_MANAGEMENT_TOKEN", "CONTENTFUL_SPACE_ID"]),
        ({"CONTENTFUL_SPACE_ID": "a"}, ["CONTENTFUL_MANAGEMENT_TOKEN"]),
        ({"CONTENTFUL_MANAGEMENT_TOKEN": "a"}, ["CONTENTFUL_SPACE_ID"]),
    ],
)
def test_a_run_against_contentful_says_what_is_missing(
    variables: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(EnvironmentVariableError) as caught:
        require_contentful(read(**variables))
    for name in ("CONTENTFUL_MANAGEMENT_TOKEN", "CONTENTFUL_SPACE_ID"):
        assert (f"{name} is not set" in str(caught.value)) == (name in named)
        assert (f"export {name}=" in str(caught.value)) == (name in named)
    assert "target: {space: local}" in str(caught.value)


def test_a_run_against_contentful_gets_token_and_space() -> None:
    token, space_id = require_contentful(
        read(CONTENTFUL_MANAGEMENT_TOKEN="CFPAT-abc", CONTENTFUL_SPACE_ID="space1")
    )
    assert (token.get_secret_value(), space_id) == ("CFPAT-abc", "space1")


def test_the_project_is_where_the_workspace_file_is(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project_dir(below) == tmp_path
    assert find_project_dir(tmp_path) == tmp_path


def test_without_a_workspace_file_the_project_is_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_environment({}).project_dir == tmp_path
