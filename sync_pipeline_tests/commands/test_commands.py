"""The commands end to end: what they print, how they end, and that they agree with Dagster."""

from __future__ import annotations

import json
import shutil
from typing import Any

import jsonschema
import pytest
import yaml

from sync_pipeline.commands import previewing
from sync_pipeline_tests.extract.api import Reply, Request
from sync_pipeline_tests.harness.cli import call
from sync_pipeline_tests.harness.project import MAPPING, Project
from sync_pipeline_tests.harness.rows import DOWN

Capsys = pytest.CaptureFixture[str]

#: An interface: scripts read these names.
RUN_KEYS = {
    "records", "created", "updated", "unchanged", "published", "deleted", "failed", "requests",
    "duration_s", "peak_rss_mb", "records_per_s", "run_id", "mode", "batches", "failed_batches",
    "dry_run", "warnings",
}  # fmt: skip


# ---------------------------------------------------------------- run


def test_run_prints_a_table_of_what_was_done(project: Project, capsys: Capsys) -> None:
    ended = call(capsys, "run", project.key, "--streaming", "--batch-size", "20", "--apply")
    assert ended.code == 0, ended.err
    assert "what was done" in ended.out
    for name in ("created", "published", "requests", "peak memory", "records per second"):
        assert name in ended.out
    assert len(project.space.entries()) == 40
    assert "page 1, 10 of 40 records" in ended.err
    assert "STEP_" not in ended.text, "Dagster's events stay in the UI"


def test_run_is_a_dry_run_unless_told(project: Project, capsys: Capsys) -> None:
    ended = call(capsys, "run", project.key)
    assert ended.code == 0
    assert "what would happen" in ended.out
    assert project.space.changing_requests == []


def test_run_json_is_one_object_with_the_promised_names(project: Project, capsys: Capsys) -> None:
    ended = call(capsys, "run", project.key, "--apply", "--json", "--limit", "15")
    values = json.loads(ended.out)
    assert set(values) >= RUN_KEYS
    assert (values["created"], values["dry_run"], values["mode"]) == (15, False, "regular")
    assert values["run_id"] == project.run_ids()[0]
    assert values["failed_batches"] == []


def test_a_run_with_failed_entries_ends_with_1_and_says_how_to_go_on(
    project: Project, capsys: Capsys
) -> None:
    project.source.rows[5]["stock"] = "many"
    arguments = ("run", project.key, "--apply", "--streaming", "--batch-size", "20")
    ended = call(capsys, *arguments)
    assert ended.code == 1
    assert f"sync-pipeline failed {project.key}" in ended.err
    assert f"sync-pipeline backfill {project.key}" in ended.err
    assert "Traceback" not in ended.text
    values = json.loads(call(capsys, *arguments, "--json").out)
    assert values["failed"] == 1
    assert values["failed_batches"] == ["batch_000001"]


def _declare_fewer(project: Project) -> None:
    """Let the source's declared total fall on its second page, which is worth a warning."""
    rows = project.source.rows

    def falling(_request: Request, page: int) -> Reply | None:
        return Reply({"total": 30, "items": rows[10:20]}) if page == 2 else None

    project.source.fault = falling


def test_a_warning_stands_in_the_log_the_summary_and_the_commands_output(
    project: Project, capsys: Capsys
) -> None:
    _declare_fewer(project)
    ended = call(capsys, "run", project.key)
    assert ended.code == 0
    text = "the declared total fell from 40 to 30"
    assert f"Warning: {project.configs / project.key}.yaml: GET" in ended.err
    assert text in ended.err.split("Warning: ")[1]
    run_id = project.run_ids()[0]
    assert any(text in message for message in project.messages(run_id))
    page = project.summary(run_id)["summary"]
    assert "**Warnings: 1**" in page
    assert text in page
    (warning,) = json.loads(call(capsys, "run", project.key, "--json").out)["warnings"]
    assert text in warning


def test_a_warning_of_a_preview_is_told_once(project: Project) -> None:
    _declare_fewer(project)
    ended = project.command("preview", project.key, "--json")
    assert ended.stderr.count("the declared total fell from 40 to 30") == 1


