"""A space whose locales are published one by one: entries in any state, and a sync into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from sync_pipeline.load.answer import Answer
from sync_pipeline.load.client import SpaceClient, SpaceSettings
from sync_pipeline.load.index import TargetIndex, build_index, open_index
from sync_pipeline.load.ledger import Ledger, PendingPublish
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.outcome import Outcome
from sync_pipeline.load.upsert import UpsertOptions, upsert_entries
from sync_pipeline.model import DesiredEntry, TargetModel
from sync_pipeline_tests.harness.space import SPACE_ID, TOKEN, SpaceServer, TestedSpace

LOCALES = ("en-US", "de-DE", "fr-FR")
#: `note` is nobody's but the editors'.
MAPPED = frozenset({("sku", "en-US"), *(("title", code) for code in LOCALES)})
PAGE: dict[str, Any] = {
    "name": "Page",
    "displayField": "title",
    "fields": [
        {"id": "sku", "name": "SKU", "type": "Symbol"},
        {"id": "title", "name": "Title", "type": "Symbol", "localized": True},
        {"id": "note", "name": "Note", "type": "Symbol", "localized": True},
    ],
}
#: What a locale may be like before a sync comes.
#: published: as it is; changed: out, and its note was edited since; draft: it was never out;
#: noted: likewise, and only the field outside the mapping holds something; empty.
STATES = ("published", "changed", "draft", "noted", "empty")


class MeddledClient(SpaceClient):
    """A client before whose requests somebody else may come, and that some paths refuse."""

    def __init__(self, settings: SpaceSettings) -> None:
        super().__init__(settings, sleep=lambda _: None)
        self.meanwhile: Callable[[str, str], None] = lambda _method, _path: None
        #: `{path: status}`, answered without asking the space.
        self.refused: dict[str, int] = {}
        #: `GET /entries` and so on.
        self.asked: list[str] = []

    def request(self, method: str, path: str, **more: Any) -> Answer:
        self.asked.append(f"{method} {path}")
        self.meanwhile(method, path)
        if path in self.refused:
            return Answer(self.refused[path], {"sys": {"id": "ValidationFailed"}})
        return super().request(method, path, **more)


@dataclass
class LocaleSpace:
    """One environment, with a ledger and everything that a run needs."""

    space: TestedSpace
    directory: Path
    client: MeddledClient
    ledger: Ledger
    runs: int = 0
    written: list[str] = field(default_factory=list)

    def put_page(self, entry_id: str, states: Mapping[str, str], *, is_clean: bool = False) -> None:
        """Make an entry with locales in these states.

        Args:
            entry_id: Also its key.
            states: `{locale: one of STATES}`.
            is_clean: Its version says "published, unchanged" all the same, as after one more
                publish of the locales that are out.
        """
        out = [code for code, state in states.items() if state in {"published", "changed"}]
        fields: dict[str, dict[str, str]] = {"sku": {"en-US": entry_id}}
        fields["title"] = {code: f"old {code}" for code in out}
        version = self._put(entry_id, fields, None)
        if out:
            version = self.publish(entry_id, out)
        fields["note"] = {
            c: "unseen" for c, state in states.items() if state in {"changed", "noted"}
        }
        fields["title"] |= {c: f"old {c}" for c, state in states.items() if state == "draft"}
        if fields["note"] or "draft" in states.values():
            version = self._put(entry_id, fields, version)
            published = [code for code, state in states.items() if state == "published"]
            if is_clean and published:
                self.publish(entry_id, published)

    def _put(self, entry_id: str, fields: Mapping[str, Any], version: int | None) -> int:
        headers = {"X_Contentful_Content_Type": "page"}
        if version is not None:
            headers["X_Contentful_Version"] = str(version)
        body = {"fields": {name: values for name, values in fields.items() if values}}
        return int(
            self.space.call("PUT", f"/entries/{entry_id}", body, **headers)["sys"]["version"]
        )

    def publish(self, entry_id: str, locales: Iterable[str]) -> int:
        """Publish some locales, as an editor does; the version afterwards."""
        version = self.entry(entry_id)["sys"]["version"]
        body = {"add": {"fields": {"*": list(locales)}}}
        answer = self.space.call(
            "PUT", f"/entries/{entry_id}/published", body, X_Contentful_Version=str(version)
        )
        return int(answer["sys"]["version"])

    def edit(self, entry_id: str, field_id: str, locale: str, value: str) -> None:
        """Change one value, as an editor does."""
        held = self.entry(entry_id)
        held["fields"].setdefault(field_id, {})[locale] = value
        self._put(entry_id, held["fields"], held["sys"]["version"])

    def save_unchanged(self, entry_id: str) -> None:
        """Save an entry as it is: one more version."""
        held = self.entry(entry_id)
        self._put(entry_id, held["fields"], held["sys"]["version"])

    def change_field(self, field_id: str, **changes: Any) -> None:
        """Change a field of the content type, or add one, and activate it."""
        path = "/content_types/page"
        held = self.space.call("GET", path)
        body = {name: held[name] for name in ("name", "displayField", "fields")}
        definition = next((d for d in body["fields"] if d["id"] == field_id), None)
        if definition is None:
            body["fields"].append({"id": field_id, "name": field_id, **changes})
        else:
            definition.update(changes)
        saved = self.space.call("PUT", path, body, **_version_of(held))
        self.space.call("PUT", f"{path}/published", **_version_of(saved))

    def entry(self, entry_id: str) -> dict[str, Any]:
        entry: dict[str, Any] = self.space.call("GET", f"/entries/{entry_id}")
        return entry

    def states(self, entry_id: str) -> dict[str, str]:
        """`{locale: state}` of one entry."""
        return states_of(self.entry(entry_id))

    def all_states(self) -> dict[str, dict[str, str]]:
        """The same of all entries, by id."""
        return {entry["sys"]["id"]: states_of(entry) for entry in self.space.raw_entries()}

    def out(self, entry_id: str) -> set[str]:
        """Locales that the public sees, in whatever version."""
        return {code for code, state in self.states(entry_id).items() if state != "draft"}

    def target(self) -> TargetModel:
        return fetch_target_model(self.client, "page")

    def index(self) -> TargetIndex:
        """What the space holds by now."""
        self.runs += 1
        path = self.directory / f"{self.runs}.sqlite"
        build_index(self.client, self.target(), MAPPED, "sku", path)
        return open_index(path)

    def run(
        self, desired: Iterable[DesiredEntry], index: TargetIndex | None = None, **options: Any
    ) -> dict[str, Outcome]:
        """A sync from its index to its last publish; outcomes by key."""
        before = len(self.space.changing_requests)
        with index or self.index() as opened:
            habits = options.pop("habits", None)
            chosen = replace(UpsertOptions(apply=True, concurrency=4), **options)
            found = list(
                upsert_entries(self.client, opened, desired, chosen, self.ledger, habits=habits)
            )
        self.written = self.space.changing_requests[before:]
        return {outcome.key: outcome for outcome in found}

    def note(self, *notes: PendingPublish) -> None:
        self.ledger.record_pending(notes)


def _version_of(resource: Mapping[str, Any]) -> dict[str, str]:
    return {"X_Contentful_Version": str(resource["sys"]["version"])}


def states_of(entry: Mapping[str, Any]) -> dict[str, str]:
    states: dict[str, str] = entry["sys"]["fieldStatus"]["*"]
    return states


def page(entry_id: str, locales: Iterable[str], text: str = "new") -> DesiredEntry:
    """What a source says that has these locales."""
    return DesiredEntry(
        entry_id,
        0,
        {"sku": {"en-US": entry_id}, "title": {code: f"{text} {code}" for code in locales}},
    )


def open_locale_space(server: SpaceServer, directory: Path) -> LocaleSpace:
    """A fresh environment with three locales and the content type `page`. Its client is open."""
    space = server.new_space()
    space.call("POST", "/locales", {"name": "French", "code": "fr-FR", "fallbackCode": "en-US"})
    space.call("PUT", "/content_types/page", PAGE)
    space.call("PUT", "/content_types/page/published", X_Contentful_Version="1")
    client = MeddledClient(
        SpaceSettings(
            space_id=SPACE_ID,
            environment_id=space.environment_id,
            token=SecretStr(TOKEN),
            cma_url=space.url,
            rate_limit=0,
        )
    )
    return LocaleSpace(space, directory, client, Ledger(directory / "ledger.sqlite"))
