"""Extract: pages of the source into batches of the spool, checkpointed after every page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sync_pipeline.batches.extraction import Extraction, Progress, open_extraction
from sync_pipeline.batches.facts import RunFacts, read_run_facts, write_run_facts
from sync_pipeline.batches.layout import list_spools
from sync_pipeline.batches.manifest import Manifest, read_manifest
from sync_pipeline.batches.results import (
    FETCH,
    BatchResult,
    read_result,
    write_result,
)
from sync_pipeline.batches.sizing import (
    COPIES_IN_MEMORY,
    Load,
    choose_batch_size,
    shrink_batch_size,
)
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import (
    LeaseLostError,
    MemoryBoundError,
    SpoolError,
    SyncPipelineError,
    UsageError,
)
from sync_pipeline.extract import SourceSetting, open_source
from sync_pipeline.memory import memory_bound_mb, rss_mb
from sync_pipeline.model import Counts, Page, Source, TargetModel
from sync_pipeline.private_files import make_private_folder
from sync_pipeline.stages.lookup import RunMapping, compile_run_mapping
from sync_pipeline.stages.run_warnings import build_warner
from sync_pipeline.stages.setting import (
    Setting,
    add_requests,
    build_redactor,
    fetch_target,
    open_client,
    open_sync_ledger,
    target_name,
    write_target_model,
)
from sync_pipeline.transform import Mapper

#: `mode: auto` streams from here on (the seed: "regular mode when dataset size < 5,000").
AUTO_STREAMS_ABOVE = 5_000
REGULAR_WARNS_ABOVE = 10_000


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole extraction, and what fetching it cost this time."""

    manifest: Manifest
    #: `regular` or `streaming`: what `auto` or a fallback came to.
    mode: str
    #: Requests to the space (content type, locales, enumerations).
    space_requests: int


def fetch(setting: Setting, on_page: Callable[[Progress], None] = lambda _: None) -> Fetched:
    """Fetch what is not yet spooled; checks mapping and content type before the first request.

    Args:
        setting: The run; its spool may hold an interrupted or a whole extraction.
        on_page: Called after every page that was kept.

    Raises:
        UsageError: The mapping does not fit the content type, or a variable is missing.
        SourceError: The source failed; finished pages are kept, a repeated call goes on after them.
        MemoryBoundError: A regular run would pass SYNC_MAX_MEMORY_MB.
        SpoolError: The disk is full.
    """
    with open_client(setting) as client:
        mapping: RunMapping | None = None
        facts = _open_facts(setting)  # before the first request: a run that ends here is made good
        try:
            target = fetch_target(client, setting.config)
            mapping = compile_run_mapping(setting, target)
            manifest = _fetch(setting, facts, target, mapping, on_page)
        except LeaseLostError:
            raise  # whoever goes on with the extraction says how it ended
        except SyncPipelineError as error:
            _record_failure(setting, error)
            raise
        finally:
            requests = client.requests + (mapping.lookup.requests if mapping else 0)
            add_requests(setting.spool, "fetch", requests)
    return Fetched(manifest, manifest.mode, requests)


def _record_failure(setting: Setting, error: SyncPipelineError) -> None:
    """Note why an extraction is not whole; a run that has only to be corrected leaves nothing."""
    spool = setting.spool
    is_new = spool.spool_id == setting.run_id and not spool.database.exists()
    if isinstance(error, UsageError) and is_new:
        shutil.rmtree(spool.root)
    elif setting.options.apply and read_manifest(spool) is None:
        previous = read_result(spool, FETCH)
        result = BatchResult(
            status="failed",
            counts=Counts(),
            run_id=setting.run_id,
            finished_at=setting.clock().isoformat(timespec="milliseconds"),
            reason=build_redactor(setting).redact(str(error)),
            attempts=previous.attempts + 1 if previous else 1,
        )
        with suppress(SpoolError):  # a full disk, say, which is the error to be told
            write_result(spool, FETCH, result)


def _fetch(
    setting: Setting,
    facts: RunFacts,
    target: TargetModel,
    mapping: RunMapping,
    on_page: Callable[[Progress], None],
) -> Manifest:
    write_target_model(setting, target)
    manifest = read_manifest(setting.spool)
    if manifest is not None:
        return manifest
    source = open_source(
        setting.config,
        SourceSetting(
            variables=setting.environment.template_variables,
            cache_dir=setting.storage_dir / "cache" if setting.options.use_file_cache else None,
            lookup=mapping.lookup,
            limit=setting.options.limit,
            log=setting.log,
            on_warning=build_warner(setting),
        ),
    )
    try:
        return _spool_pages(setting, source, mapping.mapper, facts, on_page)
    finally:
        source.close()


def _open_facts(setting: Setting) -> RunFacts:
    """What this extraction was asked for: written once, kept by whoever goes on with it."""
    facts = read_run_facts(setting.spool)
    if facts is not None:
        return facts
    make_private_folder(setting.spool.root)
    target = target_name(setting.config, setting.environment)
    with open_sync_ledger(setting) as ledger:
        extraction = ledger.next_extraction(setting.run_id, above=_last_extraction(setting, target))
    options, reason = _effective_options(setting)
    if reason:
        setting.log.warning("%s: %s", setting.config.key, reason)
    facts = RunFacts(
        sync_key=setting.config.key,
        run_id=setting.run_id,
        options=options,
        extraction=extraction,
        target=target,
        started_at=setting.clock(),
    )
    write_run_facts(setting.spool, facts)
    return facts