def test_a_run_whose_fetch_died_ends_with_3_and_names_resume(
    project: Project, capsys: Capsys
) -> None:
    project.source.fault = lambda _request, page: DOWN if page == 3 else None
    ended = call(capsys, "run", project.key, "--apply")
    assert ended.code == 3
    run_id = project.run_ids()[0]
    assert f"sync-pipeline resume {run_id}" in ended.err
    project.source.fault = lambda _request, _page: None
    resumed = call(capsys, "resume", run_id, "--json")
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out)["created"] == 40
    assert project.source.pages == [1, 2, 3, 3, 4, 5]


def test_a_run_that_could_not_start_says_what_was_asked_of_it(
    project: Project, capsys: Capsys
) -> None:
    """It said `dry_run: true` of a run with `--apply`."""
    project.write_config(mapping={"sku": "{{ row.sku }}", "nosuch": "x"})
    ended = call(capsys, "run", project.key, "--apply", "--streaming", "--json")
    assert ended.code == 2
    values = json.loads(ended.out)
    assert (values["dry_run"], values["mode"], values["records"]) == (False, "streaming", 0)


def test_requests_of_a_fetch_that_died_are_counted(project: Project, capsys: Capsys) -> None:
    project.source.fault = lambda _request, page: DOWN if page == 3 else None
    ended = call(capsys, "run", project.key, "--apply", "--json")
    assert json.loads(ended.out)["requests"] == len(project.space.requests) == 2
    project.source.fault = lambda _request, _page: None
    resumed = call(capsys, "resume", project.run_ids()[0], "--json")
    assert json.loads(resumed.out)["requests"] == len(project.space.requests)


def test_run_options_reach_the_run_config(project: Project, capsys: Capsys) -> None:
    call(
        capsys, "run", project.key, "--mode", "auto", "--no-publish", "--use-filecache",
        "--concurrency", "3", "--max-failed-entries", "2", "--verbosity", "Debug",
    )  # fmt: skip
    assert dict(project.run(project.run_ids()[0]).run_config) == {
        "mode": "auto",
        "publish": "none",
        "use_file_cache": True,
        "concurrency": 3,
        "max_failed_entries": 2,
        "log_level": "debug",
    }


def test_the_log_level_of_a_run_may_be_other_than_that_of_the_command(
    project: Project, capsys: Capsys
) -> None:
    call(capsys, "run", project.key, "--log-level", "warning", "--verbosity", "Debug")
    assert dict(project.run(project.run_ids()[0]).run_config) == {"log_level": "warning"}


# ---------------------------------------------------------------- failed, backfill


def test_failed_agrees_with_dagster_and_backfill_settles(project: Project, capsys: Capsys) -> None:
    assert call(capsys, "failed", project.key).out.strip() == "No failed batches."
    project.source.rows[5]["stock"] = "many"
    project.source.rows[25]["stock"] = "none"
    project.apply()

    ended = call(capsys, "failed", project.key)
    assert ended.code == 1
    for text in (*project.partitions(), "P0005", "P0025", "stock.en-US"):
        assert text in ended.out
    (first, second) = json.loads(call(capsys, "failed", project.key, "--json").out)
    assert {first["batch"], second["batch"]} == project.partitions()
    assert first["entries"][0]["key"] == "P0005"
    assert set(first["entries"][0]) == {
        "ordinal", "key", "stage", "field", "error_id", "message", "request_id",
    }  # fmt: skip

    ended = call(capsys, "backfill", project.key, "--batch", first["batch"])
    assert ended.code == 1, "the record is still what it was"
    project.write_config(mapping={**MAPPING, "stock": "{{ row.stock | cute.to_int }}"})
    project.write_config(mapping={**MAPPING, "stock": "1"})
    values = json.loads(call(capsys, "backfill", project.key, "--json").out)
    assert set(values["backfilled"]) == {first["batch"], second["batch"]}
    assert values["failed_batches"] == []
    assert project.partitions() == set()
    assert call(capsys, "failed").code == 0
    assert len(project.space.entries()) == 40


def test_backfill_of_nothing_is_done_at_once(project: Project, capsys: Capsys) -> None:
    ended = call(capsys, "backfill", project.key)
    assert ended.code == 0
    assert "no failed batches" in ended.err


def test_backfill_of_an_unknown_batch_ends_with_2(project: Project, capsys: Capsys) -> None:
    ended = call(capsys, "backfill", project.key, "--batch", "deadbeef__batch_000001")
    assert ended.code == 2
    assert "deadbeef__batch_000001" in ended.err


