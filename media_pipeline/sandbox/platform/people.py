"""Who takes part in a recorded conversation: agents with their times, queues, sessions. Ids only, no JSON."""

from __future__ import annotations

import dataclasses

from media_pipeline.sandbox.org import QUEUES, Org, Recording

AGENTS = 40
BARGED_SLOT = 28
"""A second agent joins for the last two thirds: who of the two speaks cannot be told."""
TRANSFERRED_SLOT = 29
"""One agent for the first half, another for the second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stint:
    """One agent's part of a recording, in ms from its start."""

    user_id: str
    name: str
    start_ms: int
    end_ms: int


def stints(org: Org, recording: Recording, duration_ms: int) -> tuple[Stint, ...]:
    """The agents of a recording: one, or two in the special slots."""
    first, second = (recording.number + add for add in (0, 1))
    if recording.slot == BARGED_SLOT:
        return _stint(org, first, 0, duration_ms), _stint(org, second, duration_ms // 3, duration_ms)
    if recording.slot == TRANSFERRED_SLOT:
        middle = duration_ms // 2
        return _stint(org, first, 0, middle), _stint(org, second, middle, duration_ms)
    return (_stint(org, first, 0, duration_ms),)


def queue_id(org: Org, recording: Recording) -> str:
    """The queue a recording's conversation came through."""
    return org.named_id("queue", QUEUES.index(recording.queue))


def communication_id(org: Org, recording: Recording) -> str:
    """The customer's session: the `communicationId` of transcripts, and `sessionId` of recording metadata."""
    return org.named_id("communication", recording.ordinal)


def division_id(org: Org) -> str:
    """The one division of the org, Home."""
    return org.named_id("division", 0)


def _stint(org: Org, number: int, start_ms: int, end_ms: int) -> Stint:
    agent = number % AGENTS
    return Stint(org.named_id("agent", agent), f"Agent {agent:02}", start_ms, end_ms)
