"""Read what the target already holds: all of it, or only this extraction's keys if that is less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sync_pipeline.batches.layout import ensure_disk_space
from sync_pipeline.batches.reading import read_batch
from sync_pipeline.batches.seen import count_keys
from sync_pipeline.load.index import build_index
from sync_pipeline.load.target_index import ENTRY_ID
from sync_pipeline.model import BatchRef
from sync_pipeline.stages.lookup import run_mapping
from sync_pipeline.stages.setting import Setting, add_requests, open_client, read_target_model
from sync_pipeline.transform import Mapper

#: Keys held by several entries that are named in the log.
DUPLICATES_NAMED = 20
#: Names the index for batches of which this run has none.
REST = "rest"


@dataclass(frozen=True, slots=True)
class IndexRef:
    """A handle on a target index: small enough for a Dagster output."""

    path: str
    #: Run that read it; another run reads what it writes to anew.
    run_id: str
    entries: int
    requests: int
    #: `whole` or `lookups`: every entry was read, or only those the extraction names.
    strategy: str


def index(setting: Setting, batches: Sequence[BatchRef], *, name: str = "") -> IndexRef:
    """Build the target index for these batches; reads the space only, idempotent.

    Args:
        setting: The run.
        batches: The batches that will be written with it.
        name: Part of the file's name; the run's own index has none.

    Raises:
        SpaceError: The space refused or stayed unreachable.
        SpoolError: The disk is nearly full.
    """
    ensure_disk_space(setting.spool.root)
    target = read_target_model(setting)
    path = _path(setting, name)
    mapping = run_mapping(setting)
    asked_before = mapping.lookup.requests
    with open_client(setting) as client:
        try:
            summary = build_index(
                client,
                target,
                mapping.mapper.mapped_fields,
                ENTRY_ID if mapping.mapper.matches_by_id else setting.config.key_field_id,
                path,
                keys=_keys(setting, mapping.mapper, batches),
                key_count=min(count_keys(setting.spool.seen), _records(batches)),
            )
        finally:
            requests = client.requests + mapping.lookup.requests - asked_before
            add_requests(setting.spool, "index", requests)
    for found in summary.duplicates[:DUPLICATES_NAMED]:
        setting.log.warning(
            "%s: several entries hold the key %r; %s, the oldest, is taken; look at %s",
            setting.config.key, found.key, found.kept_id, ", ".join(found.other_ids),
        )  # fmt: skip
    return IndexRef(str(path), setting.run_id, summary.entries, requests, summary.strategy)


def find_indexes(setting: Setting, batches: Sequence[BatchRef]) -> dict[str, IndexRef]:
    """The indexes to write some batches with, by batch key: what this run has, or a new one.

    For a batch that this run has written, only the index that it has kept up to date will do:
    collections lag behind writes by seconds.
    """
    found: dict[str, IndexRef] = {}
    for batch in batches:
        path = next(filter(Path.exists, (_path(setting, name) for name in (batch.key, ""))), None)
        if path is not None:
            found[batch.key] = IndexRef(str(path), setting.run_id, 0, 0, "own")
    missing = [batch for batch in batches if batch.key not in found]
    if missing:
        name = missing[0].key if len(missing) == 1 else REST
        fresh = index(setting, missing, name=name)
        found |= dict.fromkeys((batch.key for batch in missing), fresh)
    return found


def _path(setting: Setting, name: str) -> Path:
    return setting.spool.root / ".".join(filter(None, ("index", setting.run_id, name, "sqlite")))


def _records(batches: Sequence[BatchRef]) -> int:
    """At least the number of different keys: routed records repeat one."""
    return sum(ref.records for ref in batches)


def _keys(setting: Setting, mapper: Mapper, batches: Sequence[BatchRef]) -> Iterator[str]:
    """The keys that these batches ask for; unique over all batches, as a key lives in one only.

    Those in the spool were made by the config of the run that fetched; a later run maps with its
    own, whose keys may be others.
    """
    is_fetched_by_us = setting.run_id == setting.spool.spool_id
    for ref in batches:
        records = read_batch(setting.spool, ref)
        keys = (
            record.key if is_fetched_by_us else mapper.key_of(record.row, record.variables)
            for record in records
        )
        yield from dict.fromkeys(filter(None, keys))
