"""Zipped CSV: the zip goes to a temporary file (its directory stands at its end), the member is
unpacked while it is read.
"""

from __future__ import annotations

import io
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyzipper

from sync_pipeline.config.sources import CsvFormat
from sync_pipeline.errors import SourceDataError, SpoolError
from sync_pipeline.extract.formats.answer import Answer
from sync_pipeline.extract.formats.body import (
    CHUNK,
    HEAD,
    Body,
    open_body,
    read_chunks,
    refuse_markup,
)
from sync_pipeline.extract.formats.csv_rows import read_csv
from sync_pipeline.model import Row

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: How many members an error names.
_MEMBERS_SHOWN: Final = 20
#: What pyzipper raises on archives that are damaged on purpose or by accident.
_DAMAGE: Final = (
    pyzipper.BadZipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    ValueError, KeyError, IndexError, NotImplementedError, ArithmeticError, TypeError,
    AttributeError, AssertionError, struct.error,
)  # fmt: skip


def read_zipped_csv(
    body: Body,
    answer: Answer,
    config: CsvFormat,
    skip: int,
    *,
    secret: str | None,
    spool_dir: Path | None,
    max_bytes: int,
) -> Iterator[Row]:
    """Yield the rows of the one CSV file in a zip, or of `csv.fileName`.

    Raises:
        SourceDataError: No zip, damaged, wrong or missing password, several files and none named,
            unpacks to more than `max_bytes`.
    """
    with tempfile.TemporaryFile(dir=spool_dir, prefix="sync-zip-") as spool:
        for chunk in read_chunks(body):
            _write(spool, chunk)
        spool.seek(0)
        try:
            archive = pyzipper.AESZipFile(spool)
        except _DAMAGE as err:
            raise answer.error(
                "the zip archive is damaged or cut off", "Run again; if it stays, mend the source."
            ) from err
        with archive:
            member = _choose(archive, answer, config)
            if member.file_size > max_bytes:
                raise answer.error(
                    f"{member.filename[:200]!r} unpacks to {member.file_size:,} bytes, more than "
                    f"maxResponseBytes ({max_bytes:,})",
                    "Raise maxResponseBytes if the source is to be trusted with that much.",
                )
            with _Member(archive, member, secret, answer) as unpacked:
                buffered = cast("BinaryIO", io.BufferedReader(unpacked, CHUNK))
                # Counts what really comes: the size in the directory may lie.
                counted = Body(buffered, max_bytes=max_bytes, answer=answer, unpacked=True)
                inner = open_body(cast("BinaryIO", counted), max_bytes=max_bytes, answer=answer)
                refuse_markup(inner.peek_bytes(HEAD), answer)
                yield from read_csv(inner, answer, config, skip)


def _write(spool: IO[bytes], chunk: bytes) -> None:
    try:
        spool.write(chunk)
    except OSError as err:
        raise SpoolError(
            f"the zip cannot be put into a temporary file ({err.strerror or err}). Free disk space"
        ) from err


def _choose(archive: Any, answer: Answer, config: CsvFormat) -> Any:
    try:
        members = [member for member in archive.infolist() if not _is_clutter(member)]
    except _DAMAGE as err:
        raise answer.error("the zip archive is damaged", "Mend the source.") from err
    names = [member.filename for member in members]
    if config.file_name is not None:
        for member in members:
            if config.file_name in (member.filename, member.filename.rsplit("/", 1)[-1]):
                return member
        raise answer.error(
            f"the zip has no file {config.file_name!r}; it has {_list(names)}",
            "Correct csv.fileName.",
        )
    if len(members) == 1:
        return members[0]
    if not members:
        raise answer.error("the zip has no file in it", "Check endPoint and queryParameters.")
    raise answer.error(
        f"the zip has {len(names)} files: {_list(names)}", "Name the one to read with csv.fileName."
    )


def _is_clutter(member: Any) -> bool:
    name = member.filename
    return bool(
        member.is_dir() or name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] == ".DS_Store"
    )


def _list(names: list[str]) -> str:
    shown = ", ".join(name[:100] for name in names[:_MEMBERS_SHOWN]) or "none"
    return f"{shown}, ..." if len(names) > _MEMBERS_SHOWN else shown


class _Member(io.RawIOBase):
    """A file of the archive while it is unpacked, with pyzipper's errors as ours."""

    def __init__(self, archive: Any, member: Any, secret: str | None, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self._secret = secret
        self._encrypted = bool(member.flag_bits & 1)
        try:
            self._file = archive.open(member, pwd=secret.encode() if secret else None)
        except RuntimeError as err:  # pyzipper's word for a missing or wrong password
            raise self._password_error() from err
        except _DAMAGE as err:
            raise self._damage_error(err) from err

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            chunk = self._file.read(len(view))
        except (RuntimeError, *_DAMAGE) as err:
            raise self._damage_error(err) from err
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            file = getattr(self, "_file", None)
            if file is not None:
                file.close()
        super().close()

    def _password_error(self) -> SourceDataError:
        if not self._secret:
            return self._answer.error(
                "the zip is encrypted", "Set resultsSecret to its password (as a template)."
            )
        return self._answer.error("resultsSecret does not open the zip", "Correct resultsSecret.")

    def _damage_error(self, err: Exception) -> SourceDataError:
        if self._encrypted:
            return self._answer.error(
                "the zip cannot be unpacked: the password is wrong or the file is damaged",
                "Check resultsSecret, then the source.",
            )
        if isinstance(err, NotImplementedError):
            return self._answer.error(
                "the zip is packed with a method that is not supported",
                "Ask the source for a zip with the usual method (deflate).",
            )
        return self._answer.error(
            "the zip archive is damaged or cut off", "Run again; if it stays, mend the source."
        )
