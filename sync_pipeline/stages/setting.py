"""What every stage of a run needs: config, options, spool, target; and how the target is opened."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from sync_pipeline.batches.facts import RunFacts, read_run_facts
from sync_pipeline.batches.layout import Spool, read_json, write_json
from sync_pipeline.config.environment import Environment, require_contentful
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.config.run_options import RunOptions
from sync_pipeline.errors import SpoolError, UsageError
from sync_pipeline.load.client import SpaceClient, SpaceSettings
from sync_pipeline.load.ledger import Ledger, open_ledger
from sync_pipeline.load.model_reader import fetch_target_model
from sync_pipeline.load.publish import BulkHabits
from sync_pipeline.model import (
    DeadLetter,
    TargetModel,
    utc_now,
)
from sync_pipeline.redaction import Redactor, secrets_of

if TYPE_CHECKING:  # which imports this module
    from sync_pipeline.stages.lookup import RunMapping

#: Space and token of the local space; it takes any token.
LOCAL_SPACE_ID = "local"


@dataclass(slots=True)
class Shared:
    """What the steps that one process works on share: of the run's Dagster resource."""

    #: Run and spool that the mapping was compiled for.
    run: tuple[str, Path] | None = None
    mapping: RunMapping | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of one sync over one spool."""

    config: SyncConfig
    options: RunOptions
    environment: Environment
    spool: Spool
    #: Dagster's id of the run, or a made-up one for a preview.
    run_id: str
    log: logging.Logger
    clock: Callable[[], datetime] = utc_now
    shared: Shared = field(default_factory=Shared, compare=False)
    #: To be called before every write, to the space or to what other runs go on with. Raises
    #: LeaseLostError where this run is no longer the one at work.
    guard: Callable[[], None] = lambda: None

    @property
    def facts(self) -> RunFacts:
        """What the run that fetched was asked for, once it has begun."""
        facts = read_run_facts(self.spool)
        if facts is None:
            raise SpoolError(f"{self.spool.facts} is gone. Run the sync anew.")
        return facts

    @property
    def storage_dir(self) -> Path:
        """SYNC_STORAGE_DIR."""
        return self.environment.storage_dir


def build_redactor(setting: Setting) -> Redactor:
    """Takes the secrets of the run out of a text."""
    return Redactor(secrets_of(setting.config, setting.environment))


def build_letter_redactor(setting: Setting) -> Callable[[DeadLetter], DeadLetter]:
    """Makes dead letters fit to be kept: an error that quotes a value may quote a secret."""
    redactor = build_redactor(setting)
    return lambda letter: replace(letter, message=redactor.redact(letter.message))


@contextmanager
def open_client(setting: Setting) -> Iterator[SpaceClient]:
    """A client of the space that the config targets; starts the local space where that is it.

    Raises:
        EnvironmentVariableError: A variable that the target needs is missing; names it.
    """
    environment, config = setting.environment, setting.config
    if config.target.space == "local":
        from sync_pipeline.local_space.server.launcher import (  # noqa: PLC0415 - a server: 0.15 s
            running_space,
        )

        with running_space(setting.storage_dir, model=local_model_path(config)) as url:
            # No limit of our own: nobody else pays for this space.
            settings = SpaceSettings(
                space_id=LOCAL_SPACE_ID,
                token=SecretStr("local"),
                cma_url=url,
                rate_limit=0,
                concurrency=setting.options.concurrency,
            )
            with SpaceClient(settings, log=setting.log, may_write=setting.guard) as client:
                yield client
        return
    token, space_id = require_contentful(environment)
    settings = SpaceSettings(
        space_id=space_id,
        token=token,
        environment_id=environment.environment_id,
        cma_url=environment.cma_url,
        rate_limit=environment.rate_limit,
        max_seconds=environment.max_seconds,
        concurrency=setting.options.concurrency,
    )
    with SpaceClient(settings, log=setting.log, may_write=setting.guard) as client:
        yield client


def local_model_path(config: SyncConfig) -> Path | None:
    """The file with the content types of a local target, resolved beside the config file."""
    if config.target.model is None:
        return None
    base = config.path.parent if config.path else Path()
    return (base / config.target.model).resolve()


def target_name(config: SyncConfig, environment: Environment) -> str:
    """The space that a sync writes to, as text to compare: a rehearsal is another than the real.

    Without port: a server on this machine may come back on another one.
    """
    if config.target.space == "local":
        return LOCAL_SPACE_ID
    _, space_id = require_contentful(environment)
    host = urlsplit(environment.cma_url).hostname or ""
    return f"{space_id}/{environment.environment_id} at {host}"


def check_target(config: SyncConfig, environment: Environment, facts: RunFacts | None) -> None:
    """Refuse to go on with a run that was begun for another space.

    Raises:
        UsageError: Names both.
    """
    if facts is None:  # nothing was begun yet
        return
    now = target_name(config, environment)
    if facts.target != now:
        raise UsageError(
            f"{config.key}: this run was begun for the space {facts.target}, and the environment "
            f"says {now} by now. Set CONTENTFUL_SPACE_ID, CONTENTFUL_ENVIRONMENT_ID and "
            "CONTENTFUL_CMA_URL back to go on with it, or run the sync anew."
        )


@contextmanager
def open_sync_ledger(setting: Setting) -> Iterator[Ledger]:
    """The sync's memory over runs: pending publishes, and what was written from when."""
    target = target_name(setting.config, setting.environment)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{setting.config.key}_{target}")
    path = setting.storage_dir / "ledger" / f"{name}.sqlite"
    with open_ledger(path) as ledger:
        yield ledger


