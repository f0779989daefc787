"""Opens a REST source: compiles its templates, and puts together what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from sync_pipeline.config.environment import read_environment
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import resolve_pagination
from sync_pipeline.config.sources import ApiKeyAuth
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.http.auth import Authenticator, TokenAuth
from sync_pipeline.extract.http.cache import open_cached_session
from sync_pipeline.extract.http.client import HttpLimits, SourceHttp
from sync_pipeline.extract.http.oauth2 import ClientCredentials, token_fetcher
from sync_pipeline.extract.http.retrying import RetryPolicy
from sync_pipeline.extract.http.sessions import SessionPerThread, SourceSession
from sync_pipeline.extract.rest.checks import check_paths
from sync_pipeline.extract.rest.enumeration import Leaf, build_levels, enumerate_leaves
from sync_pipeline.extract.rest.requesting import (
    build_authenticator,
    compile_requests,
    compile_template,
)
from sync_pipeline.extract.rest.source import RestSource
from sync_pipeline.extract.setting import SourceSetting
from sync_pipeline.redaction import Redactor, secrets_of


def open_source(config: SyncConfig, setting: SourceSetting) -> RestSource:
    """Open a REST source; nothing is requested before `fetch_pages`.

    Raises:
        ConfigError: Templates, pagination or credentials cannot work.
    """
    plan = resolve_pagination(config)
    check_paths(config, plan)
    context = {"config": dict(setting.variables)}
    secrets = secrets_of(config, read_environment(dict(setting.variables), Path()))
    templates = compile_requests(config, secrets)
    redactor = Redactor(secrets)
    where = str(config.path or config.key)
    token_https: list[SourceHttp] = []

    def new_http(
        sessions: SessionPerThread, auth: Authenticator | None, *, is_cached: bool = False
    ) -> SourceHttp:
        return SourceHttp(
            sessions,
            where=where,
            authenticator=auth,
            redactor=redactor,
            limits=HttpLimits(
                config.timeout_s,
                config.whole_request_s,
                max_response_bytes=config.max_response_bytes,
            ),
            retry=RetryPolicy(retries=config.retries),
            requests_per_second=config.requests_per_second,
            is_cached=is_cached,
            warn=setting.warn,
            log=setting.log,
            sleep=setting.sleep,
            clock=setting.clock,
            monotonic=setting.monotonic,
            jitter=setting.jitter,
        )

    def open_token_auth(credentials: ClientCredentials) -> Authenticator:
        token_http = new_http(SessionPerThread(SourceSession), None)
        token_https.append(token_http)
        return TokenAuth(
            token_fetcher(credentials, token_http),
            secrets=[credentials.client_secret],
            close=token_http.close,
            clock=setting.clock,
        )

    def new_session() -> requests.Session:
        session = SourceSession()
        if setting.cache_dir is None:
            return session
        return open_cached_session(
            setting.cache_dir,
            config,
            secret_header_names=_secret_headers(config),
            session=session,
            before_request=http.before_request,
        )

    authenticator = build_authenticator(config, context, open_token_auth)
    secret = None
    if config.results_secret is not None:
        secret = compile_template(config, config.results_secret, "resultsSecret")(context)
    http = new_http(
        SessionPerThread(new_session), authenticator, is_cached=setting.cache_dir is not None
    )
    return RestSource(
        config,
        plan=plan,
        templates=templates,
        http=http,
        leaves=_open_leaves(config, setting, context),
        context=context,
        secret=secret,
        secret_query=authenticator.query_names(),
        limit=setting.limit,
        count_requests=lambda: sum(each.requests for each in (http, *token_https)),
        log=setting.log,
        warn=setting.warn,
    )


def _open_leaves(
    config: SyncConfig, setting: SourceSetting, context: Mapping[str, Any]
) -> Callable[[], Iterator[Leaf]]:
    levels = build_levels(
        config.enumerate_for_content_types,
        lambda source, key: compile_template(config, source, key),
        context,
    )
    if not levels:
        return lambda: iter((Leaf(),))
    lookup = setting.lookup
    if lookup is None:
        raise ConfigError(
            "needs the entries of a space, and none is connected",
            file=config.path,
            key="enumerateForContentTypes",
        )
    return lambda: enumerate_leaves(levels, lookup, setting.warn)


def _secret_headers(config: SyncConfig) -> frozenset[str]:
    names = {name for name, source in config.headers.items() if "config" in source}
    if isinstance(config.auth, ApiKeyAuth) and config.auth.location == "header":
        names.add(config.auth.name)
    return frozenset(names)
