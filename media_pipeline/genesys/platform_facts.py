"""What analytics says of a conversation, and what types and states mean in our words: pure functions over JSON."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from media_pipeline.genesys.source import FileState
from media_pipeline.genesys.values import items, text, time

_MEDIA_TYPES = {"voice": "call", "call": "call", "audio": "call", "callback": "call", "screenshare": "screen"}
_MEDIA_TYPES |= {"messaging": "message", **{name: name for name in ("screen", "chat", "email", "message")}}
_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/webm": "webm",
    "video/webm": "webm",
    "video/mp4": "mp4",
    "application/json": "json",
    "application/zip": "zip",
    "message/rfc822": "eml",
}
_FILE_STATES: dict[str, FileState] = {
    "ARCHIVED": "archived",
    "DELETED": "deleted",
    "RESTORING": "pending",
    "UPLOADING": "pending",
    "ERROR": "error",
}
"""Of the published states, AVAILABLE and RESTORED are left: those should have been delivered."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in which a recording was started; agents and queues sorted, communications (the customer's
    voice sessions, which transcripts are kept under) in order of appearance, recorded ones first."""

    id: str
    started_at: dt.datetime
    media_type: str | None
    communication_ids: tuple[str, ...]
    agent_ids: tuple[str, ...]
    queue_ids: tuple[str, ...]


def conversation_of(entry: object) -> Conversation | None:
    """An entry of an analytics page; None without an id or a start."""
    if not isinstance(entry, dict):
        return None
    conversation_id, started_at = text(entry.get("conversationId")), time(entry.get("conversationStart"))
    if conversation_id is None or started_at is None:
        return None
    agents, queues, kinds = set[str](), set[str](), list[str]()
    customer: list[tuple[bool, str]] = []
    for participant in items(entry.get("participants")):
        purpose, user_id = text(participant.get("purpose")), text(participant.get("userId"))
        if purpose == "agent" and user_id:
            agents.add(user_id)
        for session in items(participant.get("sessions")):
            kind, session_id = text(session.get("mediaType")), text(session.get("sessionId"))
            if kind:
                kinds.append(kind)
            if purpose in ("customer", "external") and session_id and kind in ("voice", "callback", None):
                customer.append((session.get("recording") is not True, session_id))
            queues |= {q for segment in items(session.get("segments")) if (q := text(segment.get("queueId")))}
    return Conversation(
        id=conversation_id,
        started_at=started_at,
        media_type=media_type_of(kinds[0] if kinds else None),
        communication_ids=tuple(dict.fromkeys(i for _, i in sorted(customer, key=lambda session: session[0]))),
        agent_ids=tuple(sorted(agents)),
        queue_ids=tuple(sorted(queues)),
    )


def media_type_of(name: str | None, content_type: str | None = None) -> str | None:
    """call, screen, chat, email or message: by the file's type where that tells, else by the session's or
    recording's name for it."""
    kind = (content_type or "").split("/")[0].strip().lower()
    if kind in ("audio", "video"):
        return "call" if kind == "audio" else "screen"
    return _MEDIA_TYPES.get(name.lower(), name.lower()) if name else None


def format_of(content_type: str | None) -> str | None:
    """The format of a content type; None for one that says nothing (octet-stream).

    audio/ogg is `ogg` whatever codec is inside, unless the type says codecs=opus: the API does not tell more.
    """
    if content_type is None:
        return None
    name, _, parameters = content_type.lower().partition(";")
    if "opus" in parameters:
        return "opus"
    return _FORMATS.get(name.strip()) or _subtype(name.strip())


def _subtype(name: str) -> str | None:
    kind, _, subtype = name.partition("/")
    known = kind in ("audio", "video") and re.fullmatch(r"[a-z0-9-]{1,20}", subtype)
    return subtype.removeprefix("x-") if known else None


def file_state_of(name: str | None) -> FileState:
    """The state of a recording that came without a link, from its `fileState`; unknown ones may still come."""
    if name in ("AVAILABLE", "RESTORED"):
        return "undelivered"
    return _FILE_STATES.get(name or "", "pending")
