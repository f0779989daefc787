"""Words for what went wrong with a request: short, without URLs, payloads or secrets."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterator

import requests
import urllib3

from sync_pipeline.deadline import TookTooLongError
from sync_pipeline.errors import SourceDataError
from sync_pipeline.extract.formats.encoding import decode_beginning
from sync_pipeline.extract.formats.json_beginning import load_beginning
from sync_pipeline.extract.own_words import quote_words, words_of

_FIXES = {
    400: "the source does not accept the request. Check queryParameters, pagination and the body",
    401: "the source does not know the credentials. Check `auth`, headers and the variables that "
    "they name",
    403: "the source refuses access. Check what the credentials may do",
    404: "there is nothing at this address. Check endPoint",
    405: "the source does not take this method. Check httpMethod",
    406: "the source cannot answer in what the header Accept asks for. Check headers",
    407: "a proxy asks for credentials. Check HTTPS_PROXY",
    410: "there is nothing at this address any more. Check endPoint",
    413: "the request is too large. Check limitMax or pageSize",
    414: "the URL is too long. Check endPoint and queryParameters",
    415: "the source does not take this kind of body. Check the header Content-Type",
    416: "the source has nothing in this range. Check pagination",
    422: "the source does not accept the request. Check queryParameters, pagination and the body",
    501: "the source does not know this method. Check httpMethod",
}


def explain_status(status: int, head: bytes, content_type: str | None) -> str:
    """What a final status means and what to do, with the source's own word where it has one.

    Args:
        status: Of the response.
        head: The first bytes of its body.
        content_type: Its header, for the charset.
    """
    fix = _FIXES.get(status)
    if fix is None:
        what = "a redirect that leads nowhere" if 300 <= status < 400 else "not with data"
        fix = f"{what}. Check endPoint"
    return f": {fix}{quote_words(words_of_head(head, content_type))}"


def words_of_head(head: bytes, content_type: str | None) -> str:
    """What the first bytes of a JSON body say of an error; never a part of any other body."""
    try:
        return words_of(load_beginning(decode_beginning(head, content_type).encode()))
    except (SourceDataError, ValueError, RecursionError):
        return ""


def describe_failure(err: BaseException, timeout_s: float) -> str:
    """The reason of a failed request in a few words.

    The texts of requests and urllib3 hold whole URLs, and header values; they are not used.
    """
    for cause in _causes(err):
        if isinstance(cause, ssl.SSLCertVerificationError):
            # Set by OpenSSL, such as "self-signed certificate".
            reason = getattr(cause, "verify_message", "") or "verification failed"
            return f"its certificate is not valid ({reason})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or type(cause).__name__})"
        if isinstance(cause, urllib3.exceptions.NameResolutionError | socket.gaierror):
            return "its host name cannot be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there (connection refused)"
        if isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
            return "the source closed the connection"
        if isinstance(cause, urllib3.exceptions.ConnectTimeoutError | requests.ConnectTimeout):
            return f"no connection within {timeout_s:g} s (timeoutS)"
        if isinstance(cause, TookTooLongError):
            return f"{cause} (maxSeconds)"
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError | requests.Timeout):
            return f"no answer within {timeout_s:g} s (timeoutS)"
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return "the answer ended too early"
        if isinstance(cause, urllib3.exceptions.DecodeError | zlib.error):
            return "its Content-Encoding cannot be undone"
        if type(cause) is EOFError:
            return "its Content-Encoding (gzip) ends too early"
        if isinstance(cause, urllib3.exceptions.ProxyError | requests.exceptions.ProxyError):
            return "the proxy does not answer"
        if type(cause).__name__ == "RemoteDisconnected":
            return "the source closed the connection without an answer"
        if type(cause) is OSError and cause.strerror:
            return cause.strerror
    return type(err).__name__


def is_final_tls_failure(err: BaseException) -> bool:
    """Whether a failed TLS connection fails again: all but one that was cut off."""
    return not any(
        isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError)
        for cause in _causes(err)
    )


def _causes(err: BaseException) -> Iterator[BaseException]:
    """What is behind an error, innermost first."""
    chain: list[BaseException] = []
    waiting: list[object] = [err]
    while waiting and len(chain) < 20:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and current not in chain:
            chain.append(current)
            reason = getattr(current, "reason", None)
            waiting += [*current.args, reason, current.__cause__, current.__context__]
    return reversed(chain)
