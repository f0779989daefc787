"""What an extraction was asked for: written once, before its first page, and kept by all who go on
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sync_pipeline.batches.layout import Spool, read_json, write_json
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import SpoolError


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run was asked for."""

    sync_key: str
    run_id: str
    #: In effect: a source that cannot be streamed is read in regular mode, whatever was asked.
    options: RunOptions
    #: Number in the ledger of the sync and target; later extractions have larger ones.
    extraction: int
    #: The space, as `stages.setting.target_name` spells it.
    target: str
    started_at: datetime

    def is_older_than(self, other: RunFacts) -> bool:
        """Whether both are numbered by the same ledger, and this one was numbered before."""
        return self.target == other.target and self.extraction < other.extraction


def write_run_facts(spool: Spool, facts: RunFacts) -> None:
    """Keep them beside the spool: there whole or not at all."""
    write_json(spool.facts, encode_facts(facts))


def read_run_facts(spool: Spool) -> RunFacts | None:
    """What the run that opened the spool was asked for; None if it was killed before it could say.

    Raises:
        SpoolError: The file is damaged, or was written by a version with other options.
    """
    value = read_json(spool.facts)
    return None if value is None else decode_facts(value, spool)


def is_applied(spool: Spool) -> bool:
    """Whether the run that opened the spool was to write: others leave nothing to make good."""
    facts = read_run_facts(spool)
    return facts is not None and facts.options.apply


def encode_facts(facts: RunFacts) -> dict[str, Any]:
    """As JSON."""
    return {
        "sync": facts.sync_key,
        "run_id": facts.run_id,
        "apply": facts.options.apply,  # for people who look: it is one of the options
        "options": facts.options.model_dump(),
        "extraction": facts.extraction,
        "target": facts.target,
        "started_at": facts.started_at.isoformat(timespec="milliseconds"),
    }


def decode_facts(value: dict[str, Any], spool: Spool) -> RunFacts:
    """From JSON, be it with further keys.

    Raises:
        SpoolError: Something is missing or means nothing to this version.
    """
    try:
        return RunFacts(
            value["sync"],
            value["run_id"],
            RunOptions.model_validate(value["options"]),
            int(value["extraction"]),
            value["target"],
            datetime.fromisoformat(value["started_at"]),
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise SpoolError(
            f"{spool.facts} is damaged or of another version. Run the sync anew, and remove "
            f"{spool.root} when nothing of it is needed."
        ) from error
