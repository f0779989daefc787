"""Summarize a run from what is on disk: figures that add up, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync_pipeline.batches.extraction import read_progress
from sync_pipeline.batches.facts import read_run_facts
from sync_pipeline.batches.layout import Spool, read_json
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.batches.results import read_results, records_of
from sync_pipeline.batches.run_warnings import read_warnings
from sync_pipeline.errors import SyncPipelineError
from sync_pipeline.memory import peak_rss_mb
from sync_pipeline.model import BatchRef, Counts
from sync_pipeline.stages.setting import Setting


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as a whole, re-executed and resumed parts included."""

    sync_key: str
    mode: str
    dry_run: bool
    batches: int
    #: Keys of the batches that are still failed.
    failed_batches: tuple[str, ...]
    counts: Counts
    #: From the start of the extraction to now, in seconds.
    duration_s: float
    #: Highest of all steps that reported, in MiB.
    peak_rss_mb: float
    #: What a reader must know beside the figures; see `stages.run_warnings`.
    warnings: tuple[str, ...] = ()

    @property
    def records_per_s(self) -> float:
        """Records over the whole duration."""
        return self.counts.records / self.duration_s if self.duration_s > 0 else 0.0


def summarize(setting: Setting) -> RunSummary:
    """Add up the results of all batches of an extraction, up to now.

    Raises:
        SyncPipelineError: The figures do not add up: a record was lost on its way. Never expected.
    """
    summary = summarize_spool(setting.config.key, setting.spool, setting.clock(), peak_rss_mb())
    _log_none_kept(setting, summary.counts)
    return summary


def none_kept_warning(sync_key: str, records: int, filtered: int) -> str:
    """What to say of a run that kept not one of its records; "" where it kept some, or had none."""
    if not records or filtered < records:
        return ""
    return (
        f"{sync_key}: filterExpression leaves out all of the {records:,} records. "
        f"`sync-pipeline preview {sync_key}` tries another one without writing"
    )


def summarize_spool(
    sync_key: str, spool: Spool, now: datetime | None = None, own_peak_rss_mb: float = 0.0
) -> RunSummary:
    """Add up the results of a spool; without `now`, up to the end of its last batch."""
    manifest = read_manifest(spool)
    if manifest is None:
        raise SyncPipelineError(f"{spool.root}: the extraction is not whole; resume the run.")
    ended = read_results(spool)
    results = {ref.key: ended.get(ref.key) for ref in manifest.batches}
    known = [result for result in results.values() if result is not None]
    counts = sum((result.counts for result in known), Counts())
    # Of a run that broke off: read, and not come to.
    left = sum(
        ref.records + manifest.routed.get(ref.key, 0)
        for ref in manifest.batches
        if results[ref.key] is None
    )
    counts += Counts(records=left, failed=left)
    drafts = read_json(spool.root / "drafts.json") or {"published": 0}
    counts = counts.with_(
        requests=counts.requests + _requests_around_batches(spool),
        published=counts.published + drafts["published"],
    )
    _check(manifest, counts)
    started = manifest.run.started_at
    last = max((datetime.fromisoformat(item.finished_at) for item in known), default=started)
    return RunSummary(
        sync_key=sync_key,
        mode=manifest.mode,
        dry_run=not manifest.run.options.apply,
        batches=len(results),
        failed_batches=tuple(
            key for key, result in results.items() if result is None or result.is_open
        ),
        counts=counts,
        duration_s=max(((now or last) - started).total_seconds(), 0.0),
        peak_rss_mb=max([own_peak_rss_mb, *(result.peak_rss_mb for result in known)]),
        warnings=_warnings(sync_key, spool, counts),
    )


def summarize_interrupted(sync_key: str, spool: Spool, asked: Mapping[str, Any]) -> RunSummary:
    """What is known of a run whose extraction is not whole: nothing was written yet.

    Args:
        sync_key: Key of the sync.
        spool: Of the run; there may be none.
        asked: The run config, which counts where the run ended before it had begun.
    """
    facts = read_run_facts(spool)
    requests = _requests_around_batches(spool)
    return RunSummary(
        sync_key=sync_key,
        mode=str(facts.options.mode if facts else asked.get("mode", "")),
        dry_run=not (facts.options.apply if facts else asked.get("apply", False)),
        batches=0,
        failed_batches=(),
        counts=Counts(records=read_progress(spool).records, requests=requests),
        duration_s=0.0,
        peak_rss_mb=peak_rss_mb(),
        warnings=read_warnings(spool),
    )


def summarize_replay(setting: Setting, refs: Sequence[BatchRef]) -> RunSummary:
    """What a backfill did, without what other runs did to its batches before it.

    Args:
        setting: The run.
        refs: The batches that it replayed.
    """
    ended = read_results(setting.spool)
    counts, seconds, failed = Counts(), 0.0, []
    for ref in refs:
        result = ended.get(ref.key)
        if result is None or result.run_id != setting.run_id:  # its process was killed
            records = records_of(setting.spool, ref.key)
            counts += Counts(records=records, failed=records)
            failed.append(ref.key)
            continue
        counts, seconds = counts + result.own, seconds + result.duration_s
        if result.is_open:
            failed.append(ref.key)
    _log_none_kept(setting, counts)
    return RunSummary(
        sync_key=setting.config.key,
        mode=str(setting.options.mode),
        dry_run=not setting.options.apply,
        batches=len(refs),
        failed_batches=tuple(failed),
        counts=counts,
        duration_s=seconds,
        peak_rss_mb=peak_rss_mb(),
        warnings=_warnings(setting.config.key, setting.spool, counts),
    )


def _log_none_kept(setting: Setting, counts: Counts) -> None:
    none_kept = none_kept_warning(setting.config.key, counts.records, counts.filtered)
    if none_kept:
        setting.log.warning("%s", none_kept)


def _warnings(sync_key: str, spool: Spool, counts: Counts) -> tuple[str, ...]:
    none_kept = none_kept_warning(sync_key, counts.records, counts.filtered)
    return (*((none_kept,) if none_kept else ()), *read_warnings(spool))


def _requests_around_batches(spool: Spool) -> int:
    parts = (read_json(spool.root / f"{name}.json") for name in ("fetch", "index", "drafts"))
    return sum(part["requests"] for part in parts if part is not None)


def _check(manifest: Manifest, counts: Counts) -> None:
    if not manifest.records == counts.records == counts.accounted:
        raise SyncPipelineError(
            f"The figures do not add up: {manifest.records} records were fetched, {counts.records} "
            f"reached a batch, and {counts.accounted} have a known fate ({counts}). Please report "
            "this with the run's log; the spool is kept."
        )
