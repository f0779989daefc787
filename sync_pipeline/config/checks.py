"""What the keys of a config must be to each other, beyond the type of each.

A check yields (location, message); the location is in the model's names and may be one level above
a key that is missing. It runs only if the keys that it reads are sound.
"""

from __future__ import annotations

import codecs
import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from croniter import croniter

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.normalizing import Loc, file_fields, file_name_of
from sync_pipeline.config.pagination import pagination_problems
from sync_pipeline.config.problems import shorten
from sync_pipeline.config.sources import KINDS, ApiKeyAuth
from sync_pipeline.model import RESOURCE_ID
from sync_pipeline.suggestions import nearest

Finding: TypeAlias = "tuple[Loc, str]"

#: https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEMPLATE = re.compile(r"\{[{%#]")

#: Names that templates already have; the last three are of the page that is asked for.
_TAKEN_NAMES = frozenset({"row", "var", "config", "cute", "skip", "limit", "cursor"})


def is_template(text: str) -> bool:
    """Whether the text is more than itself: holds `{{`, `{%` or `{#`."""
    return _TEMPLATE.search(text) is not None


def field_part(field_name: str) -> str:
    """`tags` of `tags.en[]`, `tags[]` or `tags`."""
    return field_name.removesuffix("[]").split(".", 1)[0].removesuffix("[]")


def is_entry_id(field_name: str) -> bool:
    """Whether a rule maps the id of the entry."""
    return field_name.strip().casefold() == "sys.id"


def _content_type(config: SyncConfig) -> Iterator[Finding]:
    if not RESOURCE_ID.fullmatch(config.content_type):
        message = "is not an id of a content type: 1 to 64 letters, digits, `-`, `_` or `.`"
        yield ("content_type",), message


def _key_field(config: SyncConfig) -> Iterator[Finding]:
    if not re.fullmatch(r"[^\s.\[\]]+(\.[^\s.\[\]]+)?", config.content_key_field):
        yield ("content_key_field",), "must be `<field>` or `<field>.<locale>`, such as id.en"
        return
    names = [rule.field_name for rule in config.mapping]
    if any(is_template(name) for name in names):
        return
    fields = list(dict.fromkeys(field_part(name) for name in names))
    if config.key_field_id not in fields and not any(map(is_entry_id, names)):
        guess = nearest(config.key_field_id, fields)
        hint = f"did you mean `{guess}`?" if guess else f'add "{config.content_key_field}" to it'
        message = f"the key field `{config.key_field_id}` is not in `mapping`; {hint}"
        yield ("content_key_field",), message


def _source(config: SyncConfig) -> Iterator[Finding]:
    fields = file_fields(SyncConfig)
    kind = KINDS[config.source_type]
    for other, its in KINDS.items():
        for name in its.keys.model_fields:
            if its is not kind and name in config.model_fields_set:
                message = f"is not used by sourceType {config.source_type}"
                yield (name,), f"{message}; remove it, or state `sourceType: {other}`"
    for name, example in kind.required.items():
        if not getattr(config, name):
            key = file_name_of(name, fields[name])
            message = f"required for sourceType {config.source_type}; add `{key}: {example}`"
            yield (name,), message
    for name, message in kind.check(config):
        yield (name,), message


def _urls(config: SyncConfig) -> Iterator[Finding]:
    if config.end_point:
        yield from _url(("end_point",), config.end_point)
    if config.sensor is not None:
        yield from _url(("sensor", "url"), config.sensor.url)
    if config.auth is not None and config.auth.type == "oauth2_client_credentials":
        yield from _url(("auth", "token_url"), config.auth.token_url)


def _url(loc: Loc, url: str) -> Iterator[Finding]:
    if url.lstrip().startswith("{"):
        return
    match = re.match(r"(?i)(https?)://([^/?#\s]+)", url)
    if match is None:
        message = "must be an absolute URL that begins with http:// or https://, or a template"
        yield loc, message
    elif not is_template(url) and re.search(r"\s", url.strip()):
        yield loc, "holds a blank; write %20"


