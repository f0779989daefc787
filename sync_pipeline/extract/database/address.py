"""Which database a `connectionString` names: ADO.NET strings, as the original has them, and
SQLAlchemy URLs.

ADO.NET: `key=value;` pairs; names ignore case, spaces and underscores; a value in single or double
quotes may hold anything, its own quote doubled
(https://learn.microsoft.com/dotnet/framework/data/adonet/connection-string-syntax). Placeholders
are filled in value by value, so a password needs no quotes whatever is in it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from logging import Logger
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError

Render = Callable[[str], str]

_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "sqlserver": "mssql+pymssql",
}
#: What a URL may say for each.
_SCHEMES: Final = {
    "sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql",
    "mariadb": "mysql", "mssql": "sqlserver", "sqlserver": "sqlserver",
}  # fmt: skip
_NAMES: Final = {
    "host": ("server", "host", "datasource", "address", "addr", "networkaddress", "hostname"),
    "port": ("port",),
    "database": ("database", "initialcatalog", "db", "dbname"),
    "user": ("userid", "user", "username", "uid"),
    "password": ("password", "pwd", "psw"),
    "timeout": ("connecttimeout", "connectiontimeout", "timeout"),
    "application": ("applicationname", "app"),
    "sslmode": ("sslmode",),
    "ca": ("rootcertificate", "sslrootcert", "sslca", "cacertificatefile", "certificateauthority"),
    "encrypt": ("encrypt",),
    "trust": ("trustservercertificate",),
    "integrated": ("integratedsecurity", "trustedconnection"),
    "intent": ("applicationintent",),
    "charset": ("charset", "characterset"),
    "schema": ("searchpath",),
}
_MEANING: Final = {name: meaning for meaning, names in _NAMES.items() for name in names}
#: Keys that concern ADO.NET's pools and protocol, with no counterpart that a reader needs.
_MEANINGLESS: Final = frozenset(
    {"pooling", "minpoolsize", "maxpoolsize", "minimumpoolsize", "maximumpoolsize",
     "multipleactiveresultsets", "persistsecurityinfo", "commandtimeout", "defaultcommandtimeout",
     "connectionlifetime", "loadbalancetimeout", "workstationid", "packetsize", "keepalive",
     "includeerrordetail", "allowuservariables", "convertzerodatetime", "allowzerodatetime",
     "usecompression", "version", "cache", "mode", "readonly", "foreignkeys", "connectretrycount",
     "connectretryinterval", "multisubnetfailover", "enlist", "allowpublickeyretrieval",
     "connectionreset", "typesystemversion", "provider"}
)  # fmt: skip
_YES: Final = frozenset({"true", "yes", "1", "sspi", "mandatory", "strict", "require", "required"})
_TAG: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
#: Private-use characters: they stand for a placeholder while the string is taken apart.
_HOLE: Final = re.compile("\ue000(\\d+)\ue001")
_URL: Final = re.compile(r"\s*(?P<scheme>[A-Za-z0-9]+)(?:\+\w+)?://")


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and how its driver is to be called."""

    provider: str
    url: URL
    #: Further arguments of the driver's `connect`.
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For messages: where and who, never a password."""
        if self.provider == "sqlite":
            return f"sqlite {(self.url.database or '').removeprefix('file://')}"
        port = f":{self.url.port}" if self.url.port else ""
        user = f" as {self.url.username}" if self.url.username else ""
        return (
            f"{self.provider} {self.url.host or 'localhost'}{port}/{self.url.database or ''}{user}"
        )


def read_address(config: SyncConfig, render: Render, log: Logger) -> Address:
    """The database of a config.

    Args:
        config: Its `connection_string`, `provider`, `path` and `timeout_s` count.
        render: Fills in a template.
        log: Told of keys that are not understood.

    Raises:
        ConfigError: The string cannot be read, or names no database.
    """
    text = config.connection_string or ""
    if not text.strip():
        raise _error(config, "a database source needs it: `Server=...;Database=...;...`, or a URL")
    rendered = render(text)
    if _URL.match(rendered):
        return _from_url(config, rendered)
    if config.provider is None:
        raise ConfigError(
            "which kind of database? Set it to sqlserver, mysql, postgresql or sqlite",
            file=config.path, key="provider",
        )  # fmt: skip
    if config.provider == "sqlite" and "=" not in rendered:
        return _sqlite(config, rendered.strip())
    whole = "{%" in text or "{#" in text
    pairs = _pairs(config, rendered if whole else text, (lambda part: part) if whole else render)
    values = _understand(config, pairs, log)
    return _BUILDERS[config.provider](config, values, log)


def _pairs(config: SyncConfig, template: str, render: Render) -> dict[str, str]:
    """`{key as written: value}`; a later pair wins, as in ADO.NET."""
    tags: list[str] = []

    def dig(found: re.Match[str]) -> str:
        tags.append(found.group())
        return f"\ue000{len(tags) - 1}\ue001"

    def fill(text: str) -> str:
        return _HOLE.sub(lambda hole: render(tags[int(hole[1])]), text)

    pairs: dict[str, str] = {}
    for key, value in _split(config, _TAG.sub(dig, template)):
        if value is None:
            # A placeholder that stands for whole pairs. What it gave is no template any more: a
            # tag in it that were looked up again would give itself for ever.
            pairs |= {name.strip(): text or "" for name, text in _split(config, fill(key))}
        else:
            pairs[fill(key).strip()] = fill(value)
    return pairs


def _split(config: SyncConfig, text: str) -> Iterator[tuple[str, str | None]]:
    position = 0
    while True:
        while position < len(text) and (text[position].isspace() or text[position] == ";"):
            position += 1
        if position >= len(text):
            return
        found = re.compile(r"((?:[^=;]|==)+)=(?!=)\s*").match(text, position)
        if not found:
            end = text.find(";", position)
            part = text[position : end if end >= 0 else len(text)].strip()
            if not _HOLE.fullmatch(part):
                raise _error(config, "is neither `key=value;` pairs nor a URL `scheme://...`")
            yield part, None
            position += len(part)
            continue
        key, position = found[1].replace("==", "=").strip(), found.end()
        quote = text[position : position + 1]
        if quote in ("'", '"'):
            quoted = re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}\\s*(?=;|$)").match(
                text, position
            )
            if not quoted:
                raise _error(config, f"the quote of the value of {key[:40]!r} is never closed")
            yield key, quoted[1].replace(quote * 2, quote)
            position = quoted.end()
        else:
            end = text.find(";", position)
            end = len(text) if end < 0 else end
            yield key, text[position:end].strip()
            position = end


def _understand(config: SyncConfig, pairs: Mapping[str, str], log: Logger) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in pairs.items():
        name = re.sub(r"[\s_]", "", key).lower()
        if config.provider == "sqlite" and name in ("filename", "fulluri"):
            name = "datasource"
        if name in _MEANING:
            values[_MEANING[name]] = value
        elif name not in _MEANINGLESS:
            log.warning("connectionString: %r is not understood and left aside", key[:40])
    return values


def _from_url(config: SyncConfig, text: str) -> Address:
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise _error(
            config,
            "the URL cannot be read. Special characters in user and password are "
            "percent-encoded: {{ config.SYNC_PASSWORD | urlencode }}",
        ) from None  # its text would repeat the URL, and with it the password
    scheme = url.drivername.split("+", 1)[0].lower()
    provider = _SCHEMES.get(scheme, scheme)
    if config.provider is not None and provider != config.provider:
        raise _error(config, f"it is a URL for {provider}, but provider is {config.provider}")
    if "+" not in url.drivername or scheme not in ("sqlite", "postgresql", "mysql", "mssql"):
        url = url.set(drivername=_DRIVERS.get(provider, url.drivername))
    if provider == "sqlite":
        return _sqlite(config, url.database or "")
    return Address(provider, url, _timeouts(url.drivername, config.timeout_s))


def _sqlite(config: SyncConfig, path: str) -> Address:
    """The file is opened read-only; it must exist, for SQLite would make an empty one."""
    if not path or path == ":memory:":
        raise _error(
            config, "names no file. A database in memory is empty: there is nothing to read"
        )
    if path.startswith("file:"):
        path = path.removeprefix("file:").split("?", 1)[0]
    file = Path(path)
    if not file.is_absolute() and config.path is not None:
        file = config.path.absolute().parent / file
    if not os.path.isfile(file):  # noqa: PTH113 - Path.is_file raises on names that are too long
        raise _error(config, f"there is no file {file} (relative paths start at the config file)")
    uri = f"{file.absolute().as_uri()}"
    url = URL.create("sqlite+pysqlite", database=uri, query={"mode": "ro", "uri": "true"})
    return Address("sqlite", url, {"timeout": config.timeout_s})


def _sqlite_pairs(config: SyncConfig, values: Mapping[str, str], _log: Logger) -> Address:
    if values.get("password"):
        raise _error(
            config, "encrypted SQLite files are not supported. Export one without password"
        )
    return _sqlite(config, values.get("host") or values.get("database", ""))


def _postgresql(config: SyncConfig, values: Mapping[str, str], _log: Logger) -> Address:
    query = {
        "sslmode": re.sub("^verify-?(ca|full)$", r"verify-\1", values.get("sslmode", "").lower()),
        "sslrootcert": values.get("ca", ""),
        "application_name": values.get("application", ""),
        "options": f"-csearch_path={values['schema']}" if values.get("schema") else "",
    }
    return _server(config, values, "postgresql", query={k: v for k, v in query.items() if v})


def _mysql(config: SyncConfig, values: Mapping[str, str], _log: Logger) -> Address:
    mode = re.sub(r"[\s_-]", "", values.get("sslmode", "preferred")).lower()
    arguments: dict[str, Any] = {"charset": values.get("charset", "utf8mb4").lower()}
    if mode in ("required", "verifyca", "verifyfull"):
        context = ssl.create_default_context(cafile=values.get("ca") or None)
        context.check_hostname = mode == "verifyfull"
        if mode == "required":
            context.verify_mode = ssl.CERT_NONE
        arguments["ssl"] = context
    elif mode not in ("preferred", "none", "disabled"):
        raise _error(config, "SslMode is none, preferred, required, verifyCA or verifyFull")
    return _server(config, values, "mysql", arguments=arguments)


def _sqlserver(config: SyncConfig, values: Mapping[str, str], log: Logger) -> Address:
    if values.get("integrated", "").lower() in _YES:
        raise _error(
            config,
            "Windows authentication is not supported. Use a login: `User Id=...;Password=...`",
        )
    server = values.get("host", "").strip()
    if re.match(r"(?i)\(localdb\)|(?:np|lpc|admin):", server):
        raise _error(config, "LocalDB and named pipes are not supported. Use `Server=host,port`")
    server = re.sub(r"(?i)^tcp:", "", server)
    server = re.sub(r"(?i)^(?:\.|\(local\))(?=$|[\\,])", "localhost", server)
    arguments: dict[str, Any] = {}
    encrypt = values.get("encrypt", "").lower()
    if encrypt:
        arguments["encryption"] = "require" if encrypt in _YES else "request"
        if encrypt in _YES and values.get("trust", "").lower() not in _YES:
            log.warning(
                "connectionString: the connection is encrypted, but whether the server's "
                "certificate is checked is up to FreeTDS (freetds.conf, `check certificate`)"
            )
    if values.get("intent", "").lower() == "readonly":
        arguments["read_only"] = True
    if values.get("application"):
        arguments["appname"] = values["application"]
    return _server(config, {**values, "host": server}, "sqlserver", arguments=arguments)


def _server(
    config: SyncConfig,
    values: Mapping[str, str],
    provider: str,
    *,
    query: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Address:
    host, port = values.get("host", "").strip(), values.get("port", "").strip()
    found = re.fullmatch(r"([^,:]+)\s*[,:]\s*(\d+)", host)
    if found:
        host, port = found[1].strip(), port or found[2]
    if not host:
        raise _error(config, "names no server: add `Server=host;`")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise _error(config, "the port is no number from 1 to 65535")
    seconds = values.get("timeout", "").strip()
    url = URL.create(
        _DRIVERS[provider],
        username=values.get("user") or None,
        password=values.get("password") or None,
        host=host,
        port=int(port) if port else None,
        database=values.get("database") or None,
        query=dict(query or {}),
    )
    timeout = float(seconds) if seconds.isdecimal() and int(seconds) else config.timeout_s
    return Address(provider, url, {**_timeouts(url.drivername, timeout), **(arguments or {})})


def _timeouts(drivername: str, seconds: float) -> dict[str, Any]:
    """Seconds until a connection counts as impossible."""
    whole = max(1, round(seconds))
    return {
        "postgresql+psycopg": {"connect_timeout": whole},
        "mysql+pymysql": {"connect_timeout": whole},
        "mssql+pymssql": {"login_timeout": whole},
    }.get(drivername, {})


def _error(config: SyncConfig, message: str) -> ConfigError:
    return ConfigError(message, file=config.path, key="connectionString")


_BUILDERS: Final = {
    "sqlite": _sqlite_pairs,
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlserver": _sqlserver,
}
