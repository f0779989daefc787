"""Summarize a run from what is on disk: figures that add up, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync_pipeline.batches.extraction import read_progress
from sync_pipeline.batches.layout import Spool, list_spools, read_json
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.batches.reading import read_keys
from sync_pipeline.batches.results import (
    FETCH,
    BatchResult,
    read_results,
    read_run_facts,
    unfinished_batches,
    write_result,
)
from sync_pipeline.batches.run_warnings import read_warnings
from sync_pipeline.batches.seen import keys_not_in
from sync_pipeline.errors import SpoolError, SyncPipelineError
from sync_pipeline.memory import peak_rss_mb
from sync_pipeline.model import BatchRef, Counts
from sync_pipeline.stages.setting import Setting
from sync_pipeline.stages.upsert import Upserted


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
    started = datetime.fromisoformat(str(manifest.run["started_at"]))
    last = max((datetime.fromisoformat(item.finished_at) for item in known), default=started)
    return RunSummary(
        sync_key=sync_key,
        mode=str(manifest.run["mode"]),
        dry_run=not manifest.run["apply"],
        batches=len(results),
        failed_batches=tuple(
            key
            for key, result in results.items()
            if result is None or result.status in ("failed", "waiting")
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
        mode=str(facts["options"]["mode"] if facts else asked.get("mode", "")),
        dry_run=not (facts or asked).get("apply", False),
        batches=0,
        failed_batches=(),
        counts=Counts(records=read_progress(spool).records, requests=requests),
        duration_s=0.0,
        peak_rss_mb=peak_rss_mb(),
        warnings=read_warnings(spool),
    )


def summarize_replay(
    setting: Setting, upserted: Sequence[Upserted], again: Sequence[Upserted] = ()
) -> RunSummary:
    """What a backfill did, without the batches that other runs did before it.

    Args:
        setting: The run.
        upserted: The batches that it replayed.
        again: Those of them that it took up again, to publish what links to other batches.
    """
    facts = read_run_facts(setting.spool)
    counts = sum((item.counts for item in upserted), Counts())
    _log_none_kept(setting, counts)
    return RunSummary(
        sync_key=setting.config.key,
        mode=str(facts["options"]["mode"]),
        dry_run=not setting.options.apply,
        batches=len(upserted),
        failed_batches=tuple(item.batch for item in upserted if item.failure),
        counts=counts.with_(
            published=counts.published + sum(item.counts.published for item in again),
            requests=counts.requests + sum(item.counts.requests for item in again),
        ),
        duration_s=sum(item.duration_s for item in (*upserted, *again)),
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


def supersede_older_batches(setting: Setting) -> list[str]:
    """Settle failed batches of earlier runs whose every key this whole, applied run fetched anew.

    A replay would have nothing to write then: newer data is there, or this run's own failed batch
    waits for it. Returns `<spool id>/<batch>` of what was settled.
    """
    manifest = read_manifest(setting.spool)
    if manifest is None or not manifest.run["apply"] or manifest.run["options"]["limit"]:
        return []
    settled: list[str] = []
    for older in list_spools(setting.storage_dir, setting.config.key):
        facts = read_run_facts(older)
        if not facts.get("apply") or facts["extraction"] >= manifest.run["extraction"]:
            continue
        if facts.get("target") != manifest.run.get("target"):  # numbered by another ledger
            continue
        older_manifest = read_manifest(older)
        if older_manifest is None:
            # Interrupted while fetching: the source was read anew from its start.
            _settle_interrupted(setting, older)
            settled.append(f"{older.spool_id}/{FETCH}")
            continue
        for ref in unfinished_batches(older, older_manifest):
            if not _is_fetched_anew(setting, ref):
                continue
            write_result(older, ref.key, _superseded(setting, ref.records))
            settled.append(f"{older.spool_id}/{ref.key}")
    return settled


def _is_fetched_anew(setting: Setting, older: BatchRef) -> bool:
    """Whether this run has fetched every key of a batch.

    One whose records are gone or damaged can be replayed by nobody: what it tells its reader is to
    run the sync anew, which this run has done.
    """
    try:
        keys = filter(None, read_keys(older))
        return next(keys_not_in(setting.spool.seen, keys), None) is None
    except SpoolError as error:
        setting.log.warning("%s: %s", setting.config.key, error)
        return True


def _settle_interrupted(setting: Setting, older: Spool) -> None:
    write_result(older, FETCH, _superseded(setting, 0))


def _superseded(setting: Setting, records: int) -> BatchResult:
    return BatchResult(
        status="superseded",
        counts=Counts(records=records, superseded=records),
        run_id=setting.run_id,
        finished_at=setting.clock().isoformat(timespec="milliseconds"),
    )
