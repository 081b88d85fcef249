"""What clients sent or changed: media they uploaded, messages that reached guests, and a log of every write."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from typing import Literal

from media_pipeline.sandbox.clock import Clock
from media_pipeline.sandbox.org import Org

MediaState = Literal["uploading", "valid", "invalid"]

MEDIA_SUFFIX = ".media"
"""Names of links to media that clients sent end with it."""


@dataclasses.dataclass
class Medium:
    """A medium a client uploads or uploaded, in either dialect."""

    id: str
    name: str
    announced_size: int
    announced_md5: str
    """Base64; empty in the guide dialect, which announces nothing."""
    conversation_id: str | None = None
    communication_id: str | None = None
    data: bytes | None = None
    content_type: str = ""
    """By content, once it is there."""
    polls: int = 0
    made: dt.datetime | None = None
    ends: dt.datetime | None = None
    """When its retention is over."""
    deleted: bool = False
    state: MediaState = "uploading"
    """As it was told last; nothing but a valid medium can be sent."""

    def is_gone(self, now: dt.datetime) -> bool:
        """Whether it was deleted, or its retention is over."""
        return self.deleted or (self.ends is not None and now >= self.ends)


class Sending:
    """Media by id and the log of writes. Thread safe."""

    def __init__(self, org: Org, clock: Clock) -> None:
        self._org = org
        self._clock = clock
        self._lock = threading.Lock()
        self._media: dict[str, Medium] = {}
        self._writes: list[dict[str, object]] = []

    def new(self, name: str, size: int = 0, md5: str = "") -> Medium:
        """A medium under a new id."""
        with self._lock:
            made = Medium(self._org.named_id("sent medium", len(self._media) + 1), name, size, md5)
            made.made = self._clock.now()
            self._media[made.id] = made
            return made

    def find(self, media_id: str) -> Medium | None:
        """The medium with this id, gone or not."""
        return self._media.get(media_id)

    def media(self) -> list[Medium]:
        """All of them, oldest first."""
        return list(self._media.values())

    def note(self, operation: str, subject: tuple[str, ...], status: int, document: object) -> None:
        """Log a write that was answered."""
        entry = {
            "at": self._clock.now().isoformat(timespec="microseconds"),
            "operation": operation,
            "subject": list(subject),
            "status": status,
            "body": document,
        }
        with self._lock:
            self._writes.append(entry)

    def writes(self) -> list[dict[str, object]]:
        """Every write that was answered, in order."""
        with self._lock:
            return list(self._writes)
