"""Work the API does in its own time: analytics jobs and batches, kept as what was asked for, never as results."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

HELD = 10_000
"""So many requests are remembered, about 1 kB each; the oldest are forgotten."""


@dataclasses.dataclass
class Pending(Generic[T]):
    """Something asked for, when, and how often its state was asked since."""

    id: str
    asked: T
    submitted: dt.datetime
    polls: int = 0
    ended: str = ""
    """The state it ended in before its time."""

    def share(self, now: dt.datetime, *, seconds: int, polls: int) -> float:
        """How much of it is ready, 0 to 1: by time when `seconds` are given, else by the polls so far."""
        if seconds:
            return min((now - self.submitted) / dt.timedelta(seconds=seconds), 1.0)
        return min(self.polls / polls, 1.0) if polls else 1.0


class Pendings(Generic[T]):
    """What was asked for, by id. Thread safe."""

    def __init__(self, name_of: Callable[[int], str]) -> None:
        self._name_of = name_of
        self._held: OrderedDict[str, Pending[T]] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def add(self, asked: T, now: dt.datetime) -> Pending[T]:
        """Remember a request under a new id."""
        with self._lock:
            self._count += 1
            made = Pending(self._name_of(self._count), asked, now)
            self._held[made.id] = made
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return made

    def find(self, id_: str) -> Pending[T] | None:
        """What was asked for under this id; None when nothing was, or long ago."""
        return self._held.get(id_)
