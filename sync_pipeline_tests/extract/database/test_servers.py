"""PostgreSQL and MariaDB as sources: real servers, real types, a million rows, a server that
dies.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

import pytest

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import SourceError
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.model import UNREADABLE, Page
from sync_pipeline_tests.extract.database_servers import (
    PASSWORD,
    Server,
    running_mariadb,
    running_postgresql,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: A query that gives `count` rows with numbers from 0, in each dialect.
SERIES = {
    "postgresql": "SELECT id, 'name ' || id AS name, id * 1.25 AS price FROM "
    "(SELECT generate_series(0, {count} - 1) AS id) numbers -- in order, without an ORDER BY that sorts",
    "mysql": "SELECT seq AS id, CONCAT('name ', seq) AS name, seq * 1.25 AS price FROM "
    "seq_0_to_{last} ORDER BY seq",
}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    with running_mariadb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def config(server: Server, query: str, **keys: Any) -> SyncConfig:
    return SyncConfig.model_validate(
        {
            "key": "items",
            "source_type": "database",
            "content_type": "item",
            "content_key_field": "id",
            "mapping": [{"field_name": "id", "expression": "{{ row.id }}"}],
            "provider": server.provider,
            "connection_string": server.connection_string,
            "query": query,
            **keys,
        }
    )


def series(server: Server, count: int) -> str:
    return SERIES[server.provider].format(count=count, last=count - 1)


def pages_of(sync: SyncConfig, resume_from: Any = None, limit: int | None = None) -> list[Page]:
    variables = {"SYNC_PASSWORD": PASSWORD}
    with closing(open_source(sync, SourceSetting(variables=variables, limit=limit))) as source:
        return list(source.fetch_pages(resume_from))


def rows(server: Server, query: str, **keys: Any) -> list[Any]:
    return [row for page in pages_of(config(server, query, **keys)) for row in page.records]


def test_every_row_comes_once_and_a_resume_goes_on(server: Server) -> None:
    sync = config(server, series(server, 2500))
    pages = pages_of(sync)
    assert [row["id"] for page in pages for row in page.records] == list(range(2500))
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    rest = pages_of(sync, pages[0].checkpoint)
    assert [row["id"] for page in rest for row in page.records] == list(range(1000, 2500))


def test_paging_with_variables_of_the_query(server: Server) -> None:
    server.run(
        "DROP TABLE IF EXISTS paged",
        "CREATE TABLE paged (id INTEGER PRIMARY KEY)",
        *(f"INSERT INTO paged VALUES ({at})" for at in range(25)),
    )
    query = "SELECT id FROM paged ORDER BY id LIMIT {{ size }} OFFSET {{ begin }}"
    paging = {"limit_key": "size", "skip_key": "begin", "limit_max": 10}
    assert [row["id"] for row in rows(server, query, pagination=paging)] == list(range(25))


def test_types_of_postgresql_reach_the_row_as_documented(postgresql: Server) -> None:
    query = """
        SELECT NULL AS n, true AS t, 9223372036854775807 AS i, 1.5::float8 AS f,
               'NaN'::float8 AS nan, 12.50::numeric(10, 2) AS d, 'NaN'::numeric AS dn,
               'tä:xt %s 100%' AS s, '\\x00ff'::bytea AS b, DATE '2024-05-31' AS day,
               TIME '23:59:59.5' AS clock, TIMESTAMP '2024-05-31 01:02:03' AS ts,
               TIMESTAMPTZ '2024-05-31 01:02:03+02' AT TIME ZONE 'UTC' AS utc,
               TIMESTAMPTZ '2024-05-31 01:02:03+00' AS tz, INTERVAL '1 day 02:03:04.5' AS iv,
               '00000000-0000-0000-0000-000000000005'::uuid AS u,
               '{"a": [1, null, 2.5]}'::jsonb AS j, '[1, "x"]'::json AS ja,
               ARRAY[1.50, NULL]::numeric[] AS arr, ARRAY['a', 'b'] AS texts,
               '[1,5)'::int4range AS r, '10.0.0.1'::inet AS ip, B'101' AS bits,
               'x'::char(3) AS c, 5::smallint AS small, 1::money AS m
        ORDER BY 1
    """
    (row,) = rows(postgresql, query)
    json.dumps(row, allow_nan=False)
    tz = row.pop("tz")
    assert datetime.fromisoformat(tz) == datetime(2024, 5, 31, 1, 2, 3, tzinfo=timezone.utc)
    assert row == {
        "n": None, "t": True, "i": 2**63 - 1, "f": 1.5, "nan": "NaN", "d": "12.50", "dn": "NaN",
        "s": "tä:xt %s 100%", "b": "AP8=", "day": "2024-05-31", "clock": "23:59:59.500000",
        "ts": "2024-05-31T01:02:03", "utc": "2024-05-30T23:02:03", "iv": "P1DT2H3M4.5S",
        "u": "00000000-0000-0000-0000-000000000005", "j": {"a": [1, None, 2.5]}, "ja": [1, "x"],
        "arr": ["1.50", None], "texts": ["a", "b"], "r": "[1, 5)", "ip": "10.0.0.1", "bits": "101",
        "c": "x  ", "small": 5, "m": "$1.00",
    }  # fmt: skip


def test_types_of_mariadb_reach_the_row_as_documented(mariadb: Server) -> None:
    mariadb.run(
        "DROP TABLE IF EXISTS types",
        """CREATE TABLE types (n INT, t BOOLEAN, i BIGINT UNSIGNED, f DOUBLE, d DECIMAL(10, 2),
           s TEXT, b VARBINARY(9), day DATE, clock TIME(1), ts DATETIME, bits BIT(9), j JSON,
           u UUID, e ENUM('x', 'y'), st SET('x', 'y'), y YEAR, c CHAR(3))""",
        """INSERT INTO types VALUES (NULL, TRUE, 18446744073709551615, 1.5, 12.5, 'tä:xt %s 🚀',
           X'00FF', '2024-05-31', '26:03:04.5', '2024-05-31 01:02:03', b'100000001',
           '{"a": 1}', '00000000-0000-0000-0000-000000000005', 'y', 'x,y', 2024, 'x')""",
    )
    (row,) = rows(mariadb, "SELECT * FROM types ORDER BY 1")
    json.dumps(row, allow_nan=False)
    assert row == {
        "n": None, "t": 1, "i": 2**64 - 1, "f": 1.5, "d": "12.50", "s": "tä:xt %s 🚀", "b": "AP8=",
        "day": "2024-05-31", "clock": "26:03:04.5", "ts": "2024-05-31T01:02:03", "bits": 257,
        "j": '{"a": 1}', "u": "00000000-0000-0000-0000-000000000005", "e": "y", "st": "x,y",
        "y": 2024, "c": "x",
    }  # fmt: skip


def test_nothing_can_be_written(server: Server) -> None:
    server.run("DROP TABLE IF EXISTS kept", "CREATE TABLE kept (id INTEGER)")
    statement = {
        "postgresql": "INSERT INTO kept VALUES (1) RETURNING id -- ORDER BY",
        "mysql": "INSERT INTO kept VALUES (1) RETURNING id -- ORDER BY",
    }[server.provider]
    with pytest.raises(SourceError):
        rows(server, statement)
    assert rows(server, "SELECT id FROM kept ORDER BY id") == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1 ORDER BY 1", "SELEC"),
        ("SELECT id FROM nowhere ORDER BY 1", "nowhere"),
        ("SELECT 1 AS a, 2 AS a ORDER BY 1", "several columns called a"),
    ],
)
def test_a_wrong_query_is_an_error_with_the_databases_own_words(
    server: Server, query: str, words: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        rows(server, query)
    assert not caught.value.retryable


def test_a_wrong_password_is_refused_without_being_named(server: Server) -> None:
    wrong = "wr0ng-word"
    sync = config(server, "SELECT 1 ORDER BY 1")
    with (
        closing(open_source(sync, SourceSetting(variables={"SYNC_PASSWORD": wrong}))) as source,
        pytest.raises(SourceError, match="cannot connect") as caught,
    ):
        list(source.fetch_pages())
    assert wrong not in str(caught.value)
    assert not caught.value.retryable


BEYOND = {
    "a far year": "TIMESTAMP '17026-04-30 22:00'",
    "before year 1": "TIMESTAMP '0044-03-15 00:00 BC'",
    "infinity": "'infinity'::timestamptz",
    "a far date": "DATE '17026-04-30'",
    "minus infinity": "'-infinity'::date",
    "with offset": "TIMESTAMPTZ '17026-04-30 22:00+02'",
    "in an array": "ARRAY[now()::timestamp, '17026-04-30']",
    "in a range": "tsrange('2024-01-01', '17026-04-30')",
    "at the end of a range": "daterange(NULL, 'infinity')",
}


@pytest.mark.parametrize("value", BEYOND.values(), ids=list(BEYOND))
def test_a_value_that_python_cannot_hold_fails_its_record_and_no_other(
    postgresql: Server, value: str
) -> None:
    query = (
        f"SELECT id, CASE WHEN id IN (0, 1500) THEN {value} END AS at, 'x' AS rest "
        "FROM generate_series(0, 2499) AS id ORDER BY id"
    )
    records = rows(postgresql, query)
    assert [row["id"] for row in records] == list(range(2500))
    assert [row["id"] for row in records if UNREADABLE in row] == [0, 1500]
    bad = records[1500]
    assert (bad["at"], bad["rest"]) == (None, "x")
    assert "year 1 to 9999" in bad[UNREADABLE]["at"]
    assert "17026" not in json.dumps(bad)


def test_the_time_after_the_last_one_of_a_day_is_text(postgresql: Server) -> None:
    (row,) = rows(postgresql, "SELECT TIME '24:00' AS t, TIMETZ '24:00+02' AS tz ORDER BY 1")
    assert row == {"t": "24:00:00", "tz": "24:00:00+02"}


def test_text_of_a_database_without_an_encoding_is_utf_8_or_fails_its_record(
    postgresql: Server,
) -> None:
    """PostgreSQL's SQL_ASCII takes any bytes, and its driver gives bytes."""
    postgresql.run(
        "DROP DATABASE IF EXISTS plain",
        "CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    string = postgresql.connection_string.replace("Database=sync", "Database=plain")
    texts = {0: r"E'M\xc3\xbcller'::text", 1: r"E'M\xfcller'", 2: "'x'::varchar"}
    cases = " ".join(f"WHEN {at} THEN {text}" for at, text in texts.items())
    query = f"SELECT id, CASE id {cases} END AS s, 'a'::char(2) AS c FROM generate_series(0, 2) id ORDER BY id"
    found = rows(postgresql, query, connection_string=string)
    assert [row["s"] for row in found] == ["Müller", None, "x"]
    assert [row["c"] for row in found] == ["a "] * 3
    assert "no utf-8" in found[1][UNREADABLE]["s"]


@pytest.mark.parametrize("bad", ["81", "41814142", "8D", "90", "9D9D"])
def test_a_cell_of_mysql_that_is_no_text_fails_its_record_and_no_other(
    mariadb: Server, bad: str
) -> None:
    mariadb.run(
        "DROP TABLE IF EXISTS texts",
        "CREATE TABLE texts (id INT PRIMARY KEY, s VARCHAR(9) CHARACTER SET latin1, d DATE)",
        *(f"INSERT INTO texts VALUES ({at}, 'Müller', '2024-05-01')" for at in range(5)),
        *(f"UPDATE texts SET s = X'{bad}' WHERE id = {at}" for at in (0, 3)),
    )
    string = f"{mariadb.connection_string};Charset=latin1"
    found = rows(mariadb, "SELECT * FROM texts ORDER BY id", connection_string=string)
    assert [row["s"] for row in found] == [None, "Müller", "Müller", None, "Müller"]
    assert [row["id"] for row in found if UNREADABLE in row] == [0, 3]
    assert "no cp1252" in found[3][UNREADABLE]["s"]
    assert {row["d"] for row in found} == {"2024-05-01"}


def test_a_long_extraction_can_be_left_at_once(server: Server) -> None:
    sync = config(server, series(server, 5_000_000))
    found = pages_of(sync, limit=1500)
    assert sum(len(page.records) for page in found) == 1500
    variables = {"SYNC_PASSWORD": PASSWORD}
    source = open_source(sync, SourceSetting(variables=variables))
    pages = source.fetch_pages()
    next(pages)
    source.close()
    active = {
        "postgresql": "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND "
        "query LIKE '%generate_series%' AND pid <> pg_backend_pid() ORDER BY 1",
        "mysql": "SELECT 0 AS n ORDER BY 1",
    }
    assert rows(server, active[server.provider]) == [{"n": 0}]


def test_a_server_that_dies_is_an_error_worth_another_attempt() -> None:
    for running in (running_postgresql, running_mariadb):
        with running() as server:
            sync = config(server, series(server, 3_000_000))
            variables = {"SYNC_PASSWORD": PASSWORD}
            with closing(open_source(sync, SourceSetting(variables=variables))) as source:
                pages = source.fetch_pages()
                first = next(pages)
                assert [row["id"] for row in first.records] == list(range(1000))
                server.kill()
                kept = 1000
                with pytest.raises(SourceError) as caught:  # noqa: PT012 - pages come before it
                    for page in pages:
                        assert page.records[0]["id"] == kept
                        kept += len(page.records)
            assert caught.value.retryable
            assert "connection was lost" in str(caught.value)
            assert PASSWORD not in str(caught.value)


def _read_million(keys: dict[str, Any], answers: Any) -> None:
    sync = SyncConfig.model_validate(keys)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with closing(open_source(sync, SourceSetting(variables={"SYNC_PASSWORD": PASSWORD}))) as source:
        count = sum(len(page.records) for page in source.fetch_pages())
    answers.put((count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def test_memory_at_a_million_rows_is_that_of_a_few_pages(server: Server) -> None:
    context = multiprocessing.get_context("spawn")
    grown = {}
    for count in (5_000, 1_000_000):
        answers = context.SimpleQueue()
        keys = config(server, series(server, count)).model_dump()
        process = context.Process(target=_read_million, args=(keys, answers))
        process.start()
        read, grown[count] = answers.get()
        process.join()
        answers.close()
        assert read == count
    # Kilobytes: less than 8 MB more than for five pages.
    assert grown[1_000_000] < grown[5_000] + 8 * 1024


def test_no_query_is_logged_with_its_values(
    postgresql: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        rows(
            postgresql, 'SELECT \'{{ config.SYNC_PASSWORD | replace("\'", "") }}\' AS x ORDER BY 1'
        )
    assert not [message for message in caplog.messages if "s3cret" in message]
