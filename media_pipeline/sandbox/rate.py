"""The rate limit, when one is set: so many API calls a client may make in each window of a minute, both dialects.

Off unless asked for. It goes by the machine's clock, not the sandbox's, which tests move.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping


class RateWindow:
    """One client's window: it opens with the first call and is counted from nothing when it is over."""

    def __init__(self) -> None:
        self._opened = 0.0
        self._count = 0
        self._lock = threading.Lock()

    def take(self, allowed: int, seconds: int) -> tuple[bool, int, Mapping[str, str]]:
        """Count a call: whether it may be answered, seconds until the window ends, and the headers that say so."""
        with self._lock:
            now = time.monotonic()
            if now >= self._opened + seconds:
                self._opened, self._count = now, 0
            granted = self._count < allowed
            self._count += granted
            left = max(-int(-(self._opened + seconds - now) // 1), 1)
            named = {"count": self._count, "allowed": allowed, "reset": left}
        return granted, left, {f"inin-ratelimit-{name}": str(value) for name, value in named.items()}
