"""Config files to frozen `SyncConfig`s.

::

    path ─► text ─► nodes (yaml_reading) ─► one shape (dialects) ─► names and kinds (normalizing)
                                                     ─► SyncConfig (pydantic) ─► checks

Every step gathers problems; a file is refused once, with all of them.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sync_pipeline.config.checks import find_contradictions, notices_of
from sync_pipeline.config.dialects import to_one_shape
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.normalizing import (
    Loc,
    Report,
    file_fields,
    file_name_of,
    models_of,
    normalize,
)
from sync_pipeline.config.problems import Place, Problem, config_error, shorten
from sync_pipeline.config.yaml_reading import read_text, read_yaml
from sync_pipeline.errors import ConfigError

SUFFIXES = (".yaml", ".yml")

_log = logging.getLogger(__name__)

#: Valid stand-ins for broken required keys, so that the rest of the file can be checked too.
_STAND_INS: Mapping[str, Any] = {
    "content_type": "x",
    "content_key_field": "x",
    "mapping": [{"field_name": "x", "expression": ""}],
}

_ADVICE: Mapping[Loc, str] = {
    ("content_type",): "add `contentType: <id of the content type>`",
    ("content_key_field",): "add `contentKeyField: <field>`, the field that identifies a record",
    ("mapping",): 'add `mapping:` with lines such as "name.en": "{{ row.name }}"',
}


@dataclass(frozen=True)
class LoadedConfigs:
    """The files of a directory: those that load, and why the others do not."""

    #: By key, in alphabetical order.
    configs: dict[str, SyncConfig] = field(default_factory=dict)
    #: By key (the stem, where it cannot be a key); disjoint from `configs`.
    errors: dict[str, ConfigError] = field(default_factory=dict)


def load_configs(directory: Path, *, log: logging.Logger = _log) -> LoadedConfigs:
    """Load every `*.yaml` and `*.yml` of a directory, hidden files left out; not recursive.

    A broken file costs only itself: its error is under its key in `errors`.

    Raises:
        ConfigError: The directory itself is missing or cannot be read.
    """
    try:
        paths = sorted(
            path
            for path in directory.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
    except OSError as err:
        raise ConfigError(
            f"is not a directory that can be read ({err.strerror}); "
            "create it, or set SYNC_CONFIGS_DIR to the directory with the config files",
            file=directory,
        ) from None
    by_key: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_key[path.stem.replace("-", "_")].append(path)
    loaded = LoadedConfigs()
    for key, same in sorted(by_key.items()):
        if len(same) > 1:
            names = " and ".join(path.name for path in same)
            message = f"{names} have the same key `{key}`; rename all but one of them"
            loaded.errors[key] = ConfigError(message, file=same[0])
            continue
        try:
            loaded.configs[key] = load_config(same[0], log=log)
        except ConfigError as err:
            loaded.errors[key] = err
    return loaded


def load_config(path: Path, *, log: logging.Logger = _log) -> SyncConfig:
    """Load one config file, in whichever dialect it is written.

    Args:
        path: The file; its stem, with `-` as `_`, is the key of the sync.
        log: Told about what is accepted and has no effect (warnings).

    Raises:
        ConfigError: With everything that is wrong with the file.
    """
    key = key_of(path)
    config, notices = parse_config(read_text(path), key=key, file=path)
    for notice in notices:
        log.warning("%s: %s", path, notice)
    return config


def key_of(path: Path) -> str:
    """The key that a file name makes.

    Raises:
        ConfigError: Dagster could not name a job after it.
    """
    key = path.stem.replace("-", "_")
    if not re.fullmatch(r"[A-Za-z0-9_]+", key):
        suggestion = re.sub(r"[^A-Za-z0-9_]+", "_", key).strip("_") or "products"
        message = (
            "the file's name becomes the names of jobs and may hold only letters (a-z), digits, "
            f"`_` and `-`; rename it, e.g. to {suggestion}{path.suffix}"
        )
        raise ConfigError(message, file=path)
    return key


def parse_config(
    text: str, *, key: str, file: Path | None = None
) -> tuple[SyncConfig, Sequence[str]]:
    """The config that a text describes, and notices of what in it has no effect. Pure.

    Raises:
        ConfigError: With everything that is wrong with the text.
    """
    root, yaml_problems = read_yaml(text, file=file)
    if root.value is None:
        message = "is empty; a sync needs at least contentType, contentKeyField, endPoint, mapping"
        raise ConfigError(message, file=file)
    shaped, dialect_problems, notices = to_one_shape(root, key=key, file=file)
    report = Report(problems=[*yaml_problems, *dialect_problems])
    values = {**normalize(shaped, report), "key": key, "path": file}
    if not isinstance(shaped.value, dict):
        raise config_error(report.problems, file)
    config = _validate(values, report)
    broken = frozenset(str(loc[0]) for loc in report.broken if loc)
    if config is not None:
        for loc, message in find_contradictions(config, broken):
            report.problems.append(Problem(_place(loc, report), message))
    if report.problems or config is None:
        raise config_error(report.problems, file)
    return config, [*notices, *notices_of(config)]


def _validate(values: dict[str, Any], report: Report) -> SyncConfig | None:
    """The model; where values are broken, a model of the others, to go on checking."""
    try:
        return SyncConfig.model_validate(values)
    except ValidationError as err:
        for problem, loc in _problems_of(err, values, report):
            report.add(problem.place, problem.message, loc)
        broken = {str(error["loc"][0]) for error in err.errors(include_url=False) if error["loc"]}
    report.broken |= {(name,) for name in broken}
    sound = {name: value for name, value in values.items() if name not in broken}
    stand_ins = {name: value for name, value in _STAND_INS.items() if name not in sound}
    try:
        return SyncConfig.model_validate({**sound, **stand_ins})
    except ValidationError:  # pragma: no cover  # what broke has been reported already
        return None


def _problems_of(
    err: ValidationError, values: dict[str, Any], report: Report
) -> Iterator[tuple[Problem, Loc]]:
    told: set[Loc] = set()
    errors = err.errors(include_url=False, include_context=True)
    # Of a union, each member complains; the one about a range says most.
    errors.sort(key=lambda error: error["type"] == "literal_error")
    for error in errors:
        loc = _model_loc(error["loc"], values, missing=error["type"] == "missing")
        is_known = any(loc[:i] in report.broken for i in range(1, len(loc) + 1))
        # Pydantic counts valid items only: a list of broken ones is "too short" as well.
        is_echo = error["type"] == "too_short" and len(_value_in(loc, values)) > 0
        if loc in told or is_known or is_echo:
            continue
        told.add(loc)
        message = _message(error["type"], error.get("ctx", {}), error["msg"], loc)
        # Numbers and booleans only: a text may be a secret.
        if error["type"].startswith(("int", "float", "finite", "bool", "greater", "less")):
            message += f", not `{shorten(_value_in(loc, values))}`"
        yield Problem(_place(loc, report), message), loc


def _model_loc(loc: Loc, values: Any, *, missing: bool) -> Loc:
    """Pydantic's location without the tags of unions that it puts in between."""
    found: list[str | int] = []
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            if last and missing:
                found.append(part)
            continue
        found.append(part)
    return tuple(found)


