"""`preview`: what a run would do, field by field, before and after. Not one changing request."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sync_pipeline.batches.reading import read_dead_letters, read_desired
from sync_pipeline.batches.results import unfinished_batches
from sync_pipeline.commands.display import print_problem
from sync_pipeline.commands.running import DONE, SOME_FAILED, find_config, prepare
from sync_pipeline.load.index import open_index
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.model import DeadLetter
from sync_pipeline.private_files import make_private_folder
from sync_pipeline.stages.fetch import fetch
from sync_pipeline.stages.index import index
from sync_pipeline.stages.setting import Setting, open_client, open_sync_ledger, preview_setting
from sync_pipeline.stages.summary import none_kept_warning
from sync_pipeline.stages.transform import transform

#: Characters of a value that fit a table.
SHOWN = 60
#: Of them, those before the first difference of two long values.
LED_BY = 20


def preview(key: str, limit: int, *, as_json: bool) -> int:
    """Show what a run would do with the first records; exit code 1 where records fail."""
    environment = prepare()
    config = find_config(environment, key)
    make_private_folder(environment.storage_dir)
    with tempfile.TemporaryDirectory(prefix="preview_", dir=environment.storage_dir) as folder:
        setting = preview_setting(config, environment, Path(folder) / "preview", limit)
        found = _preview(setting)
    if as_json:
        values = [_value(outcome) for outcome in found.outcomes]
        values += [_value_of_letter(letter) for letter in found.letters]
        print(json.dumps(values, default=str))
    else:
        _print(found)
    none_kept = none_kept_warning(config.key, found.records, found.filtered)
    if none_kept:
        print_problem(f"Warning: {none_kept}", style="yellow")
    failed = found.letters or any(outcome.action == "failed" for outcome in found.outcomes)
    return SOME_FAILED if failed else DONE


@dataclass(slots=True)
class _Preview:
    """What would become of the records."""

    outcomes: list[Outcome] = field(default_factory=list)
    #: Of records that cannot be mapped.
    letters: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    filtered: int = 0
    duplicates: int = 0


def _preview(setting: Setting) -> _Preview:
    manifest = fetch(setting).manifest
    batches = tuple(unfinished_batches(setting.spool, manifest))
    reference = index(setting, batches)
    found = _Preview()
    with (
        open_client(setting) as client,
        open_index(Path(reference.path), in_memory=False) as target_index,
        open_sync_ledger(setting) as ledger,
    ):
        for batch in batches:
            transformed = transform(setting, batch)
            found.records += transformed.records
            found.filtered += transformed.filtered
            found.duplicates += transformed.duplicates
            found.letters += read_dead_letters(setting.spool.mapping_failures(batch.key))
            desired = read_desired(setting.spool.desired(batch.key))
            options = UpsertOptions(apply=False, publish=setting.options.publish)
            found.outcomes += upsert_entries(client, target_index, desired, options, ledger)
    return found


def _value(outcome: Outcome) -> dict[str, Any]:
    return {
        "key": outcome.key,
        "entry_id": outcome.entry_id,
        "action": outcome.action,
        "changes": [
            {"field": name, "before": before, "after": after}
            for name, before, after in _changes(outcome)
        ],
        "reason": outcome.dead_letter.message if outcome.dead_letter else "",
    }


def _value_of_letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "key": letter.key,
        "entry_id": "",
        "action": "failed",
        "changes": [],
        "reason": f"{letter.field}: {letter.message}" if letter.field else letter.message,
    }


def _changes(outcome: Outcome) -> Iterator[tuple[str, Any, Any]]:
    for change in outcome.changes:
        yield f"{change.field}.{change.locale}", change.before, change.after


def _print(found: _Preview) -> None:
    console = Console(soft_wrap=False, emoji=False)  # `:smile:` is what the value says
    for outcome in found.outcomes:
        console.print(
            f"{outcome.action}: {outcome.key} ({outcome.entry_id})", markup=False, highlight=False
        )
        if outcome.dead_letter is not None:
            console.print(f"  {outcome.dead_letter.message}", style="red", markup=False)
        changes = list(_changes(outcome))
        if not changes:
            continue
        table = Table("field", "before", "after")
        for name, before, after in changes:
            table.add_row(name, *_shown(before, after))
        console.print(table, markup=False)
    for letter in found.letters:
        where = f" {letter.field}" if letter.field else ""
        console.print(
            f"failed: record {letter.ordinal} {letter.key}{where}: {letter.message}",
            style="red", markup=False,
        )  # fmt: skip
    if found.filtered:
        print(f"filtered: {found.filtered} records, which filterExpression leaves out")
    if found.duplicates:
        print(f"duplicates: {found.duplicates} records, merged into earlier ones with their key")
    print("Nothing was written.")


def _shown(before: Any, after: Any) -> tuple[str, str]:
    """Both values, cut to what fits, from a little before the place where they begin to differ."""
    texts = [_text(before), _text(after)]
    pairs = zip(*texts, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    start = max(0, same - LED_BY) if max(map(len, texts)) > SHOWN else 0
    old, new = (_cut(text, start) for text in texts)
    return old, new


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _cut(text: str, start: int) -> str:
    if not text:
        return ""
    piece = f"…{text[start:]}" if start else text
    return piece if len(piece) <= SHOWN else f"{piece[: SHOWN - 1]}…"
