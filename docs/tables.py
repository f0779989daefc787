"""Writes the tables of the docs that are made from the code: `python docs/tables.py`.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic.alias_generators import to_camel

from sync_pipeline.config.run_options import OPTIONS, FileOptions, Option, Unattended

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "configuration.md")
_MARKED = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def render_page(text: str) -> str:
    """A page with its tables made anew."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]}\n{found[3]}", text)


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"| key | values (default) | meaning |\n|---|---|---|\n{lines}"


def _row(option: Option, name: str, default: str, *, is_first: bool) -> tuple[str, str, str]:
    numbers = "true, false" if option.is_switch else option.range
    words = ", ".join(f"`{word}`" for word in option.words)
    values = " or ".join(part for part in (numbers, words) if part)
    meaning = option.text.rstrip(".")
    if option.words and is_first:
        told = "; ".join(f"`{word}`: {text}" for word, text in option.words.items())
        meaning = f"{meaning}. {told}"
    meaning = meaning[:1].lower() + meaning[1:]
    return f"`{name}`", f"{values} ({default})" if default else values, meaning


def _code(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"`{value}`" if isinstance(value, str) else str(value)


def _default(option: Option) -> str:
    if option.is_of_files:
        return f"the file's, else {_code(option.default)}"
    return _code(option.default) or "none"


TABLES = {
    "run config": _table(
        _row(one, one.name, _default(one), is_first=True) for one in OPTIONS.values()
    ),
    "run config in a file": _table(
        _row(OPTIONS[name], to_camel(name), _code(OPTIONS[name].default), is_first=True)
        for name in FileOptions.model_fields
    ),
    "run config of a launched run": _table(
        _row(OPTIONS[name], to_camel(name), _code(OPTIONS[name].traits.unattended), is_first=False)
        for name in Unattended.model_fields
    ),
}


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(render_page(page.read_text(encoding="utf-8")), encoding="utf-8")
