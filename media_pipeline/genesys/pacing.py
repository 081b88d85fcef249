"""How often we may ask, how long we wait before asking again, and how often we did.

One `Pacer` and one `CallStats` are shared by all threads of a run; `Patience` makes one request's retries.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pyrate_limiter import Duration, Limiter, Rate
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_base, wait_exponential, wait_random

MAX_RETRIES = 5
DEADLINE_SECONDS = 120.0
FIRST_WAIT_SECONDS = 1.0
JITTER_SECONDS = 0.25
"""Waits are 1-2-4-8-16 s, each with up to this share of the first wait on top."""

T = TypeVar("T")


class TryAgain(Exception):
    """A request failed in a way that may pass; `error` is what to raise when patience ends."""

    def __init__(self, error: Exception, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class CallStats:
    """Counts of calls by operation and status, of retries and seconds waited; safe to use from threads."""

    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    waited_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def called(self, operation: str, status: int) -> None:
        """Count one reply; status 0 stands for a connection that broke before one came."""
        with self._lock:
            self.calls[operation, status] += 1

    def waits(self, operation: str, seconds: float) -> None:
        """Count one retry and the wait before it."""
        with self._lock:
            self.retries[operation] += 1
            self.waited_seconds[operation] += seconds

    def since(self, earlier: CallStats) -> CallStats:
        """What came on top of an earlier snapshot."""
        now = self.snapshot()
        waited = {k: v - earlier.waited_seconds[k] for k, v in now.waited_seconds.items()}
        return CallStats(now.calls - earlier.calls, now.retries - earlier.retries, defaultdict(float, waited))

    def snapshot(self) -> CallStats:
        """A copy, to compare with a later one."""
        with self._lock:
            return CallStats(Counter(self.calls), Counter(self.retries), defaultdict(float, self.waited_seconds))


class Pacer:
    """At most N requests in any minute, for all threads of the process; 0 means no limit."""

    def __init__(self, requests_per_minute: int) -> None:
        self._limiter = Limiter(Rate(requests_per_minute, Duration.MINUTE)) if requests_per_minute else None

    def acquire(self) -> None:
        """Wait for a place in the budget."""
        if self._limiter is not None:
            self._limiter.try_acquire("genesys", blocking=True)

    def close(self) -> None:
        """Stop the limiter's housekeeping thread."""
        if self._limiter is not None:
            self._limiter.close()


@dataclass(frozen=True, slots=True)
class Patience:
    """One request's retry rule: at most 5 retries within 120 s including waits; Retry-After goes before backoff."""

    first_wait_seconds: float = FIRST_WAIT_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS
    retries: int = MAX_RETRIES

    def run(self, attempt: Callable[[], T], operation: str, stats: CallStats) -> T:
        """Call until it stops raising TryAgain; afterwards raises the last TryAgain's error."""
        try:
            return attempt()  # nearly always; a Retrying costs more than a short recording's request
        except TryAgain as error:
            first: TryAgain | None = error

        def again() -> T:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return attempt()

        def note(state: RetryCallState) -> None:
            stats.waits(operation, state.upcoming_sleep)

        retrying = Retrying(
            stop=stop_after_attempt(self.retries + 1) | stop_before_delay(self.deadline_seconds),
            wait=_RetryAfterOr(
                wait_exponential(multiplier=self.first_wait_seconds, max=self.first_wait_seconds * 16)
                + wait_random(0, self.first_wait_seconds * JITTER_SECONDS)
            ),
            retry=retry_if_exception_type(TryAgain),
            before_sleep=note,
            reraise=True,
        )
        try:
            return retrying(again)
        except TryAgain as last:
            raise last.error from None  # the chain could carry a presigned URL


class _RetryAfterOr(wait_base):
    def __init__(self, otherwise: wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, TryAgain) and error.retry_after_seconds is not None:
            return error.retry_after_seconds
        return self._otherwise(retry_state)


_IN_TEXT = re.compile(r"retry the request in \[?(\d+)\]? second", re.IGNORECASE)


def retry_after_seconds(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds to wait from Retry-After (seconds or an HTTP date) or from Genesys' message text; None when not said."""
    value = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    if value:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            when = None
        if when is not None:
            if when.tzinfo is None:
                when = when.replace(tzinfo=dt.UTC)
            return max(0.0, (when - dt.datetime.now(dt.UTC)).total_seconds())
    found = _IN_TEXT.search(message)
    return float(found.group(1)) if found else None
