"""`demo`, `dev`, `space`: commands that serve something while they run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sync_pipeline.commands.display import print_problem
from sync_pipeline.commands.running import COULD_NOT_RUN, DONE, prepare, run_sync
from sync_pipeline.config.environment import find_project_dir, read_environment
from sync_pipeline.config.loading import load_configs
from sync_pipeline.demo.source import running_source
from sync_pipeline.errors import SyncPipelineError
from sync_pipeline.local_space.server.launcher import running_space, serve
from sync_pipeline.local_space.server.registration import store_path
from sync_pipeline.local_space.store.store import Store, open_store
from sync_pipeline.local_space.transfer.exporting import export_file
from sync_pipeline.local_space.transfer.importing import import_file
from sync_pipeline.redaction import Redactor, secrets_in_request
from sync_pipeline.stages.setting import local_model_path

DEMO_SYNC = "airports"
DEMO_VARIABLE = "SYNC_DEMO_URL"


def demo(options: Mapping[str, Any], *, as_json: bool, debug: bool) -> int:
    """Sync real airports from a loopback API into the local space; returns the exit code."""
    with running_source() as url:
        os.environ[DEMO_VARIABLE] = url
        return run_sync(DEMO_SYNC, {"apply": True, **options}, as_json=as_json, debug=debug)


def dev(arguments: Sequence[str]) -> int:
    """Dagster's UI and daemon, with local space and demo source where configs use them."""
    environment = prepare()
    workspace = environment.project_dir / "workspace.yaml"
    if not workspace.is_file():
        print_problem(
            f"{environment.project_dir} holds no workspace.yaml; call this in the project's folder."
        )
        return COULD_NOT_RUN
    configs = load_configs(environment.configs_dir).configs.values()
    with ExitStack() as stack:
        if any(DEMO_VARIABLE in (config.end_point or "") for config in configs):
            url = stack.enter_context(running_source())
            os.environ[DEMO_VARIABLE] = url
            print(f"Demo source: {url}/airports")
        for config in configs:
            if config.target.space == "local":
                url = stack.enter_context(
                    running_space(environment.storage_dir, model=local_model_path(config))
                )
                print(f"Local space of {config.key}: {url}")
        command = [_dagster(), "dev", "-w", str(workspace), *arguments]
        # Set first: the child would inherit that SIGINT is ignored (`... &` in a script).
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        # Of its own session: it ends its children in order when we say so, also after Ctrl-C.
        with subprocess.Popen(command, start_new_session=True) as process:  # noqa: S603
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                return DONE


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _dagster() -> str:
    beside = Path(sys.executable).with_name("dagster")
    return str(beside) if beside.exists() else shutil.which("dagster") or "dagster"


def serve_space(**options: Any) -> int:
    """Serve the local space in the foreground until interrupted; options as of `serve`."""
    serve(read_environment(os.environ, find_project_dir(Path.cwd())).storage_dir, **options)
    return DONE


def import_space(path: Path, *, space_id: str, environment_id: str) -> int:
    """Import a contentful-export file, or a model file, into the local space."""
    with _open_local_store() as store:
        print(import_file(store, path, space_id=space_id, environment_id=environment_id))
    return DONE


def export_space(path: Path, *, space_id: str, environment_id: str) -> int:
    """Export the local space in the shape of contentful-export."""
    with _open_local_store() as store:
        print(export_file(store, path, space_id=space_id, environment_id=environment_id))
    return DONE


@contextmanager
def _open_local_store() -> Iterator[Store]:
    environment = read_environment(os.environ, find_project_dir(Path.cwd()))
    with open_store(store_path(environment.storage_dir)) as store:
        yield store


def probe(url: str, headers: Mapping[str, str]) -> int:
    """Look at an API and print a config file for it."""
    from sync_pipeline.extract.probe.config_file import render_yaml  # noqa: PLC0415
    from sync_pipeline.extract.probe.probing import probe as look  # noqa: PLC0415

    redactor = Redactor(secrets_in_request(url, headers))
    try:
        found = render_yaml(look(url, headers=headers))
    except SyncPipelineError as error:
        error.args = (redactor.redact(str(error)),)
        raise
    print(redactor.redact(found))
    return DONE
