"""What a dialect offers about message conversations: events, guests' files, voice messages, and what is deleted when.

No wire format, no HTTP and no table belongs here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEvent:
    """What happened in a message conversation, and the file that came with it; None where the source is silent.

    The file's facts are what the guest declared, its `sha256` the source's; sizes in bytes, times UTC.
    """

    event_id: str
    event_type: str
    conversation_id: str
    message_id: str | None = None
    sent_at: dt.datetime | None = None
    file_id: str | None = None
    file_name: str | None = None
    declared_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in the source's order, and the position to go on from once they are durable."""

    events: Sequence[ConversationEvent]
    position: str


@dataclass(frozen=True, slots=True)
class GuestReply:
    """The head of a reply with a guest's file, and its bytes piece by piece."""

    headers: Mapping[str, str]
    pieces: Iterator[bytes]


GuestLink = str
"""Where the bytes lie, for whoever has it: a secret, asked without a token."""
GuestDownload = Callable[[float], AbstractContextManager[GuestReply]]
"""The bytes by the file's id, one try that ends at a moment of the monotonic clock at the latest.

Raises TryAgain with what may pass, NotFound, PermissionMissing.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFile:
    """What the source says of a guest's file now, and the way to its bytes."""

    sha256: str | None
    content: GuestLink | GuestDownload = field(repr=False)


@dataclass(slots=True)
class EventTally:
    """How events were read, and what has no row: `other_types`, `malformed` and `too_large` ones.

    `unreadable`: conversations that could not be looked into. `gap`: a sentence, when the source may no longer have
    what came after the position. Not `caught_up` when time or calls ended before the events did.
    """

    received: int = 0
    other_types: int = 0
    malformed: int = 0
    too_large: int = 0
    unreadable: int = 0
    connections: int = 0
    caught_up: bool = False
    gap: str | None = None


class MessagingSource(Protocol):
    """What guests do in message conversations. All calls raise GenesysError."""

    def conversation_events(self, position: str, until: float, tally: EventTally) -> Iterator[EventBatch]:
        """Events since a position (empty: from where the source begins), at least once each, until there is none.

        Ends at `until` of the monotonic clock at the latest. A position is the source's own, and opaque.
        """

    def guest_file(self, conversation_id: str, message_id: str | None, file_id: str) -> GuestFile:
        """A guest's file, asked about anew where the source has links. Raises NotFound, PermissionMissing."""

    def tell_context(self, conversation_id: str, facts: Mapping[str, str | int | bool]) -> bool:
        """Have a conversation bear these facts, all of them that we know; False when it did so already.

        Doing it again changes nothing. Raises NotFound, PermissionMissing, Refused.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """Something at the source that is to be deleted there."""

    kind: Literal["attachment", "recording"]
    id: str
    conversation_id: str | None


LastLook = Callable[[], None]
"""Called before a request goes out, after all waiting; what it raises keeps the request back."""


class Lifetimes(Protocol):
    """Where a source can be told to let go of something by itself after a time."""

    def retention_of(self, media: Doomed, ttl_seconds: int) -> str | None:
        """The time in the source's words; None for what cannot be given one."""

    def set_retention(self, media: Doomed, retention: str, last_look: LastLook) -> None:
        """Tell the source. Raises NotFound when it is gone, Refused when the source does not take it."""


class RetentionTarget(Protocol):
    """Where media are deleted. All calls raise GenesysError, try once, and do no harm when they are made again."""

    dialect: str

    @property
    def lifetimes(self) -> Lifetimes | None:
        """None where nothing can be given a time to live."""

    def deletion_of(self, media: Doomed, earliest: dt.datetime) -> tuple[str, dt.datetime] | None:
        """For what the source deletes by itself on a date, the date in its words and as a moment; else None."""

    def can_delete(self, media: Doomed) -> bool:
        """Whether the source has a way to delete this at all."""

    def delete(self, media: Doomed, deletion: tuple[str, dt.datetime] | None, last_look: LastLook) -> None:
        """Delete now, or order what `deletion_of` gave. Raises NotFound when it is gone."""

    def is_gone(self, media: Doomed, last_look: LastLook) -> bool:
        """Whether it is not there any more; asks for its deletion again where the source has no other question."""

    def keep_until(self, media: Doomed, due: dt.datetime, now: dt.datetime) -> dt.datetime:
        """Take back what the source was told; until when it keeps it at least. Raises NotFound when it is gone."""

    def protect(self, conversation_ids: Sequence[str], *, protect: bool) -> bool:
        """Have the source itself refuse deletions in conversations, or no longer; False: it has no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingVoice:
    """A voice message on its way to a guest: for which conversation, in whose name, and what is said in it."""

    message_key: str
    conversation_id: str
    sender_id: str
    media_type: str
    format: str
    transcript: str = field(repr=False)

    @property
    def file_name(self) -> str:
        """What the file is called at the source: ids only."""
        return f"{self.message_key}.{self.format}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedVoice:
    """A voice message's file at the source; the link is a secret and lives as long as the dialect says."""

    media_id: str
    link: str | None = field(default=None, repr=False)


class SentMessages(Protocol):
    """What arrived in a conversation, where the source can be asked. All calls raise GenesysError."""

    def find_voice(self, conversation_id: str, media_ids: Collection[str]) -> str | None:
        """The message to the guest that has one of these media: its id, perhaps empty; None: there is none (yet)."""

    def find_text(self, conversation_id: str, text: str, since: dt.datetime, not_these: Collection[str]) -> str | None:
        """Id of a message to the guest with this text, sent since a moment, that is none of `not_these`."""


class Texts(Protocol):
    """Where a transcript is a message of its own."""

    def send_text(self, voice: OutgoingVoice, last_look: LastLook) -> str | None:
        """Send the transcript to the guest; the message's id, None where the source does not tell."""


class VoiceTarget(Protocol):
    """Where voice messages are sent. All calls raise GenesysError; those that change something never repeat what may
    have had an effect. `last_look` is called before each request that may have one.
    """

    dialect: str
    link_seconds: float | None
    """How long an upload can be sent; None: no limit is known."""

    @property
    def lookup(self) -> SentMessages | None:
        """None where nobody can tell what arrived: what was not confirmed is for a person."""

    @property
    def texts(self) -> Texts | None:
        """None where the transcript goes with the audio."""

    def upload_voice(self, voice: OutgoingVoice, audio: bytes, last_look: LastLook) -> UploadedVoice:
        """Bring the audio to the source, and wait until it can be sent."""

    def send_voice(self, voice: OutgoingVoice, uploaded: UploadedVoice, last_look: LastLook) -> str | None:
        """Send it to the guest; the message's id, None where the source does not tell."""
