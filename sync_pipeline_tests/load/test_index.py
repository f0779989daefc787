from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline.errors import SpaceError, SpoolError
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.index import IndexSummary, TargetIndex, build_index, open_index
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.plan import derive_entry_id
from sync_pipeline_tests.load.conftest import MAPPED
from sync_pipeline_tests.load.small_space import SpaceState, error


class Built:
    def __init__(self, client: SpaceClient, path: Path, key_field: str = "sku", **options: Any):
        self.path = path
        self.target = fetch_target_model(client, "product")
        self.requests_before = client.requests
        self.summary: IndexSummary = build_index(
            client, self.target, MAPPED, key_field, path, **options
        )

    def open(self, *, in_memory: bool = False) -> TargetIndex:
        return open_index(self.path, in_memory=in_memory)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "index.sqlite"


def fill(space: SpaceState, count: int) -> None:
    for number in range(count):
        space.add_entry(
            f"e{number:05d}",
            {"sku": {"en-US": f"SKU-{number}"}, "title": {"en-US": "t", "de-DE": "u"},
             "body": {"en-US": "not mapped"}},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "states"),
    [
        ({"*": {"en-US": "published", "de-DE": "draft"}}, {"en-US": "published", "de-DE": "draft"}),
        (None, None),
        ({"*": {}}, None),
        ({"title": {"en-US": "draft"}}, None),
        ("published", None),
    ],
    ids=["told", "absent", "empty", "by field", "junk"],
)
def test_the_state_of_each_locale_is_kept_where_the_space_tells_it(
    client: SpaceClient, space: SpaceState, path: Path, status: Any, states: Any
) -> None:
    fill(space, 1)
    if status is not None:
        space.entries["e00000"]["sys"]["fieldStatus"] = status
    with Built(client, path).open() as index:
        found = index.find("SKU-0")
        assert found is not None
        assert found.locale_states == states
        assert found.state_of("fr-FR") == "draft", "never published in a locale that is not named"
        index.apply_write(found.as_published(7, ["de-DE"]))
        again = index.find("SKU-0")
        assert again is not None
        assert (again.version, again.published_version) == (8, 7)
        assert again.locale_states == (states and {**states, "de-DE": "published"})


@pytest.mark.parametrize("in_memory", [False, True], ids=["on disk", "in memory"])
def test_entries_are_found_by_key_and_id(
    client: SpaceClient, space: SpaceState, path: Path, in_memory: bool
) -> None:
    fill(space, 3)
    space.add_entry("draft", {"sku": {"en-US": "D"}}, version=3, published=None)
    space.add_entry("old", {"sku": {"en-US": "A"}}, version=5, published=None, archived=True)
    space.add_entry("other", {"sku": {"en-US": "SKU-9"}}, content_type="unrelated")
    built = Built(client, path)
    with built.open(in_memory=in_memory) as index:
        found = index.find("SKU-1")
        assert found is not None
        assert (found.id, found.version, found.published_version) == ("e00001", 2, 1)
        assert found.fields == {
            "sku": {"en-US": "SKU-1"}, "title": {"en-US": "t", "de-DE": "u"},
        }  # fmt: skip
        assert found.is_clean
        draft, archived = index.find_id("draft"), index.find("A")
        assert draft is not None
        assert archived is not None
        assert (draft.published_version, draft.is_clean, draft.is_archived) == (None, False, False)
        assert archived.is_archived
        assert index.find("SKU-9") is None
        assert index.find("sku-1") is None
        assert index.find_id("other") is None
        assert index.target == built.target
        assert index.count() == built.summary.entries == 5
        assert [entry.id for entry in index.entries()] == sorted(
            ["e00000", "e00001", "e00002", "draft", "old"]
        )


def test_the_whole_read_takes_a_request_per_thousand(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 2500)
    summary = Built(client, path).summary
    assert (summary.strategy, summary.entries, summary.requests) == ("whole", 2500, 3)
    select = set(space.requests[-1].params["select"].split(","))
    assert select == {
        "sys.id", "sys.version", "sys.publishedVersion", "sys.archivedVersion", "sys.createdAt",
        "sys.fieldStatus", *(f"fields.{name}" for name, _ in MAPPED),
    }  # fmt: skip
    assert space.requests[-1].params["order"] == "sys.id"


