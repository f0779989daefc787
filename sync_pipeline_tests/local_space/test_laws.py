"""Laws over random sequences and contents."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sync_pipeline.local_space.exporting import export_file
from sync_pipeline.local_space.importing import import_file
from sync_pipeline.local_space.rich_text import document_errors
from sync_pipeline.local_space.server import build_app
from sync_pipeline.local_space.store import open_store

from .conftest import Api, Clock

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
TestStates.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


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
@settings(max_examples=150, deadline=None)
def test_any_json_is_judged_as_rich_text_without_a_fault_of_ours(document: Any) -> None:
    for error in document_errors(document, ("f",)):
        assert error["path"][0] == "f"
        assert error["details"]
