from __future__ import annotations

import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError
from sync_pipeline.model import (
    UNREADABLE,
    Conflict,
    DeadLetter,
    DesiredEntry,
    Filtered,
    SpooledRecord,
)
from sync_pipeline.templating import to_text
from sync_pipeline_tests.rich_text.outlines import P, blocks_of
from sync_pipeline_tests.transform.mapping_cases import Entries, make_mapper, map_rows, spool

PLAIN = {"id": "{{ row.id }}", "name.en-US": "{{ row.name }}", "name.de-DE": "{{ row.de }}"}


def test_a_row_becomes_a_typed_entry() -> None:
    mapper = make_mapper(
        {
            "id": "{{ row.id }}",
            "name.de-DE": "{{ row.name | upper }}",
            "stock": "{{ row.n }}",
            "place.lat": "{{ row.at[0] }}",
            "place.lon": "{{ row.at[1] }}",
            "tags[]": "{{ row.tags }}",
        }
    )
    rows = [{"id": 7, "name": "grün", "n": 3, "at": [1.5, -2], "tags": ["a, b"]}]
    assert map_rows(mapper, rows) == [
        DesiredEntry(
            key="7",
            ordinal=0,
            fields={
                "id": {"en-US": "7"},
                "name": {"de-DE": "GRÜN"},
                "stock": {"en-US": 3},
                "tags": {"en-US": ["a, b"]},
                "place": {"en-US": {"lat": 1.5, "lon": -2}},
            },
        )
    ]
    assert mapper.mapped_fields == {
        ("id", "en-US"), ("name", "de-DE"), ("stock", "en-US"), ("place", "en-US"),
        ("tags", "en-US"),
    }  # fmt: skip


@pytest.mark.parametrize("blank", [None, "", "  \n", []])
def test_a_blank_result_is_absent(blank: Any) -> None:
    mapper = make_mapper({**PLAIN, "tags": "{{ row.tags }}"})
    (entry,) = map_rows(
        mapper, [{"id": "a", "name": blank or None, "de": blank or None, "tags": blank}]
    )
    assert isinstance(entry, DesiredEntry)
    assert entry.fields == {"id": {"en-US": "a"}}
    assert entry.cleared == ()


def test_overwrite_null_clears_what_is_blank() -> None:
    mapper = make_mapper(
        {
            **PLAIN,
            "place.lat": "{{ row.lat }}",
            "place.lon": "{{ row.lon }}",
            "tags[]": "{{ row.tags }}",
        },
        overwrite_null=["name.de-DE", "place.lat", "tags[]"],
    )
    (entry,) = map_rows(mapper, [{"id": "a", "tags": []}])
    assert isinstance(entry, DesiredEntry)
    assert set(entry.cleared) == {("name", "de-DE"), ("place", "en-US"), ("tags", "en-US")}
    (entry,) = map_rows(mapper, [{"id": "a", "de": "x", "lat": 1, "lon": 2, "tags": ["t"]}])
    assert isinstance(entry, DesiredEntry)
    assert entry.cleared == ()


def test_text_is_stored_as_rendered_not_trimmed() -> None:
    (entry,) = map_rows(make_mapper(PLAIN), [{"id": "a", "name": " x "}])
    assert isinstance(entry, DesiredEntry)
    assert entry.fields["name"]["en-US"] == " x "


def test_a_record_with_a_value_that_its_source_could_not_give_fails_with_its_column() -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None, UNREADABLE: {"name": "no text"}},
            {"id": 3, "name": "c"}]  # fmt: skip
    letters = map_rows(make_mapper(PLAIN), rows)
    (letter,) = [found for found in letters if isinstance(found, DeadLetter)]
    assert (letter.key, letter.ordinal, letter.field) == ("2", 1, "row.name")
    assert letter.error_id == "UnreadableValue"
    assert letter.message == "column 'name' cannot be read: no text"
    assert [found.key for found in letters if isinstance(found, DesiredEntry)] == ["1", "3"]


def test_a_filter_does_not_decide_by_what_could_not_be_read() -> None:
    mapper = make_mapper(PLAIN, filter_expression="{{ row.active == 'yes' }}")
    row = {"id": 1, "active": None, UNREADABLE: {"active": "no text"}}
    assert [type(found) for found in map_rows(mapper, [row])] == [DeadLetter]


@pytest.mark.parametrize("said", [None, 1, "x", [], {}, {"a": 1}, {"c" * 999: "x" * 9}])
def test_a_source_that_sends_such_a_member_itself_fails_its_own_record_only(said: Any) -> None:
    rows = [{"id": 1, UNREADABLE: said}, {"id": 2}]
    found = map_rows(make_mapper(PLAIN), rows)
    assert [type(each) for each in found] == [DeadLetter, DesiredEntry]
    assert len(found[0].field) < 100  # type: ignore[union-attr]  # a dead letter


