"""What a run prints: its own lines, without Dagster's events, which the UI shows better."""

from __future__ import annotations

import logging
import sys
from typing import Any

import dagster as dg

#: The command line replaces this logger's handler by its progress display.
LOGGER_NAME = "sync_pipeline.run"
#: Attribute of the log records that a stage wrote; all others are Dagster's.
LINE_OF_OURS = "sync_line"
LOGGERS_CONFIG: dict[str, Any] = {"loggers": {"sync": {"config": {}}}}


@dg.logger(config_schema={}, description="The sync's own lines on stderr.")
def sync_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """A logger that leaves out what Dagster itself has to say."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(logging.INFO)  # below that, Dagster tells of every file it pickles
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        logger.addHandler(handler)
    if not logger.filters:
        logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    if not getattr(record, LINE_OF_OURS, False):
        return False
    meta = getattr(record, "dagster_meta", None) or {}
    record.msg, record.args = meta.get("orig_message", record.getMessage()), ()
    return True
