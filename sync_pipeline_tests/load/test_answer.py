from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.load.answer import Answer, FieldProblem, describe_error, parse_body


def refused(errors: Any, message: str = "Validation error") -> Answer:
    body = {"sys": {"type": "Error", "id": "InvalidEntry"}, "message": message,
            "details": {"errors": errors}}  # fmt: skip
    return Answer(422, body, "r")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        pytest.param(
            {"name": "size", "details": "Size must be at most 3", "path": ["fields", "t", "en-US"],
             "value": "abcdef"},
            FieldProblem("t.en-US", "size", "Size must be at most 3"), id="field and locale",
        ),
        pytest.param(
            {"name": "unknown", "path": ["fields", "x"]}, FieldProblem("x", "unknown", "unknown"),
            id="field alone",
        ),
        pytest.param(
            {"name": "type", "type": "Object", "path": ["fields", "x"]},
            FieldProblem("x", "type", "type (Object)"), id="type without details",
        ),
        pytest.param(
            {"name": "notResolvable", "path": ["fields", "f", "en-US", 5], "link": {}},
            FieldProblem("f.en-US", "notResolvable", "notResolvable"), id="deep path",
        ),
        pytest.param(
            {"name": "taken", "path": "code"}, FieldProblem("code", "taken", "taken"), id="text path"
        ),
        pytest.param({}, FieldProblem("", "", ""), id="nothing"),
        pytest.param({"path": 3, "name": None, "details": 4}, FieldProblem("", "", ""), id="junk"),
    ],
)  # fmt: skip
def test_problems_name_field_and_locale(error: Any, problem: FieldProblem) -> None:
    assert refused([error]).problems == (problem,)


@pytest.mark.parametrize(
    "body",
    [None, [], "text", 3, {}, {"sys": None}, {"details": []}, {"details": {"errors": {}}},
     {"details": {"errors": [None, "x"]}}, {"message": {"a": 1}}],
    ids=str,
)  # fmt: skip
def test_bodies_of_any_shape_are_read_without_an_error(body: Any) -> None:
    answer = Answer(418, body)
    assert answer.error_id == "HTTP 418"
    assert answer.problems == ()
    assert "HTTP 418" in describe_error(answer)


def test_a_value_that_the_server_quotes_is_left_out() -> None:
    error = {"name": "regexp", "details": 'The value "4111 1111" does not match', "value": "4111 1111",
             "path": ["fields", "card", "en-US"]}  # fmt: skip
    text = describe_error(refused([error]))
    assert "4111" not in text
    assert text.startswith("Validation error: card.en-US: ")


def test_many_errors_are_cut_to_three_and_a_number() -> None:
    errors = [{"name": "required", "path": ["fields", f"f{n}", "en"]} for n in range(7)]
    text = describe_error(refused(errors))
    assert "f2.en" in text
    assert "f3.en" not in text
    assert text.endswith("and 4 more")


@pytest.mark.parametrize(
    ("content", "body"),
    [(b"", None), (b"<html>", None), (b"\xff", None), (b'{"a":1}', {"a": 1}), (b"{", None)],
    ids=str,
)
def test_only_json_is_a_body(content: bytes, body: Any) -> None:
    assert parse_body(content) == body
