"""Spaces, environments and the user, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
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
from sync_pipeline.local_space.store.removal import remove_environment, remove_space
from sync_pipeline.local_space.store.store import (
    DEFAULT_ENVIRONMENT,
    DEFAULT_LOCALE,
    USER_ID,
    Store,
    create_environment,
    create_space,
    link,
)
from sync_pipeline.model import RESOURCE_ID

ORGANIZATION_ID = "local-organization"
_SPACE = "SELECT id, name, version, created_at, updated_at FROM spaces"
_ENVIRONMENT = "SELECT space, id, name, version, created_at, updated_at FROM environments"


def render_user() -> dict[str, Any]:
    """The one user."""
    return {
        "firstName": "Local",
        "lastName": "User",
        "avatarUrl": "",
        "email": "local-user@example.com",
        "activated": True,
        "signInCount": 1,
        "confirmed": True,
        "sys": {"type": "User", "id": USER_ID, "version": 1},
    }


def render_organization() -> dict[str, Any]:
    """The one organization."""
    return {
        "name": "Local organization",
        "sys": {"type": "Organization", "id": ORGANIZATION_ID, "version": 1},
    }


def list_organizations(parameters: Parameters) -> dict[str, Any]:
    """A page of the one organization; the service shows 25 at a time."""
    return page([render_organization()], parameters, default_limit=25)


def check_organization(organization_id: str) -> None:
    """Refuse any but the one organization.

    Raises:
        ApiError: 404 without details.
    """
    if organization_id != ORGANIZATION_ID:
        raise not_found()


def list_users(parameters: Parameters) -> dict[str, Any]:
    """A page of the one user."""
    return page([render_user()], parameters)


def read_user(user_id: str) -> dict[str, Any]:
    """The one user.

    Raises:
        ApiError: 404 for any other.
    """
    if user_id != USER_ID:
        raise not_found({"type": "User", "id": user_id})
    return render_user()


def list_spaces(store: Store, parameters: Parameters) -> dict[str, Any]:
    """A page of spaces."""
    rows = store.execute(f"{_SPACE} ORDER BY created_at, id")
    return page([_render_space(row) for row in rows], parameters)


def read_space(store: Store, space_id: str) -> dict[str, Any]:
    """The space.

    Raises:
        ApiError: 404 without details.
    """
    row = store.execute(f"{_SPACE} WHERE id = ?", (space_id,)).fetchone()
    if row is None:
        raise not_found()
    return _render_space(row)


def post_space(store: Store, body: Any) -> dict[str, Any]:
    """Create a space with an id of our making."""
    content = body_object(body)
    name = _required_name(content)
    space_id = store.new_id()[:12].lower()
    locale = content.get("defaultLocale") or DEFAULT_LOCALE
    create_space(store, space_id, name, locale)
    return read_space(store, space_id)


def put_space(store: Store, space_id: str, body: Any, version: int | None) -> dict[str, Any]:
    """Rename a space."""
    name = _required_name(body_object(body))
    with transaction(store.connection):
        if version != read_space(store, space_id)["sys"]["version"]:
            raise version_mismatch()
        store.execute(
            "UPDATE spaces SET name = ?, version = version + 1, updated_at = ? WHERE id = ?",
            (name, store.now(), space_id),
        )
        return read_space(store, space_id)


def not_archived(store: Store, space_id: str) -> ApiError:
    """422 to whoever wants to unarchive a space: none is ever archived here."""
    read_space(store, space_id)
    return validation_error([{"name": "notArchived", "details": "The space is not archived"}])


def delete_space(store: Store, space_id: str, version: int | None) -> None:
    """Remove a space with all that it holds."""
    with transaction(store.connection):
        space = read_space(store, space_id)
        if version is not None and version != space["sys"]["version"]:
            raise version_mismatch()
        remove_space(store, space_id)


def list_environments(store: Store, space_id: str, parameters: Parameters) -> dict[str, Any]:
    """A page of the environments of a space."""
    read_space(store, space_id)
    rows = store.execute(f"{_ENVIRONMENT} WHERE space = ? ORDER BY env", (space_id,))
    return page([_render_environment(row) for row in rows], parameters)


def read_environment(store: Store, space_id: str, environment_id: str) -> dict[str, Any]:
    """The environment; always ready.

    Raises:
        ApiError: 404 without details.
    """
    row = store.execute(
        f"{_ENVIRONMENT} WHERE space = ? AND id = ?", (space_id, environment_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return _render_environment(row)


def post_environment(store: Store, space_id: str, body: Any, source: str | None) -> dict[str, Any]:
    """Create an environment with an id of our making, as a copy of `source` (default: master)."""
    environment, _ = put_environment(
        store,
        space_id,
        store.new_id(),
        {"name": _required_name(body_object(body))},
        version=None,
        source=source,
    )
    return environment


def delete_environment(
    store: Store, space_id: str, environment_id: str, version: int | None
) -> None:
    """Remove an environment with all that it holds.

    Raises:
        ApiError: 403 for master, which cannot be deleted:
            https://www.contentful.com/developers/docs/concepts/multiple-environments/
    """
    with transaction(store.connection):
        environment = read_environment(store, space_id, environment_id)
        if version is not None and version != environment["sys"]["version"]:
            raise version_mismatch()
        if environment_id == DEFAULT_ENVIRONMENT:
            raise ApiError(403, "AccessDenied", "The environment master cannot be deleted.")
        remove_environment(store, store.scope(space_id, environment_id).env)


def put_environment(
    store: Store,
    space_id: str,
    environment_id: str,
    body: Any,
    *,
    version: int | None,
    source: str | None,
) -> tuple[dict[str, Any], bool]:
    """Create an environment as a copy of `source` (default: master), or rename one."""
    name = body_object(body).get("name")
    if not RESOURCE_ID.fullmatch(environment_id):
        raise validation_error([{"name": "regexp", "path": ["sys", "id"], "value": environment_id}])
    read_space(store, space_id)
    with transaction(store.connection):
        row = store.execute(
            "SELECT version FROM environments WHERE space = ? AND id = ?",
            (space_id, environment_id),
        ).fetchone()
        if row is None:
            origin = store.scope(space_id, source or DEFAULT_ENVIRONMENT)
            create_environment(
                store,
                space_id,
                environment_id,
                name=name or environment_id,
                source_env=origin.env,
            )
        elif version != row[0]:
            raise version_mismatch()
        else:
            store.execute(
                "UPDATE environments SET name = ?, version = version + 1, updated_at = ? "
                "WHERE space = ? AND id = ?",
                (name or environment_id, store.now(), space_id, environment_id),
            )
        return read_environment(store, space_id, environment_id), row is None


def _required_name(content: dict[str, Any]) -> str:
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise validation_error([{"name": "required", "path": ["name"]}])
    return name


def _render_space(row: Sequence[Any]) -> dict[str, Any]:
    space_id, name, version, created_at, updated_at = row
    user = link("User", USER_ID)
    return {
        "name": name,
        "sys": {
            "type": "Space",
            "id": space_id,
            "version": version,
            "createdBy": user,
            "createdAt": created_at,
            "updatedBy": user,
            "updatedAt": updated_at,
            "organization": link("Organization", ORGANIZATION_ID),
        },
    }


def _render_environment(row: Sequence[Any]) -> dict[str, Any]:
    space_id, environment_id, name, version, created_at, updated_at = row
    user = link("User", USER_ID)
    return {
        "name": name,
        "sys": {
            "type": "Environment",
            "id": environment_id,
            "version": version,
            "space": link("Space", space_id),
            "status": link("Status", "ready"),
            "createdBy": user,
            "createdAt": created_at,
            "updatedBy": user,
            "updatedAt": updated_at,
        },
    }
