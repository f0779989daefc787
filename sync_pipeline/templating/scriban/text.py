"""Scriban's functions `string.*` and `html.*`, as filters of the same names.

https://github.com/scriban/scriban/blob/master/doc/builtins.md; texts that are null are empty.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

from sync_pipeline.templating.arguments import Number, read_count, read_number
from sync_pipeline.templating.bounds import checked_size, template_error
from sync_pipeline.templating.sandbox import bounded_join, bounded_replace
from sync_pipeline.templating.text import to_text

#: What begins like this ends like that; what never ends is a tag like any other.
_BLOCKS = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (
        re.compile(r"<(?:script|style)\b", re.IGNORECASE),
        re.compile(r"</(?:script|style)\s*>", re.IGNORECASE),
    ),
)
_NOT_WORD = re.compile(r"[\W_]+")


def build_text_functions() -> dict[str, Callable[..., Any]]:
    """The functions by their dotted names."""
    return {
        "string.append": lambda text, more: bounded_join("", (text, more)),
        "string.base64_decode": _base64_decode,
        "string.base64_encode": lambda text: base64.b64encode(_bytes(text)).decode("ascii"),
        "string.capitalize": lambda text: _capitalized(to_text(text)),
        "string.capitalizewords": lambda text: re.sub(
            r"\S+", lambda word: _capitalized(word[0]), to_text(text)
        ),
        "string.contains": lambda text, part: to_text(part) in to_text(text),
        "string.downcase": lambda text: to_text(text).lower(),
        "string.empty": lambda text: not to_text(text),
        "string.ends_with": lambda text, end: to_text(text).endswith(to_text(end)),
        "string.equals_ignore_case": lambda text, other: (
            to_text(text).casefold() == to_text(other).casefold()
        ),
        "string.escape": _escape,
        "string.handleize": lambda text: _NOT_WORD.sub("-", to_text(text)).strip("-").lower(),
        "string.index_of": lambda text, part, start=0: to_text(text).find(
            to_text(part), read_count(start, "string.index_of")
        ),
        "string.lstrip": lambda text: to_text(text).lstrip(),
        "string.md5": lambda text: hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest(),
        "string.pad_left": _pad_left,
        "string.pad_right": _pad_right,
        "string.pluralize": _pluralize,
        "string.prepend": lambda text, before: bounded_join("", (before, text)),
        "string.remove": lambda text, part: _removed(to_text(text), to_text(part)),
        "string.remove_first": lambda text, part: _replace_first(text, part, ""),
        "string.remove_last": lambda text, part: _replace_first(text, part, "", from_end=True),
        "string.replace": _replace,
        "string.replace_first": _replace_first,
        "string.rstrip": lambda text: to_text(text).rstrip(),
        "string.sha1": lambda text: hashlib.sha1(_bytes(text), usedforsecurity=False).hexdigest(),
        "string.sha256": lambda text: hashlib.sha256(_bytes(text)).hexdigest(),
        "string.size": lambda text: len(to_text(text)),
        "string.slice": _slice,
        "string.slice1": lambda text, start, length=1: _slice(text, start, length),
        "string.split": _split,
        "string.starts_with": lambda text, start: to_text(text).startswith(to_text(start)),
        "string.strip": lambda text: to_text(text).strip(),
        "string.strip_newlines": lambda text: re.sub(r"\r\n|\r|\n", "", to_text(text)),
        "string.to_double": lambda text: _parsed(text, float),
        "string.to_float": lambda text: _parsed(text, float),
        "string.to_int": lambda text: _parsed(text, int),
        "string.to_long": lambda text: _parsed(text, int),
        "string.truncate": _truncate,
        "string.truncatewords": _truncate_words,
        "string.upcase": lambda text: to_text(text).upper(),
        "string.whitespace": lambda text: not to_text(text).strip(),
        "html.escape": lambda text: html.escape(to_text(text)),
        "html.strip": lambda text: _without_tags(to_text(text)),
        "html.url_encode": lambda text: quote_plus(to_text(text), safe="~"),
        "html.url_escape": lambda text: quote(to_text(text), safe="~:/?#[]@!$&'()*+,;="),
    }


def _without_tags(html: str) -> str:
    """Text without tags, comments, scripts and styles; in one pass, whatever a row brings along."""
    kept = []
    at = 0
    #: Blocks whose end is known not to come any more.
    endless: set[re.Pattern[str]] = set()
    while (start := html.find("<", at)) >= 0:
        kept.append(html[at:start])
        end = -1
        for opening, closing in _BLOCKS:
            opened = None if closing in endless else opening.match(html, start)
            if opened is None:
                continue
            closed = closing.search(html, opened.end())
            if closed is None:
                endless.add(closing)
            else:
                end = closed.end()
        if end < 0:
            end = html.find(">", start) + 1
        if end == 0:  # no tag ends any more
            at = start
            break
        at = end
    return "".join([*kept, html[at:]])


def _pad_left(text: Any, width: Any, char: Any = " ") -> str:
    return to_text(text).rjust(read_count(width, "string.pad_left"), _one_char(char))


def _pad_right(text: Any, width: Any, char: Any = " ") -> str:
    return to_text(text).ljust(read_count(width, "string.pad_right"), _one_char(char))


def _one_char(char: Any) -> str:
    text = to_text(char)
    if len(text) != 1:
        raise template_error("padding needs exactly one character")
    return text


def _bytes(text: Any) -> bytes:
    return to_text(text).encode("utf-8", "surrogatepass")


def _base64_decode(text: Any) -> str:
    try:
        return base64.b64decode(to_text(text), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise template_error("string.base64_decode: not the Base64 of a text") from None


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escape(text: Any) -> str:
    escapes = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"'}
    return "".join(escapes.get(char, char) for char in to_text(text))


def _pluralize(number: Any, singular: Any, plural: Any) -> str:
    return to_text(singular if read_number(number, "string.pluralize") == 1 else plural)


def _replace(text: Any, old: Any, new: Any) -> str:
    return (
        bounded_replace(to_text(text), to_text(old), to_text(new))
        if to_text(old)
        else to_text(text)
    )


def _removed(text: str, part: str) -> str:
    return text.replace(part, "") if part else text


def _replace_first(text: Any, old: Any, new: Any, from_end: bool = False) -> str:
    whole, part = to_text(text), to_text(old)
    at = whole.rfind(part) if from_end else whole.find(part)
    if at < 0 or not part:
        return whole
    checked_size(len(whole) + len(to_text(new)))
    return whole[:at] + to_text(new) + whole[at + len(part) :]


def _slice(text: Any, start: Any, length: Any = None) -> str:
    whole = to_text(text)
    begin = read_count(start, "string.slice")
    if begin < 0:
        begin = max(0, begin + len(whole))
    if length is None:
        return whole[begin:]
    return whole[begin : begin + max(0, read_count(length, "string.slice"))]


def _split(text: Any, separator: Any) -> list[str]:
    whole, between = to_text(text), to_text(separator)
    pieces = whole.split(between) if between else list(whole)
    return [piece for piece in pieces if piece]


def _parsed(text: Any, kind: Callable[[Any], Number]) -> Number | None:
    written = to_text(text).strip()
    pattern = (
        r"[+-]?[0-9]{1,300}" if kind is int else r"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,4})?"
    )
    return kind(written) if re.fullmatch(pattern, written) else None


def _truncate(text: Any, length: Any, ellipsis: Any = "...") -> str:
    whole, end = to_text(text), to_text(ellipsis)
    size = read_count(length, "string.truncate")
    if len(whole) <= size:
        return whole
    return whole[: max(0, size - len(end))] + end


def _truncate_words(text: Any, count: Any, ellipsis: Any = "...") -> str:
    whole = to_text(text)
    size = read_count(count, "string.truncatewords")
    words = whole.split()
    return whole if len(words) <= size else " ".join(words[:size]) + to_text(ellipsis)
