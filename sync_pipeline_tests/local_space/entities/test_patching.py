"""JSON Patches that want to grow beyond all bounds, and operations that are none."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from sync_pipeline.local_space.api_error import ApiError
from sync_pipeline.local_space.entities.patching import patched
from sync_pipeline_tests.local_space.conftest import Api


def copy(source: str, target: str) -> dict[str, str]:
    return {"op": "copy", "from": source, "path": target}


def doubling(times: int) -> list[Any]:
    return [copy("/fields/a", f"/fields/a/{number}") for number in range(times)]


BOMBS: list[list[Any]] = [
    doubling(26),
    doubling(2000),
    [copy("", f"/fields/x{number}") for number in range(60)],
    [copy("/fields", f"/fields/a/{number}") for number in range(60)],
    [copy("/fields/list", f"/fields/list/{number % 2}") for number in range(60)],
    [{"op": "add", "path": "/fields/b", "value": "x" * 500_000},
     *(copy("/fields/b", f"/fields/c{number}") for number in range(50))],
]  # fmt: skip


@pytest.mark.parametrize("operations", BOMBS)
def test_a_patch_that_multiplies_its_document_is_refused_in_time(operations: list[Any]) -> None:
    document = {"fields": {"a": {"t": "x" * 1000}, "list": ["x" * 1000]}}
    tracemalloc.start()
    try:
        with pytest.raises(ApiError) as caught:
            patched(document, operations)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status == 422
    assert "copies more than" in str(caught.value.details)
    assert peak < 20e6


def test_copies_within_the_bound_are_made() -> None:
    document: dict[str, Any] = {"fields": {"a": "x" * 1000}}
    patched(document, [copy("/fields/a", f"/fields/a{number}") for number in range(500)])
    assert len(document["fields"]) == 501


def test_a_patch_that_nests_too_deep_is_refused(things: Api) -> None:
    things.put_entry("e", {"data": {"a": {}}})
    path = "/fields/data/en-US/a"
    operations = []
    for _ in range(450):
        path += "/a"
        operations.append({"op": "add", "path": path, "value": {}})
    reply = things.call("PATCH", "/entries/e", operations, version=1)
    assert reply.error[:2] == (400, "BadRequest")
    body = {"nodeType": "document", "data": {}, "content": []}
    things.put_entry("r", {"body": body})
    path, operations = "/fields/body/en-US/content/-", []
    for _ in range(300):
        node = {"nodeType": "blockquote", "data": {}, "content": []}
        operations.append({"op": "add", "path": path, "value": node})
        path = path[:-1] + "0/content/-"
    assert things.call("PATCH", "/entries/r", operations, version=1).status in (400, 422)
    assert things.get("/entries/r").body["sys"]["version"] == 1


@pytest.mark.parametrize(
    "operation",
    [{"op": "append", "path": "/fields/name/en-US", "value": "x"}, {"op": "Copy"}, {"op": None},
     {}, {"op": "copy", "path": "/fields/x"}, {"op": "copy", "from": 1, "path": "/fields/x"},
     {"op": "copy", "from": "/no", "path": "/fields/x"},
     {"op": "copy", "from": "/metadata/tags/-", "path": "/fields/x"}, "add", None, 7],
)  # fmt: skip
def test_an_operation_that_is_none_is_refused(things: Api, operation: Any) -> None:
    things.put_entry("e", {"name": "a"})
    reply = things.call("PATCH", "/entries/e", [operation], version=1)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert [fault["name"] for fault in reply.faults] == ["jsonPatch"]
