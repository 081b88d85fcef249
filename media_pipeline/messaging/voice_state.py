"""How far one voice message has come, as a small object that is durable before each step.

ready ── uploading ── uploaded ── sending ── sent ── texting ── done
           (intent)             (intent)           (intent)

An intent that is found without what should follow it is a request that may have had its effect.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from media_pipeline.messaging.inbox import Pair
from media_pipeline.messaging.moments import fields_of
from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import VOICE_STATES, voice_state_key
from media_pipeline.transfer.parallel import ordered_map

TABLE = "voice_messages"
READY, UPLOADING, UPLOADED, SENDING, SENT_STEP, TEXTING, DONE = (
    "ready", "uploading", "uploaded", "sending", "sent", "texting", "done"
)  # fmt: skip
SENT, IN_DOUBT, FAILED, REJECTED = "sent", "in_doubt", "failed", "rejected"
WOULD_SEND, WAITING = "would_send", "waiting"
FINAL = (SENT, IN_DOUBT, FAILED, REJECTED)
THREADS = 8
_MOMENTS = ("received_at", "uploaded_at", "sending_at", "sent_at", "texting_at")


@dataclass(frozen=True, slots=True)
class Progress:
    """A message's facts and how far it has come; holds neither link nor transcript.

    `media_ids`: those a send was tried with. `name`: of its pair in the inbox. Moments are ours, UTC.
    """

    message_key: str
    day: dt.date
    name: str
    conversation_id: str | None
    sender_id: str | None
    received_at: dt.datetime
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    duration_ms: int | None = None
    step: str = READY
    status: str = WAITING
    reason: str | None = None
    detail: str | None = None
    media_id: str | None = None
    media_ids: tuple[str, ...] = ()
    uploaded_at: dt.datetime | None = None
    sending_at: dt.datetime | None = None
    message_id: str | None = None
    sent_at: dt.datetime | None = None
    texting_at: dt.datetime | None = None
    transcript_message_id: str | None = None
    attempts: int = 0
    uploads_lost: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing more is done without a person."""
        return self.step == DONE

    def row(self) -> Row:
        """Its row of voice_messages."""
        return {
            "message_key": self.message_key,
            "conversation_id": self.conversation_id,
            "sender_id": self.sender_id,
            # the table keeps milliseconds: a row read again must compare equal
            "received_at": self.received_at.replace(microsecond=self.received_at.microsecond // 1000 * 1000),
            "content_type": self.content_type,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "duration_ms": self.duration_ms,
            "status": self.status,
            "reason": self.reason,
            "detail": self.detail,
            "media_id": self.media_id,
            "message_id": self.message_id,
            "transcript_message_id": self.transcript_message_id,
            "attempts": self.attempts,
            "uploads_lost": self.uploads_lost,
        }

    @classmethod
    def begun(cls, pair: Pair, key: str, day: dt.date, **facts: Any) -> Progress:
        """Of a complete pair that was never seen."""
        message = pair.message
        return cls(key, day, pair.name, message.conversation_id, message.sender_id, pair.received_at, **facts)

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def decode(cls, data: bytes) -> Progress:
        """Raises ValueError, KeyError or TypeError for what is none."""
        found = fields_of(data, _MOMENTS)
        day = dt.date.fromisoformat(found["day"])
        return cls(**found | {"day": day, "media_ids": tuple(found["media_ids"])})


class States:
    """All messages that are on their way, below one MEDIA_ROOT."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, progress: Progress) -> None:
        """Make it durable."""
        self._store.put(voice_state_key(progress.message_key), progress.encode())

    def get(self, message_key: str) -> Progress | None:
        """None for a message that is not on its way; raises StorageError for what cannot be read."""
        key = voice_state_key(message_key)
        found = self._store.get_small(key)
        return None if found is None else _decoded(key, found.data)

    def all(self) -> Iterator[Progress]:
        """Every message that is on its way, by key."""
        keys = sorted(self._store.sizes(VOICE_STATES, ".json"))
        for key, found in zip(keys, ordered_map(self._store.get_small, keys, threads=THREADS), strict=True):
            if found is not None:
                yield _decoded(key, found.data)

    def remove(self, message_key: str) -> None:
        """Forget it: its row says the rest."""
        self._store.remove(voice_state_key(message_key))


def _decoded(key: str, data: bytes) -> Progress:
    try:
        return Progress.decode(data)
    except (ValueError, KeyError, TypeError):
        raise StorageError(
            f"{key} does not say how far its voice message has come: nothing is sent until that is clear. Look up in "
            "the conversation whether the guest has it, then remove the object."
        ) from None
