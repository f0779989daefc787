"""Which answers say that they failed, and in which words: documents as public APIs have them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.extract.http.failures import words_of_head
from sync_pipeline.extract.own_words import (
    LONGEST,
    explain_nothing,
    find_bare_complaint,
    find_complaint,
    find_message,
    words_of,
)

#: The document, where its records would be, and what must be told.
ERRORS = {
    "GraphQL": ({"errors": [{"message": "Throttled", "extensions": {"code": "T"}}], "data": None},
                "data.products.nodes", "Throttled"),
    "GraphQL, several": ({"errors": [{"message": "a b"}, {"message": "c"}]}, "data.x", "a b; c"),
    "GraphQL, in part": ({"errors": [{"message": "no access", "path": ["p", 3]}],
                          "data": {"p": [{}]}}, "data.p", "no access"),
    "JSON:API": ({"errors": [{"status": "403", "title": "Forbidden", "detail": "Not yours"}]},
                 "data", "Not yours; Forbidden"),
    "OData 4": ({"error": {"code": "Bad", "message": "No such column"}}, "value",
                "No such column; Bad"),
    "OData 2": ({"error": {"code": "", "message": {"lang": "en", "value": "No such column"}}},
                "d.results", "No such column"),
    "OData 3": ({"odata.error": {"message": {"value": "No such column"}}}, "value",
                "No such column"),
    "OAuth": ({"error": "invalid_token", "error_description": "It has expired"}, "items",
              "invalid_token; It has expired"),
    "Google": ({"error": {"code": 403, "message": "Quota", "errors": [{"message": "Quota"}]}},
               "items", "Quota; 403"),
    "Google Maps": ({"results": [], "status": "REQUEST_DENIED", "error_message": "No key"},
                    "results", "No key"),
    "Slack": ({"ok": False, "error": "invalid_auth"}, "members", "invalid_auth"),
    "Telegram": ({"ok": False, "error_code": 401, "description": "Unauthorized"}, "result",
                 "401; Unauthorized"),
    "JSend error": ({"status": "error", "message": "No database"}, "data.posts", "No database"),
    "JSend fail": ({"status": "fail", "data": {"title": "A title is required"}}, "data.posts.rows",
                   "A title is required"),
    "success false": ({"success": False, "code": 7, "msg": "No such user"}, "data", "No such user"),
    "success as a text": ({"Success": "false", "Message": "No"}, "data", "No"),
    "success 0": ({"success": 0}, "data", "success: 0"),
    "is error": ({"isError": True, "reason": "down"}, "data", "down"),
    "capitals": ({"ERRORS": [{"MESSAGE": "Down"}]}, "data", "Down"),
    "fault": ({"fault": {"faultstring": "Over quota", "detail": {"errorcode": "Q"}}}, "items",
              "Over quota; Q"),
    "SOAP 1.1": ({"soap:Envelope": {"soap:Body": {"soap:Fault": {"faultcode": "soap:Client",
                                                             "faultstring": "No session"}}}},
                 "Envelope.Body.Rows", "No session"),
    "SOAP 1.2": ({"Envelope": {"Body": {"Fault": {"Code": {"Value": "Sender"},
                                              "Reason": {"Text": "No session"}}}}},
                 "Envelope.Body.Rows.Row", "No session; Sender"),
    "QuickBooks": ({"Fault": {"Error": [{"Message": "Bad token", "Detail": "Expired"}],
                              "type": "AUTH"}}, "QueryResponse.Item", "Bad token; Expired; AUTH"),
    "Lambda": ({"errorMessage": "Task timed out", "errorType": "Timeout"}, "items",
               "Task timed out; Timeout"),
    "Jira": ({"errorMessages": ["No such field"], "errors": {}}, "issues", "No such field"),
    "Laravel": ({"message": "Invalid.", "errors": {"name": ["is too long"]}}, "data",
                "name: is too long; Invalid."),
    "Rails": ({"errors": ["Name is too long", "Id is taken"]}, "data",
              "Name is too long; Id is taken"),
    "Shopify": ({"errors": "Invalid API key"}, "products", "Invalid API key"),
    "problem": ({"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "No."},
                "items", "No.; Forbidden"),
    "WordPress": ({"code": "rest_forbidden", "message": "Sorry", "data": {"status": 401},
                   "status": 401}, "items", "Sorry"),
    "Elasticsearch": ({"error": {"root_cause": [{"reason": "x"}], "type": "parsing",
                                 "reason": "Unknown key"}, "status": 400}, "hits.hits",
                      "Unknown key; parsing"),
    "a failed shard": ({"_shards": {"total": 5, "failed": 1, "failures": [{"reason": "gone"}]},
                        "hits": {"hits": [{}]}}, "hits.hits", "gone"),
    "incomplete": ({"total_count": 9, "incomplete_results": True, "items": []}, "items",
                   "incomplete_results: true"),
    "WeChat": ({"errcode": 40001, "errmsg": "invalid credential"}, "data",
               "40001; invalid credential"),
    "in the envelope": ({"meta": {"code": 400, "error_message": "No token"}, "data": []}, "data",
                        "No token"),
    "in a status": ({"status": {"error_code": 1001, "error_message": "Bad key"}}, "data",
                    "1001; Bad key"),
    "on the way": ({"finance": {"result": None, "error": {"description": "No crumb"}}},
                   "finance.result.rows", "No crumb"),
    "Kubernetes": ({"kind": "Status", "status": "Failure", "message": "forbidden", "code": 403},
                   "items", "forbidden"),
    "a number": ({"error": 3, "items": []}, "items", "3"),
    "true": ({"error": True, "items": []}, "items", "error: true"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "path", "words"), ERRORS.values(), ids=ERRORS)
def test_an_answer_that_says_that_it_failed_is_told_in_its_own_words(document, path, words):
    assert find_complaint(document, path.split(".")) == words


NO_ERRORS = [
    {"items": [{"error": "data"}]},
    {"items": [], "error": None},
    {"items": [], "errors": []},
    {"items": [], "errors": {}},
    {"items": [], "error": "", "errorCode": "0000", "error_message": "OK"},
    {"items": [], "error": False, "success": True},
    {"items": [], "error": {"code": 0, "message": ""}},
    {"items": [], "errorMessages": [], "errors": {"name": []}},
    {"items": [], "error": "No error", "status": "ok"},
    {"items": [], "errcode": 0, "errmsg": "成功"},
    {"items": [], "code": 200, "message": "Success"},
    {"items": [], "code": "200", "status": 200, "message": "Found."},
    {"items": [], "status": "ZERO_RESULTS"},
    {"items": [], "status": {"code": 200, "message": "OK", "error_code": 0}},
    {"items": [], "message": "There is an error in your favourite song"},
    {"items": [], "meta": {"errors": [], "result": "set"}},
    {"items": [], "type": "list", "object": "list", "result": [1]},
    {"items": [], "_shards": {"total": 5, "successful": 5, "failed": 0}, "timed_out": False},
    {"items": [], "code": 404},
    {"items": [], "ok": 1, "success": "true"},
    {"items": [], "deleted": {"error": "in something else"}},
    [{"error": "data"}, {"error": "data"}],
    None,
    "error",
]


@pytest.mark.parametrize("document", NO_ERRORS, ids=lambda value: json.dumps(value)[:60])
def test_an_answer_that_does_not_is_none(document):
    assert find_complaint(document, ["items"]) == ""


@pytest.mark.parametrize(
    ("document", "way"),
    [
        ({"errors": [{"message": "x", "count": 3}]}, ["errors"]),
        ({"data": {"faults": [{"id": 1}]}}, ["data", "faults"]),
        ({"result": {"status": "failed", "error": "of the one record"}}, ["result"]),
    ],
)
def test_records_are_not_taken_for_errors_because_of_their_name(document, way):
    assert find_complaint(document, way) == ""


@pytest.mark.parametrize(
    ("record", "among_others", "alone"),
    [
        ({"Message": "Authorization has been denied"}, "", "Authorization has been denied"),
        ({"message": "Not Found", "documentation_url": "https://x"}, "", "Not Found"),
        ({"detail": "Given token not valid"}, "", "Given token not valid"),
        ({"error": "bad", "code": 5}, "bad", "bad"),
        ({"exception": "Code: 395. Too many rows"},) + ("Code: 395. Too many rows",) * 2,
        ({"message": "Expired", "errorCode": "SESSION"},) + ("SESSION; Expired",) * 2,
        ({"id": 7, "status": "failed", "error": "of a job"}, "", ""),
        ({"sku": "a", "message": "x"}, "", ""),
        ({"title": "Welcome", "message": "Hi", "type": "banner"}, "", ""),
        ({"code": "A1", "description": "a code list"}, "", ""),
        ({}, "", ""),
        ([1], "", ""),
    ],
)
def test_what_may_be_a_record_is_an_error_only_if_it_is_nothing_else(record, among_others, alone):
    assert find_bare_complaint(record, alone=False) == among_others
    assert find_bare_complaint(record, alone=True) == alone


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Message": "Denied"}, "Denied"),
        ({"name": "AuthError", "message": "Denied", "debug_id": "1"}, "Denied"),
        ({"title": "Oops", "description": "No such app"}, "No such app; Oops"),
        ([{"message": "Session expired", "code": "S"}], "Session expired; S"),
        ({"resourceType": "OperationOutcome", "issue": [{"diagnostics": "No such type"}]},
         "No such type"),
        ({"type": "FeatureCollection", "features": []}, ""),
        ({"message": "hello", "orders": []}, ""),
        ({"items": []}, ""),
        ("Unauthorized", "Unauthorized"),
        (["Unauthorized"], "Unauthorized"),
        ([], ""),
        (None, ""),
    ],
)  # fmt: skip
def test_an_answer_without_the_records_is_quoted_where_it_looks_like_an_error(document, words):
    assert explain_nothing(document, ["rows"]) == words


def test_a_message_beside_null_is_found_unless_it_says_ok():
    assert find_message({"data": None, "Msg": "no such tenant"}) == "no such tenant"
    assert find_message({"data": None, "message": "Success"}) == ""
    assert find_message([]) == ""


def test_words_are_one_line_of_bounded_length():
    many = {
        "errors": [{"message": f"line {n}\n\tof\x00\x1b[31m many " + "x" * 200} for n in range(9)]
    }
    words = words_of(many)
    assert len(words) == LONGEST
    assert words.startswith("line 0 of[31m many xxx")
    assert words.isprintable()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b'{"error": {"message": "too long", "trace": "' + b"x" * 9000, "too long"),
        (b'{"errors": [{"message": "first"}, {"message": "sec', "first"),
        (b'\xef\xbb\xbf{"message": "with a mark"}', "with a mark"),
        ('{"message": "kürzer"}'.encode("latin-1"), "kürzer"),
        ('{"message": "kürzer"}'.encode("utf-16"), "kürzer"),
        ('{"message": "kürzer", "x": "ü'.encode()[:-1], "kürzer"),
        (b'"Unauthorized"', "Unauthorized"),
        (b"<html>s3cret</html>", ""),
        (b"plain text", ""),
        (b"", ""),
        (b"\xff\xfe\xfa{", ""),
    ],
)
def test_words_are_found_in_a_body_that_was_read_in_part(head, words):
    assert words_of_head(head, "application/json; charset=ISO-8859-1") == words


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "status", "meta", "data", "ok", "code"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(DOCUMENTS, st.lists(st.sampled_from(["data", "meta", "errors"]), max_size=3))
def test_law_any_document_gives_one_short_line(document, way):
    for words in (
        find_complaint(document, way),
        find_bare_complaint(document, alone=True),
        explain_nothing(document, way),
        words_of(document),
        find_message(document),
    ):
        assert len(words) <= LONGEST
        assert "\n" not in words
