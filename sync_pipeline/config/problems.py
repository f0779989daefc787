"""What is wrong with a config file, collected first and raised once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sync_pipeline.errors import ConfigError

#: Characters of a key that a message shows, and of a message: a file may hold any text as a key.
_MAX_NAME = 80
_MAX_MESSAGE = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a config file."""

    #: Dotted, in the file's own spelling: `pagination.limitMax`, `mapping[2].expression`.
    key: str = ""
    #: 1-based; 0 where unknown.
    line: int = 0

    def child(self, name: str | int, line: int = 0) -> Place:
        """The place of a key, or of an item, below this one."""
        if isinstance(name, int):
            return Place(f"{self.key}[{name}]", line or self.line)
        name = shorten(name, _MAX_NAME) if len(name) > _MAX_NAME else name
        text = f'"{name}"' if "." in name or name == "" else name
        return Place(f"{self.key}.{text}" if self.key else text, line or self.line)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: the message says what is wrong and how to put it right."""

    place: Place
    message: str

    @property
    def text(self) -> str:
        """The message, led by the line where it is known."""
        message = self.message
        if len(message) > _MAX_MESSAGE:  # it quotes what the file holds
            message = f"{message[:_MAX_MESSAGE]}..."
        return f"line {self.place.line}: {message}" if self.place.line else message


def config_error(problems: Iterable[Problem], file: Path | str | None) -> ConfigError:
    """One error for all problems of a file (at least one), in the order of the file."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.place.line)
    pairs = [(problem.place.key, problem.text) for problem in ordered]
    if len(pairs) == 1:
        [(key, text)] = pairs
        return ConfigError(text, file=file, key=key)
    listed = "".join(f"\n  - {key}: {text}" if key else f"\n  - {text}" for key, text in pairs)
    return ConfigError(f"{len(pairs)} problems:{listed}", file=file, problems=pairs)


def shorten(value: object, limit: int = 40) -> str:
    """The value as it can stand in a message: one line, not long."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
