"""Laws over random sequences and contents."""

from __future__ import annotations

import atexit
import json
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sync_pipeline.local_space.checks.rich_text import document_errors
from sync_pipeline.local_space.server.process import build_app
from sync_pipeline.local_space.store.store import open_store
from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file

from .conftest import THING_FIELDS, Api, Clock

IDS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["x", "y", "z"])


class States(RuleBasedStateMachine):
    """The space against a model of a few lines: versions, publish states, refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        clock = Clock()
        store = self.stack.enter_context(
            open_store(Path(directory) / "s.sqlite", clock=clock.now, monotonic=clock.monotonic)
        )
        self.api = Api(build_app(store))
        field = {"id": "f", "type": "Symbol", "validations": [{"unique": True}]}
        self.api.put_type("thing", [field])
        #: id -> [version, published version, archived, value, published value]
        self.expected: dict[str, list[Any]] = {}

    def teardown(self) -> None:
        self.stack.close()

    def step(self, method: str, path: str, entry_id: str, allowed: bool, change: Any) -> None:
        entry = self.expected.get(entry_id)
        version = None if entry is None else entry[0]
        reply = self.api.call(method, f"/entries/{entry_id}{path}", version=version)
        if entry is None:
            assert reply.status == 404
        elif allowed:
            assert reply.status in (200, 204), reply.body
            change(entry)
        else:
            assert reply.status in (400, 422), reply.body

    @rule(entry_id=IDS, value=VALUES)
    def save(self, entry_id: str, value: str) -> None:
        entry = self.expected.get(entry_id)
        reply = self.api.call(
            "PUT",
            f"/entries/{entry_id}",
            {"fields": {"f": {"en-US": value}}},
            version=None if entry is None else entry[0],
            content_type="thing",
        )
        if entry is None:
            assert reply.status == 201
            self.expected[entry_id] = [1, None, False, value, None]
        elif entry[2]:
            assert reply.error[2] == "Cannot edit archived"
        else:
            assert reply.status == 200
            entry[0] += 1
            entry[3] = value

    @rule(entry_id=IDS)
    def publish(self, entry_id: str) -> None:
        entry = self.expected.get(entry_id)
        taken = entry is not None and any(
            other[4] == entry[3] for key, other in self.expected.items() if key != entry_id
        )

        def change(entry: list[Any]) -> None:
            entry[1], entry[0], entry[4] = entry[0], entry[0] + 1, entry[3]

        allowed = entry is not None and not entry[2] and not taken
        self.step("PUT", "/published", entry_id, allowed, change)

    @rule(entry_id=IDS)
    def unpublish(self, entry_id: str) -> None:
        def change(entry: list[Any]) -> None:
            entry[0], entry[1], entry[4] = entry[0] + 1, None, None

        entry = self.expected.get(entry_id)
        self.step(
            "DELETE", "/published", entry_id, entry is not None and entry[1] is not None, change
        )

    @rule(entry_id=IDS)
    def archive(self, entry_id: str) -> None:
        def change(entry: list[Any]) -> None:
            entry[0], entry[2] = entry[0] + 1, True

        entry = self.expected.get(entry_id)
        allowed = entry is not None and entry[1] is None and not entry[2]
        self.step("PUT", "/archived", entry_id, allowed, change)

    @rule(entry_id=IDS)
    def unarchive(self, entry_id: str) -> None:
        def change(entry: list[Any]) -> None:
            entry[0], entry[2] = entry[0] + 1, False

        entry = self.expected.get(entry_id)
        self.step("DELETE", "/archived", entry_id, entry is not None and entry[2], change)

    @rule(entry_id=IDS)
    def delete(self, entry_id: str) -> None:
        entry = self.expected.get(entry_id)
        allowed = entry is not None and entry[1] is None
        self.step("DELETE", "", entry_id, allowed, lambda _entry: self.expected.pop(entry_id))

    @rule(entry_id=IDS, wrong=st.integers(min_value=-3, max_value=3).filter(bool))
    def save_with_a_wrong_version(self, entry_id: str, wrong: int) -> None:
        if entry_id in self.expected:
            version = self.expected[entry_id][0] + wrong
            reply = self.api.call("PUT", f"/entries/{entry_id}", {"fields": {}}, version=version)
            assert reply.status == 409

    @invariant()
    def the_space_is_as_expected(self) -> None:
        items = self.api.get("/entries", limit=1000).body["items"]
        assert {item["sys"]["id"]: facts(item) for item in items} == {
            key: (version, published, archived, value, status(entry))
            for key, entry in self.expected.items()
            for version, published, archived, value, _ in [entry]
        }


def facts(item: dict[str, Any]) -> tuple[Any, ...]:
    sys = item["sys"]
    return (
        sys["version"],
        sys.get("publishedVersion"),
        "archivedVersion" in sys,
        item["fields"]["f"]["en-US"],
        sys["fieldStatus"]["*"]["en-US"],
    )


def status(entry: list[Any]) -> str:
    if entry[1] is None:
        return "draft"
    return "published" if entry[3] == entry[4] else "changed"


TestStates = States.TestCase
TestStates.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@given(objects=st.lists(OBJECTS, min_size=1, max_size=8), published=st.sets(st.integers(0, 7)))
@settings(max_examples=25, deadline=None)
def test_importing_an_export_gives_the_same_entries(
    objects: list[dict[str, Any]], published: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        base = Path(directory)
        clock = Clock()
        first = stack.enter_context(open_store(base / "1.sqlite", clock=clock.now))
        api = Api(build_app(first))
        api.put_type("thing", [{"id": "f", "type": "Object"}])
        for number, value in enumerate(objects):
            fields = {"f": {"en-US": value}}
            api.put_entry(f"e{number}", fields, publish=number in published)
        export_file(first, base / "1.json")
        second = stack.enter_context(open_store(base / "2.sqlite"))
        import_file(second, base / "1.json")
        export_file(second, base / "2.json")
        exports = [json.loads((base / name).read_text()) for name in ("1.json", "2.json")]
        assert exports[0]["entries"] == exports[1]["entries"]
        assert [item["fields"]["f"]["en-US"] for item in exports[0]["entries"]] == objects


@given(count=st.integers(0, 25), limit=st.integers(1, 9), by=st.sampled_from(["skip", "cursor"]))
@settings(max_examples=20, deadline=None)
def test_paging_yields_each_entry_once(count: int, limit: int, by: str) -> None:
    with tempfile.TemporaryDirectory() as directory, open_store(Path(directory) / "s") as store:
        api = Api(build_app(store))
        api.put_type("thing", [])
        for number in range(count):
            api.put_entry(f"e{number:02d}", {})
        seen: list[str] = []
        query: dict[str, Any] = {"limit": limit} | ({"cursor": "true"} if by == "cursor" else {})
        while True:
            paging = {"skip": len(seen), "order": "sys.id"} if by == "skip" else {}
            body = api.get("/entries", **query, **paging).body
            seen += [item["sys"]["id"] for item in body["items"]]
            if by == "cursor":
                if "next" not in body["pages"]:
                    break
                query["pageNext"] = (
                    body["pages"]["next"].partition("pageNext=")[2].replace("%3D", "=")
                )
            elif len(seen) >= body["total"]:
                break
        assert seen == [f"e{number:02d}" for number in range(count)]


@given(document=st.recursive(
    st.none() | st.text(max_size=3) | st.sampled_from(["document", "text", "paragraph", "hyperlink"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["nodeType", "data", "content", "marks", "value", "target", "sys", "uri"]),
        inner | st.sampled_from(["document", "text", "paragraph", "table", "embedded-entry-block"]),
        max_size=5,
    ),
    max_leaves=20,
))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_any_json_is_judged_as_rich_text_without_a_fault_of_ours(document: Any) -> None:
    for error in document_errors(document, ("f",)):
        assert error["path"][0] == "f"
        assert error["details"]


NAMES = st.sampled_from(
    ["sys", "id", "fields", "name", "code", "entities", "items", "entity", "action", "op", "path",
     "value", "type", "linkType", "version", "validations", "localized", "f", "en-US", "metadata",
     "tags", "add", "remove", "*", "visibility", "defaultValue", "displayField", "file", "upload",
     "prefLabel", "broader", "concepts", "topConcepts", "controls", "fieldId", "newId", "taxonomy",
     "annotations", "ContentTypeField", "uploadFrom", "details", "description", "from",
     "regexp", "pattern", "unique", "size", "in", "nodes", "required", "optional", "fallbackCode"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["", "e", "thing", "en-US", "Symbol", "Link", "Entry", "Array", "RichText", "publish", "add",
     "replace", "/fields/f", "/fields/f/en-US", "public", "document", "(", "2024-01-01", "https://x"]
)  # fmt: skip
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
PATHS = st.sampled_from(
    ["/entries", "/entries/e", "/entries/e/published", "/entries/e/archived", "/assets",
     "/assets/a", "/assets/a/files/en-US/process", "/assets/a/published", "/content_types/thing",
     "/content_types/thing/published", "/content_types/new", "/content_types/new/published",
     "/content_types/thing/editor_interface", "/locales", "/tags/t", "/bulk_actions/publish",
     "/bulk_actions/validate", "/bulk_actions/unpublish", "/bulk_actions",
     "!/spaces", "!/spaces/local", "!/spaces/local/environments/x", "!/spaces/local/environments",
     "!/organizations/local-organization/taxonomy/concepts/c",
     "!/organizations/local-organization/taxonomy/concept-schemes/s", "/uploads", "!/spaces/local/uploads", "/public/entries", "/entries/e/snapshots"]
)  # fmt: skip
REQUESTS = st.tuples(
    st.sampled_from(["PUT", "POST", "PATCH", "DELETE"]), PATHS, BODIES,
    st.none() | st.integers(1, 3), st.sampled_from([None, "thing", "new"]),
)  # fmt: skip


@given(requests=st.lists(REQUESTS, min_size=1, max_size=25))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_the_answer_is_never_a_fault_of_ours(requests: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory, open_store(Path(directory) / "s") as store:
        api = Api(build_app(store))
        fields = [{"id": "f", "type": "Object"}, {"id": "name", "type": "Symbol"}]
        api.put_type("thing", fields)
        api.put_entry("e", {"f": {"a": 1}})
        for method, path, body, version, content_type in requests:
            reply = api.call(method, path, body, version=version, content_type=content_type)
            assert reply.status < 500, (method, path, body, reply.body)
        for collection in ("/entries", "/assets", "/content_types", "/locales", "/tags"):
            status = api.get(collection).status
            assert status == 200 or api.get("!/spaces/local").status == 404


QUERY_NAMES = st.sampled_from(
    ["skip", "limit", "order", "select", "content_type", "query", "links_to_entry", "cursor",
     "pageNext", "pagePrev", "sys.id", "sys.createdAt", "sys.version", "fields.f", "fields.name",
     "fields.f.en-US", "fields.place", "fields.day", "fields.tags", "metadata.tags.sys.id",
     "fields.other.sys.id", "", "x", "order[0]", "mimetype_group", "sys", "fields."]
)  # fmt: skip
QUERY_OPERATORS = st.sampled_from(
    ["", "[in]", "[nin]", "[ne]", "[all]", "[exists]", "[lt]", "[gte]", "[match]", "[near]",
     "[within]", "[", "[]", "[x]"]
)  # fmt: skip
QUERY_VALUES = st.sampled_from(
    ["", "1", "thing", "true", "a,b", "-sys.id", "sys.id,fields.f", "2024-01-01", "1,2", "1,2,3",
     "1,2,3,4", "%", "'", '"', "MQ==", "fields.name", "nan", "1e999", "\u0000", "é"]
)  # fmt: skip


@given(parts=st.lists(st.tuples(QUERY_NAMES, QUERY_OPERATORS, QUERY_VALUES), max_size=5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked_the_answer_is_never_a_fault_of_ours(parts: list[Any]) -> None:
    api = _asked()
    query = urlencode([(name + operator, value) for name, operator, value in parts])
    for path in ("/entries", "/assets", "/content_types", "/entries/e/references",
                 "/public/entries", "/public/content_types", "/tags"):  # fmt: skip
        reply = api.call("GET", path, query=query)
        assert reply.status in (200, 400), (query, reply.body)


@cache
def _asked() -> Api:
    """One space for all questions, kept until the interpreter ends (it holds no file open)."""
    context = open_store(Path(tempfile.mkdtemp()) / "s.sqlite")
    store = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    api = Api(build_app(store))
    api.put_type("thing", [*THING_FIELDS, {"id": "f", "type": "Object"}])
    api.put_entry(
        "e", {"name": "a", "day": "2024-01-01", "tags": ["a"], "place": {"lat": 1, "lon": 2}}
    )
    return api
