"""Notices declared places (`cursorPath`, `hasMorePath`, ...) that the answers of a run do not have.

That a source leaves its cursor out is how many say "the end", and how a misspelled path looks, too.
What tells them apart is the rest of the run: a place that an answer had is spelled right. One that
none had is a warning, unless another fact (a flag, a total, an empty page) said that the records
end there; a declared total that no page with records has is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.pagination import FACTS
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.json_path import compile_steps
from sync_pipeline.extract.rest.paging.declared import Declared
from sync_pipeline.extract.rest.paging.state import PagingState, Step


class PathWatch:
    """What the answers of a run had so far.

    Args:
        kept: What `to_json` gave, of an extraction that goes on.
        warn: Told of a place that no answer had.
        redact: Takes secrets out of a text: what is kept gets to the disk.
        config: Of an enumeration only the end of the run tells, for each request may be a single
            page; its resultsJsonPath may be one that is allowed to lead nowhere.
    """

    def __init__(
        self,
        kept: Mapping[str, Any],
        *,
        warn: Callable[[str], None],
        redact: Callable[[str], str],
        config: SyncConfig,
    ) -> None:
        self._seen = frozenset(kept.get("seen", ()))
        self._told = frozenset(kept.get("told", ()))
        #: Of places that no answer had: how the first one looked that had not.
        self._missed = dict(kept.get("missed", {}))
        self._warn = warn
        self._redact = redact
        self._is_patient = bool(config.enumerate_for_content_types)
        self._config = config

    def to_json(self) -> dict[str, Any]:
        """Of bounded size, for a checkpoint."""
        return {
            "seen": sorted(self._seen),
            "told": sorted(self._told),
            "missed": dict(self._missed),
        }

    def note(
        self, name: str, state: PagingState, received: int, declared: Declared, step: Step
    ) -> None:
        """Look at an answer.

        Args:
            name: Of the request, for messages.
            state: From which the request was made.
            received: Records that came.
            declared: What the answer declares, and what it lacks.
            step: What was decided.

        Raises:
            SourceDataError: A declared total is not there, or the way to a place that was there
                before leads into a text or a number.
        """
        known = self._seen
        self._seen |= declared.seen
        for key in declared.seen:
            self._missed.pop(key, None)
        for key, missing in declared.missing.items():
            if key in known:
                if key == declared.pointer and missing.is_blocked:
                    raise SourceDataError(
                        f"{missing.text}, where earlier pages named the next one. Whether more "
                        f"records follow cannot be told: mend the source"
                    )
            elif received and _is_count(key):
                raise SourceDataError(f"{missing.text}. Correct it, or take it out")
            elif received and not _is_excused(key, state, received, declared, step):
                self._missed.setdefault(key, self._redact(f"{name}: {missing.text}"))
        if not self._is_patient:
            self._tell()

    def end(self, records: int) -> None:
        """Warn of the places that no answer had, now that so many records have come."""
        self._tell()
        path = self._config.results_json_path
        if not records and compile_steps(path) is None:
            # A filter may leave nothing, so that no answer by itself is an error.
            self._warn(
                f"{self._config.path or self._config.key}: nothing at resultsJsonPath {path!r} in "
                f"any answer. If the source has records, correct it"
            )

    def _tell(self) -> None:
        for key in sorted(self._missed.keys() - self._told):
            text = self._missed[key]
            self._warn(f"{text}{'' if text.endswith('?') else '.'} {_advice(key)}")
        self._told |= self._missed.keys()


def explain(declared: Declared) -> str:
    """What may be behind an error about the end of the pages: the place that leads nowhere."""
    missing = declared.missing.get(declared.pointer)
    return f". There is {missing.text}" if missing else ""


def _is_excused(
    key: str, state: PagingState, received: int, declared: Declared, step: Step
) -> bool:
    """Whether another fact says that the records end with this answer."""
    if step.is_repeat or declared.has_more is False or _is_complete(state, received, declared):
        return True
    if key not in FACTS and key != declared.pointer:
        return True  # the style itself says where it misses it
    if not _is_flag(key):
        return False
    if declared.pointer:
        return declared.token is None and declared.pointer in declared.seen
    # By a count an end is always read: only a page that more records follow should have had it.
    return state.pages == 0


def _is_complete(state: PagingState, received: int, declared: Declared) -> bool:
    total = state.total if declared.total is None else declared.total
    pages = state.total_pages if declared.total_pages is None else declared.total_pages
    has_all = total is not None and not state.is_total_untrue and state.records + received >= total
    return has_all or (pages is not None and state.pages + 1 >= pages)


def _advice(key: str) -> str:
    if _is_flag(key):
        return "Correct it, or take it out"
    return (
        "So no page after it was asked for: correct that, unless all records of this source always "
        "come in one answer"
    )


def _is_flag(key: str) -> bool:
    return key in FACTS and FACTS[key].fact == "has_more"


def _is_count(key: str) -> bool:
    return key in FACTS and FACTS[key].fact != "has_more"