def test_few_keys_of_a_big_content_type_are_looked_up(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 6000)
    keys = [*(f"SKU-{number}" for number in range(0, 6000, 30)), "new", "a,b"]
    space.add_entry("comma", {"sku": {"en-US": "a,b"}})
    built = Built(client, path, keys=iter(keys), key_count=len(keys))
    assert built.summary.strategy == "lookups"
    assert built.summary.requests == 1 + 4
    assert built.summary.entries == 201
    with built.open() as index:
        assert index.find_keys(keys).keys() == set(keys) - {"new"}


@pytest.mark.parametrize("count", [0, 1, 900, 1000])
def test_a_small_content_type_is_read_whole_with_one_request(
    client: SpaceClient, space: SpaceState, path: Path, count: int
) -> None:
    fill(space, count)
    summary = Built(client, path, keys=["SKU-0"], key_count=1).summary
    assert (summary.strategy, summary.requests, summary.entries) == ("whole", 1, count)


def test_many_keys_are_not_looked_up(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 3000)
    keys = iter([f"SKU-{number}" for number in range(3000)])
    summary = Built(client, path, keys=keys, key_count=3000).summary
    assert (summary.strategy, summary.entries) == ("whole", 3000)
    assert next(keys) == "SKU-0", "the count alone had told"


def test_long_keys_tip_the_balance(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 3000)
    keys = [f"{number}" + "ü" * 200 for number in range(150)]
    assert Built(client, path, keys=keys, key_count=150).summary.strategy == "whole"


def test_mapped_ids_are_looked_up_too(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 4000)
    built = Built(client, path, keys=["SKU-1"], key_count=1, ids=["e03000", "nope"])
    assert built.summary.strategy == "lookups"
    with built.open() as index:
        assert index.find_ids(["e03000", "e00001", "nope"]).keys() == {"e03000", "e00001"}


def test_ids_may_be_the_keys(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 2500)
    space.add_entry("other", {"sku": {"en-US": "e00002"}})
    built = Built(client, path, key_field="sys.id", keys=["e00002", "gone"], key_count=2)
    assert built.summary.strategy == "lookups"
    with built.open() as index:
        assert [entry.id for entry in index.entries()] == ["e00002"]
        found = index.find("e00002")
        assert found is not None
        assert found.id == "e00002"
        index.refresh(client, keys=["e00003"])
        assert index.find("e00003") is not None
        assert "sys.id" not in index.field_ids


def test_a_text_key_cannot_be_asked_for(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 3000)
    assert Built(client, path, "body", keys=["x"], key_count=1).summary.strategy == "whole"


@pytest.mark.parametrize(
    ("key_field", "value", "key"),
    [
        ("price", 7.0, "7"),
        ("price", 7.5, "7.5"),
        ("released", "2024-05-01T10:00:00.5+02:00", "2024-05-01T08:00:00+00:00"),
        ("related", {"sys": {"type": "Link", "linkType": "Entry", "id": "x"}}, "x"),
        ("sku", " A ", " A "),
    ],
    ids=["whole number", "fraction", "date", "link", "text"],
)
def test_keys_are_canonical(
    client: SpaceClient, space: SpaceState, path: Path, key_field: str, value: Any, key: str
) -> None:
    space.add_entry("e", {key_field: {"en-US": value}})
    with Built(client, path, key_field).open() as index:
        found = index.find(key)
        assert found is not None
        assert found.id == "e"


