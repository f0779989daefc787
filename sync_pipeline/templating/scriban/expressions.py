"""Scriban expressions in Jinja2's spelling.

What is plain Jinja2 comes back unchanged, letter by letter. Translated are `&&`, `||`, `!`, `??`,
text in backticks, ranges `1..5`, `for.index`, and calls with arguments after spaces::

    row.name | string.truncate 20 "..."     row.name | string.truncate(20, "...")
    cute.switch row.kind "a" "b"            cute.switch(row.kind, "a", "b")
    !row.old && row.price ?? 0              (not row.old) and row.price | coalesce(0)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<number>\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>\?\?|&&|\|\||==|!=|<=|>=|//|\*\*|\.\.<|\.\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
#: Words between two values in Jinja2: what follows them is no argument.
_OPERATOR_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else"})
_LOOP = {
    "index": "index0", "rindex": "revindex0", "first": "first", "last": "last", "length": "length",
    "even": "index0 % 2 == 0", "odd": "index0 % 2 == 1",
}  # fmt: skip


class ScribanError(Exception):
    """An expression that Jinja2 spells in another way; the text says how."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    has_space: bool


@dataclass(frozen=True, slots=True)
class _Group:
    opening: str
    items: tuple[_Item, ...]
    has_space: bool
    kind: str = "group"

    @property
    def text(self) -> str:
        return self.opening


_Item: TypeAlias = "_Token | _Group"


def translate_expression(code: str, namespaces: Collection[str]) -> str:
    """A Scriban expression in Jinja2's spelling; Jinja2 comes back unchanged.

    Args:
        code: Without its braces.
        namespaces: What stands before the dot of functions, for calls without parentheses.

    Raises:
        ScribanError: It has no translation; the text names Jinja2's spelling.
    """
    items = _read_items(code)
    if items is None:
        return code  # brackets do not match: Jinja2 has the better message
    translator = _Translator(namespaces)
    translated = translator.translate(items)
    return f" {translated} " if translator.has_changed else code


def _read_items(code: str) -> tuple[_Item, ...] | None:
    stack: list[tuple[str, bool, list[_Item]]] = [("", False, [])]
    has_space = False
    for match in _TOKEN.finditer(code):
        kind, text = str(match.lastgroup), match[0]
        if kind == "space":
            has_space = True
            continue
        if text in _CLOSING:
            stack.append((text, has_space, []))
        elif text in _CLOSING.values():
            opening, was_spaced, items = stack.pop()
            if not stack or _CLOSING.get(opening) != text:
                return None
            stack[-1][2].append(_Group(opening, tuple(items), was_spaced))
        else:
            stack[-1][2].append(_Token(kind, text, has_space))
        has_space = False
    return tuple(stack[0][2]) if len(stack) == 1 else None


