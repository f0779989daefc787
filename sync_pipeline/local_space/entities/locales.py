"""Locales of an environment."""

from __future__ import annotations

from typing import Any

from sync_pipeline.local_space.api_error import (
    ApiError,
    not_found,
    validation_error,
    version_mismatch,
)
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.queries.collections import Parameters
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.store.database import transaction
from sync_pipeline.local_space.store.rewriting import (
    Fields,
    fix_published_locales,
    rewrite_fields,
    rewrite_published_locales,
)
from sync_pipeline.local_space.store.store import USER_ID, LocaleRow, Scope, link, read_locales

#: Key of the API -> column.
_KEYS = {
    "name": "name",
    "code": "code",
    "fallbackCode": "fallback_code",
    "optional": "is_optional",
    "contentManagementApi": "in_management",
    "contentDeliveryApi": "in_delivery",
}
_READ_ONLY = frozenset({"sys", "default", "internal_code"})


def render_locale(scope: Scope, locale: LocaleRow) -> dict[str, Any]:
    """The locale as the API answers with it."""
    user = link("User", USER_ID)
    return {
        "name": locale.name,
        "internal_code": locale.internal_code,
        "code": locale.code,
        "fallbackCode": locale.fallback_code,
        "default": locale.is_default,
        "contentManagementApi": locale.in_management,
        "contentDeliveryApi": locale.in_delivery,
        "optional": locale.is_optional,
        "sys": {
            "type": "Locale",
            "id": locale.id,
            "version": locale.version,
            **scope.links(),
            "createdBy": user,
            "createdAt": locale.created_at,
            "updatedBy": user,
            "updatedAt": locale.updated_at,
        },
    }


def list_locales(scope: Scope, parameters: Parameters) -> dict[str, Any]:
    """A page of locales, the default one first."""
    locales = sorted(read_locales(scope.store, scope.env), key=lambda locale: not locale.is_default)
    return page([render_locale(scope, locale) for locale in locales], parameters)


def read_locale(scope: Scope, locale_id: str) -> LocaleRow:
    """The locale with that id (not code).

    Raises:
        ApiError: 404 without details.
    """
    for locale in read_locales(scope.store, scope.env):
        if locale.id == locale_id:
            return locale
    raise not_found()


def create_locale(scope: Scope, body: Any, locale_id: str | None = None) -> LocaleRow:
    """Add a locale."""
    content = _checked(body)
    missing = [key for key in ("name", "code") if not content.get(key)]
    if missing:
        raise ApiError(
            400, "MissingKey", f'Missing key "{missing[0]}" in the locale.', {"key": missing[0]}
        )
    with transaction(scope.store.connection):
        locales = read_locales(scope.store, scope.env)
        _check_code(content["code"], locales)
        _check_fallback(content.get("fallbackCode"), content["code"], locales)
        fix_published_locales(scope, [locale.code for locale in locales])
        now = scope.store.now()
        locale_id = locale_id or scope.store.new_id()
        scope.store.execute(
            "INSERT INTO locales VALUES (NULL, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 1, ?, ?)",
            (
                scope.env,
                locale_id,
                content["code"],
                content["code"],
                content["name"],
                content.get("fallbackCode"),
                bool(content.get("optional", False)),
                bool(content.get("contentManagementApi", True)),
                bool(content.get("contentDeliveryApi", True)),
                now,
                now,
            ),
        )
        scope.store.forget()
        return read_locale(scope, locale_id)


def put_locale(scope: Scope, locale_id: str, body: Any, version: int | None) -> LocaleRow:
    """Update the keys that are given; a changed code renames the locale in all entries."""
    content = _checked(body)
    with transaction(scope.store.connection):
        locales = read_locales(scope.store, scope.env)
        locale = read_locale(scope, locale_id)
        if version is not None and version != locale.version:
            raise version_mismatch()
        others = tuple(other for other in locales if other.id != locale_id)
        code = content.get("code") or locale.code
        if code != locale.code:
            _check_code(code, others)
            if any(other.fallback_code == locale.code for other in others):
                raise ApiError(403, "FallbackLocaleNotRenameable", "The locale is a fallback.")
            _rewrite_entries(scope, locale.code, code)
        _check_fallback(content.get("fallbackCode"), code, others)
        columns = [column for key, column in _KEYS.items() if key in content]
        values = [
            content[key] if column in ("name", "code", "fallback_code") else bool(content[key])
            for key, column in _KEYS.items()
            if key in content
        ]
        scope.store.execute(
            "UPDATE locales SET "
            + "".join(f"{column} = ?, " for column in columns)
            + "version = version + 1, updated_at = ? WHERE env = ? AND id = ?",
            (*values, scope.store.now(), scope.env, locale_id),
        )
        scope.store.forget()
        return read_locale(scope, locale_id)


def delete_locale(scope: Scope, locale_id: str) -> None:
    """Remove a locale, and its values from all entries."""
    with transaction(scope.store.connection):
        locale = read_locale(scope, locale_id)
        if locale.is_default:
            raise ApiError(403, "DefaultLocaleNotDeletable", "Cannot delete a default locale")
        if any(
            other.fallback_code == locale.code for other in read_locales(scope.store, scope.env)
        ):
            raise ApiError(
                403, "FallbackLocaleNotDeletable", "Cannot delete a locale that is a fallback"
            )
        _rewrite_entries(scope, locale.code, None)
        scope.store.execute("DELETE FROM locales WHERE env = ? AND id = ?", (scope.env, locale_id))
        scope.store.forget()


def _checked(body: Any) -> dict[str, Any]:
    if not body:
        raise ApiError(400, "MissingKey", 'Missing key "name" in the locale.', {"key": "name"})
    content = body_object(body)
    unknown = sorted(set(content) - set(_KEYS) - _READ_ONLY)
    if unknown:
        raise ApiError(400, "UnknownKey", f"Unknown keys: {', '.join(unknown)}.", {"keys": unknown})
    return content


def _check_code(code: Any, others: tuple[LocaleRow, ...]) -> None:
    if any(other.code == code for other in others):
        raise validation_error([{"name": "taken", "path": "code", "value": code}])


def _check_fallback(code: Any, own_code: str, others: tuple[LocaleRow, ...]) -> None:
    if code is None:
        return
    if code == own_code or all(other.code != code for other in others):
        raise validation_error([{"name": "fallbackCode", "path": "fallbackCode", "value": code}])


def _rewrite_entries(scope: Scope, code: str, new_code: str | None) -> None:
    def change(fields: Fields) -> Fields:
        changed = {
            field_id: {
                new_code if key == code and new_code is not None else key: value
                for key, value in values.items()
                if key != code or new_code is not None
            }
            for field_id, values in fields.items()
        }
        return {field_id: values for field_id, values in changed.items() if values}

    rewrite_fields(scope, [code], change)
    rewrite_published_locales(scope, code, new_code)
