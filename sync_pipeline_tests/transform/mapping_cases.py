"""A content type with a field of every type, and short ways to compile a mapping and map rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync_pipeline.config.model import Enumeration, MappingRule, PreMapping, SyncConfig
from sync_pipeline.model import (
    ContentType,
    DeadLetter,
    DesiredEntry,
    Field,
    Filtered,
    Locale,
    SpooledRecord,
    TargetModel,
)
from sync_pipeline.transform import Mapper, compile_mapping

FIELDS = (
    Field("id", "Symbol", required=True),
    Field("name", "Symbol", localized=True),
    Field("text", "Text", localized=True),
    Field("body", "RichText", localized=True),
    Field("brief", "RichText", validations=({"enabledNodeTypes": []}, {"enabledMarks": ["bold"]})),
    Field("stock", "Integer"),
    Field("price", "Number"),
    Field("active", "Boolean"),
    Field("updated", "Date", localized=True),
    Field("data", "Object"),
    Field("place", "Location", localized=True),
    Field("brand", "Link", link_type="Entry"),
    Field("image", "Link", link_type="Asset"),
    Field("tags", "Array", items_type="Symbol", localized=True),
    Field("related", "Array", items_type="Link", link_type="Entry"),
    Field("elsewhere", "ResourceLink"),
    Field("old", "Symbol", disabled=True),
    Field("hidden", "Symbol", omitted=True),
)
TARGET = TargetModel(
    ContentType("product", "Product", FIELDS, "name"),
    (Locale("en-US", default=True), Locale("de-DE", fallback_code="en-US"), Locale("fr")),
)


def make_config(
    mapping: Mapping[str, str],
    *,
    overwrite_null: Sequence[str] = (),
    pre: Mapping[str, str] | None = None,
    enumerate_types: Sequence[str] = (),
    **settings: Any,
) -> SyncConfig:
    settings.setdefault("content_key_field", "id")
    return SyncConfig(
        key="products",
        path="configs/products.yaml",  # type: ignore[arg-type]  # pydantic makes it a Path
        content_type="product",
        mapping=tuple(
            MappingRule(field_name=name, expression=text, overwrite_null=name in overwrite_null)
            for name, text in mapping.items()
        ),
        pre_mapping=tuple(PreMapping(var_name=n, expression=e) for n, e in (pre or {}).items()),
        enumerate_for_content_types=tuple(Enumeration(content_type=c) for c in enumerate_types),
        **settings,
    )


def make_mapper(
    mapping: Mapping[str, str],
    *,
    variables: Mapping[str, str] | None = None,
    lookup: Any = None,
    **settings: Any,
) -> Mapper:
    config = make_config(mapping, **settings)
    return compile_mapping(config, TARGET, variables=variables or {}, lookup=lookup)


def spool(mapper: Mapper, rows: Sequence[Any], variables: Any = None) -> list[SpooledRecord]:
    return [
        SpooledRecord(ordinal, mapper.key_of(row, variables or {}), row, variables or {})
        for ordinal, row in enumerate(rows)
    ]


def map_rows(
    mapper: Mapper, rows: Sequence[Any], variables: Any = None
) -> list[DesiredEntry | DeadLetter | Filtered]:
    return list(mapper.map_records(spool(mapper, rows, variables)))


def map_value(field: str, value: Any) -> Any:
    """The typed value of one field, or the DeadLetter that came instead."""
    mapper = make_mapper({"id": "{{ row.id }}", field: "{{ row.value }}"})
    (result,) = map_rows(mapper, [{"id": "k", "value": value}])
    if isinstance(result, DeadLetter):
        return result
    assert isinstance(result, DesiredEntry)
    name = field.split(".", maxsplit=1)[0].removesuffix("[]")
    return result.fields.get(name, {}).get("en-US")


class Entries:
    """An EntryLookup over a list; counts how often a content type is read."""

    def __init__(self, **entries: Sequence[Mapping[str, Any]]) -> None:
        self._entries = entries
        self.reads: list[str] = []

    def entries(self, content_type: str, query: str = "") -> Iterator[Mapping[str, Any]]:
        del query
        self.reads.append(content_type)
        return iter(self._entries[content_type])

    def field_ids(self, content_type: str) -> list[str]:
        return list({name: 0 for entry in self._entries[content_type] for name in entry})
