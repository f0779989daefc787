import base64
import html
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sync_pipeline.config.environment import Environment, read_environment
from sync_pipeline.config.loading import parse_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.redaction import (
    MASK,
    RedactingFilter,
    Redactor,
    is_secret_name,
    redact_url,
    secrets_in_request,
    secrets_of,
)

SECRET = 'p&ss "w/rd"é+%'

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "URL-encoded": lambda secret: quote(secret, safe=""),
    "URL-encoded but for slashes": quote,
    "URL-encoded in small letters": lambda secret: re.sub(
        "%..", lambda octet: octet[0].lower(), quote(secret, safe="")
    ),
    "form-encoded": quote_plus,
    "URL-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "as requests encodes it": lambda secret: quote(secret, safe="!#$%&'()*+,/:;=?@[]~"),
    "every octet encoded": lambda secret: "".join(f"%{octet:02X}" for octet in secret.encode()),
    "in JSON": lambda secret: json.dumps({"a": secret}),
    "in JSON in JSON": lambda secret: json.dumps(json.dumps({"a": secret})),
    "in JSON with letters kept": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in JSON with slashes escaped": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in Python": repr,
    "in HTML": html.escape,
}
BASE64_FORMS: dict[str, Callable[[str], str]] = {
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "base64 without padding": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
    "basic authentication": lambda secret: base64.b64encode(f"u:{secret}".encode()).decode(),
    "basic authentication, longer name": lambda secret: base64.b64encode(
        f"user:{secret}".encode()
    ).decode(),
    "basic authentication, last": lambda secret: base64.b64encode(f"{secret}:".encode()).decode(),
}


@pytest.mark.parametrize("form", {**FORMS, **BASE64_FORMS}.values(), ids=[*FORMS, *BASE64_FORMS])
def test_a_secret_is_taken_out_in_every_form(form: Callable[[str], str]) -> None:
    redacted = Redactor([SECRET]).redact(f"GET /x?a=1&key={form(SECRET)} failed")
    for piece in ("ss", "rd", form(SECRET)):
        assert piece not in redacted
    assert redacted.startswith("GET /x?a=1&key=")
    assert redacted.endswith(" failed")
    assert MASK in redacted


@settings(deadline=None)
@given(st.text(min_size=4), st.sampled_from(list(FORMS)), st.text(), st.text())
def test_no_text_gives_a_secret_away(secret: str, form: str, before: str, after: str) -> None:
    assume(secret.strip("* \n\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"))
    assume(secret.casefold() not in {"true", "false", "none", "null", "basic", "bearer"})
    try:
        text = FORMS[form](secret)
    except UnicodeEncodeError:  # a lone surrogate has no URL encoding
        assume(False)
    redacted = Redactor([secret]).redact(before + text + after)
    assert MASK in redacted
    assert secret not in redacted.replace(MASK, "")
    assert secret.strip() not in redacted.split(MASK)


@settings(deadline=None)
@given(st.binary(min_size=8, max_size=40), st.binary(max_size=10), st.binary(max_size=10))
def test_base64_of_any_text_around_a_secret_is_masked_whole(
    key: bytes, before: bytes, after: bytes
) -> None:
    secret = key.hex()
    text = base64.b64encode(before + secret.encode() + after).decode()
    assert Redactor([secret]).redact(f"Basic {text}, and so on").rstrip("=") in {
        f"Basic {MASK}, and so on",
        f"Basic {MASK}=, and so on",
        f"Basic {MASK}==, and so on",
    }


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert Redactor(["abcdef", "cdefgh", "efghij"]).redact("<abcdefghij>") == f"<{MASK}>"
    assert Redactor(["abab"]).redact("<ababab>") == f"<{MASK}>"


def test_the_longer_of_two_secrets_is_not_left_half() -> None:
    assert Redactor(["abcd", "abcdefgh"]).redact("abcdefgh") == MASK


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "GET https://api.example.com/items?limit=10 gave 404 in 0.3 s"
    assert Redactor(["hunter22"]).redact(text) == text
    assert Redactor([]).redact(text) == text


