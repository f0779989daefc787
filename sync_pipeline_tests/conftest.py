"""Fixtures of tests that run whole syncs; see `harness`."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from sync_pipeline.orchestration.launching import prepare_dagster_home
from sync_pipeline_tests.harness.project import Project
from sync_pipeline_tests.harness.rows import RowSource, product_rows, row_source
from sync_pipeline_tests.harness.space import SpaceServer, TestedSpace, space_server

_numbers = itertools.count(1)
#: In memory: Dagster's SQLite storage syncs to disk 20 times a step, which is most of a small run.
_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 1024**3


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that costs no disk writes where the machine has one."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _NEEDED_BYTES:
        yield tmp_path_factory.mktemp("projects")
        return
    with tempfile.TemporaryDirectory(prefix="sync_pipeline_", dir=_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def space_of_session(fast_folder: Path) -> Iterator[SpaceServer]:
    with space_server(fast_folder / "space.sqlite") as server:
        yield server


@pytest.fixture(scope="session")
def dagster_home(fast_folder: Path) -> Path:
    home = fast_folder / "dagster"
    return prepare_dagster_home(home, {"DAGSTER_HOME": str(home)})


@pytest.fixture(scope="session")
def dagster_instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    """One instance for all tests: to make one takes longer than a run."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        yield instance


@contextmanager
def _open_project(
    folder: Path, home: Path, instance: dg.DagsterInstance, source: RowSource, space: TestedSpace
) -> Iterator[Project]:
    key = f"products{next(_numbers)}"
    root = folder / key
    root.mkdir()
    project = Project(root, home, key, source, space, instance)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.environ().items():
            patch.setenv(name, value)
        patch.chdir(root)
        project.write_config()
        yield project


@pytest.fixture
def space(space_of_session: SpaceServer) -> TestedSpace:
    return space_of_session.new_space()


@pytest.fixture
def source() -> Iterator[RowSource]:
    """40 products on 4 pages, for 2 batches of `Project.apply`: small, as a step costs 60 ms."""
    with row_source(product_rows(40)) as source:
        yield source


@pytest.fixture
def project(
    fast_folder: Path,
    dagster_home: Path,
    dagster_instance: dg.DagsterInstance,
    source: RowSource,
    space: TestedSpace,
) -> Iterator[Project]:
    """A project with one sync, whose environment variables are set in this process."""
    with _open_project(fast_folder, dagster_home, dagster_instance, source, space) as project:
        yield project


@pytest.fixture(scope="module")
def shared_project(
    fast_folder: Path,
    dagster_home: Path,
    dagster_instance: dg.DagsterInstance,
    space_of_session: SpaceServer,
) -> Iterator[Project]:
    """As `project`, for tests of a module that only read what one run left."""
    with (
        row_source(product_rows(40)) as source,
        _open_project(
            fast_folder, dagster_home, dagster_instance, source, space_of_session.new_space()
        ) as project,
    ):
        yield project
