"""How much one listener may ask for: requests a minute and recordings at once, for each subject by itself."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from media_pipeline.playback.refusals import refused

SUBJECTS = 10_000
"""Remembered; of more, those that asked longest ago begin anew."""
STREAM_RETRY_SECONDS = 2


@dataclass(slots=True)
class _Budget:
    tokens: float
    filled: float
    streams: int = 0


class Limits:
    """A bucket of one minute's requests that fills evenly, and a count of streams; safe to use from threads."""

    def __init__(self, requests_per_minute: int, streams: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._streams, self._clock = requests_per_minute, streams, clock
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def stream(self, subject: str) -> Iterator[None]:
        """Take a request and a stream for as long as the context lasts; raises Refusal (429)."""
        with self._lock:
            budget = self._budget(subject)
            if budget.tokens < 1:
                seconds = math.ceil((1 - budget.tokens) * 60 / self._most)
                raise refused("too_many_requests", Retry_After=str(max(1, seconds)))
            if budget.streams >= self._streams:
                raise refused("too_many_streams", Retry_After=str(STREAM_RETRY_SECONDS))
            budget.tokens -= 1
            budget.streams += 1
        try:
            yield
        finally:
            with self._lock:
                budget.streams -= 1

    def _budget(self, subject: str) -> _Budget:
        now = self._clock()
        budget = self._budgets.get(subject)
        if budget is None:
            budget = self._budgets[subject] = _Budget(self._most, now)
            self._forget()
        self._budgets.move_to_end(subject)
        budget.tokens = min(self._most, budget.tokens + (now - budget.filled) * self._most / 60)
        budget.filled = now
        return budget

    def _forget(self) -> None:
        """Drop the oldest that play nothing."""
        if len(self._budgets) > SUBJECTS:
            idle = next((name for name, budget in self._budgets.items() if not budget.streams), None)
            if idle is not None:
                del self._budgets[idle]
