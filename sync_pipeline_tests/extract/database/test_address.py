"""Connection strings of the original (ADO.NET) and URLs name the same databases."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError
from sync_pipeline.extract.database.address import Address, read_address
from sync_pipeline.templating import compile_text

LOG = logging.getLogger("address")


def config(provider: str | None, text: str | None, path: Path | None = None) -> SyncConfig:
    return SyncConfig.model_validate(
        {
            "key": "items",
            "path": path,
            "source_type": "database",
            "content_type": "item",
            "content_key_field": "id",
            "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
            "provider": provider,
            "connection_string": text,
        }
    )


def address(
    provider: str | None, text: str | None, path: Path | None = None, **variables: str
) -> Address:
    def render(template: str) -> str:
        return compile_text(template, names=("config",))({"config": variables})

    return read_address(config(provider, text, path), render, LOG)


def parts(found: Address) -> tuple[Any, ...]:
    url = found.url
    return url.drivername, url.username, url.password, url.host, url.port, url.database


@pytest.mark.parametrize(
    ("provider", "text", "expected"),
    [
        pytest.param(
            "sqlserver",
            "Server=localhost,1433;Database=X;User Id=sa;Password=p;TrustServerCertificate=True;",
            ("mssql+pymssql", "sa", "p", "localhost", 1433, "X"),
            id="the original's sample",
        ),
        pytest.param(
            "sqlserver",
            "Data Source=tcp:db.example\\inst, 1500;Initial Catalog=X;UID=u;PWD=p",
            ("mssql+pymssql", "u", "p", "db.example\\inst", 1500, "X"),
            id="aliases, tcp, instance",
        ),
        pytest.param(
            "sqlserver",
            "server=.;user=u;password=p",
            ("mssql+pymssql", "u", "p", "localhost", None, None),
            id="dot",
        ),
        pytest.param(
            "sqlserver",
            "server=(local)\\x;user=u",
            ("mssql+pymssql", "u", None, "localhost\\x", None, None),
            id="(local)",
        ),
        pytest.param(
            "postgresql",
            "Host=db;Port=5433;Database=X;Username=u;Password=p;Pooling=true",
            ("postgresql+psycopg", "u", "p", "db", 5433, "X"),
            id="Npgsql",
        ),
        pytest.param(
            "mysql",
            "Server=db;Port=3307;Database=X;Uid=u;Pwd=p;",
            ("mysql+pymysql", "u", "p", "db", 3307, "X"),
            id="MySQL",
        ),
        pytest.param(
            "mysql",
            "Server=db:3307;Uid=u",
            ("mysql+pymysql", "u", None, "db", 3307, None),
            id="host:port",
        ),
        pytest.param(
            "postgresql",
            "  HOST = db ;; user_id = u ; PassWord = \" a;b'\"\"c = \" ; database='d''b'",
            ("postgresql+psycopg", "u", " a;b'\"c = ", "db", None, "d'b"),
            id="quotes, blanks, case",
        ),
        pytest.param(
            "postgresql",
            "Host=a;Host=b;Password=x=y==z",
            ("postgresql+psycopg", None, "x=y==z", "b", None, None),
            id="last wins",
        ),
        pytest.param(
            "postgresql",
            "Host=::1;Port=5432",
            ("postgresql+psycopg", None, None, "::1", 5432, None),
            id="IPv6",
        ),
        pytest.param(
            None,
            "postgresql://u:p%40ss@db:5433/X",
            ("postgresql+psycopg", "u", "p@ss", "db", 5433, "X"),
            id="URL",
        ),
        pytest.param(
            None,
            "postgres://db/X",
            ("postgresql+psycopg", None, None, "db", None, "X"),
            id="old scheme",
        ),
        pytest.param(
            "mysql", "mariadb://db/X", ("mysql+pymysql", None, None, "db", None, "X"), id="MariaDB"
        ),
        pytest.param(
            "sqlserver", "mssql://db/X", ("mssql+pymssql", None, None, "db", None, "X"), id="mssql"
        ),
        pytest.param(
            None,
            "mssql+pyodbc://db/X",
            ("mssql+pyodbc", None, None, "db", None, "X"),
            id="own driver",
        ),
    ],
)
def test_a_connection_string_names_a_database(
    provider: str | None, text: str, expected: tuple[Any, ...]
) -> None:
    assert parts(address(provider, text)) == expected


@pytest.mark.parametrize("password", ["a;b", "a=b", "'", '"x', "{{ 1 }}", "ä€", " blank "])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_password_from_a_variable_needs_no_quotes(password: str, quote: str) -> None:
    text = f"Host=db;Password={quote}{{{{ config.SYNC_P }}}}{quote};Database=X"
    found = address("postgresql", text, SYNC_P=password)
    assert parts(found) == ("postgresql+psycopg", None, password, "db", None, "X")


def test_variables_may_hold_any_part_of_the_string() -> None:
    whole = "Host=db;Database=X;Password='a;b'"
    expected = ("postgresql+psycopg", None, "a;b", "db", None, "X")
    assert parts(address("postgresql", "{{ config.SYNC_ALL }}", SYNC_ALL=whole)) == expected
    assert parts(address("postgresql", "{{config.SYNC_ALL}};Port=1", SYNC_ALL=whole))[4] == 1
    found = address(
        "postgresql", "Host={{config.SYNC_H}},{{config.SYNC_P}}", SYNC_H="h", SYNC_P="5"
    )
    assert parts(found)[3:5] == ("h", 5)
    block = "Host={% if config.SYNC_H %}{{ config.SYNC_H }}{% endif %};Port=5"
    assert parts(address("postgresql", block, SYNC_H="h"))[3:5] == ("h", 5)
    url = "postgresql://u:{{ config.SYNC_P | urlencode }}@db/X"
    assert parts(address(None, url, SYNC_P="p@s/s"))[2:4] == ("p@s/s", "db")


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["Host", "Database", "Username", "Password"]),
        st.text(
            st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="{}"), min_size=1
        ),
    )
)
def test_quoted_values_come_back_exactly(values: dict[str, str]) -> None:
    values = {**values, "Host": "db"}
    for quote in "'\"":
        text = ";".join(
            f"{key}={quote}{value.replace(quote, quote * 2)}{quote}"
            for key, value in values.items()
        )
        url = address("postgresql", text).url
        assert (url.database, url.username, url.password) == tuple(
            values.get(key) for key in ("Database", "Username", "Password")
        )


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60))
def test_any_text_gives_an_address_or_a_config_error(text: str) -> None:
    def plain(template: str) -> str:
        return template

    for provider in ("sqlite", "postgresql", "mysql", "sqlserver", None):
        with suppress(ConfigError):
            assert read_address(config(provider, text), plain, LOG).label


@pytest.mark.parametrize(
    ("provider", "text", "message"),
    [
        pytest.param("postgresql", "Database=X", "names no server", id="no server"),
        pytest.param("postgresql", "Host=db;Port=x", "port", id="port"),
        pytest.param("postgresql", "Host=db;Port=99999", "port", id="port range"),
        pytest.param("postgresql", "nonsense", "neither", id="no pairs"),
        pytest.param("postgresql", "Host=db;Password='s3cret", "never closed", id="open quote"),
        pytest.param("postgresql", "Host=db;Password='s3cret'x", "never closed", id="after quote"),
        pytest.param("sqlserver", "Server=db;Integrated Security=SSPI", "Windows", id="SSPI"),
        pytest.param("sqlserver", "Server=(localdb)\\v11", "LocalDB", id="LocalDB"),
        pytest.param("sqlserver", "Server=np:\\\\.\\pipe\\sql", "named pipes", id="pipe"),
        pytest.param("mysql", "Server=db;SslMode=maybe", "SslMode", id="TLS mode"),
        pytest.param("sqlite", "Data Source=x.db;Password=s3cret", "encrypted", id="SQLCipher"),
        pytest.param("mysql", "postgresql://u:s3cret@db/X", "is a URL for", id="other provider"),
        pytest.param(None, "postgresql://u:s3cret@db:x/X", "cannot be read", id="URL's port"),
    ],
)
def test_a_string_that_cannot_work_is_refused_without_its_secrets(
    provider: str | None, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        address(provider, text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.key == "connectionString"


def test_pairs_without_a_provider_ask_for_it() -> None:
    with pytest.raises(ConfigError, match="which kind") as caught:
        address(None, "Server=db")
    assert caught.value.key == "provider"


def test_a_key_that_is_not_understood_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    address("postgresql", "Host=db;Pooling=true;Frobnicate=s3cret")
    assert [("Frobnicate" in text, "s3cret" in text) for text in caplog.messages] == [(True, False)]


@pytest.mark.parametrize(
    ("text", "relative"),
    [("Data Source=sub/x.db;Mode=ReadOnly", True), ("Filename=sub/x.db", True), ("sub/x.db", True),
     ("sqlite:///sub/x.db", True), ("sqlite:///{path}/sub/x.db", False), ("Data Source='{path}/sub/x.db'", False),
     ("Data Source=file:sub/x.db?mode=rw", True)],
)  # fmt: skip
def test_a_sqlite_file_is_opened_read_only_relative_to_the_config(
    tmp_path: Path, text: str, relative: bool
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.db").touch()
    found = address("sqlite", text.format(path=tmp_path), tmp_path / "x.yaml" if relative else None)
    assert found.url.database == (tmp_path / "sub" / "x.db").as_uri()
    assert dict(found.url.query) == {"mode": "ro", "uri": "true"}


def test_tls_and_further_options_reach_the_drivers() -> None:
    found = address(
        "postgresql",
        "Host=db;SSL Mode=VerifyFull;Root Certificate=/ca;Application Name=sync;Search Path=a,b;Timeout=7",
    )
    assert dict(found.url.query) == {
        "sslmode": "verify-full", "sslrootcert": "/ca", "application_name": "sync",
        "options": "-csearch_path=a,b",
    }  # fmt: skip
    assert found.arguments == {"connect_timeout": 7}
    required = address("mysql", "Server=db;SslMode=Required").arguments["ssl"]
    assert (required.verify_mode, required.check_hostname) == (ssl.CERT_NONE, False)
    verified = address("mysql", "Server=db;SslMode=VerifyCA").arguments["ssl"]
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert address("mysql", "Server=db;SslMode=VerifyFull").arguments["ssl"].check_hostname
    assert "ssl" not in address("mysql", "Server=db").arguments
    server = address("sqlserver", "Server=db;Encrypt=True;ApplicationIntent=ReadOnly;App=sync")
    assert server.arguments == {
        "login_timeout": 60, "encryption": "require", "read_only": True, "appname": "sync",
    }  # fmt: skip
    optional = address("sqlserver", "Server=db;Encrypt=optional").arguments
    assert optional["encryption"] == "request"


def test_a_label_tells_where_and_who_but_no_password() -> None:
    found = address("postgresql", "Host=db;Port=1;Database=X;Username=u;Password=s3cret")
    assert found.label == "postgresql db:1/X as u"


def test_the_dialect_of_sql_server_makes_the_arguments_of_its_driver() -> None:
    pytest.importorskip("pymssql")
    found = address("sqlserver", "Server=db\\inst,1500;Database=X;User Id=u;Password=p@;Encrypt=No")
    arguments, options = found.url.get_dialect()().create_connect_args(found.url)
    assert (arguments, options) == (
        [], {"host": "db\\inst:1500", "database": "X", "user": "u", "password": "p@"},
    )  # fmt: skip
