"""Who listened to what, and how much of it: two lines of the audit log for each sitting, the first before any byte.

A player makes a request for each seek; those of one subject for one file, with no longer pause than a minute between
them, are one sitting. A process that is killed loses at most the second line, which has the bytes.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from media_pipeline.playback.refusals import refused
from media_pipeline.storage.base import StorageError

BEGUN, ENDED = "play_begun", "play_ended"
PAUSE_SECONDS = 60.0
LONGEST_SECONDS = 900.0
"""A sitting that lasts longer is told of in parts."""
OPEN_SITTINGS = 5_000
SWEEP_SECONDS = 5.0

Key = tuple[str, str, int, str, str]


class Journal(Protocol):
    """Where lines go."""

    def emit_about(self, recording_id: str, event: str, **facts: object) -> None:
        """Append one event of a recording; raises StorageError."""


@dataclass(slots=True)
class Sitting:
    """One subject with one file."""

    key: Key
    play_id: str
    began: float
    last: float
    requests: int = 0
    bytes_sent: int = 0
    active: int = 0
    told_bytes: int = field(default=0)


class Plays:
    """Keeps sittings; safe to use from threads. `close` tells of what is open."""

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal, self._clock = journal, clock
        self._open: OrderedDict[Key, Sitting] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sweeper: threading.Thread | None = None

    def begin(self, *, subject: str, recording_id: str, file_index: int, by: str, source: str) -> Sitting:
        """A request that is about to be served from `source`; raises Refusal when it cannot be written down."""
        key = (subject, recording_id, file_index, by, source)
        now = self._clock()
        with self._lock:
            sitting = self._open.get(key)
            if sitting is not None and not self._is_over(sitting, now):
                sitting.requests += 1
                sitting.active += 1
                sitting.last = now
                return sitting
            sitting = Sitting(key, uuid.uuid4().hex[:16], now, now, requests=1, active=1)
            ended = [self._open.pop(key)] if key in self._open else []
            self._open[key] = sitting
            if len(self._open) > OPEN_SITTINGS:
                ended.append(self._open.popitem(last=False)[1])
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="playback-plays", daemon=True)
                self._sweeper.start()
        try:
            for each in ended:
                self._tell(ENDED, each)
            self._tell(BEGUN, sitting)
        except StorageError:
            with self._lock:
                self._open.pop(key, None)
            raise refused("no_audit") from None
        return sitting

    def served(self, sitting: Sitting, bytes_sent: int) -> None:
        """That request is over; so many bytes of media went out."""
        with self._lock:
            sitting.active -= 1
            sitting.bytes_sent += bytes_sent
            sitting.last = self._clock()
            late = self._open.get(sitting.key) is not sitting and sitting.active == 0
        if late:  # it was told of while this request was under way
            with suppress(StorageError):
                self._tell(ENDED, sitting)

    def close(self) -> None:
        """Tell of all that is open."""
        self._closed.set()
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
        for sitting in left:
            with suppress(StorageError):
                self._tell(ENDED, sitting)

    def _is_over(self, sitting: Sitting, now: float) -> bool:
        if now - sitting.began > LONGEST_SECONDS:
            return True
        return not sitting.active and now - sitting.last > PAUSE_SECONDS

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            now = self._clock()
            with self._lock:
                over = [s for s in self._open.values() if self._is_over(s, now) and not s.active]
                for sitting in over:
                    del self._open[sitting.key]
            for sitting in over:
                with suppress(StorageError):
                    self._tell(ENDED, sitting)

    def _tell(self, event: str, sitting: Sitting) -> None:
        subject, recording_id, file_index, by, source = sitting.key
        facts: dict[str, object] = {"play_id": sitting.play_id, "subject": subject, "file_index": file_index, "by": by}
        facts["source"] = source
        if event == ENDED:
            sent, sitting.told_bytes = sitting.bytes_sent - sitting.told_bytes, sitting.bytes_sent
            facts |= {"bytes": sent, "requests": sitting.requests}
            facts["seconds"] = round(sitting.last - sitting.began, 3)
        self._journal.emit_about(recording_id, event, **facts)
