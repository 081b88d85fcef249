"""The rate budget as the doctor sees it: its own calls are booked and never wait, a screen has no minute to spare."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress

from media_pipeline.doctor.findings import GENESYS, Finding
from media_pipeline.genesys.budget import Budget
from media_pipeline.genesys.pacing import Pacer

NAME = "rate budget"


class Witness(Pacer):
    """Books calls in the machine's budget without waiting, and remembers what replies say of the rate."""

    def __init__(self, budget: Budget | None) -> None:
        super().__init__(0)
        self._shared = budget
        self._lock = threading.Lock()
        self.allowed: int | None = None
        self.counted = 0

    def acquire(self) -> None:
        if self._shared is not None:
            with suppress(TimeoutError, OSError):
                self._shared.place()

    def learned(self, status: int, headers: Mapping[str, str], message: str = "") -> None:
        allowed, counted = (headers.get(f"inin-ratelimit-{name}", "") for name in ("allowed", "count"))
        with self._lock:
            if allowed.isdecimal():
                self.allowed = min(int(allowed), self.allowed or int(allowed))
            if counted.isdecimal():
                self.counted = max(self.counted, int(counted))

    def used_before(self) -> int | None:
        """Calls of this machine in the last minute; None where nothing is budgeted."""
        try:
            return None if self._shared is None else self._shared.usage()[0]
        except (TimeoutError, OSError):
            return None


def rate(ours: int, used: int | None, seen: Witness, published: int | None) -> Finding:
    """The line about the rate: ours, the server's by its replies or its limits, and how much is in use."""
    known = [each for each in (seen.allowed, published) if each]
    allowed = min(known, default=None)
    parts = [f"{allowed} calls a minute allowed" if allowed else "the server names no limit"]
    parts.append(f"ours {ours}" if ours else "ours unlimited")
    if used is not None:
        parts.append(f"{used} used just now")
    if seen.counted:
        parts.append(f"the server counts {seen.counted}, these included")
    text = ", ".join(parts)
    if allowed and (ours == 0 or ours > allowed):
        todo = f"Set GENESYS_REQUESTS_PER_MINUTE to at most {allowed}: above it, runs live on refusals and waits."
        return Finding(GENESYS, NAME, "warn", text, todo)
    return Finding(GENESYS, NAME, "ok", text)
