from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipeline.dates import normalize_date, parse_date
from sync_pipeline.errors import RecordError
from sync_pipeline.model import DeadLetter, Field, canonical_date
from sync_pipeline.transform.values import MAX_INTEGER, converter_for, split_list
from sync_pipeline_tests.transform.mapping_cases import make_mapper, map_rows, map_value


def link(entry_id: str, kind: str = "Entry") -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": kind, "id": entry_id}}


URN = "crn:contentful:::content:spaces/s1/environments/master/entries/e1"


@pytest.mark.parametrize(
    ("field", "value", "typed"),
    [
        ("name", "x", "x"),
        ("name", 7, "7"),
        ("name", True, "true"),
        ("name", 1.0, "1.0"),
        ("name", " x ", " x "),
        ("name", "ü😀", "ü😀"),
        ("name", ["a"], '["a"]'),
        ("name", "x" * 256, "x" * 256),
        ("name", "😀" * 256, "😀" * 256),
        ("text", "a\nb " * 12_500, "a\nb " * 12_500),
        ("stock", 7, 7),
        ("stock", "007", 7),
        ("stock", " -7 ", -7),
        ("stock", "+7", 7),
        ("stock", 7.0, 7),
        ("stock", "7.", 7),
        ("stock", "1e3", 1000),
        ("stock", 2**53, 2**53),
        ("stock", str(-(2**53)), -(2**53)),
        ("price", "1.50", 1.5),
        ("price", ".5", 0.5),
        ("price", -0.25, -0.25),
        ("price", "1e-7", 1e-7),
        ("price", 3, 3),
        ("price", "12345678901234567890", 1.2345678901234567e19),
        ("active", True, True),
        ("active", "FALSE", False),
        ("active", " True ", True),
        ("updated", "2024-05-01", "2024-05-01"),
        ("updated", "2024-5-1", "2024-05-01"),
        ("updated", "20240501", "2024-05-01"),
        ("updated", "2024-05-01T08:00:00Z", "2024-05-01T08:00:00+00:00"),
        ("updated", "2024-05-01T08:00:00.999Z", "2024-05-01T08:00:00+00:00"),
        ("updated", "2024-05-01T08:00:00.123456+02:00", "2024-05-01T08:00:00+02:00"),
        ("updated", "2024-05-01T08:00:00+0530", "2024-05-01T08:00:00+05:30"),
        ("updated", "2024-05-01T08:00:00-03", "2024-05-01T08:00:00-03:00"),
        ("updated", "2024-05-01 08:00", "2024-05-01T08:00:00+00:00"),
        ("updated", "2024-05-01 08:00:00.1234567 +02:00", "2024-05-01T08:00:00+02:00"),
        ("updated", "2024-05-01T24:00:00Z", "2024-05-02T00:00:00+00:00"),
        ("updated", "20240501T080000Z", "2024-05-01T08:00:00+00:00"),
        ("data", {"a": [1, None, "ü"]}, {"a": [1, None, "ü"]}),
        ("data", "[1, 2]", [1, 2]),
        ("data", "{}", {}),
        ("brand", "b-1", link("b-1")),
        ("brand", " b1 ", link("b1")),
        ("brand", link("b1"), link("b1")),
        ("brand", {"sys": {"type": "Entry", "id": "b1"}, "fields": {}}, link("b1")),
        ("image", "a1", link("a1", "Asset")),
        ("tags", "a, b", ["a", "b"]),
        ("tags", "a, b | c", ["a, b", "c"]),
        ("tags[]", "a||b|", ["a", "b"]),
        ("tags", ["a, b"], ["a, b"]),
        ("tags", [" a ", 1, True, 1.5, None], [" a ", "1", "true", "1.5"]),
        ("tags", "[draft], b", ["[draft]", "b"]),
        ("tags", "solo", ["solo"]),
        ("related", "e1,e2", [link("e1"), link("e2")]),
        ("related", [link("e1"), "e2"], [link("e1"), link("e2")]),
        ("elsewhere", URN, {"sys": {"type": "ResourceLink", "linkType": "Contentful:Entry", "urn": URN}}),
        ("elsewhere", {"sys": {"type": "ResourceLink", "linkType": "X:Y", "urn": URN}}, {"sys": {"type": "ResourceLink", "linkType": "X:Y", "urn": URN}}),
    ],
)  # fmt: skip
def test_a_value_is_typed_by_its_field(field: str, value: Any, typed: Any) -> None:
    found = map_value(field, value)
    assert found == typed
    assert type(found) is type(typed)


