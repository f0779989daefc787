from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipeline.load.plan import (
    Create,
    ExistingEntry,
    Patch,
    Refused,
    Unchanged,
    derive_entry_id,
    is_entry_id,
    plan,
)
from sync_pipeline.model import ContentType, DesiredEntry, Field, Locale, TargetModel

TARGET = TargetModel(
    ContentType(
        "product",
        "Product",
        (
            Field("sku", "Symbol"),
            Field("name", "Symbol", localized=True),
            Field("price", "Number"),
            Field("tags", "Array", items_type="Symbol", localized=True),
            Field("data", "Object", localized=True),
            Field("when", "Date", localized=True),
            Field("ref", "Link", link_type="Entry"),
        ),
    ),
    (Locale("en", default=True), Locale("de")),
)


def existing(fields: dict[str, Any], **changes: Any) -> ExistingEntry:
    values: dict[str, Any] = {
        "id": "e1",
        "version": 5,
        "published_version": 4,
        "is_archived": False,
        "created_at": "2024",
        "fields": fields,
    }
    return ExistingEntry(**{**values, **changes})


def desired(fields: dict[str, Any], **changes: Any) -> DesiredEntry:
    return DesiredEntry("k", 0, fields, **changes)


def apply_patch(fields: dict[str, Any], operations: Any) -> dict[str, Any]:
    """JSON Patch as the API does it: a parent that does not exist is an error."""
    result: dict[str, Any] = copy.deepcopy(fields)
    for operation in operations:
        parts = operation["path"].split("/")[2:]
        parts = [part.replace("~1", "/").replace("~0", "~") for part in parts]
        parent = result
        for part in parts[:-1]:
            parent = parent[part]
        if operation["op"] == "remove":
            del parent[parts[-1]]
        else:
            assert operation["op"] == "add" or parts[-1] in parent
            parent[parts[-1]] = copy.deepcopy(operation["value"])
    return result


def test_a_new_entry_gets_all_values_that_are_not_blank() -> None:
    step = plan(desired({"name": {"en": "a", "de": None}, "tags": {"en": []}}), None, TARGET)
    assert isinstance(step, Create)
    assert step.fields == {"name": {"en": "a"}}
    assert step.entry_id == derive_entry_id("product", "k")


def test_a_mapped_id_is_used_for_a_new_entry() -> None:
    step = plan(desired({"name": {"en": "a"}}, entry_id="my-id"), None, TARGET)
    assert step.entry_id == "my-id"


@pytest.mark.parametrize(
    ("held", "wanted", "cleared", "operations"),
    [
        pytest.param(
            {}, {"name": {"en": "a", "de": "b"}}, (),
            [{"op": "add", "path": "/fields/name", "value": {"en": "a", "de": "b"}}],
            id="a field without value is added whole",
        ),
        pytest.param(
            {"name": {"en": "x"}}, {"name": {"en": "a", "de": "b"}}, (),
            [
                {"op": "replace", "path": "/fields/name/en", "value": "a"},
                {"op": "add", "path": "/fields/name/de", "value": "b"},
            ],
            id="replaced and added per locale",
        ),
        pytest.param(
            {"name": {"en": "x", "de": "y"}}, {}, (("name", "de"),),
            [{"op": "remove", "path": "/fields/name/de"}],
            id="one locale cleared",
        ),
        pytest.param(
            {"name": {"en": "x", "de": "y"}}, {}, (("name", "en"), ("name", "de")),
            [{"op": "remove", "path": "/fields/name"}],
            id="all locales cleared",
        ),
        pytest.param(
            {"name": {"en": "x"}}, {"name": {"de": "y"}}, (("name", "en"),),
            [
                {"op": "add", "path": "/fields/name/de", "value": "y"},
                {"op": "remove", "path": "/fields/name/en"},
            ],
            id="one set, the other cleared",
        ),
        pytest.param(
            {"name": {"en": "a", "de": "editor"}, "data": {"en": {"x": 1}}}, {"name": {"en": "b"}}, (),
            [{"op": "replace", "path": "/fields/name/en", "value": "b"}],
            id="nothing that is not mapped",
        ),
    ],
)  # fmt: skip
def test_patches(held: Any, wanted: Any, cleared: Any, operations: Any) -> None:
    step = plan(desired(wanted, cleared=cleared), existing(held), TARGET)
    assert isinstance(step, Patch)
    assert step.version == 5
    assert list(step.operations) == operations


