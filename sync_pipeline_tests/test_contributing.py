"""What contributors are told is what CI does."""

import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in texts
]


def test_pre_commit_make_and_ci_run_the_same_checks():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    commands = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [command for command in commands if f"\n{command}" not in ci] == []
    assert [command for command in commands if command.removeprefix("python ") not in make] == []


@pytest.mark.parametrize(
    "requirement", REQUIREMENTS, ids=[requirement.name for requirement in REQUIREMENTS]
)
def test_the_constraints_fix_every_dependency_to_a_version_that_is_allowed(requirement):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    fixed = {canonicalize_name(name): version for name, version in pairs}
    if requirement.name != PROJECT["name"]:
        name = canonicalize_name(requirement.name)
        assert name in fixed, f"add `{name}==<version>` to constraints.txt"
        assert fixed[name] in requirement.specifier


def test_the_licence_is_the_one_that_is_stated():
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
