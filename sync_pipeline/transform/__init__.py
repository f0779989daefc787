"""Transform: rows of a source to the entries they say should exist.

Knows templates, field types and how duplicates merge; knows neither sources nor the API nor
Dagster::

    Row ─► templates ─► texts ─► typed by the content type ─► merged by key ─► DesiredEntry
"""

from __future__ import annotations

from collections.abc import Mapping

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.model import EntryLookup, TargetModel
from sync_pipeline.transform.assembly import build_plan
from sync_pipeline.transform.checks import check_templates
from sync_pipeline.transform.mapper import Mapper
from sync_pipeline.transform.samples import SampleFailure, run_samples

__all__ = ["Mapper", "SampleFailure", "check_templates", "compile_mapping", "run_samples"]


def compile_mapping(
    config: SyncConfig,
    target: TargetModel,
    *,
    variables: Mapping[str, str],
    lookup: EntryLookup | None,
) -> Mapper:
    """Compile the mapping of a config file and check it against the content type.

    Args:
        config: The sync.
        target: Content type and locales of the space.
        variables: Environment variables that templates may read as `config.NAME`.
        lookup: Answers `cute.entries_exist` and its like; None: they fail with the record.

    Raises:
        MappingError: With all that is wrong (`.problems`), each with its key in the file.
    """
    return Mapper(build_plan(config, target, variables=variables, lookup=lookup), variables)
