"""What a content type allows in a rich text, checked before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipeline.errors import RecordError
from sync_pipeline.rich_text.markdown_reading import read_markdown
from sync_pipeline.rich_text.rules import check_rules
from sync_pipeline.rich_text.shaping import build_document

TEXT = """# Title

**b** *i* `c` [l](u) <sup>2</sup>

- x

| a |
|---|
| b |

![](contentful:entry/e1)

![](contentful:asset/a1)
"""
KINDS = [
    "heading-1", "unordered-list", "table", "hyperlink", "embedded-entry-block",
    "embedded-asset-block",
]  # fmt: skip
MARKS = ["bold", "italic", "code", "superscript"]


def check(*rules: Any) -> None:
    check_rules(build_document(read_markdown(TEXT)), rules)


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"enabledNodeTypes": KINDS}, {"enabledMarks": MARKS, "message": "Only these"}],
        [{"nodes": {"embedded-entry-block": [{"size": {"min": 1, "max": 1}}], "hr": []}}],
        [{"nodes": {"embedded-entry-block": [{"linkContentType": ["x"]}], "hyperlink": None}}],
        [{"size": {"min": 1, "max": 100}}, {"unknown": True}, {"enabledMarks": None}],
    ],
)
def test_what_keeps_to_the_rules_is_taken(rules: list[Any]) -> None:
    check(*rules)


@pytest.mark.parametrize(
    ("rule", "error_id", "said"),
    [
        ({"enabledNodeTypes": KINDS[1:]}, "NotEnabled", "does not take heading-1 (enabledNodeTypes: unordered-list"),
        ({"enabledNodeTypes": []}, "NotEnabled", "embedded-asset-block, embedded-entry-block, heading-1, hyperlink, table, ... (enabledNodeTypes: none)"),
        ({"enabledNodeTypes": ["table"], "message": "Keep it simple"}, "NotEnabled", ": Keep it simple"),
        ({"enabledMarks": ["bold", "italic"]}, "NotEnabled", "does not take code, superscript (enabledMarks: bold, italic)"),
        ({"nodes": {"embedded-asset-block": [{"size": {"max": 0}, "message": "No pictures"}]}}, "OutOfRange", "1 nodes embedded-asset-block; the field takes at most 0: No pictures"),
        ({"nodes": {"hr": [{"size": {"min": 2, "max": 3}}]}}, "OutOfRange", "0 nodes hr; the field takes at least 2 and at most 3"),
        ({"nodes": {"embedded-resource-block": {"validations": [{"size": {"min": 1}}]}}}, "OutOfRange", "0 nodes embedded-resource-block"),
        ({"size": {"max": 5}}, "OutOfRange", "characters of text; the field takes at most 5"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_an_error_of_the_record(
    rule: dict[str, Any], error_id: str, said: str
) -> None:
    with pytest.raises(RecordError) as caught:
        check(rule)
    assert caught.value.error_id == error_id
    assert said in str(caught.value)
