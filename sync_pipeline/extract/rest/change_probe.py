"""Tell whether a source has changed, for a sensor: by its validators or by one value."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sync_pipeline.config.environment import read_environment
from sync_pipeline.config.model import Sensor, SyncConfig
from sync_pipeline.errors import ConfigError, SourceDataError
from sync_pipeline.extract.formats import load_document, value_at
from sync_pipeline.extract.http.auth import Authenticator, NoAuth, TokenAuth
from sync_pipeline.extract.http.bodies import Answer
from sync_pipeline.extract.http.client import HttpLimits, HttpRequest, SourceHttp
from sync_pipeline.extract.http.oauth2 import ClientCredentials, token_fetcher
from sync_pipeline.extract.http.retrying import RetryPolicy
from sync_pipeline.extract.http.sessions import (
    SessionPerThread,
    SourceSession,
    is_http_url,
    is_same_origin,
)
from sync_pipeline.extract.own_words import explain_nothing, quote_words
from sync_pipeline.extract.rest.requesting import build_authenticator, compile_template
from sync_pipeline.redaction import Redactor, redact_url, secrets_of

#: A document that is watched for one value is small; a data set is watched by its validators.
MAX_DOCUMENT_BYTES = 16 * 1024**2
#: A sensor's tick comes again soon, and Dagster ends an evaluation after a minute.
RETRIES = 2
TIMEOUT_S = 15.0
LEAST_BYTES_PER_S = 1024.0**2


def probe_change(
    config: SyncConfig,
    sensor: Sensor,
    *,
    variables: Mapping[str, str],
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Ask the URL that the sensor watches for the state of its source.

    Args:
        config: The sync; its `auth` is used where the URL has the scheme and host of `endPoint`.
        sensor: The URL, its headers, and the path of the value to watch, if any.
        variables: Environment variables that templates may read as `config.NAME`.
        monotonic: Seconds of a clock that never goes back.

    Returns:
        A text that differs when the source has changed: the value as JSON, or ETag and
        Last-Modified.

    Raises:
        SourceError: The URL cannot be read; nothing is known about a change.
        SourceDataError: There is nothing to watch: no validators, or no value at the path.
    """
    context = {"config": dict(variables)}
    url = compile_template(config, sensor.url, "sensor.url")(context).strip()
    if not is_http_url(url):
        raise ConfigError(
            f"gives {redact_url(url)!r}, which is no absolute http or https URL",
            file=config.path,
            key="sensor.url",
        )
    headers = {
        name: compile_template(config, text, f"sensor.headers.{name}")(context)
        for name, text in sensor.headers.items()
    }
    redactor = Redactor(secrets_of(config, read_environment(dict(variables), Path())))

    def open_http(auth: Authenticator) -> SourceHttp:
        return SourceHttp(
            SessionPerThread(SourceSession),
            where=str(config.path or config.key),
            authenticator=auth,
            redactor=redactor,
            limits=HttpLimits(
                min(config.timeout_s, TIMEOUT_S),
                min(config.whole_request_s, TIMEOUT_S),
                LEAST_BYTES_PER_S,
                MAX_DOCUMENT_BYTES,
            ),
            retry=RetryPolicy(retries=RETRIES),
            monotonic=monotonic,
        )

    def open_token_auth(credentials: ClientCredentials) -> Authenticator:
        token_http = open_http(NoAuth())
        fetch_token = token_fetcher(credentials, token_http)
        return TokenAuth(fetch_token, secrets=[credentials.client_secret], close=token_http.close)

    end_point = _end_point(config, context)
    with SourceSession() as session:  # not over http what is for https
        may_have = is_http_url(end_point) and is_same_origin(session, end_point, url)
    http = open_http(build_authenticator(config, context, open_token_auth) if may_have
                     else NoAuth())  # fmt: skip
    try:
        return http.fetch(
            HttpRequest("GET", url, headers, key="sensor.url"),
            lambda answer: _read_state(answer, config, sensor),
        )
    finally:
        http.close()


def _end_point(config: SyncConfig, context: Mapping[str, Any]) -> str:
    paging = {"skip": 0, "limit": 1, "cursor": ""}
    text = compile_template(config, config.end_point or "", "endPoint", extra=tuple(paging))
    return text({**context, **paging}).strip()


def _read_state(answer: Answer, config: SyncConfig, sensor: Sensor) -> str:
    if sensor.json_path is None:
        validators = {
            name: value
            for name in ("ETag", "Last-Modified")
            if (value := answer.headers.get(name)) is not None
        }
        if not validators:
            raise SourceDataError(
                f"{answer.name}: answers with neither ETag nor Last-Modified, so a change cannot "
                "be seen. Set sensor.jsonPath to a value that changes with the data"
            )
        return json.dumps(validators, sort_keys=True)
    # What the file says of the format is about the records.
    as_json = {"results_format": "json", "results_encoding": None}
    document = load_document(
        io.BufferedReader(answer.stream),
        config.model_copy(update=as_json),
        content_type_header=answer.content_type,
        url=answer.redacted_url,
    )
    value = value_at(document, sensor.json_path)
    if value is None:
        raise SourceDataError(
            f"{answer.name}: nothing at {sensor.json_path!r}"
            f"{quote_words(explain_nothing(document, ()))}. Correct sensor.jsonPath"
        )
    return json.dumps(value, sort_keys=True)
