"""The manifest of a whole extraction: written last, so that it tells that the rest is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from sync_pipeline.batches.facts import RunFacts, decode_facts, encode_facts
from sync_pipeline.batches.layout import Spool, read_json, write_json
from sync_pipeline.model import BatchRef


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole extraction."""

    records: int
    pages: int
    requests: int
    batches: tuple[BatchRef, ...]
    #: Records routed to an earlier batch, by batch key.
    routed: Mapping[str, int]
    run: RunFacts
    #: `regular` or `streaming`: what `auto` came to.
    mode: str


def read_manifest(spool: Spool) -> Manifest | None:
    """The manifest of a whole extraction; None while it is not whole."""
    try:
        written = spool.manifest.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _read_manifest(spool, written)


@lru_cache(maxsize=2)  # every step asks; a manifest of 10,000 batches takes a while to parse
def _read_manifest(spool: Spool, written: int) -> Manifest | None:  # noqa: ARG001 - cache key
    value = read_json(spool.manifest)
    if value is None:
        return None
    batches = tuple(
        BatchRef(batch["key"], batch["records"], batch["digest"]) for batch in value["batches"]
    )
    return Manifest(
        value["records"],
        value["pages"],
        value["requests"],
        batches,
        value["routed"],
        decode_facts(value["run"], spool),
        value["run"]["mode"],
    )


def write_manifest(spool: Spool, manifest: Manifest) -> None:
    """Write the manifest: from here on the extraction is whole."""
    write_json(
        spool.manifest,
        {
            "records": manifest.records,
            "pages": manifest.pages,
            "requests": manifest.requests,
            "batches": [
                {"key": ref.key, "records": ref.records, "digest": ref.digest}
                for ref in manifest.batches
            ],
            "routed": dict(manifest.routed),
            "run": {**encode_facts(manifest.run), "mode": manifest.mode},
        },
    )