def _request(config: SyncConfig) -> Iterator[Finding]:
    bodies = [name for name in ("form_url_encoded_content", "json_body") if getattr(config, name)]
    for name in bodies:
        if config.http_method == "get":
            yield (name,), "needs a request with a body; add `httpMethod: post`"
    if len(bodies) > 1:
        message = "a request has one body; keep `formUrlEncodedContent` or `jsonBody`"
        yield ("json_body",), message
    yield from _headers(("headers",), config.headers)
    if config.sensor is not None:
        yield from _headers(("sensor", "headers"), config.sensor.headers)
    if config.continuation_token_header is not None and not _HEADER_NAME.fullmatch(
        config.continuation_token_header
    ):
        yield ("continuation_token_header",), "is not a name of a header"


def _headers(loc: Loc, headers: dict[str, str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            yield (*loc, name), "is not a name of a header; letters, digits and `-`"
        if name.casefold() in seen:
            first = seen[name.casefold()]
            yield (*loc, name), f"the same header as `{first}` (case does not count); keep one"
        seen.setdefault(name.casefold(), name)


def _auth(config: SyncConfig) -> Iterator[Finding]:
    auth = config.auth
    if auth is None:
        return
    name = "authorization"
    if isinstance(auth, ApiKeyAuth):
        if auth.location == "query":
            if auth.name in config.query_parameters:
                yield ("query_parameters", auth.name), "is already sent by `auth`; keep one"
            return
        name = auth.name.casefold()
        if not _HEADER_NAME.fullmatch(auth.name):
            yield ("auth", "name"), "is not a name of a header; letters, digits and `-`"
    for header in config.headers:
        if header.casefold() == name:
            yield ("headers", header), "is already sent by `auth`; keep one of them"


def _format(config: SyncConfig) -> Iterator[Finding]:
    is_csv = config.results_format in ("csv", "zippedCsv")
    if is_csv and config.results_json_path is not None:
        message = f"is not used with resultsFormat {config.results_format}; remove it"
        yield ("results_json_path",), message
    if not is_csv and "csv" in config.model_fields_set:
        message = f"is not used with resultsFormat {config.results_format}; remove it"
        yield ("csv",), message
    csv = config.csv
    for name in ("delimiter", "escape_char"):
        value = getattr(csv, name)
        if value is not None and (len(value) != 1 or value in "\r\n"):
            yield ("csv", name), "must be one character, such as ';' (or `tab`)"
    if len(csv.quote_char) > 1 or csv.quote_char in ("\r", "\n"):
        yield ("csv", "quote_char"), "must be one character, or empty for none"
    if csv.delimiter is not None and csv.delimiter == csv.quote_char:
        yield ("csv", "delimiter"), "must not be the same as `quoteChar`"
    if csv.escape_char is not None and csv.escape_char in (csv.quote_char, csv.delimiter):
        yield ("csv", "escape_char"), "must not be the same as `quoteChar` or `delimiter`"
    yield from _encoding(("csv", "encoding"), csv.encoding)
    yield from _encoding(("results_encoding",), config.results_encoding)
    if is_csv and config.results_encoding is not None:
        message = f"is not used with resultsFormat {config.results_format}; write `csv.encoding`"
        yield ("results_encoding",), message
    if not csv.has_header and not csv.column_names:
        yield ("csv",), "without a header line `columnNames` must name the columns; add it"
    if csv.column_names and len(set(csv.column_names)) < len(csv.column_names):
        yield ("csv", "column_names"), "names a column twice; give each its own name"


def _encoding(loc: Loc, name: str | None) -> Iterator[Finding]:
    if name is None:
        return
    try:
        # Python has encodings of bytes, too, such as base64.
        is_text = getattr(codecs.lookup(name), "_is_text_encoding", True)
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        yield loc, f"the encoding `{shorten(name)}` is not known; such as utf-8 or cp1252"


def _pagination(config: SyncConfig) -> Iterator[Finding]:
    for key, message in pagination_problems(config):
        yield (("pagination", key) if key else ("pagination",)), message


def _enumerations(config: SyncConfig) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, enumeration in enumerate(config.enumerate_for_content_types):
        loc: Loc = ("enumerate_for_content_types", i, "content_type")
        name = enumeration.variable
        if name in _TAKEN_NAMES:
            yield loc, f"templates already have a variable `{name}`; it cannot be enumerated"
        elif not RESOURCE_ID.fullmatch(enumeration.content_type):
            yield loc, "is not an id of a content type: 1 to 64 letters, digits, `-`, `_` or `.`"
        elif name in seen:
            yield loc, f"`{name}` is enumerated twice and would be one variable; keep one"
        seen.add(name)


def _schedule(config: SyncConfig) -> Iterator[Finding]:
    schedule = config.schedule
    if schedule is None:
        return
    problem = cron_problem(schedule.cron)
    if problem is not None:
        yield ("schedule", "cron"), problem
    try:
        zoneinfo.ZoneInfo(schedule.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        guess = nearest(schedule.timezone, zoneinfo.available_timezones())
        hint = f"did you mean `{guess}`?" if guess else "such as Europe/London or UTC"
        message = f"the time zone `{shorten(schedule.timezone)}` is not known; {hint}"
        yield ("schedule", "timezone"), message


def cron_problem(cron: str) -> str | None:
    """Why Dagster would refuse the cron expression, or None.

    The same library that Dagster carries a copy of, and its two further rules: five fields, and no
    30th of February.
    """
    shape = "write minute, hour, day, month and weekday, such as `0 2 * * *`"
    try:
        fields = croniter.expand(cron)[0]
    # croniter raises its own errors (all ValueErrors), and others for odd input
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as err:
        return f"is not a cron expression ({shorten(err, 80)}); {shape}"
    if len(fields) != 5:
        return f"has {len(fields)} fields; {shape}"
    if fields[3] == [2] and len(fields[2]) == 1 and fields[2][0] in (30, 31):
        return "would never launch: February has no such day; choose another day"
    return None


def _target(config: SyncConfig) -> Iterator[Finding]:
    if config.target.model is not None and config.target.space != "local":
        message = "is only for the local space; add `space: local`, or remove it"
        yield ("target", "model"), message


@dataclass(frozen=True, slots=True)
class _Check:
    #: Top-level keys that must be sound for the check to make sense.
    reads: frozenset[str]
    run: Callable[[SyncConfig], Iterator[Finding]]


_CHECKS = tuple(
    _Check(frozenset(reads.split()), run)
    for reads, run in (
        ("content_type", _content_type),
        ("content_key_field mapping", _key_field),
        ("source_type end_point connection_string query provider", _source),
        ("source_type end_point sensor auth", _urls),
        ("http_method form_url_encoded_content json_body headers sensor", _request),
        ("auth headers query_parameters", _auth),
        ("results_format results_json_path results_encoding csv", _format),
        (
            "source_type pagination continuation_token_header results_total_pages_path",
            _pagination,
        ),
        ("enumerate_for_content_types", _enumerations),
        ("schedule", _schedule),
        ("target", _target),
    )
)


def find_contradictions(config: SyncConfig, broken: frozenset[str]) -> Iterator[Finding]:
    """Yield what does not fit together; `broken` top-level keys are not looked at."""
    for check in _CHECKS:
        if not check.reads & broken:
            yield from check.run(config)


def notices_of(config: SyncConfig) -> list[str]:
    """What the original reads over and so must not be an error, but has no effect."""
    notices = []
    if config.results_secret is not None and config.results_format != "zippedCsv":
        notices.append("`resultsSecret` is not used: only resultsFormat zippedCsv has a password")
    if config.pagination is not None:
        is_used = config.pagination.type == "continuation_header"
        if config.continuation_token_header and not is_used:
            notices.append("`continuationTokenHeader` is not used: `pagination` comes first")
    if (
        config.results_total_pages_path
        and config.pagination is None
        and not config.continuation_token_header
    ):
        notices.append("`resultsTotalPagesPath` is not used: there is no `pagination`")
    return notices