def test_the_first_record_wins_and_later_ones_fill_what_is_missing() -> None:
    rows = [
        {"id": "a", "name": "one"},
        {"id": "b", "name": "other"},
        {"id": "a", "name": "two", "de": "zwei"},
        {"id": "a", "name": "one", "de": "drei"},
    ]
    first, second = map_rows(make_mapper(PLAIN), rows)
    assert isinstance(first, DesiredEntry)
    assert first.fields["name"] == {"en-US": "one", "de-DE": "zwei"}
    assert first.merged == 2
    assert first.conflicts == (
        Conflict("a", "name", "en-US", 0, 2),
        Conflict("a", "name", "de-DE", 0, 3),
    )
    assert isinstance(second, DesiredEntry)
    assert (second.key, second.ordinal, second.merged) == ("b", 1, 0)


def test_a_later_record_fills_what_the_first_would_clear() -> None:
    mapper = make_mapper(PLAIN, overwrite_null=["name.de-DE"])
    (entry,) = map_rows(mapper, [{"id": "a"}, {"id": "a", "de": "x"}])
    assert isinstance(entry, DesiredEntry)
    assert entry.fields["name"] == {"de-DE": "x"}
    assert entry.cleared == ()


def test_equal_instants_and_numbers_are_no_conflict() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "updated": "{{ row.at }}", "price": "{{ row.p }}"})
    rows = [
        {"id": "a", "at": "2024-05-01T10:00:00+02:00", "p": 1},
        {"id": "a", "at": "2024-05-01T08:00:00.9Z", "p": "1.0"},
    ]
    (entry,) = map_rows(mapper, rows)
    assert isinstance(entry, DesiredEntry)
    assert entry.conflicts == ()


def test_a_record_that_fails_leaves_the_next_of_its_key_first() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "stock": "{{ row.n }}"})
    dead, entry = map_rows(mapper, [{"id": "a", "n": "x"}, {"id": "a", "n": 2}])
    assert dead == DeadLetter(
        0, "a", "transform", "stock.en-US", "TypeMismatch", '"x" is not an integer'
    )
    assert isinstance(entry, DesiredEntry)
    assert (entry.ordinal, entry.merged, entry.fields["stock"]) == (1, 0, {"en-US": 2})


def test_a_failing_template_is_attributed_to_record_and_field() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "name": "{{ row.id }}", "stock": "{{ 1 / row.n }}"})
    dead, entry = map_rows(mapper, [{"id": "a", "n": 0}, {"id": "b", "n": 1}])
    assert dead == DeadLetter(
        0, "a", "transform", "stock.en-US", "TemplateError", "division by zero"
    )
    assert isinstance(entry, DesiredEntry)


@pytest.mark.parametrize("blank", [None, "", "   "])
def test_a_record_without_key_is_a_dead_letter(blank: Any) -> None:
    mapper = make_mapper(PLAIN)
    (dead,) = map_rows(mapper, [{"id": blank, "name": "x"}])
    assert isinstance(dead, DeadLetter)
    assert (dead.key, dead.field, dead.error_id) == ("", "id.en-US", "MissingKey")


def test_two_records_without_key_are_not_merged_into_one() -> None:
    results = map_rows(make_mapper(PLAIN), [{"name": "x"}, {"name": "y"}])
    assert [result.ordinal for result in results if isinstance(result, DeadLetter)] == [0, 1]


def test_a_key_whose_expression_fails_says_why() -> None:
    mapper = make_mapper({"id": "{{ 1 / row.n }}", "name": "x"})
    assert mapper.key_of({"n": 0}) == ""
    (dead,) = map_rows(mapper, [{"n": 0}])
    assert isinstance(dead, DeadLetter)
    assert (dead.field, dead.error_id, dead.message) == (
        "id.en-US",
        "TemplateError",
        "division by zero",
    )


