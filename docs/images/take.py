"""Take the pictures of docs/dagster-ui.md: real runs of the demo's airports in `sync-pipeline dev`.

Needs Debian's Chromium at /usr/bin/chromium and four minutes: `python docs/images/take.py`.
The airports are those of `sync-pipeline demo`, but 5,000 of them, two with a wrong elevation.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tests are not installed

from sync_pipeline.demo.source import load_airports
from sync_pipeline_tests.browser.dev_project import DevProject, running_dev
from sync_pipeline_tests.browser.ui import RUN_MS, Ui, open_page
from sync_pipeline_tests.extract.api import Reply, Request, serve

IMAGES = Path(__file__).resolve().parent
PROJECT = IMAGES.parents[1]
RECORDS = 5_000
#: In the third batch of a thousand.
BAD_RECORDS = {2_207: "unknown", 2_208: "n/a"}
#: A dialog fades in.
FADE_MS = 1_000
RUN_CONFIG = "apply: true\nbatch_size: 1000\nmode: streaming"
Row = dict[str, Any]


def main() -> None:
    """Take all pictures into the folder of this file."""
    airports = load_airports()[:RECORDS]
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(lambda request: _page_of(airports, request)) as api,
    ):
        project = _create_project(Path(folder) / "project", f"{api.url}/airports")
        with running_dev(project) as url, open_page() as page:
            ui = Ui(page, url)
            _picture_launchpad(ui)
            _picture_run(ui)
            good = {number: airports[number]["elevation"] for number in BAD_RECORDS}
            _set(airports, "elevation", BAD_RECORDS)
            _set(airports, "tz", dict.fromkeys(range(0, RECORDS, 3), "UTC"))
            _picture_failed_batch(ui)
            _picture_backfill(ui)
            _set(airports, "elevation", good)
            for every in (7, 5, 11):
                city = dict.fromkeys(range(0, RECORDS, every), f"City {every}")
                _set(airports, "city", city)
                _launch(ui)
                ui.wait_for_run("Success")
            _picture_runs(ui)
            _picture_asset(ui)


def _page_of(airports: list[Row], request: Request) -> Reply:
    limit, offset = int(request.query["limit"]), int(request.query["offset"])
    return Reply({"total": len(airports), "items": airports[offset : offset + limit]})


def _create_project(root: Path, end_point: str) -> DevProject:
    """A project with the sync of the demo, which reads from here."""
    project = DevProject(root)
    project.create()
    values = yaml.safe_load((PROJECT / "configs" / "airports.yaml").read_text(encoding="utf-8"))
    values["endPoint"] = end_point
    values["target"]["model"] = str(PROJECT / "sync_pipeline" / "demo" / "airport_space.json")
    # A text goes on to the field's type, whose error the pictures show.
    number = "{{ row.elevation | round | int if row.elevation is number else row.elevation }}"
    values["mapping"]["elevationFt"] = number
    project.write_config("airports", values)
    return project


def _set(airports: list[Row], field: str, values: dict[int, Any]) -> None:
    for number, value in values.items():
        airports[number] = {**airports[number], field: value}


def _launch(ui: Ui) -> None:
    ui.open_launchpad("sync_airports")
    ui.write_run_config(RUN_CONFIG)
    ui.launch()


def _save(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=IMAGES / f"{name}.png")


def _picture_launchpad(ui: Ui) -> None:
    ui.open_launchpad("sync_airports")
    ui.write_run_config("apply: true\nbatch_size: 1000\nmode: ")
    ui.page.keyboard.press("Control+Space")
    expect(ui.page.get_by_role("option", name="streaming")).to_be_visible()
    _save(ui.page, "launchpad")


def _picture_run(ui: Ui) -> None:
    """A run that is going, with the sync's own lines."""
    _launch(ui)
    page = ui.page
    expect(page.get_by_text(re.compile("3 of 5 batches")).last).to_be_visible(timeout=RUN_MS)
    _enlarge_gantt(page)
    _toggle_events(page)
    _save(page, "run")
    _toggle_events(page)
    ui.wait_for_run("Success")


def _enlarge_gantt(page: Page) -> None:
    """Drag the edge between the Gantt view and the log."""
    page.mouse.move(800, 345)
    page.mouse.down()
    page.mouse.move(800, 520, steps=5)
    page.mouse.up()


def _toggle_events(page: Page) -> None:
    """Hide or show Dagster's events; the lines of the sync stay."""
    page.get_by_role("button", name="Levels").click()
    page.locator("label[for=menu-check-EVENT]").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)


def _picture_failed_batch(ui: Ui) -> None:
    _launch(ui)
    ui.wait_for_run("Failure")
    ui.select_step("upsert_batch[batch_000003]")
    ui.page.get_by_role("button", name="View full message").last.click()
    expect(ui.page.get_by_role("dialog").get_by_text("unknown").last).to_be_visible()
    ui.page.wait_for_timeout(FADE_MS)
    _save(ui.page, "failed-batch")


def _picture_backfill(ui: Ui) -> None:
    ui.open_partitions("backfill_airports", 1)
    dialog = ui.open_backfill_dialog()
    expect(dialog.get_by_role("button", name="Submit 1 run")).to_be_visible()
    _save(ui.page, "backfill")


def _picture_runs(ui: Ui) -> None:
    ui.open("/runs")
    expect(ui.page.get_by_text("sync/progress: 5/5").first).to_be_visible()
    _save(ui.page, "runs")


def _picture_asset(ui: Ui) -> None:
    ui.open("/assets/contentful/airport")
    ui.page.get_by_role("button", name="Plots").click()
    ui.page.get_by_text("records_per_s", exact=True).scroll_into_view_if_needed()
    _save(ui.page, "asset")


if __name__ == "__main__":
    main()
