"""Looks at an API and proposes a config file: `sync-pipeline probe URL`.

::

    GET url ─► format ─► where the records are ─► key ─► fields
                              └─► pages: a few small requests that confirm or refute a guess

At most eight requests, each read to a bound; nothing is changed at the source. What a guess rests
on is said in the file's comments.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import requests

from sync_pipeline.config.model import MappingRule, SyncConfig
from sync_pipeline.deadline import TimeBudget
from sync_pipeline.errors import SourceDataError, SourceError, UsageError
from sync_pipeline.extract.formats import TextMemory, load_document, read_records
from sync_pipeline.extract.formats.body import is_packed
from sync_pipeline.extract.formats.encoding import decode_beginning
from sync_pipeline.extract.formats.json_beginning import load_beginning
from sync_pipeline.extract.http.bodies import lie_told, not_undone
from sync_pipeline.extract.http.content_encoding import NotUndoneError, Unpacked
from sync_pipeline.extract.http.failures import describe_failure, explain_status
from sync_pipeline.extract.http.redirects import MOST_REDIRECTS, leave, redirect_target
from sync_pipeline.extract.http.sessions import (
    SAFE_HEADERS,
    SourceSession,
    is_http_url,
    is_same_origin,
)
from sync_pipeline.extract.own_words import (
    explain_nothing,
    find_bare_complaint,
    find_complaint,
    quote_words,
)
from sync_pipeline.extract.probe.paging import PagingGuess, Sample, guess_paging
from sync_pipeline.extract.probe.shape import (
    FieldGuess,
    Place,
    field_of,
    find_places,
    guess_fields,
    guess_key,
)
from sync_pipeline.redaction import Redactor, is_secret_name, redact_url

Format = Literal["json", "jsonl", "csv"]

#: Requests in all, the first one included.
MAX_REQUESTS: Final = 8
#: Bytes that are read of an answer, and records that are looked at.
MAX_BYTES: Final = 2 * 1024 * 1024
_MAX_ROWS: Final = 500
#: That a request may wait in all; what it brings buys some more.
MAX_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was found out about a source, ready to be written as a config file."""

    url: str
    #: Sent with every request, as given; secrets among them become variables in the file.
    headers: Mapping[str, str]
    results_format: Format
    #: "" is the root.
    results_json_path: str
    paging: PagingGuess
    #: Column that identifies a record; None: not found.
    key_column: str | None
    fields: Sequence[FieldGuess]
    #: Columns that no field can take as they are.
    left_out: Sequence[str]
    #: Records in the first answer that were looked at.
    sampled: int
    requests: int
    #: What is unsure, by the part of the file that it concerns.
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def probe(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    session: requests.Session | None = None,
    timeout_s: float = 30,
    max_requests: int = MAX_REQUESTS,
    max_bytes: int = MAX_BYTES,
    monotonic: Callable[[], float] = time.monotonic,
) -> ProbeResult:
    """Ask a source for its first records and find out how to read the rest.

    Args:
        url: Absolute; its query string is kept.
        headers: Sent with every request.
        session: Follows no redirect by itself; closed by the caller. Else one of our own.
        timeout_s: Of connecting, and of waiting for the next bytes.
        max_requests: All requests together.
        max_bytes: Of each answer; what is beyond is not read.
        monotonic: Seconds of a clock that never goes back.

    Raises:
        UsageError: The URL is none.
        SourceError: The source cannot be reached, or refuses the first request.
        SourceDataError: It answers no records (HTML, XML, Excel, an empty document).
    """
    if not is_http_url(url):
        raise UsageError(f"{redact_url(url)} is no URL: it begins with http:// or https://")
    own = session is None
    session = session or SourceSession()
    redactor = Redactor(text for name, text in (headers or {}).items() if is_secret_name(name))
    prober = _Prober(session, dict(headers or {}), timeout_s, max_requests, max_bytes, monotonic)
    try:
        return prober.run(url)
    except SourceError as err:  # it may quote the source, and the source what it was sent
        err.args = (redactor.redact(str(err)),)
        raise
    finally:
        if own:
            session.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    is_whole: bool
    content_type: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Prober:
    session: requests.Session
    headers: dict[str, str]
    timeout_s: float
    max_requests: int
    max_bytes: int
    monotonic: Callable[[], float]
    made: int = 0
    #: What there is to say about the encoding of the answers.
    said: list[str] = field(default_factory=list)
    texts: TextMemory = field(init=False)

    def __post_init__(self) -> None:
        """Let the readers of the formats tell what they guess."""
        self.texts = TextMemory(self.said.append)

    def run(self, url: str) -> ProbeResult:
        """Find out everything about one URL."""
        answer = self._get(url, {})
        shape, document = self._format_of(answer, url)
        notes: dict[str, list[str]] = {}
        if shape == "json":
            places = find_places(document)
            place = places[0] if places else Place("", [], is_array=False)
            _refuse_error(document, place, url)
            _note_places(places, notes)
        else:
            place = Place("", document)
        if not place.rows:
            raise SourceDataError(
                f"{redact_url(url)}: the answer has no records to look at. Probe a URL that gives "
                "some, with the query parameters and headers that it needs"
            )
        rows = place.rows[:_MAX_ROWS]
        key, key_note = guess_key(rows)
        if key_note:
            notes["key"] = [key_note]
        fields, left_out = guess_fields(rows)
        paging = self._paging(url, shape, place, document=document, answer=answer, key=key)
        if not answer.is_whole:
            notes["answer"] = [f"the answer is larger than the {self.max_bytes:,} bytes looked at"]
        notes["format"] = list(self.said)
        if shape == "csv":
            notes["format"].append("whether the first line is a header was not checked")
        return ProbeResult(
            url=url, headers=self.headers, results_format=shape, results_json_path=place.path,
            paging=paging, key_column=key if key and field_of(fields, key) else None,
            fields=fields, left_out=left_out, sampled=len(rows), requests=self.made, notes=notes,
        )  # fmt: skip

    def _get(self, url: str, further: Mapping[str, str]) -> _Answer:
        self.made += 1
        try:
            # Bound as a whole: what drips is no API to sync from.
            with (
                TimeBudget(MAX_SECONDS, clock=self.monotonic),
                self._follow(url, {**self.headers, **further}) as response,
            ):
                body = b""
                unpacked = Unpacked(response)
                for chunk in unpacked.chunks(64 * 1024):
                    body += chunk
                    if len(body) > self.max_bytes:
                        break
                status, answered = response.status_code, dict(response.headers)
                content_type = response.headers.get("Content-Type", "")
        except requests.RequestException as err:
            raise SourceError(
                f"GET {redact_url(url)}: {describe_failure(err, self.timeout_s)}", retryable=True
            ) from err
        except NotUndoneError as err:
            raise not_undone(f"GET {redact_url(url)}", err) from err
        except ValueError as err:
            raise SourceError(f"GET {redact_url(url)}: a redirect leads to no URL") from err
        if unpacked.lie:
            self.texts.warn_once(lie_told(unpacked.lie))
        if status != requests.codes.ok:
            why = explain_status(status, body[:4096], content_type)
            raise SourceError(f"GET {redact_url(url)} answered {status}{why}", status=status)
        return _Answer(body[: self.max_bytes], len(body) <= self.max_bytes, content_type, answered)

    def _follow(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """The first answer that is no redirect; once on another host, no header tells a secret."""
        at = url
        for _ in range(MOST_REDIRECTS + 1):
            response = self.session.get(at, headers=headers, timeout=self.timeout_s, stream=True)
            target = redirect_target(response)
            if target is None:
                return response
            leave(response)
            if not is_same_origin(self.session, url, target):
                headers = {k: v for k, v in headers.items() if k.lower() in SAFE_HEADERS}
            at = target
        raise SourceError(f"GET {redact_url(url)}: too many redirects")

    def _format_of(self, answer: _Answer, url: str) -> tuple[Format, Any]:
        """The format, and the document or the rows."""
        text = decode_beginning(answer.body, answer.content_type).lstrip("\ufeff \t\r\n")
        head = text[:1]
        media_type = answer.content_type.split(";")[0].strip().lower()
        if media_type in ("text/csv", "application/csv") and head not in ("{", "["):
            return "csv", self._rows(answer, "csv", url)
        if head == "{" and (
            re.search(r"ndjson|jsonl|json-?lines|json-seq", media_type)
            or re.match(r"\{[^\n]*\}\s*\n\s*\{", text)
        ):
            return "jsonl", self._rows(answer, "jsonl", url)
        if head in ("{", "["):
            return "json", self._document(answer, url)
        # Raises for HTML, XML, zip and Excel, with what to do.
        rows = self._rows(answer, "csv", url)
        if rows and len(rows[0]) > 1:
            return "csv", rows
        raise SourceDataError(
            f"{redact_url(url)}: the answer ({media_type or 'no Content-Type'}) is neither JSON "
            "nor CSV"
        )

    def _document(self, answer: _Answer, url: str) -> Any:
        if not answer.is_whole:
            return load_beginning(decode_beginning(answer.body, answer.content_type).encode())
        return load_document(
            io.BytesIO(answer.body),
            _config("json"),
            content_type_header=answer.content_type,
            url=redact_url(url),
            memory=self.texts,
        )

    def _rows(self, answer: _Answer, shape: Format, url: str) -> list[Any]:
        body, content_type = answer.body, answer.content_type
        if not answer.is_whole and not is_packed(body):
            if b"\0" in body:  # UTF-16: the end of a line is more than a byte
                body = decode_beginning(body, content_type).encode()
                content_type = content_type.split(";")[0]
            body = body[: body.rfind(b"\n") + 1]
        found: list[Any] = []
        reader = read_records(
            io.BytesIO(body),
            _config(shape),
            content_type_header=content_type,
            url=redact_url(url),
            memory=self.texts,
        )
        for row in reader:
            found.append(row)
            if len(found) >= _MAX_ROWS:
                break
        return found

    def _paging(
        self,
        url: str,
        shape: Format,
        place: Place,
        *,
        document: Any,
        answer: _Answer,
        key: str | None,
    ) -> PagingGuess:
        if not place.is_array:
            return PagingGuess({"type": "none"}, ("the answer is one record",))
        if not answer.is_whole:
            note = "the answer was not read to its end: whether there are pages is not known"
            return PagingGuess({"type": "none"}, (note,))

        def sample(of: _Answer, loaded: Any) -> Sample:
            if shape == "json":
                rows = next((p.rows for p in find_places(loaded) if p.path == place.path), [])
                around = loaded if isinstance(loaded, Mapping) else None
            else:
                rows, around = loaded, None
            return Sample([_identity(row, key) for row in rows], around, of.headers)

        def ask(asked: str, further: Mapping[str, str]) -> Sample | None:
            if self.made >= self.max_requests:
                return None
            try:
                further_answer = self._get(asked, further)
                found, loaded = self._format_of(further_answer, asked)
            except SourceError:
                return None  # a guess that the source does not take is a wrong guess
            return sample(further_answer, loaded) if found == shape else None

        first = sample(answer, document)
        headers = requests.structures.CaseInsensitiveDict(answer.headers)
        return guess_paging(url, Sample(first.identities, first.surroundings, headers), ask)


def _refuse_error(document: Any, place: Place, url: str) -> None:
    """Raise where the answer says that the source failed."""
    is_around = place.path or not place.rows
    words = find_complaint(document, ()) if is_around else find_bare_complaint(document, alone=True)
    if not place.rows:
        words = words or explain_nothing(document, ())
    if words:
        raise SourceDataError(
            f"{redact_url(url)}: the source answered an error{quote_words(words)}. Mend what it "
            f"says: often credentials (--header) or query parameters"
        )


def _config(shape: Format) -> SyncConfig:
    """What the readers of the formats ask of a config."""
    rule = MappingRule(field_name="x", expression="")
    return SyncConfig(
        key="probe", content_type="x", content_key_field="x", mapping=(rule,), results_format=shape
    )


def _identity(row: Mapping[str, Any], key: str | None) -> str:
    return json.dumps(row.get(key) if key else row, sort_keys=True, default=str)


def _note_places(places: Sequence[Place], notes: dict[str, list[str]]) -> None:
    if not places:
        return
    if not places[0].is_array:
        notes["path"] = ["there is no array of objects: the answer is taken as one record"]
    elif len(places) > 1:
        others = ", ".join(f"{place.path} ({len(place.rows)})" for place in places[1:6])
        notes["path"] = [f"other arrays of objects: {others}"]