class _Translator:
    def __init__(self, namespaces: Collection[str]) -> None:
        self._namespaces = namespaces
        self.has_changed = False

    def translate(self, items: Sequence[_Item]) -> str:
        """Pieces between commas and colons, each an expression."""
        pieces: list[list[_Item]] = [[]]
        separators: list[str] = []
        for item in items:
            if item.kind == "sign" and item.text in {",", ":", "="}:
                separators.append(item.text)
                pieces.append([])
            else:
                pieces[-1].append(item)
        texts = [self._piped(piece) for piece in pieces]
        out = texts[0]
        for separator, text in zip(separators, texts[1:], strict=True):
            out += f"{separator}{' ' if text else ''}{text}"
        return out

    def _piped(self, items: Sequence[_Item]) -> str:
        head, *filters = _split(items, "|")
        alternatives = _split(head, "??")
        if len(alternatives) > 1:
            self.has_changed = True
            first, *rest = (self._simple(part) for part in alternatives)
            out = f"({first}) | coalesce({', '.join(rest)})"
        else:
            out = self._simple(head)
        for piece in filters:
            out += f" | {self._filter(piece)}"
        return out

    def _filter(self, items: Sequence[_Item]) -> str:
        name, end = _dotted_name(items, 0)
        arguments, stop = self._arguments(items, end)
        if not name or not arguments:
            return self._simple(items)
        self.has_changed = True
        rest = self._simple(items[stop:])
        return f"{name}({', '.join(arguments)})" + (f" {rest}" if rest else "")

    def _arguments(self, items: Sequence[_Item], start: int) -> tuple[list[str], int]:
        """Values after a function, separated by spaces; none if it is called as usual."""
        at = start
        found = []
        while at < len(items) and _starts_value(items, at, items[at].has_space):
            end = _value_end(items, at)
            found.append(self._simple(items[at:end]))
            at = end
        is_call = len(found) == 1 and items[start].text == "(" and not items[start].has_space
        return ([], start) if is_call else (found, at)

    def _simple(self, items: Sequence[_Item]) -> str:
        out: list[str] = []
        at = 0
        while at < len(items):
            text, at = self._next(items, at)
            out.append(text)
        return "".join(out).strip()

    def _next(self, items: Sequence[_Item], at: int) -> tuple[str, int]:
        item = items[at]
        space = " " if item.has_space else ""
        if isinstance(item, _Group):
            inside = self.translate(item.items)
            return f"{space}{item.opening}{inside}{_CLOSING[item.opening]}", at + 1
        if item.text in {"?", "$", "@"}:
            raise ScribanError(_REFUSED[item.text])
        if item.text in {"&&", "||"}:
            self.has_changed = True
            return (" and " if item.text == "&&" else " or "), at + 1
        if item.text == "!":
            self.has_changed = True
            end = _value_end(items, at + 1)
            return f"{space}(not {self._simple(items[at + 1 : end])})", end
        if item.kind == "text" and item.text.startswith("`"):
            self.has_changed = True
            return f"{space}{_quoted(item.text[1:-1])}", at + 1
        if item.text == "." or _is_member(items, at):
            return space + item.text, at + 1  # a range was looked for where the path began
        if item.kind == "name":
            return self._name(items, at, space)
        return self._range(items, at, space)

    def _name(self, items: Sequence[_Item], at: int, space: str) -> tuple[str, int]:
        name, end = _dotted_name(items, at)
        if name.startswith("for.") and name[4:] in _LOOP:
            self.has_changed = True
            spelled = f"loop.{_LOOP[name[4:]]}"
            return f"{space}({spelled})" if "%" in spelled else f"{space}{spelled}", end
        if "." in name and name.split(".", 1)[0] in self._namespaces:
            arguments, stop = self._arguments(items, end)
            if arguments:
                self.has_changed = True
                return f"{space}{name}({', '.join(arguments)})", stop
        return self._range(items, at, space)

    def _range(self, items: Sequence[_Item], at: int, space: str) -> tuple[str, int]:
        """A single token, or `first..last` where one follows."""
        end = _value_end(items, at)
        if end < len(items) and items[end].text in {"..", "..<"} and end > at:
            self.has_changed = True
            stop = _value_end(items, end + 1)
            first = "".join(self._token(item) for item in items[at:end]).strip()
            last = "".join(self._token(item) for item in items[end + 1 : stop]).strip()
            upper = last if items[end].text == "..<" else f"{last} + 1"
            return f"{space}range({first}, {upper})", stop
        return space + items[at].text, at + 1

    def _token(self, item: _Item) -> str:
        if isinstance(item, _Group):
            return f"{item.opening}{self.translate(item.items)}{_CLOSING[item.opening]}"
        return item.text


_REFUSED = {
    "?": "Scriban's `a ? b : c` is written `b if a else c`",
    "$": "Scriban's `$` variables are not available",
    "@": "Scriban's `@` is not available: functions are called where they are named",
}


def _split(items: Sequence[_Item], sign: str) -> list[Sequence[_Item]]:
    pieces: list[list[_Item]] = [[]]
    for item in items:
        if item.kind == "sign" and item.text == sign:
            pieces.append([])
        else:
            pieces[-1].append(item)
    return list(pieces)


def _dotted_name(items: Sequence[_Item], at: int) -> tuple[str, int]:
    """`a.b.c` from a position on, and where it ends; "" where there is no name."""
    if at >= len(items) or items[at].kind != "name":
        return "", at
    name = items[at].text
    at += 1
    while at + 1 < len(items) and items[at].text == "." and items[at + 1].kind == "name":
        name += f".{items[at + 1].text}"
        at += 2
    return name, at


def _is_member(items: Sequence[_Item], at: int) -> bool:
    return at > 0 and items[at - 1].text == "." and not items[at].has_space


def _starts_value(items: Sequence[_Item], at: int, has_space: bool) -> bool:
    item = items[at]
    if isinstance(item, _Group):
        return item.opening == "(" or (has_space and item.opening == "[")
    if item.kind in {"text", "number"}:
        return True
    if item.text in {"-", "!"}:  # `f -1` has an argument, `f - 1` and `f-1` subtract
        following = items[at + 1] if at + 1 < len(items) else None
        return has_space and following is not None and not following.has_space
    return item.kind == "name" and item.text not in _OPERATOR_WORDS


def _value_end(items: Sequence[_Item], at: int) -> int:
    """Where a value with its members, subscripts and call ends."""
    if at < len(items) and items[at].text in {"-", "!"}:
        at += 1
    if at >= len(items):
        return at
    at += 1
    while at < len(items):
        item = items[at]
        if item.text == "." and at + 1 < len(items) and items[at + 1].kind == "name":
            at += 2
        elif isinstance(item, _Group) and item.opening in "([" and not item.has_space:
            at += 1
        else:
            break
    return at


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
