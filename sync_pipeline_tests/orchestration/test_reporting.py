"""What the page of a run shows."""

from sync_pipeline.model import Counts
from sync_pipeline.orchestration.reporting import summary_metadata
from sync_pipeline.stages.summary import RunSummary


def page_of(*warnings: str) -> str:
    """The markdown of a run that wrote nothing."""
    summary = RunSummary(
        sync_key="things",
        mode="regular",
        dry_run=True,
        batches=1,
        failed_batches=(),
        counts=Counts(),
        duration_s=1.0,
        peak_rss_mb=1.0,
        warnings=warnings,
    )
    return str(summary_metadata(summary)["summary"].value)


def test_a_run_without_warnings_says_nothing_of_them():
    assert "arning" not in page_of()


def test_a_warning_cannot_write_markdown_or_html_of_its_own():
    page = page_of("first", "<img src=x> | [a](b)\n# *key_of_a_source*")
    assert "**Warnings: 2**" in page
    assert r"- \<img src=x\> \| \[a\](b) \# \*key\_of\_a\_source\*" in page.splitlines()
