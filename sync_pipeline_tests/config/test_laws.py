"""What holds for every config file: dialects agree, and nothing but a ConfigError comes out."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sync_pipeline.config.environment import read_environment
from sync_pipeline.config.loading import load_config, parse_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.normalizing import spellings
from sync_pipeline.config.pagination import resolve_pagination
from sync_pipeline.config.schema import build_json_schema
from sync_pipeline.errors import ConfigError
from sync_pipeline.redaction import secrets_of
from sync_pipeline_tests.config.test_dialects import DATA_USER_DB, IN_A_BLOCK, ORIGINAL, OURS

SCHEMA = jsonschema.Draft7Validator(build_json_schema())

names = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
field_names = st.builds("{}{}".format, names, st.sampled_from(["", ".en", ".de-DE", ".en[]"]))


@st.composite
def syncs(draw: st.DrawFn) -> dict[str, Any]:
    """A sync in our dialect, with `mapping` and `preMapping` as lists."""
    fields = draw(st.lists(field_names, min_size=1, max_size=5, unique=True))
    sync: dict[str, Any] = {
        "contentType": draw(names),
        "contentKeyField": draw(st.sampled_from(fields)).removesuffix("[]"),
        "mapping": [
            {"fieldName": name, "expression": draw(texts), "overwriteNull": draw(st.booleans())}
            for name in fields
        ],
        "publish": draw(st.sampled_from(["changed", "all", "none"])),
        "batchSize": draw(st.integers(1, 10_000) | st.just("auto")),
        "order": draw(st.integers(1, 999)),
    }
    if draw(st.booleans()):
        variables = draw(st.lists(names, unique=True, max_size=3))
        sync["preMapping"] = [{"varName": name, "expression": draw(texts)} for name in variables]
    if draw(st.booleans()):
        types = draw(st.lists(names, unique=True, max_size=2))
        sync["enumerateForContentTypes"] = [
            {"contentType": f"x{name}", "queryParameters": draw(texts), "filter": draw(texts)}
            for name in types
        ]
    paging = {"limitKey": "limit", "skipKey": "offset", "limitMax": draw(st.integers(1, 1000))}
    if draw(st.booleans()):
        sync["pagination"] = paging
    if draw(st.booleans()):
        sync |= {
            "sourceType": "database",
            "provider": draw(st.sampled_from(["sqlserver", "mysql", "postgresql", "sqlite"])),
            "connectionString": f"Server={draw(names)};",
            "query": draw(names),
        }
    else:
        sync |= {
            "sourceType": "restapi",
            "endPoint": f"https://example.com/{draw(names)}",
            "headers": draw(st.dictionaries(names.map(str.lower), texts, max_size=3)),
            "resultsFormat": draw(st.sampled_from(["json", "jsonl", "csv", "zippedCsv"])),
            "httpMethod": draw(st.sampled_from(["get", "post"])),
        }
    return sync


def as_dicts(sync: dict[str, Any]) -> dict[str, Any]:
    """With names to expressions instead of lists of rules."""
    mapping = {
        rule["fieldName"]: (
            {"expression": rule["expression"], "overwriteNull": True}
            if rule["overwriteNull"]
            else rule["expression"]
        )
        for rule in sync["mapping"]
    }
    pre_mapping = {rule["varName"]: rule["expression"] for rule in sync.get("preMapping", [])}
    return {**sync, "mapping": mapping, "preMapping": pre_mapping}


def in_snake_case(value: Any, *, free: bool = False) -> Any:
    if isinstance(value, list):
        return [in_snake_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (key if free else re.sub(r"([A-Z])", r"_\1", key).lower()): in_snake_case(
            item, free=key == "headers"
        )
        for key, item in value.items()
    }


def in_a_block(sync: dict[str, Any]) -> str:
    inner = as_dicts(sync)
    outer = {key: inner.pop(key) for key in ("sourceType", "contentKeyField")}
    block = yaml.safe_dump(inner, sort_keys=False)
    return (
        yaml.safe_dump(outer)
        + "yaml: |\n"
        + "".join(f"  {line}\n" for line in block.rstrip("\n").split("\n"))
    )


def as_original(sync: dict[str, Any]) -> str:
    shouted = {
        key: value.upper()
        if key in {"publish", "sourceType", "provider", "resultsFormat", "httpMethod"}
        else value
        for key, value in sync.items()
    }
    rules = [{**rule, "overwrite": True} for rule in sync["mapping"]]
    return yaml.safe_dump({"id": "entry", **shouted, "mapping": rules}, sort_keys=False)


def parse(text: str) -> SyncConfig:
    config, _ = parse_config(text, key="products")
    return config


@settings(deadline=None)
@given(syncs())
def test_a_sync_means_the_same_in_every_dialect(sync: dict[str, Any]) -> None:
    expected = parse(yaml.safe_dump(sync))
    assert parse(yaml.safe_dump(as_dicts(sync), sort_keys=False)) == expected
    assert parse(yaml.safe_dump(in_snake_case(sync))) == expected
    assert parse(in_a_block(sync)) == expected
    assert parse(as_original(sync)) == expected
    assert [rule.expression for rule in expected.mapping] == [
        rule["expression"] for rule in sync["mapping"]
    ]
    resolve_pagination(expected)


@settings(deadline=None)
@given(syncs())
def test_what_loads_fits_the_schema_in_every_dialect(sync: dict[str, Any]) -> None:
    for text in (yaml.safe_dump(sync), yaml.safe_dump(as_dicts(sync)), in_a_block(sync),
                 as_original(sync), yaml.safe_dump(in_snake_case(sync))):  # fmt: skip
        SCHEMA.validate(yaml.safe_load(text))


def load_or_refuse(text: str) -> None:
    """Nothing but a ConfigError may come out, and its text must be fit to be printed."""
    try:
        config = parse(text)
    except ConfigError as err:
        refused = err
    else:
        resolve_pagination(config)
        return
    assert str(refused).encode("utf-8")
    assert refused.problems


@settings(deadline=None)
@given(st.text())
@example("\ud800")
@example('"\\ud800": 1')
@example('contentType: "\\udfff"')
@example("!!int abc")
@example("? [a]\n: b")
@example("<<: 1")
@example("yaml: |\n\n  \ta")
@example("a: !!binary x")
@example("2024-01-01: 0")
@example("mapping: {? : x}")
def test_no_text_brings_anything_but_a_config_error(text: str) -> None:
    load_or_refuse(text)


keys = st.sampled_from([*spellings(SyncConfig), "yaml", "id", "key", "overwrite", "type", "<<"])
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.dates() | st.binary(max_size=3)
    | st.sampled_from(["bearer", "https://x/", "{{ row.id }}", "@daily", "auto", "database"])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.text(max_size=5) | leaves, inner, max_size=4)
    ),
    max_leaves=12,
)
INNER_KEYS = st.sampled_from(
    ["type", "cron", "timezone", "limitMax", "skipKey", "pageSize", "token", "url", "space", "row",
     "expect", "varName", "fieldName", "expression", "contentType", "delimiter", "encoding", "in"]
)  # fmt: skip


@given(st.dictionaries(keys, values | st.dictionaries(INNER_KEYS, values, max_size=4), max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_structure_brings_anything_but_a_config_error(value: dict[str, Any]) -> None:
    load_or_refuse(yaml.dump(value))


@settings(deadline=None)
@given(
    st.sampled_from([OURS, IN_A_BLOCK, ORIGINAL, DATA_USER_DB]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), st.text(max_size=3)), max_size=4),
)
def test_no_slip_of_the_pen_brings_anything_but_a_config_error(
    text: str, slips: list[tuple[int, int, str]]
) -> None:
    for position, removed, inserted in slips:
        text = text[:position] + inserted + text[position + removed :]
    load_or_refuse(text)


@given(content=st.binary())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_brings_anything_but_a_config_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_config(path)


@settings(deadline=None)
@given(syncs())
def test_secrets_can_be_told_of_every_sync(sync: dict[str, Any]) -> None:

    found = secrets_of(parse(yaml.safe_dump(sync)), read_environment({"SYNC_TOKEN": "t0ken"}))
    assert "t0ken" in found
