"""Concepts and concept schemes of the organization."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import Api, Reply

TAXONOMY = "!/organizations/local-organization/taxonomy"
CONCEPTS, SCHEMES = f"{TAXONOMY}/concepts", f"{TAXONOMY}/concept-schemes"
LABEL = {"prefLabel": {"en-US": "Label"}}


def link(concept_id: str) -> dict[str, Any]:
    return {"sys": {"type": "Link", "linkType": "TaxonomyConcept", "id": concept_id}}


def put(api: Api, concept_id: str, version: int | None = None, **more: Any) -> Reply:
    return api.call("PUT", f"{CONCEPTS}/{concept_id}", {**LABEL, **more}, version=version)


def ids(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [item["sys"]["id"] for item in reply.body["items"]]


def test_a_concept_comes_back_with_every_key(api: Api) -> None:
    reply = api.call("POST", CONCEPTS, LABEL)
    assert reply.status == 201
    sys = reply.body.pop("sys")
    assert (sys["type"], sys["version"]) == ("TaxonomyConcept", 1)
    assert reply.body == {
        "uri": None, "prefLabel": {"en-US": "Label"}, "altLabels": {}, "hiddenLabels": {},
        "notations": [], "note": None, "changeNote": None, "definition": None,
        "editorialNote": None, "example": None, "historyNote": None, "scopeNote": None,
        "broader": [], "related": [], "conceptSchemes": [],
    }  # fmt: skip
    assert api.get(f"{CONCEPTS}/{sys['id']}").body["sys"] == sys


def test_what_was_sent_is_kept_and_replaced_as_a_whole(api: Api) -> None:
    more = {"uri": "https://x.example/c", "altLabels": {"en-US": ["a", "b"]}, "notations": ["n"],
            "note": {"en-US": "x", "de-DE": None}, "related": [link("other")]}  # fmt: skip
    body = put(api, "c", **more).body
    assert {key: body[key] for key in more} == more
    assert put(api, "c").status == 409
    assert put(api, "c", 2).status == 409
    again = put(api, "c", 1, **{key: body[key] for key in ("sys", "conceptSchemes")}).body
    assert (again["sys"]["version"], again["uri"], again["notations"]) == (2, None, [])


def test_a_scheme_counts_its_concepts_and_concepts_know_their_schemes(api: Api) -> None:
    put(api, "a")
    put(api, "b")
    body = {**LABEL, "concepts": [link("a"), link("gone")], "topConcepts": [link("a")]}
    scheme = api.call("PUT", f"{SCHEMES}/s", body).body
    assert (scheme["totalConcepts"], scheme["definition"]) == (2, None)
    assert scheme["sys"]["type"] == "TaxonomyConceptScheme"
    (found,) = api.get(f"{CONCEPTS}/a").body["conceptSchemes"]
    assert found["sys"]["id"] == "s"
    assert api.get(f"{CONCEPTS}/b").body["conceptSchemes"] == []
    assert api.get(f"{CONCEPTS}/total").body == {"total": 2}
    assert api.get(f"{SCHEMES}/total").body == {"total": 1}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ["prefLabel"]),
        ({"prefLabel": {}}, ["prefLabel"]),
        ({"prefLabel": {"en-US": ""}}, ["prefLabel"]),
        ({"prefLabel": None}, ["prefLabel"]),
        ({**LABEL, "label": 1}, ["label"]),
        ({**LABEL, "uri": 1}, ["uri"]),
        ({**LABEL, "altLabels": {"en-US": "a"}}, ["altLabels"]),
        ({**LABEL, "notations": "a"}, ["notations"]),
        ({**LABEL, "broader": [{"sys": {"id": "a"}}]}, ["broader"]),
        ({**LABEL, "note": "text"}, ["note"]),
        ({**LABEL, "concepts": []}, ["concepts"]),
    ],
)
def test_a_faulty_concept_is_refused(api: Api, body: dict[str, Any], path: list[str]) -> None:
    reply = api.call("POST", CONCEPTS, body)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert [fault["path"] for fault in reply.faults] == [path]
    assert api.get(CONCEPTS).body["items"] == []


def test_a_patch_changes_what_it_names(api: Api) -> None:
    put(api, "c", uri="https://x.example")
    patch = [{"op": "add", "path": "/note", "value": {"en-US": "n"}}]
    assert api.call("PATCH", f"{CONCEPTS}/c", patch, version=7).status == 409
    body = api.call("PATCH", f"{CONCEPTS}/c", patch, version=1).body
    assert (body["note"], body["uri"], body["sys"]["version"]) == (
        {"en-US": "n"}, "https://x.example", 2,
    )  # fmt: skip
    missing = [{"op": "add", "path": "/example/en-US", "value": "x"}]
    assert api.call("PATCH", f"{CONCEPTS}/c", missing, version=2).status == 422
    assert api.call("PATCH", f"{CONCEPTS}/no", patch, version=1).status == 404


def test_relatives_are_listed_nearest_first_whatever_the_links_say(api: Api) -> None:
    for concept_id, broader in {"a": "", "b": "a", "c": "b", "d": "b", "x": "y", "y": "x"}.items():
        put(api, concept_id, broader=[link(broader)] if broader else [])
    put(api, "z", broader=[link("z"), link("gone")])
    assert ids(api.get(f"{CONCEPTS}/d/ancestors")) == ["b", "a"]
    assert ids(api.get(f"{CONCEPTS}/a/descendants")) == ["b", "c", "d"]
    assert ids(api.get(f"{CONCEPTS}/x/ancestors")) == ["y"]
    assert ids(api.get(f"{CONCEPTS}/z/ancestors")) == []
    assert api.get(f"{CONCEPTS}/no/ancestors").status == 404
    assert api.get(f"{SCHEMES}/a/ancestors").error[1] == "UnknownRoute"


def test_concepts_are_paged_by_cursor(api: Api) -> None:
    for number in range(5):
        put(api, f"c{number}")
    page = api.get(CONCEPTS, limit=2)
    seen = ids(page)
    while "next" in page.body["pages"]:
        path, _, text = page.body["pages"]["next"].partition("?")
        page = api.call("GET", f"!{path}", query=text)
        seen += ids(page)
    assert seen == [f"c{number}" for number in range(5)]
    assert "total" not in page.body


def test_a_deleted_concept_leaves_links_to_it(api: Api) -> None:
    put(api, "a")
    put(api, "b", broader=[link("a")])
    assert api.call("DELETE", f"{CONCEPTS}/a").status == 409
    assert api.call("DELETE", f"{CONCEPTS}/a", version=1).status == 204
    missing = api.get(f"{CONCEPTS}/a")
    assert missing.body["details"] == {"type": "TaxonomyConcept", "id": "a"}
    assert api.get(f"{CONCEPTS}/b").body["broader"] == [link("a")]


def test_an_entry_takes_concepts_and_every_space_sees_the_taxonomy(things: Api) -> None:
    put(things, "c")
    body = {"fields": {}, "metadata": {"tags": [], "concepts": [link("c")]}}
    entry = things.call("PUT", "/entries/e", body, content_type="thing").body
    assert entry["metadata"]["concepts"] == [link("c")]
    assert things.ids(**{"metadata.concepts.sys.id[in]": "c"}) == ["e"]
    space_id = things.call("POST", "!/spaces", {"name": "x"}).body["sys"]["id"]
    assert things.call("DELETE", f"!/spaces/{space_id}").status == 204
    assert ids(things.get(CONCEPTS)) == ["c"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"{CONCEPTS}/c"), ("GET", TAXONOMY), ("GET", f"{TAXONOMY}/other"),
     ("PUT", CONCEPTS), ("GET", f"{CONCEPTS}/c/other")],
)  # fmt: skip
def test_an_unknown_path_of_the_taxonomy_is_unknown(api: Api, method: str, path: str) -> None:
    assert api.call(method, path, LABEL).error[:2] == (404, "UnknownRoute")


def test_an_id_that_is_none_is_refused(api: Api) -> None:
    assert put(api, "a%20b").error[:2] == (422, "ValidationFailed")


def test_a_space_is_never_archived(api: Api) -> None:
    assert api.call("POST", "!/spaces/local/unarchive", {}).error[:2] == (422, "ValidationFailed")
    assert api.call("POST", "!/spaces/no/unarchive", {}).status == 404
