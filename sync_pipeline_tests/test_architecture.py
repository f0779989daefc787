"""Who may import whom: asserted by reading the imports, and by importing the core alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sync_pipeline

PACKAGE = Path(sync_pipeline.__file__).parent
REPOSITORY = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: What stands on nothing but each other; every floor may use it.
GROUND = frozenset(
    {"dates", "deadline", "errors", "memory", "model", "private_files", "suggestions"}
)
#: The floors, from the bottom up, each with those that it may use beside the ground.
FLOORS = {
    "config": (),
    "redaction": ("config",),
    "batches": ("config",),
    "rich_text": (),
    "templating": ("config", "rich_text"),
    "local_space": (),
    "demo": (),
    "extract": ("config", "redaction", "templating"),
    "transform": ("config", "rich_text", "templating"),
    "load": ("config",),
    "stages": (
        "config", "redaction", "batches", "extract", "transform", "load", "local_space",
    ),
    "orchestration": ("config", "redaction", "batches", "extract", "stages"),
    "commands": (
        "config", "redaction", "batches", "local_space", "demo", "extract", "transform", "load",
        "stages", "orchestration",
    ),
    "cli": ("config", "redaction", "commands"),
    "definitions": ("config", "orchestration"),
}  # fmt: skip
#: The floors that know Dagster; `commands` uses the first one inside of functions.
WITH_DAGSTER = ("orchestration", "definitions")
#: Names of Dagster's that begin with `_` are imported here and nowhere else.
PRIVATE_DAGSTER = PACKAGE / "orchestration" / "private_dagster.py"


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from names_of(node)


def names_of(node):
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        if node.module == "sync_pipeline":
            yield from (f"sync_pipeline.{alias.name}" for alias in node.names)


def floor_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def floors_used_by(path):
    names = (name.split(".") for name in imports_of(path))
    return {name[1] for name in names if name[0] == "sync_pipeline" and len(name) > 1}


def test_every_module_stands_on_a_floor():
    assert {floor_of(path) for path in MODULES} - {"__init__"} == {*GROUND, *FLOORS}


def test_floors_use_those_below_them():
    order = list(FLOORS)
    for floor, below in FLOORS.items():
        assert all(order.index(other) < order.index(floor) for other in below), floor


@pytest.mark.parametrize("floor", [*sorted(GROUND), *FLOORS])
def test_a_floor_imports_what_it_may(floor):
    allowed = {floor, *GROUND, *FLOORS.get(floor, ())}
    found = {
        (str(path.relative_to(PACKAGE)), other)
        for path in MODULES
        if floor_of(path) == floor
        for other in floors_used_by(path) - allowed
    }
    assert found == set()


def test_only_orchestration_and_the_definitions_import_dagster():
    found = {
        str(path)
        for path in MODULES
        if floor_of(path) not in WITH_DAGSTER
        if any(name.split(".")[0].startswith("dagster") for name in imports_of(path))
    }
    assert found == set()


def test_what_dagster_keeps_private_is_imported_in_one_module():
    found = {
        (str(path.relative_to(REPOSITORY)), name)
        for folder in ("sync_pipeline", "sync_pipeline_tests", "benchmarks", "docs")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path != PRIVATE_DAGSTER
        for name in imports_of(path)
        if name.startswith("dagster") and "._" in name
    }
    assert found == set()


def test_the_rest_runs_without_dagster_and_pandas():
    names = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if floor_of(path) not in WITH_DAGSTER
    ]
    code = (
        "import sys, importlib\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
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
