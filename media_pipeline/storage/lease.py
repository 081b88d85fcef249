"""A lease: one run at a time works on a day, whatever machine it is on, and a dead one blocks nobody for long.

The holder rewrites a small object every 25 s. Who finds it unchanged for 90 s of his own clock takes it over; on the
holder's machine at once when its process is gone, after a reboot too. Clocks need not agree, run states are not asked.
A holder that stood still (stopped, suspended, cut off) looks again before it writes what others rely on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from media_pipeline.storage.base import ObjectStore, Small, StorageError, SwapsUnsupported
from media_pipeline.storage.machine import machine_id, process_space

RENEW_SECONDS = 25.0
EXPIRES_SECONDS = 90.0
WAIT_SECONDS = 120.0
"""Longer than a dead holder's lease lasts: only a living one makes a run give up."""
LOOK_SECONDS = 2.0
REFUSALS = 3
"""Claims in a row that are repeated at once."""
STALE_SECONDS = 40.0
"""Since the last renewal: one is late then, and `check` does not rely on memory."""

_log = logging.getLogger(__name__)


class LeaseHeld(StorageError):
    """Another run is at work on the same day."""


class LeaseLost(StorageError):
    """Another run took over while this one stood still."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: the run, and the process that keeps renewing it; an empty run: nobody."""

    run_id: str = ""
    host: str = ""
    boot: str = ""
    pid: int = 0
    started: str = ""
    renewals: int = 0
    place: str = ""
    """Machine and PID namespace: containers may have one host name, and processes that others do not see."""

    @classmethod
    def this(cls, run_id: str) -> Holder:
        """This process."""
        return cls(run_id, socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()), place=_place())

    @classmethod
    def of(cls, data: bytes) -> Holder:
        """The holder that an object names; nobody when it cannot be read."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return cls()

    def is_gone(self) -> bool:
        """Whether it certainly does not work any more."""
        if not self.run_id:
            return True
        if self.host != socket.gethostname() or not self.boot:
            return False
        if self.boot != _boot():
            machine = self.place.partition(":")[0]
            return bool(machine) and machine == _place().partition(":")[0]
        return self.place == _place() and _started(self.pid) != self.started

    def is_process(self, other: Holder) -> bool:
        """Whether another claim is of the same run of the same process."""
        return replace(self, renewals=0) == replace(other, renewals=0)

    def encode(self, renewals: int = 0) -> bytes:
        """As bytes that differ with each renewal."""
        return json.dumps({**asdict(self), "renewals": renewals}).encode()


class Lease:
    """Held from `acquire` until `release`, renewed by a thread of its own."""

    def __init__(self, store: ObjectStore, key: str, what: str, run_id: str) -> None:
        self._store, self._key, self._what = store, key, what
        self._holder = Holder.this(run_id)
        self._tag: str | None = None
        self._renewals = 0
        self._renewed = 0.0
        """When the last renewal that succeeded began."""
        self._renewing = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost_to: str | None = None

    @property
    def is_held(self) -> bool:
        """Whether nobody else works there; False too where the store cannot swap, and so nobody can tell."""
        return self._tag is not None and self.lost_to is None

    def acquire(self, wait_seconds: float | None = None, expires_seconds: float = EXPIRES_SECONDS) -> None:
        """Take it, waiting for the holder to end or expire; raises LeaseHeld.

        Where the store cannot swap conditionally there is no lease, and this returns.
        """
        wait_seconds = WAIT_SECONDS if wait_seconds is None else wait_seconds
        seen: Small | None = None
        since = begun = time.monotonic()
        refusals = 0
        while True:
            found = self._store.get_small(self._key)
            if found is None or seen is None or found.tag != seen.tag:
                seen, since = found, time.monotonic()
            holder = Holder.of(found.data) if found is not None else Holder()
            expired = time.monotonic() - since >= expires_seconds
            free = holder.is_gone() or holder.run_id == self._holder.run_id or expired
            if free and self._take(found):
                return
            if free and refusals < REFUSALS:  # somebody was quicker: see who
                refusals += 1
                continue
            if time.monotonic() - begun >= wait_seconds:
                raise LeaseHeld(
                    f"{self._what} cannot be taken: nobody works on it, and still each claim is refused. Check what "
                    "MEDIA_ROOT's server says to conditional writes, then run again. Nothing was changed."
                    if free
                    else f"{self._what} is being worked on by the run {holder.run_id} on {holder.host}: wait for it, "
                    "or cancel it, then run again. Nothing was changed."
                )
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """Raise LeaseLost when another run has taken over, StorageError when that cannot be told any more."""
        late = _now() - self._renewed
        if self._tag is not None and late >= STALE_SECONDS:
            try:
                self._renew()
            except StorageError:
                if late >= EXPIRES_SECONDS:
                    raise
        if self.lost_to is not None:
            raise LeaseLost(
                f"{self._what} was taken over by the run {self.lost_to} while this one stood still for more than "
                f"{EXPIRES_SECONDS:.0f} s; what it stored is kept, its tables are the other run's."
            )

    def release(self) -> None:
        """Give it back, unless it was lost."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self.is_held:
            with contextlib.suppress(StorageError):  # it expires by itself
                self._store.put_if(self._key, Holder().encode(self._renewals), self._tag)

    def _take(self, found: Small | None) -> bool:
        self._renewed = _now()
        try:
            self._tag = self._store.put_if(self._key, self._holder.encode(), found.tag if found else None)
        except SwapsUnsupported as error:
            _log.warning("%s Nothing keeps two runs out of %s.", error, self._what)
            return True
        if self._tag is None:
            return False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return True

    def _keep(self) -> None:
        while self.lost_to is None and not self._ended.wait(RENEW_SECONDS):
            with contextlib.suppress(StorageError):  # the next renewal comes before it expires
                self._renew()

    def _renew(self) -> None:
        with self._renewing:
            for _ in range(REFUSALS):
                if self.lost_to is not None:
                    return
                began = _now()
                self._renewals += 1
                tag = self._store.put_if(self._key, self._holder.encode(self._renewals), self._tag)
                if tag is not None:
                    self._tag, self._renewed = tag, began
                    return
                present = self._store.get_small(self._key)
                holder = Holder.of(present.data) if present is not None else Holder()
                if present is not None and holder.is_process(self._holder):
                    self._tag = present.tag  # an earlier try of ours, whose reply was lost; it may be long ago
                else:
                    self.lost_to = holder.run_id or "unknown"


def _now() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _place() -> str:
    return f"{machine_id()}:{process_space()}"


def _boot() -> str:
    """A name of this boot of the machine; empty where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _started(pid: int) -> str:
    """When a living process was started, in the kernel's ticks; empty without one: pids are used again."""
    with contextlib.suppress(OSError):
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else facts[18]  # a killed process may stay as a zombie for a while
    return ""
