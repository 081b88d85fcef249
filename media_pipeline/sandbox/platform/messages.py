"""M1 and M5: message conversations with their participants, and single messages with their attachments.

A conversation that is recorded has participants only: what was said in it is in its recording.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.messaging import guest_files
from media_pipeline.sandbox.messaging.model import GuestFile, Message, MessageConversation, SentMedia
from media_pipeline.sandbox.messaging.sending import MEDIA_SUFFIX
from media_pipeline.sandbox.platform.documents import BadRequestError, missing
from media_pipeline.sandbox.platform.moments import iso
from media_pipeline.sandbox.platform.rows import row
from media_pipeline.sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

Entity = dict[str, Any]

MAX_BULK = 1_000

_KINDS = {"image": "Image", "audio": "Audio", "video": "Video"}
_CALLS = {"voice": "calls", "screenshare": "screenshares", "chat": "chats", "email": "emails", "message": "messages"}


def conversation(state: State, request: Request, conversation_id: str) -> Reply:
    """M1: MessageConversation."""
    uri = f"/api/v2/conversations/messages/{conversation_id}"
    found = state.messaging.find(conversation_id)
    if found is not None:
        participants = [
            {**each, "messages": _details(state, request, found, guest=each["purpose"] == "customer")}
            for each in _participants(state, found)
        ]
        return json_reply({"id": conversation_id, "participants": participants, "selfUri": uri})
    recorded = _recorded(state, conversation_id)
    if recorded is None or not any("messages" in each for each in recorded["participants"]):
        return missing("message_conversation", "conversation")
    participants = [{**each, "messages": []} for each in recorded["participants"]]
    return json_reply({"id": conversation_id, "participants": participants, "selfUri": uri})


def whole(state: State, request: Request, conversation_id: str) -> Reply:
    """`GET /api/v2/conversations/{id}`: any conversation; the ids of its communications are here."""
    found = state.messaging.find(conversation_id)
    entity = _recorded(state, conversation_id) if found is None else _whole(state, request, found)
    return missing("conversation", "conversation") if entity is None else json_reply(entity)


def message(state: State, request: Request, conversation_id: str, message_id: str) -> Reply:
    """M5: MessageData."""
    found = state.messaging.find(conversation_id)
    said = [] if found is None else found.said(state.messaging.now())
    for each in said:
        if each.id == message_id and found is not None:
            return json_reply(message_data(state, request, found, each))
    return missing("message_details", "message")


def several(state: State, request: Request, conversation_id: str) -> Reply:
    """M5 in bulk: those of the named messages that there are."""
    try:
        ids = json.loads(request.body)
    except ValueError as error:
        raise BadRequestError("The request body is not valid JSON.") from error
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids) or len(ids) > MAX_BULK:
        raise BadRequestError(f"The body must be a list of at most {MAX_BULK} message ids.", "invalid.value")
    found = state.messaging.find(conversation_id)
    if found is None:
        recorded = _recorded(state, conversation_id)
        return missing("message_details", "conversation") if recorded is None else json_reply({"entities": []})
    by_id = {each.id: each for each in found.said(state.messaging.now())}
    entities = [message_data(state, request, found, by_id[each]) for each in dict.fromkeys(ids) if each in by_id]
    return json_reply({"entities": entities})


def message_data(state: State, request: Request, conversation: MessageConversation, said: Message) -> Entity:
    """One message with its normalized content."""
    content = [_file_content(state, request, each) for each in said.files]
    content += [_media_content(state, request, each) for each in said.media]
    normalized: Entity = {
        "id": said.id,
        "channel": {"platform": "WebMessaging", "type": "Private", "messageId": said.id, "time": iso(said.at)},
        "type": "Text",
        "direction": said.direction.capitalize(),
        "originatingEntity": "Human",
    }
    if said.text is not None:
        normalized["text"] = said.text
    if content:
        normalized["content"] = content
    guest, agent = conversation.guest_participant_id, conversation.agent_participant_id
    return {
        "id": said.id,
        "timestamp": iso(said.at),
        "fromAddress": guest if said.direction == "inbound" else agent,
        "toAddress": agent if said.direction == "inbound" else guest,
        "direction": said.direction,
        "messengerType": "webmessaging",
        "status": _status(said),
        "normalizedMessage": normalized,
        "conversationId": conversation.id,
        "selfUri": f"/api/v2/conversations/messages/{conversation.id}/messages/{said.id}",
    }


def _whole(state: State, request: Request, found: MessageConversation) -> Entity:
    participants = []
    for each in _participants(state, found):
        guest = each["purpose"] == "customer"
        communication = {
            "id": found.guest_communication_id if guest else found.agent_communication_id,
            "state": "connected",
            "direction": "inbound",
            "type": "webmessaging",
            "messages": _details(state, request, found, guest=guest),
        }
        participants.append({**each, "messages": [communication]})
    uri = f"/api/v2/conversations/{found.id}"
    return {"id": found.id, "startTime": iso(found.start), "participants": participants, "selfUri": uri}


def participant_ids(state: State, conversation_id: str) -> list[str]:
    """Who takes part in a conversation, recorded or not; nobody in one that is not known."""
    found = state.messaging.find(conversation_id)
    if found is not None:
        return [found.guest_participant_id, found.agent_participant_id]
    recorded = _recorded(state, conversation_id)
    return [] if recorded is None else [each["id"] for each in recorded["participants"]]


def _recorded(state: State, conversation_id: str) -> Entity | None:
    """A recorded conversation: its participants, whose communications have no messages here; None = there is none."""
    found = state.conversations.find(conversation_id)
    if found is None:
        return None
    listed, held = row(state.org, state.conversations, found), state.annotations.attributes.get(conversation_id, {})
    participants = [
        {
            "id": each["participantId"],
            "purpose": each["purpose"],
            "attributes": held.get(each["participantId"], {}),
            **_span(each["sessions"]),
            **({"userId": each["userId"]} if "userId" in each else {}),
            **_communications(each["sessions"]),
        }
        for each in listed["participants"]
    ]
    return {
        "id": conversation_id,
        "startTime": listed["conversationStart"],
        "endTime": listed["conversationEnd"],
        "participants": participants,
        "selfUri": f"/api/v2/conversations/{conversation_id}",
    }


def _participants(state: State, found: MessageConversation) -> list[Entity]:
    held = state.annotations.attributes.get(found.id, {})
    return [
        {
            "id": found.guest_participant_id,
            "purpose": "customer",
            "type": "webmessaging",
            "attributes": held.get(found.guest_participant_id, {}),
        },
        {
            "id": found.agent_participant_id,
            "purpose": "agent",
            "type": "webmessaging",
            "attributes": held.get(found.agent_participant_id, {}),
            "user": {"id": found.agent_user_id},
            "queue": {"id": found.queue_id},
        },
    ]


def _span(sessions: list[Entity]) -> Entity:
    segments = [segment for session in sessions for segment in session["segments"]]
    return {
        "startTime": min(segment["segmentStart"] for segment in segments),
        "endTime": max(segment["segmentEnd"] for segment in segments),
    }


def _communications(sessions: list[Entity]) -> dict[str, list[Entity]]:
    """A recorded participant's sessions, by what kind of communication they are."""
    named: dict[str, list[Entity]] = {}
    for each in sessions:
        named.setdefault(_CALLS[each["mediaType"]], []).append({"id": each["sessionId"], "state": "disconnected"})
    return named


