"""A `ProbeResult` as a config file that loads, with comments on what is unsure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from sync_pipeline.extract.probe.probing import ProbeResult
from sync_pipeline.extract.probe.shape import field_of
from sync_pipeline.redaction import is_secret_name

_WIDTH: Final = 96
#: https://yaml.org/spec/1.1/#c-printable, less what would break a line.
_UNPRINTABLE: Final = re.compile(
    "[^\x09\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def render_yaml(result: ProbeResult) -> str:
    """The text of a config file; secrets of the URL and headers become variables."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: ProbeResult) -> Iterator[str]:
    total = f" of {result.paging.total:,}" if result.paging.total else ""
    yield f"# Proposed by `sync-pipeline probe` from {result.sampled}{total} records, with"
    yield f"# {result.requests} request(s). Check the lines with a question mark, then run"
    yield "# `sync-pipeline check` and `sync-pipeline preview`."
    yield from _notes(result, "answer")
    variables: list[str] = []
    end_point, query = _end_point(result, variables)
    yield "sourceType: restapi"
    yield f"endPoint: {_quoted(end_point)}"
    if query:
        yield "queryParameters:"
        yield from (f"  {_quoted(name)}: {_quoted(value)}" for name, value in query)
    if result.headers:
        yield "headers:"
        for name, value in result.headers.items():
            shown = _variable(name, variables) if is_secret_name(name) else _escaped(value)
            if is_secret_name(name) and re.match(r"(?i)bearer\s", value):
                shown = f"Bearer {shown}"
            yield f"  {_quoted(name)}: {_quoted(shown)}"
    if variables:
        yield f"# ? set these environment variables: {', '.join(variables)}"
    yield from _notes(result, "format")
    if result.results_format != "json":
        yield f"resultsFormat: {result.results_format}"
    yield from _notes(result, "path")
    if result.results_json_path:
        yield f"resultsJsonPath: {_quoted(result.results_json_path)}"
    yield from _paging_lines(result)
    yield ""
    yield "# ? the id of the content type in your space"
    yield f"contentType: {_quoted(_content_type(result.url))}"
    yield from _notes(result, "key")
    yield from _mapping_lines(result)


def _paging_lines(result: ProbeResult) -> Iterator[str]:
    block = dict(result.paging.block)
    for note in result.paging.notes:
        yield from _comment(note)
    if block == {"type": "none"}:
        return
    yield "pagination:"
    for name, value in block.items():
        yield f"  {name}: {value if isinstance(value, int) else _quoted(str(value))}"


def _mapping_lines(result: ProbeResult) -> Iterator[str]:
    key = field_of(result.fields, result.key_column) if result.key_column else None
    key = key or (result.fields[0] if result.fields else None)
    yield f"contentKeyField: {_quoted(key.field_id if key else 'id')}"
    yield "# ? field ids are proposals: rename them to those of the content type"
    yield "mapping:"
    if not result.fields:
        yield '  "id": "{{ row.id }}"'
    for field in result.fields:
        yield f"  {_quoted(field.field_id)}: {_quoted(field.expression)}  # {field.kind}"
    if result.left_out:
        names = ", ".join(_escaped(name) for name in result.left_out[:20])
        yield from _comment(f"left out (lists of objects, deeper objects): {names}")


def _end_point(result: ProbeResult, variables: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """The URL without its query, and the parameters that pagination does not take over."""
    parts = urlsplit(result.url)
    host = parts.netloc.rpartition("@")[2]
    parts = parts._replace(path=parts.path.replace(" ", "%20"))
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [
        (name, _variable(name, variables) if is_secret_name(name) else _escaped(value))
        for name, value in pairs
        if name not in result.paging.taken
    ]
    names = [name for name, _ in kept]
    if len(set(names)) < len(names):
        # A name that stands twice has no place in a map.
        text = "&".join(
            f"{quote(name)}={value if '{{' in value else quote(value)}" for name, value in kept
        )
        return _escaped(
            urlunsplit(parts._replace(netloc=host, query="", fragment=""))
        ) + f"?{text}", []
    return _escaped(urlunsplit(parts._replace(netloc=host, query="", fragment=""))), kept


def _variable(name: str, variables: list[str]) -> str:
    """A secret as a variable: `{{ config.SYNC_API_KEY }}`."""
    variable = "SYNC_" + (re.sub(r"\W+", "_", name).strip("_").upper() or "SECRET")
    if variable not in variables:
        variables.append(variable)
    return f"{{{{ config.{variable} }}}}"


def _notes(result: ProbeResult, part: str) -> Iterator[str]:
    for note in result.notes.get(part, ()):
        yield from _comment(note)


def _comment(text: str) -> Iterator[str]:
    """`# ? text`, folded."""
    line = "# ?"
    for word in _UNPRINTABLE.sub("?", " ".join(text.split())).split(" "):
        if len(line) + len(word) >= _WIDTH:
            yield line
            line = "#  "
        line += f" {word}"
    yield line


def _content_type(url: str) -> str:
    """`product` of `/api/products`: a guess that loads."""
    words = re.findall(r"[A-Za-z][A-Za-z0-9]*", urlsplit(url).path.rpartition("/")[2].split(".")[0])
    name = (
        "".join(word if at == 0 else word.capitalize() for at, word in enumerate(words)) or "item"
    )
    name = name[:1].lower() + name[1:]
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if (
            name.endswith(ending)
            and not name.endswith(("ss", "us"))
            and len(name) > len(ending) + 1
        ):
            return name.removesuffix(ending) + singular
    return name[:60]


def _escaped(text: str) -> str:
    """Text of the source that must not be taken for a template."""
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", text)


def _quoted(value: Any) -> str:
    # JSON's texts are YAML's double-quoted ones, but for what YAML does not take unescaped.
    text = json.dumps(str(value), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\U{ord(found[0]):08x}", text)
