"""The open storage of a local space: connection, clock, ids, and the cached model of environments.

A `Store` may be used by one thread at a time. Other processes may write to the same file; what is
cached here is read again when they do (`PRAGMA data_version`).
"""

from __future__ import annotations

import secrets
import sqlite3
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from sync_pipeline.local_space.api_error import not_found
from sync_pipeline.local_space.checks.definitions import TypeDefinition, build_definition
from sync_pipeline.local_space.store.database import open_database, transaction
from sync_pipeline.local_space.store.index_lag import IndexDelay, prepare_lagging_index
from sync_pipeline.local_space.store.locale_names import locale_name
from sync_pipeline.local_space.store.sql_functions import add_functions
from sync_pipeline.model import utc_now

DEFAULT_SPACE = "local"
DEFAULT_ENVIRONMENT = "master"
DEFAULT_LOCALE = "en-US"
#: The one user of a local space.
USER_ID = "local-user"

_ID_ALPHABET = string.ascii_letters + string.digits


def new_resource_id() -> str:
    """An id in the manner of the service: 22 letters and digits."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(22))


@dataclass(frozen=True, slots=True)
class LocaleRow:
    """A locale of an environment."""

    id: str
    code: str
    internal_code: str
    name: str
    fallback_code: str | None
    is_default: bool
    is_optional: bool
    in_management: bool
    in_delivery: bool
    version: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class EnvironmentModel:
    """Activated content types and locales of an environment."""

    types: dict[str, TypeDefinition]
    locales: tuple[LocaleRow, ...]
    locale_codes: tuple[str, ...]
    default_locale: str
    #: Locales in which a required field must have a value.
    required_locales: tuple[str, ...]
    #: `sys.fieldStatus` of an entry that has one status in all locales, as JSON.
    uniform_status: dict[str, orjson.Fragment]


@dataclass(slots=True)
class Store:
    """An open storage. Use `open_store`."""

    connection: sqlite3.Connection
    path: Path
    clock: Callable[[], datetime] = utc_now
    #: Seconds from any fixed moment; decides when bulk actions and index delays are due.
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = new_resource_id
    index_delay: IndexDelay | None = None
    #: Seconds between the acceptance of a bulk action and its execution.
    bulk_delay_s: float = 0.0
    storage_id: str = ""
    _models: dict[int, EnvironmentModel] = field(default_factory=dict)
    _scopes: dict[tuple[str, str], Scope] = field(default_factory=dict)
    _data_version: int = -1
    #: Expression indexes known to exist.
    known_indexes: set[str] = field(default_factory=set)
    #: (env, asset id) -> versions between which nothing but processing of its files happened.
    processed: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    #: Environments whose indexes for `unique` exist.
    prepared: set[int] = field(default_factory=set)

    def now(self) -> str:
        """The time as the API writes it: `2025-11-05T13:33:59.615Z`."""
        moment = self.clock()
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement with bound values."""
        return self.connection.execute(sql, values)

    def begin_request(self) -> None:
        """Forget what is cached if another process has written since the last request."""
        (data_version,) = self.connection.execute("PRAGMA data_version").fetchone()
        if data_version != self._data_version:
            self._data_version = data_version
            self.forget()

    def forget(self) -> None:
        """Forget what is cached of spaces, content types, locales and indexes."""
        self._models.clear()
        self._scopes.clear()
        self.known_indexes.clear()
        self.prepared.clear()

    def scope(self, space_id: str, environment_id: str) -> Scope:
        """The environment of that space.

        Raises:
            ApiError: 404 `NotFound` without details.
        """
        key = (space_id, environment_id)
        scope = self._scopes.get(key)
        if scope is None:
            row = self.execute(
                "SELECT env FROM environments WHERE space = ? AND id = ?", key
            ).fetchone()
            if row is None:
                raise not_found()
            scope = self._scopes[key] = Scope(self, row[0], space_id, environment_id)
        return scope

    def model(self, env: int) -> EnvironmentModel:
        """Activated content types and locales, cached until one of them changes."""
        model = self._models.get(env)
        if model is None:
            model = self._models[env] = _read_model(self, env)
        return model


@dataclass(frozen=True, slots=True)
class Scope:
    """One environment of one space."""

    store: Store
    env: int
    space_id: str
    environment_id: str

    @property
    def model(self) -> EnvironmentModel:
        """Activated content types and locales."""
        return self.store.model(self.env)

    @property
    def path(self) -> str:
        """Where its resources lie."""
        return f"/spaces/{self.space_id}/environments/{self.environment_id}"

    def links(self) -> dict[str, Any]:
        """The `space` and `environment` links of every `sys`."""
        return {
            "space": link("Space", self.space_id),
            "environment": link("Environment", self.environment_id),
        }

    def not_found_details(self, kind: str, resource_id: str) -> dict[str, str]:
        """`details` of a 404."""
        return {
            "type": kind,
            "id": resource_id,
            "environment": self.environment_id,
            "space": self.space_id,
        }


def link(link_type: str, resource_id: str) -> dict[str, Any]:
    """A link as the API writes it."""
    return {"sys": {"type": "Link", "linkType": link_type, "id": resource_id}}


