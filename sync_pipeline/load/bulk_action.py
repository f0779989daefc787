"""A bulk action from its acceptance to its end: when to ask, and what its failure says.

Asking costs requests, waiting costs time. The first question comes when the last actions would have
been done, later ones at growing distances: one question for a server that is steadily quick or
slow, about six for the first action of one that takes ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sync_pipeline.load.answer import Answer
from sync_pipeline.load.client import SpaceClient
from sync_pipeline.load.shapes import action_of

_FIRST_POLL_S = 0.05
_SECOND_POLL_S = 0.5
_LONGEST_POLL_S = 4.0
_LONGEST_FIRST_POLL_S = 30.0
#: After that an action counts as lost; its entries are looked at one by one.
GIVE_UP_S = 300.0


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action that has ended, or that nothing more is known of."""

    status: Literal["succeeded", "failed", "unknown"]
    #: Seconds slept until its end was seen.
    waited_s: float = 0.0
    #: `error` of a failed one.
    error: Mapping[str, Any] | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class BulkStyle:
    """One of the two ways in which the API takes bulk actions."""

    #: Of the POST that begins a publish.
    path: str
    #: Of the questions about it, before its id.
    status_path: str


#: Publishes entries as a whole: the documented way, which every plan has.
WHOLE = BulkStyle("/bulk_actions/publish", "/bulk_actions/actions")
#: Lets each entry name the locales that go out: for spaces whose locales are published one by one.
BY_LOCALE = BulkStyle("/bulk_actions", "/bulk_actions")


def await_action(
    client: SpaceClient, accepted: Answer, usual_s: float = 0.0, style: BulkStyle = WHOLE
) -> BulkAction:
    """Wait until an accepted action has ended.

    Args:
        client: The space.
        accepted: The answer to the POST.
        usual_s: Seconds that such actions took lately, 0 where nothing is known.
        style: How it was begun.

    Returns:
        Its end; `unknown` where the space has forgotten it or it takes longer than five minutes.
    """
    answer, waited_s = accepted, 0.0
    pause_s = min(max(usual_s, _FIRST_POLL_S), _LONGEST_FIRST_POLL_S)
    action_id = (accepted.mapping.get("sys") or {}).get("id")
    while True:
        status = (answer.mapping.get("sys") or {}).get("status")
        if status == "succeeded":
            return BulkAction("succeeded", waited_s, request_id=answer.request_id)
        if status == "failed":
            error = answer.mapping.get("error")
            return BulkAction(
                "failed",
                waited_s,
                error if isinstance(error, Mapping) else None,
                answer.request_id,
            )
        if not answer.is_ok or not action_id or waited_s >= GIVE_UP_S:
            return BulkAction("unknown", waited_s, request_id=answer.request_id)
        client.sleep(pause_s)
        waited_s += pause_s
        pause_s = min(max(2 * pause_s, _SECOND_POLL_S), _LONGEST_POLL_S)
        answer = client.request(
            "GET", f"{style.status_path}/{action_id}", tolerate=(404,), expects=action_of(action_id)
        )


def named_errors(action: BulkAction) -> dict[str, Answer]:
    """The errors of a failed action by entry id, each as if it had been answered alone."""
    details = (action.error or {}).get("details")
    errors = details.get("errors") if isinstance(details, Mapping) else None
    named: dict[str, Answer] = {}
    for item in errors if isinstance(errors, list) else []:
        if not isinstance(item, Mapping):
            continue
        entity, error = item.get("entity"), item.get("error")
        sys = entity.get("sys") if isinstance(entity, Mapping) else None
        if isinstance(sys, Mapping) and sys.get("id"):
            body = error if isinstance(error, Mapping) else {}
            request_id = str(body.get("requestId") or action.request_id)
            named[str(sys["id"])] = Answer(422, body, request_id)
    return named


def is_unresolved_link(answer: Answer) -> bool:
    """Whether an entry was refused because of a link whose target is not there (yet)."""
    if answer.error_id == "UnresolvedLinks":
        return True
    problems = answer.problems
    return bool(problems) and all(problem.name == "notResolvable" for problem in problems)
