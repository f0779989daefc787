"""What can be wrong with the templates and paths of a source, found without asking it."""

from __future__ import annotations

from collections.abc import Iterator

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.problems import Place, Problem, config_error
from sync_pipeline.errors import ConfigError, MappingError
from sync_pipeline.extract.kinds import module_of
from sync_pipeline.extract.templates import Template
from sync_pipeline.templating import compile_text
from sync_pipeline.templating.checking import constant_problem


def check_source(config: SyncConfig) -> None:
    """Check the templates and paths of a source, whatever the environment variables are.

    Raises:
        ConfigError: With all that is wrong.
    """
    problems = []
    entries = [level.variable for level in config.enumerate_for_content_types]
    for template in _templates(config):
        names = ("config", *entries, *template.more)
        try:
            compile_text(template.source, names=names)
        except MappingError as err:
            problems.append(Problem(Place(template.key), err.message))
    for key, source in _filters(config):
        problem = constant_problem(source)
        if problem:
            problems.append(Problem(Place(key), problem))
    try:
        module_of(config, "checks").check(config)
    except ConfigError as err:
        problems.append(Problem(Place(err.key), err.message))
    if problems:
        raise config_error(problems, config.path)


def _templates(config: SyncConfig) -> Iterator[Template]:
    yield from module_of(config, "checks").templates(config)
    for key, source in _filters(config):
        yield Template(key, source)
    if config.sensor is not None:
        yield Template("sensor.url", config.sensor.url)
        for name, source in config.sensor.headers.items():
            yield Template(f"sensor.headers.{name}", source)


def _filters(config: SyncConfig) -> Iterator[tuple[str, str]]:
    for i, level in enumerate(config.enumerate_for_content_types):
        yield f"enumerateForContentTypes[{i}].filter", level.filter
