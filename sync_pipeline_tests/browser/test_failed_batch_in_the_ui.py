"""An operator launches a sync in the UI, meets a failed batch, mends it and backfills it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_pipeline_tests.browser.dev_project import DevProject, running_dev
from sync_pipeline_tests.harness.rows import PAGE_SIZE, RowSource, product_rows, row_source

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
from sync_pipeline_tests.browser import ui as browser  # noqa: E402 - needs Playwright

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not browser.CHROMIUM.exists(), reason=f"there is no Chromium at {browser.CHROMIUM}"
    ),
]

MAPPING = {
    "sku": "{{ row.sku }}",
    "name.en-US": "{{ row.name }}",
    "stock": "{{ row.stock }}",
}
MENDED = {**MAPPING, "stock": "{{ row.stock if row.stock is number }}"}
RUN_CONFIG = "apply: true\nmode: streaming\nbatch_size: 10"


@pytest.fixture
def source() -> Iterator[RowSource]:
    """Three batches of ten; the second holds a text for an Integer field."""
    rows = product_rows(30)
    rows[13]["stock"] = "sold out"
    with row_source(rows) as source:
        yield source


def config(source: RowSource, mapping: dict[str, str]) -> dict[str, Any]:
    return {
        "contentType": "product",
        "contentKeyField": "sku",
        "target": {"space": "local", "model": "../model.json"},
        "endPoint": f"{source.url}/rows",
        "resultsJsonPath": "items",
        "pagination": {
            "limitKey": "limit",
            "skipKey": "offset",
            "limitMax": PAGE_SIZE,
            "totalPath": "total",
        },
        "mapping": mapping,
    }


@pytest.fixture
def project(tmp_path: Path, source: RowSource) -> DevProject:
    project = DevProject(tmp_path / "project")
    project.create()
    project.write_config("products", config(source, MAPPING))
    return project


def test_a_failed_batch_is_seen_mended_and_backfilled(
    project: DevProject, source: RowSource
) -> None:
    with running_dev(project) as url, browser.open_page() as page:
        ui = browser.Ui(page, url)
        _a_wrong_run_config_is_refused(ui)
        run_id = _a_run_with_a_bad_record_fails_in_one_batch(ui)
        partition = f"{run_id[:8]}__batch_000002"
        ui.open("/runs")
        expect(page.get_by_text("sync/progress: 3/3")).to_be_visible()
        expect(page.get_by_text("sync/failed: 1")).to_be_visible()

        ui.open_partitions("backfill_products", 1)
        expect(page.get_by_text(partition).first).to_be_visible()
        project.write_config("products", config(source, MENDED))
        ui.launch_backfill(1)

        ui.open_job("backfill_products", "runs")
        expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=browser.BACKFILL_MS)
        expect(page.get_by_text("sync/failed: 0")).to_be_visible()
        ui.open_partitions("backfill_products", 0)


def _a_wrong_run_config_is_refused(ui: browser.Ui) -> None:
    page = ui.page
    ui.open_launchpad("sync_products")
    assert "mode: regular" in ui.run_config
    assert "apply: false" in ui.run_config
    ui.write_run_config("mode: stream\nconcurrency: many")
    wrong = page.get_by_text("not in enum type regular | streaming | auto got stream")
    expect(wrong).to_be_visible()
    expect(page.get_by_text('Value "many"')).to_contain_text('expected type "1 to 32"')
    expect(ui.launch_button).to_be_disabled()

    ui.write_run_config("batch_size: 20000")
    expect(wrong).to_be_hidden()
    expect(ui.launch_button).to_be_enabled()
    ui.launch_button.click()
    refusal = page.get_by_role("dialog")
    expect(refusal).to_contain_text("20000 is not allowed; 1 to 10,000 or auto is")
    refusal.get_by_role("button", name="OK").click()


def _a_run_with_a_bad_record_fails_in_one_batch(ui: browser.Ui) -> str:
    page = ui.page
    ui.write_run_config(RUN_CONFIG)
    run_id = ui.launch()
    ui.wait_for_run("Failure")
    # The batch, and the summary of a run with a failed batch.
    expect(page.get_by_text("Errored (2)")).to_be_visible()
    # Fetching, indexing, three batches mapped and two written.
    expect(page.get_by_text("Succeeded (7)")).to_be_visible()

    ui.select_step("upsert_batch[batch_000002]")
    expect(page.get_by_text(re.compile("2 of 3 batches: 9 created, .* 1 failed"))).to_be_visible()
    expect(
        page.get_by_text("batch_000002: 1 entry failed: 1 x TypeMismatch in stock.en-US").first
    ).to_be_visible()
    letter = 'P0013 stock.en-US transform TypeMismatch "sold out" is not an integer'
    expect(page.get_by_role("row", name=letter, exact=True)).to_be_visible()
    expect(
        page.get_by_text(f"partition {run_id[:8]}__batch_000002 of backfill_products")
    ).to_be_visible()
    return run_id
