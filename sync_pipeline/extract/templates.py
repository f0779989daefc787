"""A template of a source's side, and what it may use."""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """A template of a config file, to be looked at without the environment."""

    key: str
    source: str
    #: What it may use besides `config` and the enumerated entries.
    more: tuple[str, ...] = ()