def document(data: str) -> str:
    """JSON of a rich text of one line."""
    return f'{{"nodeType": "document", {data}, "content": [{{"nodeType": "hr", "data": {{}}, "content": []}}]}}'


@pytest.mark.parametrize(
    ("field", "value", "typed"),
    [
        ("data", '{"a": "\\ud83d\\ude00", "b": "1e999 NaN"}', {"a": "😀", "b": "1e999 NaN"}),
        ("data", '{"a": 1e300}', {"a": 1e300}),
        ("data", f'{{"a": {"9" * 400}}}', {"a": int("9" * 400)}),
    ],
    ids=["pair", "large", "long"],
)
def test_what_only_looks_like_no_json_is_taken(field: str, value: Any, typed: Any) -> None:
    assert map_value(field, value) == typed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tags", []),
        ("tags", " , "),
        ("tags", "[null]"),
        ("data", "null"),
        ("tags", "null"),
        ("related", " null\n"),
        ("related", "null,null"),
        ("brand", "null"),
        ("image", "null"),
        ("elsewhere", "null"),
        ("data", " "),
        ("stock", None),
    ],
)
def test_what_types_to_nothing_is_absent(field: str, value: Any) -> None:
    assert map_value(field, value) is None


@pytest.mark.parametrize(
    ("field", "value", "error_id", "message"),
    [
        ("name", "x" * 257, "TooLong", "257 characters; a Symbol"),
        ("name", "\ud800", "TypeMismatch", "surrogate"),
        ("text", "x" * 50_001, "TooLong", "50,001 characters"),
        ("stock", "1.5", "TypeMismatch", "nothing is rounded silently"),
        ("stock", 1.5, "TypeMismatch", "nothing is rounded"),
        ("stock", "1,000", "TypeMismatch", '"1,000" is not an integer'),
        ("stock", "7 apples", "TypeMismatch", "is not an integer"),
        ("stock", "1_000", "TypeMismatch", "is not an integer"),
        ("stock", "٣", "TypeMismatch", "is not an integer"),
        ("stock", True, "TypeMismatch", '"true" is not an integer'),
        ("stock", 2**53 + 1, "OutOfRange", "2^53"),
        ("stock", "9" * 5000, "OutOfRange", "2^53"),
        ("price", "NaN", "TypeMismatch", "not a number"),
        ("price", "inf", "TypeMismatch", "not a number"),
        ("price", "1e999", "OutOfRange", "too large"),
        ("price", "1_0", "TypeMismatch", "not a number"),
        ("active", "yes", "TypeMismatch", "not true or false"),
        ("active", 1, "TypeMismatch", "not true or false"),
        ("updated", "01/05/2024", "TypeMismatch", "not a date"),
        ("updated", "2024-02-30", "TypeMismatch", "not a date"),
        ("updated", "2024-05-01T25:00:00Z", "TypeMismatch", "not a date"),
        ("updated", "2024-05-01T08:00:00+25:00", "TypeMismatch", "not a date"),
        ("updated", "2024-05-01T08:00:00+02:99", "TypeMismatch", "not a date"),
        ("updated", "1714550400", "TypeMismatch", "not a date"),
        ("data", "text", "TypeMismatch", "not a JSON object"),
        ("data", "7", "TypeMismatch", "not a JSON object"),
        ("data", '{"a": NaN}', "TypeMismatch", "not a JSON object"),
        ("data", "[" * 100_000, "TypeMismatch", "not a JSON object"),
        ("data", '{"a": 1e999}', "TypeMismatch", "a number that is infinite"),
        ("data", f'{{"a": [{"9" * 400}.0]}}', "TypeMismatch", "a number that is infinite"),
        ("data", '{"a": "\\ud800"}', "TypeMismatch", "half of a surrogate pair"),
        ("data", {"a": "\udfff"}, "TypeMismatch", "half of a surrogate pair"),
        ("body", "x\ud800", "TypeMismatch", "half of a surrogate pair"),
        ("body", document('"data": {"x": NaN}'), "TypeMismatch", "infinite or none"),
        ("body", document('"data": {"x": "\\uD800"}'), "TypeMismatch", "half of a surrogate pair"),
        ("brand", "b 1", "InvalidId", "cannot be an id"),
        ("brand", "x" * 65, "InvalidId", "cannot be an id"),
        ("brand", link("b1", "Asset"), "TypeMismatch", "a link to an entry"),
        ("brand", "{}", "TypeMismatch", "id of an entry"),
        ("tags", ["x" * 257], "TooLong", "257"),
        ("tags", ["x"] * 1001, "TooMany", "1,001 items"),
        ("tags", [["a"]], "TypeMismatch", "without lists"),
        ("related", ["a b"], "InvalidId", "cannot be an id"),
        ("elsewhere", "e1", "TypeMismatch", "resource link"),
        ("body", "x" * 200_001, "TooLong", "200,001"),
    ],
)
def test_a_value_that_does_not_fit_is_a_dead_letter(
    field: str, value: Any, error_id: str, message: str
) -> None:
    dead = map_value(field, value)
    assert isinstance(dead, DeadLetter)
    assert (dead.key, dead.field, dead.error_id) == ("k", f"{field}.en-US", error_id)
    assert message in dead.message
    assert len(dead.message) < 200


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        (91, 0, "lat must lie"),
        (0, -180.5, "lon must lie"),
        ("north", 0, "not a number"),
        (None, 0, "lat is blank"),
        (0, " ", "lon is blank"),
    ],
)
def test_a_location_needs_two_halves_within_range(lat: Any, lon: Any, message: str) -> None:
    mapper = make_mapper(
        {"id": "a", "place.de-DE.lat": "{{ row.lat }}", "place.de-DE.lon": "{{ row.lon }}"}
    )
    (dead,) = map_rows(mapper, [{"lat": lat, "lon": lon}])
    assert isinstance(dead, DeadLetter)
    assert dead.field == "place.de-DE"
    assert message in dead.message


