"""What clients of the guide dialect do to conversations and media: context, upload, send, retention, deletion."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from media_pipeline.sandbox.credentials import FILES_PATH, single_values
from media_pipeline.sandbox.messaging.contents import AUDIO, content_type_of
from media_pipeline.sandbox.messaging.model import Message, SentMedia
from media_pipeline.sandbox.messaging.sending import MEDIA_SUFFIX, Medium
from media_pipeline.sandbox.platform.documents import BadRequestError
from media_pipeline.sandbox.platform.facts import UNCHANGED
from media_pipeline.sandbox.platform.permissions import MESSAGE_CREATE, Needed
from media_pipeline.sandbox.wire import Operation, Reply, Request, json_reply, refusal, reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

MEDIA_URL_SECONDS = 15 * 60
MAX_ATTACHMENT_BYTES = 25_000_000
MAX_MESSAGE_BYTES = 2_000_000
_DURATION = re.compile(r"[1-9][0-9]{0,5}m")

Entity = dict[str, Any]


def context(state: State, request: Request, conversation_id: str) -> Reply:
    """`PUT /api/v2/conversations/{id}/context`: replaces what was written before."""
    found = state.messaging.find(conversation_id)
    if found is None:
        return _missing("context", "conversation")
    given = _object(request).get("context")
    if not isinstance(given, dict):
        raise BadRequestError("The body must be an object with an object, context.")
    found.context = given
    return json_reply({"id": conversation_id, "context": given})


def upload(state: State, request: Request) -> Reply:
    """`POST /api/v2/media/attachments/upload`: audio by content, or 400; the URL lives 15 minutes."""
    if len(request.body) > MAX_ATTACHMENT_BYTES:
        return refusal("attachment_upload", 413, "request.too.large", f"Maximum bytes: {MAX_ATTACHMENT_BYTES}")
    found = content_type_of(request.body)
    if found not in AUDIO:
        raise BadRequestError("The attachment is not audio: mp3, wav or ogg.", "unsupported.media.type")
    medium = state.messaging.sending.new(single_values(request.query).get("filename", ""), len(request.body))
    medium.data, medium.content_type, medium.state = request.body, found, "valid"
    url = state.signer.link(request.base_url, f"{medium.id}{MEDIA_SUFFIX}", MEDIA_URL_SECONDS)
    return json_reply({"mediaId": medium.id, "mediaUrl": url})


def send(state: State, request: Request) -> Reply:
    """`POST /api/v2/conversations/messages`: every message at once, or none."""
    refused = Needed(MESSAGE_CREATE).refusal("message_send", state.permissions)
    if refused is not None:
        return refused
    if len(request.body) > MAX_MESSAGE_BYTES:
        return refusal("message_send", 413, "request.too.large", f"Maximum bytes: {MAX_MESSAGE_BYTES}")
    body = _object(request)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise BadRequestError("messages must be a list of at least one message.")
    found = state.messaging.find(str(body.get("conversation_id")))
    if found is None:
        return _missing("message_send", "conversation")
    ready = [(_sender(each), tuple(_sent(state, medium) for medium in _media(each))) for each in messages]
    sent = []
    for sender, media in ready:
        id_ = state.messaging.new_message_id()
        said = Message(id_, state.clock.now(), "outbound", media=media, sender=sender)
        state.messaging.append(found, said)
        sent.append({"message_id": said.id})
    return json_reply({"messages": sent})


def retention(state: State, request: Request, id_: str) -> Reply:
    """`POST /api/v2/media/recordings/{id}/retention`: so many minutes from now, of a medium or a recording."""
    given = _object(request).get("retention")
    duration = given.get("duration") if isinstance(given, dict) else None
    if not isinstance(duration, str) or not _DURATION.fullmatch(duration):
        raise BadRequestError("retention.duration must be a number of minutes like 15m.", "invalid.value")
    ends = state.clock.now() + dt.timedelta(minutes=int(duration[:-1]))
    medium = state.messaging.sending.find(id_)
    recording = state.listing.find(id_)
    if medium is not None and not medium.is_gone(state.clock.now()):
        medium.ends = ends
    elif recording is not None:
        before = state.changes.get(recording.ordinal, UNCHANGED)
        state.changes[recording.ordinal] = dataclasses.replace(before, delete_date=ends)
    else:
        return _missing("media_retention", "medium")
    return json_reply({"id": id_, "retention": {"duration": duration}})


def delete(state: State, _: Request, media_id: str) -> Reply:
    """`DELETE /api/v2/media/attachments/{id}`: 204, and 404 for what is gone already."""
    medium = state.messaging.sending.find(media_id)
    if medium is None or medium.is_gone(state.clock.now()):
        return _missing("attachment_delete", "medium")
    medium.deleted = True
    return reply(204, "application/json", b"")


def sent_media(medium: Medium, transcript: str | None = None) -> SentMedia:
    """A medium as it reaches a guest."""
    data = medium.data or b""
    digest = hashlib.sha256(data).hexdigest()
    return SentMedia(medium.id, medium.name, medium.content_type, len(data), digest, transcript)


def _sent(state: State, given: Entity) -> SentMedia:
    medium = state.messaging.sending.find(str(given.get("media_id")))
    if medium is None or medium.is_gone(state.clock.now()) or medium.data is None:
        raise BadRequestError("There is no medium with this media_id (any more).", "invalid.media")
    url = urlsplit(str(given.get("media_url")))
    name = f"{medium.id}{MEDIA_SUFFIX}"
    if url.path != f"{FILES_PATH}{name}" or state.signer.refuses(name, single_values(url.query)) is not None:
        raise BadRequestError("media_url is not that of the medium, or it has expired.", "invalid.media")
    if given.get("media_type") is not None and not str(given["media_type"]).startswith("audio/"):
        raise BadRequestError("media_type must be an audio type.", "invalid.value")
    transcript = given.get("transcript")
    if transcript is not None and not isinstance(transcript, str):
        raise BadRequestError("transcript must be a text.", "invalid.value")
    return sent_media(medium, transcript)


def _media(message: Entity) -> list[Entity]:
    media = message.get("media")
    if not isinstance(media, list) or not media or not all(isinstance(each, dict) for each in media):
        raise BadRequestError("A message needs a list of media.")
    return media


def _sender(message: Entity) -> str:
    sender = message.get("sender_id")
    if not isinstance(sender, str) or not sender:
        raise BadRequestError("A message needs a sender_id.")
    return sender


def _object(request: Request) -> Entity:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise BadRequestError("The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise BadRequestError("The request body must be a JSON object.")
    return body


def _missing(operation: Operation, what: str) -> Reply:
    return refusal(operation, 404, "not.found", f"There is no {what} with this id (any more).")
