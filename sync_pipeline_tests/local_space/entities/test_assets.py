"""Assets: uploads, the processing of files, and what may be published."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from sync_pipeline_tests.local_space.conftest import MASTER, Api, Reply

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + b"\x08\x06\0\0\0" + b"x" * 99
)
GIF = b"GIF89a" + struct.pack("<HH", 7, 5) + b"\0\0\0"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><path d="M0 0"/></svg>'
ADDRESS = {"fileName": "a.png", "contentType": "image/png", "upload": "https://x.example/a.png"}


def create(api: Api, files: dict[str, Any] | None, asset_id: str = "a") -> Reply:
    fields: dict[str, Any] = {"title": {"en-US": "t"}}
    if files is not None:
        fields["file"] = files
    reply = api.call("PUT", f"/assets/{asset_id}", {"fields": fields})
    assert reply.status == 201, reply.body
    return reply


def process(api: Api, locale: str, version: int | None, asset_id: str = "a") -> Reply:
    return api.call("PUT", f"/assets/{asset_id}/files/{locale}/process", version=version)


def uploaded(api: Api, data: bytes, place: str = MASTER) -> dict[str, Any]:
    upload = api.call("POST", f"!{place}/uploads", raw=data)
    assert upload.status == 201
    return {"sys": {"type": "Link", "linkType": "Upload", "id": upload.body["sys"]["id"]}}


def file_of(api: Api, locale: str = "en-US", asset_id: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/assets/{asset_id}").body["fields"]["file"][locale]
    return found


def test_an_asset_is_processed_and_published(api: Api) -> None:
    create(api, {"en-US": ADDRESS})
    assert process(api, "en-US", 7).status == 409
    assert process(api, "en-US", 1).status == 204
    assert api.get("/assets/a").body["sys"]["version"] == 2
    assert file_of(api) == {
        "fileName": "a.png",
        "contentType": "image/png",
        "url": "//x.example/a.png",
        "details": {"size": 1, "image": {"width": 1, "height": 1}},
    }
    assert api.call("PUT", "/assets/a/published", version=2).status == 200
    assert api.get("/assets", mimetype_group="image").body["total"] == 1
    assert api.get("/assets", mimetype_group="video").body["total"] == 0
    assert api.get("/assets", **{"fields.file.contentType": "image/png"}).body["total"] == 1
    assert api.get("/assets", **{"fields.title": "t"}).body["total"] == 1
    assert api.get("/entries").body["total"] == 0


def test_files_of_several_locales_are_processed_with_one_version(api: Api) -> None:
    create(api, {"en-US": ADDRESS, "de-DE": {**ADDRESS, "upload": "https://x.example/b.png"}})
    assert process(api, "en-US", 1).status == 204
    assert process(api, "de-DE", 1).status == 204
    assert (file_of(api)["url"], file_of(api, "de-DE")["url"]) == (
        "//x.example/a.png",
        "//x.example/b.png",
    )
    assert api.get("/assets/a").body["sys"]["version"] == 3
    assert api.call("PUT", "/assets/a/published", version=1).status == 409, "only processing"
    assert api.call("PUT", "/assets/a/published", version=3).status == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("PUT", "/archived"), ("PUT", "/published")]
)
def test_a_write_in_between_makes_the_first_version_stale(api: Api, method: str, path: str) -> None:
    create(api, {"en-US": ADDRESS, "de-DE": ADDRESS})
    process(api, "en-US", 1)
    done = file_of(api)
    body = {"fields": {"file": {"en-US": done, "de-DE": done if path == "/published" else ADDRESS}}}
    if path == "/published":
        assert api.call(method, "/assets/a", body, version=2).status == 200
    else:
        assert api.call(method, f"/assets/a{path}", body, version=2).status == 200
    assert process(api, "de-DE", 1).status == 409
    assert process(api, "de-DE", 2).status == 409


def test_an_asset_that_was_deleted_and_made_anew_starts_anew(api: Api) -> None:
    files = {"en-US": ADDRESS, "de-DE": ADDRESS}
    create(api, files)
    process(api, "en-US", 1)
    api.call("DELETE", "/assets/a")
    create(api, files)
    assert process(api, "en-US", 1).status == 204
    assert process(api, "de-DE", 1).status == 204


def test_processing_is_remembered_for_a_bounded_number_of_assets(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_pipeline.local_space.entities.assets._REMEMBERED", 3)
    for number in range(5):
        create(api, {"en-US": ADDRESS}, f"a{number}")
        assert process(api, "en-US", 1, f"a{number}").status == 204
    assert list(api.app.store.processed) == [(1, "a2"), (1, "a3"), (1, "a4")]


@pytest.mark.parametrize(
    ("files", "locale", "paths"),
    [
        (None, "en-US", [["fields", "file"]]),
        ({"en-US": ADDRESS}, "de-DE", [["fields", "file", "de-DE"]]),
        ({"en-US": ADDRESS}, "xx", [["fields", "file", "xx"]]),
        (
            {"en-US": {"fileName": "a", "contentType": "text/plain"}},
            "en-US",
            [["fields", "file", "en-US", "upload"], ["fields", "file", "en-US", "uploadFrom"]],
        ),
        (
            {"en-US": {"upload": "", "uploadFrom": 3}},
            "en-US",
            [["fields", "file", "en-US", "upload"], ["fields", "file", "en-US", "uploadFrom"]],
        ),
        (
            {"en-US": {"uploadFrom": {"sys": {"type": "Link", "linkType": "Upload", "id": "no"}}}},
            "en-US",
            [["fields", "file", "en-US", "uploadFrom"]],
        ),
        ({"en-US": {"uploadFrom": {}}}, "en-US", [["fields", "file", "en-US", "uploadFrom"]]),
    ],
)
def test_what_cannot_be_processed_is_named(
    api: Api, files: dict[str, Any] | None, locale: str, paths: list[Any]
) -> None:
    create(api, files)
    reply = process(api, locale, 1)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert [fault["path"] for fault in reply.faults] == paths
    assert api.get("/assets/a").body["sys"]["version"] == 1


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (None, {"name": "required", "path": ["fields", "file"],
                "details": 'The property "file" is required here'}),
        ({"en-US": None}, {"name": "required", "path": ["fields", "file"],
                           "details": 'The property "file" is required here'}),
        ({"en-US": ADDRESS}, {"name": "required", "path": ["fields", "file", "en-US", "url"],
                              "details": 'The property "url" is required here'}),
        ({"en-US": [1]}, {"name": "required", "path": ["fields", "file", "en-US", "url"],
                          "details": 'The property "url" is required here'}),
        ({"en-US": {"fileName": "a", "url": "https://x.example/a.png"}},
         {"name": "hasHostname", "path": ["fields", "file", "en-US", "url"],
          "value": "https://x.example/a.png"}),
    ],
)  # fmt: skip
def test_an_asset_that_was_not_processed_does_not_publish(
    api: Api, files: dict[str, Any] | None, fault: dict[str, Any]
) -> None:
    create(api, files)
    reply = api.call("PUT", "/assets/a/published", version=1)
    assert reply.error == (422, "ValidationFailed", "Validation error")
    assert reply.faults == [fault]


def test_each_locale_must_be_processed_unless_it_stays_a_draft(api: Api) -> None:
    create(api, {"en-US": ADDRESS, "de-DE": ADDRESS})
    process(api, "en-US", 1)
    reply = api.call("PUT", "/assets/a/published", version=2)
    assert [fault["path"] for fault in reply.faults] == [["fields", "file", "de-DE", "url"]]


@pytest.mark.parametrize(
    ("data", "content_type", "details"),
    [
        (PNG, "image/png", {"size": len(PNG), "image": {"width": 640, "height": 480}}),
        (GIF, "image/gif", {"size": len(GIF), "image": {"width": 7, "height": 5}}),
        (SVG, "image/svg+xml", {"size": len(SVG), "image": {"width": 30, "height": 20}}),
        (b"<svg", "image/svg+xml", {"size": 4}),
        (b"x" * 2_000_000, "application/zip", {"size": 2_000_000}),
        (b"", "text/plain", {"size": 0}),
    ],
)
@pytest.mark.parametrize("place", [MASTER, "/spaces/local"])
def test_an_uploaded_file_tells_its_size_and_dimensions(
    api: Api, data: bytes, content_type: str, details: dict[str, Any], place: str
) -> None:
    link = uploaded(api, data, place)
    create(api, {"en-US": {"fileName": "f", "contentType": content_type, "uploadFrom": link}})
    assert process(api, "en-US", 1).status == 204
    file = file_of(api)
    assert file["details"] == details
    assert file["url"].startswith("//")
    assert "uploadFrom" not in file


def test_an_upload_belongs_to_its_space_or_environment(api: Api) -> None:
    api.call("PUT", "!/spaces/local/environments/other", {"name": "other"})
    other = "/spaces/local/environments/other"
    of_space = uploaded(api, b"x", "/spaces/local")["sys"]["id"]
    of_master = api.call("POST", "/uploads", raw=b"x").body["sys"]
    assert of_master["environment"]["sys"]["id"] == "master"
    for place, upload_id, status in (
        (MASTER, of_master["id"], 200),
        (other, of_master["id"], 404),
        ("/spaces/local", of_master["id"], 404),
        ("/spaces/local", of_space, 200),
        (MASTER, of_space, 404),
    ):
        assert api.get(f"!{place}/uploads/{upload_id}").status == status
    assert api.call("POST", "!/spaces/local/environments/no/uploads", raw=b"x").status == 404
    assert api.call("POST", "!/spaces/no/uploads", raw=b"x").status == 404
    assert api.call("DELETE", f"/uploads/{of_master['id']}").status == 204
    assert api.get(f"/uploads/{of_master['id']}").body["details"]["type"] == "Upload"


def test_details_that_are_sent_along_are_kept(api: Api) -> None:
    seen = {"size": 2048, "image": {"width": 10, "height": 10}}
    unseen = {"size": 1, "image": {"width": 1, "height": 1}}
    odd = {"width": 9}
    for number, (sent, kept) in enumerate(
        [(seen, seen), ({"size": 2048}, {"size": 2048}), (odd, unseen), ([1], unseen)]
    ):
        create(api, {"en-US": {**ADDRESS, "details": sent}}, f"a{number}")
        process(api, "en-US", 1, f"a{number}")
        assert file_of(api, asset_id=f"a{number}")["details"] == kept


RULES: list[tuple[dict[str, Any], bool]] = [
    ({"assetFileSize": {"min": 100}}, True),
    ({"assetFileSize": {"min": 1000}}, False),
    ({"assetFileSize": {"max": 100}}, False),
    ({"assetImageDimensions": {"width": {"min": 600}, "height": {"max": 480}}}, True),
    ({"assetImageDimensions": {"width": {"max": 600}}}, False),
    ({"linkMimetypeGroup": ["image"]}, True),
    ({"linkMimetypeGroup": ["video"]}, False),
]


@pytest.mark.parametrize(("rule", "fits"), RULES)
@pytest.mark.parametrize("is_seen", [True, False])
def test_size_and_dimensions_are_validated_where_the_file_was_seen(
    api: Api, rule: dict[str, Any], fits: bool, is_seen: bool
) -> None:
    field = {"id": "image", "type": "Link", "linkType": "Asset", "validations": [rule]}
    api.put_type("page", [field])
    source = {"uploadFrom": uploaded(api, PNG)} if is_seen else {"upload": "https://x.example/p"}
    create(api, {"en-US": {"fileName": "p", "contentType": "image/png", **source}})
    process(api, "en-US", 1)
    target = {"sys": {"type": "Link", "linkType": "Asset", "id": "a"}}
    api.put_entry("e", {"image": target}, type_id="page")
    reply = api.call("PUT", "/entries/e/published", version=1)
    expected = fits or (not is_seen and "linkMimetypeGroup" not in rule)
    assert reply.status == (200 if expected else 422), reply.body


def test_an_archived_asset_is_not_processed(api: Api) -> None:
    create(api, {"en-US": ADDRESS})
    api.call("PUT", "/assets/a/archived")
    assert process(api, "en-US", None).error == (400, "BadRequest", "Cannot edit archived")


def test_a_published_asset_that_is_processed_again_is_changed(api: Api) -> None:
    create(api, {"en-US": ADDRESS})
    process(api, "en-US", 1)
    api.call("PUT", "/assets/a/published", version=2)
    body = {"fields": {"file": {"en-US": {**ADDRESS, "upload": "https://x.example/n.png"}}}}
    api.call("PUT", "/assets/a", body, version=3)
    assert process(api, "en-US", 4).status == 204
    assert api.get("/assets/a").body["sys"]["fieldStatus"]["*"]["en-US"] == "changed"