@pytest.mark.parametrize("secret", ["", "  ", "true", "None", "Bearer"])
def test_a_value_that_cannot_be_secret_is_left_in_texts(secret: str) -> None:
    text = "Bearer true None   x"
    assert Redactor([secret]).redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("password=abc", f"password={MASK}"),
        ("api_key: abc", f"api_key: {MASK}"),
        ('{"token": "abc"}', f'{{"token": "{MASK}"}}'),
        ("Authorization: Bearer abc", f"Authorization: Bearer {MASK}"),
        ("abc records, page=abc", "abc records, page=abc"),
        ("password=abcd", "password=abcd"),
    ],
)
def test_a_short_secret_is_taken_out_only_where_it_is_named(text: str, redacted: str) -> None:
    assert Redactor(["abc"]).redact(text) == redacted


def test_a_secret_with_a_line_end_is_found_without_it() -> None:
    assert Redactor(["hunter22\n"]).redact("<hunter22>") == f"<{MASK}>"


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("https://api.example.com/items", "https://api.example.com/items"),
        ("https://u:p@api.example.com:8080/items", "https://api.example.com:8080/items"),
        ("https://token@api.example.com/", "https://api.example.com/"),
        ("https://x/a?limit=10&offset=200", "https://x/a?limit=10&offset=200"),
        ("https://x/a?page=2&sort=-name&order=asc", "https://x/a?page=2&sort=-name&order=asc"),
        ("https://x/a?api_key=123456", f"https://x/a?api_key={MASK}"),
        ("https://x/a?access_token=abc&limit=1", f"https://x/a?access_token={MASK}&limit=1"),
        ("https://x/a?q=jane@example.com", f"https://x/a?q={MASK}"),
        ("https://x/a?active=true&min=2.5", "https://x/a?active=true&min=2.5"),
        ("https://x/a?id=12345678901234567890", f"https://x/a?id={MASK}"),
        ("https://x/a?cursor=eyJhIjoxfQ==", f"https://x/a?cursor={MASK}"),
        ("https://x/a?page=eyJhIjoxfQ==", f"https://x/a?page={MASK}"),
        ("https://x/a?abcdef", f"https://x/a?{MASK}"),
        ("https://x/a?empty=&limit=1", "https://x/a?empty=&limit=1"),
        ("https://x/a?a=1&&b=2", "https://x/a?a=1&&b=2"),
        ("https://x/a#access_token=abc", f"https://x/a#{MASK}"),
        ("http://u:pa/ss@host/x", f"http://{MASK}"),
        ("http://u:12/ss@host/x", f"http://{MASK}"),
        ("http://[::1/x", f"http://{MASK}"),
        ("postgresql://u:p@h/db?password=x", f"postgresql://h/db?password={MASK}"),
        ("/items?token=a", f"/items?token={MASK}"),
        ("https://x/users/@jane", "https://x/users/@jane"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_redacted_as_a_url(url: str) -> None:
    assert isinstance(redact_url(url), str)


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]{7,20}", fullmatch=True))
def test_a_url_never_shows_a_password_or_a_key(secret: str) -> None:
    assert secret not in redact_url(f"https://u:{secret}@h/p?api_key={secret}&q={secret}#{secret}")


def environment(**variables: str) -> Environment:
    return read_environment(variables)


def config(rest: str) -> SyncConfig:
    text = "contentType: a\ncontentKeyField: id\nmapping: {id: x}\n" + rest
    if "connectionString" not in rest and "endPoint" not in rest:
        text += "\nendPoint: https://x/y"
    return parse_config(text, key="a")[0]


def test_secrets_of_the_environment_are_known_by_name() -> None:
    found = secrets_of(
        None,
        environment(
            CONTENTFUL_MANAGEMENT_TOKEN="CFPAT-1",
            SYNC_API_KEY="key-1",
            Cute__UserDBPassword="pass-1",
            SYNC_DB_PWD="pwd-1",
            SYNC_CREDENTIALS="cred-1",
            SYNC_AUTH_HEADER="auth-1",
            SYNC_SECRET_ENABLED="true",
            SYNC_PRODUCTS_URL="https://user:url-1@example.com/",
            SYNC_REGION="eu-west",
            CONTENTFUL_CMA_URL="https://u:cma-1@example.com",
        ),
    )
    assert found == {
        "CFPAT-1", "key-1", "pass-1", "pwd-1", "cred-1", "auth-1", "url-1", "cma-1",
    }  # fmt: skip


VARIABLES = {"SYNC_A": "value-a", "Cute__B": "value-b", "SYNC_C": "value-c"}

