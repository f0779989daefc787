import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sync_pipeline.config.schema import build_json_schema
from sync_pipeline_tests.config.test_dialects import (
    DATA_USER_DB,
    IN_A_BLOCK,
    ORIGINAL,
    OURS,
    OURS_SNAKE,
)
from sync_pipeline_tests.config.test_error_messages import rest

ROOT = Path(__file__).parents[2]
SCHEMA = build_json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SCHEMA_FILE = ROOT / "docs" / "config.schema.json"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.y*ml")), ids=lambda path: path.name
)
def test_every_config_file_of_this_project_fits(path: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [OURS, OURS_SNAKE, IN_A_BLOCK, IN_A_BLOCK.replace("yaml: |", "yaml:"), ORIGINAL, DATA_USER_DB],
    ids=["ours", "snake", "in a block", "in an open block", "original", "original, database"],
)
def test_every_dialect_fits(text: str) -> None:
    VALIDATOR.validate(yaml.safe_load(text))


FITS = {
    "enum in capitals": "resultsFormat: ZippedCsv\nhttpMethod: GET\nmode: AUTO",
    "enum in snake case": "results_format: zipped_csv",
    "number in quotes": "batchSize: '500'\ntimeoutS: '2.5'",
    "batch size auto": "batchSize: auto",
    "null": "headers:\npagination: null",
    "text without quotes": "headers: {X-Version: 2, X-Flag: true}",
    "json body of any kind": "httpMethod: post\njsonBody: [1, {a: null}]",
    "auth": "auth: {type: ApiKey, name: a, value: b, in: query}",
    "auth by the other name": "auth: {type: api_key, name: a, value: b, location: query}",
    "schedule": "schedule: {cron: '@daily', maxFailedEntries: 3, max_failed_entries: 3}",
    "variables by name": "preMapping: {a: b}",
}


@pytest.mark.parametrize("text", FITS.values(), ids=FITS.keys())
def test_what_the_loader_takes_fits(text: str) -> None:
    VALIDATOR.validate(yaml.safe_load(rest(text)))


REFUSED = {
    "unknown key": rest("endPont: a"),
    "unknown key in pagination": rest("pagination: {limitMx: 5}"),
    "unknown key in a rule": rest(mapping="[{fieldName: id, expresion: a}]"),
    "unknown key of a named rule": rest(mapping="{id: {expression: a, fieldName: b}}"),
    "unknown key in a block": "yaml: {endPont: a}",
    "missing content type": rest(contentType=None),
    "missing mapping": rest(mapping=None),
    "empty mapping": rest(mapping="{}"),
    "missing token": rest("auth: {type: bearer}"),
    "enum": rest("mode: fast"),
    "too small": rest("batchSize: 0"),
    "too large": rest("batchSize: 10001"),
    "not a number": rest("retries: many"),
    "list for text": rest("query: [a]"),
    "text for a list": rest("tests: a"),
    "text for keys": rest("headers: a"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_loader_refuses_for_its_shape_does_not_fit(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_both_spellings_of_every_key_are_offered_with_a_description() -> None:
    def walk(schema: Any) -> None:
        if isinstance(schema, list):
            for inner in schema:
                walk(inner)
        elif isinstance(schema, dict):
            for name, inner in schema.get("properties", {}).items():
                assert inner.get("description"), name
            for inner in schema.values():
                walk(inner)

    walk(SCHEMA)
    assert {"endPoint", "end_point", "yaml", "id", "key"} <= SCHEMA["properties"].keys()


def test_the_file_for_editors_is_the_schema_of_today() -> None:
    """`sync-pipeline schema > docs/config.schema.json` writes it anew."""
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == SCHEMA
