"""The options of a run on the command line, made from the table of run options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sync_pipeline.config.run_options import OPTIONS, Option, stated_options

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: Short for a value of an option.
_SHORT: Mapping[str, tuple[str, str]] = {
    "--streaming": ("mode", "streaming"),
    "--no-publish": ("publish", "none"),
}


def run_flags(command: _Command) -> _Command:
    """Give a command every option of a run, and the short ones."""
    for flag, (name, word) in reversed([*_SHORT.items()]):
        text = f"Short for {_flag_of(OPTIONS[name])} {word}."
        command = click.option(flag, is_flag=True, help=text)(command)
    for name in reversed([*OPTIONS]):
        command = run_flag(name)(command)
    return command


def run_flag(name: str, *, text: str = "", default: int | None = None) -> Callable[..., Any]:
    """One option of a run; not stated, it is None (a switch: False).

    Args:
        name: Of the option.
        text: What it means for this command; "": what it means for a run.
        default: Of this command, where that has one of its own.
    """
    option = OPTIONS[name]
    if option.is_switch:
        return click.option(_flag_of(option), name, is_flag=True, help=text or option.text)
    shown: str | bool = default is not None
    if default is None and option.default is not None:
        shown = "the file's" if option.is_of_files else str(option.default)
    return click.option(
        _flag_of(option),
        name,
        **_kind_of(option),
        default=default,
        show_default=shown,
        help=text or option.text,
    )


def read_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The run config that the flags of a command state.

    Raises:
        click.UsageError: A short one contradicts the option that it is short for.
    """
    stated = {name: value for name, value in given.items() if value is not False}
    for flag, (name, word) in _SHORT.items():
        if not given.get(flag.removeprefix("--").replace("-", "_")):
            continue
        if stated.get(name) not in (None, word):
            message = f"{flag} contradicts {_flag_of(OPTIONS[name])} {stated[name]}."
            raise click.UsageError(message)
        stated[name] = word
    return stated_options(stated)


def _flag_of(option: Option) -> str:
    return option.traits.flag or f"--{option.name.replace('_', '-')}"


def _kind_of(option: Option) -> dict[str, Any]:
    """What click is told about the values of an option that is not a switch."""
    if not option.range:
        return {"type": click.Choice(list(option.words))}
    if not option.words:
        return {"type": click.IntRange(option.low, option.high)}

    def read(
        _context: click.Context, _param: click.Parameter, value: str | None
    ) -> int | str | None:
        found = int(value) if value is not None and value.isdecimal() else value
        if found is None or option.takes(found):
            return found
        raise click.BadParameter(f"{value}: {option.allowed} is allowed.")

    return {"callback": read, "metavar": "|".join(("INTEGER", *option.words))}