def test_an_unknown_field_type_is_refused() -> None:
    with pytest.raises(ValueError, match='type "Hologram"'):
        converter_for(Field("x", "Hologram"))


@settings(deadline=None)
@given(st.integers(-MAX_INTEGER, MAX_INTEGER))
def test_every_integer_comes_through(number: int) -> None:
    convert = converter_for(Field("x", "Integer"))
    assert convert(str(number)) == convert(f" {number}.0 ") == number


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_through(number: float) -> None:
    assert converter_for(Field("x", "Number"))(repr(number)) == number


@settings(deadline=None)
@given(st.lists(st.text().filter(lambda t: max(t, default="a") < "\ud800"), min_size=1, max_size=5))
def test_a_json_list_is_taken_exactly(items: list[str]) -> None:
    assert split_list(json.dumps(items)) == items


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_the_fast_way_with_dates_says_the_same_as_the_slow_one(moment: Any) -> None:
    for text in (moment.isoformat(), moment.replace(tzinfo=None).isoformat() + "Z"):
        try:
            slow = parse_date(text).isoformat()
        except ValueError:  # offsets with seconds, of the 19th century
            continue
        assert normalize_date(text) == slow
        assert canonical_date(normalize_date(text)) == canonical_date(slow)


@settings(deadline=None)
@given(
    st.text(max_size=40),
    st.sampled_from(
        [
            "Symbol",
            "Text",
            "Integer",
            "Number",
            "Boolean",
            "Date",
            "Object",
            "RichText",
            "ResourceLink",
            "Link",
            "Array",
        ]
    ),
)
def test_any_text_is_typed_or_a_record_error(text: str, kind: str) -> None:
    convert = converter_for(Field("x", kind, items_type="Symbol"))
    with contextlib.suppress(RecordError):
        json.dumps(convert(text), allow_nan=False)
