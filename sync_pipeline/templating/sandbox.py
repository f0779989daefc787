"""The Jinja2 environment of all templates: sandboxed, bounded, and made for ragged JSON rows.

It differs from a plain `SandboxedEnvironment` in what a config author would trip over:

- `row.items` is the key `items`, never dict's method; methods exist only where they are called;
- what is missing or null is empty, along the whole of a path;
- text, numbers and lists cannot be made to grow without bound, and loops end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from jinja2 import Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from sync_pipeline.templating.bounds import (
    MAX_ITEMS,
    MAX_TEXT,
    checked_count,
    checked_size,
    measured,
    template_error,
    turn,
)
from sync_pipeline.templating.text import (
    ConfigVariables,
    EmptyValue,
    MissingValue,
    is_nothing,
    to_text,
)

#: Integers may grow to this many bits, about 300 digits; Contentful's end at 54.
MAX_BITS = 1024
#: Methods that a template may call, by the type of the value they are called on.
METHODS: Mapping[type, frozenset[str]] = {
    dict: frozenset({"items", "keys", "values", "get"}),
    list: frozenset({"index", "count"}),
    tuple: frozenset({"index", "count"}),
    str: frozenset(
        [
            "upper",
            "lower",
            "title",
            "capitalize",
            "swapcase",
            "casefold",
            "strip",
            "lstrip",
            "rstrip",
            "startswith",
            "endswith",
            "find",
            "rfind",
            "index",
            "rindex",
            "count",
            "split",
            "rsplit",
            "splitlines",
            "partition",
            "rpartition",
            "removeprefix",
            "removesuffix",
            "replace",
            "join",
            "isdigit",
            "isalpha",
            "isalnum",
            "isnumeric",
            "isdecimal",
            "isspace",
            "isupper",
            "islower",
            "istitle",
        ]
    ),
    datetime: frozenset({"isoformat", "date", "time", "timestamp", "weekday", "isoweekday"}),
    date: frozenset({"isoformat", "weekday", "isoweekday"}),
}
_LIVE_OBJECTS = (LoopContext, Namespace, Cycler, Joiner, Macro)
_DATE_PARTS = frozenset(["year", "month", "day", "hour", "minute", "second", "microsecond"])


class _PlainOutput(CodeGenerator):
    """Generates code without a `str()` around every value: `finalize` gives text already."""

    def _output_child_pre(
        self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        del node, frame
        self.write(finalize.src or "str(")

    def _output_child_post(
        self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo
    ) -> None:
        del node, frame, finalize
        self.write(")")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """See the module. `build_environment` fills it with filters, tests and globals."""

    code_generator_class = _PlainOutput
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    @staticmethod
    def concat(chunks: Iterable[str]) -> str:
        """Join what a block or macro has put out, unless it is too much."""
        parts = chunks if isinstance(chunks, list) else list(chunks)
        checked_size(sum(map(len, parts)))
        return "".join(parts)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: the key of an object, else nothing."""
        try:
            return obj[attribute] if type(obj) is dict else self._data(obj, attribute)
        except KeyError:
            return MissingValue(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`: a key, an index or a slice, else nothing."""
        if isinstance(obj, ConfigVariables) or (
            isinstance(argument, str) and not isinstance(obj, Mapping)
        ):
            return self.getattr(obj, argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return MissingValue(obj=obj, name=argument)

    def _data(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, ConfigVariables):
            return obj.variable(attribute)
        if isinstance(obj, Mapping):
            return obj[attribute]
        if isinstance(obj, Undefined):
            return getattr(obj, attribute)
        if attribute == "size" and isinstance(obj, (str, list, tuple)):
            return len(obj)  # Scriban's property of arrays and text
        if isinstance(obj, _LIVE_OBJECTS) or (
            isinstance(obj, (date, time)) and attribute in _DATE_PARTS
        ):
            return super().getattr(obj, attribute)
        return MissingValue(obj=obj, name=attribute)

    def method_of(self, obj: Any, name: str) -> Any:
        """What `obj.name(...)` calls.

        Raises:
            RecordError: There is no such method, or a template may not call it.
        """
        if isinstance(obj, _LIVE_OBJECTS):
            return super().getattr(obj, name)
        if isinstance(obj, str) and name in {"replace", "join"}:
            return getattr(_BoundedText(obj), name)
        for kind, names in METHODS.items():
            if isinstance(obj, kind) and name in names:
                return getattr(obj, name)
        if is_nothing(obj):
            raise template_error(f"cannot call .{name}() on a value that is missing or null")
        raise template_error(f"a template cannot call .{name}() on a value of type {_kind(obj)}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators that can make values grow; `+` also joins text with any value."""
        if operator == "+":
            return _add(left, right)
        if operator == "*":
            check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif isinstance(left, str):
            raise template_error(
                'the % operator does not format text here: use the filter "format"'
            )
        return measured(super().call_binop(context, operator, left, right))


class _BoundedText(str):
    """Text whose growing methods are bounded."""

    __slots__ = ()

    def replace(self, old: str, new: str, count: int = -1, /) -> str:  # type: ignore[override]
        checked_size(len(self) + self.count(old) * max(0, len(new) - len(old)))
        return str.replace(self, old, new, count)

    def join(self, parts: Iterable[Any], /) -> str:
        texts = [to_text(part) for part in parts]
        checked_size(sum(map(len, texts)) + len(self) * len(texts))
        return str.join(self, texts)


def bounded_replace(text: str, old: str, new: str, count: int = -1) -> str:
    """`str.replace` that does not build more than `MAX_TEXT` characters."""
    return _BoundedText(text).replace(old, new, count)


def bounded_join(separator: str, parts: Iterable[Any]) -> str:
    """`str.join` over values of any kind that does not build more than `MAX_TEXT` characters."""
    return _BoundedText(separator).join(parts)


def bounded_range(*bounds: int) -> range:
    """`range` of at most `MAX_ITEMS` numbers."""
    numbers = range(*bounds)
    try:
        size = len(numbers)
    except OverflowError:
        size = MAX_ITEMS + 1
    if size > MAX_ITEMS:
        raise template_error(f"range() of more than {MAX_ITEMS:,} numbers")
    return numbers


@pass_context
def counted(context: Context, items: Any) -> Iterator[Any]:
    """The items that a `for` loop runs over, each a turn."""
    del context  # asked for so that Jinja2 does not run it while it compiles
    if items is None:
        return
    for item in items:
        turn()
        yield item


@pass_context
def called(context: Context, value: Any) -> Any:
    """Stands at the beginning of a macro's body: each call is a turn."""
    del context
    turn()
    return value


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        first, second = to_text(left), to_text(right)
        checked_size(len(first) + len(second))
        return first + second
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        checked_count(len(left) + len(right))
        return measured([*left, *right])
    return left + right


def check_product(left: Any, right: Any) -> None:
    """Refuse a product that would be too large a number, text or list."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise template_error("the product is too large a number")
        return
    for value, times in ((left, right), (right, left)):
        if isinstance(value, (str, list, tuple)) and isinstance(times, int):
            limit = MAX_TEXT if isinstance(value, str) else MAX_ITEMS
            if len(value) * max(times, 0) > limit:
                raise template_error(f"repeating a value to more than {limit:,} elements")
            if isinstance(value, str):
                checked_size(len(value) * max(times, 0))


def _check_power(left: Any, right: Any) -> None:
    whole = isinstance(left, int) and isinstance(right, int) and right > 0
    if whole and abs(left) > 1 and left.bit_length() * right > MAX_BITS:
        raise template_error("the power is too large a number")


def _kind(obj: Any) -> str:
    if isinstance(obj, EmptyValue):
        return "empty"
    names = {dict: "object", list: "list", str: "text", int: "number", float: "number"}
    return names.get(type(obj), type(obj).__name__)
