"""Opens a database as a source; it is connected to with the first page."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.pool import NullPool

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError, MissingExtraError
from sync_pipeline.extract.database.address import Address, read_address
from sync_pipeline.extract.database.query import Query, render_text
from sync_pipeline.extract.database.source import DatabaseSource
from sync_pipeline.extract.database.unreadable import guard_mysql, guard_postgresql, guard_sqlite
from sync_pipeline.extract.setting import SourceSetting

#: Seconds for which MySQL lets a slow reader pause; its default of 60 breaks long extractions.
_MYSQL_PATIENCE_S: Final = 3600
_EXTRAS: Final = {"postgresql": "postgresql", "mysql": "mysql", "sqlserver": "sqlserver"}
_ORDER_BY: Final = re.compile(r"\border\s+by\b", re.IGNORECASE)


def open_source(config: SyncConfig, setting: SourceSetting) -> DatabaseSource:
    """The source of a config with `sourceType: database`.

    Raises:
        ConfigError: The connection string, the query or the pagination cannot work.
        MissingExtraError: The driver is not installed.
    """
    if config.enumerate_for_content_types:
        raise ConfigError(
            "is not supported for databases: join in the query instead",
            file=config.path, key="enumerateForContentTypes",
        )  # fmt: skip

    def render(template: str) -> str:
        return render_text(config, template, {"config": setting.variables}, "connectionString")

    address = read_address(config, render, setting.log)
    query = Query.compile(config, setting.variables)
    if not _ORDER_BY.search(query.text(0)):
        setting.log.warning(
            "%s: the query has no ORDER BY: a resume%s may then read records twice or not at all",
            config.key, " and paging" if query.page_size else "",
        )  # fmt: skip
    return DatabaseSource(address, _open_engine(address), query, setting.limit, setting.log)


def _open_engine(address: Address) -> Engine:
    """An engine without a pool, whose sessions only read where the database knows such a thing."""
    try:
        engine = create_engine(
            address.url,
            poolclass=NullPool,
            connect_args=dict(address.arguments),
            hide_parameters=True,
        )
    except exc.NoSuchModuleError as err:
        raise ConfigError(
            f"there is no driver for {address.url.drivername!r}. Use sqlite, postgresql, mysql or "
            "sqlserver",
            key="connectionString",
        ) from err
    except ImportError as err:
        extra = _EXTRAS.get(address.provider)
        install = f"'sync_pipeline[{extra}]'" if extra else (err.name or address.url.drivername)
        raise MissingExtraError(
            f"the driver for {address.provider} is not installed: pip install {install}"
        ) from err
    prepare = _PREPARE.get(engine.dialect.driver)
    if prepare is not None:
        # Before SQLAlchemy itself asks for the server's version, which is a text too.
        event.listen(
            engine, "connect", lambda connection, _record: prepare(connection), insert=True
        )
    if engine.dialect.driver == "pymysql":  # SQLAlchemy fetches the first row with the query
        event.listen(engine, "after_cursor_execute", lambda _, cursor, *__: guard_mysql(cursor))
    return engine


def _prepare_mysql(connection: Any) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute(f"SET SESSION net_write_timeout = {_MYSQL_PATIENCE_S}")


#: What is done with each new connection, by driver.
_PREPARE: Final = {
    "pymysql": _prepare_mysql, "psycopg": guard_postgresql, "pysqlite": guard_sqlite,
}  # fmt: skip