# ---------------------------------------------------------------- check, schema, preview, clean


def test_check_names_every_file_and_what_is_wrong(project: Project, capsys: Capsys) -> None:
    assert call(capsys, "check").code == 0
    project.write_config("broken", batchSize=0)
    project.write_config("untemplated", mapping={"sku": "{{ row.sku"})
    project.write_config("late", schedule={"cron": "61 * * * *"})
    ended = call(capsys, "check")
    assert ended.code == 2
    assert f"✓ {project.key}" in ended.out
    for name, text in (("broken", "batchSize"), ("untemplated", "sku"), ("late", "schedule")):
        line = next(line for line in ended.err.splitlines() if line.startswith(f"✗ {name}:"))
        assert str(project.configs / f"{name}.yaml") in line
        assert text in ended.err
    assert call(capsys, "check", project.key).code == 0
    assert call(capsys, "check", "broken").code == 2


#: A key of the source, what is wrong with it, and what the message must name.
SOURCE_TEMPLATES = [
    ({"endPoint": "https://x/{{ confg.SYNC_A }}"}, "endPoint", "config"),
    ({"headers": {"X-Key": "{{ config.SYNC_A | uper }}"}}, "headers.X-Key", "upper"),
    ({"queryParameters": {"q": "{{ row.id }}"}}, "queryParameters.q", "row"),
    (
        {"httpMethod": "post", "formUrlEncodedContent": {"q": "{{ x"}},
        "formUrlEncodedContent.q",
        "compile",
    ),
    ({"httpMethod": "post", "jsonBody": {"a": ["{{ b }}"]}}, "jsonBody.a[0]", '"b"'),
    (
        {"auth": {"type": "bearer", "token": "{{ config.KEY }}"}},
        "auth.token",
        "SYNC_KEY",
    ),
    (
        {"enumerateForContentTypes": [{"contentType": "shop", "filter": "{{ shp.on }}"}]},
        "enumerateForContentTypes[0].filter",
        "shop",
    ),
    ({"resultsJsonPath": "items["}, "resultsJsonPath", "items["),
    ({"sensor": {"type": "http_change", "url": "https://x/{{ y }}"}}, "sensor.url", '"y"'),
    (
        {"sensor": {"type": "http_change", "url": "https://x", "headers": {"A": "{{ y }}"}}},
        "sensor.headers.A",
        '"y"',
    ),
]
DATABASE = {"endPoint": None, "pagination": None, "resultsJsonPath": None, "retries": None}


@pytest.mark.parametrize(("changes", "key", "says"), SOURCE_TEMPLATES, ids=str)
def test_check_tells_what_is_wrong_with_the_templates_of_a_source(
    project: Project, capsys: Capsys, changes: dict[str, Any], key: str, says: str
) -> None:
    path = project.write_config(**changes)
    ended = call(capsys, "check", project.key)
    assert ended.code == 2
    assert f"{path}: {key}: " in ended.err
    assert says in ended.err


def test_check_tells_all_that_is_wrong_with_a_query_and_a_mapping(
    project: Project, capsys: Capsys
) -> None:
    paging = {"limitKey": "size", "skipKey": "after", "limitMax": 10}
    sound = "select * from t order by 1 limit {{ size }} offset {{ after }}"
    connection = "sqlite:///{{ config.SYNC_FILE }}"
    stated = {**DATABASE, "connectionString": connection, "query": sound, "pagination": paging}
    project.write_config(**stated)
    assert call(capsys, "check").code == 0
    broken = {
        "connectionString": "sqlite:///{{ a }}",
        "query": "{{ b }}",
        "mapping": {"sku": "{{ c }}"},
    }
    project.write_config(**{**stated, **broken})
    ended = call(capsys, "check")
    assert ended.code == 2
    for line in ('connectionString: unknown variable "a"', 'query: unknown variable "b"',
                 'mapping.sku: unknown variable "c"'):  # fmt: skip
        assert f"  - {line}" in ended.err


def test_a_template_that_can_never_work_launches_no_run(project: Project, capsys: Capsys) -> None:
    project.write_config(headers={"A": "{{ confg.SYNC_A }}"})
    ended = call(capsys, "run", project.key)
    assert ended.code == 2
    assert "headers.A" in ended.err
    assert project.run_ids() == []


