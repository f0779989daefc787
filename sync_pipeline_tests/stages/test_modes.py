"""Regular and streaming mode leave the space in the same state, whatever the batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import index
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.summary import summarize_spool
from sync_pipeline.stages.transform import transform
from sync_pipeline.stages.upsert import upsert
from sync_pipeline_tests.harness.rows import PAGE_SIZE, Row, RowSource
from sync_pipeline_tests.harness.space import SpaceServer, TestedSpace
from sync_pipeline_tests.harness.staged import build_setting, run_stages, write_config

#: Few keys, few values: most records repeat a key, fill a gap or contradict an earlier one.
#: A blank name fails when it is published, `many` when it is mapped.
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.sampled_from(["", "A", "B", "C", "D", "E", "F"]),
            "name": st.sampled_from(["", "one", "two"]),
            "stock": st.sampled_from(["", 1, 2, "many"]),
            "grade": st.sampled_from(["", "A", "B"]),
        }
    ),
    max_size=2 * PAGE_SIZE + 3,
)
MODES = [
    RunOptions(mode="regular", apply=True),
    RunOptions(mode="streaming", batch_size=1, apply=True),
    RunOptions(mode="streaming", batch_size=7, apply=True),
    RunOptions(mode="streaming", batch_size=1000, apply=True),
]


@pytest.fixture
def config(fast_folder: Path, source: RowSource, request: pytest.FixtureRequest) -> Path:
    """A file of its own for each test, as ledgers and spools go by its name."""
    path = fast_folder / f"{request.node.name.split('[')[0]}.yaml"
    write_config(path, source)
    return path


@pytest.fixture
def begin(
    config: Path, fast_folder: Path, request: pytest.FixtureRequest
) -> Callable[[TestedSpace, RunOptions], Setting]:
    count = iter(range(1_000_000))

    def build(space: TestedSpace, options: RunOptions) -> Setting:
        storage = fast_folder / f"stages-{request.node.name}"
        return build_setting(config, space, storage, f"run-{next(count)}", options)

    return build


def fill(space: TestedSpace) -> None:
    space.put_entry("b", {"sku": "B", "name": "before", "stock": 1}, publish=True)
    space.put_entry("c", {"sku": "C", "name": "one"})


def fates(summary: Any) -> dict[str, int]:
    """Counts that do not depend on how the work was cut."""
    counts = summary.counts
    names = (
        "records", "created", "updated", "unchanged", "failed", "filtered", "duplicates",
        "published",
    )  # fmt: skip
    return {name: getattr(counts, name) for name in names}


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(rows=ROWS)
def test_all_modes_and_batch_sizes_leave_the_same_space(
    begin: Callable[[TestedSpace, RunOptions], Setting],
    source: RowSource,
    space_of_session: SpaceServer,
    rows: list[Row],
) -> None:
    source.rows = rows
    ends = []
    for options in MODES:
        space = space_of_session.new_space()
        fill(space)
        summary = run_stages(begin(space, options))
        ends.append((space.entries(), fates(summary)))
    assert all(end == ends[0] for end in ends[1:])


@pytest.mark.parametrize("options", [MODES[0], MODES[2]], ids=["regular", "streaming"])
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(rows=ROWS)
def test_a_second_run_of_the_same_data_changes_nothing(
    begin: Callable[[TestedSpace, RunOptions], Setting],
    source: RowSource,
    space_of_session: SpaceServer,
    options: RunOptions,
    rows: list[Row],
) -> None:
    source.rows = rows
    space = space_of_session.new_space()
    fill(space)
    run_stages(begin(space, options))
    before = space.versions()
    summary = run_stages(begin(space, options))
    assert space.versions() == before
    assert (summary.counts.created, summary.counts.updated) == (0, 0)


def change_mapping(config: Path, mapping: dict[str, str], key_field: str = "sku") -> None:
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    if key_field == "sku":
        mapping = {"sku": "{{ row.sku }}", **mapping}
    changed = {**values, "mapping": mapping, "contentKeyField": key_field}
    config.write_text(yaml.safe_dump(changed), encoding="utf-8")


CONTESTED = [
    {"sku": "A", "id": "x", "name": "one"},
    {"sku": "B", "id": "y", "name": "one"},
    {"sku": "C", "id": "x", "name": "two"},
    {"sku": "A", "id": "y", "name": "two"},
    {"sku": "D", "id": "", "name": "one"},
]


def test_an_id_that_two_keys_ask_for_is_the_first_ones_in_every_mode(
    config: Path,
    begin: Callable[[TestedSpace, RunOptions], Setting],
    source: RowSource,
    space_of_session: SpaceServer,
) -> None:
    """In other batches, one run after the other used to give the entry to the other key."""
    change_mapping(config, {"name": "{{ row.name }}", "sys.Id": "{{ row.id }}"})
    source.rows = CONTESTED
    ends = []
    for options in MODES:
        space = space_of_session.new_space()
        summary = run_stages(begin(space, options))
        ends.append((space.entries(), fates(summary)))
        before = space.versions()
        run_stages(begin(space, options))
        assert space.versions() == before
    assert all(end == ends[0] for end in ends[1:])
    assert sorted(ends[0][0]) == ["A", "B", "D"]
    assert ends[0][1]["failed"] == 2


@pytest.mark.parametrize("options", [MODES[0], MODES[1]], ids=["regular", "streaming"])
def test_templates_ask_the_space_once_a_run_whatever_the_batches(
    config: Path,
    begin: Callable[[TestedSpace, RunOptions], Setting],
    source: RowSource,
    space_of_session: SpaceServer,
    options: RunOptions,
) -> None:
    exists = "{{ cute.entries_exist('product', 'sku', row.sku) }}"
    change_mapping(
        config, {"name": exists, "grade": "{{ cute.entries_count('product', 'id', 1) }}"}
    )
    source.rows = [{"sku": sku} for sku in "ABC"]
    space = space_of_session.new_space()
    fill(space)
    run_stages(begin(space, options))
    names = {sku: fields["name"]["en-US"] for sku, (fields, _) in space.entries().items()}
    assert names == {"A": "false", "B": "true", "C": "true"}
    reads = [space.short(request) for request in space.requests if request.method == "GET"]
    assert reads.count("/entries") == 2  # the index and the look-up


@pytest.mark.parametrize("key_field", ["sys.Id", "grade"], ids=["stated", "only mapped"])
def test_entries_are_matched_by_id_where_only_sys_id_is_mapped(
    config: Path,
    begin: Callable[[TestedSpace, RunOptions], Setting],
    source: RowSource,
    space_of_session: SpaceServer,
    key_field: str,
) -> None:
    """Not by the key field, which would hand the record the entry of somebody else."""
    change_mapping(config, {"sys.Id": "{{ row.id }}", "name": "{{ row.name }}"}, key_field)
    source.rows = [{"id": "A", "name": "new"}, {"id": "c", "name": "new"}, {"id": "A", "name": "x"}]
    ends = []
    for options in MODES:
        space = space_of_session.new_space()
        fill(space)
        space.put_entry("a", {"sku": "E", "grade": "A", "name": "an editor's"})
        summary = run_stages(begin(space, options))
        names = {e["sys"]["id"]: e["fields"]["name"]["en-US"] for e in space.raw_entries()}
        ends.append((names, fates(summary)))
        before = space.versions()
        run_stages(begin(space, options))
        assert space.versions() == before
    assert all(end == ends[0] for end in ends[1:])
    assert ends[0][0] == {"A": "new", "a": "an editor's", "b": "before", "c": "new"}


def test_records_of_a_batch_that_was_not_come_to_count_as_failed(
    source: RowSource, space: TestedSpace, begin: Callable[[TestedSpace, RunOptions], Setting]
) -> None:
    """Of a run that broke off only the batches that it had come to were told."""
    source.rows = [*source.rows, source.rows[25]]  # routed to the second batch
    setting = begin(space, RunOptions(mode="streaming", batch_size=20, apply=True))
    first, second = fetch(setting).manifest.batches
    upsert(setting, transform(setting, first), index(setting, [first, second]))
    summary = summarize_spool(setting.config.key, setting.spool)
    assert summary.failed_batches == (second.key,)
    assert (summary.counts.records, summary.counts.created, summary.counts.failed) == (41, 20, 21)
