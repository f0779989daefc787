"""The flat run config of `sync_<key>`: one key an option, the file's values as defaults.

The keys are those of `config.run_options`. Dagster has no ranges in its config types; the
types below refuse a wrong value while the run config is resolved, which is before a run is
launched.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from typing import Any

import dagster as dg

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.run_options import OPTIONS, Option, RunOptions
from sync_pipeline.orchestration.console import LOGGERS_CONFIG
from sync_pipeline.orchestration.private_dagster import (
    ConfigScalar,
    ConfigScalarKind,
    ConfigType,
    ConfigTypeKind,
    PostProcessingError,
)

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


class _Number(ConfigScalar):
    """Whole numbers in a range. The Launchpad shows the name: it tells what is allowed."""

    def __init__(self, option: Option) -> None:
        self._option = option
        super().__init__(
            key=option.range, given_name=option.range, scalar_kind=ConfigScalarKind.INT
        )

    def post_process(self, value: Any) -> Any:
        if not self._option.takes(value):
            raise PostProcessingError(
                f"{value!r} is not allowed; a whole number, {self._option.allowed}, is"
            )
        return value


class _NumberOrWord(ConfigType):
    """A kind that Dagster's validation lets through, so that we say what is allowed."""

    def __init__(self, option: Option) -> None:
        self._option = option
        name = " | ".join((option.range, *option.words))
        super().__init__(key=name, given_name=name, kind=ConfigTypeKind.ANY)

    def post_process(self, value: Any) -> Any:
        if not self._option.takes(value):
            raise PostProcessingError(f"{value!r} is not allowed; {self._option.allowed} is")
        return value


def _build_type(option: Option) -> Any:
    if option.is_switch:
        return bool
    if option.range:
        return _NumberOrWord(option) if option.words else _Number(option)
    # Dagster's message is "not in enum type <name>": a name that lists the values tells the remedy.
    values = [dg.EnumValue(word, description=meaning) for word, meaning in option.words.items()]
    return dg.Enum(" | ".join(option.words), values)


#: By what is allowed: options that allow the same have one type, as Dagster knows types by name.
_TYPES: dict[str, Any] = {option.allowed: _build_type(option) for option in OPTIONS.values()}


def run_config_schema(config: SyncConfig) -> dict[str, dg.Field]:
    """The fields of the launchpad for this sync, with the file's values as defaults."""
    return {name: _build_field(option, config) for name, option in OPTIONS.items()}


def _build_field(option: Option, config: SyncConfig) -> dg.Field:
    text = f"{option.text.rstrip('.')}: {option.allowed}." if option.allowed else option.text
    default = getattr(config, option.name) if option.is_of_files else option.default
    stated: dict[str, Any] = {} if default is None else {"default_value": default}
    return dg.Field(_TYPES[option.allowed], is_required=False, description=text, **stated)


def build_config_mapping(config: SyncConfig) -> dg.ConfigMapping:
    """Map the flat run config to Dagster's nested one."""

    def to_run_config(values: Mapping[str, Any]) -> dict[str, Any]:
        options = RunOptions.model_validate(values).model_dump()
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
