from __future__ import annotations

import re
from typing import Any

import pytest

from sync_pipeline.config.model import MappingRule
from sync_pipeline.errors import MappingError
from sync_pipeline.model import ContentType, DesiredEntry, Field, Locale, TargetModel
from sync_pipeline.transform import check_templates, compile_mapping
from sync_pipeline_tests.transform.mapping_cases import TARGET, make_config, make_mapper, map_rows


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nam", 'no field "nam" (did you mean "name"?)'),
        ("name.en", 'no locale "en" (did you mean "en-US"?)'),
        ("name.xx-YY", 'no locale "xx-YY"'),
        (
            "stock.de-DE",
            'not localized: it exists only in the default locale, so write "stock.en-US"',
        ),
        ("old", 'field "old" is disabled'),
        ("hidden", 'field "hidden" is omitted'),
        ("place", 'a Location: map "place.lat" and "place.lon"'),
        ("place.de-DE", 'map "place.de-DE.lat" and "place.de-DE.lon"'),
        ("name.lat", "is of type Symbol, not Location"),
        ("name.de-DE[]", 'write "name.de-DE" without []'),
        ("place.lat[]", "not of the form"),
        ("name.de.DE", "not of the form"),
        ("name.", "not of the form"),
        (" .x", "not of the form"),
        ("sys.version", "only sys.Id can be mapped"),
    ],
)
def test_a_field_name_that_cannot_be_is_an_error_before_the_first_record(
    name: str, problem: str
) -> None:
    with pytest.raises(MappingError, match=re.escape(problem)) as caught:
        make_mapper({"id": "{{ row.id }}", name: "x"})
    assert str(caught.value).startswith(f"configs/products.yaml: mapping.{name}: ")


@pytest.mark.parametrize(
    "name", ["name", "name.de-DE", " tags ", "tags[]", "tags.fr[]", "sys.Id", "SYS.ID"]
)
def test_a_field_name_that_exists_is_taken(name: str) -> None:
    make_mapper({"id": "{{ row.id }}", name: "x"})


@pytest.mark.parametrize(
    ("first", "second"), [("name", "name.en-US"), ("tags[]", "tags"), ("sys.Id", "sys.id")]
)
def test_a_place_mapped_twice_is_an_error(first: str, second: str) -> None:
    with pytest.raises(MappingError, match=f'mapped twice, by "{re.escape(first)}" too'):
        make_mapper({"id": "a", first: "x", second: "y"})


def test_half_a_location_is_an_error() -> None:
    with pytest.raises(MappingError, match=re.escape('needs "place.fr.lon" as well')):
        make_mapper({"id": "a", "place.fr.lat": "1"})


@pytest.mark.parametrize(
    ("key_field", "mapping", "problem"),
    [
        ("name", {"id": "a"}, '"name.en-US" is not mapped: add it to the mapping, or map sys.Id'),
        ("nam", {"id": "a"}, 'no field "nam"'),
        ("tags", {"tags": "a"}, "of type Array; a key is one of"),
        ("body", {"body": "a"}, "of type RichText"),
        ("name.de-DE", {"name.de-DE": "a"}, 'matched in the default locale: write "name"'),
        ("name.en", {"name": "a"}, 'no locale "en"'),
        ("sys.id", {"id": "a"}, '"sys.Id" is not mapped'),
    ],
)
def test_the_key_field_must_be_mapped_and_comparable(
    key_field: str, mapping: dict[str, str], problem: str
) -> None:
    with pytest.raises(MappingError, match=re.escape(problem)) as caught:
        make_mapper(mapping, content_key_field=key_field)
    assert caught.value.key == "contentKeyField"


def test_without_the_key_field_ids_are_the_keys() -> None:
    mapper = make_mapper({"sys.Id": "{{ row.id }}", "name": "n"})
    (entry,) = map_rows(mapper, [{"id": "x"}])
    assert entry.key == "x"


@pytest.mark.parametrize(
    ("mapping", "settings", "key", "problem"),
    [
        ({"name": "{{ rwo.x }}"}, {}, "mapping.name", 'unknown variable "rwo"'),
        ({"name": "{{ var.nope }}"}, {"pre": {"note": "x"}}, "mapping.name", '"var.nope" (did you mean "note"?)'),
        ({"name": "{{ shop.x }}"}, {}, "mapping.name", 'unknown variable "shop"'),
        ({"name": "x"}, {"pre": {"v": "{{ var.w }}", "w": "x"}}, "preMapping.v", 'unknown variable "var"'),
        ({"name": "x"}, {"pre": {"v": "{{ x"}}, "preMapping.v", "does not compile"),
        ({"name": "x"}, {"filter_expression": "row.active == true"}, "filterExpression", "neither true nor false"),
        ({"name": "x"}, {"filter_expression": "{{ row.a | nope }}"}, "filterExpression", 'unknown filter "nope"'),
        ({"{{ rwo.a }}": "x"}, {}, "mapping.{{ rwo.a }}", 'unknown variable "rwo"'),
    ],
)  # fmt: skip
def test_a_template_that_can_never_work_is_found_with_and_without_content_type(
    mapping: dict[str, str], settings: dict[str, Any], key: str, problem: str
) -> None:
    config = make_config({"id": "a", **mapping}, **settings)
    for check in (check_templates, _compile):
        with pytest.raises(MappingError, match=re.escape(problem)) as caught:
            check(config)
        assert caught.value.key == key