def test_check_asks_nobody_unless_online(project: Project, capsys: Capsys) -> None:
    project.write_config(mapping={**MAPPING, "nothing": "x"})
    assert call(capsys, "check").code == 0
    assert project.space.requests == []
    ended = call(capsys, "check", "--online")
    assert ended.code == 2
    assert "nothing" in ended.err
    assert project.source.api.requests == []


def test_check_online_runs_the_samples_of_the_file(project: Project, capsys: Capsys) -> None:
    row = {"sku": "S1", "name": "Sample", "stock": "3", "grade": ""}
    project.write_config(tests=[{"name": "good", "row": row, "expect": {"stock.en-US": 3}}])
    assert call(capsys, "check").out == f"✓ {project.key} (--online also runs its tests)\n"
    assert call(capsys, "check", "--online").out == f"✓ {project.key}\n"
    project.write_config(tests=[{"name": "bad", "row": row, "expect": {"stock.en-US": 4}}])
    ended = call(capsys, "check", "--online")
    assert ended.code == 2
    assert "bad" in ended.err
    assert "stock" in ended.err


def test_check_online_goes_on_where_a_space_cannot_be_asked(
    project: Project, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_config("z-broken", batchSize=0)
    monkeypatch.setenv("CONTENTFUL_ENVIRONMENT_ID", "elsewhere")
    ended = call(capsys, "check", "--online")
    assert ended.code == 2
    assert f"✗ {project.key}: " in ended.err
    assert "elsewhere" in ended.err
    assert "✗ z_broken: " in ended.err
    (project.configs / "z-broken.yaml").unlink()
    assert call(capsys, "check", "--online").code == 3


def test_check_of_an_empty_folder_says_so(project: Project, capsys: Capsys) -> None:
    (project.configs / f"{project.key}.yaml").unlink()
    ended = call(capsys, "check")
    assert ended.code == 2
    assert str(project.configs) in ended.err


def test_schema_is_one_by_which_the_file_is_valid(project: Project, capsys: Capsys) -> None:
    schema = json.loads(call(capsys, "schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    stated = yaml.safe_load((project.configs / f"{project.key}.yaml").read_text())
    jsonschema.validate(stated, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**stated, "endPont": "x"}, schema)


def test_preview_shows_before_and_after_and_writes_nothing(
    project: Project, capsys: Capsys
) -> None:
    project.space.put_entry("old", {"sku": "P0001", "name": "Old name"}, publish=True)
    ended = call(capsys, "preview", project.key, "--limit", "3")
    assert ended.code == 0, ended.err
    for text in (
        "created: P0000",
        "updated: P0001",
        "Old name",
        "Product 1",
        "Nothing was written",
    ):
        assert text in ended.out
    assert project.space.changing_requests == []
    values = json.loads(call(capsys, "preview", project.key, "--limit", "3", "--json").out)
    assert [value["action"] for value in values] == ["created", "updated", "created"]
    change = next(c for c in values[1]["changes"] if c["field"] == "name.en-US")
    assert (change["before"], change["after"]) == ("Old name", "Product 1")
    assert project.run_ids() == []
    assert list(project.storage.glob("preview_*")) == []


def test_preview_shows_values_as_they_are(project: Project, capsys: Capsys) -> None:
    project.source.rows = [{"sku": "A:key:", "name": "[b]:warning:[/b]", "stock": 1, "grade": "A"}]
    ended = call(capsys, "preview", project.key)
    assert "created: A:key: " in ended.out
    assert "[b]:warning:[/b]" in ended.out


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (None, "x" * 61, ("", "x" * 59 + "…")),
        ("a" * 60, "b", ("a" * 60, "b")),
        ("a" * 90 + "old", "a" * 90 + "new", (f"…{'a' * 20}old", f"…{'a' * 20}new")),
        ("a" * 90, "a" * 90 + "b" * 60, (f"…{'a' * 20}", f"…{'a' * 20}{'b' * 38}…")),
        ({"n": 1}, {"n": 2}, ('{"n": 1}', '{"n": 2}')),
    ],
)
def test_preview_cuts_long_values_to_where_they_differ(
    before: Any, after: Any, shown: tuple[str, str]
) -> None:
    assert previewing._shown(before, after) == shown


