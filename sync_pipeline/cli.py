"""`sync-pipeline`: parse the command line, call the command, turn errors into exit codes.

Exit codes: 0 done; 1 finished with failed batches or entries; 2 wrong usage or config; 3 could not
run (no access, source down).
"""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from sync_pipeline.commands.run_flags import read_flags, run_flag, run_flags
from sync_pipeline.config.environment import find_project_dir, read_environment
from sync_pipeline.config.loading import load_configs
from sync_pipeline.errors import SyncPipelineError
from sync_pipeline.redaction import Redactor, is_secret_name, secrets_of


class _Days(click.FloatRange):
    """A span that a date can go back; NaN passes every comparison with a bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        days = super().convert(value, param, ctx)
        if math.isnan(days):
            self.fail(f"{value} is not a number of days.", param, ctx)
        return days


CONTEXT = {"help_option_names": ["-h", "--help"]}
verbosity = click.option(
    "--verbosity",
    type=click.Choice(["Normal", "Debug"], case_sensitive=False),
    default="Normal",
    help="Debug: one line a request, and tracebacks.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group(context_settings=CONTEXT)
def cli() -> None:
    """Keep a Contentful space in step with REST APIs and databases."""


@cli.command()
@click.argument("key")
@run_flags
@as_json
@verbosity
def run(key: str, as_json: bool, verbosity: str, **given: Any) -> int:
    """Run a sync to its end. A dry run unless --apply."""
    from sync_pipeline.commands.running import run_sync  # noqa: PLC0415

    return run_sync(key, read_flags(given), as_json=as_json, debug=verbosity == "Debug")


@cli.command()
@click.argument("run_id")
@as_json
@verbosity
def resume(run_id: str, as_json: bool, verbosity: str) -> int:
    """Go on with a run that was killed or has failed."""
    from sync_pipeline.commands.running import resume_run  # noqa: PLC0415

    return resume_run(run_id, as_json=as_json, debug=verbosity == "Debug")


@cli.command()
@click.argument("key")
@click.option("--batch", "batches", multiple=True, help="A failed batch; may be repeated.")
@as_json
@verbosity
def backfill(key: str, batches: tuple[str, ...], as_json: bool, verbosity: str) -> int:
    """Run failed batches again, all of them by default."""
    from sync_pipeline.commands import running  # noqa: PLC0415

    return running.backfill(key, batches, as_json=as_json, debug=verbosity == "Debug")


@cli.command()
@click.argument("key", required=False)
@click.option(
    "--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the dead letters there, for a spreadsheet.",
)  # fmt: skip
@as_json
def failed(key: str | None, csv_path: Path | None, as_json: bool) -> int:
    """List failed batches and their dead letters."""
    from sync_pipeline.commands.inspecting import list_failed  # noqa: PLC0415

    return list_failed(key, as_json=as_json, csv_path=csv_path)


@cli.command()
@click.argument("key", required=False)
@click.option("--online", is_flag=True, help="Also against the content types of the space.")
@verbosity
def check(key: str | None, online: bool, verbosity: str) -> int:  # noqa: ARG001 - read by main
    """Validate config files."""
    from sync_pipeline.commands.inspecting import check_configs  # noqa: PLC0415

    return check_configs(key, online=online)


@cli.command()
@click.argument("key")
@run_flag("limit", default=20)
@as_json
@verbosity
def preview(key: str, limit: int, as_json: bool, verbosity: str) -> int:  # noqa: ARG001
    """Show what a run would do, field by field. Writes nothing."""
    from sync_pipeline.commands import previewing  # noqa: PLC0415

    return previewing.preview(key, limit, as_json=as_json)


@cli.command()
def schema() -> int:
    """Print the JSON Schema of a config file."""
    from sync_pipeline.commands.inspecting import print_schema  # noqa: PLC0415

    return print_schema()


@cli.command()
@click.argument("key", required=False)
@click.option("--older-than-days", type=_Days(0, 36_500), default=7.0, show_default=True)
@click.option("--dry-run", is_flag=True)
def clean(key: str | None, older_than_days: float, dry_run: bool) -> int:
    """Remove what finished runs left on disk; failed batches stay."""
    from sync_pipeline.commands import inspecting  # noqa: PLC0415

    return inspecting.clean(key, older_than_days, dry_run=dry_run)


@cli.command()
@run_flag("limit", text="Only the first N airports.")
@as_json
@verbosity
def demo(limit: int | None, as_json: bool, verbosity: str) -> int:
    """Sync 28,000 real airports into the local space, end to end."""
    from sync_pipeline.commands import serving  # noqa: PLC0415

    return serving.demo({"limit": limit}, as_json=as_json, debug=verbosity == "Debug")


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dev(arguments: tuple[str, ...]) -> int:
    """Start Dagster's UI and daemon; further arguments go to `dagster dev`."""
    from sync_pipeline.commands import serving  # noqa: PLC0415

    return serving.dev(arguments)


