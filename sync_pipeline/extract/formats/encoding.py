"""Which encoding a text is in: marked, stated, declared, or shown by its bytes.

In this order: byte order mark, the file's own word (`resultsEncoding`, `csv.encoding`), the zeros
of UTF-16 and UTF-32, and then UTF-8 against whatever charset the response declares. Servers declare
one without looking at the text; bytes that are UTF-8 are so by chance in one of hundreds of short
texts, and never in long ones. JSON is UTF-8 by its own rules
(https://www.rfc-editor.org/rfc/rfc8259#section-8.1).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.answer import Answer, charset_of
from sync_pipeline.extract.formats.body import HEAD, Body
from sync_pipeline.extract.formats.evidence import Evidence

UTF8: Final = "utf-8"
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: The mark of UTF-8, read as cp1252 and saved as UTF-8.
_GARBLED_MARK: Final = codecs.BOM_UTF8.decode("cp1252").encode()
#: Marks in a row that are taken off: files that were joined, or saved twice, have two.
_MOST_MARKS: Final = 8
#: Text encodings of Python that no server means.
_NO_CHARSETS: Final = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
#: Read as what senders of these names really send (https://encoding.spec.whatwg.org/#names-and-labels).
_WIDER: Final = {
    "iso8859-1": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030",
    "shift_jis": "cp932", "euc_kr": "cp949", "tis-620": "cp874", "iso8859-11": "cp874",
}  # fmt: skip
#: Bytes by which encodings of seven bits leave ASCII.
_SHIFTS: Final = {"iso2022": b"\x1b", "hz": b"~", "utf-7": b"+"}
_SEVERAL_BYTES: Final = ("gb", "big5", "cp932", "cp949", "cp950", "euc", "shift", "johab")
_LONGEST_NAME: Final = 40
_FALLBACK: Final = "cp1252"
_RUNS: Final = re.compile(rb"[\x80-\xff]+")
#: For each run of bytes above 127 that is UTF-8, so many that are not are wanted to take a text for
#: another encoding. Texts in 20 other encodings have 40 and more, while UTF-8 has few runs with a
#: damaged place, or one that was cut within a character.
_BAD_FOR_A_GOOD_ONE: Final = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """How a text is to be read."""

    #: Strictly, where there is no other.
    encoding: str = UTF8
    #: If the bytes turn out not to be UTF-8; None: that is an error.
    otherwise: str | None = None
    #: Bytes, beside those above 127, at which the two differ.
    shifts: bytes = b""
    #: Nobody has said that it may be the other.
    is_guess: bool = False


def choose_encoding(body: Body, answer: Answer) -> Choice:
    """How to read a text; takes byte order marks off it.

    Raises:
        SourceDataError: The file names no encoding.
    """
    marked = take_marks(body)
    stated = answer.encoding and find_codec(answer.encoding)
    if answer.encoding and not stated:
        raise answer.error(f"{answer.encoding[:40]!r} is no encoding", f"Correct {answer.key}.")
    if marked:
        if stated and not marked.startswith(stated):
            answer.memory.warn_once(
                f"{answer.key} is {answer.encoding}, but the text begins with the mark of {marked} "
                f"and is read so"
            )
        return Choice(marked)
    head = body.peek_bytes(HEAD)
    if stated:
        return Choice(_with_byte_order(stated, head))
    return Choice(zeros) if (zeros := _by_zeros(head)) else _choose_by_charset(head, answer)


def take_marks(body: Body) -> str | None:
    """The encoding that a byte order mark tells."""
    for mark, encoding in _MARKS:
        taken = 0
        while taken < _MOST_MARKS and body.peek_bytes(len(mark)) == mark:
            body.read(len(mark))
            taken += 1
        if taken:
            return encoding
    if body.peek_bytes(len(_GARBLED_MARK)) == _GARBLED_MARK:
        body.read(len(_GARBLED_MARK))
        return UTF8
    return None


def find_codec(name: str) -> str | None:
    """Python's name of a charset; None where there is none of this name."""
    if len(name) > _LONGEST_NAME:
        return None  # Python keeps each name that it was asked for
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", True) or found.name in _NO_CHARSETS:
        return None
    return UTF8 if found.name in (UTF8, "ascii", "utf-8-sig") else found.name


def is_said_to_be_utf8(content_type: str | None, stated: str | None) -> bool:
    """Whether neither the file nor the response says anything else."""
    said = stated or charset_of(content_type or "")
    return said is None or find_codec(said) == UTF8