def test_entries_without_a_key_are_no_duplicates_of_each_other(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    space.add_entry("a", {})
    space.add_entry("b", {"sku": {"en-US": ""}})
    space.add_entry("c", {"sku": {"de-DE": "x"}})
    built = Built(client, path)
    assert built.summary.duplicates == ()
    with built.open() as index:
        assert index.find("") is None
        assert index.find("x") is None
        assert index.count() == 3


def test_of_duplicates_the_oldest_is_kept_and_the_others_are_named(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    for entry_id in ("z-oldest", "a-younger", "b-youngest"):
        space.add_entry(entry_id, {"sku": {"en-US": "X"}})
    space.add_entry("single", {"sku": {"en-US": "Y"}})
    built = Built(client, path)
    (duplicate,) = built.summary.duplicates
    assert built.summary.duplicate_count == 1
    assert dataclasses.astuple(duplicate) == ("X", "z-oldest", ("a-younger", "b-youngest"))
    with built.open() as index:
        found = index.find("X")
        assert found is not None
        assert found.id == "z-oldest"


def test_an_archived_duplicate_gives_way_to_one_that_can_be_edited(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    space.add_entry("old", {"sku": {"en-US": "X"}}, published=None, archived=True)
    space.add_entry("live", {"sku": {"en-US": "X"}})
    built = Built(client, path)
    assert built.summary.duplicates[0].kept_id == "live"
    with built.open() as index:
        found = index.find("X")
        assert found is not None
        assert found.id == "live"


def test_duplicates_beyond_a_thousand_are_counted(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    for number in range(1005):
        for twin in "ab":
            space.add_entry(f"{twin}{number}", {"sku": {"en-US": f"K{number}"}})
    summary = Built(client, path).summary
    assert (len(summary.duplicates), summary.duplicate_count) == (1000, 1005)


def test_a_failed_read_leaves_the_former_index(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 2)
    Built(client, path)
    fill(space, 2500)
    original = space.answer
    target = fetch_target_model(client, "product")

    def refuse_second_page(request):
        if request.params.get("skip", "0") != "0":
            return 400, error("BadRequest", "no")
        return original(request)

    space.answer = refuse_second_page  # type: ignore[method-assign]
    with pytest.raises(SpaceError):
        build_index(client, target, MAPPED, "sku", path)
    with open_index(path) as index:
        assert index.count() == 2
    assert [file.name for file in path.parent.iterdir() if "tmp" in file.name] == []


def test_a_rebuilt_index_does_not_replay_the_log_of_the_former(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 2)
    built = Built(client, path)
    with built.open() as index:
        entry = index.find_id("e00000")
        assert entry is not None
        index.apply_write(dataclasses.replace(entry, id="written"))
        log = path.with_name(path.name + "-wal").read_bytes()
    path.with_name(path.name + "-wal").write_bytes(log)
    with Built(client, path).open() as index:
        assert index.find_id("written") is None


def test_writes_are_found_again_also_by_another_reader(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 1)
    with Built(client, path).open() as index, open_index(path) as other:
        entry = index.find("SKU-0")
        assert entry is not None
        moved = dataclasses.replace(entry, version=9, fields={"sku": {"en-US": "NEW"}})
        index.apply_write(moved)
        assert other.find("NEW") == moved
        assert other.find("SKU-0") is None
        index.apply_writes([], gone_ids=[entry.id])
        assert other.find("NEW") is None


def test_an_index_in_memory_keeps_its_writes_to_itself(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    fill(space, 1)
    with Built(client, path).open(in_memory=True) as index:
        index.apply_writes([], gone_ids=["e00000"])
        assert index.count() == 0
    with open_index(path) as index:
        assert index.count() == 1


@pytest.mark.parametrize("key_field", ["sku", "body"], ids=["asked by key", "only by id"])
def test_refresh_reads_just_what_it_is_asked_for(
    client: SpaceClient, space: SpaceState, path: Path, key_field: str
) -> None:
    for name in ("A", "B", "C", "D"):
        space.add_entry(f"id-{name}", {"sku": {"en-US": name}, "body": {"en-US": name}})
    with Built(client, path, key_field).open() as index:
        space.edit("id-A", {"title": {"en-US": "edited"}})
        space.edit("id-B", {"title": {"en-US": "edited"}})
        del space.entries["id-C"]
        created = derive_entry_id("product", "E")
        space.add_entry(created, {"sku": {"en-US": "E"}, "body": {"en-US": "E"}})
        space.requests.clear()
        index.refresh(client, keys=["A", "C", "E"], ids=["id-D"])
        assert len(space.requests) == (2 if key_field == "sku" else 1)
        found = index.find_keys(["A", "B", "C", "D", "E"])
        assert {key: entry.version for key, entry in found.items()} == {
            "A": 3, "B": 2, "D": 2, "E": 2,
        }  # fmt: skip


def test_many_threads_read_and_write(client: SpaceClient, space: SpaceState, path: Path) -> None:
    fill(space, 200)
    with Built(client, path).open() as index:

        def work(start: int) -> None:
            for number in range(start, 200, 4):
                entry = index.find(f"SKU-{number}")
                assert entry is not None
                index.apply_write(dataclasses.replace(entry, version=7))

        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(entry.version == 7 for entry in index.entries())


def test_a_key_that_has_no_utf8_form_is_kept_out_of_the_keys(
    client: SpaceClient, space: SpaceState, path: Path
) -> None:
    space.add_entry("e", {"sku": {"en-US": "\ud800"}})
    with Built(client, path).open() as index:
        entry = index.find_id("e")
        assert entry is not None
        assert entry.fields["sku"]["en-US"] == "\ud800"


def test_a_missing_or_damaged_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="no target index"):
        open_index(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"x" * 5000)
    with pytest.raises(SpoolError, match="damaged"):
        open_index(tmp_path / "bad")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(SpoolError):
        open_index(tmp_path / "empty", in_memory=True)