def test_preview_ends_with_1_where_records_fail(project: Project, capsys: Capsys) -> None:
    project.source.rows[1]["stock"] = "many"
    ended = call(capsys, "preview", project.key)
    assert ended.code == 1
    assert "P0001" in ended.out
    assert "stock" in ended.out
    values = json.loads(call(capsys, "preview", project.key, "--json").out)
    (failed,) = [value for value in values if value["action"] == "failed"]
    assert failed["key"] == "P0001"
    assert failed["reason"].startswith("stock")


def test_preview_counts_what_is_filtered_and_what_is_merged(
    project: Project, capsys: Capsys
) -> None:
    project.source.rows[3]["sku"] = "P0001"
    project.write_config(filterExpression="{{ row.sku != 'P0002' }}")
    ended = call(capsys, "preview", project.key, "--limit", "5")
    assert "filtered: 1 records" in ended.out
    assert "duplicates: 1 records" in ended.out


@pytest.mark.parametrize("command", ["preview", "run"])
def test_a_filter_that_keeps_nothing_is_warned_of_on_the_screen(
    project: Project, capsys: Capsys, command: str
) -> None:
    project.write_config(filterExpression="{{ row.sku == 'nobody' }}")
    ended = call(capsys, command, project.key)
    assert ended.code == 0
    assert "Warning: " in ended.err
    count = 20 if command == "preview" else 40
    assert f"leaves out all of the {count} records" in " ".join(ended.err.split())


def test_preview_shows_a_filter_that_is_neither_true_nor_false(
    project: Project, capsys: Capsys
) -> None:
    project.write_config(filterExpression="{{ row.sku }}")
    ended = call(capsys, "preview", project.key, "--limit", "1")
    assert ended.code == 1
    assert 'filterExpression: "P0000" is neither true nor false' in " ".join(ended.out.split())


def test_clean_removes_old_finished_runs_only(project: Project, capsys: Capsys) -> None:
    project.apply(limit=5)
    project.source.rows[15]["stock"] = "many"
    failed = project.apply(limit=20)
    assert len(project.spools()) == 2
    assert call(capsys, "clean").out.startswith("0 spools removed")
    ended = call(capsys, "clean", "--older-than-days", "0", "--dry-run")
    assert ended.out.startswith("1 spools would be removed")
    assert len(project.spools()) == 2
    assert call(capsys, "clean", project.key, "--older-than-days", "0").code == 0
    assert [spool.spool_id for spool in project.spools()] == [failed.run_id]
    assert len(project.failed()) == 1


def test_a_run_whose_spool_was_cleaned_says_so_when_it_is_executed_again(
    project: Project, capsys: Capsys
) -> None:
    project.source.rows[15]["stock"] = "many"
    failed = project.apply(limit=20, max_failed_entries=0).run_id
    shutil.rmtree(project.spool(failed).root)
    again = project.reexecute(failed)
    failures = {
        entry.dagster_event.step_key: entry.dagster_event.step_failure_data.user_failure_data
        for entry in project.instance.all_logs(again.run_id)
        if entry.dagster_event and entry.dagster_event.is_step_failure
    }
    assert set(failures) == {"upsert_batch[batch_000001]", "summarize_run"}
    for failure in failures.values():
        assert (
            f"is gone: finished runs are removed after some days. Launch sync_{project.key} anew"
            in failure.description
        )
    assert list((project.home / "storage").glob(f"{failed}/*batch*")) == []


def test_clean_removes_what_is_left_of_spools(project: Project, capsys: Capsys) -> None:
    assert project.apply(limit=5, mode="regular").is_success
    rest = project.storage / "spool" / project.key / "0123"
    rest.mkdir()
    (rest / "batch_000001.jsonl").write_text("{}", encoding="ascii")
    assert call(capsys, "clean", "--older-than-days", "0").out.startswith("2 spools removed")
    assert not rest.exists()


def test_help_describes_every_command(capsys: Capsys) -> None:
    ended = call(capsys, "--help")
    assert ended.code == 0
    for name in (
        "run", "resume", "backfill", "failed", "check", "preview", "schema", "clean", "demo",
        "dev", "probe", "space",
    ):  # fmt: skip
        assert f"  {name}" in ended.out
