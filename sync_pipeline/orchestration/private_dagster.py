"""What Dagster keeps to itself and this project needs: every such import stands here.

Names that begin with `_` may move in a minor release, which is why `pyproject.toml` bounds Dagster
below the next one. Before the bound is raised: read the reasons below, see whether Dagster has a
public way by then, and run the tests of `orchestration`.
"""

from __future__ import annotations

# Config types of our own: run config has no ranges, and no type that takes a number or a word.
# docs/decisions/0005-own-config-types-check-ranges.md
from dagster._config import ConfigScalar, ConfigScalarKind, ConfigType, ConfigTypeKind
from dagster._config.errors import PostProcessingError

# Runs in this process whose events are read one by one: the public `execute_job` holds all of them
# until the end. https://docs.dagster.io/api/dagster/execution#dagster.execute_job
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run_iterator

# The job's address in workspace.yaml, without which the UI cannot re-execute such a run.
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

__all__ = [
    "ConfigScalar",
    "ConfigScalarKind",
    "ConfigType",
    "ConfigTypeKind",
    "LoadableTargetOrigin",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "PostProcessingError",
    "ReconstructableJob",
    "ReconstructableRepository",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "execute_run_iterator",
]
