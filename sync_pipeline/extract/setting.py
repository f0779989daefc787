"""What a source is opened with beside its config."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sync_pipeline.model import EntryLookup


@dataclass(frozen=True, slots=True)
class SourceSetting:
    """What the config does not say; of it each kind of source takes what it needs."""

    #: What templates see as `config.NAME`.
    variables: Mapping[str, str]
    #: Response cache (`use_file_cache`); None: every request goes to the source.
    cache_dir: Path | None = None
    #: The entries of the space, for `enumerateForContentTypes`.
    lookup: EntryLookup | None = None
    #: Only the first so many records.
    limit: int | None = None
    #: One line a request at DEBUG.
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("sync_pipeline.extract"))
    #: Told what a reader of the run must know beside its figures; `log.warning` by default.
    on_warning: Callable[[str], None] | None = None
    #: Pauses for seconds between attempts, and for `requestsPerSecond`.
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def warn(self, text: str) -> None:
        """Tell a reader of the run."""
        if self.on_warning is not None:
            self.on_warning(text)
        else:
            self.log.warning("%s", text)
