"""Warnings that a run must not only log: they stand in its summary and on the command line, too."""

from __future__ import annotations

from collections.abc import Callable

from sync_pipeline.batches.run_warnings import add_warning
from sync_pipeline.stages.setting import Setting, build_redactor


def warn(setting: Setting, text: str) -> None:
    """Log a warning, and keep it with the run. Secrets are taken out of it."""
    text = build_redactor(setting).redact(text)
    setting.log.warning("%s", text)
    add_warning(setting.spool, text)


def build_warner(setting: Setting) -> Callable[[str], None]:
    """`warn` for parts that know nothing of the run, such as a source."""
    return lambda text: warn(setting, text)
