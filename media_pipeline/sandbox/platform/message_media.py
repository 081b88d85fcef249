"""M2-M4: media are announced, put behind a presigned link, asked about until they are valid, and sent to the guest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import re
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.credentials import single_values
from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.messaging.contents import AUDIO, IMAGES, SUPPORTED, content_type_of
from media_pipeline.sandbox.messaging.model import Message, MessageConversation
from media_pipeline.sandbox.messaging.outbound import MAX_ATTACHMENT_BYTES, sent_media
from media_pipeline.sandbox.messaging.sending import MEDIA_SUFFIX, MediaState, Medium
from media_pipeline.sandbox.platform.documents import BadRequestError, count, document, missing
from media_pipeline.sandbox.platform.messages import message_data
from media_pipeline.sandbox.platform.permissions import MESSAGE_MEDIA, Needed
from media_pipeline.sandbox.ranges import FileRequest, answer
from media_pipeline.sandbox.wire import Operation, Reply, Request, json_reply, reply, s3_error

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

UPLOAD_SUFFIX = ".upload"
"""Names of links that media are put to end with it."""
MAX_TEXT = 2_000
PAGE_SIZE = 25
MAX_PAGE_SIZE = 100
_FORBIDDEN_IN_NAMES = re.compile(r"^\.|/$|[\s\\{^}%`\]\">\[~<#|]")
"""As the official SDK's UploadMediaRequest has it."""
_KINDS = ("textBody", "mediaIds", "messagingTemplate")

Entity = dict[str, Any]


def announce(state: State, request: Request, conversation_id: str, communication_id: str) -> Reply:
    """M2: a link to put the medium to, and the headers to put it with."""
    found = _agents(state, "message_media_upload", conversation_id, communication_id)
    if isinstance(found, Reply):
        return found
    body = document(request, frozenset({"fileName", "contentLengthBytes", "contentMd5"}))
    name = body.get("fileName")
    if not isinstance(name, str) or not name or _FORBIDDEN_IN_NAMES.search(name):
        raise BadRequestError("fileName must be a name without whitespace or special characters.", "invalid.value")
    size = count(body.get("contentLengthBytes"), "contentLengthBytes", None, MAX_ATTACHMENT_BYTES)
    medium = state.messaging.sending.new(name, size, _md5(body.get("contentMd5")))
    medium.conversation_id, medium.communication_id = conversation_id, communication_id
    link = state.signer.link(request.base_url, f"{medium.id}{UPLOAD_SUFFIX}", state.settings.upload_seconds)
    uri = f"{_uri(conversation_id, communication_id)}/media/{medium.id}"
    return json_reply({"id": medium.id, "uploadUrl": link, "uploadHeaders": _headers(medium), "selfUri": uri})


def put(state: State, request: Request) -> Reply:
    """The PUT to that link: all its headers, these bytes and no others."""
    medium = state.messaging.sending.find(request.segments[-1].removesuffix(UPLOAD_SUFFIX))
    if medium is None:
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")
    for name, value in _headers(medium).items():
        if request.headers.get(name.lower()) != value:
            return s3_error(403, "SignatureDoesNotMatch", f"The header {name} is not the one that was signed.")
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    if base64.b64encode(digest).decode() != medium.announced_md5:
        return s3_error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    if len(request.body) != medium.announced_size:
        return s3_error(400, "EntityTooLarge", "The upload is not of the size that was announced.")
    medium.data, medium.content_type = request.body, content_type_of(request.body)
    return reply(200, "application/xml", b"", {"ETag": f'"{digest.hex()}"'})


def state_of(state: State, request: Request, conversation_id: str, communication_id: str, media_id: str) -> Reply:
    """M4: uploading, then valid or invalid."""
    medium = state.messaging.sending.find(media_id)
    if medium is None or (medium.conversation_id, medium.communication_id) != (conversation_id, communication_id):
        return missing("message_media", "media")
    medium.polls += medium.data is not None
    medium.state = state.rules.through(("media_state",), Call("message_media", media_id), _reached(state, medium))
    return json_reply(_described(state, request, medium))


def listed(state: State, request: Request, conversation_id: str, communication_id: str) -> Reply:
    """M4 of all media of a communication, perhaps of one status, page by page; counts as no poll."""
    refused = Needed((MESSAGE_MEDIA,)).refusal("message_media", state.permissions)
    if refused is not None:
        return refused
    arguments = single_values(request.query)
    size = count(arguments.get("pageSize"), "pageSize", PAGE_SIZE, MAX_PAGE_SIZE)
    number = count(arguments.get("pageNumber"), "pageNumber", 1, 1 << 31)
    ids, status = (conversation_id, communication_id), arguments.get("status")
    every = (each for each in state.messaging.sending.media() if (each.conversation_id, each.communication_id) == ids)
    found = [each for each in every if status in (None, each.state)]
    page = found[(number - 1) * size : number * size]
    entities = [_described(state, request, each) for each in page]
    return json_reply({"entities": entities, "pageSize": size, "pageNumber": number, "total": len(found)})


