"""POST /voice-messages: audio and for whom it is, checked at the door and put into the inbox as one pair."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from media_pipeline.messaging.audio_types import MEDIA_TYPES, SYNONYMS, NotAudio, audio_format
from media_pipeline.messaging.inbox import (
    DEFAULT_TRANSCRIPT,
    IDENTIFIER,
    MAX_TRANSCRIPT,
    MESSAGE_KEY,
    Inbox,
    Incoming,
    VoiceMessage,
)
from media_pipeline.messaging.receipts import OtherContent, message_key_of, receipt
from media_pipeline.service.access import Needs
from media_pipeline.service.context import Service, of
from media_pipeline.service.problems import Problem, documented
from media_pipeline.service.tokens import VOICE_MESSAGES, Caller
from media_pipeline.service.uploads import FILE, Form, read_form

PATH = "/voice-messages"
MOST_BYTES = {"conversation_id": 128, "sender_id": 128, "transcript": 4 * MAX_TRANSCRIPT}
_MAX_KEY = 200
_SHOWABLE = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\u202D\u202E]*$"
_FILE_REASONS = {"empty": 422}
"""Of files that are refused; 415 where none is named."""
_BODY = {
    "required": [FILE, "conversation_id", "sender_id"],
    "type": "object",
    "additionalProperties": False,
    "properties": {
        FILE: {
            "type": "string",
            "format": "binary",
            "minLength": 1,
            "description": "MP3, WAV or Ogg audio, by its content.",
        },
        "conversation_id": {"type": "string", "pattern": IDENTIFIER},
        "sender_id": {"type": "string", "pattern": IDENTIFIER},
        "transcript": {
            "type": "string",
            "maxLength": MAX_TRANSCRIPT,
            "pattern": _SHOWABLE,
            "default": DEFAULT_TRANSCRIPT,
            "description": "What is shown where the audio cannot be played; blank is the default.",
        },
    },
}
_needs = Needs(VOICE_MESSAGES)


class Accepted(BaseModel):
    """A voice message that waits in the inbox, durably."""

    message_key: str = Field(pattern=MESSAGE_KEY, description="Its key in the table voice_messages.")
    status: Literal["accepted"]
    content_type: str = Field(description="By content.")
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file.")


def add_routes(app: FastAPI) -> None:
    """Add this route to an app."""
    app.post(
        PATH,
        status_code=202,
        response_description="The message waits in the inbox.",
        responses=documented(400, 401, 403, 408, 409, 413, 415, 422, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": _BODY,
                        "encoding": {FILE: {"contentType": ", ".join((*SYNONYMS, "application/octet-stream"))}},
                    }
                },
            }
        },
        tags=["messages"],
    )(post_voice_message)


async def post_voice_message(
    request: Request,
    caller: Annotated[Caller, Depends(_needs)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=_MAX_KEY,
            pattern=r"^[!-~]+$",
            description="The same key and message again is answered as the first time, for a week; without it, "
            "a request that is sent twice is two messages.",
        ),
    ] = None,
) -> Accepted:
    """Hand in a voice message; it is sent later, by the job `messaging`.

    202 means that audio and fields are complete and safe on the disk.
    """
    service = of(request)
    inbox = _usable_inbox(service)
    await run_in_threadpool(service.journal.ready)
    with _writable_inbox(), inbox.incoming() as incoming:
        try:
            form = await read_form(request, incoming, MOST_BYTES, service.limits.file_bytes)
            message, audio = await run_in_threadpool(_checked, form, incoming)
            accepted, repeated = await run_in_threadpool(
                _put, inbox, incoming, message, audio, caller.name, idempotency_key
            )
        except Problem as problem:
            facts = {"status": problem.status, "reason": problem.reason, "bytes": incoming.size}
            await run_in_threadpool(service.journal.emit, "voice_message_refused", caller=caller.name, **facts)
            raise
    await run_in_threadpool(
        service.journal.emit,
        "voice_message_repeated" if repeated else "voice_message_accepted",
        caller=caller.name,
        message_key=accepted.message_key,
        conversation_id=message.conversation_id,
        bytes=accepted.size_bytes,
        sha256=accepted.sha256,
    )
    return accepted


def _usable_inbox(service: Service) -> Inbox:
    inbox = service.inbox
    if inbox is None:
        raise Problem(503, "No inbox is configured here: its operator has to set MEDIA_INBOX.", reason="no_inbox")
    place = next(folder for folder in (inbox.folder, *inbox.folder.parents) if folder.is_dir())
    if shutil.disk_usage(place).free < service.settings.min_available_mb * 1_000_000:
        raise Problem(503, "The inbox has too little space left.", reason="no_space")
    return inbox


@contextmanager
def _writable_inbox() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # with its path, which belongs into the log and not into the reply
        raise Problem(503, "The inbox cannot be written.", reason="inbox") from error


def _checked(form: Form, incoming: Incoming) -> tuple[VoiceMessage, str]:
    """The message and its format; raises Problem."""
    if not form.has_file:
        raise Problem(422, f"The field {FILE} is missing.", reason="missing")
    try:
        message = VoiceMessage.model_validate(form.fields)
    except ValidationError as error:
        named = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise Problem(422, f"{named}.", reason="field") from None
    try:
        return message, audio_format(incoming.size, incoming.read, form.declared_type)
    except NotAudio as error:
        raise Problem(_FILE_REASONS.get(error.reason, 415), str(error), reason=error.reason) from None


def _put(
    inbox: Inbox, incoming: Incoming, message: VoiceMessage, audio: str, caller: str, key: str | None
) -> tuple[Accepted, bool]:
    """Put the pair into the inbox, once per key; tells whether it was there."""
    message_key = message_key_of(caller, key) if key is not None else uuid.uuid4().hex
    facts = {"content_type": MEDIA_TYPES[audio], "size_bytes": incoming.size, "sha256": incoming.sha256}
    accepted = Accepted(message_key=message_key, status="accepted", **facts)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    pair = message.model_copy(update={**facts, "message_key": message_key, "received_at": now})
    if key is None:
        inbox.publish(incoming, pair, audio)
        return accepted, False
    content = json.dumps([message.conversation_id, message.sender_id, message.transcript, incoming.sha256])
    try:
        with receipt(inbox, message_key, hashlib.sha256(content.encode()).hexdigest()) as known:
            if known.is_published:
                return accepted, True
            known.note(published=False)
            inbox.publish(incoming, pair, audio)
            known.note(published=True)
            return accepted, False
    except OtherContent:
        raise Problem(409, "This Idempotency-Key was used for another message.", reason="other_content") from None
