"""A query as a source of pages, against real SQLite files."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError, MissingExtraError, SourceError
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.extract.database.source import PAGE_SIZE, DatabaseSource
from sync_pipeline.model import UNREADABLE, Page

ALL = "SELECT id, name FROM item ORDER BY id"
PAGED = ALL + " LIMIT {{ size }} OFFSET {{ start }}"


def config(path: Path, **keys: Any) -> SyncConfig:
    base = {
        "key": "items",
        "path": path / "items.yaml",
        "source_type": "database",
        "content_type": "item",
        "content_key_field": "id",
        "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
        "provider": "sqlite",
        "connection_string": "Data Source=items.db",
        "query": ALL,
    }
    return SyncConfig.model_validate({**base, **keys})


def paging(size: int) -> dict[str, Any]:
    return {
        "query": PAGED,
        "pagination": {"limit_key": "size", "skip_key": "start", "limit_max": size},
    }


def fill(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path / "items.db")) as database, database:
        database.execute("DROP TABLE IF EXISTS item")
        database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
        database.executemany(
            "INSERT INTO item VALUES (?, ?)", ((at, f"name {at}") for at in range(count))
        )


def pages_of(
    sync: SyncConfig, resume_from: Any = None, limit: int | None = None, **variables: str
) -> list[Page]:
    with closing(open_source(sync, SourceSetting(variables=variables, limit=limit))) as source:
        return list(source.fetch_pages(resume_from))


def unused_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def ids(pages: list[Page]) -> list[int]:
    return [record["id"] for page in pages for record in page.records]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000, 2500])
def test_a_query_is_cut_into_pages_of_1000_and_every_row_comes_once(
    tmp_path: Path, count: int
) -> None:
    fill(tmp_path, count)
    pages = pages_of(config(tmp_path))
    assert ids(pages) == list(range(count))
    assert [len(page.records) for page in pages[:-1]] == [PAGE_SIZE] * (len(pages) - 1)
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert [page.checkpoint is None for page in pages] == [False] * (len(pages) - 1) + [True] * (
        count > 0
    )


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 20])
def test_paging_moves_skip_by_limit_max_until_a_query_gives_nothing(
    tmp_path: Path, count: int
) -> None:
    fill(tmp_path, count)
    pages = pages_of(config(tmp_path, **paging(7)))
    assert ids(pages) == list(range(count))
    assert max((len(page.records) for page in pages), default=0) <= 7


def test_a_filtered_page_does_not_end_the_extraction(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    query = (
        "SELECT id FROM (SELECT id FROM item ORDER BY id LIMIT {{ size }} OFFSET {{ start }}) "
        "WHERE id % 7 = 0 ORDER BY id"
    )
    assert ids(pages_of(config(tmp_path, **paging(8) | {"query": query}))) == [0, 7, 14, 21, 28]


def test_a_page_larger_than_1000_is_read_in_pieces(tmp_path: Path) -> None:
    fill(tmp_path, 3600)
    pages = pages_of(config(tmp_path, **paging(1800)))
    assert ids(pages) == list(range(3600))
    assert [len(page.records) for page in pages] == [1000, 800, 1000, 800]
    assert sum(page.requests for page in pages) == 2


@pytest.mark.parametrize(
    "keys", [{}, paging(700), paging(1003), paging(1500)], ids=["streamed", "700", "1003", "1500"]
)
def test_a_resume_goes_on_after_any_page(tmp_path: Path, keys: dict[str, Any]) -> None:
    fill(tmp_path, 3100)
    sync = config(tmp_path, **keys)
    pages = pages_of(sync)
    for kept, page in enumerate(pages[:-1], start=1):
        rest = pages_of(sync, page.checkpoint)
        assert ids(pages[:kept]) + ids(rest) == list(range(3100))
        assert [again.number for again in rest] == [later.number for later in pages[kept:]]


@pytest.mark.parametrize("keys", [{}, paging(1500)], ids=["streamed", "paged"])
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM item WHERE id = 0",
        "DELETE FROM item WHERE id = 999",
        "INSERT INTO item VALUES (-1, 'new')",
        "DELETE FROM item WHERE id < 2200",
        "DELETE FROM item",
    ],
)
def test_a_resume_of_a_query_whose_rows_have_changed_loses_no_row(
    tmp_path: Path, keys: dict[str, Any], change: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, 3100)
    sync = config(tmp_path, **keys)
    first = pages_of(sync)[0]
    with closing(sqlite3.connect(tmp_path / "items.db")) as database, database:
        database.execute(change)
        left = [row for (row,) in database.execute("SELECT id FROM item ORDER BY id")]
    assert ids(pages_of(sync, json.loads(json.dumps(first.checkpoint)))) == left
    assert "the rows have changed since the first 1000 were kept" in caplog.text


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(count=st.integers(0, 60), size=st.integers(1, 25), limit=st.none() | st.integers(1, 70))
def test_paging_yields_each_record_once_up_to_the_limit(
    tmp_path: Path, count: int, size: int, limit: int | None
) -> None:
    fill(tmp_path, count)
    wanted = list(range(count))[:limit]
    assert ids(pages_of(config(tmp_path, **paging(size)), limit=limit)) == wanted
    assert ids(pages_of(config(tmp_path), limit=limit)) == wanted


def test_a_limit_counts_over_resumes(tmp_path: Path) -> None:
    fill(tmp_path, 5000)
    pages = pages_of(config(tmp_path), limit=2300)
    assert ids(pages) == list(range(2300))
    assert ids(pages_of(config(tmp_path), pages[0].checkpoint, limit=2300)) == list(
        range(1000, 2300)
    )


def test_values_of_sqlite_reach_the_row_as_documented(tmp_path: Path) -> None:
    fill(tmp_path, 0)
    query = (
        "SELECT NULL AS n, 9223372036854775807 AS i, 1.5 AS r, 'té\"xt' AS t, x'00ff' AS b, "
        "9e999 AS inf, 'a%b:c' AS percent, '0012' AS zeros, '' AS empty ORDER BY 1"
    )
    (page,) = pages_of(config(tmp_path, query=query))
    assert page.records == [
        {
            "n": None, "i": 2**63 - 1, "r": 1.5, "t": 'té"xt', "b": "AP8=", "inf": "Infinity",
            "percent": "a%b:c", "zeros": "0012", "empty": "",
        }
    ]  # fmt: skip


NO_TEXTS = ["ff", "c3", "4dfc6c6c6572", "eda080", "c0af", "f8888080", "e282"]


@pytest.mark.parametrize("bad", NO_TEXTS)
def test_a_cell_that_is_no_text_fails_its_record_and_no_other(tmp_path: Path, bad: str) -> None:
    fill(tmp_path, 2500)
    with closing(sqlite3.connect(tmp_path / "items.db")) as database, database:
        database.execute(f"UPDATE item SET name = CAST(x'{bad}' AS TEXT) WHERE id IN (0, 1700)")
    pages = pages_of(config(tmp_path))
    assert ids(pages) == list(range(2500))
    records = [record for page in pages for record in page.records]
    assert [record["id"] for record in records if UNREADABLE in record] == [0, 1700]
    assert records[1700]["name"] is None
    assert "no utf-8" in records[1700][UNREADABLE]["name"]
    rest = pages_of(config(tmp_path), pages[1].checkpoint)
    assert ids(rest) == list(range(2000, 2500))


def test_a_row_with_several_such_cells_names_them_all(tmp_path: Path) -> None:
    fill(tmp_path, 0)
    query = "SELECT CAST(x'ff' AS TEXT) AS a, 'b' AS b, CAST(x'fe' AS TEXT) AS c ORDER BY 1"
    (page,) = pages_of(config(tmp_path, query=query))
    assert list(page.records[0][UNREADABLE]) == ["a", "c"]


def test_config_variables_reach_the_query_and_the_connection(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    sync = config(
        tmp_path,
        connection_string="Data Source={{ config.SYNC_FILE }}",
        query="SELECT id FROM item WHERE id > {{ config.SYNC_SINCE }} ORDER BY id",
    )
    assert ids(pages_of(sync, SYNC_FILE=str(tmp_path / "items.db"), SYNC_SINCE="2")) == [3, 4]


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        pytest.param({"query": None}, "query", "needs it", id="no query"),
        pytest.param({"query": "SELECT {{ row.id }}"}, "query", "row", id="unknown variable"),
        pytest.param(
            paging(5) | {"query": ALL + " LIMIT {{ size }}"}, "query", "start", id="skip unused"
        ),
        pytest.param(
            {"pagination": {"limit_key": "size"}}, "pagination", "skipKey", id="half a pagination"
        ),
        pytest.param({"connection_string": None}, "connectionString", "needs it", id="none"),
        pytest.param(
            {"connection_string": "Data Source=gone.db"}, "connectionString", "no file", id="gone"
        ),
        pytest.param(
            {"connection_string": ":memory:"}, "connectionString", "in memory", id="memory"
        ),
        pytest.param(
            {"enumerate_for_content_types": [{"content_type": "city"}]},
            "enumerateForContentTypes",
            "not supported",
            id="enumeration",
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused_before_the_database_is_asked(
    tmp_path: Path, keys: dict[str, Any], key: str, message: str
) -> None:
    fill(tmp_path, 1)
    with pytest.raises(ConfigError, match=message) as caught:
        open_source(config(tmp_path, **keys), SourceSetting(variables={}))
    assert caught.value.key == key
    assert caught.value.file == tmp_path / "items.yaml"


def test_an_unset_variable_is_an_error_that_names_it(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    sync = config(tmp_path, connection_string="Data Source={{ config.SYNC_FILE }}")
    with pytest.raises(ConfigError, match="SYNC_FILE"):
        open_source(sync, SourceSetting(variables={}))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("SELEC id FROM item ORDER BY 1", 'near "SELEC"', id="syntax"),
        pytest.param("SELECT * FROM nowhere ORDER BY 1", "no such table: nowhere", id="table"),
        pytest.param("DELETE FROM item /* ORDER BY */", "readonly", id="write"),
        pytest.param(
            "SELECT id, id FROM item ORDER BY 1", "several columns called id", id="same name"
        ),
    ],
)
def test_a_wrong_query_is_an_error_with_the_databases_own_words(
    tmp_path: Path, query: str, message: str
) -> None:
    fill(tmp_path, 3)
    with pytest.raises(SourceError, match=message) as caught:
        pages_of(config(tmp_path, query=query))
    assert "items.yaml" in str(caught.value)
    assert not caught.value.retryable
    assert ids(pages_of(config(tmp_path))) == [0, 1, 2]


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "items.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(SourceError, match="not a database"):
        pages_of(config(tmp_path))


def test_what_was_read_is_yielded_before_the_error_that_ends_it(tmp_path: Path) -> None:
    fill(tmp_path, 1500)
    query = "SELECT id, abs(CASE id WHEN 1200 THEN -9223372036854775808 ELSE id END) AS size FROM item ORDER BY id"
    mended = "SELECT id, abs(id) AS size FROM item ORDER BY id"
    with closing(open_source(config(tmp_path, query=query), SourceSetting(variables={}))) as source:
        pages = source.fetch_pages()
        first = next(pages)
        assert len(first.records) == 1000
        with pytest.raises(SourceError, match="integer overflow"):
            next(pages)
    rest = pages_of(config(tmp_path, query=mended), first.checkpoint)
    assert ids(rest) == list(range(1000, 1500))


def test_a_query_that_gives_the_same_page_again_ends_in_an_error(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    query = ALL + " LIMIT {{ size }} -- {{ start }}"
    with pytest.raises(SourceError, match="same page again"):
        pages_of(config(tmp_path, **paging(7) | {"query": query}))


def test_a_query_without_order_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, 1)
    with caplog.at_level(logging.WARNING):
        pages_of(config(tmp_path, query="SELECT id FROM item"))
        assert ["ORDER BY" in message for message in caplog.messages] == [True]
        caplog.clear()
        pages_of(config(tmp_path))
        assert caplog.messages == []


def test_a_column_without_a_name_is_called_by_its_position(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (page,) = pages_of(config(tmp_path, query='SELECT id AS "", name FROM item ORDER BY 1'))
    assert page.records[0] == {"column_1": 0, "name": "name 0"}


@pytest.mark.parametrize(
    ("provider", "driver", "extra"),
    [
        ("postgresql", "psycopg", "sync_pipeline[postgresql]"),
        ("mysql", "pymysql", "sync_pipeline[mysql]"),
        ("sqlserver", "pymssql", "sync_pipeline[sqlserver]"),
    ],
)
def test_a_missing_driver_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    sync = config(tmp_path, provider=provider, connection_string="Server=db;User Id=u;Password=p")
    with pytest.raises(MissingExtraError) as caught:
        open_source(sync, SourceSetting(variables={}))
    assert extra in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "driver"),
    [("postgresql", "psycopg"), ("mysql", "pymysql"), ("sqlserver", "pymssql")],
)
def test_a_database_that_cannot_be_reached_is_an_error_worth_another_attempt(
    tmp_path: Path, provider: str, driver: str
) -> None:
    pytest.importorskip(driver)
    text = f"Server=127.0.0.1;Port={unused_port()};Database=d;User Id=u;Password=s3cret-word"
    sync = config(tmp_path, provider=provider, connection_string=text)
    with pytest.raises(SourceError, match="cannot connect") as caught:
        pages_of(sync)
    assert caught.value.retryable
    assert "refused" in str(caught.value)
    assert "b'" not in str(caught.value)
    assert "s3cret-word" not in str(caught.value)


def test_a_source_may_be_closed_at_any_time_and_twice(tmp_path: Path) -> None:
    fill(tmp_path, 3000)
    source = open_source(config(tmp_path), SourceSetting(variables={}))
    pages = source.fetch_pages()
    next(pages)
    source.close()
    source.close()
    assert isinstance(source, DatabaseSource)


def test_memory_depends_on_the_page_not_on_the_number_of_rows(tmp_path: Path) -> None:
    fill(tmp_path, 1)

    def peak_of(count: int) -> int:
        query = (
            "WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < "
            f"{count - 1}) SELECT id, 'some text that takes room ' || id AS name FROM n ORDER BY 1"
        )
        query = query.removesuffix(" ORDER BY 1") + " -- order by id by its making"
        with closing(
            open_source(config(tmp_path, query=query), SourceSetting(variables={}))
        ) as source:
            tracemalloc.start()
            try:
                read = sum(len(page.records) for page in source.fetch_pages())
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert read == count
        return peak

    peak_of(1000)
    assert peak_of(20_000) < 1.2 * peak_of(5_000)
