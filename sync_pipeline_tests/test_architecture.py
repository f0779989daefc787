"""Who may import whom: asserted by reading the imports, and by importing the core alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sync_pipeline

PACKAGE = Path(sync_pipeline.__file__).parent
ROOMS = ("extract", "transform", "load")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_package_has_modules_in_every_room():
    assert all(any(path.parent.name == room for path in MODULES) for room in ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_no_other_room(room):
    others = tuple(f"sync_pipeline.{name}" for name in ROOMS if name != room)
    found = {
        (path.name, name)
        for path in (PACKAGE / room).rglob("*.py")
        for name in imports_of(path)
        if name.startswith((*others, "sync_pipeline.stages", "sync_pipeline.orchestration"))
    }
    assert found == set()


def test_only_orchestration_and_the_entry_points_import_dagster():
    allowed = (PACKAGE / "orchestration", PACKAGE / "definitions.py", PACKAGE / "cli.py")
    found = {
        str(path)
        for path in MODULES
        if not path.is_relative_to(allowed[0]) and path not in allowed[1:]
        if any(name.split(".")[0] == "dagster" for name in imports_of(path))
    }
    assert found == set()


def test_the_core_runs_without_dagster():
    core = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for room in (*ROOMS, "batches", "config", "stages", "templating")
        for path in sorted((PACKAGE / room).rglob("*.py"))
    ]
    code = (
        "import sys, importlib\n"
        f"for name in {core!r}: importlib.import_module(name.removesuffix('.__init__'))\n"
        "assert 'dagster' not in sys.modules, 'dagster was imported'\n"
        "assert 'pandas' not in sys.modules, 'pandas was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_local_space_takes_only_errors_and_model_from_the_rest():
    home = PACKAGE / "local_space"
    allowed = (
        "sync_pipeline.errors",
        "sync_pipeline.model",
        "sync_pipeline.local_space",
    )
    found = {
        (str(path.relative_to(home)), name)
        for path in home.rglob("*.py")
        for name in imports_of(path)
        if name.split(".")[0] == "sync_pipeline" and not name.startswith(allowed)
    }
    assert found == set()


#: Each folder of the local space may use those before it; `server` uses all.
SPACE_FLOORS = ("checks", "store", "queries", "entities", "transfer", "server")


@pytest.mark.parametrize("floor", SPACE_FLOORS)
def test_a_folder_of_the_local_space_knows_none_above_it(floor):
    home = PACKAGE / "local_space"
    above = SPACE_FLOORS[SPACE_FLOORS.index(floor) + 1 :]
    assert list((home / floor).glob("*.py")), "the folder is there"
    found = {
        (path.name, name)
        for path in (home / floor).rglob("*.py")
        for name in imports_of(path)
        if name.startswith(tuple(f"sync_pipeline.local_space.{other}" for other in above))
    }
    assert found == set()
