"""Answers with status 200 that are an error: never no records, never a record, in their words."""

import io
import json
import zipfile

import pytest

from sync_pipeline.errors import SourceDataError, SourceError
from sync_pipeline.extract.formats import json_stream
from sync_pipeline.extract.probe.probing import probe
from sync_pipeline.extract.rest import reading
from sync_pipeline_tests.extract.api import Catalogue, Reply, numbered, serve
from sync_pipeline_tests.extract.format_bodies import rows, rows_and_error
from sync_pipeline_tests.extract.sources import config_of, fetch_all, pagination_of

THROTTLED = {"errors": [{"message": "Throttled, s3cret"}], "data": None}
STYLES = [None, "offset", "page", "cursor", "next_url", "link_header", "continuation_header"]


@pytest.fixture(params=["read whole", "read in chunks"])
def any_size(request, monkeypatch):
    """Answers of every size are told apart alike."""
    if request.param == "read in chunks":
        monkeypatch.setattr(reading, "MEMORY_BYTES", 1)
        monkeypatch.setattr(json_stream, "SMALL", 1)


def block_of(style):
    return pagination_of(style) if style else None


def failure_of(route, **values):
    told = []
    options = {"variables": {"SYNC_T": "s3cret"}, "warn": told.append}
    values = {"auth": {"type": "bearer", "token": "{{ config.SYNC_T }}"}, **values}
    with serve(route) as api, pytest.raises(SourceDataError) as caught:
        fetch_all(config_of(api.url, **values), **options)
    assert told == []
    return str(caught.value), api


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "path", ["data.nodes", "data", "data.nodes[*]", "$..nodes[*]", "data.nodes[?(@.id)]"]
)
def test_an_error_instead_of_the_first_page_is_told_in_the_sources_words(style, path):
    text, api = failure_of(
        lambda _r: Reply(THROTTLED), pagination=block_of(style), resultsJsonPath=path
    )
    assert "configs/things.yaml: " in text
    assert 'the source answered an error instead of records (it says: "Throttled, ***")' in text
    assert "Mend what it says" in text
    assert "(status 200, Content-Type application/json)" in text
    assert len(api.requests) == 1


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("style", STYLES[1:])
@pytest.mark.parametrize(
    "document",
    [
        THROTTLED,
        {"items": None, "error": {"message": {"value": "Throttled, s3cret"}}},
        {"items": [], "success": False, "message": "Throttled, s3cret"},
        {"Message": "Throttled, s3cret"},
    ],
)
def test_an_error_instead_of_a_later_page_is_no_end(style, document):
    catalogue = Catalogue(numbered(30), style)

    def route(request):
        return catalogue(request) if route.left and not route.left.pop() else Reply(document)

    route.left = [False]
    text, api = failure_of(route, pagination=block_of(style))
    assert 'instead of records (it says: "Throttled, ***")' in text
    assert len(api.requests) == 2


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("style", [None, "offset", "cursor"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_records_with_an_error_are_an_error_unless_the_file_says_otherwise(style, place):
    parts = {"errors": [{"message": "no access to 3 of them"}], "items": numbered(2)}
    document = dict(sorted(parts.items(), reverse=place == "behind"))
    text, _ = failure_of(lambda _r: Reply(document), pagination=block_of(style))
    assert '2 records came with an error (it says: "no access to 3 of them")' in text
    assert "`partialErrors: warn`" in text

    told = []
    with serve(lambda _r: Reply(document)) as api:
        config = config_of(api.url, pagination=block_of(style), partialErrors="warn")
        assert fetch_all(config, warn=told.append) == numbered(2)
    told = [text for text in told if "cursorPath" not in text]
    assert 1 <= len(told) <= len(api.requests)
    assert 'records came with an error (it says: "no access to 3 of them")' in told[0]


@pytest.mark.usefixtures("any_size")
def test_an_error_without_records_is_no_partial_one():
    text, _ = failure_of(lambda _r: Reply({**THROTTLED, "items": []}), partialErrors="warn")
    assert "instead of records" in text


def test_an_error_that_is_all_of_a_large_answers_surroundings_is_bounded():
    errors = [{"message": f"row {n} is broken", "path": list(range(40))} for n in range(40_000)]
    text, _ = failure_of(lambda _r: Reply({"errors": errors, "items": numbered(2)}))
    assert '2 records came with an error (it says: "row 0 is broken; row 1 is broken; row 2' in text


@pytest.mark.parametrize("style", [None, "offset"])
@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Message": "Authorization denied"}, "Authorization denied"),
        ({"error": "invalid_token", "error_description": "Expired"}, "invalid_token; Expired"),
        ([{"message": "Session expired", "errorCode": "SESSION"}], "SESSION; Session expired"),
    ],
)
def test_an_error_is_not_the_one_record_of_a_source_without_a_path(style, document, words):
    text, _ = failure_of(
        lambda _r: Reply(document), pagination=block_of(style), resultsJsonPath=None
    )
    assert f'(it says: "{words}")' in text


