"""Which function answers which path: spaces, environments and what is above them."""

from __future__ import annotations

from collections.abc import Sequence

from sync_pipeline.local_space.api_error import unknown_route
from sync_pipeline.local_space.entities import members, spaces
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.request import Answer, Request, no_content, ok, saved
from sync_pipeline.local_space.server.environment_routes import answer_environment, answer_uploads
from sync_pipeline.local_space.server.organization_routes import answer_organization
from sync_pipeline.local_space.store.store import DEFAULT_ENVIRONMENT, Store

Rest = Sequence[str]
_MEMBERS: dict[str, members.Type] = {
    "space_members": "SpaceMember",
    "space_memberships": "SpaceMembership",
}
#: What a space of this kind never has any of.
_EMPTY_COLLECTIONS = frozenset(
    [
        "api_keys",
        "eligible_licenses",
        "environment_aliases",
        "preview_api_keys",
        "roles",
        "space_add_ons",
        "team_space_memberships",
        "teams",
        "webhook_definitions",
    ]
)


def answer(store: Store, request: Request) -> Answer:
    """The answer to an authorized request.

    Raises:
        ApiError: The refusal, to be sent as it is.
    """
    segments = [part for part in request.path.split("/") if part]
    match (request.method, segments):
        case (_, ["spaces", space_id, "environments", environment_id, first, *rest]):
            scope = store.scope(space_id, environment_id)
            return answer_environment(scope, request, first, rest)
        case (_, ["spaces", *rest]):
            return _spaces(store, request, rest)
        case ("GET", ["users", "me"]):
            return ok(spaces.render_user())
        case ("GET", ["organizations"]):
            return ok(spaces.list_organizations(request.parameters))
        case (_, ["organizations", organization_id, *rest]):
            spaces.check_organization(organization_id)
            return answer_organization(store, request, rest)
        case _:
            raise unknown_route()


def _spaces(store: Store, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return ok(spaces.list_spaces(store, request.parameters))
        case ("POST", []):
            return saved(spaces.post_space(store, request.json()), created=True)
        case ("GET", [space_id]):
            return ok(spaces.read_space(store, space_id))
        case ("PUT", [space_id]):
            return ok(spaces.put_space(store, space_id, request.json(), request.version))
        case ("POST", [space_id, "unarchive"]):
            raise spaces.not_archived(store, space_id)
        case ("DELETE", [space_id]):
            spaces.delete_space(store, space_id, request.version)
            return no_content()
        case (_, [space_id, "environments", *more]):
            return _environments(store, request, space_id, more)
        case (_, [space_id, "uploads", *more]):
            return answer_uploads(store, request, space_id, None, more)
        case ("GET", [space_id, "users", *more]) if len(more) <= 1:
            spaces.read_space(store, space_id)
            user = more[0] if more else None
            return ok(spaces.read_user(user) if user else spaces.list_users(request.parameters))
        case ("GET", [space_id, "space_members" | "space_memberships" as segment, *more]) if (
            len(more) <= 1
        ):
            kind = _MEMBERS[segment]
            if more:
                return ok(members.read_member(store, space_id, kind, more[0]))
            member = members.render_member(store, space_id, kind)
            return ok(page([member], request.parameters))
        case ("GET", [space_id, collection]) if collection in _EMPTY_COLLECTIONS:
            spaces.read_space(store, space_id)
            return ok(page([], request.parameters))
        case (_, [space_id, first, *more]):
            # Without `/environments/{env}` a path means `master`.
            scope = store.scope(space_id, DEFAULT_ENVIRONMENT)
            return answer_environment(scope, request, first, more)
        case _:
            raise unknown_route()


def _environments(store: Store, request: Request, space_id: str, rest: Rest) -> Answer:
    source = request.headers.get("x-contentful-source-environment")
    match (request.method, rest):
        case ("GET", []):
            return ok(spaces.list_environments(store, space_id, request.parameters))
        case ("POST", []):
            body = spaces.post_environment(store, space_id, request.json(), source)
            return saved(body, created=True)
        case ("GET", [environment_id]):
            return ok(spaces.read_environment(store, space_id, environment_id))
        case ("PUT", [environment_id]):
            body, created = spaces.put_environment(
                store,
                space_id,
                environment_id,
                request.json(),
                version=request.version,
                source=source,
            )
            return saved(body, created=created)
        case ("DELETE", [environment_id]):
            spaces.delete_environment(store, space_id, environment_id, request.version)
            return no_content()
        case _:
            raise unknown_route()