def send(state: State, request: Request, conversation_id: str, communication_id: str) -> Reply:
    """M3: text or media, one kind per request."""
    found = _agents(state, "message_create", conversation_id, communication_id)
    if isinstance(found, Reply):
        return found
    body = document(request, frozenset(_KINDS))
    given = [name for name in _KINDS if body.get(name) not in (None, "", [])]
    if len(given) != 1 or given == ["messagingTemplate"]:
        raise BadRequestError("A message has exactly one of textBody and mediaIds here.", "invalid.value")
    text, media = body.get("textBody"), body.get("mediaIds") or []
    if given == ["textBody"] and (not isinstance(text, str) or len(text) > MAX_TEXT):
        raise BadRequestError(f"textBody is a text of at most {MAX_TEXT} characters.", "invalid.value")
    if not isinstance(media, list) or not all(isinstance(each, str) for each in media):
        raise BadRequestError("mediaIds must be a list of ids.", "invalid.value")
    sent = tuple(sent_media(_sendable(state, each, conversation_id)) for each in media)
    id_, agent = state.messaging.new_message_id(), found.agent_participant_id
    said = Message(id_, state.clock.now(), "outbound", text or None, media=sent, sender=agent)
    state.messaging.append(found, said)
    return json_reply(message_data(state, request, found, said))


def linked(state: State, request: Request, media_id: str) -> Reply:
    """`GET` or `HEAD` of a link to a medium that was uploaded, in either dialect."""
    medium = state.messaging.sending.find(media_id)
    if medium is None or medium.data is None or medium.is_gone(state.clock.now()):
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")
    whole = reply(200, medium.content_type, medium.data)
    etag = f'"{hashlib.md5(medium.data, usedforsecurity=False).hexdigest()}"'
    asked = FileRequest(request.headers.get("range"), request.headers.get("if-range"), etag)
    return answer(asked, whole.body, medium.content_type or "application/octet-stream", {})


def _agents(
    state: State, operation: Operation, conversation_id: str, communication_id: str
) -> MessageConversation | Reply:
    """The conversation whose agent's session this is; the refusal otherwise."""
    found = state.messaging.find(conversation_id)
    if found is None:
        return missing(operation, "conversation")
    if communication_id == found.guest_communication_id:
        raise BadRequestError("Nobody can send for the customer: name the agent's communication.", "invalid.value")
    return found if communication_id == found.agent_communication_id else missing(operation, "communication")


def _sendable(state: State, media_id: str, conversation_id: str) -> Medium:
    medium = state.messaging.sending.find(media_id)
    if medium is None or medium.conversation_id != conversation_id or medium.is_gone(state.clock.now()):
        raise BadRequestError(f"There is no media {media_id!r} in this conversation.", "invalid.media")
    if medium.state != "valid":
        raise BadRequestError(f"The media {media_id!r} is {medium.state}.", "invalid.media")
    allowed = (*IMAGES, *AUDIO) if state.settings.outbound_audio else IMAGES
    if medium.content_type not in allowed:
        message = f"The supported content profile does not allow outbound {medium.content_type}."
        raise BadRequestError(message, "unsupported.media.type")
    return medium


def _reached(state: State, medium: Medium) -> MediaState:
    if medium.data is None or medium.polls < state.settings.media_polls:
        return "uploading"
    return "valid" if medium.content_type in SUPPORTED else "invalid"


def _described(state: State, request: Request, medium: Medium) -> Entity:
    """MessageMediaData; the url is there once it is valid."""
    conversation_id, communication_id = str(medium.conversation_id), str(medium.communication_id)
    entity: Entity = {
        "id": medium.id,
        "name": medium.name,
        "contentLengthBytes": medium.announced_size,
        "status": medium.state,
        "conversationId": conversation_id,
        "communicationId": communication_id,
        "selfUri": f"{_uri(conversation_id, communication_id)}/media/{medium.id}",
    }
    if medium.state != "valid":
        return entity
    link = state.signer.link(request.base_url, f"{medium.id}{MEDIA_SUFFIX}", state.settings.playback_seconds)
    return entity | {"mediaType": medium.content_type, "url": link}


def _headers(medium: Medium) -> dict[str, str]:
    guessed = mimetypes.guess_type(medium.name)[0] or "application/octet-stream"
    return {"Content-MD5": medium.announced_md5, "Content-Type": guessed, "x-amz-tagging": f"media={medium.id}"}


def _md5(value: object) -> str:
    """An MD5 in base64, from base64 or hex. Raises BadRequestError."""
    text = str(value)
    try:
        raw = bytes.fromhex(text) if len(text) == 32 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 16:
        raise BadRequestError("contentMd5 must be the MD5 of the file.", "invalid.value")
    return base64.b64encode(raw).decode()


def _uri(conversation_id: str, communication_id: str) -> str:
    return f"/api/v2/conversations/messages/{conversation_id}/communications/{communication_id}/messages"