def _compile(config: Any) -> None:
    compile_mapping(config, TARGET, variables={}, lookup=None)


def test_a_variable_defined_twice_is_an_error() -> None:
    config = make_config({"id": "a"})
    twice = config.model_copy(
        update={"pre_mapping": make_config({"id": "a"}, pre={"v": "1"}).pre_mapping * 2}
    )
    with pytest.raises(MappingError, match="defined twice"):
        check_templates(twice)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(MappingError, match="3 problems") as caught:
        make_mapper({"id": "{{ row.id }}", "nam": "x", "stock": "{{ rwo.x }}", "tags.en": "y"})
    assert [key for key, _ in caught.value.problems] == [
        "mapping.stock",
        "mapping.nam",
        "mapping.tags.en",
    ]


def test_an_unset_environment_variable_is_told_before_the_first_record() -> None:
    with pytest.raises(MappingError, match="environment variable SYNC_X is not set"):
        make_mapper({"id": "{{ config.SYNC_X }}"})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("PRODUCTS_URL", "names start with SYNC_ or Cute__; name it SYNC_PRODUCTS_URL"),
        ("sync_url", "name it SYNC_sync_url"),
        ("CONTENTFUL_MANAGEMENT_TOKEN", "can never be set"),
        ("SYNC_STORAGE_DIR", "is not for templates"),
    ],
)
@pytest.mark.parametrize("expression", ["{{{{ config.{0} }}}}", "{{{{ config.{0} ?? 'd' }}}}"])
def test_an_environment_variable_that_templates_never_see_is_an_error(
    expression: str, name: str, says: str
) -> None:
    with pytest.raises(MappingError, match=says) as caught:
        make_mapper({"id": expression.format(name)}, variables={name: "set"})
    assert caught.value.key == "mapping.id"


def test_a_variable_called_config_is_the_templates_own() -> None:
    source = "{% for config in row.configs %}{{ config.name }}{% endfor %}"
    mapper = make_mapper({"id": source})
    assert mapper.key_of({"configs": [{"name": "a"}, {"name": "b"}]}) == "ab"


@pytest.mark.parametrize(
    "expression",
    [
        "{{ config.SYNC_X | default('d') }}",
        "{{ config.SYNC_X ?? 'd' }}",
        "{{ config.SYNC_X if config.SYNC_X is defined else 'd' }}",
    ],
)
def test_an_unset_environment_variable_with_a_fallback_is_fine(expression: str) -> None:
    assert make_mapper({"id": expression}).key_of({}) == "d"
    assert make_mapper({"id": expression}, variables={"SYNC_X": "v"}).key_of({}) == "v"


def test_a_variable_set_in_one_field_is_not_seen_by_the_next() -> None:
    conditional = "{% if row.no %}{% set x = 1 %}{% endif %}[{{ x }}]"
    mapper = make_mapper({"id": "{% set x = 'a' %}{{ x }}", "name": conditional})
    (entry,) = map_rows(mapper, [{}])
    assert isinstance(entry, DesiredEntry)
    assert entry.fields["name"] == {"en-US": "[]"}


def test_the_seed_and_the_original_spell_the_same_mapping() -> None:
    rules = (MappingRule(field_name="id", expression="{{ row.id }}"),)
    target = TargetModel(
        ContentType("user", "User", (Field("id", "Symbol"),)), (Locale("en", default=True),)
    )
    for key_field in ("id", "id.en"):
        config = make_config({"id": "x"}).model_copy(
            update={"mapping": rules, "content_key_field": key_field}
        )
        mapper = compile_mapping(config, target, variables={}, lookup=None)
        assert mapper.key_of({"id": 3}) == "3"
        assert mapper.mapped_fields == {("id", "en")}


@pytest.mark.parametrize(
    ("field", "expression", "problem"),
    [
        ("name", "{{ row.a | markdown }}", '"| markdown" gives a document of rich text, and field "name" is of type Symbol'),
        ("text", "x {{ (row.a | html) if row.a }}", '"| html" gives'),
        ("tags", "{{ row.a | plain }}", "leave it out; Markdown of HTML is cute.html_to_markdown"),
    ],
)  # fmt: skip
def test_a_document_is_mapped_to_rich_text_only(field: str, expression: str, problem: str) -> None:
    with pytest.raises(MappingError, match=re.escape(problem)) as caught:
        make_mapper({"id": "{{ row.id }}", field: expression})
    assert caught.value.key == f"mapping.{field}"


def test_an_object_takes_a_document_as_well() -> None:
    mapper = make_mapper({"id": "{{ row.id }}", "data": "{{ row.a | html }}"})
    (entry,) = map_rows(mapper, [{"id": "x", "a": "<hr>"}])
    assert isinstance(entry, DesiredEntry)
    assert entry.fields["data"]["en-US"]["nodeType"] == "document"