@cli.command()
@click.argument("url")
@click.option("--header", "headers", multiple=True, help="`Name: value`; may be repeated.")
@verbosity
def probe(url: str, headers: tuple[str, ...], verbosity: str) -> int:  # noqa: ARG001
    """Look at an API and propose a config file."""
    from sync_pipeline.commands import serving  # noqa: PLC0415

    pairs = [header.partition(":") for header in headers]
    if bad := next((name for name, colon, _ in pairs if not colon), None):
        raise click.UsageError(f"--header {bad}: write `Name: value`.")
    return serving.probe(url, {name.strip(): value.strip() for name, _, value in pairs})


def _of_space(command: Callable[..., int]) -> Callable[..., int]:
    """The options that name one environment of the local space's server."""
    for name, default, text in (
        ("environment", "master", "Created where absent."),
        ("space", "local", "Its id, e.g. that of the space it is a copy of."),
    ):
        option = click.option(
            f"--{name}", f"{name}_id", default=default, show_default=True, help=text
        )
        command = option(command)
    return command


@cli.group()
def space() -> None:
    """The local space: rehearse a sync before touching the real one."""


@space.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8766, show_default=True)
@click.option("--rate-limit", type=click.IntRange(1), help="Answer 429 above N requests/s.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--token",
    envvar="LOCAL_SPACE_TOKEN",
    show_envvar=True,
    help="Take only this token; without it any is taken.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    help="A name under which others ask for it, beside addresses and localhost.",
)
@_of_space
def serve(rate_limit: int | None, **given: Any) -> int:
    """Serve the local space until interrupted."""
    from sync_pipeline.commands import serving  # noqa: PLC0415
    from sync_pipeline.commands.process_list import hide_option  # noqa: PLC0415

    if "" in (given["token"], os.environ.get("LOCAL_SPACE_TOKEN")):
        raise click.UsageError(
            "The token (--token, LOCAL_SPACE_TOKEN) is empty: leave it out, or fill it."
        )
    hide_option("--token", "LOCAL_SPACE_TOKEN")
    return serving.serve_space(rate_limit=rate_limit or 0, **given)


@space.command("import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_of_space
def import_(path: Path, **given: str) -> int:
    """Import a contentful-export file."""
    from sync_pipeline.commands import serving  # noqa: PLC0415

    return serving.import_space(path, **given)


@space.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@_of_space
def export(path: Path, **given: str) -> int:
    """Export the local space in the shape of contentful-export."""
    from sync_pipeline.commands import serving  # noqa: PLC0415

    return serving.export_space(path, **given)


def main() -> NoReturn:
    """Entry point: exit codes instead of tracebacks."""
    debug = "debug" in (argument.lower() for argument in sys.argv)
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        code = 130
    except SyncPipelineError as error:
        _tell(error, str(error), debug=debug)
        code = error.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        text = (
            f"{where}{error.strerror or error}. Look at its permissions, at the space that is left "
            "and at limits of this process; SYNC_STORAGE_DIR and DAGSTER_HOME say where files lie."
        )
        _tell(error, text, debug=debug)
        code = SyncPipelineError.exit_code
    except Exception as error:  # noqa: BLE001 - the last boundary: a bug, or a library's error
        hint = "" if debug else " `--verbosity Debug` shows where."
        text = f"Unexpected {type(error).__name__}: {error}. Please report this.{hint}"
        _tell(error, text, debug=debug)
        code = SyncPipelineError.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: Exception, text: str, *, debug: bool) -> None:
    """Print an error, with its traceback where that was asked for; neither shows a secret.

    The texts of libraries in a traceback hold whole URLs, with the keys in their queries.
    """
    redactor = _build_redactor()
    if debug:
        click.echo(redactor.redact("".join(traceback.format_exception(error))), err=True)
    click.secho(redactor.redact(text), fg="red", err=True)


def _build_redactor() -> Redactor:
    """Takes out what is secret for any sync, for the command may be about all of them."""
    try:
        environment = read_environment(os.environ, find_project_dir(Path.cwd()))
        configs = load_configs(environment.configs_dir).configs.values()
    except SyncPipelineError:  # the error to be told, most likely
        return Redactor(value for name, value in os.environ.items() if is_secret_name(name))
    return Redactor(
        secrets_of(None, environment).union(
            *(secrets_of(config, environment) for config in configs)
        )
    )


if __name__ == "__main__":
    main()