def test_a_key_that_is_too_long_is_a_dead_letter() -> None:
    mapper = make_mapper({"text": "{{ row.id }}"}, content_key_field="text")
    assert mapper.key_of({"id": "x" * 256}) == "x" * 256
    assert mapper.key_of({"id": "x" * 257}) == ""
    (dead,) = map_rows(mapper, [{"id": "x" * 257}])
    assert isinstance(dead, DeadLetter)
    assert (dead.field, dead.error_id) == ("text.en-US", "KeyTooLong")


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("id", 7, "7"),
        ("id", " Ä ", " Ä "),
        ("stock", "7.0", "7"),
        ("price", 7.5, "7.5"),
        ("price", "7.00", "7"),
        ("active", "TRUE", "true"),
        ("updated", "2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00+00:00"),
        ("updated", "2024-05-01T08:00:00.123Z", "2024-05-01T08:00:00+00:00"),
        ("updated", "2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("brand", "b1", "b1"),
        ("sys.Id", "x1", "x1"),
        ("id", None, ""),
        ("stock", "x", ""),
    ],
)
def test_the_key_is_the_canonical_text_of_the_typed_value(field: str, value: Any, key: str) -> None:
    mapper = make_mapper({field: "{{ row.value }}", "name": "n"}, content_key_field=field)
    assert mapper.key_of({"value": value}) == key
    (result,) = map_rows(mapper, [{"value": value}])
    assert result.key == key


def test_the_key_may_use_pre_mapped_variables() -> None:
    mapper = make_mapper(
        {"id": "{{ var.code }}", "name": "{{ var.bad }}"},
        pre={"code": "{{ row.a }}-{{ row.b }}", "bad": "{{ 1 / row.zero }}"},
    )
    assert mapper.key_of({"a": 1, "b": 2, "zero": 0}) == "1-2"
    (dead,) = map_rows(mapper, [{"a": 1, "b": 2, "zero": 0}])
    assert isinstance(dead, DeadLetter)
    assert (dead.key, dead.field) == ("1-2", "var.bad")


def test_enumerated_entries_are_variables_and_do_not_leak_into_the_next_record() -> None:
    mapper = make_mapper(
        {"id": "{{ shop.id }}-{{ row.id }}", "name": "{{ shop.title['en-US'] }}"},
        enumerate_types=["shop"],
    )
    shop = {"shop": {"id": "s1", "title": {"en-US": "Shop"}}}
    assert mapper.key_of({"id": 1}, shop) == "s1-1"
    records = [SpooledRecord(0, "s1-1", {"id": 1}, shop), SpooledRecord(1, "-2", {"id": 2}, {})]
    first, second = mapper.map_records(records)
    assert isinstance(first, DesiredEntry)
    assert isinstance(second, DesiredEntry)
    assert first.fields["name"] == {"en-US": "Shop"}
    assert (second.key, "name" in second.fields) == ("-2", False)


@pytest.mark.parametrize(
    ("expression", "left_out"),
    [
        ("{{ row.ok }}", None),
        (" TRUE\n", None),
        ("{{ row.ok and var.v == '1' }}", None),
        ("{{ if row.ok }}True{{ else }}False{{ end }}", None),
        ("", None),
        (" \n", None),
        ("{# always #}true", None),
        ("{{ not row.ok }}", Filtered(0, "a")),
        ("{{ row.no }}", Filtered(0, "a")),
        (" FALSE ", Filtered(0, "a")),
        ("{{ row.missing }}", Filtered(0, "a", is_blank=True)),
        ("{{ row.nothing and row.ok }}", Filtered(0, "a", is_blank=True)),
        ("{{ if row.no }}true{{ end }}", Filtered(0, "a", is_blank=True)),
    ],
)
def test_filter_expression_leaves_out_a_row_that_renders_to_false_or_to_nothing(
    expression: str, left_out: Filtered | None
) -> None:
    mapper = make_mapper(PLAIN, filter_expression=expression, pre={"v": "{{ row.v }}"})
    (result,) = map_rows(mapper, [{"id": "a", "ok": True, "no": False, "nothing": None, "v": 1}])
    assert result == left_out if left_out else isinstance(result, DesiredEntry)


@pytest.mark.parametrize(
    "value",
    ["yes", "no", "1", 1, 0, "on", "Y", "wahr", "true.", "truefalse", [True], {"a": 1}, 0.5],
)
def test_a_row_that_the_filter_neither_keeps_nor_leaves_out_is_a_dead_letter(value: Any) -> None:
    mapper = make_mapper(PLAIN, filter_expression="{{ row.active }}")
    (result,) = map_rows(mapper, [{"id": "a", "active": value}])
    assert isinstance(result, DeadLetter)
    assert (result.field, result.error_id) == ("filterExpression", "NotBoolean")
    assert result.message.startswith(f'"{to_text(value)}" is neither true nor false')


def test_the_value_of_a_filter_is_told_in_one_short_line() -> None:
    mapper = make_mapper(PLAIN, filter_expression="{{ row.active }}")
    (result,) = map_rows(mapper, [{"id": "a", "active": "x\n" * 5000}])
    assert isinstance(result, DeadLetter)
    assert len(result.message) < 200
    assert "\n" not in result.message


