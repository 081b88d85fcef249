"""Patient questions: when to ask a job again, in few calls and for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from media_pipeline.genesys.errors import ServerError
from media_pipeline.genesys.pacing import Patience

BATCH_DEADLINES = 5
"""A batch job may take 5 requests' deadlines: 10 minutes."""
JOB_DEADLINES = 15
"""An analytics job may take 15: half an hour."""
FIRST_WAITS = 2
"""The first question comes 2 s after a job was submitted, unless earlier jobs have taught better."""
LONGEST_WAITS = 30
"""Questions are at most 30 s apart."""
PAUSE_SHARE = 0.25
"""A job that is not done when expected is asked again after this share of the expected time, then half as often."""
FORGETTING = 0.97
"""Each job that was done when first asked about shortens the expected time by this factor."""
LATE_IN_VAIN = 8
"""So many jobs in a row that were late although the expected time grew: it is not a matter of time."""


@dataclass(slots=True)
class Waiter:
    """Sleeps that end at once when the connection is closed; all durations scale with the retries' first wait."""

    patience: Patience
    _closed: threading.Event = field(default_factory=threading.Event, repr=False)

    def close(self) -> None:
        """Wake whoever sleeps; they raise ServerError."""
        self._closed.set()

    def now(self) -> float:
        """Seconds on a clock that no one sets."""
        return time.monotonic()

    def sleep_until(self, moment: float) -> None:
        """Wait for this moment; raises ServerError when the connection was closed meanwhile."""
        left = moment - self.now()
        if (left > 0 and self._closed.wait(left)) or self._closed.is_set():
            raise ServerError("The connection to Genesys Cloud was closed while a job was waited for.")


@dataclass(slots=True)
class Pace:
    """When to ask next about one job, and at what distance after that."""

    submitted: float
    due: float
    pause: float
    asked: int = 0


class Paces:
    """Learns from jobs how long the next one will take, so that most are asked about once; safe to use from threads.

    A job that is not done when expected makes the next ones expected later. Where that helps nothing (a server may
    count questions, not seconds), the shortest time seen is expected again.
    """

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._lock = threading.Lock()
        self._unit = waiter.patience.first_wait_seconds
        self._expected = self._unit * FIRST_WAITS
        self._shortest: float | None = None
        self._late_in_a_row = 0

    @property
    def taught(self) -> bool:
        """Whether any job has shown how long they take."""
        return self._shortest is not None

    def due(self, pace: Pace) -> float:
        """When to ask about a job: one not asked about yet, when jobs are expected to be done by now's knowledge."""
        if pace.asked:
            return pace.due
        with self._lock:
            return pace.submitted + self._expected

    def start(self, submitted: float) -> Pace:
        """The pace for a job submitted at this moment."""
        with self._lock:
            return Pace(submitted, submitted + self._expected, max(self._unit, self._expected * PAUSE_SHARE))

    def later(self, pace: Pace, deadlines: int) -> bool:
        """The job was asked about and is not done: whether it is asked again; False after the deadline."""
        now, end = self._waiter.now(), pace.submitted + self._waiter.patience.deadline_seconds * deadlines
        if now >= end:
            return False
        pace.asked += 1
        pace.due = min(now + pace.pause, end)
        pace.pause = min(pace.pause * 2, self._unit * LONGEST_WAITS)
        return True

    def learn(self, pace: Pace) -> None:
        """The job was asked about and is done."""
        took = self._waiter.now() - pace.submitted
        with self._lock:
            if self._shortest is None:
                self._shortest = self._expected = took
                return
            self._shortest = min(self._shortest, took)
            if pace.asked == 0:
                self._late_in_a_row = 0
                self._expected = min(self._expected, took) * FORGETTING
            elif self._late_in_a_row < LATE_IN_VAIN:
                self._late_in_a_row += 1
                self._expected = min(took, max(self._expected * 2, self._unit * FIRST_WAITS))
            else:
                self._expected = min(self._shortest, self._expected)


def turns(waiter: Waiter, deadlines: int) -> Iterator[None]:
    """When to ask about a job submitted now: at growing distances, at least once, until the deadline."""
    paces = Paces(waiter)
    pace = paces.start(waiter.now())
    while True:
        waiter.sleep_until(pace.due)
        yield
        if not paces.later(pace, deadlines):
            return
