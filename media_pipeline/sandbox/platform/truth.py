"""What the published API should say of a recording, for tests to compare a client's tables with."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from media_pipeline.sandbox.org import Recording
from media_pipeline.sandbox.platform import facts, people
from media_pipeline.sandbox.platform.moments import iso

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State


def platform_truth(state: State, recording: Recording) -> dict[str, object]:
    """Identity, clock, people, state and files of a recording on the platform side; no bytes."""
    conversation = state.conversations.of_recording(recording)
    length = state.conversations.duration(recording) // dt.timedelta(milliseconds=1)
    return {
        "conversation_id": conversation.id,
        "conversation_start": iso(conversation.start),
        "date": str(conversation.start.date()),
        "communication_id": people.communication_id(state.org, recording),
        "agent_ids": sorted({stint.user_id for stint in people.stints(state.org, recording, length)}),
        "queue_ids": [people.queue_id(state.org, recording)],
        "file_state": facts.file_state(state, recording),
        "content_type": facts.content_type(recording),
        "files": len(facts.parts(recording)),
        "sensitive": recording.slot == facts.SENSITIVE_SLOT,
        "delete_date": iso(facts.delete_date(state, recording)),
    }