def test_a_filtered_row_is_not_mapped() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "stock": "x"}, filter_expression="false")
    assert map_rows(mapper, [{"id": "a"}]) == [Filtered(0, "a")]


def test_ids_can_be_chosen_by_the_user() -> None:
    mapper = make_mapper({"sys.Id": "p-{{ row.id }}", "id": "{{ row.id }}"})
    (entry,) = map_rows(mapper, [{"id": "a"}])
    assert isinstance(entry, DesiredEntry)
    assert (entry.key, entry.entry_id, entry.fields) == ("a", "p-a", {"id": {"en-US": "a"}})
    (dead,) = map_rows(mapper, [{"id": "a b"}])
    assert isinstance(dead, DeadLetter)
    assert (dead.field, dead.error_id) == ("sys.id", "InvalidId")


def test_an_id_of_another_key_is_a_dead_letter_for_the_later_record() -> None:
    mapper = make_mapper({"sys.Id": "{{ row.sys }}", "id": "{{ row.id }}"})
    records = [
        SpooledRecord(0, "a", {"id": "a", "sys": "x"}, id_owner="a"),
        SpooledRecord(1, "b", {"id": "b", "sys": "x"}, id_owner="a"),
        SpooledRecord(2, "c", {"id": "c", "sys": ""}, id_owner="a"),
    ]
    dead, entry, without_id = mapper.map_records(records)
    assert isinstance(dead, DeadLetter)
    assert (dead.ordinal, dead.key, dead.error_id) == (1, "b", "DuplicateId")
    assert dead.message == 'id "x" is already that of the record with key "a"'
    assert isinstance(entry, DesiredEntry)
    assert (entry.key, entry.entry_id) == ("a", "x")
    assert isinstance(without_id, DesiredEntry)
    assert (without_id.key, without_id.entry_id) == ("c", None)


def test_a_row_asks_for_an_id_only_where_it_is_kept_and_the_id_is_sound() -> None:
    mapper = make_mapper(
        {"sys.Id": "{{ var.sys }}", "id": "{{ row.id }}"},
        pre={"sys": "p-{{ row.sys }}", "ok": "{{ row.ok }}"},
        filter_expression="{{ var.ok }}",
    )
    assert mapper.maps_ids
    assert mapper.entry_id_of({"id": "a", "sys": "x", "ok": True}) == "p-x"
    assert mapper.entry_id_of({"id": "a", "sys": "x", "ok": False}) == ""
    assert mapper.entry_id_of({"id": "a", "sys": "x y", "ok": True}) == ""


@pytest.mark.parametrize("key_field", ["id", "sys.Id"])
def test_an_id_that_is_not_mapped_or_is_the_key_itself_is_nobody_elses(key_field: str) -> None:
    mapping = {"id" if key_field == "id" else "sys.Id": "{{ row.id }}"}
    mapper = make_mapper(mapping, content_key_field=key_field)
    assert not mapper.maps_ids
    assert mapper.entry_id_of({"id": "a"}) == ""


def test_field_names_may_be_templates() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "name.{{ row.locale }}": "{{ row.name }}"})
    rows = [
        {"id": "a", "locale": "de-DE", "name": "x"},
        {"id": "b", "locale": "de-CH", "name": "x"},
        {"id": "c", "locale": "fr", "name": ""},
    ]
    results = {result.ordinal: result for result in map_rows(mapper, rows)}
    assert isinstance(results[0], DesiredEntry)
    assert results[0].fields["name"] == {"de-DE": "x"}
    assert isinstance(results[1], DeadLetter)
    assert results[1].error_id == "FieldName"
    assert 'no locale "de-CH"' in results[1].message
    assert isinstance(results[2], DesiredEntry)
    assert "name" not in results[2].fields
    assert ("name", "fr") in mapper.mapped_fields


def test_a_named_field_that_meets_another_is_a_dead_letter() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "name": "n", "{{ row.f }}": "x"})
    (dead,) = map_rows(mapper, [{"id": "a", "f": "name.en-US"}])
    assert isinstance(dead, DeadLetter)
    assert (dead.field, dead.error_id) == ("name.en-US", "FieldName")


def test_records_are_taken_one_at_a_time_and_only_their_entries_are_held() -> None:
    mapper = make_mapper(PLAIN)
    taken: list[weakref.ref[Record]] = []

    class Record(SpooledRecord):
        """One that can be watched."""

    def records() -> Iterator[SpooledRecord]:
        for record in spool(mapper, [{"id": "a", "name": str(n)} for n in range(5)]):
            assert [found for found in taken[:-1] if found()] == []
            watched = Record(record.ordinal, record.key, record.row, record.variables)
            taken.append(weakref.ref(watched))
            yield watched

    (entry,) = mapper.map_records(records())
    assert isinstance(entry, DesiredEntry)
    assert (entry.ordinal, entry.merged, entry.fields["name"]["en-US"]) == (0, 4, "0")


