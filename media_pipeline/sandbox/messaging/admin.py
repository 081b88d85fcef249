"""`/_sandbox/messaging`: what tests plant in conversations and on the event stream, and what they find there after."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.bodies import Body, Whole
from media_pipeline.sandbox.messaging.events import Event
from media_pipeline.sandbox.messaging.model import GuestFile, Message, MessageConversation
from media_pipeline.sandbox.messaging.samples import SAMPLES, Repeated
from media_pipeline.sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

Entity = dict[str, Any]

MAX_COUNT = 100_000
FILE_FIELDS = frozenset(
    {
        "conversation_id",
        "name",
        "content_type",
        "declared_size",
        "base64",
        "sample",
        "size",
        "sha256",
        "chunked",
        "age_seconds",
        "silent",
        "count",
    }
)


class MessagingRequestError(ValueError):
    """A request an admin operation of messaging cannot serve."""


def _conversations(state: State, _: Request) -> Reply:
    """Everything there is: conversations with their messages and files, contexts and attributes."""
    return json_reply([_true(state, each) for each in state.messaging.conversations()])


def _add_conversation(state: State, request: Request) -> Reply:
    """`{"age_seconds": 0}`: a new conversation without messages."""
    document = _document(request, frozenset({"age_seconds"}))
    return json_reply(dict(state.messaging.add_conversation(started=_aged(state, document)).named()), 201)


def _add_files(state: State, request: Request) -> Reply:
    """A guest sends a file, or `count` of them: `base64` bytes, a `sample`, or `size` bytes that begin with either."""
    document = _document(request, FILE_FIELDS)
    count = document.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
        raise MessagingRequestError(f"count is a number from 1 to {MAX_COUNT}.")
    made = [_add_file(state, document, number) for number in range(count)]
    return json_reply(made[0] if "count" not in document else {"files": made}, 201)


def _add_file(state: State, document: Entity, number: int) -> Entity:
    messaging, at = state.messaging, _aged(state, document)
    conversation = _named(state, document) or messaging.add_conversation(started=at)
    file = _file(state, document, number, at or state.clock.now())
    message = messaging.say(conversation, files=[file], at=at, silent=bool(document.get("silent", False)))
    return {"file_id": file.id, "message_id": message.id, **conversation.named()}


def _file(state: State, document: Entity, number: int, sent: dt.datetime) -> GuestFile:
    sample = document.get("sample", "png")
    if sample not in SAMPLES:
        raise MessagingRequestError(f"sample must be one of {', '.join(SAMPLES)}.")
    make, content_type = SAMPLES[sample]
    data = _bytes(document["base64"]) if "base64" in document else make(number)
    size = document.get("size")
    body: Body = Whole(data) if size is None else Repeated(_whole_number(size, "size"), data)
    declared = _whole_number(document.get("declared_size", body.size), "declared_size")
    return GuestFile(
        id=state.messaging.new_file_id(),
        name=_text(document, "name", f"{sample}_{number}.{sample}"),
        declared_type=_text(document, "content_type", content_type),
        declared_size=declared,
        body=body,
        kind="injected",
        sent=sent,
        chunked=bool(document.get("chunked", declared != body.size)),
        claimed_sha256=document.get("sha256"),
    )


def _say(state: State, request: Request) -> Reply:
    """`{"conversation_id", "text"}`: a guest says something."""
    document = _document(request, frozenset({"conversation_id", "text", "age_seconds", "silent"}))
    conversation = _named(state, document)
    if conversation is None:
        raise MessagingRequestError("conversation_id is needed.")
    silent = bool(document.get("silent", False))
    text = _text(document, "text", "Hello?")
    said = state.messaging.say(conversation, text=text, at=_aged(state, document), silent=silent)
    return json_reply({"message_id": said.id}, 201)


def _events(state: State, _: Request) -> Reply:
    """What the stream still has, oldest first."""
    state.messaging.advance()
    kept = state.messaging.log.kept()
    return json_reply([{"id": each.id, "event": each.name, "document": each.document} for each in kept])


def _add_events(state: State, request: Request) -> Reply:
    """`{"events": [{"document" | "raw_base64", "id", "event"}]}`: as they are, true or not."""
    events = _document(request, frozenset({"events"})).get("events")
    if not isinstance(events, list) or not all(isinstance(each, dict) for each in events):
        raise MessagingRequestError("events must be a list of objects.")
    ids = []
    for each in events:
        if "raw_base64" in each:
            raw = Event(f"raw-{state.messaging.log.next_number()}", raw=_bytes(each["raw_base64"]))
            state.messaging.log.append(raw, state.settings.event_history)
            ids.append(raw.id)
        else:
            document = each.get("document", {})
            ids.append(state.messaging.publish(document, name=each.get("event"), event_id=each.get("id")))
    return json_reply({"ids": ids}, 201)


def _redeliver(state: State, _: Request) -> Reply:
    """Everything the stream still has once more, under new event ids."""
    documents = [each.document for each in state.messaging.log.kept() if each.document is not None]
    return json_reply({"ids": [state.messaging.publish(dict(each)) for each in documents]}, 201)


def _keep_events(state: State, request: Request) -> Reply:
    """`{"newest": 0}`: the stream forgets all but so many events."""
    state.messaging.advance()
    state.messaging.log.keep(_whole_number(_document(request, frozenset({"newest"})).get("newest", 0), "newest"))
    return _events(state, request)


def _guest(state: State, _: Request) -> Reply:
    """What clients sent to guests, in order: a message sent twice is here twice."""
    said = ((each, message) for each in state.messaging.conversations() for message in each.messages)
    sent = [(message, each) for each, message in said if message.sender is not None]
    sent.sort(key=lambda pair: pair[0].at)
    return json_reply([{"conversation_id": each.id, **_message(message)} for message, each in sent])


def _writes(state: State, _: Request) -> Reply:
    return json_reply(state.messaging.sending.writes())


def _media(state: State, _: Request) -> Reply:
    """Media that clients uploaded."""
    now = state.clock.now()
    return json_reply(
        [
            {
                "id": each.id,
                "name": each.name,
                "content_type": each.content_type,
                "size": None if each.data is None else len(each.data),
                "sha256": None if each.data is None else hashlib.sha256(each.data).hexdigest(),
                "made": _iso(each.made),
                "ends": _iso(each.ends),
                "deleted": each.deleted,
                "gone": each.is_gone(now),
            }
            for each in state.messaging.sending.media()
        ]
    )


def _true(state: State, each: MessageConversation) -> Entity:
    now = state.clock.now()
    return {
        **each.named(),
        "start": _iso(each.start),
        "messages": [_message(said) for said in each.said(now)],
        "context": each.context,
        "attributes": state.annotations.attributes.get(each.id, {}),
    }


def _message(said: Message) -> Entity:
    return {
        "message_id": said.id,
        "at": _iso(said.at),
        "direction": said.direction,
        "sender_id": said.sender,
        "text": said.text,
        "files": [
            {
                "file_id": each.id,
                "name": each.name,
                "content_type": each.declared_type,
                "declared_size": each.declared_size,
                "size": each.body.size,
                "sha256": each.sha256,
                "kind": each.kind,
                "sent": _iso(each.sent),
            }
            for each in said.files
        ],
        "media": [
            {
                "media_id": each.id,
                "content_type": each.content_type,
                "size": each.size,
                "sha256": each.sha256,
                "transcript": each.transcript,
            }
            for each in said.media
        ],
    }


def _named(state: State, document: Entity) -> MessageConversation | None:
    wanted = document.get("conversation_id")
    if wanted is None:
        return None
    found = state.messaging.find(str(wanted))
    if found is None:
        raise MessagingRequestError(f"There is no message conversation {wanted!r}.")
    return found


def _aged(state: State, document: Entity) -> dt.datetime | None:
    age = document.get("age_seconds")
    return None if age is None else state.clock.now() - dt.timedelta(seconds=_whole_number(age, "age_seconds"))


def _whole_number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MessagingRequestError(f"{name} must be a whole number from 0.")
    return value


def _text(document: Entity, name: str, default: str) -> str:
    value = document.get(name, default)
    if not isinstance(value, str):
        raise MessagingRequestError(f"{name} must be a text.")
    return value


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error as error:
        raise MessagingRequestError(f"What should be base64 is not: {error}.") from error


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _document(request: Request, known: frozenset[str]) -> Entity:
    try:
        document = json.loads(request.body or b"{}")
    except ValueError as error:
        raise MessagingRequestError(f"The body must be JSON: {error}.") from error
    if not isinstance(document, dict) or set(document) - known:
        raise MessagingRequestError(f"The body is an object with these properties: {', '.join(sorted(known))}.")
    return document


OPERATIONS: dict[tuple[str, tuple[str, ...]], Callable[[State, Request], Reply]] = {
    ("GET", ("messaging", "conversations")): _conversations,
    ("POST", ("messaging", "conversations")): _add_conversation,
    ("POST", ("messaging", "files")): _add_files,
    ("POST", ("messaging", "texts")): _say,
    ("GET", ("messaging", "events")): _events,
    ("POST", ("messaging", "events")): _add_events,
    ("POST", ("messaging", "events", "redeliver")): _redeliver,
    ("POST", ("messaging", "events", "keep")): _keep_events,
    ("GET", ("messaging", "guest")): _guest,
    ("GET", ("messaging", "writes")): _writes,
    ("GET", ("messaging", "media")): _media,
}
