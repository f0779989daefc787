"""What of a key's value is secret: a mark beside its type, for `redaction`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel


class Secret(Enum):
    """What no text may show of a value. A key may have several marks."""

    #: All of it.
    WHOLE = auto()
    #: What its template takes from variables.
    VARIABLES = auto()
    #: The members whose name says secret.
    NAMED = auto()
    #: Those members, and what the others take from variables.
    HEADERS = auto()
    #: What its members take from variables, but for small numbers, dates and addresses.
    PARAMETERS = auto()
    #: The same of a URL; its password, and its parameters whose name says secret.
    URL = auto()
    #: The passwords in a connection string.
    PASSWORDS = auto()


def marked_values(model: BaseModel) -> Iterator[tuple[Secret, Any]]:
    """The stated values that have a mark, each with the mark, in blocks too."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from marked_values(value)
        elif value is not None:
            yield from ((mark, value) for mark in info.metadata if isinstance(mark, Secret))