def fetch_target(client: SpaceClient, config: SyncConfig) -> TargetModel:
    """The content type and locales that a sync writes to.

    Raises:
        UsageError: There is no such content type; names the file.
    """
    try:
        return fetch_target_model(client, config.content_type)
    except UsageError as error:
        raise UsageError(f"{config.path or config.key}: {error}") from error


def read_habits(setting: Setting) -> BulkHabits:
    """What the batches before this one, in this process or another, learned of bulk actions."""
    return BulkHabits(**read_json(setting.spool.root / "bulk_actions.json") or {})


def write_habits(setting: Setting, habits: BulkHabits) -> None:
    """Keep what a batch learned of bulk actions for those that follow."""
    write_json(setting.spool.root / "bulk_actions.json", asdict(habits))


def write_target_model(setting: Setting, target: TargetModel) -> None:
    """Keep the content type and locales for the steps that follow, in this process or another."""
    write_json(setting.spool.target, {**asdict(target), "run_id": setting.run_id})


def read_target_model(setting: Setting) -> TargetModel:
    """The content type and locales as this run has found them.

    A re-execution may leave `fetch` out. Then the space is asked here: it may have been changed to
    mend what had failed.

    Raises:
        SpoolError: The extraction has not begun.
        UsageError: There is no such content type.
        SpaceError: The space refused or stayed unreachable.
    """
    value: Mapping[str, Any] | None = read_json(setting.spool.target)
    if value is None:
        raise SpoolError(f"{setting.spool.target} is missing. Run the sync anew.")
    if value.get("run_id") != setting.run_id:
        with open_client(setting) as client:
            target = fetch_target(client, setting.config)
            add_requests(setting.spool, "fetch", client.requests)
        write_target_model(setting, target)
        return target
    return TargetModel.from_json(value)


def add_requests(spool: Spool, name: str, requests: int) -> None:
    """Count what a part of the run (`fetch`, `index`) asked of the space, however it ended."""
    path = spool.root / f"{name}.json"
    if spool.root.exists():  # else the run ended before it had begun
        spent = read_json(path) or {"requests": 0}
        write_json(path, {"requests": spent["requests"] + requests})


def preview_setting(
    config: SyncConfig, environment: Environment, spool_root: Path, limit: int | None = None
) -> Setting:
    """A dry run outside of Dagster, over a spool that the caller removes."""
    options = RunOptions(mode="streaming", limit=limit)
    return Setting(
        config,
        options,
        environment,
        Spool(spool_root),
        spool_root.name,
        logging.getLogger(__name__),
    )
