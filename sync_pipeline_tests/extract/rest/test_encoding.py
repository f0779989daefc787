"""Encodings of whole sources: pages, large answers, errors, tokens, sensors, proposals, cache."""

# ruff: noqa: SIM117  # the outer `with` is the server, the inner one the claim

import json

import pytest

from sync_pipeline.config.model import Sensor
from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.probe.config_file import render_yaml
from sync_pipeline.extract.probe.probing import probe
from sync_pipeline.extract.rest.change_probe import probe_change
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of


def reply_of(document, encoding, charset, **values):
    body = json.dumps(document, ensure_ascii=False).encode(encoding)
    header = "application/json" + (f"; charset={charset}" if charset else "")
    return Reply(body, headers={"Content-Type": header}, **values)


@pytest.mark.parametrize("style", [None, "cursor"])
@pytest.mark.parametrize("rows", [2, 150_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", "ISO-8859-1"), ("utf-8", "binary"), ("cp1252", "ISO-8859-1"), ("utf-16", "utf-8"),
     ("gbk", "gb2312")],
)  # fmt: skip
def test_records_and_cursor_of_any_encoding(style, rows, encoding, charset):
    name = "東京" if encoding == "gbk" else "Zürich"
    records = [*({"id": i, "text": "x" * 50} for i in range(rows)), {"id": "last", "name": name}]
    document = {"items": records, "meta": {"next": None}}
    block = pagination_of(style) if style else None
    with serve(lambda _r: reply_of(document, encoding, charset)) as api:
        found = fetch_all(config_of(api.url, pagination=block))
    assert len(found) == rows + 1
    assert found[-1]["name"] == name


def test_the_encoding_that_the_file_states_holds_for_every_page():
    pages = {None: "模", "c1": "창"}

    def route(request):
        cursor = request.query.get("cursor")
        document = {"items": [{"name": pages[cursor]}], "meta": {"next": None if cursor else "c1"}}
        return reply_of(document, "gbk" if cursor is None else "utf-8", None)

    with serve(route) as api:
        config = config_of(api.url, resultsEncoding="gbk", pagination=pagination_of("cursor"))
        with pytest.raises(SourceDataError, match=r"no gbk.*resultsEncoding"):
            fetch_all(config)


@pytest.mark.parametrize("style", [None, "page"])
def test_a_guess_is_told_once_to_who_reads_the_summary(style):
    said = []
    pages = ["id,name\n1,Zürich\n", "id,name\n2,Bülach\n", "id,name\n"]

    def route(request):
        page = int(request.query.get("page", 0))
        body = pages[page].encode("cp1252")
        return Reply(body, headers={"Content-Type": "text/csv"})

    with serve(route) as api:
        block = pagination_of("page", size=1) if style else None
        config = config_of(api.url, pagination=block, resultsFormat="csv", resultsJsonPath=None)
        found = fetch_all(config, warn=said.append)
    assert [row["name"] for row in found] == ["Zürich", "Bülach"][: 2 if style else 1]
    assert len(said) == 1
    assert said[0].startswith("configs/things.yaml: the text is no UTF-8: read as cp1252")


def test_two_pages_in_two_encodings_are_an_error_and_no_garbled_name():
    def route(request):
        cursor = request.query.get("cursor")
        document = {"items": [{"name": "Zürich"}], "meta": {"next": None if cursor else "c1"}}
        return reply_of(document, "cp1252" if cursor else "utf-8", "ISO-8859-1")

    with serve(route) as api:
        with pytest.raises(SourceDataError, match=r"cursor=.*Set resultsEncoding"):
            fetch_all(config_of(api.url, pagination=pagination_of("cursor")))


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", None), ("utf-8", "ISO-8859-1"), ("cp1252", "ISO-8859-1"), ("utf-16", None),
     ("utf-8-sig", "klingon"), ("utf-16-be", "utf-16")],
)  # fmt: skip
def test_the_source_s_own_words_of_an_error_are_readable(encoding, charset):
    with serve(lambda _r: reply_of({"message": "Schlüssel ungültig"}, encoding, charset,
                                   status=400)) as api:  # fmt: skip
        with pytest.raises(SourceError, match="Schlüssel ungültig"):
            fetch_all(config_of(api.url))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_token_is_read_in_any_encoding_of_unicode(encoding):
    def route(request):
        if request.path == "/token":
            return reply_of({"access_token": "t1", "token_type": "Bearer"}, encoding, "ISO-8859-1")
        return Reply({"items": []})

    with serve(route) as api:
        auth = {
            "type": "oauth2_client_credentials", "tokenUrl": f"{api.url}/token",
            "clientId": "i", "clientSecret": "s",
        }  # fmt: skip
        fetch_all(config_of(api.url, auth=auth))
    assert api.requests[1].headers["authorization"] == "Bearer t1"


@pytest.mark.parametrize("results_format", ["json", "csv", "zippedCsv", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_watched_document_is_json_whatever_the_records_are(results_format, encoding):
    sync = {"resultsFormat": results_format, "resultsJsonPath": None}
    if results_format.endswith("json"):
        sync["resultsEncoding"] = "utf-16"
    with serve(lambda _r: reply_of({"v": "ü"}, encoding, "ISO-8859-1")) as api:
        sensor = Sensor(type="http_change", url=api.url, json_path="v")
        assert probe_change(config_of(api.url, **sync), sensor, variables={}) == json.dumps("ü")


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", "ISO-8859-1"), ("cp1252", "ISO-8859-1"), ("utf-16", None), ("utf-8-sig", "binary"),
     ("gbk", "gb2312")],
)  # fmt: skip
def test_a_proposal_is_made_from_any_encoding(is_cut, encoding, charset):
    name = "東京" if encoding == "gbk" else "Zürich"
    document = [{"id": i, "name": name, "text": "x" * 50} for i in range(200)]
    with serve(lambda _r: reply_of(document, encoding, charset)) as api:
        found = probe(api.url, max_bytes=5000 if is_cut else 10**6, max_requests=1)
    assert found.results_format == "json"
    assert found.key_column == "id"
    assert found.sampled > 20
    assert "resultsEncoding" not in render_yaml(found) or encoding == "gbk"


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_a_proposal_for_csv_says_what_was_guessed(is_cut, encoding):
    text = "id,name\n" + "".join(f"{i},Zürich {i}\n" for i in range(500))
    reply = Reply(text.encode(encoding), headers={"Content-Type": "text/csv"})
    with serve(lambda _r: reply) as api:
        found = probe(api.url, max_bytes=5000 if is_cut else 10**6, max_requests=1)
    assert [field.field_id for field in found.fields] == ["id", "name"]
    assert ("csv.encoding" in render_yaml(found)) is (encoding == "cp1252")


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", "ISO-8859-1"), ("cp1252", "windows-1252"), ("utf-8", "utf-8,gbk"), ("utf-16", None),
     ("shift_jis", "x-unknown")],
)  # fmt: skip
def test_an_answer_of_the_cache_is_read_like_the_first_time(tmp_path, encoding, charset):
    name = "ﾃｽﾄ" if encoding == "shift_jis" else "Zürich"
    stated = "shift_jis" if charset == "x-unknown" else None
    with serve(lambda _r: reply_of({"items": [{"name": name}]}, encoding, charset)) as api:
        config = config_of(api.url, resultsEncoding=stated)
        found = [fetch_all(config, cache_dir=tmp_path) for _ in range(2)]
    assert found == [[{"name": name}]] * 2
    assert len(api.requests) == 1
