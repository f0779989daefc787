"""What is refused on publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline_tests.local_space.conftest import Api, Reply


def link(target: str, kind: str = "Entry") -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": kind, "id": target}}


def publish(api: Api, fields: dict[str, Any], entry_id: str = "e") -> Reply:
    api.put_entry(entry_id, fields)
    return api.call("PUT", f"/entries/{entry_id}/published", version=1)


def field_type(api: Api, **field: Any) -> None:
    api.put_type("thing", [{"id": "f", **field}, {"id": "g", "type": "Symbol"}])


CASES: list[Any] = [
    pytest.param("Symbol", {"in": ["a", "b"]}, "a", "c",
                 {"expected": ["a", "b"], "details": "Value must be one of expected values"}, id="in"),
    pytest.param("Integer", {"in": [1, 2]}, 1, 3, {"expected": [1, 2]}, id="in of numbers"),
    pytest.param("Symbol", {"size": {"min": 2}}, "ab", "a",
                 {"min": 2, "details": "Size must be at least 2"}, id="size min"),
    pytest.param("Text", {"size": {"max": 2}}, "ab", "abc",
                 {"max": 2, "details": "Size must be at most 2"}, id="size max"),
    pytest.param("Integer", {"range": {"min": 1, "max": 3}}, 3, 4, {"max": 3}, id="range max"),
    pytest.param("Number", {"range": {"min": 1}}, 1, 0.5, {"min": 1}, id="range min"),
    pytest.param("Symbol", {"regexp": {"pattern": "^\\d+$", "flags": None}}, "12", "1a",
                 {"pattern": "^\\d+$", "flags": None, "details": "Does not match /^\\d+$/"},
                 id="regexp"),
    pytest.param("Symbol", {"regexp": {"pattern": "^A$", "flags": "i"}}, "a", "b",
                 {"flags": "i", "details": "Does not match /^A$/i"}, id="regexp flags"),
    pytest.param("Symbol", {"regexp": {"pattern": "^(?<y>\\d{4})-\\p{L}$", "flags": "u"}},
                 "2024-ä", "24-ä", {}, id="regexp of JavaScript only"),
    pytest.param("Symbol", {"regexp": {"pattern": "b", "flags": "g"}}, "abc", "ac", {},
                 id="regexp unanchored, g flag"),
    pytest.param("Symbol", {"prohibitRegexp": {"pattern": "x"}}, "a", "axa",
                 {"pattern": "x"}, id="prohibitRegexp"),
    pytest.param("Date", {"dateRange": {"min": "2024-01-01", "max": None}}, "2024-01-01T00:00Z",
                 "2023-12-31T23:59:59Z", {"min": "2024-01-01"}, id="dateRange min"),
    pytest.param("Date", {"dateRange": {"max": "2024-01-01T00:00:00Z"}}, "2024-01-01T01:00+02:00",
                 "2024-01-01T01:00+00:00", {"max": "2024-01-01T00:00:00Z"}, id="dateRange max"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rule", "good", "bad", "expected"), CASES)
def test_a_validation_holds_on_publish(
    api: Api, kind: str, rule: dict[str, Any], good: Any, bad: Any, expected: dict[str, Any]
) -> None:
    field_type(api, type=kind, validations=[rule])
    assert publish(api, {"f": good}, "good").status == 200
    reply = publish(api, {"f": bad}, "bad")
    assert reply.error == (422, "InvalidEntry", "Validation error")
    (fault,) = reply.faults
    assert fault["name"] == next(iter(rule))
    assert fault["value"] == bad
    assert fault["path"] == ["fields", "f", "en-US"]
    assert expected.items() <= fault.items()
    assert api.get("/entries/bad").body["sys"]["version"] == 1


def test_validations_of_list_items_name_the_item(api: Api) -> None:
    items = {"type": "Symbol", "validations": [{"in": ["a"]}]}
    field_type(api, type="Array", items=items, validations=[{"size": {"max": 2}}])
    reply = publish(api, {"f": ["a", "b", "a"]})
    assert [(fault["name"], fault["path"][3:]) for fault in reply.faults] == [
        ("size", []),
        ("in", [1]),
    ]


def test_a_message_of_the_validation_comes_along(api: Api) -> None:
    field_type(api, type="Symbol", validations=[{"in": ["a"], "message": "Only a, please"}])
    assert publish(api, {"f": "b"}).faults[0]["customMessage"] == "Only a, please"


def test_null_meets_no_validation_but_required(api: Api) -> None:
    field_type(api, type="Symbol", validations=[{"in": ["a"]}])
    assert publish(api, {"f": {"en-US": None}}).status == 200


@pytest.mark.parametrize(
    ("localized", "optional", "fields", "missing"),
    [
        (True, True, {}, ["en-US"]),
        (True, False, {}, ["en-US", "de-DE"]),
        (True, False, {"f": {"en-US": "a"}}, ["de-DE"]),
        (False, False, {}, ["en-US"]),
        (False, False, {"f": {"en-US": None}}, ["en-US"]),
        (True, True, {"f": {"en-US": "a"}}, []),
    ],
)
def test_required_holds_for_the_default_and_every_locale_that_is_not_optional(
    api: Api, localized: bool, optional: bool, fields: dict[str, Any], missing: list[str]
) -> None:
    german = next(item for item in api.get("/locales").body["items"] if item["code"] == "de-DE")
    reply = api.call("PUT", f"/locales/{german['sys']['id']}", {"optional": optional}, version=1)
    assert reply.status == 200
    field_type(api, type="Symbol", required=True, localized=localized)
    reply = publish(api, fields)
    if not missing:
        assert reply.status == 200
        return
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults == [
        {
            "name": "required",
            "path": ["fields", "f", code],
            "details": 'The property "f" is required here',
        }
        for code in missing
    ]


# ---------------------------------------------------------------- unique


def test_unique_compares_with_what_is_published(api: Api) -> None:
    field_type(api, type="Symbol", validations=[{"unique": True}])
    publish(api, {"f": "a"}, "first")
    api.put_entry("draft", {"f": "b"})
    reply = publish(api, {"f": "a"}, "second")
    assert reply.error == (422, "InvalidEntry", "Validation error")
    assert reply.faults == [
        {
            "name": "unique",
            "value": "a",
            "path": ["fields", "f", "en-US"],
            "conflicting": [link("first")],
            "details": "Same field value present in other entry",
        }
    ]
    assert publish(api, {"f": "b"}, "third").status == 200, "a draft does not count"
    assert publish(api, {"f": "A"}, "fourth").status == 200, "case counts"
    again = api.call("PUT", "/entries/first/published", version=2)
    assert again.status == 200, "an entry does not conflict with itself"


def test_a_changed_entry_holds_its_published_value_until_it_is_published(api: Api) -> None:
    field_type(api, type="Symbol", validations=[{"unique": True}])
    publish(api, {"f": "a"}, "first")
    api.call("PUT", "/entries/first", {"fields": {"f": {"en-US": "b"}}}, version=2)
    assert publish(api, {"f": "a"}, "second").faults[0]["conflicting"] == [link("first")]
    assert publish(api, {"f": "b"}, "third").status == 200
    api.call("DELETE", "/entries/first/published")
    assert api.call("PUT", "/entries/second/published", version=1).status == 200


def test_unique_holds_per_locale_and_content_type(api: Api) -> None:
    field = {"id": "f", "type": "Symbol", "localized": True, "validations": [{"unique": True}]}
    api.put_type("thing", [field])
    api.put_type("other", [field])
    publish(api, {"f": {"en-US": "a", "de-DE": "b"}}, "first")
    assert publish(api, {"f": {"en-US": "b", "de-DE": "a"}}, "second").status == 200
    api.put_entry("third", {"f": "a"}, type_id="other")
    assert api.call("PUT", "/entries/third/published", version=1).status == 200
    faults = publish(api, {"f": {"en-US": "c", "de-DE": "b"}}, "fourth").faults
    assert [fault["path"][2] for fault in faults] == ["de-DE"]


def test_a_refused_publish_leaves_the_next_unique_check_intact(api: Api) -> None:
    """The index behind the check must outlive the transaction that is rolled back."""
    field_type(api, type="Integer", validations=[{"unique": True}])
    for number in range(3):
        publish(api, {"f": 7}, f"e{number}")
    assert [api.get(f"/entries/e{n}").body["sys"]["version"] for n in range(3)] == [2, 1, 1]
    assert publish(api, {"f": 8}, "fine").status == 200


# ---------------------------------------------------------------- links


def test_links_must_resolve_on_publish_but_may_point_to_drafts(things: Api) -> None:
    things.put_entry("draft", {"name": "d"})
    body = {
        "nodeType": "document",
        "data": {},
        "content": [
            {"nodeType": "embedded-entry-block", "data": {"target": link("lost")}, "content": []}
        ],
    }
    reply = publish(
        things,
        {"other": link("draft"), "others": [link("draft"), link("gone")], "body": body,
         "image": link("gone", "Asset")},
    )  # fmt: skip
    assert reply.error == (422, "UnresolvedLinks", "Validation error")
    assert sorted(reply.faults, key=lambda fault: str(fault["path"])) == [
        {
            "name": "notResolvable",
            "link": link("lost")["sys"],
            "path": ["fields", "body", "en-US", "content", 0],
        },
        {
            "name": "notResolvable",
            "link": link("gone", "Asset")["sys"],
            "path": ["fields", "image", "en-US"],
        },
        {
            "name": "notResolvable",
            "link": link("gone")["sys"],
            "path": ["fields", "others", "en-US", 1],
        },
    ]


def test_a_link_must_point_to_an_allowed_type(api: Api) -> None:
    rule = {"linkContentType": ["allowed"]}
    field_type(api, type="Link", linkType="Entry", validations=[rule])
    api.put_type("allowed", [])
    api.put_entry("good", {}, type_id="allowed")
    api.put_entry("bad", {})
    assert publish(api, {"f": link("good")}, "a").status == 200
    (fault,) = publish(api, {"f": link("bad")}, "b").faults
    assert (fault["name"], fault["contentTypeId"]) == ("linkContentType", ["allowed"])


@pytest.mark.parametrize(
    ("rule", "is_good"),
    [
        ({"linkMimetypeGroup": ["image"]}, True),
        ({"linkMimetypeGroup": ["pdfdocument"]}, False),
        ({"assetFileSize": {"max": 100}}, True),
        ({"assetFileSize": {"max": 99}}, False),
        ({"assetImageDimensions": {"width": {"min": 10}}}, True),
        ({"assetImageDimensions": {"width": {"min": 11}}}, False),
    ],
)
def test_a_linked_file_must_fit(api: Api, rule: dict[str, Any], is_good: bool) -> None:
    field_type(api, type="Link", linkType="Asset", validations=[rule])
    details = {"size": 100, "image": {"width": 10, "height": 5}}
    file = {"contentType": "image/png", "fileName": "a.png", "url": "//x/a.png", "details": details}
    assert api.call("PUT", "/assets/a", {"fields": {"file": {"en-US": file}}}).status == 201
    reply = publish(api, {"f": link("a", "Asset")})
    assert reply.status == (200 if is_good else 422)
    if not is_good:
        assert reply.faults[0]["name"] == next(iter(rule))


def test_rich_text_may_be_limited_to_nodes_marks_and_targets(api: Api) -> None:
    rules = [
        {"enabledNodeTypes": ["heading-1", "embedded-entry-block"]},
        {"enabledMarks": ["bold"]},
        {"nodes": {"embedded-entry-block": [{"linkContentType": ["allowed"]},
                                            {"size": {"max": 1}}]}},
    ]  # fmt: skip
    field_type(api, type="RichText", validations=rules)
    api.put_type("allowed", [])
    api.put_entry("good", {}, type_id="allowed")
    api.put_entry("bad", {})

    def block(target: str) -> dict[str, Any]:
        return {"nodeType": "embedded-entry-block", "data": {"target": link(target)}, "content": []}

    def words(kind: str, mark: str) -> dict[str, Any]:
        text = {"nodeType": "text", "data": {}, "marks": [{"type": mark}], "value": "a"}
        return {"nodeType": kind, "data": {}, "content": [text]}

    def names(*content: Any) -> list[str]:
        document = {"nodeType": "document", "data": {}, "content": list(content)}
        entry_id = f"e{len(api.ids(limit=1000))}"
        reply = publish(api, {"f": document}, entry_id)
        return [] if reply.status == 200 else [fault["name"] for fault in reply.faults]

    assert names(words("paragraph", "bold"), words("heading-1", "bold"), block("good")) == []
    assert names(words("heading-2", "bold")) == ["enabledNodeTypes"]
    assert names(words("paragraph", "italic")) == ["enabledMarks"]
    assert names(block("bad")) == ["linkContentType"]
    assert names(block("good"), block("good")) == ["size"]


def test_several_faults_come_at_once(api: Api) -> None:
    api.put_type(
        "thing",
        [
            {"id": "a", "type": "Symbol", "required": True},
            {"id": "b", "type": "Symbol", "validations": [{"in": ["x"]}, {"size": {"max": 1}}]},
            {"id": "c", "type": "Link", "linkType": "Entry"},
        ],
    )
    reply = publish(api, {"b": "yy", "c": link("gone")})
    assert [fault["name"] for fault in reply.faults] == ["required", "in", "size"]


def test_a_changed_type_counts_for_an_entry_when_it_is_published_again(api: Api) -> None:
    field_type(api, type="Symbol")
    publish(api, {"f": "a"})
    stricter = {"id": "f", "name": "f", "type": "Symbol", "validations": [{"in": ["b"]}]}
    other = {"id": "g", "name": "g", "type": "Symbol"}
    body = {"name": "thing", "fields": [stricter, other]}
    api.call("PUT", "/content_types/thing", body, version=2)
    assert api.call("PUT", "/entries/e/published", version=2).status == 200, "not activated yet"
    api.call("PUT", "/content_types/thing/published", version=3)
    assert api.call("PUT", "/entries/e/published", version=3).status == 422
    assert api.get("/entries/e").body["sys"]["publishedVersion"] == 2


def test_a_value_of_another_type_is_refused_on_publish(api: Api, tmp_path: Path) -> None:
    """An import takes values as they are."""
    rule = {"range": {"min": 1}}
    api.put_type("thing", [{"id": "f", "type": "Integer", "validations": [rule]}])
    link = {"sys": {"type": "Link", "linkType": "ContentType", "id": "thing"}}
    entry = {"sys": {"id": "e", "contentType": link}, "fields": {"f": {"en-US": "text"}}}
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"entries": [entry]}), encoding="utf-8")
    import_file(api.app.store, path)
    (fault,) = api.call("PUT", "/entries/e/published", version=1).faults
    assert (fault["name"], fault["type"]) == ("type", "Integer")


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("Integer", 1, {"size": {"min": 5}}),
        ("Symbol", "a", {"range": {"min": 5}}),
        ("Object", {"a": 1}, {"unique": True}),
        ("Symbol", "a", {"size": None}),
        ("Symbol", "a", {"enabledMarks": []}),
    ],
)
def test_a_validation_that_means_nothing_for_the_type_has_no_effect(
    api: Api, kind: str, value: Any, rule: dict[str, Any]
) -> None:
    field_type(api, type=kind, validations=[rule])
    assert publish(api, {"f": value}).status == 200
