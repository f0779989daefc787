"""Text to the value of a field, by the type in the content type; the checks that the API makes.

Blank text never gets here: it means "absent". Limits:
https://www.contentful.com/developers/docs/technical-limits/
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias

from sync_pipeline.dates import normalize_date
from sync_pipeline.errors import RecordError
from sync_pipeline.model import RESOURCE_ID, Field
from sync_pipeline.transform.rich_text import read_rich_text

#: From rendered, non-blank text to the value for the API; None: the value is blank after all.
Converter: TypeAlias = Callable[[str], Any]

MAX_SYMBOL = 256
MAX_TEXT = 50_000
MAX_ITEMS = 1_000
#: Beyond it a double, and so the service, cannot tell neighbours apart.
MAX_INTEGER = 2**53
_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RESOURCE_KINDS = {"entries": "Contentful:Entry", "assets": "Contentful:Asset"}
_URN = re.compile(r"crn:[^:\s]*:::content:spaces/[^/\s]+(?:/environments/[^/\s]+)?/(\w+)/[^/\s]+")
_SHOWN = 40
#: Digits that always stay below MAX_INTEGER.
_SAFE_DIGITS = 15
#: What a JSON text may hold that no JSON can: halves of characters, NaN, infinity by its name or by
#: its size. Seldom there, and then mostly harmless.
_NO_JSON = re.compile(r"[\ud800-\udfff]|\\u[dD]|NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{300}")
#: JSON of nothing, as `tojson` puts it out: no id and no item.
_NULL = "null"
_decode_json = json.JSONDecoder().decode


def converter_for(field: Field, *, is_markdown: bool = False) -> Converter:
    """The function that types a field's text.

    Args:
        field: Its type decides, and for rich text its validations.
        is_markdown: Whether the text of a rich text is known to be Markdown.

    It raises RecordError with `error_id` TypeMismatch, TooLong, TooMany, OutOfRange or
    InvalidId, without the field, which the caller knows.

    Raises:
        ValueError: The field's type is none that this package knows.
    """
    if field.type == "Array":
        return _list_of(field)
    if field.type == "Link":
        return _link_to(field.link_type or "Entry")
    if field.type == "RichText":
        return partial(_rich_text, is_markdown=is_markdown, rules=field.validations)
    try:
        return _CONVERTERS[field.type]
    except KeyError:
        raise ValueError(f'fields of type "{field.type}" cannot be mapped') from None


def read_coordinate(part: str, text: str) -> float | int:
    """Latitude (-90 to 90) or longitude (-180 to 180) in degrees.

    Raises:
        RecordError: Not a number, or out of range.
    """
    value: float | int = _number(text)
    limit = 90 if part == "lat" else 180
    if not -limit <= value <= limit:
        raise RecordError(
            f"{part} must lie between -{limit} and {limit}, not {_show(text)}",
            error_id="OutOfRange",
        )
    return value


def read_entry_id(text: str) -> str:
    """An id chosen by the user.

    Raises:
        RecordError: Contentful would not take it.
    """
    entry_id = text.strip()
    if not RESOURCE_ID.fullmatch(entry_id):
        raise RecordError(
            f"{_show(entry_id)} cannot be an id: 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.'",
            error_id="InvalidId",
        )
    return entry_id


def _symbol(text: str) -> str:
    if len(text) > MAX_SYMBOL:
        _too_long(text, MAX_SYMBOL, "Symbol (short text)")
    return text if text.isascii() else _checked_unicode(text)


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        _too_long(text, MAX_TEXT, "Text (long text)")
    return text if text.isascii() else _checked_unicode(text)


def _integer(text: str) -> int:
    if len(text) <= _SAFE_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    stripped = text.strip()
    if not _INTEGER.fullmatch(stripped):
        value = _number(text, "an integer")
        if value != math.floor(value):
            _mismatch(text, "an integer (nothing is rounded silently; use a filter such as round)")
        return _checked_integer(int(value), text)
    return _checked_integer(int(stripped.split(".", 1)[0][:400]), text)


def _checked_integer(value: int, text: str) -> int:
    if abs(value) > MAX_INTEGER:
        raise RecordError(
            f"{_show(text)} is beyond ±2^53, the integers that Contentful can hold",
            error_id="OutOfRange",
        )
    return value


def _number(text: str, expected: str = "a number") -> float | int:
    if len(text) <= _SAFE_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        _mismatch(text, expected)
    value = float(stripped)
    if not math.isfinite(value):
        raise RecordError(f"{_show(text)} is too large a number", error_id="OutOfRange")
    return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else value


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded == "true":
        return True
    if folded == "false":
        return False
    # Which of two texts is true nobody but the file can know.
    compared = 'in (1, "1")' if folded in ("0", "1") else '== "yes"'
    return _mismatch(
        text, f"true or false: compare it in the mapping, as in {{{{ row.column {compared} }}}}"
    )


def _date(text: str) -> str:
    try:
        return normalize_date(text)
    except (ValueError, OverflowError):
        return _mismatch(text, "a date (ISO 8601: 2024-05-01 or 2024-05-01T08:00:00+02:00)")


def _object(text: str) -> Any:
    value = read_json(text, "a JSON object")
    if value is None:
        return None
    if not isinstance(value, dict | list):
        _mismatch(text, "a JSON object")
    return _checked_json(value, text)


def _rich_text(text: str, *, is_markdown: bool, rules: Sequence[Mapping[str, Any]]) -> Any:
    return _checked_json(read_rich_text(text, is_markdown=is_markdown, rules=rules), text)


def _checked_json(value: Any, text: str) -> Any:
    """The value read from a text, unless it cannot be written as JSON."""
    if _NO_JSON.search(text):
        try:
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:  # UnicodeEncodeError is one
            raise RecordError(
                "the text holds a number that is infinite or none, or half of a surrogate pair",
                error_id="TypeMismatch",
            ) from None
        except RecursionError:
            _mismatch(text, "JSON that is nested less deep")
    return value


def _link_to(link_type: str) -> Converter:
    def link(text: str) -> Any:
        stripped = text.strip()
        if stripped == _NULL:
            return None
        if stripped.startswith("{"):
            return _checked_link(read_json(stripped, "a link"), link_type, text)
        return _link(read_entry_id(stripped), link_type)

    return link


def _link(entry_id: str, link_type: str) -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": link_type, "id": entry_id}}


def _checked_link(value: Any, link_type: str, text: str) -> dict[str, Any]:
    sys = value.get("sys") if isinstance(value, Mapping) else None
    if not isinstance(sys, Mapping) or not isinstance(sys.get("id"), str):
        _mismatch(text, f"the id of an {link_type.lower()}, or a link object")
    found = sys.get("linkType", link_type)
    # An entry as the API gives it has sys.type Entry; it links to itself.
    if found != link_type or sys.get("type", "Link") not in {"Link", link_type}:
        _mismatch(text, f"a link to an {link_type.lower()}")
    return _link(read_entry_id(sys["id"]), link_type)


def _resource_link(text: str) -> Any:
    stripped = text.strip()
    if stripped == _NULL:
        return None
    value = read_json(stripped, "a resource link") if stripped.startswith("{") else None
    sys = value.get("sys") if isinstance(value, Mapping) else {"urn": stripped}
    if not isinstance(sys, Mapping):
        sys = {}
    urn = sys.get("urn")
    match = _URN.fullmatch(urn) if isinstance(urn, str) else None
    if match is None or (match[1] not in _RESOURCE_KINDS and "linkType" not in sys):
        _mismatch(text, "a resource link (crn:contentful:::content:spaces/<id>/entries/<id>)")
    kind = sys.get("linkType") or _RESOURCE_KINDS[match[1]]
    return {"sys": {"type": "ResourceLink", "linkType": kind, "urn": urn}}


def _list_of(field: Field) -> Converter:
    convert: Converter
    if field.items_type == "Link":
        convert = _link_to(field.link_type or "Entry")
    elif field.items_type == "ResourceLink":
        convert = _resource_link
    else:
        convert = _symbol

    def items(text: str) -> Any:
        pieces = [] if text.strip() == _NULL else split_list(text)
        if len(pieces) > MAX_ITEMS:
            raise RecordError(
                f"{len(pieces):,} items; Contentful holds {MAX_ITEMS:,} in a list",
                error_id="TooMany",
            )
        return [item for item in map(convert, pieces) if item is not None] or None

    return items


def split_list(text: str) -> list[str]:
    """Items of a list: exactly those of a JSON list, else split at `|`, else at `,`, trimmed.

    Raises:
        RecordError: A JSON list holds lists.
    """
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            value = _decode_json(stripped)
        except (ValueError, RecursionError):
            value = None  # text that only begins like a list, such as "[new], a"
        if isinstance(value, list):
            return [_item_text(item, text) for item in value if item is not None]
    pieces = stripped.split("|") if "|" in stripped else stripped.split(",")
    return [piece.strip() for piece in pieces if piece.strip()]


def _item_text(item: Any, text: str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return str(item)
    if isinstance(item, dict):
        return json.dumps(item, ensure_ascii=False)
    return _mismatch(text, "a list of texts or links, without lists in it")


def read_json(text: str, expected: str) -> Any:
    """Parse JSON, without NaN and infinity, which JSON does not have.

    Raises:
        RecordError: It is no JSON.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _mismatch(text, expected)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _checked_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecordError(
            "the text holds half of a surrogate pair, which is no character",
            error_id="TypeMismatch",
        ) from None
    return text


def _mismatch(text: str, expected: str) -> NoReturn:
    raise RecordError(f"{_show(text)} is not {expected}", error_id="TypeMismatch")


def _too_long(text: str, limit: int, kind: str) -> NoReturn:
    raise RecordError(f"{len(text):,} characters; a {kind} holds {limit:,}", error_id="TooLong")


def _show(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= _SHOWN else f'"{line[: _SHOWN - 3]}..."'


_CONVERTERS: Mapping[str, Converter] = {
    "Symbol": _symbol,
    "Text": _text,
    "Integer": _integer,
    "Number": _number,
    "Boolean": _boolean,
    "Date": _date,
    "Object": _object,
    "ResourceLink": _resource_link,
}
