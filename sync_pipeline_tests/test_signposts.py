"""References in code and docs lead to something in this repository."""

import re
from functools import cache
from pathlib import Path

import pytest

import sync_pipeline

PACKAGE = Path(sync_pipeline.__file__).parent
ROOT = PACKAGE.parent
DECISIONS = ROOT / "docs" / "decisions"
FOLDERS = ("sync_pipeline", "sync_pipeline_tests", "benchmarks", "docs", ".ci")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = sorted(
    path
    for path in [
        *(ROOT / name for name in ("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md")),
        *(ROOT / ".ci").iterdir(),
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / "docs").rglob("*.md"),
    ]
    if path != Path(__file__)
)

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
#: A path from the root of the repository, or a module by its path in the package.
PATH = re.compile(
    rf"(?<![\w./:@{{-])(?:(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*\w"
    r"|[a-z_]+/[a-z_/]*[a-z_]+\.py)(?![\w{])"
)
DECISION = re.compile(r"\b[Dd]ecisions?[ /]0*([0-9]+)\b")
#: Parts of a text that no reader of this repository has; a standard has its number beside it.
ELSEWHERE = re.compile(r"\bDESIGN\b|\b(?:design|contract) sections?\b|\bsections? [0-9]")


@cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@cache
def anchors_of(page):
    titles = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def is_there(reference):
    homes = (ROOT, PACKAGE, ROOT / "sync_pipeline_tests")
    return any(any(home.glob(reference)) for home in homes)


def named(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL)
    for found in LINK.finditer(prose):
        target = found[1] or found[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert place.is_relative_to(ROOT), target
        assert not anchor or place.suffix != ".md" or anchor in anchors_of(place), target


def test_paths_lead_somewhere():
    lost = {
        (str(path.relative_to(ROOT)), found[0])
        for path in TEXTS
        for found in PATH.finditer(text_of(path))
        if not is_there(found[0])
    }
    assert lost == set()


def test_decisions_are_there():
    numbers = [int(path.name[:4]) for path in sorted(DECISIONS.glob("[0-9]*.md"))]
    assert len(numbers) == len(set(numbers)), "two decisions have one number"
    lost = {
        (str(path.relative_to(ROOT)), found[0])
        for path in {*TEXTS, *PAGES}
        for found in DECISION.finditer(text_of(path))
        if int(found[1]) not in numbers
    }
    assert lost == set()


@pytest.mark.parametrize("path", sorted(DECISIONS.iterdir()), ids=lambda path: path.name)
def test_a_decision_has_the_number_of_its_file(path):
    assert text_of(path).startswith(f"# {int(path.name[:4])}. ")


def test_nothing_refers_to_what_no_reader_has():
    lost = {
        (str(path.relative_to(ROOT)), line.strip())
        for path in {*TEXTS, *PAGES}
        for line in text_of(path).splitlines()
        if ELSEWHERE.search(line) and "RFC" not in line
    }
    assert lost == set()


def test_the_readme_shows_every_folder_of_the_package():
    tree = text_of(ROOT / "README.md").split("\nsync_pipeline/\n")[1].split("```")[0]
    shown = set(re.findall(r"^  (\w+)/ ", tree, flags=re.MULTILINE))
    assert shown == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
