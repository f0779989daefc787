"""What one run may choose: the flat run config of `sync_<key>`, with the file's values as
defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync_pipeline.config.model import Mode, Publish


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run; see DESIGN section 4 for the meaning of each."""

    mode: Mode = "regular"
    #: 1 to 10,000 records, or "auto".
    batch_size: int | Literal["auto"] = 1000
    #: False: a dry run, not one request that changes the space.
    apply: bool = False
    publish: Publish = "changed"
    use_file_cache: bool = False
    limit: int | None = None
    #: Requests in flight against the space, 1 to 32.
    concurrency: int = 8
    max_failed_entries: int = 0
    executor: Literal["in_process", "multiprocess"] = "in_process"
    log_level: Literal["debug", "info", "warning"] = "info"
