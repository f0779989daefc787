"""A sync without Dagster: its stages, one after the other, as a run calls them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import SecretStr

from sync_pipeline.batches.layout import spool_of
from sync_pipeline.batches.results import unfinished_batches
from sync_pipeline.config.environment import Environment, read_environment
from sync_pipeline.config.loading import load_config
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import index
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.summary import RunSummary, summarize
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import Upserted, upsert
from sync_pipeline_tests.harness.project import MAPPING
from sync_pipeline_tests.harness.rows import PAGE_SIZE, RowSource
from sync_pipeline_tests.harness.space import SPACE_ID, TOKEN, TestedSpace


def write_config(path: Path, source: RowSource, mapping: Mapping[str, str] = MAPPING) -> Path:
    """The config file of a sync from a test's source to its products."""
    values = {
        "contentType": "product",
        "contentKeyField": "sku",
        "endPoint": f"{source.url}/rows",
        "pagination": {"limitKey": "limit", "skipKey": "offset", "limitMax": PAGE_SIZE},
        "resultsJsonPath": "items",
        "mapping": dict(mapping),
    }
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def environment_of(space: TestedSpace, storage: Path) -> Environment:
    """What a run would read from the environment variables."""
    environ = {
        "CONTENTFUL_MANAGEMENT_TOKEN": SecretStr(TOKEN).get_secret_value(),
        "CONTENTFUL_SPACE_ID": SPACE_ID,
        "CONTENTFUL_ENVIRONMENT_ID": space.environment_id,
        "CONTENTFUL_CMA_URL": space.url,
        "CONTENTFUL_RATE_LIMIT": "0",
        "SYNC_STORAGE_DIR": str(storage),
    }
    return read_environment(environ, storage)


def build_setting(
    config: Path, space: TestedSpace, storage: Path, run_id: str, options: RunOptions
) -> Setting:
    """A run that has not begun."""
    loaded = load_config(config)
    return Setting(
        loaded,
        options,
        environment_of(space, storage),
        spool_of(storage, loaded.key, run_id),
        run_id,
        logging.getLogger("staged"),
    )


def write_batches(setting: Setting) -> list[Upserted]:
    """Fetch, index, and work off every batch that is not done."""
    manifest = fetch(setting).manifest
    batches = list(unfinished_batches(setting.spool, manifest))
    target = index(setting, batches)
    return [upsert(setting, transform(setting, batch), target) for batch in batches]


def run_stages(setting: Setting) -> RunSummary:
    """A whole run."""
    write_batches(setting)
    return summarize(setting)
