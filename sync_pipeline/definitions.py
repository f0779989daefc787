"""Dagster's entry point: every file in the configs folder becomes jobs, schedules and sensors."""

import os

import dagster as dg

from sync_pipeline.config.environment import read_environment
from sync_pipeline.orchestration.code_location import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """All syncs of SYNC_CONFIGS_DIR."""
    return build_definitions(read_environment(os.environ))
