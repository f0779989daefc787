"""The functions `cute.*`, callable as `cute.x(value, ...)` and as `value | cute.x(...)`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from jinja2 import pass_context
from jinja2.runtime import Context

from sync_pipeline.model import canonical_key
from sync_pipeline.templating.bounds import template_error
from sync_pipeline.templating.lookups import SpaceAnswers, lookup_list, split_keys
from sync_pipeline.templating.rich_text import HTML_TO_MARKDOWN, html_to_markdown
from sync_pipeline.templating.text import is_nothing, to_json, to_text

_WORD = re.compile(r"[^\W_]+")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,300}\s*")


def build_cute_functions(answers: SpaceAnswers) -> dict[str, Callable[..., Any]]:
    """The functions by name, with their dotted names.

    Args:
        answers: What the space answers; read only when a template asks.
    """
    return {
        HTML_TO_MARKDOWN: html_to_markdown,
        "cute.to_json": keep_json,
        "cute.url_last_segment": url_last_segment,
        "cute.switch": switch,
        "cute.to_int": to_int,
        "cute.normalize_string": normalize_string,
        "cute.to_pascal_case": to_pascal_case,
        **_space_functions(answers),
    }


def keep_json(value: Any, *keep: str) -> str:
    """JSON of a value; with `keep`, only these properties of the object, or of each in a list."""
    if not keep or is_nothing(value):
        return "" if is_nothing(value) else to_json(value)
    if isinstance(value, list | tuple):
        return to_json([_kept(item, keep) for item in value])
    return to_json(_kept(value, keep))


def url_last_segment(url: Any) -> str:
    """The last part of a URL's path, without query, fragment and closing slash."""
    text = to_text(url).strip()
    try:
        path = urlsplit(text).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rsplit("/", 1)[-1])


def switch(value: Any, *cases: Any) -> Any:
    """The result behind the first case that equals the value as text, else the default.

    `switch(value, case1, result1, case2, result2, ..., default)`; without a default, nothing.
    """
    default = cases[-1] if len(cases) % 2 else None
    text = to_text(value)
    for index in range(0, len(cases) - 1, 2):
        if to_text(cases[index]) == text:
            return cases[index + 1]
    return default


def to_int(text: Any) -> int | None:
    """The integer in a text; nothing for a blank one.

    Raises:
        RecordError: There is something else in it.
    """
    written = to_text(text)
    if not written.strip():
        return None
    if not _INTEGER.fullmatch(written):
        raise template_error(f'cute.to_int: "{written[:40]}" is not an integer')
    return int(written)


def normalize_string(text: Any) -> str:
    """The text without diacritics: `Ångström` becomes `Angstrom`."""
    split = unicodedata.normalize("NFD", to_text(text))
    return unicodedata.normalize(
        "NFC", "".join(char for char in split if unicodedata.category(char) != "Mn")
    )


def to_pascal_case(text: Any) -> str:
    """Words run together, each with a capital: `air port-code` becomes `AirPortCode`."""
    words = _WORD.findall(to_text(text))
    return "".join(word[:1].upper() + word[1:] for word in words)


def _space_functions(answers: SpaceAnswers) -> dict[str, Callable[..., Any]]:
    # `pass_context` keeps Jinja2 from asking the space while it compiles constants.
    @pass_context
    def entries_count(_: Context, content_type: Any, field: Any, value: Any) -> int:
        return answers.count(to_text(content_type), to_text(field), _wanted(value))

    @pass_context
    def entries_exist(_: Context, content_type: Any, field: Any, value: Any) -> bool:
        return answers.count(to_text(content_type), to_text(field), _wanted(value)) > 0

    @pass_context
    def near(_: Context, content_type: Any, field: Any, radius_km: Any, lat: Any, lon: Any) -> bool:
        numbers = [_number("cute.near", given) for given in (radius_km, lat, lon)]
        if None in numbers:
            return False
        return answers.is_near(to_text(content_type), to_text(field), *numbers)  # type: ignore[arg-type]  # None is out

    @pass_context
    def look_up_list(
        _: Context,
        values: Any,
        content_type: Any,
        match_field: Any,
        return_field: Any = "$id",
        default: Any = None,
    ) -> str:
        return lookup_list(
            answers,
            _keys(values),
            content_type=to_text(content_type),
            match_field=to_text(match_field),
            return_field=to_text(return_field),
            default=to_text(default) or None,
        )

    return {
        "cute.entries_count": entries_count,
        "cute.entries_exist": entries_exist,
        "cute.near": near,
        "cute.lookup_list": look_up_list,
    }


def _wanted(value: Any) -> str:
    """A value as entries are asked for it: numbers by value, `7.0` like `7`."""
    return canonical_key(value) if isinstance(value, int | float) else to_text(value)


def _keys(values: Any) -> list[str]:
    """The items of a list, or of a text with commas between them."""
    if not isinstance(values, list | tuple):
        return split_keys(_wanted(values))
    keys = [_wanted(value).strip() for value in values]
    return [key for key in keys if key]


def _number(function: str, value: Any) -> float | None:
    text = to_text(value).strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise template_error(f'{function}: "{text[:40]}" is not a number') from None


def _kept(value: Any, keep: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        raise template_error("cute.to_json can keep properties of objects only")
    return {name: value.get(name) for name in keep}
