"""Files that only this user may read: records, entries and secrets of a source lie in them.

A folder of ours is 0700 and a file in it 0600, whatever the umask of the process is; the umask
itself is left alone, since other code runs in the same interpreter. SQLite gives its journals the
mode of the database (https://www.sqlite.org/wal.html), so one call covers them all.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

FOLDER_MODE = 0o700
FILE_MODE = 0o600
#: A link in the place of a file of ours was put there by somebody else. Not on Windows.
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def make_private_folder(path: Path) -> Path:
    """Make a folder and those above it that are missing, each for this user alone. Idempotent.

    What exists keeps its mode: a person may have opened it to a group on purpose.
    """
    if not path.is_dir():
        make_private_folder(path.parent)
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    return path


@overload
def open_private(path: Path, mode: Literal["wb", "ab"]) -> BinaryIO: ...
@overload
def open_private(path: Path, mode: Literal["w", "a"], *, encoding: str) -> TextIO: ...
def open_private(path: Path, mode: str, *, encoding: str | None = None) -> IO[Any]:
    """`open(path, mode)`, but a new file is readable by this user alone and a link is not followed.

    Raises:
        OSError: As `open` does; ELOOP for a link.
    """
    return open(path, mode, encoding=encoding, opener=_open)


def create_private(path: Path) -> Path:
    """Make an empty file for this user alone where none is, for a library that opens by name."""
    os.close(_open(str(path), os.O_RDWR | os.O_CREAT))
    return path


def unfinished_name(path: Path) -> Path:
    """Where the next content of a file is written, before it takes its place.

    Nobody else's: two containers that share a folder may well have the same process id.
    """
    return path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp")


def is_own_folder(path: Path) -> bool:
    """Whether this is a real folder of this user that nobody else can write into."""
    if not hasattr(os, "getuid"):  # Windows keeps temporary files per user
        return path.is_dir()
    found = path.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return is_ours and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | NO_LINKS, FILE_MODE)
