"""The source's own words about an error, in whatever form it has them: pure, of documents alone.

Many sources answer an error with status 200 (GraphQL by its specification), and each in its own
form. Two questions are told apart. `find_complaint`: does an answer say of itself that it failed?
That must not be asked of records, in which `error` or `status: failed` is data, so it looks only at
what is around them. `words_of`: what does an answer say that is known to be of no use?
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

#: Characters of the source's words in a message, and texts of them.
LONGEST: Final = 300
_MOST_TEXTS: Final = 3
_DEEPEST: Final = 5
#: Members of an object, or elements of an array, that are looked at.
_MOST_LOOKED_AT: Final = 200


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# All names are folded: `Error_Description`, `errorDescription` and `odata:error-description` are
# one. The order is that in which they are shown.
_TEXTS: Final = _names("""
    errordescription errormessage errormessages errormsg errmsg faultstring exceptionmessage
    message messages msg detail details diagnostics reason description text value title note
    information info error errors odataerror fault faults failure failures exception issue
    errordetails errorinfo errortype errorcode code type
    """)
#: Whatever they hold speaks of an error.
_ERRORS: Final = _names("""
    error errors odataerror fault faults failure failures exception exceptionmessage exceptiontype
    errordescription errormessage errormessages errormsg errmsg errorcode errcode errortype
    errordetails errorinfo faultstring faultcode
    """)
#: Of these, the ones that some sources fill in any case, beside a code that tells.
_ERROR_TEXTS: Final = _names("errormessage errormsg errmsg")
_ERROR_CODES: Final = _names("errorcode errcode code retcode ret resultcode")
#: `false` in these speaks of one, and `true` in those.
_GOOD_FLAGS: Final = _names("success succeeded successful issuccess issuccessful ok isok")
_BAD_FLAGS: Final = _names(
    "iserror haserror haserrors failed isfailed hasfailed timedout incompleteresults"
)
#: A word of failure in them does.
_STATES: Final = _names("status state stat result outcome type responsestatus")
_FAILED: Final = _names("error err fail failed failure fault exception ko nok")
#: An HTTP status of 400 to 599 in them does, where a text stands beside it.
_STATUSES: Final = _names("status statuscode httpstatus httpstatuscode httpcode code responsecode")
_BESIDE_STATUS: Final = _names("message msg detail title reason description error")
_MESSAGES: Final = _names("message msg detail reason")
#: Objects around the records in which sources say how a request went.
_ENVELOPES: Final = _names(
    "envelope body response result status meta metadata header shards responsestatus"
)
#: Where an error would be told, these texts tell that there is none; so do noughts.
_HARMLESS: Final = _names(
    "ok okay success successful succeeded none null nil na no noerror noerrors false 200"
)
#: What sources say of an empty result that is one.
_ALL_IS_WELL: Final = re.compile(
    r"\bsuccess(ful(ly)?)?\b|\bsucceeded\b"
    r"|\b(no|0|zero) (\w+ )?(data|entries|entry|items?|match(es)?|records?|results?|rows?)\b",
    re.IGNORECASE,
)
#: What stands beside an error in an answer that is nothing else.
_BESIDE_ERROR: Final = frozenset(
    _TEXTS + _ERRORS + _GOOD_FLAGS + _BAD_FLAGS + _STATES + _STATUSES + _ENVELOPES
).union(
    _names("""
    instance timestamp time date path method requestid traceid correlationid transactionid spanid
    errorid debugid documentationurl docs documentation help helpurl helplink moreinfo link links
    href url trace stack stacktrace name hint fields field parameter parameters params context
    extensions severity category target innererror developermessage usermessage internalmessage
    statustext reference domain locationtype suberror data results items rid subcode fbtraceid
    sqlstate loc ctx input resourcetype kind apiversion
    """)
)
_TELLING: Final = frozenset(
    _ERRORS
    + _ERROR_CODES
    + _GOOD_FLAGS
    + _BAD_FLAGS
    + _STATES
    + _STATUSES
    + _BESIDE_STATUS
    + _ENVELOPES
    + _TEXTS
)
#: And beside a mere message, which may be data as well.
_BESIDE_MESSAGE: Final = frozenset(
    _names("""
    message msg detail statuscode timestamp path requestid traceid correlationid documentationurl
    """)
)


def words_of(document: Any) -> str:
    """What an answer that is of no use says, in one line; "" if it says nothing."""
    return _join(_texts(document, 0))


def quote_words(words: str) -> str:
    """The words as they stand behind a message."""
    return f' (it says: "{words}")' if words else ""


def find_complaint(document: Any, way: Sequence[str]) -> str:
    """The words by which an answer says that it failed, for good or in part; "" if it does not.

    Args:
        document: The answer; of its records nothing is looked at.
        way: Names of the members from the root towards the records.
    """
    for around, own in _around_records(document, way):
        if words := _complaint_of(around, own):
            return words
    return ""


def find_bare_complaint(document: Any, *, alone: bool) -> str:
    """The words of what may be a record, if it is nothing but an error.

    Args:
        document: Of which each member must be one that stands in errors.
        alone: Nothing else came: then a mere `{"message": ...}` is an error, too.
    """
    if not isinstance(document, Mapping) or not 0 < len(document) <= _MOST_LOOKED_AT:
        return ""
    names = {_fold(str(name)) for name in document}
    if names <= _BESIDE_ERROR and (words := find_complaint(document, ())):
        return words
    return words_of(document) if alone and names <= _BESIDE_MESSAGE else ""


def explain_nothing(document: Any, way: Sequence[str]) -> str:
    """The words of an answer without the records that were declared, if it looks like an error."""
    if words := find_complaint(document, way):
        return words
    only = document[0] if isinstance(document, list) and len(document) == 1 else document
    if isinstance(only, str):
        return words_of(only)
    if not isinstance(only, Mapping) or len(only) > _MOST_LOOKED_AT:
        return ""
    is_bare = {_fold(str(name)) for name in only} <= _BESIDE_ERROR
    return words_of(only) if is_bare else ""


def find_message(document: Any) -> str:
    """What an answer says in the place of its records, where it says more than that all is well."""
    if not isinstance(document, Mapping):
        return ""
    members = {_fold(str(name)): value for name, value in islice(document.items(), _MOST_LOOKED_AT)}
    told = [members[name] for name in _MESSAGES if name in members and _holds(members[name])]
    texts = (text for value in told for text in _texts(value, 1))
    return _join(text for text in texts if not _ALL_IS_WELL.search(text))


def is_telling(name: str) -> bool:
    """Whether a member around the records may speak of an error."""
    return _fold(name) in _TELLING


def _around_records(
    document: Any, way: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """The objects around the records, each with the member that leads on to them."""
    here = document
    for own in (*way, None):
        if not isinstance(here, Mapping) or (own is None and way):
            return
        yield here, own
        for inner in _envelopes(here, own, 0):
            yield inner, None
        here = here.get(own) if own is not None else None


def _envelopes(
    around: Mapping[str, Any], own: str | None, depth: int
) -> Iterator[Mapping[str, Any]]:
    for name, value in islice(around.items(), _MOST_LOOKED_AT):
        if isinstance(value, Mapping) and name != own and _fold(str(name)) in _ENVELOPES:
            yield value
            if depth < _DEEPEST:
                yield from _envelopes(value, None, depth + 1)


def _complaint_of(around: Mapping[str, Any], own: str | None) -> str:
    members = {
        _fold(str(name)): (str(name), value)
        for name, value in islice(around.items(), _MOST_LOOKED_AT)
        if name != own
    }
    signs = [folded for folded, (_, value) in members.items() if _is_sign(folded, value, members)]
    if not signs:
        return ""
    told = [value for folded, (_, value) in members.items() if folded in _ERRORS and _holds(value)]
    told += [members[name][1] for name in _BESIDE_STATUS if name in members]
    if not told:  # `{"status": "fail", "data": {"id": "is missing"}}`
        told = [value for name, value in around.items() if _fold(str(name)) == "data"]
        told = [value for value in told if isinstance(value, Mapping) and _is_flat(value)]
    words = _join(text for part in told for text in _texts(part, 1))
    name, value = members[signs[0]]
    is_scalar = isinstance(value, (str, int, float))
    return words or _join(iter([f"{name}: {json.dumps(value) if is_scalar else '...'}"]))


def _is_flat(value: Mapping[str, Any]) -> bool:
    """Whether an object holds no others, and so no records."""
    inner = islice(value.values(), _MOST_LOOKED_AT)
    return not any(isinstance(member, (Mapping, list)) for member in inner)


def _is_sign(folded: str, value: Any, members: Mapping[str, tuple[str, Any]]) -> bool:
    if folded in _ERROR_TEXTS and any(
        name in members and not _holds(members[name][1]) for name in _ERROR_CODES
    ):
        return False
    if folded in _ERRORS:
        return _holds(value)
    text = _fold_text(str(value)) if isinstance(value, (str, int, float)) else None
    if folded in _GOOD_FLAGS:
        return text in ("false", "0", "no", *_FAILED)
    if folded in _BAD_FLAGS:
        return value is True or (isinstance(value, str) and text == "true")
    is_failed = folded in _STATES and isinstance(value, str) and text in _FAILED
    has_text = any(name in members and _holds(members[name][1]) for name in _BESIDE_STATUS)
    is_status = folded in _STATUSES and re.fullmatch(r"[45][0-9]{2}", text or "") is not None
    return is_failed or (is_status and has_text)


def _holds(value: Any) -> bool:
    """Whether something is told where an error would be."""
    if isinstance(value, str):
        text = _fold_text(value)
        is_harmless = text in _HARMLESS or not text.strip("0")
        return not is_harmless if value.isascii() else bool(value.strip())
    if isinstance(value, Mapping):
        known = [inner for name, inner in value.items() if _fold(str(name)) in _TEXTS]
        return any(map(_holds, islice(known or value.values(), _MOST_LOOKED_AT)))
    if isinstance(value, list):
        return any(map(_holds, value[:_MOST_LOOKED_AT]))
    return bool(value) and value != 200


def _texts(value: Any, depth: int) -> Iterator[str]:
    """The texts that tell of an error, the most telling first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list) and depth <= _DEEPEST:
        for element in value[:_MOST_TEXTS]:
            yield from _texts(element, depth + 1)
    elif isinstance(value, Mapping) and depth <= _DEEPEST:
        members = {
            _fold(str(name)): inner for name, inner in islice(value.items(), _MOST_LOOKED_AT)
        }
        known = [members[name] for name in _TEXTS if name in members]
        known += [members[name] for name in members if name in _ENVELOPES and not known]
        for inner in known:
            yield from _texts(inner, depth + 1)
        if depth and not known:  # `{"name": ["is too long"]}`
            for name, inner in islice(value.items(), _MOST_TEXTS):
                yield from (f"{name}: {text}" for text in islice(_texts(inner, depth + 1), 1))


def _join(texts: Iterator[str]) -> str:
    lines = (" ".join("".join(filter(_is_shown, text)).split()) for text in texts)
    distinct = dict.fromkeys(islice((line for line in lines if line), 4 * _MOST_TEXTS))
    words = "; ".join(islice(distinct, _MOST_TEXTS))
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _is_shown(character: str) -> bool:
    return character.isprintable() or character.isspace()


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    """`Error_Description`, `errorDescription` and `s:ErrorDescription` are one name."""
    return _fold_text(name.rpartition(":")[2])


def _fold_text(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text[:LONGEST].lower())
