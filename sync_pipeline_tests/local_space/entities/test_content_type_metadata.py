"""Annotations and taxonomy of content types, and a description that is null."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline_tests.local_space.conftest import Api

FIELD = {"id": "f", "name": "F", "type": "Symbol"}


def link(link_type: str, target: str, **more: Any) -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": link_type, "id": target}, **more}


ANNOTATION = link("Annotation", "Contentful:AggregateRoot")
RESOLVER = link("Annotation", "Contentful:GraphQLFieldResolver", parameters={"appFunctionId": "1"})
METADATA: dict[str, Any] = {
    "annotations": {"ContentType": [ANNOTATION], "ContentTypeField": {"f": [RESOLVER]}},
    "taxonomy": [
        link("TaxonomyConceptScheme", "s", required=True),
        link("TaxonomyConcept", "c", required=False),
    ],
}


def put(api: Api, version: int | None = None, **more: Any) -> Any:
    body = {"name": "Thing", "fields": [FIELD], **more}
    return api.call("PUT", "/content_types/thing", body, version=version)


@pytest.mark.parametrize(
    "metadata",
    [
        METADATA,
        {"annotations": {"ContentType": [ANNOTATION]}},
        {"annotations": {"ContentTypeField": {"f": []}}},
        {"taxonomy": []},
        {},
    ],
)
def test_metadata_comes_back_as_it_was_sent(api: Api, metadata: dict[str, Any]) -> None:
    assert put(api, metadata=metadata).body["metadata"] == metadata
    api.call("PUT", "/content_types/thing/published", version=1)
    for path in ("/content_types", "/public/content_types"):
        assert api.get(path).body["items"][0]["metadata"] == metadata
    assert "metadata" not in put(api, 2).body, "a PUT replaces it, as everything else"


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        (1, ["metadata"]),
        ([], ["metadata"]),
        ({"annotations": []}, None),
        ({"annotations": [1]}, ["metadata", "annotations"]),
        ({"annotations": {"ContentType": ANNOTATION}}, ["metadata", "annotations", "ContentType"]),
        (
            {"annotations": {"ContentTypeField": {"f": [link("Entry", "x")]}}},
            ["metadata", "annotations", "ContentTypeField", "f", 0],
        ),
        (
            {"annotations": {"ContentTypeField": [1]}},
            ["metadata", "annotations", "ContentTypeField"],
        ),
        ({"taxonomy": [METADATA["taxonomy"][0], ANNOTATION]}, ["metadata", "taxonomy", 1]),
        ({"taxonomy": "x"}, ["metadata", "taxonomy"]),
    ],
)
def test_metadata_of_another_shape_is_refused(
    api: Api, metadata: Any, path: list[Any] | None
) -> None:
    reply = put(api, metadata=metadata)
    if path is None:
        assert reply.status == 201
    else:
        assert reply.error == (422, "ValidationFailed", "Validation error")
        assert [fault["path"] for fault in reply.faults] == [path]


@pytest.mark.parametrize(("sent", "kept"), [({}, ""), ({"description": None}, None),
                                            ({"description": ""}, ""), ({"description": "x"}, "x")])  # fmt: skip
def test_a_description_stays_what_it_is(api: Api, sent: dict[str, Any], kept: Any) -> None:
    assert put(api, **sent).body["description"] == kept
    assert api.get("/content_types/thing").body["description"] == kept


def test_a_description_is_a_text(api: Api) -> None:
    assert put(api, description=1).faults[0]["path"] == ["description"]


def test_export_and_import_keep_metadata_and_description(
    api: Api, open_space: Callable[..., Api], tmp_path: Path
) -> None:
    put(api, metadata=METADATA, description=None)
    api.call("PUT", "/content_types/thing/published", version=1)
    export_file(api.app.store, tmp_path / "out.json")
    other = open_space(path=tmp_path / "other.sqlite")
    assert import_file(other.app.store, tmp_path / "out.json").content_types == 1
    body = other.get("/content_types/thing").body
    assert (body["metadata"], body["description"]) == (METADATA, None)
    assert import_file(other.app.store, tmp_path / "out.json").content_types == 0
