"""The conversation with its participants, and W1: attributes of a participant, merged into those it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.platform import rows
from media_pipeline.sandbox.platform.conversations import Conversation
from media_pipeline.sandbox.platform.documents import BadRequestError, document, missing
from media_pipeline.sandbox.platform.moments import iso
from media_pipeline.sandbox.wire import Reply, Request, json_reply, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

_BODY = frozenset({"attributes"})


def conversation(state: State, _: Request, conversation_id: str) -> Reply:
    """`GET /api/v2/conversations/{id}`: Conversation of the official SDK, as far as it is needed here."""
    found = state.conversations.find(conversation_id)
    if found is None:
        return missing("conversation", "conversation")
    entity = {
        "id": found.id,
        "startTime": iso(found.start),
        "endTime": iso(found.end),
        "participants": _participants(state, found),
        "selfUri": f"/api/v2/conversations/{found.id}",
    }
    return json_reply(entity)


def patch(state: State, request: Request, conversation_id: str, participant_id: str) -> Reply:
    """W1: 202 without a body; an empty value stays as one, nothing is ever removed."""
    found = state.conversations.find(conversation_id)
    if found is None or all(each["id"] != participant_id for each in _participants(state, found)):
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


def _participants(state: State, found: Conversation) -> list[dict[str, Any]]:
    """Those of the analytics row, in the words of the conversation API."""
    held = state.annotations.attributes.get(found.id, {})
    participants = []
    for each in rows.row(state.org, state.conversations, found)["participants"]:
        segments = [segment for session in each["sessions"] for segment in session["segments"]]
        participant = {
            "id": each["participantId"],
            "purpose": each["purpose"],
            "startTime": min(segment["segmentStart"] for segment in segments),
            "endTime": max(segment["segmentEnd"] for segment in segments),
            "attributes": held.get(each["participantId"], {}),
        }
        participants.append(participant | ({"userId": each["userId"]} if "userId" in each else {}))
    return participants
