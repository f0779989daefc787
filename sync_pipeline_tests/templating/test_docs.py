from __future__ import annotations

import re
from pathlib import Path

from sync_pipeline.templating import build_environment

DOCS = Path(__file__).parents[2] / "docs" / "templates.md"


def test_every_function_is_documented_and_every_documented_one_exists() -> None:
    text = DOCS.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(cute\.\w+)\(", text, flags=re.MULTILINE))
    for group, names in re.findall(r"^\| `(\w+)\.` \| (.*) \|$", text, flags=re.MULTILINE):
        documented |= {f"{group}.{name}" for name in re.findall(r"`(\w+)`", names)}
    assert documented == {name for name in build_environment().filters if "." in name}


def test_every_error_of_a_record_is_documented() -> None:
    package = Path(__file__).parents[2] / "sync_pipeline"
    source = "".join(
        path.read_text(encoding="utf-8")
        for room in ("transform", "templating", "rich_text")
        for path in (package / room).rglob("*.py")
    )
    raised = set(re.findall(r'error_id="(\w+)"', source))
    documented = (DOCS.parent / "field-types.md").read_text(encoding="utf-8")
    assert {name for name in raised if f"`{name}`" not in documented} == set()
