"""Dagster's UI in Debian's Chromium: what an operator clicks, and what he sees.

Waits are for what a page shows. The UI polls, the daemon looks for backfills every 30 seconds, and
runs start processes of their own; so the waits are long, and cost nothing when they are not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
#: For a page, for a run or its process, for a backfill and its run; in milliseconds.
PAGE_MS, RUN_MS, BACKFILL_MS = 30_000, 90_000, 120_000


@contextmanager
def open_page(width: int = 1500, height: int = 950) -> Iterator[Page]:
    """A page of a headless browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PAGE_MS)
        expect.set_options(timeout=PAGE_MS)
        try:
            yield page
        finally:
            browser.close()


@dataclass
class Ui:
    """The UI of one code location."""

    page: Page
    url: str

    def open(self, path: str) -> None:
        """Open a page of the UI."""
        self.page.goto(f"{self.url}{path}")

    def open_job(self, job: str, tab: str = "") -> None:
        """Open a job, or one of its tabs (`playground`, `partitions`)."""
        self.open(f"/locations/sync_pipeline/jobs/{job}/{tab}")

    # ------------------------------------------------------------ Launchpad

    def open_launchpad(self, job: str) -> None:
        """Open the Launchpad and wait until it has filled in the defaults."""
        self.open_job(job, "playground")
        expect(self.page.get_by_text("No errors")).to_be_visible()

    def write_run_config(self, text: str) -> None:
        """Replace the text of the Launchpad's editor."""
        self.page.locator(".CodeMirror-code").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    @property
    def run_config(self) -> str:
        """The text of the Launchpad's editor."""
        lines = self.page.locator(".CodeMirror-line").all_inner_texts()
        return "\n".join(line.rstrip("\u200b") for line in lines)

    @property
    def launch_button(self) -> Locator:
        """Disabled while the run config is wrong."""
        return self.page.get_by_role("button", name="Launch Run")

    def launch(self) -> str:
        """Launch what the Launchpad holds; returns the id of the run, whose page then is open."""
        expect(self.page.get_by_text("No errors")).to_be_visible()
        self.launch_button.click()
        self.page.wait_for_url("**/runs/*")
        return self.page.url.rpartition("/")[2].partition("?")[0]

    # ------------------------------------------------------------ runs

    def wait_for_run(self, status: str) -> None:
        """Wait on the run's page for `Success` or `Failure`."""
        ended = self.page.get_by_text("Process for run exited")
        expect(ended.first).to_be_visible(timeout=RUN_MS)
        expect(self.page.get_by_text(status, exact=True).first).to_be_visible()

    def select_step(self, step: str) -> None:
        """Show only the events of a step."""
        self.page.get_by_text(step, exact=True).last.click()
        expect(self.page.get_by_text(f'Started execution of step "{step}".')).to_be_visible()

    # ------------------------------------------------------------ partitions

    def open_partitions(self, job: str, count: int) -> None:
        """Open a job's partitions and wait until it has that many."""
        self.open_job(job, "partitions")
        expect(self.page.get_by_text("Total partitions").locator("..")).to_have_text(
            f"{count}Total partitions"
        )

    def open_backfill_dialog(self) -> Locator:
        """The dialog behind "Launch backfill", with all partitions selected."""
        self.page.get_by_role("button", name="Launch backfill").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="All", exact=True).click()
        return dialog

    def launch_backfill(self, count: int) -> None:
        """Launch a backfill of all partitions, of which there are `count`."""
        dialog = self.open_backfill_dialog()
        runs = "1 run" if count == 1 else f"{count} runs"
        dialog.get_by_role("button", name=f"Submit {runs}").click()
        expect(self.page.get_by_text("Created backfill")).to_be_visible()
