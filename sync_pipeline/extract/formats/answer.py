"""What a source was declared to answer, for the texts of errors: which file, what was declared,
what came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceDataError

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, as its reader must know it to say clearly what is wrong with it."""

    #: The config file, "" where the config has none.
    file: str
    #: `resultsFormat` of the config.
    declared: str
    #: Redacted by the caller; for texts only.
    url: str
    #: The `Content-Type` header, "" where there was none.
    content_type: str

    @property
    def media_type(self) -> str:
        """`text/csv` of `Text/CSV; charset=utf-8`."""
        return self.content_type.split(";", 1)[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The charset that the header declares."""
        found = _CHARSET.search(self.content_type)
        return found.group(1) if found else None

    def error(self, came: str, fix: str) -> SourceDataError:
        """The error that names file, URL, what was declared, what came and what to do."""
        where = "".join(f"{part}: " for part in (self.file, self.url) if part)
        return SourceDataError(f"{where}resultsFormat is {self.declared}, but {came}. {fix}")


def describe_answer(config: SyncConfig, content_type_header: str | None, url: str) -> Answer:
    """The declared side of a response."""
    return Answer(
        file=str(config.path or ""),
        declared=config.results_format,
        url=url,
        content_type=content_type_header or "",
    )
