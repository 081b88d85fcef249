"""A conversation as analytics words it: AnalyticsConversation of the official SDK 269.0.0, names exact."""

from __future__ import annotations

import datetime as dt
from typing import Any

from media_pipeline.sandbox.org import Org, Recording
from media_pipeline.sandbox.platform import people
from media_pipeline.sandbox.platform.conversations import Conversation, Conversations
from media_pipeline.sandbox.platform.moments import iso

Row = dict[str, Any]

MEDIA_TYPES = {"call": "voice", "screen": "screenshare", "chat": "chat", "email": "email", "message": "message"}
"""The guide's media types in the words of analytics sessions."""


def row(org: Org, conversations: Conversations, conversation: Conversation) -> Row:
    """One conversation of L3 and L5."""
    return {
        "conversationId": conversation.id,
        "conversationStart": iso(conversation.start),
        "conversationEnd": iso(conversation.end),
        "divisionIds": [people.division_id(org)],
        "originatingDirection": "inbound",
        "participants": list(_participants(org, conversations, conversation)),
    }


def _participants(org: Org, conversations: Conversations, conversation: Conversation) -> list[Row]:
    first = conversation.recordings[0]
    queue = people.queue_id(org, first)
    found = [
        {
            "participantId": org.named_id("customer", conversation.first),
            "purpose": "customer",
            "sessions": [_customer_session(org, conversations, each) for each in conversation.recordings],
        },
        _waiting(org, conversation, "acd", queue),
    ]
    if conversation.start < first.created:
        found.insert(1, _waiting(org, conversation, "ivr", None))
    for recording in conversation.recordings:
        found += _agents(org, conversations, recording)
    return found


def _customer_session(org: Org, conversations: Conversations, recording: Recording) -> Row:
    end = recording.created + conversations.duration(recording)
    segment = _segment("interact", recording.created, end, people.queue_id(org, recording))
    return _session(people.communication_id(org, recording), recording, [segment], recorded=True)


def _agents(org: Org, conversations: Conversations, recording: Recording) -> list[Row]:
    duration = conversations.duration(recording) // dt.timedelta(milliseconds=1)
    queue = people.queue_id(org, recording)
    found = []
    for number, stint in enumerate(people.stints(org, recording, duration)):
        start, end = (recording.created + dt.timedelta(milliseconds=each) for each in (stint.start_ms, stint.end_ms))
        place = recording.ordinal * 2 + number
        session = _session(
            org.named_id("agent session", place), recording, [_segment("interact", start, end, queue)], recorded=True
        )
        found.append(
            {
                "participantId": org.named_id("agent participant", place),
                "participantName": stint.name,
                "purpose": "agent",
                "screenRecording": recording.kind.media_type == "screen",
                "userId": stint.user_id,
                "sessions": [session],
            }
        )
    return found


def _waiting(org: Org, conversation: Conversation, purpose: str, queue: str | None) -> Row:
    """The part of the menu or the queue: from the beginning until the first recording starts."""
    first = conversation.recordings[0]
    segment = _segment("ivr" if purpose == "ivr" else "interact", conversation.start, first.created, queue)
    session = _session(org.named_id(f"{purpose} session", conversation.first), first, [segment], recorded=False)
    participant = org.named_id(f"{purpose} participant", conversation.first)
    return {"participantId": participant, "purpose": purpose, "sessions": [session]}


def _session(session_id: str, recording: Recording, segments: list[Row], *, recorded: bool) -> Row:
    session: Row = {
        "sessionId": session_id,
        "mediaType": MEDIA_TYPES[recording.kind.media_type],
        "direction": "inbound",
        "segments": segments,
    }
    return session | {"recording": True} if recorded else session


def _segment(kind: str, start: dt.datetime, end: dt.datetime, queue: str | None) -> Row:
    segment = {"segmentStart": iso(start), "segmentEnd": iso(end), "segmentType": kind, "conference": False}
    return segment if queue is None else segment | {"queueId": queue}
