"""Secrets of the command line, which every user of the machine can read in the process list."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def hide_option(option: str, variable: str) -> None:
    """Begin anew without that option, its value in the environment, which nobody else can read.

    Returns where the command line does not have it (or the system keeps no list of that kind).

    Args:
        option: `--token`, given as `--token VALUE` or `--token=VALUE`.
        variable: From where the command reads it, too.
    """
    value, arguments = without_option(sys.orig_argv, option)
    if value is None or os.name != "posix":
        return
    sys.stdout.flush()
    environ = {**os.environ, variable: value}
    os.execve(sys.executable, arguments, environ)  # noqa: S606 - ourselves, without a shell


def without_option(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """The last value of an option, None where it is not given, and the arguments without it."""
    value: str | None = None
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            kept += [argument, *rest]
        elif argument == option:
            value = next(rest, value)
        elif argument.startswith(f"{option}="):
            value = argument.partition("=")[2]
        else:
            kept.append(argument)
    return value, kept
