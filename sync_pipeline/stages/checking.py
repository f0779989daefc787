"""Config files whose templates compile: what a code location, a run and `check` go by.

`config.loading` knows nothing of templates; sources and mappings know nothing of each other.
"""

from __future__ import annotations

from pathlib import Path

from sync_pipeline.config.loading import LoadedConfigs, load_configs
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.problems import Place, Problem, config_error
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.checks import check_source
from sync_pipeline.transform import check_templates


def load_sound_configs(directory: Path) -> LoadedConfigs:
    """Load the files of a directory; one with a template that can never work is broken, too.

    Raises:
        ConfigError: The directory itself is missing or cannot be read.
    """
    loaded = load_configs(directory)
    sound = LoadedConfigs(errors=dict(loaded.errors))
    for key, config in loaded.configs.items():
        try:
            check_sync(config)
        except ConfigError as err:
            sound.errors[key] = err
        else:
            sound.configs[key] = config
    return sound


def check_sync(config: SyncConfig) -> None:
    """Check what can be checked of a sync without its source and its content type.

    Raises:
        ConfigError: With all that is wrong.
    """
    problems: list[Problem] = []
    for check in (check_source, check_templates):
        try:
            check(config)
        except ConfigError as err:
            problems += [Problem(Place(key), message) for key, message in err.problems]
    if problems:
        raise config_error(problems, config.path)