def _last_extraction(setting: Setting, target: str) -> int:
    """The largest number among the spools that are kept: a ledger that was lost begins anew."""
    kept = map(read_run_facts, list_spools(setting.storage_dir, setting.config.key))
    return max((facts.extraction for facts in kept if facts and facts.target == target), default=0)


def _effective_options(setting: Setting) -> tuple[RunOptions, str]:
    """Graceful degradation: a source that cannot be streamed is read in regular mode."""
    options = setting.options
    if options.mode != "regular" and not setting.config.stream:
        reason = (
            f"{options.mode} mode was asked for, but the file says `stream: false`; going on in "
            "regular mode, which holds the whole data set in memory"
        )
        return options.model_copy(update={"mode": "regular"}), reason
    return options, ""


def _spool_pages(
    setting: Setting,
    source: Source,
    mapper: Mapper,
    facts: RunFacts,
    on_page: Callable[[Progress], None],
) -> Manifest:
    options = facts.options
    started = time.monotonic()
    entry_id_of = mapper.entry_id_of if mapper.maps_ids else None
    with open_extraction(setting.spool, mapper.key_of, entry_id_of) as extraction:
        first_record = extraction.progress.records
        if first_record:
            setting.log.info(
                "%s: goes on after page %d, %d records are already spooled",
                setting.config.key, extraction.progress.pages, first_record,
            )  # fmt: skip
        size = _BatchSizing(setting, options)
        if not extraction.progress.exhausted:
            for page in source.fetch_pages(extraction.progress.checkpoint):
                setting.guard()
                extraction.add_page(page, size.next(extraction, page))
                on_page(extraction.progress)
                _log_page(setting, extraction.progress, first_record, started)
            setting.guard()
            if not extraction.progress.exhausted:
                extraction.mark_exhausted()
        whole = options.mode == "regular" or (
            options.mode == "auto" and extraction.progress.records <= AUTO_STREAMS_ABOVE
        )
        return extraction.finish(facts, whole=whole)


class _BatchSizing:
    """Chooses the size of the batches that follow, page by page."""

    def __init__(self, setting: Setting, options: RunOptions) -> None:
        self._setting = setting
        self._options = options
        self._bound_mb = memory_bound_mb(setting.environment.max_memory_mb)
        self._spooled_bytes = 0
        self._warned = False
        self._shrunk_to: int | None = None

    def next(self, extraction: Extraction, page: Page) -> int | None:
        records = extraction.progress.records + len(page.records)
        record_bytes = extraction.average_record_bytes()
        load = Load(record_bytes, self._entries_per_s(), rss_mb(), self._bound_mb)
        if self._options.mode == "regular":
            self._watch_regular(records, load)
            return None
        if self._options.batch_size == "auto":
            return choose_batch_size(load)
        wanted = self._options.batch_size
        size = shrink_batch_size(wanted, load)
        if size < wanted and size != self._shrunk_to:
            self._shrunk_to = size
            self._setting.log.warning(
                "%s: memory is at %.0f of %.0f MB; batches shrink from %d to %d records",
                self._setting.config.key, load.rss_mb, load.bound_mb, wanted, size,
            )  # fmt: skip
        return size

    def _entries_per_s(self) -> float | None:
        if self._setting.config.target.space == "local":
            return None
        return self._setting.environment.rate_limit or None

    def _watch_regular(self, records: int, load: Load) -> None:
        key = self._setting.config.key
        if records > REGULAR_WARNS_ABOVE and not self._warned:
            self._warned = True
            self._setting.log.warning(
                "%s: more than %d records in regular mode, which holds them all in memory; "
                "streaming mode (`mode: streaming`) would hold one batch",
                key, REGULAR_WARNS_ABOVE,
            )  # fmt: skip
        if self._setting.environment.max_memory_mb is None:
            return
        needed_mb = records * (load.record_bytes or 0) * COPIES_IN_MEMORY / 1024**2
        if load.rss_mb + needed_mb > load.bound_mb:
            raise MemoryBoundError(
                f"{key}: {records:,} records in regular mode would need about "
                f"{load.rss_mb + needed_mb:,.0f} MB, more than SYNC_MAX_MEMORY_MB="
                f"{load.bound_mb:,.0f}. Nothing was written. Run it with `mode: streaming`."
            )


def _log_page(setting: Setting, progress: Progress, first_record: int, started: float) -> None:
    seconds = max(time.monotonic() - started, 1e-6)
    speed = (progress.records - first_record) / seconds
    of_total, left = "", ""
    if progress.total is not None:
        total = min(progress.total, setting.options.limit or progress.total)
        of_total = f" of {total:,}"
        missing = total - progress.records
        left = f", about {missing / speed:.0f} s left" if speed and missing > 0 else ""
    setting.log.info(
        "%s: page %d, %s%s records, %s/s, %.0f MB%s",
        setting.config.key, progress.pages, f"{progress.records:,}", of_total,
        f"{speed:,.0f}", rss_mb(), left,
    )  # fmt: skip