def _value_in(loc: Loc, values: Any) -> Any:
    for part in loc:
        values = values[part]
    return values


def _message(kind: str, context: Mapping[str, Any], default: str, loc: Loc) -> str:
    if kind == "missing":
        return f"required; {_ADVICE.get(loc, 'add it')}"
    if kind.startswith("int"):
        return "must be a whole number"
    if kind.startswith(("float", "finite")):
        return "must be a number"
    if kind.startswith("bool"):
        return "must be true or false"
    if kind in {"greater_than_equal", "greater_than"}:
        least = context.get("ge", context.get("gt"))
        return f"must be {'at least' if 'ge' in context else 'more than'} {least:,g}"
    if kind == "less_than_equal":
        return f"must be at most {context['le']:,}"
    if kind in {"string_too_short", "too_short"}:
        return f"must not be empty; {_ADVICE.get(loc, 'give it a value or remove it')}"
    return default


def _place(loc: Loc, report: Report) -> Place:
    """The place of a location; of the nearest one above where the file does not have it."""
    for end in range(len(loc), 0, -1):
        place = report.places.get(loc[:end])
        if place is not None:
            break
    else:
        end, place = 0, Place()
    for i, part in enumerate(loc[end:], end):
        place = place.child(_file_spelling(loc[:i], part))
    return place


def _file_spelling(parent: Loc, name: str | int) -> str | int:
    """The documented spelling of a key that the file does not hold."""
    models: tuple[type[BaseModel], ...] = (SyncConfig,)
    for part in parent:
        if isinstance(part, str):
            models = tuple(
                inner
                for model in models
                if part in file_fields(model)
                for inner in models_of(file_fields(model)[part].annotation)
            )
    for model in models:
        if name in file_fields(model):
            return file_name_of(str(name), file_fields(model)[str(name)])
    return name
