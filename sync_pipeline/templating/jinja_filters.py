"""Jinja2's own filters, made safe for rows: null is empty text and the empty list, what is blank is
no number, nothing grows without bound, and nothing depends on chance or on HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import pass_environment
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.tests import TESTS

from sync_pipeline.templating.arguments import read_count, read_number
from sync_pipeline.templating.bounds import MAX_ITEMS, checked_size, template_error
from sync_pipeline.templating.sandbox import (
    TemplateEnvironment,
    bounded_join,
    bounded_replace,
)
from sync_pipeline.templating.text import is_nothing, to_json, to_text

#: Not offered: they depend on chance, show Python's insides, reach attributes, or make markup.
_REMOVED = {"random", "pprint", "attr", "urlize", "xmlattr", "forceescape", "safe"}
#: Their first argument is made text first (None would become "None", True "True").
_OF_TEXT = [
    "capitalize",
    "center",
    "e",
    "escape",
    "indent",
    "lower",
    "string",
    "striptags",
    "title",
    "trim",
    "truncate",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
]
#: Null is the empty list to them, as what is missing is.
_OF_LIST = [
    "batch", "count", "first", "groupby", "last", "length", "list", "max", "min", "reverse",
    "slice", "sort", "sum", "unique",
]  # fmt: skip
#: Null is the empty object to them.
_OF_OBJECT = ["dictsort", "items"]
#: Their number arguments decide how much is built.
_SIZED = ("batch", "center", "indent", "round", "slice", "truncate", "wordwrap", "int")
_UNSTATED = object()
_FORMAT_WIDTH = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")


def build_filters() -> dict[str, Callable[..., Any]]:
    """Jinja2's filters by name, as templates get them."""
    filters: dict[str, Callable[..., Any]] = {}
    filters.update((name, f) for name, f in FILTERS.items() if name not in _REMOVED)
    for name in _OF_TEXT:
        filters[name] = _of_text(filters[name])
    for name in _OF_LIST:
        filters[name] = _of(list, filters[name])
    for name in _OF_OBJECT:
        filters[name] = _of(dict, filters[name])
    for name in ("int", "float"):
        filters[name] = _to_number(name, filters[name])
    for name in ("abs", "round"):
        filters[name] = _of_number(name, filters[name])
    for name in _SIZED:
        filters[name] = _sized(filters[name])
    filters.update(
        {
            "string": to_text,
            "e": _escape,
            "escape": _escape,
            "format": _format,
            "indent": _bounded(filters["indent"], _indented_size),
            "wordwrap": _bounded(filters["wordwrap"], _wrapped_size),
            "join": _join,
            "replace": _replace,
            "tojson": _tojson,
            "coalesce": coalesce,
        }
    )
    return filters


def build_tests() -> dict[str, Callable[..., Any]]:
    """Jinja2's tests by name; `none` holds for what is missing, too."""
    tests: dict[str, Any] = {**TESTS, "none": is_nothing, "null": is_nothing}
    return tests


def coalesce(value: Any, *alternatives: Any) -> Any:
    """The first value that is neither null nor missing: Scriban's `a ?? b`."""
    for candidate in (value, *alternatives):
        if not is_nothing(candidate):
            return candidate
    return None


def concatenated(*values: Any) -> str:
    """The `~` operator, with values put into text as everywhere."""
    return bounded_join("", values)


def _copy_pass_flag(source: Callable[..., Any], wrapper: Callable[..., Any]) -> None:
    # Jinja2 marks filters that want the environment or context by this attribute.
    flag = getattr(source, "jinja_pass_arg", None)
    if flag is not None:
        wrapper.jinja_pass_arg = flag  # type: ignore[attr-defined]


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def on_text(*args: Any, **options: Any) -> Any:
        result = function(*args[:passed], to_text(args[passed]), *args[passed + 1 :], **options)
        if not isinstance(result, str):
            return result
        checked_size(len(result))
        return str(result)

    _copy_pass_flag(function, on_text)
    return on_text


