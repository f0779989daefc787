"""The flat run config of `sync_<key>`: one key an option, the file's values as defaults.

Dagster has no ranges in its config types; the types below refuse a wrong value while the run config
is resolved, which is before a run is launched.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import dagster as dg
from dagster._config import ConfigScalar, ConfigScalarKind, ConfigType, ConfigTypeKind
from dagster._config.errors import PostProcessingError

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.orchestration.console import LOGGERS_CONFIG

OPS = ("fetch_batches", "index_target", "transform_batch", "upsert_batch", "summarize_run")
#: Ops that run once per batch, in processes of their own with `executor: multiprocess`.
MAX_PROCESSES = 2
#: A step's process is forked from one that has imported everything, so it takes half the time of
#: one that starts from nothing. Windows has no such server.
_START_METHOD: dict[str, Any] = (
    {"forkserver": {"preload_modules": ["sync_pipeline.definitions"]}}
    if "forkserver" in multiprocessing.get_all_start_methods()
    else {"spawn": {}}
)


class _WholeNumber(ConfigScalar):
    """Whole numbers in a range. The Launchpad shows the name: it tells what is allowed."""

    def __init__(self, low: int, high: int | None) -> None:
        self._low, self._high = low, high
        name = f"{low} to {high:,}" if high is not None else f"{low} or more"
        super().__init__(key=name, given_name=name, scalar_kind=ConfigScalarKind.INT)

    def post_process(self, value: Any) -> Any:
        if value < self._low or (self._high is not None and value > self._high):
            raise PostProcessingError(
                f"{value!r} is not allowed; a whole number, {self.given_name}, is"
            )
        return value


class _BatchSize(ConfigType):
    """A number or a word; a kind that Dagster's validation lets through, so that we say what is."""

    def __init__(self) -> None:
        name = "1 to 10,000 | auto"
        super().__init__(key=name, given_name=name, kind=ConfigTypeKind.ANY)

    def post_process(self, value: Any) -> Any:
        is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000
        if not is_number and value != "auto":
            raise PostProcessingError(f"{value!r} is not allowed; 1 to 10,000 or auto is")
        return value


def _enum(*values: tuple[str, str]) -> dg.Enum:
    # Dagster's message is "not in enum type <name>": a name that lists the values tells the remedy.
    name = " | ".join(value for value, _ in values)
    return dg.Enum(name, [dg.EnumValue(value, description=text) for value, text in values])


MODE = _enum(
    ("regular", "The whole data set in memory, one batch named `all`."),
    ("streaming", "One batch in memory at a time."),
    ("auto", "Streaming when the source has more than 5,000 records."),
)
PUBLISH = _enum(
    ("changed", "Publish the entries that this run writes."),
    ("all", "Also drafts of this content type left by others."),
    ("none", "Leave everything as draft."),
)
EXECUTOR = _enum(
    ("in_process", "All steps in one process: quickest, the default."),
    ("multiprocess", "Each step in a process of its own."),
)
LOG_LEVEL = _enum(
    ("debug", "One line a request."),
    ("info", "One line a page and a batch."),
    ("warning", "Only what needs a look."),
)
BATCH_SIZE = _BatchSize()
CONCURRENCY = _WholeNumber(1, 32)
LIMIT = _WholeNumber(1, None)
MAX_FAILED = _WholeNumber(0, None)


def run_config_schema(config: SyncConfig) -> dict[str, dg.Field]:
    """The fields of the launchpad for this sync, with the file's values as defaults."""

    def option(config_type: Any, default: Any, text: str) -> dg.Field:
        return dg.Field(config_type, is_required=False, default_value=default, description=text)

    return {
        "mode": option(
            MODE,
            config.mode,
            "How much is held in memory: regular (all), streaming (one batch), auto.",
        ),
        "batch_size": option(
            BATCH_SIZE,
            config.batch_size,
            "Records per batch in streaming mode: 1 to 10,000, or auto.",
        ),
        "apply": option(
            bool, False, "false: a dry run that says what would happen; true: write and publish."
        ),
        "publish": option(PUBLISH, config.publish, "What is published: changed, all, none."),
        "use_file_cache": option(
            bool, False, "Answer source requests from the response cache on disk, else fill it."
        ),
        "limit": dg.Field(
            LIMIT, is_required=False, description="Only the first N records (1 or more)."
        ),
        "concurrency": option(CONCURRENCY, 8, "Requests in flight against the space, 1 to 32."),
        "max_failed_entries": option(
            MAX_FAILED, 0, "Failed entries tolerated before a batch counts as failed."
        ),
        "executor": option(EXECUTOR, "in_process", "Where steps run: in_process, multiprocess."),
        "log_level": option(LOG_LEVEL, "info", "debug, info or warning."),
    }


def build_config_mapping(config: SyncConfig) -> dg.ConfigMapping:
    """Map the flat run config to Dagster's nested one."""

    def to_run_config(values: Mapping[str, Any]) -> dict[str, Any]:
        options = asdict(options_from(values))
        executor = (
            {"multiprocess": {"max_concurrent": MAX_PROCESSES, "start_method": _START_METHOD}}
            if options["executor"] == "multiprocess"
            else {"in_process": {}}
        )
        return {
            "ops": {name: {"config": {"options": options}} for name in OPS},
            "execution": {"config": executor},
            **LOGGERS_CONFIG,
        }

    return dg.ConfigMapping(config_schema=run_config_schema(config), config_fn=to_run_config)


def options_from(values: Mapping[str, Any]) -> RunOptions:
    """Run options of a validated run config; keys that are not options are left out."""
    known = {field.name for field in fields(RunOptions)}
    return RunOptions(**{name: value for name, value in values.items() if name in known})
