"""Which function answers which path of the organization: its spaces, users and taxonomy."""

from __future__ import annotations

from collections.abc import Sequence

from sync_pipeline.local_space.api_error import unknown_route
from sync_pipeline.local_space.entities import spaces, taxonomy
from sync_pipeline.local_space.request import Answer, Request, no_content, ok, saved
from sync_pipeline.local_space.store.store import Store

Rest = Sequence[str]
_TAXONOMY: dict[str, taxonomy.Type] = {
    "concepts": "TaxonomyConcept",
    "concept-schemes": "TaxonomyConceptScheme",
}


def answer_organization(store: Store, request: Request, rest: Rest) -> Answer:
    """The answer to a request for the organization.

    Raises:
        ApiError: The refusal, to be sent as it is.
    """
    match (request.method, rest):
        case ("GET", []):
            return ok(spaces.render_organization())
        case ("GET", ["spaces"]):
            return ok(spaces.list_spaces(store, request.parameters))
        case ("GET", ["users"]):
            return ok(spaces.list_users(request.parameters))
        case ("GET", ["users", user_id]):
            return ok(spaces.read_user(user_id))
        case (_, ["taxonomy", "concepts" | "concept-schemes" as segment, *more]):
            return _taxonomy(store, request, _TAXONOMY[segment], more)
        case _:
            raise unknown_route()


def _taxonomy(store: Store, request: Request, kind: taxonomy.Type, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return ok(taxonomy.list_taxonomy(store, kind, request.parameters))
        case ("POST", []):
            return saved(taxonomy.post_taxonomy(store, kind, request.json()), created=True)
        case ("GET", ["total"]):
            return ok(taxonomy.count_taxonomy(store, kind))
        case ("GET", [resource_id]):
            return ok(taxonomy.read_taxonomy(store, kind, resource_id))
        case ("PUT", [resource_id]):
            body, created = taxonomy.put_taxonomy(
                store, kind, resource_id, request.json(), request.version
            )
            return saved(body, created=created)
        case ("PATCH", [resource_id]):
            operations = request.json()
            return ok(
                taxonomy.patch_taxonomy(store, kind, resource_id, operations, request.version)
            )
        case ("DELETE", [resource_id]):
            taxonomy.delete_taxonomy(store, kind, resource_id, request.version)
            return no_content()
        case ("GET", [concept_id, "ancestors" | "descendants" as direction]) if (
            kind == "TaxonomyConcept"
        ):
            return ok(taxonomy.list_relatives(store, concept_id, direction, request.parameters))
        case _:
            raise unknown_route()