def test_an_archived_entry_that_differs_is_refused_and_an_equal_one_left() -> None:
    archived = existing({"name": {"en": "a"}}, is_archived=True)
    refused = plan(desired({"name": {"en": "b"}}), archived, TARGET)
    assert isinstance(refused, Refused)
    assert "archived" in refused.reason
    assert plan(desired({"name": {"en": "a"}}), archived, TARGET) == Unchanged("e1")


def test_locales_and_fields_are_escaped_in_paths() -> None:
    step = plan(desired({"name": {"a/b~c": "x"}}), existing({"name": {"en": "y"}}), TARGET)
    assert isinstance(step, Patch)
    assert step.operations[0]["path"] == "/fields/name/a~1b~0c"


def test_derived_ids_are_stable() -> None:
    """Changing this loses the link between sources and entries of every existing sync."""
    assert derive_entry_id("product", "SKU-1") == "acedebef3d7973186fda0dc77a51711f"


@given(st.text(), st.text(), st.text())
def test_derived_ids_are_valid_and_apart(content_type: str, key: str, other: str) -> None:
    entry_id = derive_entry_id(content_type, key)
    assert re.fullmatch(r"[a-zA-Z0-9\-_.]{1,64}", entry_id)
    assert (derive_entry_id(content_type, other) == entry_id) == (other == key)


@pytest.mark.parametrize("text", ["", "a/b", "..", ".", "a b", "x" * 65, "ä", "a\n"])
def test_ids_that_contentful_does_not_take(text: str) -> None:
    assert not is_entry_id(text)


TEXTS = st.text(max_size=3)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
VALUES = {
    "name": TEXTS,
    "price": st.integers(-3, 3) | st.floats(-3, 3),
    "tags": st.lists(st.sampled_from("ab"), max_size=2),
    "data": st.dictionaries(TEXTS, JSON_VALUES, max_size=2) | st.lists(JSON_VALUES, max_size=2),
    "when": st.datetimes().map(lambda moment: moment.isoformat()),
    "ref": st.sampled_from("ab").map(
        lambda entry_id: {"sys": {"type": "Link", "linkType": "Entry", "id": entry_id}}
    ),
}
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(["en", "de"]), st.none() | values, max_size=2)
        for name, values in VALUES.items()
    },
)
CLEARED = st.lists(
    st.tuples(st.sampled_from(list(VALUES)), st.sampled_from(["en", "de"])), max_size=4, unique=True
).map(tuple)


@given(FIELDS, FIELDS, CLEARED)
def test_planning_again_after_a_patch_finds_nothing(held: Any, wanted: Any, cleared: Any) -> None:
    wish = desired(wanted, cleared=cleared)
    step = plan(wish, existing(held), TARGET)
    if isinstance(step, Patch):
        after = apply_patch(held, step.operations)
        assert plan(wish, existing(after), TARGET) == Unchanged("e1")
    else:
        assert step == Unchanged("e1")


@given(FIELDS, CLEARED)
def test_planning_again_after_a_creation_finds_nothing(wanted: Any, cleared: Any) -> None:
    wish = desired(wanted, cleared=cleared)
    step = plan(wish, None, TARGET)
    assert isinstance(step, Create)
    assert plan(wish, existing(dict(step.fields)), TARGET) == Unchanged("e1")


@given(FIELDS, FIELDS, CLEARED)
def test_a_patch_changes_only_mapped_pairs(held: Any, wanted: Any, cleared: Any) -> None:
    step = plan(desired(wanted, cleared=cleared), existing(held), TARGET)
    if not isinstance(step, Patch):
        return
    after = apply_patch(held, step.operations)
    mapped = {(f, loc) for f, locales in wanted.items() for loc in locales} | set(cleared)
    for name in {*held, *after}:
        for locale in {*(held.get(name) or {}), *(after.get(name) or {})}:
            if (name, locale) not in mapped:
                assert held[name].get(locale) == after[name].get(locale)
