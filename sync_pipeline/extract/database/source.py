"""Databases as sources: one query, read through a server-side cursor in pages of 1,000 records.

::

    query ─► server-side cursor ─► pages of 1,000, values as JSON can hold them ─► checkpoint
      ▲                                        │
      └── skip += limitMax, with pagination ◄──┘ until a query gives nothing

Never more than two pages are in memory. We only read: the session is read-only where the database
has such a thing (SQLite, PostgreSQL, MySQL, MariaDB).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, Engine, exc

from sync_pipeline.errors import SourceError
from sync_pipeline.extract.database.address import Address
from sync_pipeline.extract.database.query import Query
from sync_pipeline.extract.database.values import Convert, mysql_columns, to_record
from sync_pipeline.extract.trail import LENGTH, trail_of
from sync_pipeline.model import Page, Row

#: Records of a page: also how many rows are asked of the cursor at a time.
PAGE_SIZE: Final = 1000
_REASON_LENGTH: Final = 300
#: Another attempt to connect would be refused as well.
_REFUSED: Final = re.compile(
    r"authenticat|password|denied|login failed|unknown database|pg_hba|cannot open database"
    r"|(?<!unavailable or )does not exist"  # the other one is FreeTDS's for "no connection"
    r"|unable to open|unexpected keyword|invalid connection option",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Position:
    """Where a reader stands; as a checkpoint, where the next one goes on."""

    #: Records of the whole extraction so far.
    record: int = 0
    #: `skip` of the query that is being read, and its records so far.
    skip: int = 0
    row: int = 0
    page: int = 0
    #: Of the last of those rows, to notice that the query gives others by now.
    trail: Sequence[str] = ()

    def checkpoint(self) -> dict[str, Any]:
        return {
            "record": self.record, "skip": self.skip, "row": self.row, "page": self.page,
            "trail": list(self.trail),
        }  # fmt: skip


class _ChangedError(Exception):
    """The rows of a query that were kept are not those that it gives by now."""


@dataclass
class DatabaseSource:
    """A query as a source of pages. Use one reader at a time."""

    address: Address
    engine: Engine
    query: Query
    limit: int | None
    log: logging.Logger
    _connection: Connection | None = field(default=None, init=False)
    _result: CursorResult[Any] | None = field(default=None, init=False)

    def fetch_pages(self, resume_from: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """Yield pages of 1,000 records; a resume runs the query again and passes over what was
        kept.

        Raises:
            SourceError: The database cannot be reached, refuses the query, or goes away.
        """
        at = _Position(**resume_from) if resume_from else _Position()
        held: Page | None = None
        try:
            for page in self._pages(at):
                if held is not None:
                    yield held
                held = page
        except SourceError:
            # What was read is kept: the checkpoint leads to where the database failed.
            if held is not None:
                yield held
            raise
        if held is not None:
            yield replace(held, checkpoint=None)

    def close(self) -> None:
        """Give the connection back; a query that is being read ends there."""
        self._drop_connection()
        self.engine.dispose()

    def _pages(self, at: _Position) -> Iterator[Page]:
        last: object = None
        while True:
            before, queries = at.row, 1
            mark: list[Any] = []
            for records in self._read(at):
                if not mark:
                    mark = [at.row, records[0]]
                at.page += 1
                yield Page(at.page, records, at.checkpoint(), requests=queries)
                queries = 0
                mark[2:] = [at.row, records[-1]]
                if self._is_enough(at):
                    return
            if self.query.page_size is None or (not mark and before == 0):
                return
            if mark and mark == last:
                raise SourceError(
                    f"{self._where()}the query gives the same page again after skip {at.skip}. "
                    f"Let it use {{{{ {self.query.skip_name} }}}} as its offset"
                )
            last = mark
            at.skip += self.query.page_size
            at.row, at.trail = 0, ()

    def _is_enough(self, at: _Position) -> bool:
        return self.limit is not None and at.record >= self.limit

    def _read(self, at: _Position) -> Iterator[list[Row]]:
        """The records of one query that were not read before, page by page; moves `at`."""
        if self._is_enough(at):
            return
        try:
            yield from self._read_after(at)
        except _ChangedError:
            self.log.warning(
                "%sthe rows have changed since the first %d were kept: they are read again, and "
                "what comes twice is merged",
                self._where(), at.row,
            )  # fmt: skip
            at.row, at.trail = 0, ()
            yield from self._read_after(at)

    def _read_after(self, at: _Position) -> Iterator[list[Row]]:
        """As `_read`.

        Raises:
            _ChangedError: Before the first record: other rows were kept than those passed over.
        """
        sql = self.query.text(at.skip)
        connection = self._connect()
        finished = False
        try:
            with self._database_errors("the query failed", "Correct `query`"):
                result = self._result = connection.exec_driver_sql(sql)
            with self._database_errors("reading the rows failed", "Run again, or resume"):
                if not result.returns_rows:
                    raise SourceError(f"{self._where()}the query gives no rows. Write a SELECT")
                columns = _columns(result, self._where())
                special = self._special_columns(result)

                def records_of(rows: Sequence[Any]) -> list[Row]:
                    return [to_record(columns, row, special) for row in rows]

                to_pass = at.row
                passed: list[Any] = []
                for chunk in result.partitions(PAGE_SIZE):
                    rows = chunk[to_pass:]
                    if to_pass:
                        passed = [*passed, *chunk[:to_pass]][-LENGTH:]
                        to_pass = max(0, to_pass - len(chunk))
                        last = trail_of(records_of(passed))[-len(at.trail) :]
                        if not to_pass and last != tuple(at.trail):
                            raise _ChangedError
                    if self.limit is not None:
                        rows = rows[: self.limit - at.record]
                    if not rows:
                        continue
                    records = records_of(rows)
                    at.record += len(records)
                    at.row += len(records)
                    at.trail = trail_of(records)
                    yield records
                    if self._is_enough(at):
                        return
                if to_pass:
                    raise _ChangedError
                finished = True
        finally:
            self._drop_connection(finished=finished)

    def _special_columns(self, result: CursorResult[Any]) -> dict[int, Convert]:
        if self.address.provider != "mysql":
            return {}
        description = result.cursor.description if result.cursor is not None else ()
        return mysql_columns(description or ())

    def _connect(self) -> Connection:
        self._drop_connection()
        with self._database_errors("cannot connect", "Check `connectionString` and the server"):
            connection = self.engine.connect()
        options: dict[str, Any] = {"no_parameters": True}
        if self.address.provider != "sqlite":
            options["stream_results"] = True
        if self.address.url.drivername == "postgresql+psycopg":
            options["postgresql_readonly"] = True
        self._connection = connection.execution_options(yield_per=PAGE_SIZE, **options)
        return self._connection

    def _drop_connection(self, *, finished: bool = False) -> None:
        connection, self._connection = self._connection, None
        result, self._result = self._result, None
        if connection is None:
            return
        with suppress(exc.SQLAlchemyError, OSError):
            if not finished and self.address.provider == "mysql":
                _abandon_rows(result)
                connection.invalidate()
            elif result is not None:
                result.close()
            connection.close()

    def _where(self) -> str:
        path = self.query.config.path
        return f"{path}: {self.address.label}: " if path else f"{self.address.label}: "

    @contextmanager
    def _database_errors(self, what: str, fix: str) -> Iterator[None]:
        """Give errors of the driver a text that says what was done, and no password."""
        try:
            yield
        except (exc.SQLAlchemyError, OSError, TypeError, ValueError, RuntimeError) as err:
            reason = _reason(err)
            password = self.address.url.password
            if password:
                reason = reason.replace(str(password), "***")
            lost = isinstance(err, exc.DBAPIError) and err.connection_invalidated
            if lost:
                what, fix = f"{what}: the connection was lost", "Run again, or resume"
            unreachable = isinstance(err, (exc.OperationalError, exc.InterfaceError, OSError))
            is_connecting = self._connection is None and not _REFUSED.search(reason)
            raise SourceError(
                f"{self._where()}{what} ({reason}). {fix}.",
                retryable=lost or (is_connecting and unreachable),
            ) from err


def _abandon_rows(result: CursorResult[Any] | None) -> None:
    """Before PyMySQL closes a cursor it reads all rows that are left, be they millions (as of 1.2,
    `MySQLResult._finish_unbuffered_query`): tell it that there are none, and cut the line after.
    """
    pending = getattr(result.cursor if result is not None else None, "_result", None)
    if pending is not None:
        pending.unbuffered_active = False


def _columns(result: CursorResult[Any], where: str) -> list[str]:
    """Names of the columns; those without one are called by their position.

    Raises:
        SourceError: A name stands twice, so one column would hide the other.
    """
    names = [str(name) or f"column_{at}" for at, name in enumerate(result.keys(), start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SourceError(
            f"{where}the query gives several columns called {', '.join(twice[:10])}. "
            "Rename them with AS"
        )
    return names


def _reason(err: Exception) -> str:
    """The driver's own words in one line."""
    cause: Any = err.orig if isinstance(err, exc.DBAPIError) and err.orig is not None else err
    said = cause.args[-1] if getattr(cause, "args", ()) else cause
    if isinstance(said, tuple) and said:  # pymssql: ((number, text in bytes),)
        said = said[-1]
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if isinstance(cause, exc.SQLAlchemyError):
        text = str(cause).partition("\n(Background")[0]
    lines = dict.fromkeys(text.splitlines())  # FreeTDS says everything twice
    line = " ".join(" ".join(lines).split()) or type(cause).__name__
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 3] + "..."
