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

    def turns(self, since: float, deadlines: int, expected_seconds: float | None = None) -> Iterator[None]:
        """When to ask about a job submitted at `since`: first when it is expected to be done, then at growing
        distances; ends after the deadline, and not before one question."""
        unit = self.patience.first_wait_seconds
        first = unit * FIRST_WAITS if expected_seconds is None else expected_seconds
        pause = max(unit, first / 4 if expected_seconds is not None else first)
        end = since + self.patience.deadline_seconds * deadlines
        self.sleep_until(since + first)
        while True:
            yield
            if self.now() >= end:
                return
            self.sleep_until(min(self.now() + pause, end))
            pause = min(pause * 2, unit * LONGEST_WAITS)
