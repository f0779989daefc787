import os
from pathlib import Path

import pytest

from sync_pipeline.config.loading import load_config, parse_config
from sync_pipeline.errors import ConfigError

FILE = Path("configs/products.yaml")

BASE = {
    "contentType": "product",
    "contentKeyField": "id",
    "endPoint": "https://api.example.com/data",
    "mapping": '{id: "{{ row.id }}"}',
}
DATABASE = {
    "contentType": "product",
    "contentKeyField": "id",
    "connectionString": "sqlite:///x.db",
    "query": "select 1",
    "mapping": '{id: "{{ row.id }}"}',
}


def rest(text: str = "", **changes: str | None) -> str:
    return _written(BASE, text, changes)


def database(text: str = "", **changes: str | None) -> str:
    return _written(DATABASE, text, changes)


def _written(base: dict[str, str], text: str, changes: dict[str, str | None]) -> str:
    values = {**base, **changes}
    lines = [f"{key}: {value}\n" for key, value in values.items() if value is not None]
    return "".join(lines) + text


#: (file, key, what the message must say)
CASES = {
    "unknown key": (rest("endpoint2: x"), "endpoint2", "did you mean `endPoint`?"),
    "unknown key far from all": (rest("zzz: x"), "zzz", "docs/configuration.md"),
    "unknown key of another tool": (rest("url: x"), "url", "did you mean `endPoint`?"),
    "key with wrong case": (rest("httpmethod: get"), "httpmethod", "did you mean `httpMethod`?"),
    "key on the wrong level": (rest("limitMax: 5"), "limitMax", "did you mean `pagination.limitMax`?"),
    "key of the file in a block": (
        rest("pagination: {limitMax: 1, skipKey: a, batchSize: 1}"),
        "pagination.batchSize",
        "did you mean `batchSize`?",
    ),
    "unknown key in pagination": (
        rest("pagination: {limitMx: 5, skipKey: a}"),
        "pagination.limitMx",
        "did you mean `limitMax`?",
    ),
    "unknown key in a list item": (
        rest(mapping="[{fieldName: id, expresion: a}]"),
        "mapping[0].expresion",
        "did you mean `expression`?",
    ),
    "unknown key in a mapping dict": (
        rest(mapping='{"id": {expression: a, overwriteNul: true}}'),
        "mapping.id.overwriteNul",
        "did you mean `overwriteNull`?",
    ),
    "unknown key in auth": (
        rest("auth: {type: bearer, tokn: a}"), "auth.tokn", "did you mean `token`?",
    ),
    "unknown key in schedule": (
        rest("schedule: {cron: '@daily', timezon: UTC}"),
        "schedule.timezon",
        "did you mean `timezone`?",
    ),
    "unknown key in a test": (
        rest("tests: [{row: {}, expected: {}}]"), "tests[0].expected", "did you mean `expect`?",
    ),
    "key twice": (rest("mode: auto\nmode: auto"), "mode", "given twice, first in line 5"),
    "key in two spellings": (
        rest("end_point: https://x/"), "end_point", "the same key as `endPoint`",
    ),
    "key twice in a block": (
        rest(mapping='{id: "1", id: "2"}'), "mapping.id", "given twice",
    ),
    "missing content type": (
        rest(contentType=None), "contentType", "required; add `contentType: <id of",
    ),
    "missing key field": (
        rest(contentKeyField=None), "contentKeyField", "required; add `contentKeyField: <field>`",
    ),
    "missing mapping": (rest(mapping=None), "mapping", 'add `mapping:` with lines such as "name.en"'),
    "null mapping": (rest(mapping="null"), "mapping", "required; add `mapping:`"),
    "empty mapping": (rest(mapping="[]"), "mapping", "must not be empty; add `mapping:`"),
    "empty content type": (rest(contentType="''"), "contentType", "must not be empty"),
    "impossible content type": (rest(contentType="'a b'"), "contentType", "1 to 64 letters"),
    "missing endpoint": (rest(endPoint=None), "endPoint", "add `endPoint: https://...`"),
    "empty endpoint": (rest(endPoint="''"), "endPoint", "required for sourceType restapi"),
    "relative endpoint": (rest(endPoint="/data"), "endPoint", "begins with http:// or https://"),
    "endpoint of another protocol": (rest(endPoint="ftp://x/y"), "endPoint", "http:// or https://"),
    "endpoint with a blank": (rest(endPoint="https://x/a b"), "endPoint", "write %20"),
    "mapping is text": (rest(mapping="'{{ row }}'"), "mapping", "must be names with templates, or a list of rules, not a single value"),
    "premapping is text": (rest(preMapping="a"), "preMapping", "must be names with templates, or a list"),
    "enumeration is text": (rest(enumerateForContentTypes="shop"), "enumerateForContentTypes", "must be a list, not a single value"),
    "mapping item is text": (rest(mapping="[a]"), "mapping[0]", "must be keys and values"),
    "mapping item is empty": (rest(mapping="[{fieldName: id, expression: a}, ]\n").replace(", ]", ", null]"), "mapping[1]", "an empty item; remove it"),
    "expression is missing": (rest(mapping="[{fieldName: id}]"), "mapping[0].expression", "required; add it"),
    "expression is null": (rest(mapping="{id: }"), "mapping.id", "write '' for"),
    "expression is a list": (rest(mapping="{id: [a]}"), "mapping.id", "must be text, not a list"),
    "field name is empty": (rest(mapping='{id: a, "": b}'), 'mapping.""', "must not be empty"),
    "field mapped twice": (
        rest(mapping="[{fieldName: id, expression: a}, {fieldName: id, expression: b}]"),
        "mapping[1].fieldName",
        "the field `id` is given twice",
    ),
    "variable twice": (
        rest("preMapping: [{varName: a, expression: x}, {var_name: a, expression: y}]"),
        "preMapping[1].var_name",
        "the variable `a` is given twice",
    ),
    "name inside of a named rule": (
        rest(mapping="{id: {fieldName: x, expression: a}}"),
        "mapping.id.fieldName",
        "the name is already `id`",
    ),
    "template without quotes": (rest(mapping="{id: {{ row.id }} }"), "mapping.id", "put quotes around it"),
    "number expected": (rest("retries: many"), "retries", "must be a whole number, not `many`"),
    "whole number expected": (rest("retries: 1.5"), "retries", "must be a whole number, not `1.5`"),
    "boolean for a number": (rest("retries: true"), "retries", "must be a whole number, not `true`"),
    "list for a number": (rest("retries: [1]"), "retries", "must be a whole number, not a list"),
    "decimal expected": (rest("timeoutS: soon"), "timeoutS", "must be a number, not `soon`"),
    "not a finite number": (rest("timeoutS: nan"), "timeoutS", "must be a number"),
    "boolean expected": (rest("stream: maybe"), "stream", "must be true or false, not `maybe`"),
    "too small": (rest("timeoutS: 0"), "timeoutS", "must be more than 0, not `0`"),
    "too large": (rest("retries: 21"), "retries", "must be at most 20, not `21`"),
    "batch size too large": (rest("batchSize: 10001"), "batchSize", "must be at most 10,000, not `10001`"),
    "batch size too small": (rest("batchSize: 0"), "batchSize", "must be at least 1, not `0`"),
    "batch size not a number": (rest("batchSize: big"), "batchSize", "a whole number or auto, not `big`"),
    "unknown enum value": (
        rest("resultsFormat: zipedCsv"), "resultsFormat", "one of json, jsonl, csv, zippedCsv, not `zipedCsv`; did you mean `zippedCsv`?",
    ),
    "unknown source type": (rest("sourceType: soap"), "sourceType", "one of restapi, database"),
    "enum is a list": (rest("mode: [auto]"), "mode", "must be one of regular, streaming, auto, not a list"),
    "null where none is meant": (rest("publish: null"), "publish", "write none"),
    "headers are a list": (rest("headers: [a]"), "headers", "must be keys and values, not a list"),
    "header without value": (rest("headers: {Accept: }"), "headers.Accept", "write '' for"),
    "header name": (rest("headers: {'a b': x}"), "headers.a b", "is not a name of a header"),
    "header twice": (rest("headers: {Accept: a, accept: b}"), "headers.accept", "the same header as `Accept`"),
    "continuation header name": (rest("continuationTokenHeader: 'a b'"), "continuationTokenHeader", "not a name of a header"),
    "key field not mapped": (
        rest(contentKeyField="code", mapping="{cod: a}"), "contentKeyField", "not in `mapping`; did you mean `cod`?",
    ),
    "key field far from mapped": (rest(contentKeyField="sku.en"), "contentKeyField", 'add "sku.en" to it'),
    "key field grammar": (rest(contentKeyField="a.b.c"), "contentKeyField", "`<field>` or `<field>.<locale>`"),
    "form with get": (rest("formUrlEncodedContent: {a: b}"), "formUrlEncodedContent", "add `httpMethod: post`"),
    "json body with get": (rest("jsonBody: {a: b}"), "jsonBody", "add `httpMethod: post`"),
    "two bodies": (rest("httpMethod: post\njsonBody: {a: b}\nformUrlEncodedContent: {a: b}"), "jsonBody", "a request has one body"),
    "database keys in a restapi": (rest("sourceType: restapi\nquery: q"), "query", "state `sourceType: database`"),
    "restapi keys in a database": (database("endPoint: https://x/"), "endPoint", "is not used by sourceType database"),
    "database without query": (database(query=None), "query", "add `query: ...`"),
    "database without connection": (database(connectionString=None), "connectionString", "add `connectionString: ...`"),
    "database without provider": (database(connectionString="Server=x;"), "provider", "add `provider: sqlserver`"),
    "provider contradicts url": (database("provider: mysql"), "provider", "a URL for sqlite"),
    "unknown provider": (database("provider: postgres"), "provider", "did you mean `postgresql`?"),
    "auth without type": (rest("auth: {token: a}"), "auth", "`type` is missing; one of: bearer, basic"),
    "auth is text": (rest("auth: bearer"), "auth", "must be keys and values"),
    "auth of unknown type": (rest("auth: {type: barer, token: a}"), "auth.type", "did you mean `bearer`?"),
    "auth without token": (rest("auth: {type: bearer}"), "auth.token", "required; add it"),
    "auth and header": (rest("auth: {type: bearer, token: a}\nheaders: {authorization: b}"), "headers.authorization", "already sent by `auth`"),
    "api key and parameter": (rest("auth: {type: api_key, name: k, value: v, in: query}\nqueryParameters: {k: b}"), "queryParameters.k", "already sent by `auth`"),
    "api key name": (rest("auth: {type: api_key, name: 'a b', value: v}"), "auth.name", "not a name of a header"),
    "token url": (rest("auth: {type: oauth2_client_credentials, tokenUrl: x, clientId: a, clientSecret: b}"), "auth.tokenUrl", "http:// or https://"),
    "auth type is a list": (rest("auth: {type: [bearer]}"), "auth.type", "must be one of bearer, basic"),
    "auth type of a foreign tag": (rest("auth: {type: !env TYPE}"), "auth.type", "the tag `!env` is not supported"),
    "number with a wrong tag": (rest("retries: !!int many"), "retries", "must be a whole number"),
    "key twice in the block": ("yaml: |\n  " + rest("mode: auto\nmode: auto").replace("\n", "\n  "), "mode", "first in line 6"),
    "csv for json": (rest("csv: {delimiter: ';'}"), "csv", "is not used with resultsFormat json"),
    "json path for csv": (rest("resultsFormat: csv\nresultsJsonPath: items"), "resultsJsonPath", "is not used with resultsFormat csv"),
    "long delimiter": (rest("resultsFormat: csv\ncsv: {delimiter: '||'}"), "csv.delimiter", "must be one character"),
    "delimiter is quote": (rest("resultsFormat: csv\ncsv: {delimiter: '\"'}"), "csv.delimiter", "not be the same as `quoteChar`"),
    "long escape": (rest("resultsFormat: csv\ncsv: {escapeChar: '\\\\\\\\'}"), "csv.escapeChar", "must be one character"),
    "escape is the quote": (rest("resultsFormat: csv\ncsv: {escapeChar: '\"'}"), "csv.escapeChar", "must not be the same"),
    "long quote": (rest("resultsFormat: csv\ncsv: {quoteChar: ab}"), "csv.quoteChar", "or empty for none"),
    "negative lines": (rest("resultsFormat: csv\ncsv: {skipLines: -1}"), "csv.skipLines", "0"),
    "encoding of bytes": (rest("resultsFormat: csv\ncsv: {encoding: base64}"), "csv.encoding", "such as utf-8"),
    "unknown encoding of JSON": (rest("resultsEncoding: utf-9"), "resultsEncoding", "such as utf-8"),
    "encoding of JSON with CSV": (rest("resultsFormat: csv\nresultsEncoding: cp1252"), "resultsEncoding", "write `csv.encoding`"),
    "unknown encoding": (rest("resultsFormat: csv\ncsv: {encoding: utf-9}"), "csv.encoding", "such as utf-8"),
    "no columns": (rest("resultsFormat: csv\ncsv: {hasHeader: false}"), "csv", "add it"),
    "column twice": (rest("resultsFormat: csv\ncsv: {columnNames: [a, a]}"), "csv.columnNames", "names a column twice"),
    "columns are text": (rest("resultsFormat: csv\ncsv: {columnNames: a}"), "csv.columnNames", "must be a list"),
    "cron out of range": (rest("schedule: {cron: '61 * * * *'}"), "schedule.cron", "such as `0 2 * * *`"),
    "cron of four fields": (rest("schedule: {cron: '* * * *'}"), "schedule.cron", "is not a cron expression"),
    "cron with seconds": (rest("schedule: {cron: '* * * * * *'}"), "schedule.cron", "has 6 fields"),
    "cron of a day that is not": (rest("schedule: {cron: '0 0 30 2 *'}"), "schedule.cron", "would never launch"),
    "cron is missing": (rest("schedule: {timezone: UTC}"), "schedule.cron", "required"),
    "time zone misspelt": (rest("schedule: {cron: '@daily', timezone: Europe/Londn}"), "schedule.timezone", "did you mean `Europe/London`?"),
    "time zone unknown": (rest("schedule: {cron: '@daily', timezone: Middle/Earth}"), "schedule.timezone", "such as Europe/London"),
    "time zone is a folder": (rest("schedule: {cron: '@daily', timezone: Europe}"), "schedule.timezone", "is not known"),
    "time zone leaves its folder": (rest("schedule: {cron: '@daily', timezone: ../../etc/passwd}"), "schedule.timezone", "is not known"),
    "sensor type": (rest("sensor: {type: poll, url: https://x/}"), "sensor.type", "one of http_change"),
    "sensor url": (rest("sensor: {type: http_change, url: x}"), "sensor.url", "http:// or https://"),
    "sensor too often": (rest("sensor: {type: http_change, url: https://x/, minimumIntervalSeconds: 1}"), "sensor.minimumIntervalSeconds", "at least 5"),
    "launch concurrency": (rest("schedule: {cron: '@daily', concurrency: 64}"), "schedule.concurrency", "at most 32"),
    "local model for contentful": (rest("target: {model: a.json}"), "target.model", "add `space: local`"),
    "unknown space": (rest("target: {space: prod}"), "target.space", "one of contentful, local"),
    "enumeration of a taken name": (rest("enumerateForContentTypes: [{contentType: row}]"), "enumerateForContentTypes[0].contentType", "already have a variable `row`"),
    "enumeration twice": (rest("enumerateForContentTypes: [{contentType: a}, {contentType: a}]"), "enumerateForContentTypes[1].contentType", "enumerated twice"),
    "enumeration of an impossible id": (rest("enumerateForContentTypes: [{contentType: 'a/b'}]"), "enumerateForContentTypes[0].contentType", "not an id"),
    "pagination says nothing": (rest("pagination: {}"), "pagination", "add `limitMax` (offset style) or `pageSize`"),
    "pagination leaves the style open": (rest("pagination: {cursorPath: a, cursorKey: b}"), "pagination", "add `type: cursor`"),
    "offset without key": (rest("pagination: {limitMax: 5}"), "pagination", "style offset needs `skipKey`"),
    "offset without size": (rest("pagination: {type: offset, skipKey: a}"), "pagination", "style offset needs `limitMax`"),
    "page without key": (rest("pagination: {pageSize: 5}"), "pagination", "style page needs `skipKey`"),
    "cursor without key": (rest("pagination: {type: cursor, cursorPath: a}"), "pagination", "style cursor needs `cursorKey`"),
    "next url without path": (rest("pagination: {type: next_url}"), "pagination", "style next_url needs `nextUrlPath`"),
    "continuation without header": (rest("pagination: {type: continuation_header}"), "pagination", "style continuation_header needs `header`"),
    "key of another style": (rest("pagination: {limitMax: 5, skipKey: a, cursorPath: b}"), "pagination.cursorPath", "for that style state `type: cursor`"),
    "key with style none": (rest("pagination: {type: none, skipKey: a}"), "pagination.skipKey", "is not used by style none"),
    "two page sizes": (rest("pagination: {type: page, skipKey: a, limitMax: 5, pageSize: 6}"), "pagination.pageSize", "contradicts `limitMax`"),
    "limit key without value": (rest("pagination: {type: link_header, limitKey: a}"), "pagination.limitKey", "add `limitMax`"),
    "one parameter for two values": (rest("pagination: {limitMax: 5, skipKey: a, limitKey: a}"), "pagination", "give the keys different names"),
    "two continuation headers": (rest("continuationTokenHeader: A\npagination: {type: continuation_header, header: B}"), "pagination.header", "contradicts `continuationTokenHeader`"),
    "two paths of total pages": (rest("resultsTotalPagesPath: a\npagination: {pageSize: 5, skipKey: p, totalPagesPath: b}"), "pagination.totalPagesPath", "contradicts `resultsTotalPagesPath`"),
    "first page below zero": (rest("pagination: {type: page, skipKey: p, firstPage: -1}"), "pagination.firstPage", "at least 0"),
    "page size of zero": (rest("pagination: {skipKey: p, pageSize: 0}"), "pagination.pageSize", "at least 1"),
    "database with cursor": (database("pagination: {type: cursor}"), "pagination.type", "use offset"),
    "database with page size": (database("pagination: {limitKey: a, skipKey: b, limitMax: 5, pageSize: 5}"), "pagination.pageSize", "is not used by databases"),
    "database without limit": (database("pagination: {skipKey: b}"), "pagination", "needs `limitKey`, `limitMax`"),
    "database with a limit that is no variable": (database("pagination: {limitKey: 'page limit', skipKey: skip, limitMax: 5}"), "pagination.limitKey", "can use as variable"),
    "database with a skip that is taken": (database("pagination: {limitKey: limit, skipKey: config, limitMax: 5}"), "pagination.skipKey", "can use as variable"),
    "database with style none and keys": (database("pagination: {type: none, limitKey: a}"), "pagination.limitKey", "is not used by style none"),
    "block contradicts the file": (rest("yaml: |\n  contentType: other"), "contentType", "outside of `yaml` (line 1); keep one"),
    "block is a list": (rest("yaml: |\n  - a"), "yaml", "must hold keys and values"),
    "block is a number": (rest("yaml: 5"), "yaml", "must hold keys and values"),
    "block in a block": (rest("yaml:\n  yaml: a"), "yaml.yaml", "unknown key"),
    "foreign tag": (rest("headers: !!python/name:os.system {}"), "headers", "is not supported; write a plain value"),
    "foreign tag on text": (rest("mode: !env MODE"), "mode", "the tag `!env` is not supported"),
    "merge of text": (rest("headers: {<<: text}"), "headers.<<", "takes an alias of a mapping"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "key", "says"), CASES.values(), ids=CASES.keys())