@pytest.mark.parametrize("style", [None, "offset"])
@pytest.mark.parametrize(
    "document",
    [
        {"id": 1, "error": "of a job", "status": "failed"},
        {"sku": "a", "message": "x"},
        [{"id": 1, "errors": ["a"]}, {"id": 2, "errors": ["b"]}],
    ],
)
def test_a_record_that_tells_of_an_error_is_a_record(style, document):
    with serve(lambda _r: Reply(document)) as api:
        config = config_of(api.url, pagination=block_of(style), resultsJsonPath=None)
        records = fetch_all(config, warn=pytest.fail)
    assert records == (document if isinstance(document, list) else [document])


def test_null_instead_of_records_with_a_message_is_a_warning():
    told = []
    with serve(lambda _r: Reply({"items": None, "msg": "no such tenant"})) as api:
        fetch_all(config_of(api.url, pagination=block_of("offset")), warn=told.append)
        fetch_all(config_of(api.url), warn=told.append)
    assert len(told) == 2
    assert all('null instead of records (it says: "no such tenant")' in text for text in told)


@pytest.mark.parametrize("style", [None, "offset"])
def test_no_records_with_a_message_are_a_warning(style):
    told = []
    answer = {"items": [], "code": 1001, "Message": "token expired"}
    with serve(lambda _r: Reply(answer)) as api:
        fetch_all(config_of(api.url, pagination=block_of(style)), warn=told.append)
    assert len(told) == 1
    assert 'no records (it says: "token expired")' in told[0]


def test_a_last_page_that_names_none_and_says_why_is_a_warning():
    told = []
    pages = iter([{"items": numbered(2), "next": "b"}, {"items": [], "msg": "upstream timed out"}])
    with serve(lambda _r: Reply(next(pages))) as api:
        block = {"type": "cursor", "cursorPath": "next", "cursorKey": "after"}
        fetch_all(config_of(api.url, pagination=block), warn=told.append)
    assert any('no records (it says: "upstream timed out")' in text for text in told)


@pytest.mark.parametrize(
    "text", ["OK", "Success", "Request was successful.", "No matching records", "0 results found"]
)
def test_an_empty_result_that_says_that_all_is_well_is_no_warning(text):
    with serve(lambda _r: Reply({"items": [], "message": text})) as api:
        assert fetch_all(config_of(api.url), warn=pytest.fail) == []


@pytest.mark.parametrize("style", [None, "offset"])
def test_a_problem_is_an_error_whatever_its_status(style):
    reply = Reply(
        {"type": "https://x/quota", "title": "Quota", "items": numbered(1)},
        headers={"Content-Type": "application/problem+json"},
    )
    text, _ = failure_of(lambda _r: reply, pagination=block_of(style))
    assert '1 records came with an error (it says: "Quota; https://x/quota")' in text


# ---------------------------------------------------------------- other formats

