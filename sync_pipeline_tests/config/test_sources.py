"""The table of the kinds of sources."""

from itertools import combinations

import pytest

from sync_pipeline.config.loading import parse_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.secrecy import Secret
from sync_pipeline.config.sources import KINDS
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.checks import check_source
from sync_pipeline.extract.kinds import module_of


def test_no_key_belongs_to_two_kinds_and_all_are_keys_of_a_file():
    keys = {name: set(kind.keys.model_fields) for name, kind in KINDS.items()}
    assert all(not keys[one] & keys[other] for one, other in combinations(keys, 2))
    assert set().union(*keys.values()) <= SyncConfig.model_fields.keys()


@pytest.mark.parametrize("name", KINDS)
def test_what_a_kind_requires_is_a_key_of_its_own(name):
    assert KINDS[name].required.keys() <= KINDS[name].keys.model_fields.keys()


def of_kind(name, **more):
    required = {
        "restapi": "endPoint: https://x/",
        "database": "connectionString: sqlite:///x\nquery: q",
    }
    stated = "".join(f"{key}: {value}\n" for key, value in more.items())
    head = f"sourceType: {name}\ncontentType: a\ncontentKeyField: id\nmapping: {{id: x}}\n"
    return parse_config(f"{head}{required[name]}\n{stated}", key="a")


FOREIGN = {
    "restapi": {"provider": "sqlite", "query": "q", "connectionString": "sqlite:///x"},
    "database": {
        "endPoint": "https://x/", "headers": "{a: b}", "cacheHours": "3", "maxSeconds": "9",
        "auth": "{type: bearer, token: t}", "resultsFormat": "csv", "jsonBody": "{a: 1}",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, keys in FOREIGN.items() for key in keys]
)
def test_a_key_of_another_kind_is_an_error_that_names_that_kind(name, key):
    (other,) = KINDS.keys() - {name}
    of_kind(name)
    with pytest.raises(ConfigError, match=f"not used by sourceType {name}.*sourceType: {other}"):
        of_kind(name, **{key: FOREIGN[name][key]})


def test_every_key_of_a_source_that_is_a_text_is_secret_or_known_to_be_none():
    """A new key must be decided on."""
    public = {
        "http_method", "continuation_token_header", "results_format", "results_encoding",
        "results_json_path", "results_total_pages_path", "partial_errors", "provider", "query",
    }  # fmt: skip
    unmarked = {
        name
        for kind in KINDS.values()
        for name, info in kind.keys.model_fields.items()
        if not any(isinstance(mark, Secret) for mark in info.metadata)
        and info.annotation not in (int, float, float | None)
    }
    assert unmarked == public | {"auth", "csv"}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_a_package_that_opens_and_checks_it(name):
    config, _ = of_kind(name)
    assert callable(module_of(config, "opening").open_source)
    check_source(config)
