from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.load.entry_body import digest_fields, digest_intended
from sync_pipeline.load.plan import Create, ExistingEntry, Patch, plan
from sync_pipeline.model import ContentType, DesiredEntry, Field, Locale, TargetModel

TYPES = {"name": "Symbol", "price": "Number", "tags": "Array", "data": "Object"}
TARGET = TargetModel(
    ContentType("product", "Product", tuple(Field(n, t, localized=True) for n, t in TYPES.items())),
    (Locale("en-US", default=True), Locale("de-DE")),
)


def entry(fields: dict[str, Any]) -> ExistingEntry:
    return ExistingEntry("e", 4, 3, False, "", fields)


@pytest.mark.parametrize(
    ("left", "right", "is_same"),
    [
        ({"a": {"en": 7}}, {"a": {"en": 7.0}}, True),
        ({"a": {"en": [1, {"x": 2}]}}, {"a": {"en": [1.0, {"x": 2.0}]}}, True),
        ({"a": {"en": 2**53 + 1}}, {"a": {"en": float(2**53)}}, True),
        ({"a": {"en": 10**400}}, {"a": {"en": 10**400}}, True),
        ({"a": {"en": 1}}, {"a": {"en": True}}, False),
        ({"a": {"en": 1}}, {"a": {"en": "1"}}, False),
        ({"a": {"en": None}, "b": {"en": []}}, {}, True),
        ({"a": {"en": "x"}}, {"a": {"de": "x"}}, False),
        ({"a": {"en": "x"}}, {"b": {"en": "x"}}, False),
        ({"a": {"en": "x"}, "b": {"en": "y"}}, {"b": {"en": "y"}, "a": {"en": "x"}}, True),
        ({"a": {"en": "\ud800"}}, {"a": {"en": "\ud801"}}, False),
    ],
)
def test_fields_have_one_digest_where_the_space_takes_them_as_equal(
    left: dict[str, Any], right: dict[str, Any], is_same: bool
) -> None:
    assert (digest_fields(left) == digest_fields(right)) is is_same


VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.integers(-3, 3), st.just([]), st.just(["a"]),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2),
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from([*TYPES]),
    st.dictionaries(st.sampled_from(["en-US", "de-DE"]), VALUES, max_size=2),
    max_size=4,
)


@given(held=FIELDS, wanted=FIELDS)
def test_what_is_intended_is_what_the_entry_holds_after_the_write(
    held: dict[str, Any], wanted: dict[str, Any]
) -> None:
    existing = entry(held)
    step = plan(DesiredEntry("k", 0, wanted), existing, TARGET)
    if not isinstance(step, Patch):
        return
    after = jsonpatch.apply_patch({"fields": held}, [*step.operations])["fields"]
    assert digest_intended(existing, step.changes) == digest_fields(after)
    assert digest_intended(existing, step.changes) != digest_fields(held)


@given(wanted=FIELDS)
def test_what_is_intended_is_what_a_new_entry_holds(wanted: dict[str, Any]) -> None:
    step = plan(DesiredEntry("k", 0, wanted), None, TARGET)
    assert isinstance(step, Create)
    assert digest_intended(None, step.changes) == digest_fields(step.fields)