def decode_beginning(head: bytes, content_type: str | None) -> str:
    """The text of the first bytes of an answer, which may be cut off within a character.

    For what is shown or looked at, not for records: bytes of no encoding are replaced.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return codecs.getincrementaldecoder(encoding)("replace").decode(head[len(mark) :])
    charset = charset_of(content_type or "")
    declared = find_codec(charset) if charset else None
    encoding = _by_zeros(head) or UTF8
    if encoding == UTF8 and declared and not is_utf8(head):
        encoding = _with_byte_order(_WIDER.get(declared, declared), head)
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)


def _choose_by_charset(head: bytes, answer: Answer) -> Choice:
    charset = answer.charset
    if charset is None:
        # Nobody says anything: for CSV, what Excel saves is more likely than a mistake.
        return Choice(UTF8, _FALLBACK, is_guess=True) if answer.is_csv else Choice()
    declared = find_codec(charset)
    if declared is None:
        if not answer.is_json:
            answer.memory.warn_once(
                f"the Content-Type says charset={charset[:40]}, which does not exist: read as UTF-8"
            )
        return Choice()
    declared = _WIDER.get(declared, declared)
    if declared == UTF8:
        return Choice()
    if "az09{,".encode(declared) == b"az09{,":
        shifts = b"".join(by for name, by in _SHIFTS.items() if declared.startswith(name))
        return Choice(UTF8, declared, shifts)
    # UTF-16, UTF-32, EBCDIC: not a byte of it would be the same.
    if b"\0" not in head and is_utf8(head):
        _tell_utf8(answer, declared)
        return Choice()
    return Choice(_with_byte_order(declared, head))


def is_utf8(text: bytes, *, is_whole: bool = False) -> bool:
    """Whether bytes are UTF-8; those that are not the whole may be cut off within a character."""
    try:
        codecs.getincrementaldecoder(UTF8)().decode(text, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def _by_zeros(head: bytes) -> str | None:
    """UTF-16 and UTF-32 of mostly ASCII text, by where the zeros stand."""
    if b"\0" not in head[:64]:
        return None
    zeros = [head[offset:256:4].count(0) * 4 / max(1, len(head[:256])) for offset in range(4)]
    pattern = tuple(offset for offset, share in enumerate(zeros) if share > 0.6)
    return {
        (1, 3): "utf-16-le",
        (0, 2): "utf-16-be",
        (1, 2, 3): "utf-32-le",
        (0, 1, 2): "utf-32-be",
    }.get(pattern)


def _with_byte_order(encoding: str, head: bytes) -> str:
    """UTF-16 and UTF-32 with the order that their zeros show: Python asks for a mark."""
    if encoding not in ("utf-16", "utf-32"):
        return encoding
    width = int(encoding[-2:]) // 8
    is_little = head[width - 1 :: width].count(0) >= head[::width].count(0)
    return f"{encoding}-{'le' if is_little else 'be'}"


def weigh(window: bytes, answer: Answer, choice: Choice, *, is_end: bool) -> str:
    """UTF-8 or the other encoding, by what the bytes are where the two differ for the first time.

    Args:
        window: From there on.
        answer: Whose text it is.
        choice: With another encoding than UTF-8.
        is_end: The text ends with the window.

    Raises:
        SourceDataError: The bytes are UTF-8 in part: to read them as either would garble the rest.
    """
    other = choice.otherwise or UTF8
    if window.isascii():
        return other  # they differ by a shift
    *runs, last = _RUNS.findall(window)
    bad = sum(not is_utf8(run, is_whole=True) for run in runs)
    bad += not is_utf8(last, is_whole=is_end or window[-1] < 0x80)
    seen = answer.memory.evidence.setdefault(other, Evidence())
    if window != seen.last:
        seen.bad, seen.good, seen.last = seen.bad + bad, seen.good + len(runs) + 1 - bad, window
    if not seen.bad:
        seen.was_utf8 = True
        if not choice.is_guess:
            _tell_utf8(answer, other)
        return UTF8
    if seen.was_utf8 or seen.bad < _BAD_FOR_A_GOOD_ONE * seen.good:
        raise _is_in_doubt(answer, other, choice)
    if choice.is_guess:
        answer.memory.warn_once(
            f"the text is no UTF-8: read as {other} (Windows). Set {answer.key} to be sure."
        )
    return other


def _tell_utf8(answer: Answer, declared: str) -> None:
    # JSON is UTF-8 whatever the header says, and no text of single bytes is UTF-8 by chance.
    if answer.is_json and not declared.startswith(_SEVERAL_BYTES):
        return
    answer.memory.warn_once(
        f"the Content-Type says charset={answer.charset}, but the text is valid UTF-8 and read so. "
        f"Set {answer.key} to be sure"
    )


def _is_in_doubt(answer: Answer, other: str, choice: Choice) -> SourceDataError:
    says = "" if choice.is_guess else f" (its Content-Type says {answer.charset})"
    return answer.error(
        f"its text, with those of the answers before, is UTF-8 in some places and not in others"
        f"{says}: whatever it is read as, some would be garbled",
        f"Set {answer.key} to the encoding of the source (such as utf-8 or {other}), or mend the "
        f"source.",
    )
