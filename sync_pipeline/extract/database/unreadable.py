"""Values that a driver cannot give: one of them fails its record, with its column, and no other.

A driver raises for the rows that it fetches at once, so one timestamp beyond the year 9999 would
end the whole extraction. Here what it would raise for becomes a value, and the value a member of
the row that the mapping refuses::

    driver ─► Unreadable ─► row[UNREADABLE] = {column: why} ─► a failed record
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

#: What psycopg reads with values of Python that end at the year 9999, or before.
_POSTGRESQL_TIMES: Final = ("date", "timestamp", "timestamptz", "interval")
#: Of these the text is as good: `24:00:00`, a leap second.
_POSTGRESQL_CLOCKS: Final = ("time", "timetz")
#: Texts of a database that knows no encoding; 0 is what psycopg falls back to (enums).
_POSTGRESQL_TEXTS: Final = ("text", "varchar", "bpchar", "name", 0)

_NO_TEXT: Final = (
    "its bytes are no {encoding}: mend the value, or convert or leave out the column in `query`"
)
_NO_TIME: Final = (
    "its value is no {kind} from year 1 to 9999: mend it, or cast the column to text in `query`"
)


class UnreadableError(ValueError):
    """A value that the driver could not give was to be used."""


class Unreadable:
    """Stands for a value; says why there is none, without a piece of it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> NoReturn:
        # A range of PostgreSQL would take it into its own text.
        raise UnreadableError(self.reason)


def decode(data: bytes, encoding: str = "utf-8") -> str | Unreadable:
    """The text of a cell."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return Unreadable(_NO_TEXT.format(encoding=encoding))


def guard_sqlite(connection: Any) -> None:
    """Let a connection give an `Unreadable` for text that is no UTF-8."""
    connection.text_factory = decode


def guard_postgresql(connection: Any) -> None:
    """Let a connection give an `Unreadable` for what psycopg cannot read."""
    from psycopg import DataError  # noqa: PLC0415 - of an extra, and heavy
    from psycopg.adapt import Loader  # noqa: PLC0415
    from psycopg.pq import Format  # noqa: PLC0415

    adapters = connection.adapters

    def guard(name: str, fallback: Callable[[bytes], Any]) -> None:
        inner: Any = adapters.get_loader(adapters.types[name].oid, Format.TEXT)

        class Guarded(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._load = inner(oid, context).load

            def load(self, data: Any) -> Any:
                try:
                    return self._load(data)
                except (DataError, OverflowError, ValueError):
                    return fallback(bytes(data))

        adapters.register_loader(name, Guarded)

    for name in _POSTGRESQL_TIMES:
        reason = _NO_TIME.format(kind=name)
        guard(name, lambda _data, reason=reason: Unreadable(reason))  # type: ignore[misc]
    for name in _POSTGRESQL_CLOCKS:
        guard(name, decode)
    if connection.info.encoding == "ascii":  # SQL_ASCII, of which psycopg would give bytes
        texts = type("Texts", (Loader,), {"load": lambda _self, data: decode(bytes(data))})
        for name_or_oid in _POSTGRESQL_TEXTS:
            adapters.register_loader(name_or_oid, texts)


def guard_mysql(cursor: Any) -> None:
    """Let a cursor that has its columns, and no row yet, give an `Unreadable` for bad text.

    PyMySQL decodes before it converts, with what its result keeps for each column (as of 1.2,
    `MySQLResult._read_row_from_packet`).
    """
    result = getattr(cursor, "_result", None)
    converters: Sequence[tuple[str | None, Any]] = getattr(result, "converters", None) or ()
    if result is not None and converters:
        result.converters = [
            (None, _guarded(encoding, convert)) if encoding else (encoding, convert)
            for encoding, convert in converters
        ]


def _guarded(encoding: str, convert: Callable[[str], Any] | None) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        text = decode(data, encoding)
        return text if convert is None or isinstance(text, Unreadable) else convert(text)

    return read
