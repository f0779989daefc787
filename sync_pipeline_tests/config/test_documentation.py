"""docs/configuration.md names every key, and no key that there is not."""

import re
import runpy
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from sync_pipeline.config import environment, model, sources
from sync_pipeline.config.environment import OWN_VARIABLES
from sync_pipeline.config.loading import parse_config
from sync_pipeline.config.normalizing import file_fields, file_name_of
from sync_pipeline.config.pagination import Pagination
from sync_pipeline.templating import compile_text

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "configuration.md").read_text(encoding="utf-8")

SECTIONS: dict[str, list[type[BaseModel]]] = {
    "Top level": [model.SyncConfig],
    "`mapping`": [model.MappingRule],
    "`preMapping`": [model.PreMapping],
    "`enumerateForContentTypes`": [model.Enumeration],
    "`pagination`": [Pagination],
    "`auth`": [sources.BearerAuth, sources.BasicAuth, sources.ApiKeyAuth, sources.OAuth2Auth],
    "`csv`": [sources.CsvFormat],
    "`schedule`": [model.Schedule],
    "`sensor`": [model.Sensor],
    "`target`": [model.Target],
    "`tests`": [model.SampleTest],
}


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"## {title}\n", 1)[1], flags=re.MULTILINE)[0]


def documented(text: str) -> set[str]:
    rows = re.findall(r"^\| (`[^|]*`) \|", text, flags=re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize(("title", "models"), SECTIONS.items(), ids=SECTIONS.keys())
def test_every_key_is_documented_and_every_documented_key_is(
    title: str, models: list[type[BaseModel]]
) -> None:
    known = {file_name_of(name, info) for one in models for name, info in file_fields(one).items()}
    assert documented(section(title)) == known


def test_the_tables_made_from_the_code_are_those_of_today() -> None:
    """`make docs` writes them anew."""
    made = runpy.run_path(str(DOCS / "tables.py"))
    pages = [page.read_text(encoding="utf-8") for page in made["PAGES"]]
    assert [made["render_page"](page) for page in pages] == pages
    shown = {name for page in pages for name in re.findall(r"<!-- table: (.+) -->", page)}
    assert shown == made["TABLES"].keys()


def test_every_kind_of_auth_has_its_own_table() -> None:
    tables = re.split(r"^`type: (\w+)`$", section("`auth`"), flags=re.MULTILINE)[1:]
    found = {kind: documented(table) for kind, table in zip(tables[::2], tables[1::2], strict=True)}
    kinds = (sources.BearerAuth, sources.BasicAuth, sources.ApiKeyAuth, sources.OAuth2Auth)
    assert found == {
        kind.model_fields["type"].annotation.__args__[0]: {  # type: ignore[union-attr]
            file_name_of(name, info) for name, info in file_fields(kind).items()
        }
        for kind in kinds
    }


def test_every_section_is_about_the_model() -> None:
    titles = set(re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE))
    assert titles == {*SECTIONS, "How a file is read", "Environment variables"}


def test_every_variable_that_configures_us_is_documented() -> None:
    named = documented(section("Environment variables"))
    assert named >= OWN_VARIABLES
    source = Path(environment.__file__).read_text(encoding="utf-8")
    assert named - {"SYNC_...", "Cute__..."} == set(
        re.findall(r'"((?:CONTENTFUL|SYNC)_[A-Z_]+[A-Z])"', source)
    )


@pytest.mark.parametrize("name", ["configuration.md", "migrating-from-cute.md"])
def test_examples_of_whole_files_load(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    examples = [
        example
        for example in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
        if "contentKeyField" in example
    ]
    assert examples
    for example in examples:
        config, _ = parse_config(example, key="products")
        assert config.mapping


@pytest.mark.parametrize("name", ["configuration.md", "migrating-from-cute.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        path, anchor = target
        page = (DOCS / path).read_text(encoding="utf-8") if path else text
        titles = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, target


def test_jinja2_of_the_migration_guide_compiles() -> None:
    text = (DOCS / "migrating-from-cute.md").read_text(encoding="utf-8")
    templates = text.split("## Templates")[1]
    rows = re.findall(r"^\| `.*` \| `(.*)` \|$", templates, flags=re.MULTILINE)
    assert len(rows) == 5
    for template in [*rows, *re.findall(r"`(\{\{ [^`]*\}\})`", templates.split("| Scriban")[0])]:
        compile_text(template, names={"row", "var", "config"})


def test_fragments_of_yaml_are_yaml() -> None:
    for fragment in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL):
        assert yaml.safe_load(fragment)
