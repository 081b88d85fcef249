"""W1: attributes of a participant, merged into those it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media_pipeline.sandbox.platform.documents import BadRequestError, document, missing
from media_pipeline.sandbox.platform.messages import participant_ids
from media_pipeline.sandbox.wire import Reply, Request, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

_BODY = frozenset({"attributes"})


def patch(state: State, request: Request, conversation_id: str, participant_id: str) -> Reply:
    """202 without a body; an empty value stays as one, nothing is ever removed."""
    if participant_id not in participant_ids(state, conversation_id):
        return missing("participant_attributes", "participant")
    attributes = document(request, _BODY).get("attributes")
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise BadRequestError("attributes must be an object of texts.", "invalid.value")
    held = state.annotations.attributes.setdefault(conversation_id, {}).setdefault(participant_id, {})
    held |= attributes
    state.annotations.wrote(
        "participant_attributes", conversation_id, {"attributes": attributes}, participant_id=participant_id
    )
    return reply(202, "application/json", b"")