USES = {
    "bearer": ("auth: {type: bearer, token: '{{ config.SYNC_A }}'}", {"value-a"}),
    "bearer, literal": ("auth: {type: bearer, token: abc}", {"abc"}),
    "bearer, partly literal": (
        "auth: {type: bearer, token: 'sk_live_1234_{{ config.SYNC_A }}'}",
        {"value-a", "sk_live_1234_"},
    ),
    "basic": (
        "auth: {type: basic, username: '{{ config.SYNC_A }}', password: \"{{ config['Cute__B'] }}\"}",
        {"value-a", "value-b"},
    ),
    "basic, literal": ("auth: {type: basic, username: joe, password: pass1}", {"pass1"}),
    "api key": ("auth: {type: api_key, name: k, value: '{{config.SYNC_A|trim}}'}", {"value-a"}),
    "oauth": (
        ("auth: {type: oauth2_client_credentials, tokenUrl: 'https://u:tok-1@x/t', clientId: me, "
        "clientSecret: '{{ config.SYNC_A | default(\"fallback-1\") }}', scope: read}"),
        {"value-a", "fallback-1", "tok-1"},
    ),
    "header": ("headers: {X-Tenant: '{{ config.SYNC_A }}', Accept: json}", {"value-a"}),
    "authorization, literal": ("headers: {Authorization: Bearer abc}", {"abc"}),
    "authorization, basic": (
        "headers: {Authorization: Basic dXNlcjpwYXNzMQ==}", {"dXNlcjpwYXNzMQ==", "pass1"},
    ),
    "authorization, basic in name only": ("headers: {Authorization: Basic p%1}", {"p%1"}),
    "header, literal": ("headers: {X-Api-Key: abc, Accept: json}", {"abc"}),
    "zip password": ("resultsFormat: zippedCsv\nresultsSecret: '{{ config.SYNC_A }}'", {"value-a"}),
    "zip password, literal": ("resultsFormat: zippedCsv\nresultsSecret: abc", {"abc"}),
    "ADO.NET": (
        ("provider: sqlserver\nquery: q\n"
        "connectionString: Server=s;User Id={{config.SYNC_A}};Password={{config.Cute__B}};"),
        {"value-a", "value-b"},
    ),
    "ADO.NET, literal": (
        "provider: mysql\nquery: q\nconnectionString: 'Server=s;Uid=joe;Pwd=\"p;1\";Port=1'", {"p;1"},
    ),
    "database URL": (
        "query: q\nconnectionString: postgresql://joe:p%40ss@h/db?sslpassword=ssl-1",
        {"p%40ss", "p@ss", "ssl-1"},
    ),
    "user in a URL": ("endPoint: https://joe:pass1@x/y", {"pass1"}),
    "token in a URL": ("endPoint: https://x/y?limit=5&api_key=abc", {"abc"}),
    "variable in a URL": ("endPoint: 'https://x/y?api_key={{ config.SYNC_A }}'", {"value-a"}),
    "query parameter": ("queryParameters: {access_token: '{{ config.SYNC_A }}', q: word}", {"value-a"}),
    "form": (
        "httpMethod: post\nformUrlEncodedContent: {client_secret: abc, grant_type: x}", {"abc"},
    ),
    "body": ("httpMethod: post\njsonBody: {a: [{password: abc, name: joe}]}", {"abc"}),
    "sensor": (
        "sensor: {type: http_change, url: 'https://u:sen-1@x/', headers: {X: '{{ config.SYNC_A }}'}}",
        {"value-a", "sen-1"},
    ),
    "variable in a path": ("endPoint: 'https://x/{{ config.SYNC_A }}/items'", {"value-a"}),
    "variable in a path, by subscript": (
        "endPoint: 'https://x/{{ config[\"SYNC_A\"] | trim }}/items'", {"value-a"},
    ),
    "variable in a query, whatever the name": (
        "endPoint: 'https://x/y?tenant={{ config.SYNC_A }}'", {"value-a"},
    ),
    "variable in a query parameter, whatever the name": (
        "queryParameters: {tenant: '{{ config.SYNC_A }}'}", {"value-a"},
    ),
    "variable in the URL of a sensor": (
        "sensor: {type: http_change, url: 'https://x/{{ config.SYNC_A }}'}", {"value-a"},
    ),
    "two variables, one public": (
        "publicVariables: [SYNC_A]\nendPoint: 'https://x/{{ config.SYNC_A }}/{{ config.SYNC_C }}'",
        {"value-c"},
    ),
    "public variable in a header": (
        "publicVariables: [SYNC_A]\nheaders: {X-Tenant: '{{ config.SYNC_A }}'}", set(),
    ),
    "nothing": ("headers: {Accept: json}", set()),
}  # fmt: skip


