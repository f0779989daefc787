"""What a sample of records suggests: where they are, which column is the key, how they map.

Everything here is a guess about a few records; what is uncertain is said in a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sync_pipeline.extract.formats.json_path import spell_step

#: Names under which APIs put their records, most usual first.
_ROW_NAMES: Final = (
    "data", "items", "results", "records", "value", "rows", "entries", "list", "content",
    "elements", "objects", "hits", "docs",
)  # fmt: skip
_KEY_NAMES: Final = ("id", "_id", "uuid", "guid", "key", "code", "sku", "slug", "number", "ref")
#: How deep records may be wrapped, and how many fields are proposed.
_DEPTH: Final = 4
_MOST_FIELDS: Final = 40
#: Below this many records, a column may be unique by chance.
_FEW: Final = 5
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]\w*")
#: Names that Jinja2 would take for its own words or for what a mapping already has.
_RESERVED: Final = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "for", "true", "false", "none"}
)
#: A field of this id cannot be mapped: `sys.Id` is something else.
_FIELD_TAKEN: Final = frozenset({"sys"})


@dataclass(frozen=True, slots=True)
class FieldGuess:
    """One line of a first mapping."""

    #: Id of a field, as Contentful allows it.
    field_id: str
    expression: str
    #: What the sample holds there, for the comment: `text`, `integer`, ...
    kind: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where records may be in a document."""

    #: "" is the root.
    path: str
    rows: Sequence[Mapping[str, Any]]
    is_array: bool = True


def find_places(document: Any) -> list[Place]:
    """Arrays of objects in a document, the likeliest first; else the document as one record."""
    found = sorted(_arrays(document, "", 0), key=_likelihood)
    if found:
        return found
    if isinstance(document, Mapping) and document:
        wrapped = [
            Place(spell_step(name).removeprefix("."), [inner], is_array=False)
            for name, inner in document.items()
            if isinstance(inner, Mapping) and inner and name in _ROW_NAMES
        ]
        return [*wrapped, Place("", [document], is_array=False)]
    return []


def _arrays(value: Any, path: str, depth: int) -> Iterator[Place]:
    if isinstance(value, list):
        rows = [element for element in value if isinstance(element, Mapping)]
        if rows and len(rows) == len(value):
            yield Place(path, rows)
    elif isinstance(value, Mapping) and depth < _DEPTH:
        for name, inner in value.items():
            step = spell_step(name)
            yield from _arrays(inner, path + step if path else step.removeprefix("."), depth + 1)


def _likelihood(place: Place) -> tuple[int, int, int]:
    name = re.split(r"\W+", place.path)[-1].lower()
    rank = _ROW_NAMES.index(name) if name in _ROW_NAMES else len(_ROW_NAMES)
    return (-min(len(place.rows), 2), place.path.count(".") + place.path.count("["), rank)


def guess_key(rows: Sequence[Mapping[str, Any]]) -> tuple[str | None, str]:
    """The column that identifies a record, and what is unsure about it ("" if nothing)."""
    candidates = [name for name in _columns(rows) if _is_unique(rows, name)]
    if not candidates:
        return None, (
            "no column is unique and filled in all records of the sample: choose the key yourself"
        )
    best = min(candidates, key=lambda name: (_key_rank(name), candidates.index(name)))
    if _key_rank(best) >= len(_KEY_NAMES) + 2:
        return best, f"`{best}` is unique in the sample, but not called like a key"
    if len(rows) < _FEW:
        return best, f"the sample has only {len(rows)} record(s)"
    return best, ""


def _key_rank(name: str) -> int:
    lower = name.lower()
    if lower in _KEY_NAMES:
        return _KEY_NAMES.index(lower)
    if re.search(r"(?:(?:^|[_\-. ])id|[a-z]I[dD])$", name):
        return len(_KEY_NAMES)
    if any(lower.endswith(word) for word in ("code", "key", "number", "uuid", "sku")):
        return len(_KEY_NAMES) + 1
    return len(_KEY_NAMES) + 2


def _is_unique(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row.get(name) for row in rows]
    if any(isinstance(value, bool) or not isinstance(value, str | int) for value in values):
        return False
    texts = [str(value) for value in values]
    return all(text.strip() for text in texts) and len(set(texts)) == len(texts)


def guess_fields(rows: Sequence[Mapping[str, Any]]) -> tuple[list[FieldGuess], list[str]]:
    """A first mapping of all scalar columns, and the columns that are left out."""
    fields: list[FieldGuess] = []
    left_out: list[str] = []
    taken: set[str] = set()
    for path, values in _leaves(rows):
        kind = _kind(values)
        if kind is None or len(fields) >= _MOST_FIELDS:
            left_out.append(".".join(path))
            continue
        field_id = _field_id(path, taken)
        taken.add(field_id.lower())
        fields.append(FieldGuess(field_id, f"{{{{ {_access(path)} }}}}", kind))
    return fields, left_out


def field_of(fields: Sequence[FieldGuess], column: str) -> FieldGuess | None:
    """The line of the mapping that takes a column."""
    expression = f"{{{{ {_access((column,))} }}}}"
    return next((field for field in fields if field.expression == expression), None)


def _leaves(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Columns with their values; objects one level deep are taken apart."""
    for name in _columns(rows):
        values = [row[name] for row in rows if row.get(name) is not None]
        objects = [value for value in values if isinstance(value, Mapping)]
        if objects and len(objects) == len(values):
            for inner in _columns(objects):
                yield (
                    (name, inner),
                    [value[inner] for value in objects if value.get(inner) is not None],
                )
        else:
            yield (name,), values


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _kind(values: Sequence[Any]) -> str | None:
    """What a column holds; None for what a field cannot take as it is."""
    kinds = {_kind_of(value) for value in values}
    if not kinds:
        return "always empty in the sample"
    if None in kinds or (len(kinds) > 1 and kinds != {"integer", "number"}):
        return None if None in kinds else "mixed"
    return "number" if len(kinds) > 1 else kinds.pop()


def _kind_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        is_date = re.match(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d|$)", value)
        return "date" if is_date else ("long text" if len(value) > 255 else "text")
    if isinstance(value, list):
        return "list" if all(isinstance(item, str | int | float) for item in value) else None
    return None


def _access(path: Sequence[str]) -> str:
    text = "row"
    for name in path:
        plain = _PLAIN_NAME.fullmatch(name) and name.lower() not in _RESERVED
        quoted = name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        text += f".{name}" if plain and name.isascii() else f"['{quoted}']"
    return text


def _field_id(path: Sequence[str], taken: set[str]) -> str:
    """`streetName` of `address`, `street-name`: a letter, then letters, digits and `_`."""
    words = [word for name in path for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    text = "".join(word[:1].upper() + word[1:] for word in words)
    text = text[:1].lower() + text[1:]
    if not text[:1].isalpha():
        text = f"field{text[:1].upper()}{text[1:]}"
    text = text[:50]
    field_id, at = text, 2
    while field_id.lower() in taken or field_id in _FIELD_TAKEN:
        field_id, at = f"{text}{at}", at + 1
    return field_id
