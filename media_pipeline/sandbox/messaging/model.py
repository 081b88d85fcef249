"""A message conversation as both dialects know it: its people, its messages and their files. No HTTP, no JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Literal

from media_pipeline.sandbox.bodies import Body

Direction = Literal["inbound", "outbound"]

GUEST_FILES_LIVE = dt.timedelta(hours=24)
HASHED_BYTES = 64_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class GuestFile:
    """A file a guest sent: what was said of it, and what it really is."""

    id: str
    name: str
    declared_type: str
    declared_size: int
    body: Body
    kind: str
    """What the sandbox meant it to be: png, wrong_type, injected."""
    sent: dt.datetime
    chunked: bool = False
    """Whether it is delivered without Content-Length."""
    claimed_sha256: str | None = None
    """Hash the published API names instead of the true one."""

    @property
    def sha256(self) -> str | None:
        """Hash the published API names; none for what is too large to be hashed here."""
        if self.claimed_sha256 is not None or self.body.size > HASHED_BYTES:
            return self.claimed_sha256
        return hashlib.sha256(self.body.read(0, self.body.size)).hexdigest()

    def is_gone(self, now: dt.datetime) -> bool:
        """Whether its 24 hours are over."""
        return now >= self.sent + GUEST_FILES_LIVE


@dataclasses.dataclass(frozen=True, slots=True)
class SentMedia:
    """A medium that was sent to a guest, as it was then."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    transcript: str | None = None
    """The fallback text of the guide dialect."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    id: str
    at: dt.datetime
    direction: Direction
    text: str | None = None
    files: tuple[GuestFile, ...] = ()
    media: tuple[SentMedia, ...] = ()
    sender: str | None = None
    """Whom a client named as sending it; None = no client sent it."""


@dataclasses.dataclass
class MessageConversation:
    """One conversation of a guest with an agent; messages in order of time."""

    id: str
    number: int
    """Place in the org: names its people, and stands for it in lists of ordinals."""
    start: dt.datetime
    guest_participant_id: str
    guest_communication_id: str
    agent_participant_id: str
    agent_communication_id: str
    agent_user_id: str
    queue_id: str
    messages: list[Message] = dataclasses.field(default_factory=list)
    context: dict[str, object] = dataclasses.field(default_factory=dict)
    """What clients of the guide dialect wrote to it."""

    def said(self, now: dt.datetime) -> list[Message]:
        """The messages up to now."""
        return [each for each in self.messages if each.at <= now]

    def last_activity(self, now: dt.datetime) -> dt.datetime:
        """When something was said last, up to now."""
        return max((each.at for each in self.said(now)), default=self.start)

    def named(self) -> Mapping[str, str]:
        """Its ids in the words of the published API."""
        return {
            "conversation_id": self.id,
            "guest_participant_id": self.guest_participant_id,
            "guest_communication_id": self.guest_communication_id,
            "agent_participant_id": self.agent_participant_id,
            "communication_id": self.agent_communication_id,
        }
