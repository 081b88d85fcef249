"""Message conversations in analytics: which were active in an interval, and how L3 and L5 word them.

Among the ordinals of recordings, by which other conversations are known, a message conversation's number is marked.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from media_pipeline.sandbox.messaging.model import MessageConversation
from media_pipeline.sandbox.platform import people
from media_pipeline.sandbox.platform.moments import iso

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

Row = dict[str, Any]

MARK = 1 << 63
OPEN = dt.timedelta(hours=24)
"""A guest may come back so long; then the conversation has an end."""


def place(conversation: MessageConversation) -> int:
    """What stands for it among ordinals."""
    return MARK | conversation.number


def is_message(ordinal: int) -> bool:
    """Whether an ordinal stands for a message conversation."""
    return bool(ordinal & MARK)


def found(state: State, ordinal: int) -> MessageConversation:
    """The conversation an ordinal stands for."""
    return state.messaging.numbered(ordinal & ~MARK)


def active(state: State, start: dt.datetime, end: dt.datetime, since: dt.datetime) -> list[MessageConversation]:
    """Those with activity in [start, end) that began at `since` or later, by start."""
    now = state.messaging.now()
    begun = state.messaging.conversations()
    return [each for each in begun if since <= each.start < end and each.last_activity(now) >= start]


def row(state: State, conversation: MessageConversation) -> Row:
    """AnalyticsConversation of the official SDK 269.0.0: the guest, and the agent who answers."""
    now = state.messaging.now()
    last = conversation.last_activity(now)
    named: Row = {
        "conversationId": conversation.id,
        "conversationStart": iso(conversation.start),
        "divisionIds": [people.division_id(state.org)],
        "originatingDirection": "inbound",
        "participants": [
            _participant(conversation, "customer", last),
            _participant(conversation, "agent", last),
        ],
    }
    return named | {"conversationEnd": iso(last)} if now >= last + OPEN else named


def _participant(conversation: MessageConversation, purpose: str, last: dt.datetime) -> Row:
    is_guest = purpose == "customer"
    session = {
        "sessionId": conversation.guest_communication_id if is_guest else conversation.agent_communication_id,
        "mediaType": "message",
        "messageType": "webmessaging",
        "direction": "inbound",
        "segments": [
            {
                "segmentStart": iso(conversation.start),
                "segmentEnd": iso(last),
                "segmentType": "interact",
                "conference": False,
                "queueId": conversation.queue_id,
            }
        ],
    }
    if is_guest:
        return {"participantId": conversation.guest_participant_id, "purpose": purpose, "sessions": [session]}
    return {
        "participantId": conversation.agent_participant_id,
        "purpose": purpose,
        "userId": conversation.agent_user_id,
        "sessions": [session],
    }
