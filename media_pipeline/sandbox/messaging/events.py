"""The log of conversation events: numbered, bounded, and findable by event id. How it is streamed is `stream`'s."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One event: a JSON document under an id, or bytes that go onto the wire as they are."""

    id: str
    document: Mapping[str, object] | None = None
    raw: bytes | None = None
    name: str | None = None
    """The stream's `event` field; None = the default type."""


class EventLog:
    """What happened, in order; the oldest is dropped beyond `limit`. Thread safe."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._places: dict[str, int] = {}
        self._dropped = 0
        self._count = 0
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        """The place behind the newest event."""
        return self._dropped + len(self._events)

    def next_number(self) -> int:
        """A number no event had before, for ids."""
        with self._lock:
            self._count += 1
            return self._count

    def append(self, event: Event, limit: int) -> None:
        """Add an event and drop what is too old."""
        with self._lock:
            self._places[event.id] = self.end
            self._events.append(event)
            self._drop_to(limit)

    def keep(self, count: int) -> None:
        """Forget all but the newest."""
        with self._lock:
            self._drop_to(count)

    def after(self, event_id: str | None) -> int:
        """The place behind this event; that of the oldest kept event when it is not known (any more) or not named."""
        with self._lock:
            place = self._places.get(event_id or "")
            return self._dropped if place is None else place + 1

    def read(self, place: int, most: int = 100) -> tuple[list[Event], int]:
        """Events from a place on, and the place to go on from."""
        with self._lock:
            first = max(place, self._dropped)
            stop = min(first + most, self.end)
            return [self._events[each - self._dropped] for each in range(first, stop)], stop

    def kept(self) -> list[Event]:
        """Everything that can still be read."""
        with self._lock:
            return list(self._events)

    def _drop_to(self, count: int) -> None:
        while len(self._events) > count:
            gone = self._events.popleft()
            if self._places.get(gone.id) == self._dropped:
                del self._places[gone.id]
            self._dropped += 1
