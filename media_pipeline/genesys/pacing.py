"""How often we may ask, how long we wait before asking again, and how often we did.

One `Pacer` and one `CallStats` are shared by all threads of a run, and the pacer's budget by all runs of the machine;
`Patience` makes one request's retries.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_exponential, wait_random

from media_pipeline.genesys.budget import PERIOD_SECONDS, Budget, Lesson, now
from media_pipeline.genesys.latency import Buckets, bucket_of

MAX_RETRIES = 5
DEADLINE_SECONDS = 120.0
FIRST_WAIT_SECONDS = 1.0
JITTER_SECONDS = 0.25
"""Waits are 1-2-4-8-16 s, each with up to this share of the first wait on top."""
LEAST_RETRY_AFTER_SECONDS = 1.0
"""Less than that is a 0, or a date that is past by our clock, or soon will be: our own wait goes before it."""
LOOK_SECONDS = 0.5
"""How often who waits looks whether something was learned since."""
NO_API_CALLS = ("file", "transcript_file")
"""Operations that go to a media host, not to the API, and cost nothing of its budget."""
TOO_MANY_REQUESTS = HTTPStatus.TOO_MANY_REQUESTS
SLICE_SECONDS = 10
"""How finely it is kept when calls, refusals and retries happened."""
MAX_SLICES = 24 * 3600 // SLICE_SECONDS
"""What comes later counts into the last one: a service lives for months."""
CALLS, REFUSED, RETRIES = "calls", "refused", "retries"

T = TypeVar("T")


class TryAgain(Exception):
    """A request failed in a way that may pass; `error` is what to raise when patience ends."""

    def __init__(self, error: Exception, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class CallStats:
    """Counts of calls by operation and status, of retries and seconds waited, how long calls took, and by slices of
    10 s since it was made how many calls, refusals (429) and retries there were; safe to use from threads."""

    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    waited_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    buckets: Buckets = field(default_factory=Counter)
    slices: Counter[tuple[int, str]] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def called(self, operation: str, status: int, seconds: float | None = None) -> None:
        """Count one reply and its time; status 0 stands for a connection that broke before one came."""
        with self._lock:
            self.calls[operation, status] += 1
            self.slices[self._slice(), CALLS] += 1
            if status == TOO_MANY_REQUESTS:
                self.slices[self._slice(), REFUSED] += 1
            if seconds is not None:
                self.buckets[operation, bucket_of(seconds)] += 1

    def waits(self, operation: str, seconds: float) -> None:
        """Count one retry and the wait before it."""
        with self._lock:
            self.retries[operation] += 1
            self.slices[self._slice(), RETRIES] += 1
            self.waited_seconds[operation] += seconds

    def errors(self, operation: str) -> int:
        """Calls of an operation that got an error status or no reply."""
        with self._lock:
            found = self.calls.items()
            return sum(number for (name, status), number in found if name == operation and not 0 < status < 400)

    def api_calls(self) -> int:
        """Calls of the API so far, tokens and all."""
        with self._lock:
            return sum(number for (operation, _), number in self.calls.items() if operation not in NO_API_CALLS)

    def since(self, earlier: CallStats) -> CallStats:
        """What came on top of an earlier snapshot."""
        now = self.snapshot()
        waited = {k: v - earlier.waited_seconds[k] for k, v in now.waited_seconds.items()}
        return CallStats(
            now.calls - earlier.calls,
            now.retries - earlier.retries,
            defaultdict(float, waited),
            now.buckets - earlier.buckets,
            now.slices - earlier.slices,
        )

    def snapshot(self) -> CallStats:
        """A copy, to compare with a later one."""
        with self._lock:
            return CallStats(
                Counter(self.calls),
                Counter(self.retries),
                defaultdict(float, self.waited_seconds),
                Counter(self.buckets),
                Counter(self.slices),
            )

    def _slice(self) -> int:
        return min(int(time.monotonic() - self._began) // SLICE_SECONDS, MAX_SLICES - 1)


class Pacer:
    """At most N requests in any minute, for all threads and processes that share the file; 0 means no limit."""

    def __init__(
        self, requests_per_minute: int, file: Path | None = None, *, period_seconds: float = PERIOD_SECONDS
    ) -> None:
        if requests_per_minute and file is None:
            raise ValueError("A limit needs the file that it is shared by.")
        self._budget = Budget(file, requests_per_minute, period_seconds) if requests_per_minute and file else None
        self._period = period_seconds
        self._mine = threading.local()
        self._asking: deque[int] = deque()
        self._next = threading.Condition()

    def acquire(self) -> None:
        """Wait for a place in the budget."""
        if self._budget is None:
            return
        began = now()
        # Without a place, one call each 10 s: better than none while somebody's debugger holds the file.
        with self._turn(), suppress(TimeoutError):
            place = self._budget.place()
            while (wait := place.at - now()) > 0:
                time.sleep(min(wait, LOOK_SECONDS))
                place = self._budget.place(place)
        self._mine.called_at = now()
        self._mine.waited = self.waited_seconds() + self._mine.called_at - began

    def waited_seconds(self) -> float:
        """How long this thread has waited for the budget, ever."""
        return float(getattr(self._mine, "waited", 0.0))

    def learned(self, status: int, headers: Mapping[str, str], message: str = "") -> None:
        """Take in the reply to this thread's last request: the server's own limit, and when all must pause."""
        if self._budget is None:
            return
        lesson = _lesson(status, headers, message, shortest_pause=self._period / 60)
        if lesson != Lesson():
            with suppress(TimeoutError):
                self._budget.learn(getattr(self._mine, "called_at", now()), lesson)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread at a time in the order of asking, so that a killed process leaves one place unused, not many."""
        me = threading.get_ident()
        with self._next:
            self._asking.append(me)
        try:
            with self._next:
                self._next.wait_for(lambda: self._asking[0] == me)
            yield
        finally:
            with self._next:
                self._asking.remove(me)
                self._next.notify_all()


