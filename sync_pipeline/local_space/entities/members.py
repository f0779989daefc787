"""Who may do what in a space: the one user, everything."""

from __future__ import annotations

from typing import Any, Literal

from sync_pipeline.local_space.api_error import not_found
from sync_pipeline.local_space.entities.spaces import read_space
from sync_pipeline.local_space.store.store import USER_ID, Store, link

Type = Literal["SpaceMember", "SpaceMembership"]


def render_member(store: Store, space_id: str, member_type: Type) -> dict[str, Any]:
    """The one user as a member of the space, or the membership that makes it one.

    Raises:
        ApiError: 404 where there is no such space.
    """
    space = read_space(store, space_id)["sys"]
    resource_id = f"{space_id}-{USER_ID}"
    user = link("User", USER_ID)
    sys: dict[str, Any] = {
        "type": member_type,
        "id": resource_id,
        "version": 1,
        "space": link("Space", space_id),
        "user": user,
        "createdAt": space["createdAt"],
        "createdBy": user,
        "updatedAt": space["createdAt"],
        "updatedBy": user,
    }
    if member_type == "SpaceMember":
        sys["relatedMemberships"] = [link("SpaceMembership", resource_id)]
        return {"sys": sys, "admin": True, "roles": []}
    return {"sys": sys, "user": user, "admin": True, "roles": []}


def read_member(store: Store, space_id: str, member_type: Type, member_id: str) -> dict[str, Any]:
    """The one user as a member, by the id of either.

    Raises:
        ApiError: 404 for any other.
    """
    member = render_member(store, space_id, member_type)
    if member_id not in (member["sys"]["id"], USER_ID):
        raise not_found({"type": member_type, "id": member_id, "space": space_id})
    return member
