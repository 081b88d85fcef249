"""One writer at a time among the threads and processes that share a folder."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.005
_THREADS = threading.Lock()
"""On NFS the kernel turns flock into a lock of the whole process."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made and never removed; raises TimeoutError after 30 s.

    The kernel releases it when the process ends, however it ends. A removed lock file would let two hold "the" lock.
    """
    end = time.monotonic() + WAIT_SECONDS
    if not _THREADS.acquire(timeout=WAIT_SECONDS):
        raise TimeoutError(f"{path} was held for {WAIT_SECONDS:.0f} s")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            while not _taken(handle):
                if time.monotonic() > end:
                    raise TimeoutError(f"{path} was held for {WAIT_SECONDS:.0f} s")
                time.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(handle)
    finally:
        _THREADS.release()


def removed_unless_locked(path: Path, seen: os.stat_result) -> bool:
    """Remove a file that nobody has locked and that is still the one that was seen, unchanged; raises OSError."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not _taken(handle):
            return False
        facts = path.lstat()
        if (facts.st_dev, facts.st_ino, facts.st_mtime_ns) != (seen.st_dev, seen.st_ino, seen.st_mtime_ns):
            return False
        path.unlink()
        return True
    finally:
        os.close(handle)


def share_lock(handle: int) -> None:
    """Share the lock of an open file until it is closed, waiting for who has it alone.

    On a file system without locks this does nothing.
    """
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH)


def take_lock(handle: int) -> bool:
    """Take the lock of an open file alone, until it is closed; False while another has it or shares it.

    A share of one's own is lost either way. A file system without locks grants it.
    """
    try:
        return _taken(handle)
    except OSError:
        return True


def is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at its path."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(facts, os.fstat(handle))


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