def _lesson(status: int, headers: Mapping[str, str], message: str, *, shortest_pause: float) -> Lesson:
    allowed, count, reset = (_number(headers.get(f"inin-ratelimit-{name}")) for name in ("allowed", "count", "reset"))
    if reset is not None and reset.is_integer():
        reset += 1  # whole seconds may have been cut off
    pause = 0.0
    if status == TOO_MANY_REQUESTS:
        said = retry_after_seconds(headers, message)
        pause = max(shortest_pause, said if said is not None else reset or 0.0)
    return Lesson(
        int(allowed) if allowed is not None else None, int(count) if count is not None else None, reset, pause
    )


def _number(value: str | None) -> float | None:
    return float(value) if value is not None and re.fullmatch(r"\d{1,9}(\.\d+)?", value) else None


def _no_seconds() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """One request's retry rule: at most 5 retries within 120 s including waits; Retry-After goes before backoff.

    Waiting for the rate budget is not part of the 120 s: a long queue would take a request's retries away.
    """

    first_wait_seconds: float = FIRST_WAIT_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS
    retries: int = MAX_RETRIES
    only: tuple[type[Exception], ...] = (Exception,)
    """What is tried again: for a request that must not be repeated, what is known to have had no effect."""

    def run(
        self,
        attempt: Callable[[], T],
        operation: str,
        stats: CallStats,
        queued_seconds: Callable[[], float] = _no_seconds,
    ) -> T:
        """Call until it stops raising TryAgain; afterwards raises the last TryAgain's error.

        `queued_seconds` tells this thread's time in the budget's queue so far.
        """
        late = _Late(self.deadline_seconds, queued_seconds)
        try:
            return attempt()  # nearly always; a Retrying costs more than a short recording's request
        except TryAgain as error:
            if not self._may_pass(error):
                raise error.error from None
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
            stop=stop_after_attempt(self.retries + 1) | late,
            wait=_RetryAfterOr(
                wait_exponential(multiplier=self.first_wait_seconds, max=self.first_wait_seconds * 16)
                + wait_random(0, self.first_wait_seconds * JITTER_SECONDS)
            ),
            retry=retry_if_exception(self._may_pass),
            before_sleep=note,
            reraise=True,
        )
        try:
            return retrying(again)
        except TryAgain as last:
            raise last.error from None  # the chain could carry a presigned URL

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, TryAgain) and isinstance(error.error, self.only)


class _Late(stop_base):
    def __init__(self, deadline_seconds: float, queued_seconds: Callable[[], float]) -> None:
        self._deadline_seconds = deadline_seconds
        self._queued_seconds = queued_seconds
        self._began, self._queued_before = time.monotonic(), queued_seconds()

    def __call__(self, retry_state: RetryCallState) -> bool:
        queued = self._queued_seconds() - self._queued_before
        return time.monotonic() - self._began - queued + retry_state.upcoming_sleep >= self._deadline_seconds


class _RetryAfterOr(wait_base):
    """Retry-After where it says to wait, else our own wait: without one, all retries would be used up at once."""

    def __init__(self, own: wait_base) -> None:
        self._own = own

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        said = error.retry_after_seconds if isinstance(error, TryAgain) else None
        return as_said(said, self._own(retry_state))


def as_said(retry_after_seconds: float | None, own: float) -> float:
    """Seconds to wait: Retry-After, or one's own wait where it says nothing, or less than a wait."""
    said = retry_after_seconds or 0.0
    return said if said >= LEAST_RETRY_AFTER_SECONDS else max(said, own)


_IN_TEXT = re.compile(r"retry the request in \[?(\d+)\]? second", re.IGNORECASE)


def retry_after_seconds(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds to wait from Retry-After (seconds or an HTTP date) or from Genesys' message text; None when not said."""
    value = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    if value:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # a year of twenty digits
            when = None
        if when is not None:
            if when.tzinfo is None:
                when = when.replace(tzinfo=dt.UTC)
            return max(0.0, (when - dt.datetime.now(dt.UTC)).total_seconds())
    found = _IN_TEXT.search(message)
    return float(found.group(1)) if found else None
