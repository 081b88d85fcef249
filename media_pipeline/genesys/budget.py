"""One budget of API calls for all threads and processes of a machine: the times of the last calls, in a locked file.

At most N calls in any period; a period's worth at once after a rest, evenly spaced while callers queue. A process books
one time to call and waits for it without the lock: processes take turns, and one that is killed leaves an unused place
behind and nothing else. What replies teach (a lower limit, a pause) voids the places not yet come.

pyrate-limiter over SQLite was measured at 230 us a call against 20 us here, serves waiters in no order, and has no
place for what the server says. A token bucket alone would allow 2 N calls in its first period.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import struct
import time
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

PERIOD_SECONDS = 60.0
MARGIN = 0.02
"""Calls reach the server up to 1.2 s earlier or later than planned before a full minute of ours overfills one there."""
LONGEST_PAUSE_SECONDS = 120.0
"""No reply holds the machine up for longer; its own request gives up by then."""
KEPT_SECONDS = 86_400.0
"""Files of earlier boots and of other clients go after a day without a call."""
LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.001
_FEWEST_PLACES = 2048
_HEADER_BYTES = 64
_HEADER = struct.Struct("<8s4q2d?")
_CHECKSUM = struct.Struct("<I")
_TIME = struct.Struct("<d")
_MAGIC = b"mpbudg01"


class Place(NamedTuple):
    """When its holder may call, by `now`, unless the budget's age has changed by then."""

    at: float
    age: int


class Lesson(NamedTuple):
    """What a reply says of the limit: calls allowed a period, calls counted and seconds left of it, seconds to wait."""

    allowed: int | None = None
    counted: int | None = None
    reset_seconds: float | None = None
    pause_seconds: float = 0.0


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


if BOOT := _boot():

    def now() -> float:
        """Seconds since this boot, the same in all processes; nobody sets this clock, and it does not stop in sleep."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
else:
    now = time.time
    """Systems that do not name their boots: a clock set back makes calls wait for as long."""


def budget_file(folder: Path, client_id: str, api: str) -> Path:
    """The file that all runs share which call this API with this OAuth client since this boot; names neither."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the spool, where this is its first use
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.glob("*.budget"):
        with suppress(FileNotFoundError):  # another run tidies up, too
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()  # who still uses it makes it anew
    return folder / (hashlib.sha256(f"{client_id}\n{api}\n{BOOT}".encode()).hexdigest()[:32] + ".budget")


class Budget:
    """Places in the queue of one file; safe to use from threads, processes and forks.

    Raises TimeoutError when another process holds the file for 10 s, which only one that was stopped does.
    """

    def __init__(self, file: Path, limit: int, period_seconds: float = PERIOD_SECONDS) -> None:
        self._file = file
        self._limit = limit
        self._period = period_seconds

    def place(self, held: Place | None = None) -> Place:
        """A new place behind all others, or the held one while it is good."""
        with self._ring() as ring:
            if held is not None and held.age == ring.state.age:
                return held
            present, spaced = now(), self._period * (1 + MARGIN)
            limit = self._limit_of(ring.state)
            at = max(present, ring.state.paused_until, ring.time(ring.state.booked - limit) + spaced)
            if at > present or ring.state.queueing:
                at = max(at, ring.time(ring.state.booked - 1) + spaced / limit)
            ring.state.queueing = at > present
            ring.book(at)
            return Place(at, ring.state.age)

    def learn(self, called_at: float, lesson: Lesson) -> None:
        """Take in what the reply to a call made at that time says, for all processes."""
        with self._ring() as ring:
            state, present, before = ring.state, now(), self._limit_of(ring.state)
            if lesson.allowed:
                # Endpoints may differ: the lowest counts, for as long as it is still heard.
                forgotten = not state.allowed or present - state.allowed_at > self._period
                if forgotten or lesson.allowed <= state.allowed:
                    state.allowed, state.allowed_at = lesson.allowed, present
            pause = lesson.pause_seconds
            if lesson.reset_seconds is not None and self._used_up_by_others(ring, called_at, present, lesson):
                pause = max(pause, lesson.reset_seconds)
            until = present + min(pause, LONGEST_PAUSE_SECONDS)
            longer = pause > 0 and until > state.paused_until + self._period / 100
            if longer:
                state.paused_until = until
            if longer or self._limit_of(state) != before:
                state.booked = ring.booked_until(present)
                state.age += 1
            ring.save()

    def usage(self) -> tuple[int, int]:
        """Calls of the last period by all processes, and how many are allowed in one by now."""
        with self._ring() as ring:
            present = now()
            used = ring.booked_until(present) - ring.booked_until(present - self._period)
            return used, self._limit_of(ring.state)

    def _limit_of(self, state: _State) -> int:
        return min(self._limit, state.allowed or self._limit)

    def _used_up_by_others(self, ring: _Ring, called_at: float, present: float, lesson: Lesson) -> bool:
        """Whether the server counts more calls than we made, and those under way may be the last that it allows."""
        if lesson.counted is None or not lesson.allowed:
            return False
        made = ring.booked_until(present)
        under_way = made - ring.booked_until(called_at)
        if lesson.counted + under_way < lesson.allowed:
            return False
        return lesson.counted > made - ring.booked_until(present - self._period)

    @contextmanager
    def _ring(self) -> Iterator[_Ring]:
        # Opened each time: a lock of its own for each thread and each fork, and a file that was removed comes back.
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle)
            yield _Ring(handle, self._limit)
        finally:
            os.close(handle)


