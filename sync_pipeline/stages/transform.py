"""Transform one batch: records to desired entries, failures to dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sync_pipeline.batches.layout import ensure_disk_space
from sync_pipeline.batches.reading import encode_desired, read_batch, write_lines
from sync_pipeline.model import BatchRef, DeadLetter, DesiredEntry, SpooledRecord
from sync_pipeline.stages.lookup import run_mapping
from sync_pipeline.stages.run_warnings import warn
from sync_pipeline.stages.setting import Setting, build_letter_redactor

#: Conflicts that are named in the log; all are counted.
CONFLICTS_NAMED = 5
#: The same for all batches, so that it is told once with the number of batches.
BLANK_FILTER = (
    "filterExpression came to nothing for some records, which leaves them out as false does. If "
    "that is meant, let it say so, as in {{ row.active | default(false) }} or with an {% else %}"
)


@dataclass(frozen=True, slots=True)
class Transformed:
    """What a batch came to; the desired entries themselves are in the spool."""

    batch: BatchRef
    #: Run that mapped it; another run maps it again, with the config of its own day.
    run_id: str
    #: Records in, those routed from later batches included.
    records: int
    desired: int
    filtered: int
    #: Of those filtered: `filterExpression` came to nothing.
    blank: int
    #: Merged into an earlier record with the same key.
    duplicates: int
    failed: int
    conflicts: int
    space_requests: int


def transform(setting: Setting, batch: BatchRef) -> Transformed:
    """Map a batch into the spool; idempotent.

    Raises:
        SpoolError: The batch is gone or damaged, or the disk is full.
    """
    ensure_disk_space(setting.spool.root)
    mapping = run_mapping(setting)
    asked_before = mapping.lookup.requests
    tally = _Tally()
    redact = build_letter_redactor(setting)
    key = setting.config.key
    dead: list[DeadLetter] = []

    def desired() -> Iterator[dict[str, Any]]:
        for result in mapping.mapper.map_records(tally.count(read_batch(setting.spool, batch))):
            if isinstance(result, DesiredEntry):
                tally.add(result)
                _name_conflicts(setting, tally, result)
                yield encode_desired(result)
            elif isinstance(result, DeadLetter):
                dead.append(redact(result))
            else:
                tally.filtered += 1
                tally.blank += result.is_blank
        setting.guard()  # another run may be at work on the batch, with another config

    write_lines(setting.spool.desired(batch.key), desired())
    write_lines(setting.spool.mapping_failures(batch.key), (asdict(item) for item in dead))
    if tally.blank:
        setting.log.info(
            "%s: %s: filterExpression came to nothing for %d of %d records",
            key, batch.key, tally.blank, tally.records,
        )  # fmt: skip
        warn(setting, f"{key}: {BLANK_FILTER}")
    return Transformed(
        batch=batch,
        run_id=setting.run_id,
        records=tally.records,
        desired=tally.desired,
        filtered=tally.filtered,
        blank=tally.blank,
        duplicates=tally.duplicates,
        failed=len(dead),
        conflicts=tally.conflicts,
        space_requests=mapping.lookup.requests - asked_before,
    )


def _name_conflicts(setting: Setting, tally: _Tally, entry: DesiredEntry) -> None:
    for conflict in entry.conflicts[: CONFLICTS_NAMED - tally.named]:
        tally.named += 1
        setting.log.warning(
            "%s: records %d and %d with key %r differ in %s.%s; the first wins",
            setting.config.key, conflict.first_ordinal, conflict.ordinal,
            conflict.key, conflict.field, conflict.locale,
        )  # fmt: skip


class _Tally:
    """Figures of one batch while it is mapped."""

    def __init__(self) -> None:
        self.records = self.desired = self.filtered = self.blank = self.duplicates = 0
        self.conflicts = self.named = 0

    def count(self, records: Iterator[SpooledRecord]) -> Iterator[SpooledRecord]:
        for record in records:
            self.records += 1
            yield record

    def add(self, entry: DesiredEntry) -> None:
        self.desired += 1
        self.duplicates += entry.merged
        self.conflicts += len(entry.conflicts)