DENIED = {"error": {"code": 401, "message": "Denied"}}
QUOTED = '(it says: "Denied; 401")'


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("media", ["application/json", "text/csv", "text/plain", None])
def test_json_instead_of_csv_is_an_error_whatever_it_is_called(media, indent):
    body = json.dumps(DENIED, indent=indent).encode()
    found, text = rows_and_error(body, media, results_format="csv")
    assert found == []
    assert "resultsFormat is csv, but the source answered JSON" in text
    assert QUOTED in text


def test_csv_that_begins_like_json_is_csv():
    assert rows(b"{a},[b]\n1,2\n", "text/csv", results_format="csv") == [{"{a}": "1", "[b]": "2"}]


def test_json_instead_of_a_zip_is_told_in_the_sources_words():
    _, text = rows_and_error(json.dumps(DENIED).encode(), None, results_format="zippedCsv")
    assert "the answer is no zip archive" in text
    assert QUOTED in text
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", json.dumps(DENIED))
    assert rows_and_error(packed.getvalue(), None, results_format="zippedCsv") == ([], "")


@pytest.mark.parametrize(
    ("body", "before", "text"),
    [
        (json.dumps(DENIED).encode(), [], QUOTED),
        (json.dumps(DENIED, indent=2).encode(), [], QUOTED),
        (b'{"message": "Denied"}\n', [], '(it says: "Denied")'),
        (json.dumps([{"message": "Denied", "code": 401}]).encode(), [], QUOTED),
        (b'{"id": 1}\n{"exception": "Too many rows"}\n', [{"id": 1}], 'it says: "Too many rows"'),
    ],
)
def test_an_error_among_json_lines_is_an_error(body, before, text):
    found, error = rows_and_error(body, results_format="jsonl")
    assert found == before
    assert text in error


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "a"}\n{"message": "b"}\n',
        b'{"id": 1, "error": "x"}\n',
        b'{"level": "error", "message": "a line of a log"}\n',
        b"",
    ],
)
def test_json_lines_that_tell_of_errors_are_records(body):
    expected = [json.loads(line) for line in body.splitlines()]
    assert rows(body, results_format="jsonl") == expected
    assert rows(body, results_format="jsonl", skip=1) == expected[1:]


def test_a_mere_message_may_be_the_one_record_if_the_file_says_so():
    body = b'{"message": "We are closed"}'
    keys = {"partial_errors": "warn"}
    assert rows(body, results_format="jsonl", **keys) == [{"message": "We are closed"}]
    assert rows(body, **keys) == [{"message": "We are closed"}]


# ---------------------------------------------------------------- errors with their status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"error": {"code": "E", "message": {"lang": "en", "value": "No such key s3cret"}}},
         "No such key ***; E"),
        ({"Message": "Denied", "ExceptionMessage": "Not yours"}, "Not yours; Denied"),
        ({"soap:Envelope": {"soap:Body": {"soap:Fault": {"faultstring": "No"}}}}, "No"),
        ({"error": "x" * 400, "more": "y" * 20_000}, "x" * 299 + "…"),
    ],
)  # fmt: skip
def test_an_error_with_its_status_is_told_in_the_sources_words(status, document, words):
    with serve(lambda _r: Reply(document, status=status)) as api:
        config = config_of(
            api.url, retries=0, auth={"type": "bearer", "token": "{{ config.SYNC_T }}"}
        )
        with pytest.raises(SourceError, match=f"status {status}") as caught:
            fetch_all(config, variables={"SYNC_T": "s3cret"})
    assert f'(it says: "{words}")' in str(caught.value)


def test_a_probe_tells_an_error_instead_of_proposing_it_as_records():
    for document in (THROTTLED, {"Message": "Throttled, s3cret"}, {**THROTTLED, "data": [{}]}):
        with (
            serve(lambda _r, document=document: Reply(document)) as api,
            pytest.raises(SourceDataError, match="it says") as caught,
        ):
            probe(api.url, headers={"X-Api-Key": "s3cret"})
        assert 'answered an error (it says: "Throttled, ***")' in str(caught.value)