def test_the_space_is_read_once_a_question_however_many_records_ask() -> None:
    lookup = Entries(brand=[{"id": "b1", "code": {"en-US": "ACME"}}])
    mapper = make_mapper(
        {
            "id": "{{ row.id }}",
            "brand": "{{ cute.lookup_list(row.brand, 'brand', 'code', '$id', 'acme') }}",
            "active": "{{ cute.entries_exist('brand', 'code', row.brand) }}",
        },
        lookup=lookup,
    )
    assert lookup.reads == []
    results = map_rows(mapper, [{"id": n, "brand": "ACME" if n % 2 else "x"} for n in range(50)])
    assert lookup.reads == ["brand", "brand"]
    entries = [result for result in results if isinstance(result, DesiredEntry)]
    assert {entry.fields["brand"]["en-US"]["sys"]["id"] for entry in entries} == {"b1"}
    assert [entry.fields["active"]["en-US"] for entry in entries[:2]] == [False, True]


@pytest.mark.parametrize("field", ["id", "name", "sys.Id", "filterExpression"])
def test_a_space_that_cannot_be_asked_fails_the_batch_not_the_records(field: str) -> None:
    class Down(Entries):
        def field_ids(self, content_type: str) -> list[str]:
            raise SpaceError(f"The space cannot be reached for {content_type}.")

    asks = "{{ cute.entries_count('city', 'code', row.id) }}"
    mapping = {"id": "{{ row.id }}"}
    settings: dict[str, Any] = {}
    if field == "filterExpression":
        settings["filter_expression"] = asks
    else:
        mapping[field] = asks
    mapper = make_mapper(mapping, lookup=Down(), **settings)
    with pytest.raises(SpaceError):
        list(mapper.map_records([SpooledRecord(0, "a", {"id": "a"})]))


def test_threads_that_share_a_mapper_get_their_own_keys() -> None:
    mapper = make_mapper({"id": "{% for i in range(20) %}{{ row.id }}{% endfor %}"})
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda number: mapper.key_of({"id": number % 10}), range(400)))
    assert keys == [str(number % 10) * 20 for number in range(400)]


HEADING, LITERAL = [("heading-1", "1. a")], [(P, "# 1. a")]


@pytest.mark.parametrize(
    ("expression", "blocks"),
    [
        ("{{ row.text }}", LITERAL),
        ("{{ row.html | cute.html_to_markdown }}", HEADING),
        ("{{ cute.html_to_markdown(row.html) | string.strip | replace('x', 'y') }}", HEADING),
        ("{{ var.body | trim }}", HEADING),
        ("{{ var.other }}{{ row.text }}", LITERAL),
        ("{{ row.text | markdown }}", HEADING),
        ("{{ row.html | html }}", HEADING),
        ("{{ row.text | plain }}", LITERAL),
        ("{{ row.text | plain }}{{ row.html | html }}", LITERAL + HEADING),
    ],
)
@pytest.mark.parametrize("name", ["body", "{{ 'body' }}"])
def test_text_is_markdown_in_rich_text_where_the_mapping_makes_it(
    name: str, expression: str, blocks: list[Any]
) -> None:
    pre = {"body": "{{ row.html | cute.html_to_markdown }}", "other": ""}
    mapper = make_mapper({"id": "{{ row.id }}", name: expression}, pre=pre)
    row = {"id": "a", "html": "<h1>1. a</h1>", "text": "# 1. a"}
    (entry,) = map_rows(mapper, [row])
    assert isinstance(entry, DesiredEntry)
    assert blocks_of(entry.fields["body"]["en-US"]) == blocks


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<h1>a</h1>", "heading-1 (enabledNodeTypes: none)"),
        ("<i>a</i>", "italic (enabledMarks: bold)"),
        ("<a href=u>a</a>", "hyperlink"),
    ],
)
def test_rich_text_that_its_field_does_not_take_is_a_dead_letter(html: str, said: str) -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "brief": "{{ row.html | html }}"})
    dead, entry = map_rows(mapper, [{"id": "a", "html": html}, {"id": "b", "html": "<b>x</b>"}])
    assert isinstance(dead, DeadLetter)
    assert (dead.field, dead.error_id) == ("brief.en-US", "NotEnabled")
    assert said in dead.message
    assert isinstance(entry, DesiredEntry)
