"""Which function answers which path below an environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sync_pipeline.local_space.api_error import ApiError, unknown_route
from sync_pipeline.local_space.checks.saving import body_object
from sync_pipeline.local_space.entities import (
    assets,
    bulk_actions,
    content_types,
    editor_interfaces,
    entries,
    locales,
    tags,
    uploads,
)
from sync_pipeline.local_space.entities.bulk_payload import ACTIONS, read_locale_change
from sync_pipeline.local_space.queries import references
from sync_pipeline.local_space.queries.collections import read_collection
from sync_pipeline.local_space.queries.paging import page
from sync_pipeline.local_space.request import Answer, Request, no_content, ok, saved
from sync_pipeline.local_space.store.index_lag import show_due_writes
from sync_pipeline.local_space.store.records import (
    Kind,
    Record,
    read_published_record,
    read_record,
    render,
)
from sync_pipeline.local_space.store.store import Scope, Store
from sync_pipeline.local_space.store.value_index import prepare_unique_checks

Rest = Sequence[str]


def answer_uploads(
    store: Store, request: Request, space_id: str, environment_id: str | None, rest: Rest
) -> Answer:
    """The answer to a request for uploads of a space, or of one of its environments.

    Raises:
        ApiError: The refusal, to be sent as it is.
    """
    match (request.method, rest):
        case ("POST", []):
            size = request.body_size
            body = uploads.post_upload(store, space_id, environment_id, request.body, size)
            return saved(body, created=True)
        case ("GET", [upload_id]):
            return ok(uploads.read_upload(store, space_id, environment_id, upload_id))
        case ("DELETE", [upload_id]):
            uploads.delete_upload(store, space_id, environment_id, upload_id)
            return no_content()
        case _:
            raise unknown_route()


def answer_environment(scope: Scope, request: Request, first: str, rest: Rest) -> Answer:
    """The answer to a request for a resource of an environment.

    Raises:
        ApiError: The refusal, to be sent as it is.
    """
    handler = _RESOURCES.get(first)
    if handler is None:
        raise unknown_route()
    return handler(scope, request, rest)


def _entries(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", [entry_id, "snapshots"]):
            read_record(scope, "Entry", entry_id)
            return ok(page([], request.parameters))  # none are kept
        case ("GET", [entry_id, "references"]):
            return Answer(200, references.read_references(scope, entry_id, request.parameters))
        case ("PATCH", [entry_id]):
            record = entries.patch_record(scope, "Entry", entry_id, request.json(), request.version)
            return ok(render(record, scope))
        case _:
            return _records(scope, "Entry", request, rest)


def _assets(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("PUT", [asset_id, "files", locale, "process"]):
            assets.process_file(scope, asset_id, locale, request.version)
            return no_content()
        case _:
            return _records(scope, "Asset", request, rest)


def _records(scope: Scope, kind: Kind, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return _collection(scope, kind, request)
        case ("POST", []):
            record = entries.create_record(scope, kind, request.json(), request.content_type)
            return saved(render(record, scope), created=True)
        case ("GET", [resource_id]):
            return ok(render(read_record(scope, kind, resource_id), scope))
        case ("PUT", [resource_id]):
            record, created = entries.put_record(
                scope,
                kind,
                resource_id,
                request.json(),
                content_type=request.content_type,
                version=request.version,
            )
            return saved(render(record, scope), created=created)
        case ("DELETE", [resource_id]):
            entries.delete(scope, kind, resource_id, request.version)
            return no_content()
        case ("PUT", [resource_id, "published"]):
            prepare_unique_checks(scope)
            change = read_locale_change(request.json())
            record = entries.publish(scope, kind, resource_id, request.version, change)
            return ok(render(record, scope))
        case (method, [resource_id, state]) if (method, state) in _STATE_CHANGES:
            record = _STATE_CHANGES[method, state](scope, kind, resource_id, request.version)
            return ok(render(record, scope))
        case _:
            raise unknown_route()


_STATE_CHANGES: dict[tuple[str, str], Callable[[Scope, Kind, str, int | None], Record]] = {
    ("DELETE", "published"): entries.unpublish,
    ("PUT", "archived"): entries.archive,
    ("DELETE", "archived"): entries.unarchive,
}


def _content_types(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return ok(content_types.list_content_types(scope, request.parameters))
        case ("POST", []):
            row, _ = content_types.put_content_type(
                scope, scope.store.new_id(), request.json(), None
            )
            return saved(content_types.render_content_type(scope, row), created=True)
        case ("GET", [type_id]):
            row = content_types.read_content_type(scope, type_id)
            return ok(content_types.render_content_type(scope, row))
        case ("PUT", [type_id]):
            row, created = content_types.put_content_type(
                scope, type_id, request.json(), request.version
            )
            return saved(content_types.render_content_type(scope, row), created=created)
        case ("DELETE", [type_id]):
            content_types.delete_content_type(scope, type_id, request.version)
            return no_content()
        case ("PUT", [type_id, "published"]):
            row = content_types.activate(scope, type_id, request.version)
            return ok(content_types.render_content_type(scope, row))
        case ("DELETE", [type_id, "published"]):
            row = content_types.deactivate(scope, type_id, request.version)
            return ok(content_types.render_content_type(scope, row))
        case ("GET", [type_id, "snapshots"]):
            content_types.read_content_type(scope, type_id)
            return ok(page([], request.parameters))  # none are kept
        case ("GET", [type_id, "editor_interface"]):
            return ok(editor_interfaces.read_editor_interface(scope, type_id))
        case ("PUT", [type_id, "editor_interface"]):
            return ok(
                editor_interfaces.put_editor_interface(
                    scope, type_id, request.json(), request.version
                )
            )
        case _:
            raise unknown_route()


def _public(scope: Scope, request: Request, rest: Rest) -> Answer:
    """What is published, as it was published."""
    match (request.method, rest):
        case ("GET", ["content_types"]):
            return ok(content_types.list_content_types(scope, request.parameters, published=True))
        case ("GET", ["content_types", type_id]):
            row = content_types.read_active_content_type(scope, type_id)
            return ok(content_types.render_content_type(scope, row, published=True))
        case ("GET", ["entries" | "assets" as resource]):
            return _collection(scope, _KINDS[resource], request, is_published=True)
        case ("GET", ["entries" | "assets" as resource, resource_id]):
            return ok(render(read_published_record(scope, _KINDS[resource], resource_id), scope))
        case _:
            raise unknown_route()


_KINDS: dict[str, Kind] = {"entries": "Entry", "assets": "Asset"}


def _collection(
    scope: Scope, kind: Kind, request: Request, *, is_published: bool = False
) -> Answer:
    store = scope.store
    if store.index_delay is not None:
        show_due_writes(store.connection, store.index_delay, store.monotonic())
    return Answer(200, read_collection(scope, kind, request.parameters, is_published=is_published))


def _editor_interfaces(scope: Scope, request: Request, rest: Rest) -> Answer:
    if request.method != "GET" or rest:
        raise unknown_route()
    return ok(editor_interfaces.list_editor_interfaces(scope, request.parameters))


def _locales(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return ok(locales.list_locales(scope, request.parameters))
        case ("POST", []):
            locale = locales.create_locale(scope, request.json())
            return saved(locales.render_locale(scope, locale), created=True)
        case ("GET", [locale_id]):
            return ok(locales.render_locale(scope, locales.read_locale(scope, locale_id)))
        case ("PUT", [locale_id]):
            locale = locales.put_locale(scope, locale_id, request.json(), request.version)
            return ok(locales.render_locale(scope, locale))
        case ("DELETE", [locale_id]):
            locales.delete_locale(scope, locale_id)
            return no_content()
        case _:
            raise unknown_route()


def _tags(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("GET", []):
            return ok(tags.list_tags(scope, request.parameters))
        case ("GET", [tag_id]):
            return ok(tags.read_tag(scope, tag_id))
        case ("PUT", [tag_id]):
            tag, created = tags.put_tag(scope, tag_id, request.json(), request.version)
            return saved(tag, created=created)
        case ("DELETE", [tag_id]):
            tags.delete_tag(scope, tag_id, request.version)
            return no_content()
        case _:
            raise unknown_route()


def _bulk_actions(scope: Scope, request: Request, rest: Rest) -> Answer:
    match (request.method, rest):
        case ("POST", [action]) if action in ACTIONS:
            body = body_object(request.json())
            return ok(bulk_actions.submit(scope, action, 1, body))
        case ("POST", []):
            body = body_object(request.json())
            if body.get("action") not in ACTIONS:
                raise _unknown_action(body.get("action"))
            return ok(bulk_actions.submit(scope, body["action"], 2, body))
        case ("GET", ["actions", action_id]) | ("GET", [action_id]):
            return ok(bulk_actions.read_action(scope, action_id))
        case _:
            raise unknown_route()


def _unknown_action(action: Any) -> ApiError:
    error = {
        "name": "any.only",
        "path": ["action"],
        "value": action,
        "details": f'"action" must be one of [{", ".join(ACTIONS)}]',
    }
    return ApiError(422, "ValidationFailed", "Validation error", {"errors": [error]})


def _bulk_operations(_scope: Scope, _request: Request, _rest: Rest) -> Answer:
    """Bulk entry content operations exist, but are not enabled in every space: not in this one."""
    raise ApiError(403, "AccessDenied", "Bulk entry operations are not enabled for a local space.")


def _environment_uploads(scope: Scope, request: Request, rest: Rest) -> Answer:
    return answer_uploads(scope.store, request, scope.space_id, scope.environment_id, rest)


_RESOURCES: dict[str, Callable[[Scope, Request, Rest], Answer]] = {
    "entries": _entries,
    "assets": _assets,
    "content_types": _content_types,
    "public": _public,
    "editor_interfaces": _editor_interfaces,
    "locales": _locales,
    "tags": _tags,
    "uploads": _environment_uploads,
    "bulk_actions": _bulk_actions,
    "bulk_operations": _bulk_operations,
}
