"""Refusals of the API as exceptions: one class, and a constructor for each kind of answer.

They never leave the server process: `asgi` turns them into HTTP answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: One element of `details.errors`.
Detail = Mapping[str, Any]

_QUERY_MESSAGE = (
    "The query you sent was invalid. Probably a filter or ordering specification is not "
    "applicable to the type of a field."
)


class ApiError(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        error_id: `sys.id` of the error body.
        message: None where the service sends none (409).
        details: The `details` object, or None where the service sends none.
    """

    def __init__(
        self,
        status: int,
        error_id: str,
        message: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.error_id = error_id
        self.message = message
        self.details = details
        super().__init__(f"{status} {error_id}: {message}")

    def body(self, request_id: str = "") -> dict[str, Any]:
        """The error as JSON; without `requestId` where it is nested in another answer."""
        answer: dict[str, Any] = {"sys": {"type": "Error", "id": self.error_id}}
        if self.message is not None:
            answer["message"] = self.message
        if self.details is not None:
            answer["details"] = self.details
        if request_id:
            answer["requestId"] = request_id
        return answer


def bad_request(message: str, details: Mapping[str, Any] | None = None) -> ApiError:
    """400 `BadRequest`: malformed, or not allowed in this state."""
    return ApiError(400, "BadRequest", message, details)


def version_mismatch() -> ApiError:
    """409 `VersionMismatch`, which has neither message nor details."""
    return ApiError(409, "VersionMismatch")


def not_found(details: Mapping[str, Any] | None = None) -> ApiError:
    """404 `NotFound`; spaces, environments and locales come without details."""
    return ApiError(404, "NotFound", "The resource could not be found.", details)


def unknown_route() -> ApiError:
    """404 `UnknownRoute`: a wrong path, or a method that the path does not have."""
    return ApiError(404, "UnknownRoute", "The route you requested does not exist.")


def validation_error(
    errors: Sequence[Detail],
    error_id: str = "ValidationFailed",
    message: str = "Validation error",
) -> ApiError:
    """422 with a list of what is wrong and where."""
    return ApiError(422, error_id, message, {"errors": list(errors)})


def invalid_query(errors: Sequence[Detail], message: str = _QUERY_MESSAGE) -> ApiError:
    """400 `InvalidQuery`."""
    return ApiError(400, "InvalidQuery", message, {"errors": list(errors)})
