"""Keeps secrets out of every text that leaves the process: logs, errors, reports, dead letters.

`secrets_of` says what is secret for a sync, `Redactor` takes it out of a text in whatever form it
appears (URL-encoded, JSON-escaped, base64), `RedactingFilter` does so for log records.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from sync_pipeline.config.environment import Environment
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.secrecy import Secret, marked_values

MASK = "***"

#: Shorter secrets are found in any text, so they are only taken out where they are named.
MIN_LENGTH = 4
#: Base64 of less than this many bytes is met by chance.
MIN_BASE64_BYTES = 6

_NAMING = "token|key|secret|password|passwd|pwd|credential|auth|cookie|signature"
_SECRET_NAME = re.compile(f"(?i){_NAMING}")
#: Words that are never a secret, whatever variable holds them.
_HARMLESS = frozenset({"true", "false", "none", "null", "yes", "no", "basic", "bearer"})

_PAGING_NAMES = frozenset({
    "limit", "offset", "skip", "page", "per_page", "perpage", "pagesize", "page_size", "size",
    "count", "start", "top", "$top", "$skip", "order", "sort", "order_by", "orderby",
})  # fmt: skip
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
#: What a variable may add to a URL without being secret: a small number, a date, true or false.
_PUBLIC_VALUE = re.compile(r"-?[0-9]{1,6}|[0-9]{4}-[0-9]{2}-[0-9]{2}|(?i:true|false)")
#: Shorter parts of a path (`api`, `v2`) are no keys, and masking them would spoil every text.
_MIN_PATH_PART = 8
_PLAIN_WORD = re.compile(r"-?[A-Za-z0-9_.]{1,40}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]")


def is_secret_name(name: str) -> bool:
    """Whether a variable, header or parameter of that name is expected to hold a secret."""
    return _SECRET_NAME.search(name) is not None


class Redactor:
    """Takes known secrets out of texts.

    Args:
        secrets: The values; blank and harmless ones (`true`) are left aside. Values of fewer than
            four characters are only replaced behind a name that says secret (`password=abc`).
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {form for secret in secrets for form in (secret, secret.strip())}
        values = {value for value in values if value and value.casefold() not in _HARMLESS}
        self._patterns = [
            re.compile(_any_spelling(value))
            for value in sorted(values, key=len, reverse=True)
            if len(value) >= MIN_LENGTH
        ]
        short = sorted(re.escape(value) for value in values if len(value) < MIN_LENGTH)
        self._named = (
            re.compile(
                rf"(?i:{_NAMING})[\w.-]*[\"']?\s*[:=]\s*[\"']?(?:(?i:bearer|basic)\s+)?"
                rf"({'|'.join(short)})(?!\w)"
            )
            if short
            else None
        )
        self._base64 = sorted({core for value in values for core in _base64_cores(value)})

    def redact(self, text: str) -> str:
        """The text with every secret replaced by `***`."""
        spans = sorted(self._spans(text))
        if not spans:
            return text
        parts = []
        end = 0
        for start, stop in spans:
            if start >= end:
                parts += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*parts, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for pattern in self._patterns:
            match = pattern.search(text)
            while match:
                yield match.span()
                # Not from its end: occurrences may overlap.
                match = pattern.search(text, match.start() + 1)
        if self._named is not None:
            for match in self._named.finditer(text):
                yield match.span(1)
        for core in self._base64:
            start = text.find(core)
            while start >= 0:
                first, stop = start, start + len(core)
                while first > 0 and _BASE64.match(text[first - 1]):
                    first -= 1
                while stop < len(text) and _BASE64.match(text[stop]):
                    stop += 1
                yield first, stop
                start = text.find(core, stop)


class RedactingFilter(logging.Filter):
    """Redacts log records: message, arguments, traceback and further text attributes.

    Put it on handlers: a filter of a logger does not see the records of its children.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact in place and let the record pass."""
        redact = self._redactor.redact
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the message
            message = f"{record.msg} {record.args!r}"
        record.msg, record.args = redact(message), ()
        if record.exc_info:
            formatted = logging.Formatter().formatException(record.exc_info)
            record.exc_text = record.exc_text or formatted
            # A handler with a formatter of its own would print the exception again, unredacted.
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name, value in record.__dict__.items():
            if isinstance(value, str) and name not in _STANDARD_ATTRIBUTES:
                record.__dict__[name] = redact(value)
        return True


_STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__)