@dataclass(slots=True)
class _State:
    places: int
    booked: int = 0
    age: int = 0
    allowed: int = 0
    allowed_at: float = 0.0
    paused_until: float = 0.0
    queueing: bool = False


class _Ring:
    """The locked file: a header with its checksum, then the times of the last bookings, in ascending order.

    At least twice as many as one period's calls are kept: places that were voided have overwritten the oldest ones.
    """

    def __init__(self, handle: int, limit: int) -> None:
        self._handle = handle
        needed = max(2 * limit, _FEWEST_PLACES)
        self.state = self._read() or _State(needed)
        if self.state.places < needed:
            self._grow(needed)

    def time(self, number: int) -> float:
        """When the booking of that number has its place; before all time where it is not known any more."""
        if number < max(0, self.state.booked - self.state.places):
            return -math.inf
        found = os.pread(self._handle, _TIME.size, self._offset(number))
        return float(_TIME.unpack(found)[0]) if len(found) == _TIME.size else -math.inf

    def book(self, at: float) -> None:
        """Add a place; a process killed between the two writes has booked none."""
        os.pwrite(self._handle, _TIME.pack(at), self._offset(self.state.booked))
        self.state.booked += 1
        self.save()

    def booked_until(self, moment: float) -> int:
        """Number of the first booking after that moment."""
        oldest = max(0, self.state.booked - self.state.places // 2)
        numbers = range(oldest, self.state.booked)
        return oldest + bisect_right(numbers, moment, key=self.time)

    def save(self) -> None:
        """Write the header, in one piece."""
        header = _HEADER.pack(_MAGIC, *astuple(self.state))
        os.pwrite(self._handle, header + _CHECKSUM.pack(zlib.crc32(header)), 0)

    def _read(self) -> _State | None:
        """None for a new file, and for a damaged one, which begins anew."""
        raw = os.pread(self._handle, _HEADER.size + _CHECKSUM.size, 0)
        header, checksum = raw[: _HEADER.size], raw[_HEADER.size :]
        if not header.startswith(_MAGIC) or checksum != _CHECKSUM.pack(zlib.crc32(header)):
            return None
        return _State(*_HEADER.unpack(header)[1:])

    def _grow(self, places: int) -> None:
        """Make room for a larger limit; killed half way, it leaves times in disorder, which costs a period at most."""
        end = self.booked_until(now())
        times = [self.time(number) for number in range(max(0, end - self.state.places // 2), end)]
        os.pwrite(self._handle, b"".join(map(_TIME.pack, times)), _HEADER_BYTES)
        self.state.places, self.state.booked, self.state.age = places, len(times), self.state.age + 1
        self.save()

    def _offset(self, number: int) -> int:
        return _HEADER_BYTES + _TIME.size * (number % self.state.places)


def _lock(handle: int) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError("The file of the rate budget is held by a process that does not go on.") from None
            time.sleep(LOCK_POLL_SECONDS)
