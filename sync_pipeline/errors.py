"""Every public error, grouped by what the reader should do.

::

    SyncPipelineError
    ├── UsageError                  change the file, the environment or the command (exit code 2)
    │   ├── ConfigError             a config file: names file, key and fix
    │   ├── MappingError            the mapping does not fit the content type or cannot be compiled
    │   └── EnvironmentVariableError  an environment variable is missing or wrong
    ├── AccessError                 no access, or the other side is down (exit code 3)
    │   ├── SourceError             the source; `.retryable` says whether another attempt can help
    │   │   └── SourceDataError     the source answered, but not with what was declared (HTML,
    truncated JSON, ...)
    │   ├── SpaceError              the space refused the whole run (401, 403, unknown space, down)
    │   └── MissingExtraError       an optional driver is not installed: names the extra
    ├── RecordError                 one record or entry; becomes a dead letter, never stops a run
    ├── SpoolError                  disk full, damaged or missing spool file
    ├── MemoryBoundError            SYNC_MAX_MEMORY_MB would be passed
    ├── BusyError                   another run of this sync is going
    └── LeaseLostError              another may be at work on what this run was at work on
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class SyncPipelineError(Exception):
    """Base of all errors that this package raises on purpose. The text is fit to be shown to a
    user.
    """

    exit_code = 3


class UsageError(SyncPipelineError):
    """Something the user wrote must change; trying again unchanged cannot help."""

    exit_code = 2


class ConfigError(UsageError):
    """A config file is wrong.

    Args:
        message: What is wrong and how to mend it.
        file: The file, where known.
        key: Dotted path of the key in the file (`pagination.limitMax`), where known.
        problems: All that is wrong with the file, as (dotted key, message), where it is more than
            one thing; `message` then lists them.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        key: str = "",
        problems: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.message = message
        self.problems = tuple(problems) or ((key, message),)
        self.file = file
        self.key = key
        where = ": ".join(str(part) for part in (file, key) if part)
        super().__init__(f"{where}: {message}" if where else message)


class MappingError(ConfigError):
    """The mapping names a field, locale, variable or filter that cannot exist, or does not
    compile.
    """


class EnvironmentVariableError(UsageError):
    """An environment variable is missing or cannot be read; the text names it."""


class AccessError(SyncPipelineError):
    """The other side cannot be reached, refuses us, or answers nonsense."""


class SourceError(AccessError):
    """A request to the source failed for good (or its retries are used up)."""

    def __init__(self, message: str, *, status: int | None = None, retryable: bool = False) -> None:
        self.status = status
        self.retryable = retryable
        super().__init__(message)


class SourceDataError(SourceError):
    """The source answered with something else than the config declares. Nothing already spooled is
    lost.
    """


class SpaceError(AccessError):
    """The space refused something that concerns the whole run, or stayed unreachable.

    Args:
        message: What was being done, what came back, what to do.
        status: HTTP status, where there was an answer.
        error_id: Contentful's `sys.id` of the error.
        request_id: Contentful's request id.
    """

    def __init__(
        self, message: str, *, status: int | None = None, error_id: str = "", request_id: str = ""
    ) -> None:
        self.status = status
        self.error_id = error_id
        self.request_id = request_id
        super().__init__(message)


class MissingExtraError(AccessError):
    """An optional dependency is not installed; the text names the extra to install."""

    exit_code = 2


class RecordError(SyncPipelineError):
    """One record cannot be mapped or written; the caller turns it into a `DeadLetter`.

    Args:
        message: The reason, without the value where it could be long.
        field: `name.en-US`, where one field is to blame.
        error_id: Short class of the error for tables (`TemplateError`, `TypeMismatch`,
        `MissingKey`).
    """

    def __init__(self, message: str, *, field: str = "", error_id: str = "RecordError") -> None:
        self.field = field
        self.error_id = error_id
        super().__init__(message)


class SpoolError(SyncPipelineError):
    """The spool on disk cannot be written or read (disk full, damaged, removed)."""


class MemoryBoundError(SyncPipelineError):
    """Going on would pass SYNC_MAX_MEMORY_MB; the text names streaming mode."""


class BusyError(SyncPipelineError):
    """Another run of the same sync is going; wait for it or end it."""


class LeaseLostError(SyncPipelineError):
    """This run was taken for dead, or ended from outside: it must not write anything more, neither
    to the space nor to what other runs go on with.
    """
