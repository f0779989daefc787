from __future__ import annotations

import pytest

from sync_pipeline.errors import SpaceError, UsageError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.model import Field
from sync_pipeline_tests.load.conftest import FakeTime, settings_for
from sync_pipeline_tests.load.small_space import Fault, SpaceState


def test_content_type_and_locales_take_two_requests(client: SpaceClient, space: SpaceState) -> None:
    target = fetch_target_model(client, "product")
    assert target.content_type.id == "product"
    assert target.content_type.display_field == "title"
    assert target.content_type.field("sku") == Field("sku", "Symbol", required=True)
    assert target.content_type.field("title") == Field("title", "Symbol", localized=True)
    assert target.content_type.field("tags") == Field("tags", "Array", items_type="Symbol")
    assert target.content_type.field("related") == Field("related", "Link", link_type="Entry")
    assert target.default_locale == "en-US"
    assert target.locale_codes == ("en-US", "de-DE")
    assert len(space.requests) == 2


def test_a_list_of_links_says_what_it_links_to(client: SpaceClient, space: SpaceState) -> None:
    items = {"type": "Link", "linkType": "Asset"}
    space.add_content_type("page", [{"id": "images", "type": "Array", "items": items}])
    (images,) = fetch_target_model(client, "page").content_type.fields
    assert (images.items_type, images.link_type) == ("Link", "Asset")


def test_the_rules_of_rich_text_are_read(client: SpaceClient, space: SpaceState) -> None:
    rules = [{"enabledMarks": ["bold"]}, {"nodes": {}}]
    fields = [
        {"id": "body", "type": "RichText", "validations": rules},
        {"id": "name", "type": "Symbol", "validations": [{"unique": True}]},
    ]
    space.add_content_type("page", fields)
    body, name = fetch_target_model(client, "page").content_type.fields
    assert list(body.validations) == rules
    assert name == Field("name", "Symbol")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("prodct", "Did you mean 'product'"),
        ("Product", "Did you mean 'product'"),
        ("zebra", "It has 'product'"),
    ],
)
def test_an_unknown_content_type_names_what_was_meant(
    client: SpaceClient, space: SpaceState, asked: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        fetch_target_model(client, asked)
    text = str(caught.value)
    for part in (repr(asked), "'s1'", "'master'", said, "CONTENTFUL_SPACE_ID", "contentType"):
        assert part in text
    assert caught.value.exit_code == 2
    assert len(space.requests) == 2


def test_an_empty_space_says_so(client: SpaceClient, space: SpaceState) -> None:
    space.content_types.clear()
    with pytest.raises(UsageError, match="no content types at all"):
        fetch_target_model(client, "product")


def test_a_missing_content_type_names_what_chooses_the_space(client: SpaceClient) -> None:
    with pytest.raises(UsageError) as refused:
        fetch_target_model(client, "nosuchtype")
    for name in ("`contentType`", "CONTENTFUL_SPACE_ID", "`target.model`"):
        assert name in str(refused.value)


def test_a_content_type_that_was_never_activated_is_refused(
    client: SpaceClient, space: SpaceState
) -> None:
    del space.content_types["product"]["sys"]["publishedVersion"]
    with pytest.raises(UsageError, match="Activate"):
        fetch_target_model(client, "product")


def test_changes_that_are_not_activated_are_read_from_the_activated_types(
    client: SpaceClient, space: SpaceState, caplog
) -> None:
    space.content_types["product"]["sys"]["version"] = 5
    fetch_target_model(client, "product")
    assert space.count("GET", "^/public/content_types$") == 1
    assert "not activated" in caplog.text


def test_many_locales_are_paged_through(client: SpaceClient, space: SpaceState) -> None:
    space.locales += [{"code": f"x-{n}", "default": False} for n in range(1500)]
    assert len(fetch_target_model(client, "product").locales) == 1502


def test_an_unknown_space_is_told_from_an_unknown_content_type(
    space: SpaceState, fake_time: FakeTime
) -> None:
    settings = settings_for(space.url, space_id="nope")
    with (
        SpaceClient(settings, sleep=fake_time.sleep) as client,
        pytest.raises(SpaceError, match="CONTENTFUL_SPACE_ID"),
    ):
        fetch_target_model(client, "product")


def test_a_server_without_activated_types_gives_the_changed_one(
    client: SpaceClient, space: SpaceState, caplog
) -> None:
    space.content_types["product"]["sys"]["version"] = 5
    space.faults = lambda r: (
        Fault(404, error_id="UnknownRoute") if r.path.startswith("/public/") else None
    )
    assert fetch_target_model(client, "product").content_type.id == "product"
    assert "going on with the changed one" in caplog.text


@pytest.mark.parametrize("path", ["/content_types/product", "/locales"])
def test_a_refusal_says_what_was_being_done(
    client: SpaceClient, space: SpaceState, path: str
) -> None:
    space.faults = lambda r: Fault(400, error_id="BadRequest") if r.path == path else None
    with pytest.raises(SpaceError, match=r"Reading the .* was refused: 400 BadRequest"):
        fetch_target_model(client, "product")
