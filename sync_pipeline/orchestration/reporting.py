"""What a step shows on Dagster's screen: figures, tables, one page of markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from sync_pipeline.batches.results import NOT_COME_TO, BatchResult
from sync_pipeline.memory import peak_rss_mb
from sync_pipeline.model import Counts, DeadLetter
from sync_pipeline.stages.summary import RunSummary

#: Failed batches that the table of a run shows.
BATCHES_SHOWN = 100
_ENTRY_COLUMNS = ("key", "field", "stage", "error_id", "message", "request_id")
#: Counts of the run, in the order in which people ask for them. All are there in every run, since
#: their names are an interface of metadata and `--json`.
_SUMMARY_ROWS = (
    "records", "created", "updated", "unchanged", "published", "deleted", "failed",
    "filtered", "duplicates", "superseded", "publish_skipped", "locales_left", "requests",
)  # fmt: skip
_ALWAYS_SHOWN = frozenset(
    {"records", "created", "updated", "unchanged", "published", "failed", "requests"}
)


def figures(records: int, seconds: float) -> dict[str, Any]:
    """Figures that every step has; their names are an interface."""
    return {
        "records": records,
        "duration_s": round(seconds, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "records_per_s": round(records / seconds, 1) if seconds > 0 else 0.0,
    }


def counts_metadata(counts: Counts, seconds: float) -> dict[str, Any]:
    """All counts of a batch or run, and the figures that every step has."""
    return {name: getattr(counts, name) for name in _SUMMARY_ROWS} | figures(
        counts.records, seconds
    )


def failed_entries_table(letters: Sequence[DeadLetter]) -> dg.TableMetadataValue:
    """The failed entries of a batch, as a table on its red step."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({column: str(getattr(letter, column)) for column in _ENTRY_COLUMNS})
            for letter in letters
        ],
        schema=dg.TableSchema(
            columns=[dg.TableColumn(column, "string") for column in _ENTRY_COLUMNS]
        ),
    )


def summary_values(summary: RunSummary) -> dict[str, Any]:
    """A run as plain values, with the names of `sync-pipeline run --json`."""
    return {
        **{name: getattr(summary.counts, name) for name in _SUMMARY_ROWS},
        "duration_s": round(summary.duration_s, 3),
        "peak_rss_mb": round(summary.peak_rss_mb, 1),
        "records_per_s": round(summary.records_per_s, 1),
        "mode": summary.mode,
        "batches": summary.batches,
        "failed_batches": list(summary.failed_batches),
        "dry_run": summary.dry_run,
        "warnings": list(summary.warnings),
    }


def summary_metadata(
    summary: RunSummary, results: Mapping[str, BatchResult] | None = None
) -> dict[str, Any]:
    """The final step's metadata: a page, each figure by itself (Dagster plots them), a table.

    The page comes first: Dagster's event log shows seven lines of an event.

    Args:
        summary: The run.
        results: How its batches ended, by key.
    """
    values = summary_values(summary)
    failed = {"failed_batches": _failed_batches_table(summary, results or {})}
    return {
        "summary": dg.MetadataValue.md(_markdown(summary)),
        **(failed if summary.failed_batches else {}),
        **{name: value for name, value in values.items() if not isinstance(value, list)},
        "table": dg.MetadataValue.table(
            records=[
                dg.TableRecord({"figure": name, "value": getattr(summary.counts, name)})
                for name in _shown_rows(summary.counts)
            ],
            schema=dg.TableSchema(
                columns=[dg.TableColumn("figure", "string"), dg.TableColumn("value", "int")]
            ),
        ),
    }


def _failed_batches_table(
    summary: RunSummary, results: Mapping[str, BatchResult]
) -> dg.TableMetadataValue:
    records = []
    for key in summary.failed_batches[:BATCHES_SHOWN]:
        result = results.get(key)
        row = {
            "batch": key,
            "failed": result.counts.failed if result else "",
            "reason": result.reason if result else NOT_COME_TO,
        }
        records.append(dg.TableRecord({name: str(value) for name, value in row.items()}))
    columns = [dg.TableColumn(name, "string") for name in ("batch", "failed", "reason")]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def _markdown(summary: RunSummary) -> str:
    counts = summary.counts
    did = "would have" if summary.dry_run else "has"
    outcome = "dry run, nothing was written" if summary.dry_run else "applied"
    lines = [
        f"### {summary.sync_key}: {outcome}",
        "",
        (
            f"This {summary.mode} run {did} **created {counts.created:,}**, "
            f"**updated {counts.updated:,}** and **published {counts.published:,}** entries from "
            f"{counts.records:,} records; {counts.unchanged:,} were as they should be."
        ),
        "",
        "| | |",
        "|---|---:|",
        *(f"| {name} | {getattr(counts, name):,} |" for name in _shown_rows(counts)),
        f"| seconds | {summary.duration_s:,.1f} |",
        f"| records per second | {summary.records_per_s:,.0f} |",
        f"| peak memory | {summary.peak_rss_mb:,.0f} MB |",
        f"| batches | {summary.batches:,} |",
    ]
    if summary.warnings:
        lines += ["", f"**Warnings: {len(summary.warnings)}**", ""]
        lines += [f"- {_plain(warning)}" for warning in summary.warnings]
    if counts.failed or summary.failed_batches:
        lines += ["", _failures_text(summary)]
    return "\n".join(lines)


def _failures_text(summary: RunSummary) -> str:
    failed, key = summary.counts.failed, summary.sync_key
    entries = f"**{failed:,} entries failed**"
    if not summary.failed_batches:
        return f"{entries}, within what the run tolerates. `sync-pipeline failed {key}` lists them."
    batches = f"in **{len(summary.failed_batches):,} of {summary.batches:,} batches**"
    if summary.dry_run:
        return f"{entries} {batches}. The red steps show why; nothing is to be backfilled."
    return (
        f"{entries} {batches}. `sync-pipeline failed {key}` lists them with their reasons; the "
        f"batches are partitions of `backfill_{key}` until a backfill, or a later run, is done."
    )


def _shown_rows(counts: Counts) -> list[str]:
    """The figures that pages and tables show.

    A zero tells something only of what every run does: no run takes entries away, and a page that
    says `deleted 0` reads as if it had looked for some.
    """
    return [name for name in _SUMMARY_ROWS if name in _ALWAYS_SHOWN or getattr(counts, name)]


def _plain(text: str) -> str:
    """A text of somebody else's, as one line of markdown that means nothing but itself."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))
