"""The sandbox's clock: real time plus an offset that tests move. Links, tokens and late recordings go by it."""

from __future__ import annotations

import datetime as dt
import time


class Clock:
    """UTC now, `offset_seconds` away from the machine's."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0

    def now(self) -> dt.datetime:
        """The sandbox's time, UTC."""
        return dt.datetime.fromtimestamp(self.seconds(), dt.UTC)

    def seconds(self) -> float:
        """The sandbox's time in seconds since 1970."""
        return time.time() + self.offset_seconds
