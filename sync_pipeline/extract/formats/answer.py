"""What a source was declared to answer, for the texts of errors: which file, what was declared,
what came.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.evidence import TextMemory

_log = logging.getLogger(__name__)

_log = logging.getLogger(__name__)

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
    #: What the file says of the text's encoding.
    encoding: str | None
    #: Shared by the answers of a source.
    memory: TextMemory
    #: `partialErrors: warn`: records that come with an error are taken.
    takes_partial: bool

    @property
    def is_json(self) -> bool:
        """Whether the text is one document of JSON."""
        return self.declared == "json"

    @property
    def is_csv(self) -> bool:
        """Whether the text is CSV, zipped or not."""
        return self.declared in ("csv", "zippedCsv")

    @property
    def key(self) -> str:
        """The key of the file that states the encoding."""
        return "csv.encoding" if self.is_csv else "resultsEncoding"

    @property
    def where(self) -> str:
        """File and URL, as they stand before a message."""
        return "".join(f"{part}: " for part in (self.file, self.url) if part)

    def warn(self, text: str) -> None:
        """Tell what a reader of the run must know of this answer."""
        self.memory.warn(f"{self.url}: {text}" if self.url else text)

    @property
    def media_type(self) -> str:
        """`text/csv` of `Text/CSV; charset=utf-8`."""
        return self.content_type.split(";", 1)[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The charset that the header declares; that of a zip says nothing of what is in it."""
        return None if self.declared == "zippedCsv" else charset_of(self.content_type)

    def error(self, came: str, fix: str) -> SourceDataError:
        """The error that names file, URL, what was declared, what came and what to do."""
        return SourceDataError(f"{self.where}resultsFormat is {self.declared}, but {came}. {fix}")


def charset_of(content_type: str) -> str | None:
    """The charset that a Content-Type names."""
    found = _CHARSET.search(content_type)
    return found.group(1) if found else None


def describe_answer(
    config: SyncConfig, content_type_header: str | None, url: str, memory: TextMemory | None = None
) -> Answer:
    """The declared side of a response."""
    is_csv = config.results_format in ("csv", "zippedCsv")
    return Answer(
        file=str(config.path or ""),
        declared=config.results_format,
        url=url,
        content_type=content_type_header or "",
        encoding=config.csv.encoding if is_csv else config.results_encoding,
        memory=memory or TextMemory(lambda text: _log.warning("%s%s", url and f"{url}: ", text)),
        takes_partial=config.partial_errors == "warn",
    )
