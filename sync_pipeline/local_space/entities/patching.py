"""JSON Patch (RFC 6902) of an entry, with the refusals of the API."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from sync_pipeline.local_space.api_error import bad_request, validation_error

#: TypeError: an operation that is no object, or reaches into a value that holds nothing.
_PATCH_ERRORS = (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError)


def patched(document: dict[str, Any], operations: Any) -> Any:
    """The document after the operations; it is changed in place.

    Raises:
        ApiError: 400 for a body that is no array, 422 for an operation that does not apply.
    """
    if operations is None:
        raise bad_request("Missing object")
    if not isinstance(operations, list):
        raise bad_request("The body of a PATCH request must be a JSON Patch array.")
    for index, operation in enumerate(operations):
        try:
            # One by one, so that the error can name the operation.
            document = jsonpatch.apply_patch(document, [operation], in_place=True)
        except _PATCH_ERRORS as error:
            raise validation_error(
                [
                    {
                        "name": "jsonPatch",
                        "path": [index],
                        "value": operation,
                        "details": f"The operation cannot be applied: {error}",
                    }
                ]
            ) from error
    return document