@pytest.mark.parametrize(("rest", "secrets"), USES.values(), ids=USES.keys())
def test_what_a_config_uses_as_secret_is_known(rest: str, secrets: set[str]) -> None:
    assert secrets_of(config(rest), environment(**VARIABLES)) == secrets


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("https://api.example.com:8443", set()),
        ("http://127.0.0.1:9/v2/api", set()),
        ("https://hooks.example.com/T0/B12345678/items", {"B12345678"}),
        ("https://api.example.com/?limit=5&code=abcdef", {"abcdef"}),
        ("https://joe:pass1@api.example.com", {"pass1"}),
        ("18301", set()),
        ("2024-02-29", set()),
        ("true", set()),
        ("1234567", {"1234567"}),
        ("north-4711", {"north-4711"}),
    ],
)
def test_of_a_variable_in_a_url_the_address_of_the_server_stays(value, secrets) -> None:
    found = secrets_of(config("endPoint: '{{ config.SYNC_A }}/items'"), environment(SYNC_A=value))
    assert found == secrets


@pytest.mark.parametrize(
    ("url", "headers", "secrets"),
    [
        ("https://x/y?api_key=abcd1&q=word", {"Accept": "application/json"}, {"abcd1"}),
        ("https://joe:pass1@x/y", {}, {"pass1"}),
        ("https://x/y", {"Authorization": "Bearer abcd1"}, {"Bearer abcd1", "abcd1"}),
        ("https://x/y?access_token=a%20b1", {"X-Api-Key": "k-1"}, {"a b1", "k-1"}),
        ("https://x/y?page=2", {}, set()),
    ],
)
def test_what_a_person_states_in_a_request_is_known(url, headers, secrets) -> None:
    assert secrets_in_request(url, headers) == secrets


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("SYNC_API_KEY", True),
        ("Cute__Pwd", True),
        ("X-Auth", True),
        ("SYNC_URL", False),
        ("", False),
    ],
)
def test_names_that_say_secret(name: str, is_secret: bool) -> None:
    assert is_secret_name(name) is is_secret


class _Lines(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def logged(log: Callable[[logging.Logger], Any]) -> str:
    handler = _Lines(logging.Formatter("%(levelname)s %(message)s %(url)s", defaults={"url": ""}))
    handler.addFilter(RedactingFilter(Redactor(["hunter22"])))
    logger = logging.getLogger(f"{__name__}.redacted")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    log(logger)
    logger.removeHandler(handler)
    return "\n".join(handler.lines)


def failing(logger: logging.Logger) -> None:
    try:
        {}["no access with hunter22"]
    except KeyError:
        logger.exception("failed: %s", "hunter22")


def test_log_records_are_redacted() -> None:
    assert (
        logged(lambda log: log.info("key %s of %d", "hunter22", 2)).strip()
        == f"INFO key {MASK} of 2"
    )
    assert logged(lambda log: log.info("key hunter22")).strip() == f"INFO key {MASK}"
    assert logged(lambda log: log.info("%(key)s", {"key": "hunter22"})).strip() == f"INFO {MASK}"
    assert logged(lambda log: log.info({"key": "hunter22"})).strip() == f"INFO {{'key': '{MASK}'}}"
    assert logged(lambda log: log.info("a", extra={"url": "/hunter22"})) == f"INFO a /{MASK}"


def test_tracebacks_and_stacks_are_redacted() -> None:
    text = logged(failing)
    assert "hunter22" not in text
    assert f"KeyError: 'no access with {MASK}'" in text
    assert "Traceback" in text
    stack = logged(lambda log: log.info("a", stack_info="hunter22"))
    assert "hunter22" not in stack


def test_arguments_that_do_not_fit_the_message_do_not_stop_the_record() -> None:
    record = logging.makeLogRecord({"msg": "%d", "args": ("hunter22",)})
    assert RedactingFilter(Redactor(["hunter22"])).filter(record)
    assert record.getMessage() == f"%d ('{MASK}',)"


def test_a_percent_sign_in_a_redacted_message_is_not_formatted_again() -> None:
    assert logged(lambda log: log.info("%s", "100% of hunter22")).strip() == f"INFO 100% of {MASK}"