def redact_url(url: str) -> str:
    """The URL for a message: without user and password, query values masked.

    Kept are numbers and plain values of paging parameters, which tell requests apart.
    """
    try:
        parts = urlsplit(url)
        is_sound = parts.port is None or "@" in parts.netloc or "@" not in parts.path
    except ValueError:  # a port that is not a number, a bracket left open
        is_sound = False
    if not is_sound:
        # `http://user:pa/ss@host`: an unescaped password may end anywhere, so nothing is kept.
        return f"{url.split(':', 1)[0]}://{MASK}" if "://" in url else MASK
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(_redact_pair(pair) for pair in parts.query.split("&")) if parts.query else ""
    fragment = MASK if parts.fragment else ""
    return urlunsplit(SplitResult(parts.scheme, host, parts.path, query, fragment))


def _redact_pair(pair: str) -> str:
    name, sign, value = pair.partition("=")
    if not value or is_secret_name(name):
        # A query without `=` may be a bare key.
        return f"{name}={MASK}" if sign and value else (pair if sign or not pair else MASK)
    is_paging = unquote(name).casefold() in _PAGING_NAMES and _PLAIN_WORD.fullmatch(value)
    is_plain = is_paging or _NUMBER.fullmatch(value) or value in ("true", "false")
    return pair if is_plain else f"{name}={MASK}"


def secrets_of(config: SyncConfig | None, environment: Environment) -> set[str]:
    """Every value that must not appear in a text of this sync's runs.

    Args:
        config: The sync; None for the secrets of the environment alone.
        environment: Its token, its template variables whose name says secret, and those that the
            config uses where secrets stand (auth, headers, passwords, connection strings) or in a
            URL, whatever they are called, unless `publicVariables` names them.
    """
    variables = environment.template_variables
    secrets = {value for name, value in variables.items() if is_secret_name(name)}
    secrets |= {part for value in variables.values() for part in _userinfo(value)}
    if environment.management_token is not None:
        secrets.add(environment.management_token.get_secret_value())
    for url in (environment.cma_url, environment.upload_url):
        secrets |= set(_userinfo(url))
    if config is not None:
        shown = set(config.public_variables)
        for mark, value in marked_values(config):
            for text in _secret_texts(mark, value):
                used = _variables_in(text) - shown
                secrets |= {variables[name] for name in used if name in variables}
                secrets |= set(_literals_in(text))
            for text in _texts_in_urls(mark, value):
                for name in (_variables_in(text) & variables.keys()) - shown:
                    secrets |= set(_secrets_of_part(variables[name]))
            if mark is Secret.URL:
                secrets |= set(_userinfo(value))
        secrets -= {variables[name] for name in shown if name in variables}
    return {value for value in secrets if value.strip() and value.casefold() not in _HARMLESS}


def secrets_in_request(url: str, headers: Mapping[str, str]) -> set[str]:
    """What a person who states a whole request must not read again: a server may echo it."""
    named = [*headers.items(), *parse_qsl(urlsplit(url).query)]
    secrets = {
        part for name, text in named if is_secret_name(name) for part in (text, *_literals_in(text))
    }
    return secrets.union(_userinfo(url))


def _secrets_of_part(value: str) -> Iterator[str]:
    """What is secret of a value that a template puts into a URL.

    Of a whole URL the address is not: messages must be able to say which server was asked.
    """
    if not re.match(r"(?i)https?://", value):
        if not _PUBLIC_VALUE.fullmatch(value.strip()):
            yield value
        return
    parts = urlsplit(value)
    yield from (part for part in parts.path.split("/") if len(part) >= _MIN_PATH_PART)
    for pair in parts.query.split("&"):
        if _redact_pair(pair) != pair:
            yield pair.partition("=")[2] or pair


def _secret_texts(mark: Secret, value: Any) -> Iterator[str]:
    """The templates in a value whose results are secret."""
    if mark is Secret.WHOLE:
        yield value
    elif mark is Secret.VARIABLES:
        yield from _only_variables(value)
    elif mark is Secret.PASSWORDS:
        yield from _connection_passwords(value)
    elif mark is Secret.NAMED:
        yield from _named_secrets(value)
    elif mark is Secret.HEADERS:
        for name, text in value.items():
            # Variables in any header; literal text only where the name says secret.
            yield from (text,) if is_secret_name(name) else _only_variables(text)
    elif mark is Secret.URL:
        for pair in value.partition("?")[2].split("&"):
            name, _, text = pair.partition("=")
            if text and is_secret_name(name):
                yield text


def _texts_in_urls(mark: Secret, value: Any) -> Iterator[str]:
    if mark is Secret.URL:
        yield value
    elif mark is Secret.PARAMETERS:
        yield from value.values()


