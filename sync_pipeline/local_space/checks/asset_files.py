"""What a file of an asset must be: to be processed, and to be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipeline.local_space.api_error import ApiError, Detail, validation_error

#: Bytes of a file that the space has never seen: it was given as an address, which is not fetched.
#: Its size and dimensions are stand-ins of 1, and no validation is applied to them.
UNSEEN_SIZE = 1


def details_of_unseen(content_type: Any) -> dict[str, Any]:
    """`details` of a file that was given as an address."""
    details: dict[str, Any] = {"size": UNSEEN_SIZE}
    if is_image(content_type):
        details["image"] = {"width": 1, "height": 1}
    return details


def is_image(content_type: Any) -> bool:
    """Whether a file of that type has dimensions."""
    return isinstance(content_type, str) and content_type.startswith("image/")


def seen_details(file: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `details` that validations may judge: empty where they are stand-ins."""
    details = file.get("details")
    if not isinstance(details, Mapping) or details.get("size") == UNSEEN_SIZE:
        return {}
    return details


def check_processable(files: Any, locale: str) -> Mapping[str, Any]:
    """The file to process.

    Texts as quoted in https://github.com/contentful/contentful-management.rb/issues/104, .../209
    and https://github.com/contentful/contentful-import/issues/598.

    Raises:
        ApiError: 422 where there is none, or none that was uploaded.
    """
    if not isinstance(files, Mapping) or not files:
        raise validation_error([_required(["fields", "file"], "The asset has no files")])
    file = files.get(locale)
    if not isinstance(file, Mapping):
        path, text = ["fields", "file", locale], f"No file specified for locale: {locale}"
        raise validation_error([_required(path, text)])
    upload = file.get("upload")
    if not (isinstance(upload, str) and upload) and not isinstance(file.get("uploadFrom"), Mapping):
        path = ["fields", "file", locale]
        raise validation_error([_required([*path, key]) for key in ("upload", "uploadFrom")])
    return file


def check_processed(
    fields: Mapping[str, Mapping[str, Any]], locales: Sequence[str] | None = None
) -> None:
    """Refuse to publish an asset without files, or with one that was not processed.

    https://github.com/contentful/contentful.net/issues/256 quotes the missing `url`,
    https://github.com/contentful/contentful-management.py/issues/69 an address of one's own.

    Args:
        fields: Of the asset.
        locales: Those that are published; None: all.

    Raises:
        ApiError: 422 with every fault found.
    """
    files = {code: file for code, file in fields.get("file", {}).items() if file is not None}
    if not files:
        raise validation_error([_required(["fields", "file"])])
    errors: list[Detail] = []
    for locale, file in files.items():
        if locales is not None and locale not in locales:
            continue
        path = ["fields", "file", locale]
        url = file.get("url") if isinstance(file, Mapping) else None
        if not isinstance(url, str):
            errors.append(_required([*path, "url"]))
        elif not url.startswith("//"):
            errors.append({"name": "hasHostname", "path": [*path, "url"], "value": url})
    if errors:
        raise validation_error(errors)


def missing_upload(locale: str) -> ApiError:
    """422 for a file whose upload is not there (any more)."""
    path = ["fields", "file", locale, "uploadFrom"]
    return validation_error([{"name": "notResolvable", "path": path}])


def _required(path: list[Any], text: str = "") -> Detail:
    return {
        "name": "required",
        "path": path,
        "details": text or f'The property "{path[-1]}" is required here',
    }