def _details(state: State, request: Request, found: MessageConversation, *, guest: bool) -> list[Entity]:
    """MessageDetails of what this side said."""
    direction = "inbound" if guest else "outbound"
    return [
        _detail(state, request, found, each)
        for each in found.said(state.messaging.now())
        if each.direction == direction
    ]


def _detail(state: State, request: Request, found: MessageConversation, said: Message) -> Entity:
    media = [
        {
            "id": each.id,
            "url": _file_link(state, request, each),
            "mediaType": each.declared_type,
            "name": each.name,
            "contentLengthBytes": each.declared_size,
        }
        for each in said.files
    ]
    media += [
        {
            "id": each.id,
            "url": _media_link(state, request, each),
            "mediaType": each.content_type,
            "name": each.name,
            "contentLengthBytes": each.size,
        }
        for each in said.media
    ]
    detail: Entity = {
        "messageId": said.id,
        "messageURI": f"/api/v2/conversations/messages/{found.id}/messages/{said.id}",
        "messageStatus": _status(said),
        "messageTime": iso(said.at),
    }
    return detail | {"media": media} if media else detail


def _status(said: Message) -> str:
    return "received" if said.direction == "inbound" else "delivery-success"


def _file_content(state: State, request: Request, file: GuestFile) -> Entity:
    return _attachment(
        id=file.id,
        mediaType=_kind(file.declared_type),
        url=_file_link(state, request, file),
        mime=file.declared_type,
        filename=file.name,
        sha256=file.sha256,
        contentSizeBytes=file.declared_size,
    )


def _media_content(state: State, request: Request, sent: SentMedia) -> Entity:
    return _attachment(
        id=sent.id,
        mediaType=_kind(sent.content_type),
        url=_media_link(state, request, sent),
        mime=sent.content_type,
        filename=sent.name,
        text=sent.transcript,
        sha256=sent.sha256,
        contentSizeBytes=sent.size,
    )


def _attachment(**fields: object) -> Entity:
    given = {name: value for name, value in fields.items() if value is not None}
    return {"contentType": "Attachment", "attachment": given}


def _kind(content_type: str) -> str:
    return _KINDS.get(content_type.partition("/")[0], "File")


def _file_link(state: State, request: Request, file: GuestFile) -> str:
    name = f"{file.id}{guest_files.SUFFIX}"
    return state.signer.link(request.base_url, name, state.settings.playback_seconds)


def _media_link(state: State, request: Request, sent: SentMedia) -> str:
    return state.signer.link(request.base_url, f"{sent.id}{MEDIA_SUFFIX}", state.settings.playback_seconds)
