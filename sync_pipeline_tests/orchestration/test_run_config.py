"""The flat run config: defaults of the file, ranges refused by name before a run is launched."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import UsageError
from sync_pipeline.orchestration.private_dagster import ConfigType
from sync_pipeline.orchestration.run_config import run_config_schema
from sync_pipeline_tests.harness.project import Project


def schema_of(project: Project) -> dict[str, dg.Field]:
    config = project.definitions().get_job(f"sync_{project.key}").resource_defs["sync"]
    return run_config_schema(config.resource_fn(None).config)


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("batch_size", 0, "1 to 10,000 or auto"),
        ("batch_size", 10_001, "1 to 10,000 or auto"),
        ("batch_size", "many", "1 to 10,000 or auto"),
        ("batch_size", True, "1 to 10,000 or auto"),
        ("batch_size", 1.5, "1 to 10,000 or auto"),
        ("concurrency", 0, "1 to 32"),
        ("concurrency", 33, "1 to 32"),
        ("limit", 0, "1 or more"),
        ("limit", -1, "1 or more"),
        ("max_failed_entries", -1, "0 or more"),
        ("mode", "stream", "regular | streaming | auto"),
        ("publish", "yes", "changed | all | none"),
        ("executor", "threads", "in_process | multiprocess"),
        ("log_level", "trace", "debug | info | warning"),
    ],
)
def test_a_wrong_value_is_refused_before_the_launch_naming_what_is_allowed(
    project: Project, option: str, value: Any, allowed: str
) -> None:
    with pytest.raises(UsageError) as refused:
        project.launch(**{option: value})
    assert allowed in str(refused.value)
    assert option in str(refused.value)
    assert project.run_ids() == []


def test_a_misspelt_option_is_refused_with_those_that_are_there(project: Project) -> None:
    with pytest.raises(UsageError, match=r"batchsize.*batch_size"):
        project.launch(batchsize=10)


@pytest.mark.parametrize(
    "values",
    [
        {"batch_size": 1, "concurrency": 1, "limit": 1, "max_failed_entries": 0},
        {"batch_size": 10_000, "concurrency": 32, "limit": 10**9},
        {"batch_size": "auto"},
    ],
    ids=["lowest", "highest", "auto"],
)
def test_the_edges_of_the_ranges_are_allowed(project: Project, values: dict[str, Any]) -> None:
    job = project.definitions().get_job(f"sync_{project.key}")
    resolved = dg.validate_run_config(job, values)
    options = resolved["ops"]["upsert_batch"]["config"]["options"]
    assert {name: options[name] for name in values} == values


def test_defaults_are_the_file_s_own(project: Project) -> None:
    project.write_config(mode="auto", batchSize=77, publish="none")
    schema = schema_of(project)
    shown = {name: field.default_value for name, field in schema.items() if name != "limit"}
    assert shown == {
        "mode": "auto",
        "batch_size": 77,
        "apply": False,
        "publish": "none",
        "use_file_cache": False,
        "concurrency": 8,
        "max_failed_entries": 0,
        "executor": "in_process",
        "log_level": "info",
    }
    assert not schema["limit"].default_provided
    assert set(schema) == set(RunOptions.model_fields)


def test_every_option_is_optional_and_described(project: Project) -> None:
    for name, field in schema_of(project).items():
        assert not field.is_required, name
        assert len(field.description or "") > 20, name


def test_enums_list_their_values_with_a_meaning(project: Project) -> None:
    mode = schema_of(project)["mode"].config_type
    assert {value.config_value for value in mode.enum_values} == {"regular", "streaming", "auto"}
    assert all(value.description for value in mode.enum_values)


def test_our_checked_types_are_dagster_config_types_still(project: Project) -> None:
    """docs/decisions/0005-own-config-types-check-ranges.md: they are private; this fails if they move."""
    assert isinstance(schema_of(project)["batch_size"].config_type, ConfigType)


def test_the_file_s_defaults_hold_in_a_run_without_run_config(project: Project) -> None:
    project.write_config(mode="streaming", batchSize=15)
    launched = project.launch()
    assert project.summary(launched.run_id)["batches"] == 3
    assert project.summary(launched.run_id)["dry_run"] is True
