"""The grammar of field names in a mapping: `<field>[.<locale>][.lat|.lon][[]]`, `sys.Id`.

Pure text: whether the field and the locale exist is for `slots` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Part = Literal["lat", "lon"]
_PARTS: tuple[Part, Part] = ("lat", "lon")


@dataclass(frozen=True, slots=True)
class FieldPath:
    """What a field name of the mapping points at."""

    #: Field id, "" for `sys.Id`.
    field: str
    #: As written; None: the default locale.
    locale: str | None = None
    #: One half of a Location.
    part: Part | None = None
    #: Written with `[]`: must be an Array.
    is_list: bool = False
    is_entry_id: bool = False


def parse_field_path(name: str) -> FieldPath:
    """Read a field name.

    Raises:
        ValueError: It has no meaning; the text says what was expected.
    """
    text = name.strip()
    if text.casefold() == "sys.id":
        return FieldPath("", is_entry_id=True)
    is_list = text.endswith("[]")
    pieces = text.removesuffix("[]").split(".")
    if not all(pieces) or any(piece != piece.strip() for piece in pieces):
        raise ValueError(f'"{name}" is not of the form <field> or <field>.<locale>')
    if pieces[0] == "sys":
        raise ValueError(f'"{name}": of sys only sys.Id can be mapped')
    part: Part | None = None
    if len(pieces) > 1 and pieces[-1] in _PARTS:
        part = _PARTS[_PARTS.index(pieces.pop())]
    if len(pieces) > 2 or (part and is_list):
        raise ValueError(
            f'"{name}" is not of the form <field>, <field>.<locale>, <field>.<locale>[] or'
            " <field>.<locale>.lat (and .lon)"
        )
    locale = pieces[1] if len(pieces) == 2 else None
    return FieldPath(pieces[0], locale, part, is_list)