def _only_variables(template: str) -> Iterator[str]:
    """A template of each variable that is used, without the text around it."""
    return (f"{{{{ config.{used} }}}}" for used in _variables_in(template))


def _named_secrets(body: Any) -> Iterator[str]:
    if isinstance(body, Mapping):
        for name, value in body.items():
            if isinstance(value, str) and is_secret_name(str(name)):
                yield value
            else:
                yield from _named_secrets(value)
    elif isinstance(body, (list, tuple)):
        for value in body:
            yield from _named_secrets(value)


def _variables_in(template: str) -> set[str]:
    """Names used as `config.NAME` or `config['NAME']`."""
    found = re.findall(r"config\s*(?:\.\s*(\w+)|\[\s*[\"'](\w+)[\"']\s*\])", template)
    return {dotted or subscripted for dotted, subscripted in found}


def _literals_in(template: str) -> Iterator[str]:
    """The parts of a template that stand as they are: text around tags, strings inside them."""
    around = re.split(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", template, flags=re.DOTALL)
    inside = re.findall(r"\{\{.*?\}\}|\{%.*?%\}", template, flags=re.DOTALL)
    is_literal = not inside
    for text in around:
        value = re.sub(r"(?i)^\s*(bearer|basic|token|apikey)\s+", "", text).strip()
        # Next to a tag, a short text is more likely a separator than a part of a secret.
        if len(value) >= (1 if is_literal else 8):
            yield value
            if re.match(r"(?i)\s*basic\s", text):
                yield from _basic_password(value)
    for tag in inside:
        for single, double in re.findall(r"'([^']{8,})'|\"([^\"]{8,})\"", tag):
            yield single or double


def _basic_password(encoded: str) -> Iterator[str]:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # not base64, or not text
        return
    yield decoded.partition(":")[2] or decoded


def _connection_passwords(connection_string: str) -> Iterator[str]:
    """`Password=...` of an ADO.NET string or of a URL's query; quotes are taken off."""
    pattern = (
        r"(?i)(?:^|[;?&])\s*[\w ]*(?:password|pwd|token|secret)\s*=\s*('[^']*'|\"[^\"]*\"|[^;&]*)"
    )
    for value in re.findall(pattern, connection_string):
        yield value.strip().strip("'\"")


def _userinfo(url: str) -> Iterator[str]:
    """The password of `scheme://user:password@host`, encoded as it stands and decoded."""
    for userinfo in re.findall(r"://([^/?#\s]*)@", url):
        password = userinfo.partition(":")[2] or userinfo
        if "{{" not in password:
            yield password
            yield unquote(password)


def _any_spelling(secret: str) -> str:
    """A pattern for the secret in which every character may be URL-encoded or JSON-escaped."""
    return "".join(_character(character) for character in secret)


#: Form encoding, escapes of JavaScript and Python, HTML.
_FURTHER_FORMS = {
    " ": (r"\+",),
    "/": (r"\\+/",),
    "'": (r"\\+'", "&#x27;", "&#39;"),
    '"': ("&quot;", "&#34;"),
    "&": ("&amp;",),
    "<": ("&lt;",),
    ">": ("&gt;",),
}


def _character(character: str) -> str:
    octets = character.encode("utf-8", "surrogatepass")
    # `%25` for a percent sign that was itself encoded.
    percent = "".join(f"%(?:25)*{octet:02x}" for octet in octets)
    # `\n`, `\u00e9`, `\ud83d\ude00`; JSON in JSON doubles the backslashes.
    escaped = json.dumps(character)[1:-1]
    if not escaped.startswith("\\"):
        escaped = f"\\u{ord(character):04x}"
    escape = "".join(rf"\\+{re.escape(unit)}" for unit in escaped.split("\\")[1:] if unit)
    forms = [re.escape(character), f"(?i:{percent})", f"(?i:{escape})" if escape else r"\\+"]
    if not character.isprintable():
        # As Python's repr writes it.
        forms.append(rf"\\+(?i:x{ord(character):02x}|u{ord(character):04x}|U{ord(character):08x})")
    forms.extend(_FURTHER_FORMS.get(character, ()))
    return f"(?:{'|'.join(forms)})"


def _base64_cores(secret: str) -> Iterator[str]:
    """What base64 of any text that holds the secret must contain, at each of three offsets."""
    octets = secret.encode("utf-8", "surrogatepass")
    if len(octets) < MIN_BASE64_BYTES:
        return
    for offset in range(3):
        first = -(-offset * 8 // 6)
        last = (offset + len(octets)) * 8 // 6
        core = base64.b64encode(bytes(offset) + octets).decode()[first:last]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))