def _of(empty: type, function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def on_items(*args: Any, **options: Any) -> Any:
        value = empty() if is_nothing(args[passed]) else args[passed]
        return function(*args[:passed], value, *args[passed + 1 :], **options)

    _copy_pass_flag(function, on_items)
    return on_items


def _of_number(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def on_number(value: Any, *args: Any, **options: Any) -> Any:
        number = read_number(value, name)
        return None if number is None else function(number, *args, **options)

    return on_number


def _to_number(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`int` and `float`: 0 for what is no number only where the template says so (`int(0)`)."""

    def convert(value: Any, default: Any = _UNSTATED, *args: Any, **options: Any) -> Any:
        if is_nothing(value) or (isinstance(value, str) and not value.strip()):
            return None if default is _UNSTATED else default
        number = function(value, default, *args, **options)
        if number is _UNSTATED:
            shown = to_text(value)[:40]
            raise template_error(
                f'{name}: "{shown}" is not a number; {name}(0) says what to take instead'
            )
        return number

    return convert


def _bounded(function: Callable[..., Any], size_of: Callable[..., int]) -> Callable[..., Any]:
    """A filter of text that is not called where its result would be too long."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def bounded(*args: Any, **options: Any) -> Any:
        checked_size(size_of(to_text(args[passed]), *args[passed + 1 :], **options))
        return function(*args, **options)

    _copy_pass_flag(function, bounded)
    return bounded


def _indented_size(text: str, width: Any = 4, *_: Any, **__: Any) -> int:
    indent = len(width) if isinstance(width, str) else read_count(width, "indent")
    return len(text) + (len(text.splitlines()) + 1) * indent


def _wrapped_size(
    text: str, width: Any = 79, break_long: Any = True, wrapstring: Any = "\n", *_: Any, **__: Any
) -> int:
    del width, break_long
    return len(text) * (1 + len(to_text(wrapstring)))  # no more breaks than characters


def _sized(function: Callable[..., Any]) -> Callable[..., Any]:
    passed = 2 if hasattr(function, "jinja_pass_arg") else 1

    def bounded(*args: Any, **options: Any) -> Any:
        for size in (*args[passed:], *options.values()):
            if isinstance(size, int) and abs(size) > MAX_ITEMS:
                raise template_error(f"a size of more than {MAX_ITEMS:,} in a filter")
            if isinstance(size, int):
                checked_size(abs(size))
        return function(*args, **options)

    _copy_pass_flag(function, bounded)
    return bounded


def _escape(value: Any) -> str:
    text = to_text(value)
    for plain, entity in (
        ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;"),
    ):  # fmt: skip
        text = bounded_replace(text, plain, entity)
    return text


def _format(value: Any, *args: Any, **named: Any) -> str:
    if args and named:
        raise template_error('the filter "format" takes positional or named values, not both')
    text = to_text(value)
    places = _FORMAT_WIDTH.findall(text)
    for sizes in places:
        for size in sizes:
            if size == "*" or (size and int(size) > MAX_ITEMS):
                raise template_error('a width that is too large in the filter "format"')
    longest = max((len(to_text(arg)) for arg in (*args, *named.values())), default=0)
    widths = sum(int(size) for sizes in places for size in sizes if size)
    checked_size(len(text) + len(places) * longest + widths)
    values = [to_text(arg) if is_nothing(arg) or isinstance(arg, bool) else arg for arg in args]
    return text % (named or tuple(values))


@pass_environment
def _join(
    environment: TemplateEnvironment, value: Any, d: Any = "", attribute: str | int | None = None
) -> str:
    items = [] if is_nothing(value) else value
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    return bounded_join(to_text(d), items)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text = to_text(value)
    checked_size(len(text))
    return bounded_replace(text, to_text(old), to_text(new), -1 if count is None else count)


def _tojson(value: Any, indent: int | None = None) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise template_error('an indent of 0 to 16 in the filter "tojson"')
    return to_json(value, indent)