def test_a_mistake_is_told_with_file_key_line_and_fix(text: str, key: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, key="products", file=FILE)
    message = str(caught.value)
    assert str(FILE) in message
    assert says in message
    assert caught.value.problems == (
        (key, next(text for place, text in caught.value.problems if place == key)),
    ), f"more than one problem told for one mistake: {caught.value.problems}"
    assert caught.value.exit_code == 2


SYNTAX = {
    "unclosed bracket": ("a: [1\nb: 2\n", "line 2", "check quotes, colons and indentation"),
    "unclosed quote": ("a: 'x\n", "line 2", "not valid YAML"),
    "tab": ("mapping:\n\tid: a\n", "line 2", "indent with blanks, not tabs"),
    "template and text without quotes": (
        "mapping:\n  id: {{ row.id }} - x\n", "line 2", "put quotes around it",
    ),
    "statement without quotes": ("mapping:\n  id: {% if a %}\n", "line 2", "put quotes around it"),
    "two documents": (f"{rest()}---\na: b\n", "line 5", "one file holds one sync"),
    "control character": ("a: b\nc: \x07\n", "line 2", "character #x0007 is not allowed"),
    "error in the block": ("sourceType: restapi\nyaml: |\n  a: b\n  c: [\n", "line 5", "not valid YAML"),
    "unknown alias": ("a: *b\n", "line 1", "undefined alias"),
    "deep nesting": ("[" * 5000, "nested too deeply", "bracket"),
    "nesting beyond use": ("a: " + "[" * 60 + "]" * 60, "levels deep", "line 1"),
    "endless alias": ("a: &a [*a]\n", "levels deep", "line 1"),
    "billions of values": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "holds more than 200,000 values", "write it out",
    ),
    "a list": ("- a\n", "must be keys and values, not a list", "products.yaml"),
    "text": ("hello\n", "must be keys and values, not a single value", "products.yaml"),
    "empty": ("", "is empty", "contentType, contentKeyField, endPoint, mapping"),
    "comments only": ("# nothing\n", "is empty", "contentType"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "where", "fix"), SYNTAX.values(), ids=SYNTAX.keys())