@contextmanager
def open_store(
    path: Path,
    *,
    clock: Callable[[], datetime] = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] = new_resource_id,
    index_delay: IndexDelay | None = None,
    bulk_delay_s: float = 0.0,
) -> Iterator[Store]:
    """Open (and where absent create) the storage, with the space `local` and its `master`.

    Args:
        path: Of the SQLite file.
        clock: The current time, aware; millisecond steps show in answers.
        monotonic: Seconds; decides what is due.
        new_id: Makes the ids of resources that are created without one.
        index_delay: Let collections lag behind writes.
        bulk_delay_s: Let bulk actions wait before they are executed.

    Raises:
        AccessError: The file cannot be opened, or belongs to another version.
    """
    connection = open_database(path)
    try:
        store = Store(
            connection,
            path,
            clock=clock,
            monotonic=monotonic,
            new_id=new_id,
            index_delay=index_delay,
            bulk_delay_s=bulk_delay_s,
        )
        (store.storage_id,) = store.execute(
            "SELECT value FROM meta WHERE name = 'storage_id'"
        ).fetchone()
        add_functions(connection)
        create_space(store, DEFAULT_SPACE, "Local space")
        if index_delay is not None:
            with transaction(connection):
                prepare_lagging_index(connection)
        yield store
    finally:
        connection.close()


def create_space(
    store: Store, space_id: str, name: str, default_locale: str = DEFAULT_LOCALE
) -> None:
    """Create a space with a `master` environment, unless it is there. Idempotent."""
    if store.execute("SELECT 1 FROM spaces WHERE id = ?", (space_id,)).fetchone():
        return
    with transaction(store.connection):
        now = store.now()
        store.execute(
            "INSERT OR IGNORE INTO spaces VALUES (?, ?, 1, ?, ?)", (space_id, name, now, now)
        )
        create_environment(store, space_id, DEFAULT_ENVIRONMENT, default_locale=default_locale)


def create_environment(
    store: Store,
    space_id: str,
    environment_id: str,
    *,
    name: str = "",
    source_env: int | None = None,
    default_locale: str = DEFAULT_LOCALE,
) -> None:
    """Create an environment, as a copy of another one or empty with one locale. Idempotent."""
    with transaction(store.connection):
        now = store.now()
        cursor = store.execute(
            "INSERT OR IGNORE INTO environments (space, id, name, version, created_at, updated_at) "
            "VALUES (?, ?, ?, 1, ?, ?)",
            (space_id, environment_id, name or environment_id, now, now),
        )
        if not cursor.rowcount:
            return
        env = cursor.lastrowid
        if source_env is None:
            store.execute(
                "INSERT INTO locales VALUES (NULL, ?, ?, ?, ?, ?, NULL, 1, 0, 1, 1, 1, ?, ?)",
                (
                    env,
                    store.new_id(),
                    default_locale,
                    default_locale,
                    locale_name(default_locale),
                    now,
                    now,
                ),
            )
            return
        for table, key in _COPIED_TABLES.items():
            columns = [
                row[1]
                for row in store.execute(f"PRAGMA table_info({table})")
                if row[1] not in (key, "env")
            ]
            names = ", ".join(columns)
            store.execute(
                f"INSERT INTO {table} (env, {names}) SELECT ?, {names} FROM {table} WHERE env = ?",
                (env, source_env),
            )
        if store.index_delay is not None:
            prepare_lagging_index(store.connection)


#: Tables that a new environment copies, with the column that SQLite numbers by itself.
_COPIED_TABLES = {
    "content_types": "",
    "editor_interfaces": "",
    "locales": "position",
    "tags": "",
    "entries": "row",
}


def read_locales(store: Store, env: int) -> tuple[LocaleRow, ...]:
    """The locales of an environment, in the order of their creation."""
    return tuple(
        LocaleRow(*row[:5], *(bool(flag) for flag in row[5:9]), *row[9:])
        for row in store.execute(
            "SELECT id, code, internal_code, name, fallback_code, is_default, is_optional, "
            "in_management, in_delivery, version, created_at, updated_at FROM locales "
            "WHERE env = ? ORDER BY position",
            (env,),
        )
    )


def _read_model(store: Store, env: int) -> EnvironmentModel:
    locales = read_locales(store, env)
    codes = tuple(locale.code for locale in locales)
    default = next(locale.code for locale in locales if locale.is_default)
    types = {
        type_id: build_definition(type_id, orjson.loads(definition))
        for type_id, definition in store.execute(
            "SELECT id, published_definition FROM content_types "
            "WHERE env = ? AND published_definition IS NOT NULL",
            (env,),
        )
    }
    return EnvironmentModel(
        types=types,
        locales=locales,
        locale_codes=codes,
        default_locale=default,
        required_locales=tuple(
            locale.code for locale in locales if locale.is_default or not locale.is_optional
        ),
        uniform_status={
            status: orjson.Fragment(orjson.dumps({"*": dict.fromkeys(codes, status)}))
            for status in ("draft", "published")
        },
    )
