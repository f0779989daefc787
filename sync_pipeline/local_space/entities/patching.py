"""JSON Patch (RFC 6902) of an entry, with the refusals of the API."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from sync_pipeline.local_space.api_error import ApiError, bad_request, validation_error
from sync_pipeline.local_space.request import json_text

#: Bytes of JSON that the `copy` operations of one patch may add up to: as much as a body may hold.
#: 26 of them, each doubling what is there, made gigabytes of a text.
_MAX_COPIED = 1024 * 1024
#: Of RFC 6902; the library knows more.
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
#: TypeError: an operation that is no object, or reaches into a value that holds nothing.
_PATCH_ERRORS = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    TypeError,
    RecursionError,
)


def patched(document: dict[str, Any], operations: Any) -> Any:
    """The document after the operations; it is changed in place.

    Raises:
        ApiError: 400 for a body that is no array, or a result that cannot be stored; 422 for an
            operation that does not apply, or copies too much.
    """
    if operations is None:
        raise bad_request("Missing object")
    if not isinstance(operations, list):
        raise bad_request("The body of a PATCH request must be a JSON Patch array.")
    copied = 0
    for index, operation in enumerate(operations):
        try:
            if isinstance(operation, dict):
                if operation.get("op") not in _OPERATIONS:
                    raise _refused(index, operation, "unknown operation")
                if operation["op"] == "copy":
                    copied += _size(document, operation)
            if copied > _MAX_COPIED:
                raise _refused(index, operation, f"the patch copies more than {_MAX_COPIED} bytes")
            # One by one, so that the error can name the operation.
            document = jsonpatch.apply_patch(document, [operation], in_place=True)
        except _PATCH_ERRORS as error:
            raise _refused(index, operation, str(error)) from error
    if operations:
        json_text(document)  # before the checks, which go down into every level
    return document


def _size(document: Any, operation: dict[str, Any]) -> int:
    """Bytes of JSON that the operation copies; 0 where it does not apply, which the patch tells."""
    source = operation.get("from")
    if not isinstance(source, str):
        return 0
    value = jsonpointer.resolve_pointer(document, source)
    return 0 if isinstance(value, jsonpointer.EndOfList) else len(json_text(value))


def _refused(index: int, operation: Any, reason: str) -> ApiError:
    return validation_error(
        [
            {
                "name": "jsonPatch",
                "path": [index],
                "value": operation,
                "details": f"The operation cannot be applied: {reason}",
            }
        ]
    )