def test_a_file_that_is_no_config_is_told_with_line_and_fix(
    text: str, where: str, fix: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, key="products", file=FILE)
    assert str(FILE) in str(caught.value)
    assert where in str(caught.value)
    assert fix in str(caught.value)


def test_all_problems_of_a_file_are_told_at_once_in_its_order() -> None:
    text = rest(
        "retries: many\npagination: {limitMx: 5}\nschedule: {cron: '61 * * * *'}\n"
        "target: {model: x}\n",
        contentKeyField="code",
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(text, key="products", file=FILE)
    assert [key for key, _ in caught.value.problems] == [
        "contentKeyField",
        "retries",
        "pagination.limitMx",
        "schedule.cron",
        "target.model",
    ]
    assert str(caught.value).startswith(f"{FILE}: 5 problems:\n  - contentKeyField: line 2: ")


def test_lines_of_a_block_are_those_of_the_file() -> None:
    text = "# a comment\nsourceType: restapi\nyaml: |\n  # another\n  contentTyp: a\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, key="products", file=FILE)
    assert "contentTyp: line 5: unknown key; did you mean `contentType`?" in str(caught.value)


def test_a_message_never_repeats_a_value_that_may_be_secret() -> None:
    text = rest(
        "auth: {type: bearer, token: [hunter2]}\nresultsSecret: {a: hunter2}\n"
        "headers: {X-Key: [hunter2]}\nconnectionString: hunter2\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(text, key="products", file=FILE)
    assert len(caught.value.problems) >= 4
    assert "hunter2" not in str(caught.value)


FILES = {
    "not UTF-8": (b"contentType: caf\xe9\n", "line 1: not UTF-8; save the file as UTF-8"),
    "UTF-16": ("contentType: a\n".encode("utf-16"), "not UTF-8"),
    "too large": (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
}


@pytest.mark.parametrize(("content", "says"), FILES.values(), ids=FILES.keys())
def test_a_file_that_cannot_be_text_is_told(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "products.yaml").mkdir()
    with pytest.raises(ConfigError, match="is a directory, not a file"):
        load_config(tmp_path / "products.yaml")


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero")],
    ids=["pipe", "link to a device"],
)
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, make) -> None:
    make(tmp_path / "products.yaml")
    with pytest.raises(ConfigError, match="is a pipe or device, not a file"):
        load_config(tmp_path / "products.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "? {long}\n: 1\n",
        "mapping:\n  ? {long}\n  : x\n",
        "mapping:\n  ? sku\n  : '{{{{ {long} }}}}'\n",
        "headers:\n  ? '{long} x'\n  : y\n",
        "mode: {long}\n",
    ],
    ids=["key", "field", "variable", "header", "value"],
)
def test_a_message_quotes_no_more_than_a_reader_needs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "products.yaml"
    path.write_text("contentType: a\ncontentKeyField: id\n" + text.format(long="k" * 50_000))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(str(caught.value)) < 3_000


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; check the name"):
        load_config(tmp_path / "products.yaml")
