"""What an answer says about the fate of its request: the one table of the space's outcomes.

::

                read                        write
    certain     taken as it is              carried out (2xx), or refused for good (4xx)
    ambiguous   -                           may have been carried out: read back and compare
    retryable   asked again                 certainly not carried out: sent again
    fatal       ends the run                ends the run

What is not named here is unknown, and so is an answer that is no word of the API: a 2xx that does
not hold what was asked for (empty, cut off, HTML, another shape), a 4xx of a proxy. An unknown
outcome is repeatable for a read and ambiguous for a write.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["certain", "ambiguous", "retryable", "fatal"]

#: Fate of a read, and of a write.
_Fates: TypeAlias = tuple[Fate, Fate]

_CERTAIN: _Fates = ("certain", "certain")
_NOT_DONE: _Fates = ("retryable", "retryable")
_UNKNOWN: _Fates = ("retryable", "ambiguous")
_FATAL: _Fates = ("fatal", "fatal")

#: Answered by whoever stands in front of the service, before the request is passed on; the body
#: tells nothing more.
_TOO_LONG = frozenset({413, 414, 431})
#: Refusals after which nothing was carried out (https://www.rfc-editor.org/rfc/rfc9110#section-15.5),
#: if it is the API that says so.
_REFUSALS = _TOO_LONG | {400, 404, 405, 406, 409, 410, 411, 412, 415, 416, 417, 422}

_TABLE: dict[int, _Fates] = {
    **dict.fromkeys(range(200, 300), _CERTAIN),
    # Redirects would take the token elsewhere.
    **dict.fromkeys((301, 302, 303, 307, 308), _FATAL),
    # 407: the proxy wants credentials.
    **dict.fromkeys((401, 403, 407), _FATAL),
    **dict.fromkeys(_REFUSALS, _CERTAIN),
    429: _NOT_DONE,
    # Not named, so unknown: 0 (the connection broke), 1xx, 300, 304, 402, 408, 418, 425, 499,
    # and all from 500 on, Cloudflare's 520 to 529 among them.
}


def fate_of(method: str, status: int, *, is_sound: bool, was_sent: bool = True) -> Fate:
    """What an answer means for its request.

    Args:
        method: GET reads; all others may change the space.
        status: HTTP status, 0 where nothing came back.
        is_sound: The body is what the API sends with such a status.
        was_sent: False: no connection was made, so nothing can have been carried out.
    """
    if not was_sent:
        fates = _NOT_DONE
    else:
        fates = _TABLE.get(status, _UNKNOWN)
        if fates is _CERTAIN and not is_sound and status not in _TOO_LONG:
            fates = _UNKNOWN
    return fates[0] if method == "GET" else fates[1]


def is_refusal(status: int) -> bool:
    """Whether that status of a proxy most likely means what it says, so that few attempts do."""
    return status in _REFUSALS
